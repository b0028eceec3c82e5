// SPDX-License-Identifier: GPL-2.0-only
/* Gate, freeze and throttle, from the decision to their end, on a tree of files and real processes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <cmocka.h>

#include "action/hold.h"
#include "action/report.h"
#include "base/clock.h"
#include "base/fsroot.h"
#include "processes.h"
#include "tree.h"

#define MAX_RESULTS 160
#define SEC 1000000000ULL
#define MIB (1ULL << 20)

struct result {
	char action[32];
	char detail[MP_JOB_DETAIL];
	struct mp_event_action event; /* its strings are gone */
	uint64_t ts_ns;
};

struct opened {
	pid_t pid;
	uint64_t pass_until_ns;
	char state; /* of the process then */
};

struct fixture {
	struct tree tree;
	struct mp_cgroups cg;
	struct mp_policy policy;
	struct mp_undo *undo;
	struct mp_actions *actions;
	struct mp_event_decision decision;
	struct mp_event cause;
	struct result results[MAX_RESULTS];
	size_t n;
	struct opened opened[MP_HOLDS + 1];
	size_t n_opened;
	char looked[MAX_RESULTS][32];
	size_t n_looked;
	pid_t child;
};

static int keep(void *data, const struct mp_event *event)
{
	struct fixture *f = data;
	struct result *r = &f->results[f->n++];

	assert_true(f->n <= MAX_RESULTS);
	snprintf(r->action, sizeof(r->action), "%s", event->action.action);
	snprintf(r->detail, sizeof(r->detail), "%s",
		 event->action.detail ? event->action.detail : "");
	r->event = event->action;
	r->ts_ns = event->ts_ns;
	return 0;
}

static int open_gate(void *data, pid_t pid, uint64_t pass_until_ns)
{
	struct fixture *f = data;
	const struct mp_fsroot fs = {""};
	struct mp_process process = {.state = '-'};

	mp_process_read(&fs, pid, &process);
	f->opened[f->n_opened++] = (struct opened){pid, pass_until_ns, process.state};
	return 0;
}

static void look(void *data, const char *domain)
{
	struct fixture *f = data;

	snprintf(f->looked[f->n_looked++], 32, "%s", domain ? domain : "(host)");
}

static void set_usage(const struct fixture *f, uint64_t mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(mib * MIB));
	tree_write(&f->tree, "/cg/app/memory.current", text);
}

static void make_tree(struct fixture *f)
{
	tree_make(&f->tree);
	f->cg.fs.root = f->tree.root;
	f->cg.mode = MP_CGROUP_V2;
	strcpy(f->cg.memory_mount, "/cg");
	strcpy(f->cg.memory_root, "/");
	strcpy(f->cg.unified_mount, "/cg");
	tree_write(&f->tree, "/proc/self/mountinfo",
		   "30 1 0:26 / /cg rw - cgroup2 cgroup2 rw,nsdelegate\n");
	tree_write(&f->tree, "/cg/cgroup.controllers", "memory\n");
	tree_write(&f->tree, "/cg/app/memory.max", "1048576000\n");
	tree_write(&f->tree, "/cg/app/memory.high", "9999999999\n");
	tree_write(&f->tree, "/cg/app/memory.stat", "inactive_file 0\n");
	set_usage(f, 950);
}

static void make_policy(struct mp_policy *policy)
{
	policy->threshold_pct[MP_SEVERITY_WARNING] = 75;
	policy->threshold_pct[MP_SEVERITY_GC] = 85;
	policy->threshold_pct[MP_SEVERITY_CRITICAL] = 90;
	policy->hysteresis_pct = 3;
	policy->some_pct = 10;
	policy->full_pct = 5;
	policy->cooldown_ns = 7 * SEC;
	policy->gate_deadline_ns = 10 * SEC;
	policy->freeze_max_ns = 10 * SEC;
	policy->throttle_max_ns = 60 * SEC;
}

static int make_actions(struct fixture *f, bool enforce)
{
	const struct mp_actions_options options = {
		.emit = keep,
		.data = f,
		.policy = &f->policy,
		.cgroups = &f->cg,
		.undo = f->undo,
		.enforce = enforce,
		.host = {.data = f, .open_gate = open_gate, .look = look},
	};

	f->actions = mp_actions_new(&options);
	return f->actions ? 0 : -1;
}

