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
				.some_pct = 10,
				.full_pct = 5,
				.window_ns = 2000 * MS,
				.pressure_level = MP_LEVEL_MEDIUM,
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
		.cgroup = "/app/worker",
		.limit_cgroup = "/app",
		.working_set = 860,
		.limit = 1000,
		.usage_pct = pct,
		.size = MP_UNKNOWN,
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
	assert_string_equal(f->decision.event.cgroup, "/app/worker");
	assert_string_equal(f->decision.event.limit_cgroup, "/app");
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

static void a_domain_is_the_group_whose_limit_it_is(void **state)
{
	struct fixture *f = *state;
	struct mp_event host = probe(2, 10);
	struct mp_event sibling = probe(3, 91);

	host.probe.limit_cgroup = NULL;
	assert_int_equal(feed(f, 1, 91), 1);
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 0);
	host.probe.usage_pct = 76;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_WARNING,
	       "working set 76.0 % of the limit, above warning (75 %)");
	assert_string_equal(f->decision.event.cgroup, "/app/worker");
	assert_null(f->decision.event.limit_cgroup);

	/* Another group below the same limit: the same domain. */
	sibling.probe.cgroup = "/app/server";
	sibling.probe.pid = 8;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &sibling, &f->decision), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, still above critical (90 %)");
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

/* --- stall -------------------------------------------------------------------- */

/* A look at /app by process 7's neighbour: no process is named. */
static struct mp_event pressure(uint64_t ts_ms, double pct)
{
	struct mp_event event = {.type = MP_EVENT_PRESSURE, .ts_ns = ts_ms * MS};

	event.pressure = (struct mp_event_pressure){
		.source = MP_PRESSURE_USAGE,
		.cgroup = "/app",
		.working_set = 620,
		.limit = 1000,
		.usage_pct = pct,
		.window_ns = MP_UNKNOWN,
		.some_pct = -1,
		.full_pct = -1,
		.stall_ns = MP_UNKNOWN,
	};
	return event;
}

static int feed_psi(struct fixture *f, uint64_t ts_ms, double pct, double some, double full)
{
	struct mp_event event = pressure(ts_ms, pct);

	event.pressure.source = MP_PRESSURE_PSI;
	event.pressure.window_ns = 2000 * MS;
	event.pressure.some_pct = some;
	event.pressure.full_pct = full;
	return mp_policy_decide(&f->policy, f->state, &event, &f->decision);
}

static int feed_reclaim(struct fixture *f, uint64_t ts_ms, double pct, uint64_t stall_ms)
{
	struct mp_event event = pressure(ts_ms, pct);

	event.pressure.source = MP_PRESSURE_RECLAIM;
	event.pressure.window_ns = 20 * MS;
	event.pressure.stall_ns = stall_ms * MS;
	return mp_policy_decide(&f->policy, f->state, &event, &f->decision);
}

static void stall_raises_at_its_share(void **state)
{
	static const struct {
		enum mp_severity severity;
		double some;
		double full;
		enum mp_severity raised;
	} rows[] = {
		{MP_SEVERITY_NORMAL, -1, -1, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_NORMAL, 9.99, 4.99, MP_SEVERITY_NORMAL},
		{MP_SEVERITY_NORMAL, 10, -1, MP_SEVERITY_WARNING},
		{MP_SEVERITY_NORMAL, 100, 4.99, MP_SEVERITY_WARNING},
		{MP_SEVERITY_NORMAL, -1, 5, MP_SEVERITY_GC},
		{MP_SEVERITY_NORMAL, 10, 5, MP_SEVERITY_GC},
		{MP_SEVERITY_WARNING, 10, 0, MP_SEVERITY_GC},
		{MP_SEVERITY_WARNING, 10, 5, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_GC, 10, 0, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_GC, 100, 100, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_CRITICAL, 10, 0, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_CRITICAL, INFINITY, INFINITY, MP_SEVERITY_CRITICAL},
		{MP_SEVERITY_GC, 0, 0, MP_SEVERITY_GC},
		{MP_SEVERITY_GC, NAN, NAN, MP_SEVERITY_GC},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++)
		assert_int_equal(
			mp_policy_raise(&f->policy, rows[i].severity, rows[i].some, rows[i].full),
			rows[i].raised);
	/* A share of nothing is still a share: no stall raises nothing. */
	f->policy.some_pct = 0;
	f->policy.full_pct = 0;
	assert_int_equal(mp_policy_raise(&f->policy, MP_SEVERITY_NORMAL, 0, 0), MP_SEVERITY_NORMAL);
	assert_int_equal(mp_policy_raise(&f->policy, MP_SEVERITY_NORMAL, 0.01, 0),
			 MP_SEVERITY_WARNING);
}

