// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "harness/controller.h"
#include "harness/pattern.h"
#include "harness/patterns.h"

#define MB (1024ULL * 1024)
#define S 1000000000ULL

static const struct mp_pattern_stage stage = {.limit = 1000 * MB, .start = 50 * MB};

static struct mp_pattern_options options(void)
{
	return (struct mp_pattern_options){
		.step_bytes = 100 * MB,
		.interval_ns = S,
		.steps = 20,
		.target_pct = 70,
		.min_pct = 30,
		.max_pct = 70,
		.cycles = 3,
		.duration_ns = 5 * S,
		.margin_bytes = 100 * MB,
	};
}

static struct mp_want at(const char *name, const struct mp_pattern_options *o, uint64_t t)
{
	struct mp_want want = {.kind = 99};

	mp_pattern_find(name)->at(o, &stage, t, &want);
	return want;
}

static void test_staircase_steps_are_on_time(void **state)
{
	struct mp_pattern_options o = options();

	(void)state;
	for (unsigned int step = 0; step < 8; step++) {
		struct mp_want begin = at("staircase", &o, step * S);
		struct mp_want end = at("staircase", &o, (step + 1) * S - 1);

		assert_int_equal(begin.kind, MP_WANT_FILLER);
		assert_int_equal(begin.bytes, (step + 1) * 100 * MB);
		assert_int_equal(end.bytes, begin.bytes);
		assert_int_equal(begin.step, step);
		assert_int_equal(begin.next_ns, (step + 1) * S);
	}
	assert_int_equal(at("staircase", &o, 20 * S - 1).kind, MP_WANT_FILLER);
	assert_int_equal(at("staircase", &o, 20 * S).kind, MP_WANT_DONE);
	assert_int_equal(mp_pattern_find("staircase")->length(&o), 20 * S);
}

static void test_staircase_stays_below_the_ceiling(void **state)
{
	struct mp_pattern_options o = options();

	(void)state;
	/* 1000 less the margin of 100 and the 50 that are in use. */
	assert_int_equal(at("staircase", &o, 8 * S).bytes, 850 * MB);
	assert_int_equal(at("staircase", &o, 19 * S).bytes, 850 * MB);
	o.step_bytes = 1;
	o.interval_ns = 1;
	o.steps = UINT32_MAX;
	assert_int_equal(at("staircase", &o, UINT32_MAX - 1ULL).bytes, 850 * MB);
}

static void test_burst(void **state)
{
	struct mp_pattern_options o = options();

	(void)state;
	assert_true(mp_pattern_find("burst")->from_reached);
	assert_int_equal(at("burst", &o, 0).kind, MP_WANT_TOTAL);
	assert_int_equal(at("burst", &o, 0).bytes, 700 * MB);
	assert_int_equal(at("burst", &o, 5 * S - 1).bytes, 700 * MB);
	assert_int_equal(at("burst", &o, 5 * S).kind, MP_WANT_DONE);
}

static void test_sawtooth_cycle_includes_both_ramps(void **state)
{
	struct mp_pattern_options o = options();

	(void)state;
	o.duration_ns = 4 * S;
	assert_int_equal(at("sawtooth", &o, 0).bytes, 300 * MB);
	assert_int_equal(at("sawtooth", &o, S).bytes, 500 * MB);
	assert_int_equal(at("sawtooth", &o, 2 * S).bytes, 700 * MB);
	assert_int_equal(at("sawtooth", &o, 3 * S).bytes, 500 * MB);
	assert_int_equal(at("sawtooth", &o, 4 * S).bytes, 300 * MB);
	assert_int_equal(at("sawtooth", &o, 6 * S).bytes, 700 * MB);
	assert_int_equal(at("sawtooth", &o, 6 * S).step, 3);
	assert_int_equal(at("sawtooth", &o, 12 * S - 1).kind, MP_WANT_TOTAL);
	assert_int_equal(at("sawtooth", &o, 12 * S).kind, MP_WANT_DONE);
}

static void test_allocate_full_leaves_the_margin(void **state)
{
	struct mp_pattern_options o = options();

	(void)state;
	assert_int_equal(at("allocate_full", &o, 0).bytes, 900 * MB);
	assert_int_equal(at("allocate_full", &o, 5 * S).kind, MP_WANT_DONE);
}

static void refused(const char *name, const struct mp_pattern_options *o, const char *option)
{
	struct mp_error err = {0};

	assert_int_equal(mp_pattern_find(name)->check(o, &stage, &err), -EINVAL);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_non_null(strstr(err.text, option));
}

