// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/event.h"
#include "harness/stability.h"
#include "report/memory_report.h"

#define MB (1024ULL * 1024)
#define S 1000000000ULL
#define HOUR (3600 * S)

static const struct mp_pattern_stage stage = {.limit = 1000 * MB, .start = 50 * MB};

/* 40 s of patterns and three rests of 300 s. */
static struct mp_pattern_options options(void)
{
	return (struct mp_pattern_options){
		.step_bytes = 10 * MB,
		.interval_ns = S,
		.steps = 20,
		.target_pct = 70,
		.min_pct = 30,
		.max_pct = 70,
		.cycles = 3,
		.duration_ns = 5 * S,
		.margin_bytes = 100 * MB,
		.rest_ns = 300 * S,
	};
}

static struct mp_want at(const struct mp_pattern_options *o, uint64_t t)
{
	struct mp_want want = {.kind = 99};

	mp_pattern_stability.at(o, &stage, t, &want);
	return want;
}

static void test_a_day(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 24 * HOUR, &err), 0);
	assert_int_equal(o.rounds, 91); /* of 940 s */
	assert_int_equal(o.interval_ns, S);
	assert_int_equal(o.duration_ns, 5 * S);
	assert_true(o.rest_ns > 300 * S && o.rest_ns < 304 * S);
	assert_true(24 * HOUR - mp_pattern_stability.length(&o) < 1000);
	assert_int_equal(mp_stability_sample_ns(24 * HOUR), 24 * S);
	assert_int_equal(mp_stability_sample_ns(HOUR), S);
	assert_int_equal(mp_stability_sample_ns(72 * S), S / 10);
}

/* Rests give way first. */
static void test_a_short_run(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 72 * S, &err), 0);
	assert_int_equal(o.rounds, 1);
	assert_int_equal(o.interval_ns, S);
	assert_int_equal(o.rest_ns, 32 * S / 3);
}

/* Then steps and holds, so that rests keep a quarter. */
static void test_a_very_short_run(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 16 * S, &err), 0);
	assert_int_equal(o.rounds, 1);
	assert_int_equal(o.interval_ns, 3 * S / 10);
	assert_int_equal(o.duration_ns, 3 * S / 2);
	assert_int_equal(o.rest_ns, 4 * S / 3);
	assert_int_equal(at(&o, 6 * S).step, 1);
	assert_string_equal(at(&o, 6 * S).phase, "rest");
}

static void test_plans_that_cannot_be(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 1000, &err), -EINVAL);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_non_null(strstr(err.text, "too short"));
	o = options();
	o.rest_ns = S;
	assert_int_equal(mp_stability_plan(&o, 8000 * HOUR, &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than a report can hold"));
}

/* By a clock that is a number: what is wanted in each part of each round. */
static void test_parts_follow_each_other(void **state)
{
	static const struct {
		unsigned int second, part;
		const char *phase;
	} parts[] = {
		{0, 0, "step"},	       {19, 0, "step"},	 {20, 1, "rest"},  {319, 1, "rest"},
		{320, 2, "hold"},      {324, 2, "hold"}, {325, 3, "rest"}, {625, 4, "ramp up"},
		{637, 4, "ramp down"}, {640, 5, "rest"}, {939, 5, "rest"},
	};
	struct mp_pattern_options o = options();
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 2 * 940 * S, &err), 0);
	assert_int_equal(o.rest_ns, 300 * S);
	for (unsigned int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MP_ARRAY_SIZE(parts); i++) {
			uint64_t t = (round * 940 + parts[i].second) * S + S / 10;

			if (strcmp(parts[i].phase, "ramp down") == 0)
				t += S / 2;
			assert_string_equal(at(&o, t).phase, parts[i].phase);
			assert_int_equal(mp_stability_parts_done(&o, t),
					 round * MP_STABILITY_PARTS + parts[i].part);
		}
	}
	assert_int_equal(at(&o, 1880 * S - 1).kind, MP_WANT_FILLER);
	assert_int_equal(at(&o, 1880 * S - 1).bytes, 0);
	assert_int_equal(at(&o, 1880 * S).kind, MP_WANT_DONE);
	assert_int_equal(mp_stability_parts_done(&o, 1880 * S), 12);
	assert_int_equal(mp_stability_parts_done(&o, UINT64_MAX), 12);
}

/* Times of the next change are those of the whole run. */
static void test_next_is_of_the_run(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err;
	uint64_t t = 0;
	unsigned int changes = 0;

	(void)state;
	assert_int_equal(mp_stability_plan(&o, 1880 * S, &err), 0);
	while (at(&o, t).kind != MP_WANT_DONE) {
		struct mp_want want = at(&o, t);
		uint64_t next = want.next_ns == UINT64_MAX ? t + S / 4 : want.next_ns;

		assert_true(next > t);
		if (want.next_ns != UINT64_MAX) {
			assert_int_equal(at(&o, next - 1).step, want.step);
			assert_ptr_equal(at(&o, next - 1).phase, want.phase);
		}
		t = next;
		changes++;
	}
	assert_int_equal(t, 1880 * S);
	assert_int_equal(changes, 2 * (20 + 1 + 15 * 4 + 3));
}