/* The child as the tree's /proc has it: it is the real one, in a group of the tree. */
static void show_process(const struct fixture *f, pid_t pid)
{
	static const char *const files[] = {"stat", "status", "oom_score_adj", "oom_score"};
	char path[64];

	for (size_t i = 0; i < MP_ARRAY_SIZE(files); i++) {
		char real[64];

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		strcpy(real, path);
		tree_link(&f->tree, path, real);
	}
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	tree_write(&f->tree, path, "0::/app\n");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	make_tree(f);
	make_policy(&f->policy);
	f->undo = mp_undo_new();
	f->child = start_stopped();
	show_process(f, f->child);
	f->cause = (struct mp_event){
		.type = MP_EVENT_PROBE, .ts_ns = mp_clock_now_ns(), .realtime_ns = 77 * SEC};
	f->cause.probe = (struct mp_event_probe){.point = "load",
						 .gate = MP_GATE_HELD,
						 .gate_deadline_ns = 10 * SEC,
						 .size = MP_UNKNOWN,
						 .limit = 1000 * MIB,
						 .pid = (uint32_t)f->child};
	f->decision = (struct mp_event_decision){.severity = MP_SEVERITY_CRITICAL,
						 .point = "load",
						 .pid = (uint32_t)f->child,
						 .cgroup = "/app",
						 .limit_cgroup = "/app",
						 .some_pct = 12.5,
						 .full_pct = -1};
	*state = f;
	return f->undo ? make_actions(f, true) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mp_actions_free(f->actions);
	assert_int_equal(mp_undo_run_all(f->undo), 0);
	mp_undo_free(f->undo);
	if (f->child)
		end_child(f->child);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static void run(struct fixture *f, const char *name)
{
	struct mp_action_list list = {.n = 1};

	list.refs[0].name = (char *)name;
	mp_actions_run(f->actions, &list, &f->decision, &f->cause, false);
}

/* As the loop does, but with the clock that long after the cause. */
static void dispatch_after(struct fixture *f, uint64_t ns)
{
	mp_actions_dispatch(f->actions, f->cause.ts_ns + ns);
}

static void wait_for_results(struct fixture *f, size_t n)
{
	while (f->n < n) {
		struct pollfd p = {.fd = mp_actions_fd(f->actions), .events = POLLIN};

		assert_int_equal(poll(&p, 1, 60000), 1);
		mp_actions_dispatch(f->actions, mp_clock_now_ns());
	}
	assert_int_equal(f->n, n);
}

static void expect(const struct fixture *f, size_t i, enum mp_action_result result,
		   const char *detail)
{
	assert_true(i < f->n);
	assert_string_equal(f->results[i].detail, detail);
	assert_int_equal(f->results[i].event.result, result);
}

static void expect_file(const struct fixture *f, const char *name, const char *text)
{
	MP_FREE char *data = NULL;
	char path[PATH_MAX];

	tree_path(&f->tree, name, path);
	assert_int_equal(mp_read_file(path, 4096, &data, NULL), 0);
	assert_string_equal(data, text);
}

/* --- gate ---------------------------------------------------------------------- */

static void a_gated_process_goes_on_when_there_is_room(void **state)
{
	struct fixture *f = *state;
	const struct result *end = &f->results[1];

	run(f, "gate");
	assert_int_equal(f->n, 1);
	expect(f, 0, MP_RESULT_DONE, "stopped before load; deadline 10.0 s");
	assert_int_equal(f->results[0].ts_ns, f->cause.ts_ns);
	assert_true(f->results[0].event.duration_ns == MP_UNKNOWN);
	assert_int_equal(f->results[0].event.usage_before, 950 * MIB);
	assert_true(f->results[0].event.usage_after == MP_UNKNOWN);

	/* 87 % is where critical is left. */
	set_usage(f, 870);
	dispatch_after(f, SEC);
	assert_int_equal(f->n, 1);
	assert_int_equal(read_process(f->child).state, 'T');
	set_usage(f, 841);
	dispatch_after(f, 1200000000ULL);
	assert_int_equal(f->n, 2);
	wait_for_state(f->child, "SR");
	assert_string_equal(end->action, "gate");
	expect(f, 1, MP_RESULT_DONE, "let go after 1.20 s: room again (84.1 % of the limit)");
	assert_int_equal(end->event.duration_ns, 1200000000ULL);
	assert_int_equal(end->event.pid, f->child);
	assert_int_equal(end->event.usage_before, 950 * MIB);
	assert_int_equal(end->event.usage_after, 841 * MIB);
	assert_int_equal(end->event.freed_bytes, 109 * MIB);
	assert_true(end->event.some_before_pct == 12.5);
	/* The gate opens before the process goes on, or its next call would be stopped. */
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->opened[0].pid, f->child);
	assert_int_equal(f->opened[0].state, 'T');
	assert_int_equal(f->opened[0].pass_until_ns, f->cause.ts_ns + 1200000000ULL + 7 * SEC);
	assert_int_equal(f->n_looked, 1);
	assert_string_equal(f->looked[0], "/app");
}

