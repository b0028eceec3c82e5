// SPDX-License-Identifier: GPL-2.0-only
#include "report/json_read.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"

#define MAX_SECONDS 1e9

void mp_reading_free(struct mp_reading *r)
{
	json_decref(r->root);
	free(r->strings);
	while (r->n_blocks)
		free(r->blocks[--r->n_blocks]);
	*r = (struct mp_reading){0};
}

int mp_reading_load(struct mp_reading *r, const char *text, size_t len, struct mp_error *err)
{
	json_error_t error;

	mp_reading_free(r);
	r->err = err;
	r->strings = malloc(len + 1);
	if (!r->strings)
		return mp_reading_no_memory(r);
	r->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(r->root))
		return 0;
	if (r->root)
		return r->status =
			       mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "column 1: not a JSON object");
	if (error.line > 1)
		return r->status = mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "line %d, column %d: %s",
					   error.line, error.column, error.text);
	return r->status = mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "column %d: %s", error.column,
				   error.text);
}

struct mp_fields mp_reading_root(struct mp_reading *r)
{
	return (struct mp_fields){.reading = r, .json = r->root};
}

int mp_reading_no_memory(struct mp_reading *r)
{
	r->status = mp_fail(r->err, MP_EXIT_OOM, ENOMEM, "no memory for a record");
	return r->status;
}

void *mp_reading_block(struct mp_reading *r, size_t n, size_t size)
{
	void *block = r->n_blocks < MP_READING_BLOCKS ? calloc(n ? n : 1, size) : NULL;

	if (block)
		r->blocks[r->n_blocks++] = block;
	else
		mp_reading_no_memory(r);
	return block;
}

/* --- strings: the reverse of mp_text_clean() --------------------------------- */

static size_t put_utf8(uint32_t cp, char *out)
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (char)(lead[n] | cp);
	return n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t mp_reading_hex(const char *s, size_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; n < max && hex_digit(s[n]) >= 0; n++)
		value = value << 4 | (uint64_t)hex_digit(s[n]);
	*ret = value;
	return n;
}

/*
 * \xHH. mp_text_clean() writes a stray byte 0x85 and the control character
 * U+0085 alike: as the character it can never complete the bytes before it.
 */
static size_t unescape_byte(const char *s, char *out, size_t *ret_len)
{
	uint64_t value;

	if (mp_reading_hex(s + 2, 2, &value) != 2 || value == 0)
		return 0;
	if ((value >= 0x80 && value < 0xa0) || value == 0xad) {
		*ret_len = put_utf8((uint32_t)value, out);
	} else {
		out[0] = (char)value;
		*ret_len = 1;
	}
	return 4;
}