static void a_stall_is_told_with_its_numbers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_psi(f, 0, 62, 23, 1), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_WARNING,
	       "working set 62.0 % of the limit; tasks stalled 23 % of the last 2 s (some >= 10 "
	       "%): raised to warning");
	assert_true(f->decision.event.some_pct == 23);
	assert_true(f->decision.event.full_pct == 1);
	assert_int_equal(feed_psi(f, 1000, 62, 12.25, 1), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_WARNING,
	       "working set 62.0 % of the limit; tasks stalled 12.2 % of the last 2 s (some >= 10 "
	       "%): still warning");
	assert_int_equal(feed_psi(f, 1001, 76.5, 40, 8.5), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_CRITICAL,
	       "working set 76.5 % of the limit; all tasks stalled 8.5 % of the last 2 s (full >= "
	       "5 %): raised to critical");
	assert_int_equal(feed_psi(f, 2001, 76.5, 40, 2), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_GC,
	       "working set 76.5 % of the limit; tasks stalled 40 % of the last 2 s (some >= 10 "
	       "%): down from critical to gc");
	/* Where usage alone is as high, it is the reason. */
	assert_int_equal(feed_psi(f, 2002, 91, 40, 40), 1);
	expect(f, MP_SEVERITY_GC, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, above critical (90 %)");
	assert_true(f->decision.event.full_pct == 40);
}

static void a_stall_holds_for_a_window(void **state)
{
	struct fixture *f = *state;

	f->policy.dwell_ns = 1000 * MS;
	assert_int_equal(feed_psi(f, 1000, 50, 23, 0), 1);
	/* Process 7 comes by, which has not acted yet. */
	assert_int_equal(feed(f, 2999, 51), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_WARNING,
	       "working set 51.0 % of the limit; tasks stalled 23 % of the last 2 s (some >= 10 "
	       "%): still warning");
	assert_true(f->decision.event.some_pct == 23);
	assert_int_equal(feed(f, 3000, 51), 0); /* out of date; its dwell holds it */
	assert_int_equal(feed(f, 3998, 51), 0);
	assert_int_equal(feed(f, 3999, 51), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_NORMAL,
	       "working set 51.0 % of the limit, recovered from warning");
	assert_true(f->decision.event.some_pct < 0);
}

static void a_later_stall_replaces_it(void **state)
{
	struct fixture *f = *state;

	f->policy.dwell_ns = 0;
	assert_int_equal(feed_psi(f, 0, 50, 23, 0), 1);
	assert_int_equal(feed_psi(f, 1, 50, 0, 0), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_NORMAL,
	       "working set 50.0 % of the limit, recovered from warning");
	assert_true(f->decision.event.some_pct == 0);
}

static void the_raise_does_not_feed_the_hysteresis(void **state)
{
	struct fixture *f = *state;

	f->policy.dwell_ns = 0;
	/* 73 % is no warning from below, even after a raise to gc and back. */
	assert_int_equal(feed_psi(f, 0, 73, 90, 90), 1);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_GC);
	assert_int_equal(feed_psi(f, 1, 73, 0, 0), 1);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_NORMAL);
	/* From above it is one, and stays one however long the stall raises it. */
	assert_int_equal(feed(f, 2, 76), 1);
	for (uint64_t ts = 3; ts < 100; ts++)
		feed_psi(f, ts, 73, 90, 0);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_GC);
	assert_int_equal(mp_state_domain(f->state, "/app")->usage_severity, MP_SEVERITY_WARNING);
}

static void a_static_hold_never_climbs(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ts = 0; ts < 600000; ts += 125) {
		feed(f, ts, 88);
		feed_psi(f, ts, 88, 0.5, 0);
		assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_GC);
	}
}

