// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "state/histogram.h"

static void known_buckets(void **state)
{
	(void)state;
	assert_int_equal(mp_hist_bucket(0), 0);
	assert_int_equal(mp_hist_bucket(3), 3);
	assert_int_equal(mp_hist_bucket(4), 4);
	assert_int_equal(mp_hist_bucket(7), 7);
	assert_int_equal(mp_hist_bucket(8), 8);
	assert_int_equal(mp_hist_bucket(9), 8);
	assert_int_equal(mp_hist_bucket(10), 9);
	assert_int_equal(mp_hist_bucket(1000), 35);
	assert_int_equal(mp_hist_bucket(1000000), 75);
	assert_int_equal(mp_hist_bucket(UINT64_MAX), MP_HIST_BUCKETS - 1);
	assert_int_equal(mp_hist_lower_ns(8), 8);
	assert_int_equal(mp_hist_lower_ns(35), 896);
	assert_int_equal(mp_hist_lower_ns(75), 917504);
}

/* At every boundary: the bucket starts there, the one before ends there, none is skipped. */
static void buckets_are_contiguous(void **state)
{
	(void)state;
	assert_int_equal(mp_hist_lower_ns(0), 0);
	for (unsigned int i = 1; i < MP_HIST_BUCKETS; i++) {
		uint64_t lower = mp_hist_lower_ns(i);

		assert_true(lower > mp_hist_lower_ns(i - 1));
		assert_int_equal(mp_hist_bucket(lower), i);
		assert_int_equal(mp_hist_bucket(lower - 1), i - 1);
	}
}

static void width_is_a_quarter_of_the_octave(void **state)
{
	(void)state;
	for (unsigned int i = MP_HIST_SUB; i + 1 < MP_HIST_BUCKETS; i++) {
		uint64_t lower = mp_hist_lower_ns(i);
		uint64_t width = mp_hist_lower_ns(i + 1) - lower;

		assert_true(width * MP_HIST_SUB <= lower);
	}
}

static void quantile_of_nothing_is_unknown(void **state)
{
	const __u64 none[MP_HIST_BUCKETS] = {0};

	(void)state;
	assert_true(mp_hist_quantile(none, 0.5, 0) == MP_UNKNOWN);
	assert_true(mp_hist_quantile(none, 1, 1000) == MP_UNKNOWN);
}

static void short_durations_are_exact(void **state)
{
	(void)state;
	for (uint64_t ns = 0; ns < 8; ns++) {
		__u64 buckets[MP_HIST_BUCKETS] = {0};

		buckets[mp_hist_bucket(ns)] = 5;
		assert_int_equal(mp_hist_quantile(buckets, 0.01, ns), ns);
		assert_int_equal(mp_hist_quantile(buckets, 0.5, ns), ns);
		assert_int_equal(mp_hist_quantile(buckets, 1, ns), ns);
	}
}

static void quantile_picks_the_right_rank(void **state)
{
	__u64 buckets[MP_HIST_BUCKETS] = {0};

	(void)state;
	buckets[1] = 98;
	buckets[5] = 1;
	buckets[6] = 1;
	assert_int_equal(mp_hist_quantile(buckets, 0.5, 6), 1);
	assert_int_equal(mp_hist_quantile(buckets, 0.98, 6), 1);
	assert_int_equal(mp_hist_quantile(buckets, 0.99, 6), 5);
	assert_int_equal(mp_hist_quantile(buckets, 0.991, 6), 6);
	assert_int_equal(mp_hist_quantile(buckets, 1, 6), 6);
	assert_int_equal(mp_hist_quantile(buckets, 1e-9, 6), 1);
}

static void quantile_stays_below_the_maximum(void **state)
{
	__u64 buckets[MP_HIST_BUCKETS] = {0};

	(void)state;
	buckets[mp_hist_bucket(1000)] = 1000;
	assert_in_range(mp_hist_quantile(buckets, 0.5, 1000), 896, 1000);
	assert_in_range(mp_hist_quantile(buckets, 1, 1000), 999, 1000);
	/* The maximum of another CPU was not yet there when it was summed. */
	assert_int_equal(mp_hist_quantile(buckets, 0.99, 10), 10);
	/* No maximum known. */
	assert_in_range(mp_hist_quantile(buckets, 1, MP_UNKNOWN), 896, 1023);
	memset(buckets, 0, sizeof(buckets));
	buckets[MP_HIST_BUCKETS - 1] = 3;
	assert_true(mp_hist_quantile(buckets, 1, UINT64_MAX - 1) <= UINT64_MAX - 1);
}

/* Against the exact quantile of values that fill many octaves, evenly and in clumps. */
static void error_is_bounded(void **state)
{
	enum { N = 5000 };
	__u64 buckets[MP_HIST_BUCKETS] = {0};
	uint64_t values[N];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		values[i] = 8 + i * i * i / 7 + (i % 3 ? 0 : 1);
		buckets[mp_hist_bucket(values[i])]++;
	}
	for (unsigned int pct = 1; pct <= 100; pct++) {
		double q = pct / 100.0;
		double exact = (double)values[(size_t)ceil(q * N) - 1];
		double got = (double)mp_hist_quantile(buckets, q, values[N - 1]);

		assert_true(fabs(got - exact) < exact / MP_HIST_SUB);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_buckets),
		cmocka_unit_test(buckets_are_contiguous),
		cmocka_unit_test(width_is_a_quarter_of_the_octave),
		cmocka_unit_test(quantile_of_nothing_is_unknown),
		cmocka_unit_test(short_durations_are_exact),
		cmocka_unit_test(quantile_picks_the_right_rank),
		cmocka_unit_test(quantile_stays_below_the_maximum),
		cmocka_unit_test(error_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