static void a_gate_has_a_deadline(void **state)
{
	struct fixture *f = *state;

	f->cause.probe.gate_deadline_ns = 2 * SEC;
	run(f, "gate");
	expect(f, 0, MP_RESULT_DONE, "stopped before load; deadline 2.00 s");
	set_usage(f, 913);
	dispatch_after(f, 2 * SEC - 1);
	assert_int_equal(f->n, 1);
	dispatch_after(f, 2 * SEC);
	expect(f, 1, MP_RESULT_DONE, "let go after 2.00 s: at its deadline (91.3 % of the limit)");
	wait_for_state(f->child, "SR");
}

/* With 200 MiB asked for, there is room below 70 %. */
static void the_size_of_the_call_counts(void **state)
{
	struct fixture *f = *state;

	f->cause.probe.size = 200 * MIB;
	run(f, "gate");
	set_usage(f, 700);
	dispatch_after(f, SEC);
	assert_int_equal(f->n, 1);
	set_usage(f, 699);
	dispatch_after(f, SEC);
	expect(f, 1, MP_RESULT_DONE, "let go after 1.00 s: room again (69.9 % of the limit)");
}

static void a_size_above_the_limit_never_has_room(void **state)
{
	struct fixture *f = *state;

	f->cause.probe.size = MP_UNKNOWN - 1;
	run(f, "gate");
	set_usage(f, 0);
	dispatch_after(f, SEC);
	assert_int_equal(f->n, 1);
	dispatch_after(f, 10 * SEC);
	expect(f, 1, MP_RESULT_DONE, "let go after 10.0 s: at its deadline (0.0 % of the limit)");
}

static void usage_that_cannot_be_read_is_no_room(void **state)
{
	struct fixture *f = *state;

	run(f, "gate");
	tree_write(&f->tree, "/cg/app/memory.current", "garbage\n");
	dispatch_after(f, SEC);
	assert_int_equal(f->n, 1);
	dispatch_after(f, 10 * SEC);
	expect(f, 1, MP_RESULT_DONE, "let go after 10.0 s: at its deadline");
	assert_true(f->results[1].event.usage_after == MP_UNKNOWN);
	assert_true(f->results[1].event.freed_bytes == MP_UNKNOWN);
}

static void a_process_that_ends_is_held_no_more(void **state)
{
	struct fixture *f = *state;

	run(f, "gate");
	mp_actions_process_gone(f->actions, f->child + 1);
	assert_int_equal(f->n, 1);
	end_child(f->child);
	mp_actions_process_gone(f->actions, f->child);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->results[1].event.result, MP_RESULT_DONE);
	assert_non_null(
		strstr(f->results[1].detail, ": its process has ended (95.0 % of the limit)"));
	dispatch_after(f, 60 * SEC);
	assert_int_equal(f->n, 2);
	f->child = 0;
}

static void the_end_of_the_monitor_lets_go(void **state)
{
	struct fixture *f = *state;

	run(f, "gate");
	mp_actions_free(f->actions);
	f->actions = NULL;
	assert_int_equal(f->n, 2);
	assert_non_null(strstr(f->results[1].detail, ": the monitor ends (95.0 % of the limit)"));
	wait_for_state(f->child, "SR");
	assert_int_equal(f->n_opened, 1);
	assert_int_equal(f->n_looked, 0);
}

