// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "state/trend.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static void test_line_without_noise(void **state)
{
	double t[20], y[20];
	struct mp_series s = {.t = t, .y = y, .n = 20};
	struct mp_slope slope;

	(void)state;
	for (int i = 0; i < 20; i++) {
		t[i] = i * 0.5;
		y[i] = 100 + 3 * t[i];
	}
	assert_int_equal(mp_trend_slope(&s, &slope), 0);
	NEAR(slope.per_second, 3);
	NEAR(slope.low, 3);
	NEAR(slope.high, 3);
	NEAR(slope.intercept, 100);
	assert_int_equal(mp_trend_of(&s, 1), MP_TREND_INCREASING);
	assert_int_equal(mp_trend_of(&s, 100), MP_TREND_STABLE);
	for (int i = 0; i < 20; i++)
		y[i] = -y[i];
	assert_int_equal(mp_trend_of(&s, 1), MP_TREND_DECREASING);
}

/* Worked by hand: Gilbert (1987), example 16.4's method, on ten values at whole times. */
static void test_ranks_of_the_interval(void **state)
{
	static const double t[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	static const double y[] = {10, 12, 11, 15, 13, 18, 14, 20, 19, 17};
	struct mp_series s = {.t = t, .y = y, .n = 10};
	double slopes[45];
	struct mp_slope slope;
	size_t n = 0, below = 0, above = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		for (int j = i + 1; j < 10; j++)
			slopes[n++] = (y[j] - y[i]) / (t[j] - t[i]);
	}
	assert_int_equal(mp_trend_slope(&s, &slope), 0);
	for (size_t i = 0; i < n; i++) {
		below += slopes[i] < slope.low;
		above += slopes[i] > slope.high;
	}
	/* 1.96 sqrt(10 * 9 * 25 / 18) = 21.9: 11.6 slopes lie beyond each end. */
	assert_in_range(below, 10, 12);
	assert_in_range(above, 10, 12);
	assert_true(slope.low > 0 && slope.low < slope.per_second);
	assert_true(slope.per_second < slope.high);
}

static void test_outliers_do_not_move_it(void **state)
{
	double t[100], y[100];
	struct mp_series s = {.t = t, .y = y, .n = 100};
	struct mp_slope slope;

	(void)state;
	for (int i = 0; i < 100; i++) {
		t[i] = i;
		y[i] = i % 10 == 0 ? 1e9 : 5;
	}
	assert_int_equal(mp_trend_slope(&s, &slope), 0);
	NEAR(slope.per_second, 0);
	assert_int_equal(mp_trend_of(&s, 0), MP_TREND_STABLE);
}

static void test_too_few_and_too_many(void **state)
{
	static double t[5000], y[5000];
	struct mp_series s = {.t = t, .y = y, .n = 7};
	struct mp_slope slope = {.per_second = 42};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		t[i] = i;
		y[i] = 2 * i;
	}
	assert_int_equal(mp_trend_slope(&s, &slope), -EAGAIN);
	NEAR(slope.per_second, 42);
	assert_int_equal(mp_trend_of(&s, 0), MP_TREND_UNKNOWN);
	s.n = 5000;
	assert_int_equal(mp_trend_slope(&s, &slope), 0);
	NEAR(slope.per_second, 2);
	for (int i = 0; i < 5000; i++)
		t[i] = 1;
	assert_int_equal(mp_trend_slope(&s, &slope), -EAGAIN);
}

static void test_equal_values(void **state)
{
	double t[12], y[12];
	struct mp_series s = {.t = t, .y = y, .n = 12};
	struct mp_slope slope;

	(void)state;
	for (int i = 0; i < 12; i++) {
		t[i] = i;
		y[i] = 7;
	}
	assert_int_equal(mp_trend_slope(&s, &slope), 0);
	NEAR(slope.low, 0);
	NEAR(slope.high, 0);
	assert_string_equal(mp_trend_name(mp_trend_of(&s, 0)), "stable");
}

static void test_stats(void **state)
{
	static const double t[] = {0, 1, 2, 3};
	static const double y[] = {10, 14, 12, 20};
	struct mp_series s = {.t = t, .y = y, .n = 4};
	struct mp_series_stats stats;

	(void)state;
	assert_int_equal(mp_series_stats(&s, &stats), 0);
	NEAR(stats.avg, 14);
	NEAR(stats.min, 10);
	NEAR(stats.max, 20);
	NEAR(stats.volatility, 14.0 / 3);
	s.n = 1;
	assert_int_equal(mp_series_stats(&s, &stats), 0);
	NEAR(stats.volatility, 0);
	s.n = 0;
	assert_int_equal(mp_series_stats(&s, &stats), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_without_noise),
		cmocka_unit_test(test_ranks_of_the_interval),
		cmocka_unit_test(test_outliers_do_not_move_it),
		cmocka_unit_test(test_too_few_and_too_many),
		cmocka_unit_test(test_equal_values),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