static void reclaim_counts_where_nobody_tells_a_share(void **state)
{
	struct fixture *f = *state;
	uint64_t ts = 2000;

	/* Half of each 20 ms: 10 % of two seconds after 400 ms, long before any average moves. */
	assert_int_equal(feed_reclaim(f, ts, 80, 10), 1);
	while (ts < 2380)
		assert_int_equal(feed_reclaim(f, ts += 20, 80, 10), 0);
	assert_int_equal(feed_reclaim(f, ts += 20, 80, 10), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_GC,
	       "working set 80.0 % of the limit; tasks stalled 10.4 % of the last 2 s (some >= 10 "
	       "%): raised to gc");
	assert_true(f->decision.event.some_pct >= 10 && f->decision.event.some_pct < 10.6);
	assert_true(f->decision.event.full_pct < 0);
	/* A figure of PSI is the better one as long as it is valid. */
	assert_int_equal(feed_psi(f, 2400, 80, 3, 0), 1);
	expect(f, MP_SEVERITY_GC, MP_SEVERITY_WARNING,
	       "working set 80.0 % of the limit, down from gc to warning");
	assert_int_equal(feed_reclaim(f, 2420, 80, 20), 0);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_WARNING);
}

static void reclaim_of_page_cache_is_no_pressure(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ts = 2000; ts < 12000; ts += 20)
		assert_int_equal(feed_reclaim(f, ts, 30, 20), 0);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_NORMAL);
	/* It was seen all the same: it counts once the working set grows. */
	assert_int_equal(feed_reclaim(f, 12000, 75, 20), 1);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_GC);
}

static void other_sources_stall_times_do_not_count(void **state)
{
	struct fixture *f = *state;
	struct mp_event event = pressure(2000, 80);

	event.pressure.source = MP_PRESSURE_MEMORY_EVENTS;
	event.pressure.stall_ns = 2000 * MS;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 1);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_WARNING);
	event.pressure.source = MP_PRESSURE_DIRECT_RECLAIM;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 1);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_GC);
}

/* --- dwell -------------------------------------------------------------------- */

static void a_lower_severity_waits_for_the_dwell(void **state)
{
	struct fixture *f = *state;

	f->policy.dwell_ns = 1000 * MS;
	assert_int_equal(feed(f, 1000, 80), 1);
	assert_int_equal(feed(f, 1001, 95), 1); /* higher at once */
	assert_int_equal(feed(f, 5000, 95), 1);
	assert_int_equal(feed(f, 5001, 80), 0);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_CRITICAL);
	/* Nothing speaks for critical any more: nobody acts on it. */
	assert_int_equal(feed_as(f, 5500, 80, 8, MP_LEVEL_CRITICAL), 0);
	assert_int_equal(feed(f, 5999, 40), 0);
	assert_int_equal(feed(f, 6000, 80), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_WARNING,
	       "working set 80.0 % of the limit, down from critical to warning");
	assert_int_equal(mp_state_domain(f->state, "/app")->since_ns, 6000 * MS);
	/* The new one has a dwell of its own. */
	assert_int_equal(feed(f, 6999, 10), 0);
	assert_int_equal(feed(f, 7000, 10), 1);
	expect(f, MP_SEVERITY_WARNING, MP_SEVERITY_NORMAL,
	       "working set 10.0 % of the limit, recovered from warning");
}

static int count_changes(struct fixture *f, int decided)
{
	return decided == 1 && f->decision.event.severity != f->decision.event.previous;
}

static void swings_of_usage_do_not_flap(void **state)
{
	struct fixture *f = *state;
	int changes = 0;

	f->policy.dwell_ns = 1000 * MS;
	for (uint64_t ts = 0; ts < 60000; ts += 500)
		changes += count_changes(f, feed(f, ts, ts % 1000 ? 20 : 95));
	assert_int_equal(changes, 1);
}

static void swings_of_stall_do_not_flap(void **state)
{
	struct fixture *f = *state;
	int changes = 0;

	f->policy.dwell_ns = 1000 * MS;
	for (uint64_t ts = 0; ts < 60000; ts += 500)
		changes += count_changes(f, feed_psi(f, ts, 80, ts % 1000 ? 0 : 60, 0));
	assert_int_equal(changes, 1);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_GC);
}

