/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading JSON that this program has written, or that somebody says it has: each getter checks
 * its field's type and range. The first thing that is wrong is kept, with the field's name, and
 * the getters after it are harmless: a reader asks for the status once, at its end.
 */
#ifndef MP_REPORT_JSON_READ_H
#define MP_REPORT_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"

#define MP_READING_BLOCKS 8 /* arrays that one object can have */
#define MP_FIELDS_PATH 48

/* One text being read. Zero-initialized is empty; owns what the getters return. */
struct mp_reading {
	json_t *root;
	char *strings; /* one behind the other */
	size_t used;
	void *blocks[MP_READING_BLOCKS];
	size_t n_blocks;
	struct mp_error *err;
	int status; /* the first error, or 0 */
};

/* A JSON object being read; `json` is NULL for one that is absent. */
struct mp_fields {
	struct mp_reading *reading;
	const json_t *json;
	char path[MP_FIELDS_PATH]; /* what stands before its fields in messages, e.g. "evidence." */
};

/* What was read before goes. Returns 0, -EBADMSG with line and column, or -ENOMEM. */
int mp_reading_load(struct mp_reading *reading, const char *text, size_t len, struct mp_error *err);
void mp_reading_free(struct mp_reading *reading);
struct mp_fields mp_reading_root(struct mp_reading *reading);

int mp_reading_no_memory(struct mp_reading *reading);
/* Zeroed memory for an array; NULL (and the status) without. */
void *mp_reading_block(struct mp_reading *reading, size_t n, size_t size);
/* The string as it was before mp_text_clean(). */
char *mp_reading_string(struct mp_reading *reading, const char *s);

/* Up to `max` hexadecimal digits, in lower case. Returns their number. */
size_t mp_reading_hex(const char *s, size_t max, uint64_t *ret);

/* NULL: absent or null. */
json_t *mp_fields_value(const struct mp_fields *o, const char *key);
void mp_fields_bad(const struct mp_fields *o, const char *key, const char *what);
/* It is there, if only as null. */
void mp_fields_need(const struct mp_fields *o, const char *key);

/* Absent or null is what stands for unknown: MP_UNKNOWN, 0, MP_UNKNOWN_DELTA, -1, NULL … */
int64_t mp_fields_integer(const struct mp_fields *o, const char *key, int64_t min, int64_t max,
			  int64_t absent);
uint64_t mp_fields_u64(const struct mp_fields *o, const char *key);
uint32_t mp_fields_pid(const struct mp_fields *o, const char *key);
int mp_fields_int(const struct mp_fields *o, const char *key, int unknown);
int64_t mp_fields_s64(const struct mp_fields *o, const char *key);
double mp_fields_pct(const struct mp_fields *o, const char *key);
double mp_fields_number(const struct mp_fields *o, const char *key, double min, double max,
			double absent);
/* NAN: not known. */
#define MP_FIELDS_MAX_NUMBER 1e15
double mp_fields_any_number(const struct mp_fields *o, const char *key);
/* Nanoseconds of a time in seconds. The needed one is 0 when absent, and the status says so. */
uint64_t mp_fields_seconds(const struct mp_fields *o, const char *key);
uint64_t mp_fields_need_seconds(const struct mp_fields *o, const char *key);
bool mp_fields_bool(const struct mp_fields *o, const char *key);
char *mp_fields_string(const struct mp_fields *o, const char *key);
/* "" when absent, and the status says so. */
const char *mp_fields_need_string(const struct mp_fields *o, const char *key);
/* "2026-11-21T23:35:22.123456Z" */
uint64_t mp_fields_time(const struct mp_fields *o, const char *key);

/* A value by the name that `parse` knows. The optional one is the first value when absent. */
unsigned int mp_fields_name(const struct mp_fields *o, const char *key, int (*parse)(const char *));
unsigned int mp_fields_optional_name(const struct mp_fields *o, const char *key,
				     int (*parse)(const char *));

const json_t *mp_fields_array(const struct mp_fields *o, const char *key);
struct mp_fields mp_fields_object(const struct mp_fields *o, const char *key);
/* The object at `i` of the array `key`; an absent one when it is something else. */
struct mp_fields mp_fields_item(const struct mp_fields *o, const char *key, const json_t *array,
				size_t i);
const char *const *mp_fields_list(const struct mp_fields *o, const char *key, size_t *ret_n);

#endif
