// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <cmocka.h>

#include "action/report.h"
#include "action/work.h"
#include "base/fsroot.h"
#include "tree.h"

#define MAX_SEEN 64
#define MINUTE_NS 60000000000ULL

/* Jobs of the test say where they are, and go on when a byte comes. */
struct fixture {
	struct mp_actions actions;
	struct mp_workers *workers;
	struct mp_policy policy;
	struct mp_cgroups cg;
	struct tree tree;
	struct mp_event_decision decision;
	struct mp_event cause;
	int begun[2];
	int go[2];
	char seen[MAX_SEEN][64]; /* names of jobs in the order of their end */
	struct mp_job jobs[MAX_SEEN];
	size_t n;
};

static struct fixture *fixture_of(struct mp_actions *actions)
{
	return (struct fixture *)((char *)actions - offsetof(struct fixture, actions));
}

static void quick_work(struct mp_actions *actions, struct mp_job *job)
{
	(void)actions;
	mp_job_end(job, MP_RESULT_DONE, "did %s", job->name);
}

static void waiting_work(struct mp_actions *actions, struct mp_job *job)
{
	struct fixture *f = fixture_of(actions);
	char byte;

	assert_int_equal(write(f->begun[1], "b", 1), 1);
	if (read(f->go[0], &byte, 1) == 1)
		mp_job_end(job, MP_RESULT_DONE, "went on");
	else
		mp_job_end(job, MP_RESULT_FAILED, "%s", strerror(errno));
}

static void silent_work(struct mp_actions *actions, struct mp_job *job)
{
	(void)actions;
	(void)job;
}

static void masked_work(struct mp_actions *actions, struct mp_job *job)
{
	sigset_t mask;

	(void)actions;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	mp_job_end(job, MP_RESULT_DONE, "%d %d %d", sigismember(&mask, SIGINT),
		   sigismember(&mask, SIGTERM), sigismember(&mask, SIGCHLD));
}

static const struct mp_action_ops quick = {.name = "quick", .work = quick_work};
static const struct mp_action_ops waiting = {.name = "waiting", .work = waiting_work};
static const struct mp_action_ops silent = {.name = "silent", .work = silent_work};
static const struct mp_action_ops masked = {.name = "masked", .work = masked_work};
static const struct mp_action_ops urgent = {.name = "urgent", .work = quick_work, .urgent = true};
static const struct mp_action_ops whole = {
	.name = "whole", .work = waiting_work, .whole_domain = true};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	f->cg.fs.root = f->tree.root;
	f->cg.mode = MP_CGROUP_V2;
	strcpy(f->cg.memory_mount, "/cg");
	strcpy(f->cg.unified_mount, "/cg");
	tree_write(&f->tree, "/cg/app/memory.current", "910\n");
	tree_write(&f->tree, "/cg/app/memory.max", "1000\n");
	tree_write(&f->tree, "/cg/app/memory.stat", "inactive_file 0\n");
	f->policy.threshold_pct[MP_SEVERITY_WARNING] = 75;
	f->policy.threshold_pct[MP_SEVERITY_GC] = 85;
	f->policy.threshold_pct[MP_SEVERITY_CRITICAL] = 90;
	f->policy.hysteresis_pct = 3;
	f->policy.some_pct = 10;
	f->policy.full_pct = 5;
	f->actions.o.policy = &f->policy;
	f->actions.o.cgroups = &f->cg;
	f->decision = (struct mp_event_decision){.severity = MP_SEVERITY_CRITICAL,
						 .point = "load",
						 .cgroup = "/app/sub",
						 .limit_cgroup = "/app",
						 .some_pct = -1,
						 .full_pct = -1};
	f->cause = (struct mp_event){.ts_ns = 1000, .realtime_ns = 5000};
	assert_int_equal(pipe2(f->begun, O_CLOEXEC), 0);
	assert_int_equal(pipe2(f->go, O_CLOEXEC), 0);
	f->workers = f->actions.workers = mp_workers_new(&f->actions);
	*state = f;
	return f->workers ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mp_workers_free(f->workers);
	for (int i = 0; i < 2; i++) {
		close(f->begun[i]);
		close(f->go[i]);
	}
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static int submit_for(struct fixture *f, const struct mp_action_ops *ops, uint32_t pid)
{
	const struct mp_action_request request = {
		.decision = &f->decision, .cause = &f->cause, .name = ops->name};

	f->decision.pid = pid;
	return mp_workers_submit(f->workers, ops, &request);
}