static void time_that_steps_back_does_not_end_the_dwell(void **state)
{
	struct fixture *f = *state;

	f->policy.dwell_ns = 1000 * MS;
	assert_int_equal(feed(f, 5000, 95), 1);
	assert_int_equal(feed(f, 4000, 95), 0);
	assert_int_equal(feed(f, 3000, 50), 0);
	assert_int_equal(feed(f, 5999, 50), 0);
	assert_int_equal(feed(f, 6000, 50), 1);
}

/* --- decisions without a point -------------------------------------------------- */

static void pressure_acts_by_the_level_of_the_policy(void **state)
{
	struct fixture *f = *state;
	struct mp_event event = pressure(0, 91);

	event.pressure.pid = 7;
	event.pressure.is_target = true;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, above critical (90 %)");
	assert_int_equal(f->decision.event.level, MP_LEVEL_MEDIUM);
	assert_null(f->decision.event.point);
	assert_int_equal(f->decision.event.pid, 7);
	assert_string_equal(f->decision.event.cgroup, "/app");
	assert_string_equal(f->decision.event.limit_cgroup, "/app");
	assert_int_equal(f->decision.event.working_set, 620);
	assert_int_equal(f->decision.event.limit, 1000);
	assert_true(f->decision.event.some_pct < 0);
	assert_ptr_equal(f->decision.actions, &f->policy.on[MP_LEVEL_MEDIUM][MP_SEVERITY_CRITICAL]);
	/* It is the process's turn at that level, and of no other. */
	assert_int_equal(feed_as(f, 1, 91, 7, MP_LEVEL_MEDIUM), 0);
	assert_int_equal(feed_as(f, 2, 91, 7, MP_LEVEL_HIGH), 1);
}

static void pressure_by_others_is_the_domains(void **state)
{
	struct fixture *f = *state;
	struct mp_event event = pressure(0, 91);
	struct mp_event host = pressure(1, 91);

	event.pressure.pid = 4711;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 1);
	assert_int_equal(f->decision.event.pid, 0);
	host.pressure.cgroup = NULL;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 1);
	assert_null(f->decision.event.cgroup);
	assert_null(f->decision.event.limit_cgroup);

	/* Whoever it was: one cooldown a domain. */
	event.pressure.pid = 4712;
	event.ts_ns = 999 * MS;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 0);
	event.ts_ns = 1000 * MS;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &event, &f->decision), 1);
	host.ts_ns = 1000 * MS;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 0);
	host.ts_ns = 1001 * MS;
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &host, &f->decision), 1);
}

static void a_look_after_an_action_tells_the_fall(void **state)
{
	struct fixture *f = *state;
	struct mp_event look = pressure(1, 40);

	assert_int_equal(feed(f, 0, 95), 1);
	assert_int_equal(mp_policy_decide(&f->policy, f->state, &look, &f->decision), 1);
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_NORMAL,
	       "working set 40.0 % of the limit, recovered from critical");
	assert_null(f->decision.actions);
}

/* --- gate --------------------------------------------------------------------- */

static int feed_gate(struct fixture *f, uint64_t ts_ms, double pct, enum mp_gate gate,
		     uint64_t size)
{
	struct mp_event event = probe(ts_ms, pct);

	event.probe.level = MP_LEVEL_CRITICAL;
	event.probe.gate = gate;
	event.probe.size = size;
	event.probe.working_set = pct < 0 ? MP_UNKNOWN : (uint64_t)(pct * 10);
	return mp_policy_decide(&f->policy, f->state, &event, &f->decision);
}

static void a_held_call_always_decides(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ts = 0; ts < 10; ts++) {
		assert_int_equal(feed_gate(f, ts, 92, MP_GATE_HELD, MP_UNKNOWN), 1);
		assert_ptr_equal(f->decision.actions,
				 &f->policy.on[MP_LEVEL_CRITICAL][MP_SEVERITY_CRITICAL]);
	}
	expect(f, MP_SEVERITY_CRITICAL, MP_SEVERITY_CRITICAL,
	       "working set 92.0 % of the limit, still above critical (90 %)");
	/* It was its turn. */
	assert_int_equal(feed_as(f, 10, 92, 7, MP_LEVEL_CRITICAL), 0);
}

