// SPDX-License-Identifier: GPL-2.0-only
#include "report/json.h"

#include <math.h>
#include <string.h>

#include "base/event.h"

#define KEY_LEN 48 /* longer keys take the slow way */
#define NUMBER_LEN 24
#define MAX_FORMATTED 28 /* sign, 16 digits, point, 9 digits */
#define FIELD_LEN (KEY_LEN + MAX_FORMATTED + 8)
#define CLEAN_LEN 1024
#define CLEAN_GROWTH 4 /* one byte becomes \xHH at most */

/* Bytes that need neither cleaning nor a JSON escape. */
static const bool plain[256] = {
	[' ' ... '!'] = true,
	['#' ... '['] = true,
	[']' ... '~'] = true,
};

static size_t plain_length(const char *s)
{
	size_t n = 0;

	while (plain[(unsigned char)s[n]])
		n++;
	return n;
}

/* Cleaned text has no control characters: only two characters are left to escape. */
static void put_escaped(struct mp_text *out, const char *s)
{
	for (;;) {
		size_t n = strcspn(s, "\"\\");

		mp_text_add(out, s, n);
		s += n;
		if (!*s)
			return;
		mp_text_putc(out, '\\');
		mp_text_putc(out, *s++);
	}
}

static void put_cleaned(struct mp_text *out, const char *s)
{
	size_t size = strlen(s) * CLEAN_GROWTH + 1;
	char small[CLEAN_LEN];
	MP_FREE char *large = NULL;
	char *clean = small;

	if (size > sizeof(small)) {
		large = malloc(size);
		if (!large) {
			out->failed = true;
			return;
		}
		clean = large;
	}
	mp_text_clean(s, clean, size);
	put_escaped(out, clean);
}

/*
 * Puts what stands before a value into `buf`, and returns where the value goes,
 * so that a short field is one copy. Only an unusual key is written out at once.
 */
static char *begin(struct mp_json *j, const char *key, char buf[FIELD_LEN])
{
	char *p = buf;
	size_t n = 0;

	if (j->need_comma)
		*p++ = ',';
	j->need_comma = true;
	if (!key)
		return p;
	*p++ = '"';
	while (n < KEY_LEN && plain[(unsigned char)key[n]])
		*p++ = key[n++];
	if (key[n]) {
		mp_text_add(j->out, buf, (size_t)(p - buf));
		put_cleaned(j->out, key + n);
		p = buf;
	}
	*p++ = '"';
	*p++ = ':';
	return p;
}

static void put(struct mp_json *j, const char *buf, const char *end)
{
	mp_text_add(j->out, buf, (size_t)(end - buf));
}

static void put_literal(struct mp_json *j, const char *key, const char *literal)
{
	char buf[FIELD_LEN];
	char *p = begin(j, key, buf);

	put(j, buf, stpcpy(p, literal));
}

static char *append_u64(char *p, uint64_t value)
{
	char digits[NUMBER_LEN];
	size_t at = sizeof(digits);
	size_t n;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	n = sizeof(digits) - at;
	memcpy(p, digits + at, n);
	return p + n;
}

void mp_json_object(struct mp_json *j, const char *key)
{
	put_literal(j, key, "{");
	j->need_comma = false;
}

void mp_json_object_end(struct mp_json *j)
{
	mp_text_putc(j->out, '}');
	j->need_comma = true;
}

void mp_json_array(struct mp_json *j, const char *key)
{
	put_literal(j, key, "[");
	j->need_comma = false;
}

void mp_json_array_end(struct mp_json *j)
{
	mp_text_putc(j->out, ']');
	j->need_comma = true;
}

void mp_json_string(struct mp_json *j, const char *key, const char *value)
{
	size_t n;

	if (!value) {
		put_literal(j, key, "null");
		return;
	}
	put_literal(j, key, "\"");
	n = plain_length(value);
	mp_text_add(j->out, value, n);
	if (value[n])
		put_cleaned(j->out, value + n);
	mp_text_putc(j->out, '"');
}

void mp_json_u64(struct mp_json *j, const char *key, uint64_t value)
{
	if (value > INT64_MAX)
		put_literal(j, key, "null");
	else
		mp_json_int(j, key, (int64_t)value);
}

void mp_json_s64(struct mp_json *j, const char *key, int64_t value)
{
	if (value == MP_UNKNOWN_DELTA)
		put_literal(j, key, "null");
	else
		mp_json_int(j, key, value);
}

void mp_json_int(struct mp_json *j, const char *key, int64_t value)
{
	char buf[FIELD_LEN];
	char *p = begin(j, key, buf);

	if (value < 0)
		*p++ = '-';
	put(j, buf, append_u64(p, value < 0 ? -(uint64_t)value : (uint64_t)value));
}

void mp_json_hex(struct mp_json *j, const char *key, uint64_t value)
{
	int digits = value ? (67 - __builtin_clzll(value)) / 4 : 1;
	char buf[FIELD_LEN];
	char *p = stpcpy(begin(j, key, buf), "\"0x");

	for (int i = digits - 1; i >= 0; i--)
		*p++ = "0123456789abcdef"[value >> (4 * i) & 0xf];
	*p++ = '"';
	put(j, buf, p);
}

void mp_json_bool(struct mp_json *j, const char *key, bool value)
{
	put_literal(j, key, value ? "true" : "false");
}

void mp_json_pct(struct mp_json *j, const char *key, double value)
{
	char buf[FIELD_LEN];
	uint64_t hundredths;
	char *p;

	if (!(value >= 0)) {
		put_literal(j, key, "null");
		return;
	}
	hundredths = (uint64_t)(fmin(value, MP_JSON_MAX_PCT) * 100 + 0.5);
	p = append_u64(begin(j, key, buf), hundredths / 100);
	*p++ = '.';
	*p++ = (char)('0' + hundredths / 10 % 10);
	*p++ = (char)('0' + hundredths % 10);
	put(j, buf, p);
}

/*
 * The locale's decimal comma has no place here. Nor has a minus before 0, which readers drop: what
 * is added takes it away.
 */
static void put_formatted(struct mp_json *j, const char *key, const char *format, int digits,
			  double value)
{
	char buf[FIELD_LEN];
	char *p;

	if (!isfinite(value)) {
		put_literal(j, key, "null");
		return;
	}
	p = begin(j, key, buf);
	for (int n = snprintf(p, MAX_FORMATTED, format, digits, value + 0.0); n > 0; n--, p++) {
		if (*p == ',')
			*p = '.';
	}
	put(j, buf, p);
}

void mp_json_number(struct mp_json *j, const char *key, double value)
{
	put_formatted(j, key, "%.*g", 6, value);
}

void mp_json_fixed(struct mp_json *j, const char *key, double value, int decimals)
{
	if (fabs(value) >= 1e15)
		mp_json_number(j, key, value);
	else
		put_formatted(j, key, "%.*f", decimals, value);
}

void mp_json_seconds(struct mp_json *j, const char *key, uint64_t ns)
{
	mp_json_fixed(j, key, ns == MP_UNKNOWN ? (double)NAN : (double)ns / 1e9, 9);
}