static void note(struct mp_actions *actions, struct mp_job *job)
{
	struct fixture *f = fixture_of(actions);

	assert_true(f->n < MAX_SEEN);
	f->jobs[f->n] = *job;
	strcpy(f->seen[f->n++], job->name);
}

static void collect(struct fixture *f, size_t n)
{
	while (f->n < n) {
		struct pollfd p = {.fd = mp_workers_fd(f->workers), .events = POLLIN};

		assert_int_equal(poll(&p, 1, 60000), 1);
		mp_workers_collect(f->workers, note);
	}
	assert_int_equal(f->n, n);
}

/* Until so many jobs have begun to wait. */
static void wait_begun(const struct fixture *f, size_t n)
{
	char byte;

	while (n--)
		assert_int_equal(read(f->begun[0], &byte, 1), 1);
}

static void let_go(const struct fixture *f, size_t n)
{
	while (n--)
		assert_int_equal(write(f->go[1], "g", 1), 1);
}

/* One for each worker, so that what comes then has to wait. */
static void occupy(struct fixture *f)
{
	for (uint32_t i = 0; i < MP_WORKERS; i++)
		assert_int_equal(submit_for(f, &waiting, 100 + i), 0);
	wait_begun(f, MP_WORKERS);
}

static void a_job_is_done_and_handed_back(void **state)
{
	struct fixture *f = *state;
	const struct mp_job *job = &f->jobs[0];

	assert_int_equal(submit_for(f, &quick, 7), 0);
	collect(f, 1);
	assert_int_equal(job->result, MP_RESULT_DONE);
	assert_string_equal(job->detail, "did quick");
	assert_string_equal(job->point, "load");
	assert_string_equal(job->cgroup, "/app/sub");
	assert_string_equal(job->domain, "/app");
	assert_true(job->has_cgroup && job->has_domain);
	assert_int_equal(job->pid, 7);
	assert_int_equal(job->severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(job->ts_ns, 1000);
	assert_int_equal(job->realtime_ns, 5000);
	assert_true(job->started_ns && job->ended_ns >= job->started_ns);
	assert_int_equal(job->before.limit, 0);
	assert_int_equal(job->undo, -1);
}

static void a_job_that_says_nothing_has_failed(void **state)
{
	struct fixture *f = *state;

	f->decision.limit_cgroup = NULL;
	f->decision.cgroup = NULL;
	f->decision.point = NULL;
	assert_int_equal(submit_for(f, &silent, 0), 0);
	collect(f, 1);
	assert_int_equal(f->jobs[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->jobs[0].detail, "");
	assert_string_equal(f->jobs[0].point, "");
	assert_false(f->jobs[0].has_cgroup);
	assert_null(mp_job_domain(&f->jobs[0]));
}

static void workers_get_no_signals(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit_for(f, &masked, 0), 0);
	collect(f, 1);
	assert_string_equal(f->jobs[0].detail, "1 1 1");
}

static void urgent_work_passes_what_waits(void **state)
{
	struct fixture *f = *state;

	occupy(f);
	assert_int_equal(submit_for(f, &quick, 1), 0);
	assert_int_equal(submit_for(f, &quick, 2), 0);
	assert_int_equal(submit_for(f, &urgent, 3), 0);
	assert_int_equal(submit_for(f, &urgent, 4), 0);
	/* One worker does all that waits, in order. */
	let_go(f, 1);
	collect(f, 5);
	assert_string_equal(f->seen[0], "waiting");
	assert_int_equal(f->jobs[1].pid, 3);
	assert_int_equal(f->jobs[2].pid, 4);
	assert_int_equal(f->jobs[3].pid, 1);
	assert_int_equal(f->jobs[4].pid, 2);
	let_go(f, MP_WORKERS - 1);
	collect(f, MP_WORKERS + 4);
}

static void the_same_is_not_done_twice_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit_for(f, &waiting, 1), 0);
	wait_begun(f, 1);
	assert_int_equal(submit_for(f, &waiting, 1), -EBUSY);
	/* Another action, another process, another domain: something else. */
	assert_int_equal(submit_for(f, &quick, 1), 0);
	assert_int_equal(submit_for(f, &waiting, 2), 0);
	f->decision.limit_cgroup = NULL;
	assert_int_equal(submit_for(f, &waiting, 1), 0);
	let_go(f, 3);
	collect(f, 4);
	assert_int_equal(submit_for(f, &waiting, 1), 0);
	let_go(f, 1);
	collect(f, 5);
}

