// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

#define MS 1000000ULL

struct fixture {
	struct mp_policy policy;
	struct mp_state *state;
	struct mp_decision decision;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.policy =
			{
				.threshold_pct = {0, 75, 85, 90},
				.hysteresis_pct = 3,
				.cooldown_ns = 1000 * MS,
			},
	};
	for (int level = 0; level < MP_LEVEL_COUNT; level++) {
		for (int severity = 0; severity < MP_SEVERITY_COUNT; severity++)
			f.policy.on[level][severity].n = 1;
	}
	f.state = mp_state_new();
	*state = &f;
	return f.state ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mp_state_free(f->state);
	return 0;
}

static struct mp_event probe(uint64_t ts_ms, double pct)
{
	struct mp_event event = {.type = MP_EVENT_PROBE, .ts_ns = ts_ms * MS};

	event.probe = (struct mp_event_probe){
		.point = "load",
		.level = MP_LEVEL_HIGH,
		.pid = 7,
		.cgroup = "/app",
		.working_set = 860,
		.limit = 1000,
		.usage_pct = pct,
	};
	return event;
}

/* Feeds one event of process 7, level high. */
static int feed(struct fixture *f, uint64_t ts_ms, double pct)
{
	struct mp_event event = probe(ts_ms, pct);

	return mp_policy_decide(&f->policy, f->state, &event, &f->decision);
}

static int feed_as(struct fixture *f, uint64_t ts_ms, double pct, uint32_t pid, enum mp_level level)
{
	struct mp_event event = probe(ts_ms, pct);

	event.probe.pid = pid;
	event.probe.level = level;
	return mp_policy_decide(&f->policy, f->state, &event, &f->decision);
}

static void expect(const struct fixture *f, enum mp_severity previous, enum mp_severity severity,
		   const char *reason)
{
	assert_int_equal(f->decision.event.previous, previous);
	assert_int_equal(f->decision.event.severity, severity);
	assert_string_equal(f->decision.event.reason, reason);
}

static void severity_is_entered_at_and_left_below(void **state)
{
	static const struct {
		enum mp_severity previous;
		double pct;
		enum mp_severity severity;
	} rows[] = {
		{MP_SEVERITY_NORMAL, 0, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_NORMAL, 74.99, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_NORMAL, 75, MP_SEVERITY_WARNING},
		{MP_SEVERITY_NORMAL, 84.99, MP_SEVERITY_WARNING},
		{MP_SEVERITY_NORMAL, 85, MP_SEVERITY_GC},
		{MP_SEVERITY_NORMAL, 90, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_NORMAL, 250, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_WARNING, 72, MP_SEVERITY_WARNING},
		{MP_SEVERITY_WARNING, 71.99, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_WARNING, 84.99, MP_SEVERITY_WARNING},
		{MP_SEVERITY_GC, 82, MP_SEVERITY_GC},
		{MP_SEVERITY_GC, 81.99, MP_SEVERITY_WARNING},
		{MP_SEVERITY_CRITICAL, 87, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_CRITICAL, 86.99, MP_SEVERITY_GC},
		/* A fall passes each threshold on the way with its hysteresis. */
		{MP_SEVERITY_CRITICAL, 83, MP_SEVERITY_GC},
		{MP_SEVERITY_CRITICAL, 73, MP_SEVERITY_WARNING},
		{MP_SEVERITY_CRITICAL, 10, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_CRITICAL, -1, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_CRITICAL, NAN, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_NORMAL, INFINITY, MP_SEVERITY_CRITICAL},
	};
	const struct fixture *f = *state;

	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++)
		assert_int_equal(mp_policy_severity(&f->policy, rows[i].previous, rows[i].pct),
				 rows[i].severity);
}

static void normal_use_decides_nothing(void **state)
{
	assert_int_equal(feed(*state, 0, 10), 0);
	assert_int_equal(feed(*state, 5000, 74.9), 0);
}

