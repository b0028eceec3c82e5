// SPDX-License-Identifier: GPL-2.0-only
#include "state/histogram.h"

#include <math.h>

unsigned int mp_hist_bucket(uint64_t ns)
{
	unsigned int octave;
	unsigned int sub;
	unsigned int bucket;

	if (ns < MP_HIST_SUB)
		return (unsigned int)ns;
	octave = 63 - (unsigned int)__builtin_clzll(ns);
	sub = (unsigned int)(ns >> (octave - MP_HIST_SUB_BITS)) & (MP_HIST_SUB - 1);
	bucket = (octave - MP_HIST_SUB_BITS + 1) * MP_HIST_SUB + sub;
	return bucket < MP_HIST_BUCKETS ? bucket : MP_HIST_BUCKETS - 1;
}

uint64_t mp_hist_lower_ns(unsigned int bucket)
{
	unsigned int group = bucket / MP_HIST_SUB;
	uint64_t sub = bucket % MP_HIST_SUB;

	if (group == 0)
		return sub;
	return (MP_HIST_SUB + sub) << (group - 1);
}

/* Largest duration that a bucket can hold. */
static uint64_t upper_ns(unsigned int bucket, uint64_t max_ns)
{
	uint64_t upper;

	if (bucket == MP_HIST_BUCKETS - 1)
		return max_ns;
	upper = mp_hist_lower_ns(bucket + 1) - 1;
	return upper < max_ns ? upper : max_ns;
}

/* Where the `rank`-th of `n` durations that are spread evenly over a bucket lies. */
static uint64_t interpolate(unsigned int bucket, uint64_t rank, uint64_t n, uint64_t max_ns)
{
	uint64_t lower = mp_hist_lower_ns(bucket);
	uint64_t upper = upper_ns(bucket, max_ns);
	double part = ((double)rank - 0.5) / (double)n;

	/* A record that is being counted may be in the histogram and not yet in the maximum. */
	if (upper <= lower)
		return upper;
	return lower + (uint64_t)((double)(upper - lower) * part);
}

uint64_t mp_hist_quantile(const __u64 buckets[MP_HIST_BUCKETS], double q, uint64_t max_ns)
{
	uint64_t total = 0;
	uint64_t seen = 0;
	uint64_t rank;

	for (unsigned int i = 0; i < MP_HIST_BUCKETS; i++)
		total += buckets[i];
	if (total == 0)
		return MP_UNKNOWN;
	rank = (uint64_t)ceil(q * (double)total);
	rank = rank < 1 ? 1 : rank > total ? total : rank;
	for (unsigned int i = 0; i < MP_HIST_BUCKETS; i++) {
		if (rank <= seen + buckets[i])
			return interpolate(i, rank - seen, buckets[i], max_ns);
		seen += buckets[i];
	}
	return max_ns;
}
