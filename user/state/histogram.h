/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The duration histogram that the kernel side fills: MP_HIST_SUB steps in each power of two.
 *
 *   ns < MP_HIST_SUB:  bucket = ns
 *   else:              o = floor(log2(ns)), sub = the MP_HIST_SUB_BITS bits below the highest
 *                      bucket = (o - MP_HIST_SUB_BITS + 1) * MP_HIST_SUB + sub
 *
 * so 0..7 ns have a bucket each, 8..9 share one, and so on without a gap: 2^o starts a group
 * of MP_HIST_SUB buckets of 2^o / MP_HIST_SUB ns each. The last bucket takes all that is longer.
 */
#ifndef MP_STATE_HISTOGRAM_H
#define MP_STATE_HISTOGRAM_H

#include <stdint.h>

#include "abi.h"

/* Bucket of a duration; the same arithmetic as in bpf/. */
unsigned int mp_hist_bucket(uint64_t ns);
/* Smallest duration that falls into a bucket (0 .. MP_HIST_BUCKETS - 1), ns. */
uint64_t mp_hist_lower_ns(unsigned int bucket);
/*
 * The q-quantile (0 < q <= 1) by linear interpolation inside its bucket, never
 * above `max_ns`. Durations up to 7 ns are exact; above, the answer lies in the
 * bucket of the true one, so the relative error is below 1/MP_HIST_SUB (except
 * in the last bucket, which only max_ns closes). MP_UNKNOWN when empty.
 */
uint64_t mp_hist_quantile(const __u64 buckets[MP_HIST_BUCKETS], double q, uint64_t max_ns);

#endif
