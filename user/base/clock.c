// SPDX-License-Identifier: GPL-2.0-only
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NS_PER_SEC 1000000000U
#define SEC_PER_DAY 86400U

static uint64_t read_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mp_clock_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t mp_clock_realtime_offset_ns(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) - read_ns(CLOCK_MONOTONIC));
}

/*
 * Days since 1970 and the Gregorian calendar, counted in years that start in
 * March: then a leap day is a year's last, and months follow one formula.
 */
#define DAYS_TO_1970 719468U /* from 0000-03-01 */
#define DAYS_PER_ERA 146097U /* 400 years */

struct civil {
	unsigned int year;
	unsigned int month;
	unsigned int day;
};

static struct civil civil_from_days(unsigned int days)
{
	unsigned int z = days + DAYS_TO_1970;
	unsigned int doe = z % DAYS_PER_ERA;
	unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned int mp = (5 * doy + 2) / 153;
	unsigned int month = mp < 10 ? mp + 3 : mp - 9;

	return (struct civil){
		.year = z / DAYS_PER_ERA * 400 + yoe + (month <= 2),
		.month = month,
		.day = doy - (153 * mp + 2) / 5 + 1,
	};
}

static unsigned int days_from_civil(const struct civil *c)
{
	unsigned int y = c->year - (c->month <= 2);
	unsigned int mp = c->month > 2 ? c->month - 3 : c->month + 9;
	unsigned int yoe = y % 400;
	unsigned int doy = (153 * mp + 2) / 5 + c->day - 1;

	return y / 400 * DAYS_PER_ERA + yoe * 365 + yoe / 4 - yoe / 100 + doy - DAYS_TO_1970;
}

static char *put_digits(char *p, unsigned int value, int n, char behind)
{
	for (int i = n - 1; i >= 0; i--) {
		p[i] = (char)('0' + value % 10);
		value /= 10;
	}
	p[n] = behind;
	return p + n + 1;
}

const char *mp_clock_format(uint64_t realtime_ns, char out[MP_TIME_LEN])
{
	uint64_t seconds = realtime_ns / NS_PER_SEC;
	unsigned int of_day = (unsigned int)(seconds % SEC_PER_DAY);
	struct civil c = civil_from_days((unsigned int)(seconds / SEC_PER_DAY));
	char *p = out;

	p = put_digits(p, c.year, 4, '-');
	p = put_digits(p, c.month, 2, '-');
	p = put_digits(p, c.day, 2, 'T');
	p = put_digits(p, of_day / 3600, 2, ':');
	p = put_digits(p, of_day / 60 % 60, 2, ':');
	p = put_digits(p, of_day % 60, 2, '.');
	p = put_digits(p, (unsigned int)(realtime_ns % NS_PER_SEC / 1000), 6, 'Z');
	*p = '\0';
	return out;
}

/* `n` digits and the character behind them. */
static bool take_digits(const char **p, int n, char behind, unsigned int *ret)
{
	unsigned int value = 0;

	for (int i = 0; i < n; i++) {
		char c = *(*p)++;

		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (unsigned int)(c - '0');
	}
	*ret = value;
	return !behind || *(*p)++ == behind;
}

/* ".123Z" or "Z" */
static bool take_fraction(const char *p, unsigned int *ret_ns)
{
	unsigned int scale = NS_PER_SEC / 10;
	unsigned int ns = 0;

	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9' && scale; p++, scale /= 10)
			ns += (unsigned int)(*p - '0') * scale;
	}
	*ret_ns = ns;
	return strcmp(p, "Z") == 0;
}

/* A day that the calendar does not have comes back as another one. */
static bool is_valid(const struct civil *c)
{
	struct civil back;

	if (c->year < 1970 || c->year > 2553 || c->month < 1 || c->month > 12 || c->day > 31)
		return false;
	back = civil_from_days(days_from_civil(c));
	return back.month == c->month && back.day == c->day;
}

int mp_clock_parse(const char *text, uint64_t *ret_realtime_ns)
{
	unsigned int hour, minute, second, ns, of_day;
	const char *p = text;
	struct civil c;

	if (!take_digits(&p, 4, '-', &c.year) || !take_digits(&p, 2, '-', &c.month) ||
	    !take_digits(&p, 2, 'T', &c.day) || !take_digits(&p, 2, ':', &hour) ||
	    !take_digits(&p, 2, ':', &minute) || !take_digits(&p, 2, '\0', &second) ||
	    !take_fraction(p, &ns))
		return -EINVAL;
	if (!is_valid(&c) || hour > 23 || minute > 59 || second > 59)
		return -EINVAL;
	of_day = (hour * 60 + minute) * 60 + second;
	*ret_realtime_ns = ((uint64_t)days_from_civil(&c) * SEC_PER_DAY + of_day) * NS_PER_SEC + ns;
	return 0;
}