static void test_options_that_do_not_fit(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_error err;

	(void)state;
	for (size_t i = 0, n; i < 4; i++) {
		const struct mp_pattern *const *all = mp_patterns(&n);

		assert_int_equal(n, 4);
		assert_int_equal(all[i]->check(&o, &stage, &err), 0);
	}
	o.target_pct = 90.1;
	refused("burst", &o, "--target 90.1");
	o.target_pct = 4.9;
	refused("burst", &o, "5.0 %");
	o.target_pct = 0;
	refused("burst", &o, "--target 0");
	o = options();
	o.min_pct = 70;
	refused("sawtooth", &o, "--min 70");
	o = options();
	o.max_pct = 95;
	refused("sawtooth", &o, "--max 95");
	o = options();
	o.cycles = 0;
	refused("sawtooth", &o, "--cycles");
	o = options();
	o.step_bytes = 851 * MB;
	refused("staircase", &o, "--step-size");
	o.step_bytes = 0;
	refused("staircase", &o, "--step-size");
	o = options();
	o.margin_bytes = 950 * MB;
	refused("allocate_full", &o, "--safety-margin");
	o.margin_bytes = 2000 * MB;
	refused("allocate_full", &o, "--safety-margin");
	assert_null(mp_pattern_find("zigzag"));
}

static uint64_t filler(enum mp_want_kind kind, uint64_t want, uint64_t usage, uint64_t has)
{
	struct mp_controller_input in = {
		.want = {.kind = kind, .bytes = want},
		.usage = usage,
		.filler = has,
		.ceiling = 900 * MB,
		.page_bytes = 4096,
	};

	return mp_controller_filler(&in);
}

static void test_controller_makes_up_for_neighbours(void **state)
{
	(void)state;
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 50 * MB, 0), 650 * MB);
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 700 * MB, 650 * MB), 650 * MB);
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 900 * MB, 650 * MB), 450 * MB);
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 660 * MB, 650 * MB), 690 * MB);
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 800 * MB, 0), 0);
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB + 5000, 0, 0), 700 * MB + 4096);
}

static void test_controller_never_passes_the_ceiling(void **state)
{
	(void)state;
	assert_int_equal(filler(MP_WANT_FILLER, 800 * MB, 300 * MB, 0), 600 * MB);
	assert_int_equal(filler(MP_WANT_FILLER, 800 * MB, 850 * MB, 500 * MB), 550 * MB);
	assert_int_equal(filler(MP_WANT_TOTAL, 5000 * MB, 300 * MB, 100 * MB), 700 * MB);
	assert_int_equal(filler(MP_WANT_FILLER, 800 * MB, 1000 * MB, 0), 0);
	/* Less is charged than the filler holds: some of it is swapped out. */
	assert_int_equal(filler(MP_WANT_TOTAL, 700 * MB, 400 * MB, 600 * MB), 700 * MB);
	assert_int_equal(filler(MP_WANT_DONE, 700 * MB, 400 * MB, 600 * MB), 0);
}

/* Whatever the command does, nothing is taken beside it. */
static void test_watch_takes_nothing(void **state)
{
	struct mp_pattern_options o = options();
	struct mp_want want;

	(void)state;
	mp_pattern_watch.at(&o, &stage, 0, &want);
	assert_int_equal(want.kind, MP_WANT_FILLER);
	assert_int_equal(want.bytes, 0);
	assert_int_equal(want.next_ns, 5 * S);
	assert_string_equal(want.phase, "watch");
	o.phase = "Q4_K_M";
	mp_pattern_watch.at(&o, &stage, 5 * S - 1, &want);
	assert_int_equal(want.kind, MP_WANT_FILLER);
	assert_string_equal(want.phase, "Q4_K_M");
	mp_pattern_watch.at(&o, &stage, 5 * S, &want);
	assert_int_equal(want.kind, MP_WANT_DONE);
	assert_int_equal(mp_pattern_watch.length(&o), 5 * S);
	assert_null(mp_pattern_find("watch"));
	o.duration_ns = 0;
	assert_int_equal(mp_pattern_watch.check(&o, &stage, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_staircase_steps_are_on_time),
		cmocka_unit_test(test_staircase_stays_below_the_ceiling),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_sawtooth_cycle_includes_both_ramps),
		cmocka_unit_test(test_allocate_full_leaves_the_margin),
		cmocka_unit_test(test_options_that_do_not_fit),
		cmocka_unit_test(test_watch_takes_nothing),
		cmocka_unit_test(test_controller_makes_up_for_neighbours),
		cmocka_unit_test(test_controller_never_passes_the_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