static void a_gate_without_a_slot_in_the_journal_still_opens(void **state)
{
	struct fixture *f = *state;
	const struct mp_undo_what what = {.kind = MP_UNDO_UNLINK, .path = "/no/such/file"};

	for (size_t i = 0; i < MP_UNDO_SLOTS; i++)
		assert_true(mp_undo_arm(f->undo, &what) >= 0);
	run(f, "gate");
	expect(f, 0, MP_RESULT_DONE, "stopped before load; deadline 10.0 s");
	dispatch_after(f, 10 * SEC);
	wait_for_state(f->child, "SR");
	assert_int_equal(mp_undo_run_all(f->undo), MP_UNDO_SLOTS);
}

static void what_cannot_be_held_is_let_go_at_once(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < MP_HOLDS; i++)
		run(f, "gate");
	assert_int_equal(f->n_opened, 0);
	run(f, "gate");
	expect(f, MP_HOLDS, MP_RESULT_FAILED, "let go at once: 64 are held already");
	assert_int_equal(f->n_opened, 1);
	wait_for_state(f->child, "SR");
	dispatch_after(f, 10 * SEC);
	assert_int_equal(f->n, 2 * MP_HOLDS + 1);
}

static void only_the_entry_of_a_gated_point_is_gated(void **state)
{
	struct fixture *f = *state;

	f->cause.probe.gate = MP_GATE_WOULD;
	run(f, "gate");
	expect(f, 0, MP_RESULT_WOULD, "it would be stopped before load");
	f->cause.probe.gate = MP_GATE_NONE;
	run(f, "gate");
	f->cause.type = MP_EVENT_PRESSURE;
	f->cause.pressure = (struct mp_event_pressure){0};
	run(f, "gate");
	assert_int_equal(f->n, 1);
	assert_int_equal(read_process(f->child).state, 'T');
	assert_int_equal(f->n_opened, 0);
}

/* The timer ticks as long as something is held, and no longer. */
static void holds_are_looked_at_by_the_clock(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.fd = mp_actions_fd(f->actions), .events = POLLIN};

	assert_int_equal(poll(&p, 1, 0), 0);
	run(f, "gate");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(poll(&p, 1, 60000), 1);
		mp_actions_dispatch(f->actions, mp_clock_now_ns());
		assert_int_equal(f->n, 1);
	}
	set_usage(f, 10);
	assert_int_equal(poll(&p, 1, 60000), 1);
	mp_actions_dispatch(f->actions, mp_clock_now_ns());
	assert_int_equal(f->n, 2);
	assert_int_equal(poll(&p, 1, 100), 0);
}

/* --- throttle -------------------------------------------------------------------- */

static void high_is_lowered_to_the_working_set_and_restored(void **state)
{
	struct fixture *f = *state;

	/* So many digits that nothing of the longer number stays in a file that is no control file.
	 */
	tree_write(&f->tree, "/cg/app/memory.high", "999999999\n");
	tree_write(&f->tree, "/cg/app/memory.stat", "inactive_file 52428800\n");
	run(f, "throttle");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_DONE,
	       "memory.high lowered to 900 MiB, was 999999999; at most 1m00s");
	expect_file(f, "/cg/app/memory.high", "943718400\n");
	assert_true(f->results[0].event.duration_ns == MP_UNKNOWN);

	/* It is one for the domain, whoever asks. */
	f->decision.pid = 1;
	run(f, "throttle");
	expect(f, 1, MP_RESULT_SKIPPED, "under way already");

	/* 82 %: where gc is left. */
	set_usage(f, 870);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + SEC);
	assert_int_equal(f->n, 2);
	set_usage(f, 869);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + 2 * SEC);
	assert_int_equal(f->n, 3);
	expect(f, 2, MP_RESULT_DONE,
	       "memory.high restored after 2.00 s: room again (81.9 % of the limit)");
	expect_file(f, "/cg/app/memory.high", "999999999\n");
	assert_int_equal(f->results[2].event.pid, f->child);
}