/* \u{HHHH} */
static size_t unescape_codepoint(const char *s, char *out, size_t *ret_len)
{
	uint64_t cp;
	size_t digits;

	if (s[2] != '{')
		return 0;
	digits = mp_reading_hex(s + 3, 6, &cp);
	if (digits == 0 || s[3 + digits] != '}')
		return 0;
	if (cp == 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0;
	*ret_len = put_utf8((uint32_t)cp, out);
	return digits + 4;
}

/* Length of the escape at `s`, and what it stands for; 0: none, the backslash is its own. */
static size_t unescape_one(const char *s, char *out, size_t *ret_len)
{
	static const char names[] = "ntre\\";
	static const char values[] = "\n\t\r\033\\";
	const char *name;

	if (s[1] == 'x')
		return unescape_byte(s, out, ret_len);
	if (s[1] == 'u')
		return unescape_codepoint(s, out, ret_len);
	name = s[1] ? strchr(names, s[1]) : NULL;
	if (!name)
		return 0;
	out[0] = values[name - names];
	*ret_len = 1;
	return 2;
}

/* What is unescaped is never longer, and a string's quotes make room for its NUL. */
char *mp_reading_string(struct mp_reading *r, const char *s)
{
	char *start = r->strings + r->used;
	char *out = start;

	while (*s) {
		size_t len;
		size_t n = *s == '\\' ? unescape_one(s, out, &len) : 0;

		if (n == 0) {
			*out = *s;
			n = len = 1;
		}
		out += len;
		s += n;
	}
	*out++ = '\0';
	r->used += (size_t)(out - start);
	return start;
}

/* --- fields: each checks its type --------------------------------------------- */

void mp_fields_bad(const struct mp_fields *o, const char *key, const char *what)
{
	struct mp_reading *r = o->reading;

	if (!r->status)
		r->status = mp_fail(r->err, MP_EXIT_CONFIG, EBADMSG, "field \"%s%s\" %s", o->path,
				    key, what);
}

void mp_fields_need(const struct mp_fields *o, const char *key)
{
	if (o->json && !json_object_get(o->json, key))
		mp_fields_bad(o, key, "is missing");
}

json_t *mp_fields_value(const struct mp_fields *o, const char *key)
{
	json_t *value = json_object_get(o->json, key);

	return json_is_null(value) ? NULL : value;
}

int64_t mp_fields_integer(const struct mp_fields *o, const char *key, int64_t min, int64_t max,
			  int64_t absent)
{
	const json_t *value = mp_fields_value(o, key);
	json_int_t n;

	if (!value)
		return absent;
	n = json_integer_value(value);
	if (json_is_integer(value) && n >= min && n <= max)
		return n;
	mp_fields_bad(o, key,
		      min < 0 ? "is not an integer in its range"
			      : "is not an unsigned integer in its range");
	return absent;
}

uint64_t mp_fields_u64(const struct mp_fields *o, const char *key)
{
	int64_t value = mp_fields_integer(o, key, 0, INT64_MAX, -1);

	return value < 0 ? MP_UNKNOWN : (uint64_t)value;
}

uint32_t mp_fields_pid(const struct mp_fields *o, const char *key)
{
	return (uint32_t)mp_fields_integer(o, key, 0, UINT32_MAX, 0);
}

int mp_fields_int(const struct mp_fields *o, const char *key, int unknown)
{
	return (int)mp_fields_integer(o, key, INT_MIN, INT_MAX, unknown);
}

int64_t mp_fields_s64(const struct mp_fields *o, const char *key)
{
	return mp_fields_integer(o, key, INT64_MIN, INT64_MAX, MP_UNKNOWN_DELTA);
}

double mp_fields_pct(const struct mp_fields *o, const char *key)
{
	const json_t *value = mp_fields_value(o, key);

	if (!value)
		return -1;
	if (json_is_number(value))
		return json_number_value(value);
	mp_fields_bad(o, key, "is not a number");
	return -1;
}

bool mp_fields_bool(const struct mp_fields *o, const char *key)
{
	const json_t *value = mp_fields_value(o, key);

	if (value && !json_is_boolean(value))
		mp_fields_bad(o, key, "is not true or false");
	return json_is_true(value);
}

char *mp_fields_string(const struct mp_fields *o, const char *key)
{
	const json_t *value = mp_fields_value(o, key);

	if (!value)
		return NULL;
	if (json_is_string(value))
		return mp_reading_string(o->reading, json_string_value(value));
	mp_fields_bad(o, key, "is not a string");
	return NULL;
}

unsigned int mp_fields_optional_name(const struct mp_fields *o, const char *key,
				     int (*parse)(const char *))
{
	const json_t *value = mp_fields_value(o, key);
	int n;

	if (!value)
		return 0;
	n = json_is_string(value) ? parse(json_string_value(value)) : -ENOENT;
	if (n < 0)
		mp_fields_bad(o, key, "is not one of its names");
	return n < 0 ? 0 : (unsigned int)n;
}

unsigned int mp_fields_name(const struct mp_fields *o, const char *key, int (*parse)(const char *))
{
	if (!mp_fields_value(o, key))
		mp_fields_bad(o, key, "is missing");
	return mp_fields_optional_name(o, key, parse);
}

const json_t *mp_fields_array(const struct mp_fields *o, const char *key)
{
	const json_t *value = mp_fields_value(o, key);

	if (value && !json_is_array(value))
		mp_fields_bad(o, key, "is not an array");
	return json_is_array(value) ? value : NULL;
}

struct mp_fields mp_fields_object(const struct mp_fields *o, const char *key)
{
	struct mp_fields inner = {.reading = o->reading, .json = mp_fields_value(o, key)};

	if (inner.json && !json_is_object(inner.json)) {
		mp_fields_bad(o, key, "is not an object");
		inner.json = NULL;
	}
	snprintf(inner.path, sizeof(inner.path), "%.24s%.20s.", o->path, key);
	return inner;
}

struct mp_fields mp_fields_item(const struct mp_fields *o, const char *key, const json_t *array,
				size_t i)
{
	struct mp_fields item = {.reading = o->reading, .json = json_array_get(array, i)};

	if (!json_is_object(item.json)) {
		mp_fields_bad(o, key, "holds something else than objects");
		item.json = NULL;
	}
	snprintf(item.path, sizeof(item.path), "%.20s[%zu].", key, i);
	return item;
}

const char *const *mp_fields_list(const struct mp_fields *o, const char *key, size_t *ret_n)
{
	const json_t *array = mp_fields_array(o, key);
	size_t n = json_array_size(array);
	const char **items;

	if (n == 0)
		return NULL;
	items = mp_reading_block(o->reading, n, sizeof(*items));
	if (!items)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(array, i);

		if (!json_is_string(value)) {
			mp_fields_bad(o, key, "holds something else than strings");
			return NULL;
		}
		items[i] = mp_reading_string(o->reading, json_string_value(value));
	}
	*ret_n = n;
	return items;
}

double mp_fields_number(const struct mp_fields *o, const char *key, double min, double max,
			double absent)
{
	const json_t *value = mp_fields_value(o, key);
	double number = json_number_value(value);

	if (!value)
		return absent;
	if (json_is_number(value) && isfinite(number) && number >= min && number <= max)
		return number;
	mp_fields_bad(o, key, "is not a number in its range");
	return absent;
}

double mp_fields_any_number(const struct mp_fields *o, const char *key)
{
	return mp_fields_number(o, key, -MP_FIELDS_MAX_NUMBER, MP_FIELDS_MAX_NUMBER, (double)NAN);
}

uint64_t mp_fields_seconds(const struct mp_fields *o, const char *key)
{
	double value = mp_fields_number(o, key, 0, MAX_SECONDS, -1);

	return value < 0 ? MP_UNKNOWN : (uint64_t)llround(value * 1e9);
}

uint64_t mp_fields_need_seconds(const struct mp_fields *o, const char *key)
{
	uint64_t ns = mp_fields_seconds(o, key);

	if (ns != MP_UNKNOWN)
		return ns;
	mp_fields_bad(o, key, "is missing");
	return 0;
}

const char *mp_fields_need_string(const struct mp_fields *o, const char *key)
{
	const char *value = mp_fields_string(o, key);

	if (value)
		return value;
	mp_fields_bad(o, key, "is missing");
	return "";
}

uint64_t mp_fields_time(const struct mp_fields *o, const char *key)
{
	const char *text = mp_fields_string(o, key);
	uint64_t realtime_ns = MP_UNKNOWN;

	if (text && mp_clock_parse(text, &realtime_ns) < 0)
		mp_fields_bad(o, key, "is not a time like 2026-11-21T23:35:22.123456Z");
	return realtime_ns;
}
