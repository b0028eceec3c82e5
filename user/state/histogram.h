/* SPDX-License-Identifier: GPL-2.0-only */
/* The duration histogram that the kernel side fills: MP_HIST_SUB steps in each power of two. */
#ifndef MP_STATE_HISTOGRAM_H
#define MP_STATE_HISTOGRAM_H

#include <stdint.h>

#include "abi.h"

/* Bucket of a duration; the same arithmetic as in bpf/. */
unsigned int mp_hist_bucket(uint64_t ns);
/* Smallest duration that falls into a bucket, ns. */
uint64_t mp_hist_lower_ns(unsigned int bucket);
/*
 * The q-quantile (0 < q <= 1) by linear interpolation inside its bucket, never
 * above `max_ns`; relative error at most 1/(2*MP_HIST_SUB). MP_UNKNOWN when empty.
 */
uint64_t mp_hist_quantile(const __u64 buckets[MP_HIST_BUCKETS], double q, uint64_t max_ns);

#endif
