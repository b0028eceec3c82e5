/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing JSON into a mp_text. Strings and keys are cleaned as mp_text_clean()
 * does: valid UTF-8 always comes out, and a backslash stands for an escape.
 */
#ifndef MP_REPORT_JSON_H
#define MP_REPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* Keeps track of commas only; nesting is the caller's. */
struct mp_json {
	struct mp_text *out;
	bool need_comma;
};

/* `key` is NULL inside arrays. A NULL string, MP_UNKNOWN and MP_UNKNOWN_DELTA become null. */
void mp_json_object(struct mp_json *j, const char *key); /* { */
void mp_json_object_end(struct mp_json *j);
void mp_json_array(struct mp_json *j, const char *key); /* [ */
void mp_json_array_end(struct mp_json *j);
void mp_json_string(struct mp_json *j, const char *key, const char *value);
/* Above INT64_MAX becomes null too: no size or count is, and readers have no such integer. */
void mp_json_u64(struct mp_json *j, const char *key, uint64_t value);
void mp_json_s64(struct mp_json *j, const char *key, int64_t value);
/* Any value, also the one that stands for unknown elsewhere. */
void mp_json_int(struct mp_json *j, const char *key, int64_t value);
/* "0x7f12ab": what is no quantity, or does not fit a signed integer. */
void mp_json_hex(struct mp_json *j, const char *key, uint64_t value);
void mp_json_bool(struct mp_json *j, const char *key, bool value);
/* Two decimals, at most MP_JSON_MAX_PCT; negative becomes null (percentages). */
#define MP_JSON_MAX_PCT 1e12
void mp_json_pct(struct mp_json *j, const char *key, double value);
/* Any finite number, six significant digits; what is not finite becomes null. */
void mp_json_number(struct mp_json *j, const char *key, double value);
/* The same with so many decimals, up to 9; beyond 1e15 six significant digits. */
void mp_json_fixed(struct mp_json *j, const char *key, double value, int decimals);
/* Seconds, to the nanosecond: what is read back is what was written. */
void mp_json_seconds(struct mp_json *j, const char *key, uint64_t ns);

#endif