static void a_throttle_has_a_deadline(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "/cg/app/memory.high", "999999999\n");
	run(f, "throttle");
	wait_for_results(f, 1);
	/* The process that it began with is not what it is about. */
	mp_actions_process_gone(f->actions, f->child);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + 60 * SEC);
	expect(f, 1, MP_RESULT_DONE,
	       "memory.high restored after 1m00s: at its deadline (95.0 % of the limit)");
	expect_file(f, "/cg/app/memory.high", "999999999\n");
}

static void a_throttle_is_not_for_every_domain(void **state)
{
	struct fixture *f = *state;

	f->decision.limit_cgroup = NULL;
	run(f, "throttle");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_SKIPPED, "the host has no memory.high");
	f->decision.limit_cgroup = "/gone";
	run(f, "throttle");
	wait_for_results(f, 2);
	expect(f, 1, MP_RESULT_FAILED, "the usage of its group cannot be read");
	f->decision.limit_cgroup = "/app";
	tree_write(&f->tree, "/cg/app/memory.high", "4096\n");
	run(f, "throttle");
	wait_for_results(f, 3);
	expect(f, 2, MP_RESULT_SKIPPED, "memory.high is at 4096 bytes already");
	expect_file(f, "/cg/app/memory.high", "4096\n");
}

/* Who is to let go must not be slowed down. */
static void a_throttle_spares_the_monitor(void **state)
{
	struct fixture *f = *state;
	char own[64];

	snprintf(own, sizeof(own), "/proc/%d/cgroup", (int)getpid());
	tree_write(&f->tree, own, "0::/app\n");
	run(f, "throttle");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_SKIPPED, "the monitor itself is in that group");
	expect_file(f, "/cg/app/memory.high", "9999999999\n");
}

static void what_is_over_already_is_not_acted_on(void **state)
{
	struct fixture *f = *state;

	f->decision.some_pct = -1;
	set_usage(f, 869);
	run(f, "throttle");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_SKIPPED, "usage is below the threshold again");
	expect_file(f, "/cg/app/memory.high", "9999999999\n");
}

static void what_could_not_be_undone_is_not_done(void **state)
{
	struct fixture *f = *state;
	const struct mp_undo_what what = {.kind = MP_UNDO_UNLINK, .path = "/no/such/file"};

	for (size_t i = 0; i < MP_UNDO_SLOTS; i++)
		assert_true(mp_undo_arm(f->undo, &what) >= 0);
	run(f, "throttle");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_FAILED,
	       "not done, as it could not be undone: No space left on device");
	expect_file(f, "/cg/app/memory.high", "9999999999\n");
	assert_int_equal(mp_undo_run_all(f->undo), MP_UNDO_SLOTS);
}

/* --- freeze ---------------------------------------------------------------------- */

static void put_group(const struct fixture *f, const char *more_pids)
{
	char text[64];

	snprintf(text, sizeof(text), "%d\n%s", (int)f->child, more_pids);
	tree_write(&f->tree, "/cg/app/cgroup.procs", text);
	tree_write(&f->tree, "/cg/app/cgroup.freeze", "0\n");
	tree_write(&f->tree, "/cg/app/cgroup.events", "populated 1\nfrozen 1\n");
}

static void a_group_is_frozen_and_thawed(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	run(f, "freeze");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_DONE, "froze its group, 1 process; at most 10.0 s");
	expect_file(f, "/cg/app/cgroup.freeze", "1\n");
	run(f, "freeze");
	wait_for_results(f, 2);
	expect(f, 1, MP_RESULT_SKIPPED, "its group is frozen already");
	set_usage(f, 850);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + SEC);
	assert_int_equal(f->n, 2);
	set_usage(f, 849);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + 3 * SEC);
	expect(f, 2, MP_RESULT_DONE, "thawed after 3.00 s: room again (84.9 % of the limit)");
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
}

static void a_freeze_ends_with_its_process_or_its_time(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	run(f, "freeze");
	wait_for_results(f, 1);
	mp_actions_dispatch(f->actions, f->results[0].ts_ns + 10 * SEC);
	expect(f, 1, MP_RESULT_DONE, "thawed after 10.0 s: at its deadline (95.0 % of the limit)");
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
	run(f, "freeze");
	wait_for_results(f, 3);
	expect_file(f, "/cg/app/cgroup.freeze", "1\n");
	mp_actions_process_gone(f->actions, f->child);
	assert_non_null(strstr(f->results[3].detail, "its process has ended"));
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
}