static void work_on_a_whole_domain_is_one_whoever_asks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(submit_for(f, &whole, 1), 0);
	assert_int_equal(submit_for(f, &whole, 2), -EBUSY);
	f->decision.limit_cgroup = "/other";
	assert_int_equal(submit_for(f, &whole, 2), 0);
	let_go(f, 2);
	collect(f, 2);
}

static void slots_are_bounded(void **state)
{
	struct fixture *f = *state;

	occupy(f);
	for (uint32_t i = MP_WORKERS; i < MP_JOBS; i++)
		assert_int_equal(submit_for(f, &quick, i), 0);
	assert_int_equal(submit_for(f, &urgent, 99), -ENOSPC);
	let_go(f, MP_WORKERS);
	collect(f, MP_JOBS);
	assert_int_equal(submit_for(f, &urgent, 99), 0);
	collect(f, MP_JOBS + 1);
}

static void names_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	char path[MP_JOB_PATH + 1];

	memset(path, 'x', sizeof(path));
	path[MP_JOB_PATH] = '\0';
	f->decision.limit_cgroup = path;
	assert_int_equal(submit_for(f, &quick, 1), -ENAMETOOLONG);
	path[MP_JOB_PATH - 1] = '\0';
	assert_int_equal(submit_for(f, &quick, 1), 0);
	collect(f, 1);
	assert_string_equal(f->jobs[0].domain, path);
}

static void stopping_drops_what_waits_and_lets_the_rest_end(void **state)
{
	struct fixture *f = *state;

	occupy(f);
	assert_int_equal(submit_for(f, &quick, 1), 0);
	let_go(f, MP_WORKERS);
	mp_workers_stop(f->workers, MINUTE_NS);
	assert_true(mp_workers_stopping(f->workers));
	assert_int_equal(submit_for(f, &quick, 2), -ESHUTDOWN);
	collect(f, MP_WORKERS + 1);
	for (size_t i = 0; i < f->n; i++) {
		bool ran = strcmp(f->seen[i], "waiting") == 0;

		assert_int_equal(f->jobs[i].result, ran ? MP_RESULT_DONE : MP_RESULT_SKIPPED);
		assert_string_equal(f->jobs[i].detail,
				    ran ? "went on" : "the monitor ended before it began");
	}
}

