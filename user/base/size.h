/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes and durations as people write and read them. */
#ifndef MP_BASE_SIZE_H
#define MP_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define MP_HUMAN_LEN 32

/* "0 B", "1023 B", "1.00 KiB", "12.3 MiB", "123 GiB": three digits, binary units; unknown is "-".
 */
const char *mp_size_format(uint64_t bytes, char out[MP_HUMAN_LEN]);
/* The same with a sign; INT64_MIN is "-". */
const char *mp_size_format_delta(int64_t bytes, char out[MP_HUMAN_LEN]);
/* "980 ns", "12.3 us", "4.56 ms", "7.89 s", "2m03s", "1h02m": UINT64_MAX is "-". */
const char *mp_duration_format(uint64_t ns, char out[MP_HUMAN_LEN]);
/* "950", "12.3k", "4.56M" */
const char *mp_count_format(uint64_t n, char out[MP_HUMAN_LEN]);

/*
 * Parses "4096", "64K", "64KiB", "1.5G" (binary units; "KB" is taken as KiB).
 * Returns 0, -EINVAL (not a size) or -ERANGE (does not fit 64 bits).
 */
int mp_size_parse(const char *s, uint64_t *ret_bytes);
/* Parses "10" (seconds), "250ms", "1.5s", "2m", "1h". Returns 0, -EINVAL or -ERANGE. */
int mp_duration_parse(const char *s, uint64_t *ret_ns);
/* Whole decimal number with nothing behind it. Returns 0, -EINVAL or -ERANGE. */
int mp_number_parse(const char *s, uint64_t max, uint64_t *ret);

/*
 * Percent, with two decimals as it is written, so that a recording leads to the same
 * decisions; -1 when either is not known (UINT64_MAX) or there is no whole.
 */
double mp_percent(uint64_t part, uint64_t whole);

#endif