static void a_rise_is_decided_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, 86.2), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_GC,
	       "working set 86.2 % of the limit, above gc (85 %)");
	assert_ptr_equal(f->decision.actions, &f->policy.on[MP_LEVEL_HIGH][MP_SEVERITY_GC]);
	assert_int_equal(f->decision.event.level, MP_LEVEL_HIGH);
	assert_string_equal(f->decision.event.point, "load");
	assert_int_equal(f->decision.event.pid, 7);
	assert_string_equal(f->decision.event.cgroup, "/app");
	assert_int_equal(f->decision.event.working_set, 860);
	assert_int_equal(f->decision.event.limit, 1000);
	assert_true(f->decision.event.usage_pct == 86.2);
}

static void a_jump_over_several_is_one_decision(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, 99), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "working set 99.0 % of the limit, above critical (90 %)");
	assert_int_equal(feed(f, 2, 99), 0);
	assert_int_equal(feed(f, 3, 73), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_WARNING,
	       "working set 73.0 % of the limit, down from critical to warning");
	assert_ptr_equal(f->decision.actions, &f->policy.on[MP_LEVEL_HIGH][MP_SEVERITY_WARNING]);
}

static void a_recovery_is_told_once_and_does_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1, 95), 1);
	assert_int_equal(feed(f, 2, 12.34), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_NORMAL,
	       "working set 12.3 % of the limit, recovered from critical");
	assert_null(f->decision.actions);
	assert_int_equal(feed(f, 3, 12), 0);
}

static void swinging_within_the_hysteresis_does_not_flap(void **state)
{
	struct fixture *f = *state;
	int decisions = 0;

	for (uint64_t ts = 0; ts < 100; ts++)
		decisions += feed(f, ts, ts % 2 ? 89.9 : 90.1);
	assert_int_equal(decisions, 1);
}

static void the_cooldown_spaces_what_stays_the_same(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 100, 91), 1);
	assert_int_equal(feed(f, 1099, 91), 0);
	assert_int_equal(feed(f, 1100, 91), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, still above critical (90 %)");
	assert_int_equal(feed(f, 2099, 88), 0);
	assert_int_equal(feed(f, 2100, 88), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_CRITICAL,
	       "working set 88.0 % of the limit, critical until below 87 %");
}

static void no_cooldown_decides_every_time(void **state)
{
	struct fixture *f = *state;

	f->policy.cooldown_ns = 0;
	assert_int_equal(feed(f, 5, 80), 1);
	assert_int_equal(feed(f, 5, 80), 1);
	assert_int_equal(feed(f, 4, 80), 1);
	assert_int_equal(feed(f, 6, 10), 1);
	assert_int_equal(feed(f, 6, 10), 0);
}

static void time_that_steps_back_does_not_end_the_cooldown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 1000, 91), 1);
	assert_int_equal(feed(f, 999, 91), 0);
	assert_int_equal(feed(f, 0, 91), 0);
	assert_int_equal(feed(f, 1999, 91), 0);
	assert_int_equal(feed(f, 2000, 91), 1);
}

static void each_level_and_process_acts_for_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_as(f, 0, 91, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 1, 91, 7, MP_LEVEL_CRITICAL), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, still above critical (90 %)");
	assert_ptr_equal(f->decision.actions,
			 &f->policy.on[MP_LEVEL_CRITICAL][MP_SEVERITY_CRITICAL]);
	assert_int_equal(feed_as(f, 2, 91, 8, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 3, 91, 7, MP_LEVEL_LOW), 0);
	assert_int_equal(feed_as(f, 3, 91, 7, MP_LEVEL_CRITICAL), 0);
	assert_int_equal(feed_as(f, 3, 91, 8, MP_LEVEL_LOW), 0);
}

static void a_level_that_acted_at_less_acts_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_as(f, 0, 76, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 1, 91, 8, MP_LEVEL_LOW), 1);
	/* Not a change any more, and process 7 is in its cooldown: but never acted at critical. */
	assert_int_equal(feed_as(f, 2, 91, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 3, 91, 7, MP_LEVEL_LOW), 0);
}

static void another_ones_swing_does_not_renew_the_upper_severity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_as(f, 0, 91, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 1, 80, 7, MP_LEVEL_LOW), 1); /* 7 sees the fall */
	assert_int_equal(feed_as(f, 2, 91, 8, MP_LEVEL_LOW), 1); /* 8 sees the rise */
	assert_int_equal(feed_as(f, 3, 91, 7, MP_LEVEL_LOW), 0); /* 7 acted at critical just now */
	assert_int_equal(feed_as(f, 1001, 91, 7, MP_LEVEL_LOW), 1);
}