static void a_call_is_gated_for_what_it_asks_for(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_gate(f, 0, 70, MP_GATE_HELD, 253), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "this call would bring the working set from 70.0 to 95.3 % of the limit, above "
	       "critical (90 %)");
	assert_ptr_equal(f->decision.actions,
			 &f->policy.on[MP_LEVEL_CRITICAL][MP_SEVERITY_CRITICAL]);
	assert_int_equal(f->decision.event.pid, 7);
	assert_true(f->decision.event.usage_pct == 70);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_NORMAL);
	/* Also above normal: the change is left to be told by the next event. */
	assert_int_equal(feed_gate(f, 1, 86, MP_GATE_HELD, 253), 1);
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_NORMAL);
	assert_int_equal(feed(f, 2, 86), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_GC,
	       "working set 86.0 % of the limit, above gc (85 %)");
	assert_int_equal(feed_gate(f, 3, 86, MP_GATE_HELD, UINT64_MAX - 1), 1);
	assert_int_equal(f->decision.event.previous, MP_SEVERITY_GC);
	assert_int_equal(f->decision.event.severity, MP_SEVERITY_CRITICAL);
}

static void a_call_that_would_be_gated_waits_for_its_cooldown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_gate(f, 0, 70, MP_GATE_WOULD, 253), 1);
	assert_int_equal(feed_gate(f, 999, 70, MP_GATE_WOULD, 253), 0);
	assert_int_equal(feed_gate(f, 1000, 70, MP_GATE_WOULD, 253), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "this call would bring the working set from 70.0 to 95.3 % of the limit, above "
	       "critical (90 %)");
	assert_int_equal(feed_gate(f, 1001, 91, MP_GATE_WOULD, 253), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "working set 91.0 % of the limit, above critical (90 %)");
	assert_int_equal(feed_gate(f, 1002, 91, MP_GATE_WOULD, 253), 0);
}

static void a_gate_on_older_figures_is_told_as_such(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(feed_gate(f, 0, 88.5, MP_GATE_HELD, MP_UNKNOWN), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "the kernel side found this call above critical (90 %); the working set is now 88.5 "
	       "% of the limit");
	assert_int_equal(feed_gate(f, 1, 70, MP_GATE_HELD, 199), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "the kernel side found this call above critical (90 %); the working set is now 70.0 "
	       "% of the limit");
	/* A stopped process is never left without a decision. */
	assert_int_equal(feed_gate(f, 2, -1, MP_GATE_HELD, 253), 1);
	expect(f, MP_SEVERITY_NORMAL, MP_SEVERITY_CRITICAL,
	       "the kernel side found this call above critical (90 %); the working set is not "
	       "known");
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_NORMAL);
}

/* --- incidents ---------------------------------------------------------------- */

static void number(struct fixture *f, uint64_t ts_ms, const char *cgroup, uint64_t incident,
		   bool repeated)
{
	struct mp_event event = pressure(ts_ms, 10);

	event.pressure.cgroup = cgroup;
	mp_policy_number(f->state, &event);
	assert_int_equal(event.pressure.incident, incident);
	assert_int_equal(event.pressure.repeated, repeated);
}

static void pressure_close_in_time_is_one_incident(void **state)
{
	struct fixture *f = *state;
	struct mp_event other = probe(0, 91);
	struct mp_event before = other;

	number(f, 0, "/app", 1, false);
	number(f, 0, "/app", 1, true);
	number(f, 2000, "/app", 1, true);
	number(f, 4000, "/app", 1, true);
	number(f, 1000, "/app", 1, true); /* late, and no step back */
	number(f, 5999, "/app", 1, true);
	number(f, 8000, "/app", 2, false);
	number(f, 8001, "/app/b", 1, false);
	number(f, 8002, NULL, 1, false);
	number(f, 8003, NULL, 1, true);
	number(f, 8003, "/app", 2, true);

	mp_policy_number(f->state, &other);
	assert_memory_equal(&other, &before, sizeof(other));
	/* It decides nothing. */
	assert_int_equal(mp_state_domain(f->state, "/app")->severity, MP_SEVERITY_NORMAL);
}