static void the_end_of_the_monitor_thaws(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	run(f, "freeze");
	/* Still with the worker, or held already: both are undone. */
	mp_actions_free(f->actions);
	f->actions = NULL;
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
	assert_true(f->n >= 1);
}

static void one_that_must_not_be_frozen_protects_its_group(void **state)
{
	struct fixture *f = *state;
	char detail[MP_JOB_DETAIL];
	char more[32];

	snprintf(more, sizeof(more), "%d\n", (int)getpid());
	put_group(f, more);
	show_process(f, getpid());
	run(f, "freeze");
	wait_for_results(f, 1);
	snprintf(detail, sizeof(detail), "its group holds %s[%d]: it is the monitor itself",
		 read_process(getpid()).comm, (int)getpid());
	expect(f, 0, MP_RESULT_SKIPPED, detail);
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
}

static void a_protected_process_is_not_frozen(void **state)
{
	struct fixture *f = *state;
	struct mp_process process = read_process(f->child);
	char *names[] = {process.comm};

	f->policy.protect_comm = names;
	f->policy.n_protect_comm = 1;
	put_group(f, "");
	run(f, "freeze");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_SKIPPED, "its name is protected by the policy");
	f->policy.n_protect_comm = 0;
}

static void nothing_but_a_living_process_has_a_group_to_freeze(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	f->decision.pid = 0;
	run(f, "freeze");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_SKIPPED, "no target of the domain may be touched");
	f->decision.pid = 999999999;
	run(f, "freeze");
	wait_for_results(f, 2);
	expect(f, 1, MP_RESULT_SKIPPED, "it has ended already");
}

static void a_group_that_does_not_freeze_is_thawed(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	tree_write(&f->tree, "/cg/app/cgroup.events", "populated 1\nfrozen 0\n");
	run(f, "freeze");
	wait_for_results(f, 1);
	expect(f, 0, MP_RESULT_FAILED, "not frozen within 1 s, and thawed again");
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
}

static void without_enforce_nothing_is_touched(void **state)
{
	struct fixture *f = *state;

	put_group(f, "");
	mp_actions_free(f->actions);
	assert_int_equal(make_actions(f, false), 0);
	run(f, "freeze");
	run(f, "throttle");
	assert_int_equal(f->n, 2);
	expect(f, 0, MP_RESULT_WOULD, "with --enforce it would freeze the group of the process");
	expect(f, 1, MP_RESULT_WOULD,
	       "with --enforce it would lower memory.high of its domain to the working set");
	expect_file(f, "/cg/app/cgroup.freeze", "0\n");
	expect_file(f, "/cg/app/memory.high", "9999999999\n");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gated_process_goes_on_when_there_is_room),
		TEST(a_gate_has_a_deadline),
		TEST(the_size_of_the_call_counts),
		TEST(a_size_above_the_limit_never_has_room),
		TEST(usage_that_cannot_be_read_is_no_room),
		TEST(a_process_that_ends_is_held_no_more),
		TEST(the_end_of_the_monitor_lets_go),
		TEST(a_gate_without_a_slot_in_the_journal_still_opens),
		TEST(what_cannot_be_held_is_let_go_at_once),
		TEST(only_the_entry_of_a_gated_point_is_gated),
		TEST(holds_are_looked_at_by_the_clock),
		TEST(high_is_lowered_to_the_working_set_and_restored),
		TEST(a_throttle_has_a_deadline),
		TEST(a_throttle_is_not_for_every_domain),
		TEST(a_throttle_spares_the_monitor),
		TEST(what_is_over_already_is_not_acted_on),
		TEST(what_could_not_be_undone_is_not_done),
		TEST(a_group_is_frozen_and_thawed),
		TEST(a_freeze_ends_with_its_process_or_its_time),
		TEST(the_end_of_the_monitor_thaws),
		TEST(one_that_must_not_be_frozen_protects_its_group),
		TEST(a_protected_process_is_not_frozen),
		TEST(nothing_but_a_living_process_has_a_group_to_freeze),
		TEST(a_group_that_does_not_freeze_is_thawed),
		TEST(without_enforce_nothing_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