static void a_recovery_leaves_the_cooldown_running(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_as(f, 0, 91, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 1, 10, 7, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 2, 91, 8, MP_LEVEL_LOW), 1);
	assert_int_equal(feed_as(f, 999, 91, 7, MP_LEVEL_LOW), 0);
	assert_int_equal(feed_as(f, 1000, 91, 7, MP_LEVEL_LOW), 1);
}

static void domains_change_for_themselves(void **state)
{
	struct fixture *f = *state;
	struct mp_event host = probe(2, 10);

	host.probe.cgroup = NULL;
	assert_int_equal(feed(f, 1, 91), 1);
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 0);
	host.probe.usage_pct = 76;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_WARNING,
	       "working set 76.0 % of the limit, above warning (75 %)");
	assert_null(f->decision.event.cgroup);
}

static void an_unknown_percentage_changes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0, -1), 0);
	assert_int_equal(feed(f, 1, 91), 1);
	assert_int_equal(feed(f, 2, -1), 0);
	assert_int_equal(feed(f, 3, NAN), 0);
	assert_int_equal(feed(f, 5000, -1), 0);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(mp_state_domain(f->state, "/app")->since_ns, 1 * MS);
}

static void an_exit_ends_the_cooldown_of_that_process(void **state)
{
	struct fixture *f = *state;
	struct mp_event exit = {.type = MP_EVENT_PROCESS};

	exit.process = (struct mp_event_process){.op = MP_PROCESS_FORK, .pid = 7};
	assert_int_equal(feed(f, 0, 91), 1);
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &exit, &f->decision), 0);
	assert_int_equal(feed(f, 1, 91), 0);
	exit.process.op = MP_PROCESS_EXIT;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &exit, &f->decision), 0);
	assert_int_equal(feed(f, 2, 91), 1);
}

static void other_events_are_not_decided(void **state)
{
	struct fixture *f = *state;

	for (int type = 0; type < MP_EVENT_TYPE_COUNT; type++) {
		struct mp_event event = {.type = (enum mp_event_type)type};

		if (type != MP_EVENT_PROBE)
			assert_int_equal(
				mp_policy_decide(&f->policy, f->state, &event, &f->decision), 0);
	}
}

static void a_reason_is_cut_not_overrun(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed(f, 0, 1e300), 1);
	assert_int_equal(strlen(f->decision.reason), sizeof(f->decision.reason) - 1);
	assert_ptr_equal(f->decision.event.reason, f->decision.reason);
}

static void thresholds_keep_their_decimals(void **state)
{
	struct fixture *f = *state;

	f->policy.threshold_pct[MP_SEVERITY_GC] = 82.5;
	assert_int_equal(feed(f, 0, 82.5), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_GC,
	       "working set 82.5 % of the limit, above gc (82.5 %)");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(severity_is_entered_at_and_left_below),
		TEST(normal_use_decides_nothing),
		TEST(a_rise_is_decided_at_once),
		TEST(a_jump_over_several_is_one_decision),
		TEST(a_recovery_is_told_once_and_does_nothing),
		TEST(swinging_within_the_hysteresis_does_not_flap),
		TEST(the_cooldown_spaces_what_stays_the_same),
		TEST(no_cooldown_decides_every_time),
		TEST(time_that_steps_back_does_not_end_the_cooldown),
		TEST(each_level_and_process_acts_for_itself),
		TEST(a_level_that_acted_at_less_acts_again),
		TEST(another_ones_swing_does_not_renew_the_upper_severity),
		TEST(a_recovery_leaves_the_cooldown_running),
		TEST(domains_change_for_themselves),
		TEST(an_unknown_percentage_changes_nothing),
		TEST(an_exit_ends_the_cooldown_of_that_process),
		TEST(other_events_are_not_decided),
		TEST(a_reason_is_cut_not_overrun),
		TEST(thresholds_keep_their_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
