/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_BASE_CLOCK_H
#define MP_BASE_CLOCK_H

#include <stdint.h>

#define MP_TIME_LEN 32

/* CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns(). */
uint64_t mp_clock_now_ns(void);
/* What to add to a monotonic time to get nanoseconds since 1970. */
int64_t mp_clock_realtime_offset_ns(void);
/* RFC 3339 in UTC with microseconds: "2026-11-21T23:35:22.123456Z". Cheap enough for every record.
 */
const char *mp_clock_format(uint64_t realtime_ns, char out[MP_TIME_LEN]);
/* The reverse, for years from 1970 to 2553: no zone but Z, up to nine decimals. Returns 0 or
 * -EINVAL. */
int mp_clock_parse(const char *text, uint64_t *ret_realtime_ns);

#endif