/* read() in a job would wait for ever. */
static void work_that_does_not_end_is_interrupted(void **state)
{
	struct fixture *f = *state;

	occupy(f);
	mp_workers_stop(f->workers, 0);
	collect(f, MP_WORKERS);
	assert_int_equal(f->jobs[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->jobs[0].detail, strerror(EINTR));
}

static void details_are_clean_and_cut(void **state)
{
	struct mp_job job = {0};
	char text[2 * MP_JOB_DETAIL];

	(void)state;
	mp_job_end(&job, MP_RESULT_SKIPPED, "%s[%d]", "a\n\033[31m\xff", 7);
	assert_int_equal(job.result, MP_RESULT_SKIPPED);
	assert_string_equal(job.detail, "a\\n\\e[31m\\xff[7]");
	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	mp_job_detail(&job, "%s", text);
	assert_int_equal(strlen(job.detail), MP_JOB_DETAIL - 1);
}

/* --- what jobs find out -------------------------------------------------------- */

static struct mp_job job_in(const char *domain, enum mp_severity severity)
{
	struct mp_job job = {.severity = severity, .some_before_pct = -1, .full_before_pct = -1};

	if (domain) {
		job.has_domain = true;
		strcpy(job.domain, domain);
	}
	return job;
}

static void the_domain_is_sampled(void **state)
{
	struct fixture *f = *state;
	struct mp_job job = job_in("/app", MP_SEVERITY_CRITICAL);

	mp_job_sample_before(&f->actions, &job);
	assert_int_equal(job.before.usage, 910);
	assert_int_equal(job.before.limit, 1000);
	tree_write(&f->tree, "/cg/app/memory.current", "600\n");
	job.some_after_pct = -1;
	mp_job_sample_after(&f->actions, &job);
	assert_int_equal(job.after.usage, 600);
	assert_true(job.ended_ns > 0);
	assert_true(job.some_after_pct < 0);
	tree_write(&f->tree, "/cg/app/memory.pressure",
		   "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
		   "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
	mp_job_sample_after(&f->actions, &job);
	assert_true(job.some_after_pct == 0);
}

static void a_group_that_is_gone_is_not_known(void **state)
{
	struct fixture *f = *state;
	struct mp_job job = job_in("/gone", MP_SEVERITY_WARNING);

	mp_job_sample_before(&f->actions, &job);
	assert_int_equal(job.before.limit, 0);
	assert_false(mp_job_still_over(&f->actions, &job));
}

static void whether_it_is_still_over_is_asked_again(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum mp_severity severity;
		const char *usage;
		double some_pct;
		double full_pct;
		bool over;
	} rows[] = {
		{MP_SEVERITY_CRITICAL, "910\n", -1, -1, true},
		{MP_SEVERITY_CRITICAL, "870\n", -1, -1, true}, /* left below 87 % */
		{MP_SEVERITY_CRITICAL, "869\n", -1, -1, false},
		{MP_SEVERITY_CRITICAL, "869\n", 9.9, 4.9, false},
		{MP_SEVERITY_CRITICAL, "869\n", 10, 4.9, true},
		{MP_SEVERITY_CRITICAL, "750\n", 99, 4.9, false},
		{MP_SEVERITY_CRITICAL, "750\n", 99, 5, true},
		{MP_SEVERITY_GC, "820\n", -1, -1, true},
		{MP_SEVERITY_GC, "819\n", -1, -1, false},
		{MP_SEVERITY_WARNING, "999\n", -1, -1, true},
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct mp_job job = job_in("/app", rows[i].severity);

		job.some_before_pct = rows[i].some_pct;
		job.full_before_pct = rows[i].full_pct;
		tree_write(&f->tree, "/cg/app/memory.current", rows[i].usage);
		if (mp_job_still_over(&f->actions, &job) != rows[i].over)
			fail_msg("row %zu", i);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_is_done_and_handed_back),
		TEST(a_job_that_says_nothing_has_failed),
		TEST(workers_get_no_signals),
		TEST(urgent_work_passes_what_waits),
		TEST(the_same_is_not_done_twice_at_once),
		TEST(work_on_a_whole_domain_is_one_whoever_asks),
		TEST(slots_are_bounded),
		TEST(names_that_do_not_fit_are_refused),
		TEST(stopping_drops_what_waits_and_lets_the_rest_end),
		TEST(work_that_does_not_end_is_interrupted),
		cmocka_unit_test(details_are_clean_and_cut),
		TEST(the_domain_is_sampled),
		TEST(a_group_that_is_gone_is_not_known),
		TEST(whether_it_is_still_over_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