/* --- together ----------------------------------------------------------------- */

/* A little of everything, by a fixed sequence of numbers. */
static struct mp_event mixed(uint64_t i)
{
	uint64_t x = (i * 2654435761U) >> 7;
	struct mp_event event = probe(i * 37, (double)(x % 1100) / 10 - 5);

	if (x % 3 == 0) {
		event = pressure(i * 37, (double)(x % 1000) / 10);
		event.pressure.source = (enum mp_pressure_source)(x % MP_PRESSURE_SOURCE_COUNT);
		event.pressure.pid = (uint32_t)(x % 5);
		event.pressure.is_target = x % 2;
		event.pressure.some_pct = (double)(x % 200) - 100;
		event.pressure.full_pct = (double)(x % 100) - 90;
		event.pressure.stall_ns = (x % 40) * MS;
		event.pressure.window_ns = x % 7 ? 37 * MS : MP_UNKNOWN;
	} else {
		event.probe.pid = (uint32_t)(x % 5);
		event.probe.level = (enum mp_level)(x % MP_LEVEL_COUNT);
		event.probe.gate = x % 11 ? MP_GATE_NONE : (enum mp_gate)(x % MP_GATE_COUNT);
		event.probe.size = x % 500;
	}
	return event;
}

static void the_same_events_lead_to_the_same_decisions(void **state)
{
	struct fixture *f = *state;
	struct mp_state *again = mp_state_new();
	int decisions = 0;

	f->policy.dwell_ns = 1000 * MS;
	assert_non_null(again);
	for (uint64_t i = 0; i < 5000; i++) {
		struct mp_event event = mixed(i);
		struct mp_decision second = {0};
		int decided = mp_policy_decide(&f->policy, f->state, &event, &f->decision);

		assert_int_equal(mp_policy_decide(&f->policy, again, &event, &second), decided);
		if (!decided)
			continue;
		decisions++;
		assert_int_equal(second.event.severity, f->decision.event.severity);
		assert_int_equal(second.event.previous, f->decision.event.previous);
		assert_int_equal(second.event.pid, f->decision.event.pid);
		assert_ptr_equal(second.actions, f->decision.actions);
		assert_string_equal(second.reason, f->decision.reason);
	}
	mp_state_free(again);
	assert_true(decisions > 100 && decisions < 4900);
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
		TEST(a_domain_is_the_group_whose_limit_it_is),
		TEST(an_unknown_percentage_changes_nothing),
		TEST(an_exit_ends_the_cooldown_of_that_process),
		TEST(other_events_are_not_decided),
		TEST(a_reason_is_cut_not_overrun),
		TEST(thresholds_keep_their_decimals),
		TEST(stall_raises_at_its_share),
		TEST(a_stall_is_told_with_its_numbers),
		TEST(a_stall_holds_for_a_window),
		TEST(a_later_stall_replaces_it),
		TEST(the_raise_does_not_feed_the_hysteresis),
		TEST(a_static_hold_never_climbs),
		TEST(reclaim_counts_where_nobody_tells_a_share),
		TEST(reclaim_of_page_cache_is_no_pressure),
		TEST(other_sources_stall_times_do_not_count),
		TEST(a_lower_severity_waits_for_the_dwell),
		TEST(swings_of_usage_do_not_flap),
		TEST(swings_of_stall_do_not_flap),
		TEST(time_that_steps_back_does_not_end_the_dwell),
		TEST(pressure_acts_by_the_level_of_the_policy),
		TEST(pressure_by_others_is_the_domains),
		TEST(a_look_after_an_action_tells_the_fall),
		TEST(a_held_call_always_decides),
		TEST(a_call_is_gated_for_what_it_asks_for),
		TEST(a_call_that_would_be_gated_waits_for_its_cooldown),
		TEST(a_gate_on_older_figures_is_told_as_such),
		TEST(pressure_close_in_time_is_one_incident),
		TEST(the_same_events_lead_to_the_same_decisions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
