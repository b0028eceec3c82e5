// SPDX-License-Identifier: GPL-2.0-only
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define NS_PER_SEC 1000000000ULL

/* Three significant digits: 1.23, 12.3, 123; what rounds up to 1000 is shown as such. */
static void format_three(double value, const char *unit, char out[MP_HUMAN_LEN])
{
	int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	snprintf(out, MP_HUMAN_LEN, "%.*f%s", decimals, value, unit);
}

const char *mp_size_format(uint64_t bytes, char out[MP_HUMAN_LEN])
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes == UINT64_MAX) {
		snprintf(out, MP_HUMAN_LEN, "-");
		return out;
	}
	if (bytes < 1024) {
		snprintf(out, MP_HUMAN_LEN, "%u B", (unsigned int)bytes);
		return out;
	}
	while (value >= 999.5 && unit + 1 < MP_ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	format_three(value, units[unit], out);
	return out;
}

const char *mp_size_format_delta(int64_t bytes, char out[MP_HUMAN_LEN])
{
	char size[MP_HUMAN_LEN];
	uint64_t magnitude = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;

	if (bytes == INT64_MIN) {
		snprintf(out, MP_HUMAN_LEN, "-");
		return out;
	}
	mp_size_format(magnitude, size);
	snprintf(out, MP_HUMAN_LEN, "%s%.30s", bytes < 0 ? "-" : bytes > 0 ? "+" : "", size);
	return out;
}

const char *mp_duration_format(uint64_t ns, char out[MP_HUMAN_LEN])
{
	uint64_t seconds = ns / NS_PER_SEC;

	if (ns == UINT64_MAX)
		snprintf(out, MP_HUMAN_LEN, "-");
	else if (ns < 1000)
		snprintf(out, MP_HUMAN_LEN, "%u ns", (unsigned int)ns);
	else if (ns < 999500)
		format_three((double)ns / 1e3, " us", out);
	else if (ns < 999500000)
		format_three((double)ns / 1e6, " ms", out);
	else if (seconds < 60)
		format_three((double)ns / 1e9, " s", out);
	else if (seconds < 3600)
		snprintf(out, MP_HUMAN_LEN, "%um%02us", (unsigned int)(seconds / 60),
			 (unsigned int)(seconds % 60));
	else
		snprintf(out, MP_HUMAN_LEN, "%lluh%02um", (unsigned long long)(seconds / 3600),
			 (unsigned int)(seconds / 60 % 60));
	return out;
}

const char *mp_count_format(uint64_t n, char out[MP_HUMAN_LEN])
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
	double value = (double)n;
	size_t unit = 0;

	if (n < 10000) {
		snprintf(out, MP_HUMAN_LEN, "%u", (unsigned int)n);
		return out;
	}
	while (value >= 999.5 && unit + 1 < MP_ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	format_three(value, units[unit], out);
	return out;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit *find_unit(const char *name, const struct unit *units, size_t n_units)
{
	name += strspn(name, " ");
	for (size_t i = 0; i < n_units; i++) {
		if (strcasecmp(name, units[i].name) == 0)
			return &units[i];
	}
	return NULL;
}

/* A whole number of units: exact, also where a double no longer is. */
static int scale_whole(const char *s, uint64_t factor, uint64_t *ret)
{
	unsigned long long whole;

	errno = 0;
	whole = strtoull(s, NULL, 10);
	if (errno || __builtin_mul_overflow(whole, factor, ret))
		return -ERANGE;
	return 0;
}

static int scale_fraction(const char *s, uint64_t factor, uint64_t *ret)
{
	double value = round(strtod(s, NULL) * (double)factor);

	if (!(value < 0x1p64))
		return -ERANGE;
	*ret = (uint64_t)value;
	return 0;
}

/* "1", "1.5": digits, perhaps with a fraction, then a unit; no sign, no exponent, no hex. */
static int parse_with_unit(const char *s, const struct unit *units, size_t n_units, uint64_t *ret)
{
	static const char digits[] = "0123456789";
	size_t whole = strspn(s, digits);
	size_t fraction = s[whole] == '.' ? strspn(s + whole + 1, digits) : 0;
	size_t len = whole + (fraction ? 1 + fraction : 0);
	const struct unit *unit = find_unit(s + len, units, n_units);
	uint64_t value;
	int err;

	if (whole == 0 || !unit)
		return -EINVAL;
	err = fraction ? scale_fraction(s, unit->factor, &value)
		       : scale_whole(s, unit->factor, &value);
	if (!err)
		*ret = value;
	return err;
}

int mp_size_parse(const char *s, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"K", 1ULL << 10},
		{"KB", 1ULL << 10},
		{"KiB", 1ULL << 10},
		{"M", 1ULL << 20},
		{"MB", 1ULL << 20},
		{"MiB", 1ULL << 20},
		{"G", 1ULL << 30},
		{"GB", 1ULL << 30},
		{"GiB", 1ULL << 30},
		{"T", 1ULL << 40},
		{"TB", 1ULL << 40},
		{"TiB", 1ULL << 40},
	};

	return parse_with_unit(s, units, MP_ARRAY_SIZE(units), ret_bytes);
}

int mp_duration_parse(const char *s, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{"", NS_PER_SEC}, {"s", NS_PER_SEC},	  {"ms", 1000000},	    {"us", 1000},
		{"ns", 1},	  {"m", 60 * NS_PER_SEC}, {"h", 3600 * NS_PER_SEC},
	};

	return parse_with_unit(s, units, MP_ARRAY_SIZE(units), ret_ns);
}

int mp_number_parse(const char *s, uint64_t max, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	value = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

double mp_percent(uint64_t part, uint64_t whole)
{
	if (part == UINT64_MAX || whole == UINT64_MAX || !whole)
		return -1;
	return round(10000.0 * (double)part / (double)whole) / 100.0;
}