static void test_check_names_what_does_not_fit(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_pattern_stability.check(&o, &stage, &err), 0);
	o.target_pct = 95;
	assert_int_equal(mp_pattern_stability.check(&o, &stage, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--target 95"));
	o = options();
	o.min_pct = 80;
	assert_int_equal(mp_pattern_stability.check(&o, &stage, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--min 80"));
}

/* --- leaks ----------------------------------------------------------------------------- */

#define N 200

/* A second apart: `rate` bytes a second on top of `base`, up and down by `noise`. */
static void fill(struct mp_memory_sample *samples, uint64_t base, int64_t rate, uint64_t noise)
{
	uint64_t random = 12345;

	for (uint64_t i = 0; i < N; i++) {
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		samples[i] = (struct mp_memory_sample){
			.t_ns = i * S,
			.target_rss = base + (uint64_t)((int64_t)i * rate) +
				      (noise ? (random >> 33) % noise : 0),
			.filler = 64 * MB,
			.filler_rss = 65 * MB,
			.monitor_rss = 4 * MB,
			.watcher_rss = MP_UNKNOWN,
		};
	}
}

static unsigned int find(struct mp_memory_sample *samples, size_t n, struct mp_memory_report *r,
			 char what[512])
{
	*r = (struct mp_memory_report){
		.command = "server", .samples = samples, .n_samples = n, .duration_ns = n * S};
	return mp_memory_report_find_leaks(r, what, 512);
}

static void test_a_leak(void **state)
{
	struct mp_memory_sample samples[N];
	struct mp_memory_report r;
	char what[512];

	(void)state;
	fill(samples, 100 * MB, 100000, MB);
	assert_int_equal(find(samples, N, &r, what), 1);
	assert_non_null(strstr(what, "server leaks "));
	assert_non_null(strstr(what, " an hour (95 %: "));
	assert_true(r.leak.target.low > 95000 && r.leak.target.high < 105000);
	assert_true(r.leak.filler_known && r.leak.filler.per_second == 0);
	assert_true(r.leak.monitor_known && r.leak.monitor.high == 0);
}

static void test_no_leak(void **state)
{
	struct mp_memory_sample samples[N];
	struct mp_memory_report r;
	char what[512];

	(void)state;
	/* Noise alone: the interval has zero in it. */
	fill(samples, 100 * MB, 0, 20 * MB);
	assert_int_equal(find(samples, N, &r, what), 0);
	assert_string_equal(what, "");
	assert_true(r.leak.target.low <= 0 && r.leak.target.high >= 0);
	/* Certain, and too little to matter: 1.9 MB. */
	fill(samples, 10 * MB, 10000, 0);
	assert_int_equal(find(samples, N, &r, what), 0);
	assert_true(r.leak.target.low > 9999);
	/* 4 MB of 400 MB. */
	fill(samples, 400 * MB, 21000, 0);
	assert_int_equal(find(samples, N, &r, what), 0);
	/* It shrinks. */
	fill(samples, 400 * MB, -1000000, 0);
	assert_int_equal(find(samples, N, &r, what), 0);
}

static void test_who_is_not_known(void **state)
{
	struct mp_memory_sample samples[N];
	struct mp_memory_report r;
	char what[512];

	(void)state;
	fill(samples, 0, MB, 0);
	for (size_t i = 0; i < N; i++)
		samples[i].target_rss = MP_UNKNOWN;
	assert_int_equal(find(samples, N, &r, what), 0);
	assert_false(r.leak.target_known);
	fill(samples, 0, MB, 0);
	assert_int_equal(find(samples, 7, &r, what), 0); /* too few to tell */
	assert_int_equal(find(samples, 0, &r, what), 0);
}

static void test_the_filler_and_the_monitor(void **state)
{
	struct mp_memory_sample samples[N];
	struct mp_memory_report r;
	char what[512];

	(void)state;
	fill(samples, 10 * MB, 0, 0);
	for (size_t i = 0; i < N; i++) {
		samples[i].filler = (i % 7) * 10 * MB; /* what it is told to hold is no leak */
		samples[i].filler_rss = samples[i].filler + MB + i * 50000;
		samples[i].watcher_rss = 10 * MB + i * 100000;
	}
	assert_int_equal(find(samples, N, &r, what), 2);
	assert_non_null(strstr(what, "the filler leaks "));
	assert_non_null(strstr(what, "; the monitor leaks "));
	assert_true(r.leak.filler.per_second == 50000);
	assert_true(r.leak.monitor.per_second == 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_day),
		cmocka_unit_test(test_a_short_run),
		cmocka_unit_test(test_a_very_short_run),
		cmocka_unit_test(test_plans_that_cannot_be),
		cmocka_unit_test(test_parts_follow_each_other),
		cmocka_unit_test(test_next_is_of_the_run),
		cmocka_unit_test(test_check_names_what_does_not_fit),
		cmocka_unit_test(test_a_leak),
		cmocka_unit_test(test_no_leak),
		cmocka_unit_test(test_who_is_not_known),
		cmocka_unit_test(test_the_filler_and_the_monitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
