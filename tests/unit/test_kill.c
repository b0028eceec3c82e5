// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "action/scope.h"
#include "action/status.h"
#include "action/victim.h"
#include "base/clock.h"
#include "engine.h"

/* --- whom: pure ---------------------------------------------------------------------- */

static pid_t chosen(const struct mp_victim *victims, size_t n, uint64_t total)
{
	const struct mp_victim *v = mp_victim_choose(victims, n, total);

	return v ? v->who.pid : 0;
}

static void test_badness_counts_memory_and_adj(void **state)
{
	struct mp_victim v = {.memory_bytes = 30 * MIB};

	(void)state;
	assert_int_equal(mp_victim_badness(&v, 100000), 30 * MIB);
	v.who.oom_score_adj = 1000;
	assert_int_equal(mp_victim_badness(&v, 100000), 30 * MIB + 100000);
	v.who.oom_score_adj = -999;
	assert_int_equal(mp_victim_badness(&v, 100000), 30 * (int64_t)MIB - 99900);
	v.who.oom_score_adj = 1000;
	assert_int_equal(mp_victim_badness(&v, UINT64_MAX / 4),
			 30 * MIB + UINT64_MAX / 4 / 1000 * 1000);
}

/* As the kernel's own: a small one that offers itself before a large one that does not. */
static void test_adj_1000_goes_first(void **state)
{
	static const struct mp_victim victims[] = {
		{.who.pid = 11, .memory_bytes = 40 * MIB},
		{.who.pid = 12, .memory_bytes = 10 * MIB, .who.oom_score_adj = 1000},
		{.who.pid = 13, .memory_bytes = 30 * MIB},
	};

	(void)state;
	assert_int_equal(chosen(victims, 3, 80 * MIB), 12);
}

/* On the host's scale, adj 100 of 4 GiB would outweigh both; on the group's it is 8 MiB. */
static void test_adj_is_on_the_scale_of_the_domain(void **state)
{
	static const struct mp_victim victims[] = {
		{.who.pid = 11, .memory_bytes = 10 * MIB, .who.oom_score_adj = 100},
		{.who.pid = 12, .memory_bytes = 30 * MIB},
	};

	(void)state;
	assert_int_equal(chosen(victims, 2, 80 * MIB), 12);
	assert_int_equal(chosen(victims, 2, 4096 * MIB), 11);
}

static void test_negative_adj_goes_last(void **state)
{
	static const struct mp_victim victims[] = {
		{.who.pid = 11, .memory_bytes = 90 * MIB, .who.oom_score_adj = -999},
		{.who.pid = 12, .memory_bytes = MIB},
	};

	(void)state;
	assert_int_equal(chosen(victims, 2, 100 * MIB), 12);
	assert_int_equal(chosen(victims, 1, 100 * MIB), 11);
}

static void test_equals_go_by_memory_then_by_youth(void **state)
{
	static const struct mp_victim victims[] = {
		{.who.pid = 11, .memory_bytes = 20000, .who.start_time = 9},
		{.who.pid = 12, .memory_bytes = 19000, .who.oom_score_adj = 1, .who.start_time = 9},
		{.who.pid = 13, .memory_bytes = 20000, .who.start_time = 10},
	};

	(void)state;
	assert_int_equal(chosen(victims, 2, 1000000), 11); /* a badness of 20000 each */
	assert_int_equal(chosen(victims, 3, 1000000), 13);
}

static void test_who_may_not_be_killed_is_passed_over(void **state)
{
	static const struct mp_victim victims[] = {
		{.who.pid = 11, .memory_bytes = 90 * MIB, .objection = "it is this program"},
		{.who.pid = 12, .memory_bytes = 50 * MIB, .is_ending = true},
		{.who.pid = 13, .memory_bytes = MIB},
	};

	(void)state;
	assert_int_equal(chosen(victims, 3, 100 * MIB), 13);
	assert_int_equal(chosen(victims, 2, 100 * MIB), 0);
	assert_int_equal(chosen(victims, 0, 100 * MIB), 0);
}

static void test_scope_is_the_group_and_below(void **state)
{
	(void)state;
	assert_true(mp_scope_holds("/app", "/app"));
	assert_true(mp_scope_holds("/app", "/app/worker"));
	assert_false(mp_scope_holds("/app", "/app2"));
	assert_false(mp_scope_holds("/app", "/"));
	assert_false(mp_scope_holds("/app/worker", "/app"));
	assert_true(mp_scope_holds("/", "/app"));
	assert_true(mp_scope_holds(NULL, "/app"));
}

static void test_wanted_is_down_to_where_the_severity_is_left(void **state)
{
	struct mp_policy MP_POLICY policy = {0};
	struct mp_domain_sample sample = {.limit = 1000, .working_set = 900};
	uint64_t wanted = 7;

	(void)state;
	assert_int_equal(mp_policy_default(&policy), 0); /* critical 90, hysteresis 3 */
	assert_true(mp_scope_wanted(&policy, MP_SEVERITY_CRITICAL, &sample, &wanted));
	assert_int_equal(wanted, 31);
	sample.working_set = 870;
	assert_true(mp_scope_wanted(&policy, MP_SEVERITY_CRITICAL, &sample, &wanted));
	assert_int_equal(wanted, 1); /* it is left below 87 % */
	sample.working_set = 869;
	assert_true(mp_scope_wanted(&policy, MP_SEVERITY_CRITICAL, &sample, &wanted));
	assert_int_equal(wanted, 0);
	assert_true(mp_scope_wanted(&policy, MP_SEVERITY_WARNING, &sample, &wanted));
	assert_int_equal(wanted, 150);
	assert_true(mp_scope_wanted(&policy, MP_SEVERITY_NORMAL, &sample, &wanted));
	assert_int_equal(wanted, 0);
	sample.limit = MP_UNKNOWN;
	assert_false(mp_scope_wanted(&policy, MP_SEVERITY_CRITICAL, &sample, &wanted));
	sample.limit = 0;
	assert_false(mp_scope_wanted(&policy, MP_SEVERITY_CRITICAL, &sample, &wanted));
}

/* --- /proc/PID/status ---------------------------------------------------------------- */

#define STATUS_HEAD                                                                                \
	"Name:\tVmRSS: 5 kB\\nState:\tT\nUmask:\t0022\nState:\tS "                                 \
	"(sleeping)\nTgid:\t77\nPid:\t77\n"

static void test_status(void **state)
{
	struct mp_status status;

	(void)state;
	assert_int_equal(mp_status_parse(STATUS_HEAD "NSpid:\t77\t12\t3\nUid:\t0\t1000\t0\t0\n"
						     "VmRSS:\t  40 kB\nVmPTE:\t  8 kB\n"
						     "VmSwap:\t  12 kB\nSigPnd:\t0000000000000000\n"
						     "ShdPnd:\t0000000000000000\n",
					 &status),
			 0);
	assert_int_equal(status.state, 'S');
	assert_int_equal(status.uid, 1000);
	assert_int_equal(status.own_pid, 3);
	assert_true(status.has_memory);
	assert_false(status.kill_pending);
	assert_int_equal(status.rss, 40960);
	assert_int_equal(status.page_tables, 8192);
	assert_int_equal(status.swap, 12288);
}

static void test_status_of_one_that_ends(void **state)
{
	struct mp_status status;

	(void)state;
	assert_int_equal(mp_status_parse(STATUS_HEAD "Uid:\t0\t0\t0\t0\nVmRSS:\t40 kB\n"
						     "SigPnd:\t0000000000000100\n",
					 &status),
			 0);
	assert_true(status.kill_pending);
	assert_int_equal(status.own_pid, 77);
	assert_int_equal(mp_status_parse(STATUS_HEAD "Uid:\t0\t0\t0\t0\n"
						     "ShdPnd:\t0000000000004000\n",
					 &status),
			 0);
	assert_false(status.kill_pending); /* SIGTERM */
	assert_false(status.has_memory);
	assert_int_equal(status.rss, 0);
}

static void test_status_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		"State:",
		"State:\t\n",
		STATUS_HEAD,
		STATUS_HEAD "Uid:\t0\n",
		"State:\tS\nUid:\t0\t0\n",
		"State:\tS\nUid:\t0\t0\nNSpid:\t\n",
		"State:\tS\nUid:\t0\t0\nPid:\t0\n",
		"State:\tS\nUid:\t0\t0\nNSpid:\tx\n",
	};
	struct mp_status status = {.state = '!'};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(texts); i++) {
		assert_int_equal(mp_status_parse(texts[i], &status), -EBADMSG);
		assert_int_equal(status.state, '!');
	}
}

/* --- real processes ------------------------------------------------------------------ */

struct fixture {
	struct engine engine;
	pid_t children[4];
	size_t n;
	volatile int *shared; /* also the children's */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	engine_init(&f->engine, 95);
	f->engine.job.ts_ns = mp_clock_now_ns() + 1000000000; /* every child began before */
	f->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n; i++) {
		kill(f->children[i], SIGKILL);
		waitpid(f->children[i], NULL, 0);
	}
	munmap((void *)f->shared, 4096);
	engine_free(&f->engine);
	free(f);
	return 0;
}

/* A target that runs `body` and then waits for signals. */
static pid_t start(struct fixture *f, void (*body)(struct fixture *f))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ready[0]);
		if (body)
			body(f);
		(void)!write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	f->children[f->n++] = pid;
	engine_add(&f->engine, pid);
	return pid;
}

/* What ended the child; it is not reaped by what ended it. */
static int end_signal(struct fixture *f, pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
	for (size_t i = 0; i < f->n; i++) {
		if (f->children[i] == pid)
			f->children[i] = f->children[--f->n];
	}
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static bool is_running(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void kill_now(struct fixture *f, pid_t pid)
{
	f->engine.job.pid = pid;
	mp_kill_work(&f->engine.actions, &f->engine.job);
}

static void assert_starts(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("'%s' does not start with '%s'", text, start);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' has no '%s'", text, part);
}

static void test_sigterm_is_enough(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);

	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_int_equal(f->engine.job.acted_on, pid);
	assert_starts(f->engine.job.detail, "test_kill, ");
	assert_has(f->engine.job.detail, ": SIGTERM, ended after ");
	assert_int_equal(f->engine.job.before.usage, 95 * MIB);
	assert_int_equal(f->engine.job.after.usage, 95 * MIB);
	assert_int_equal(end_signal(f, pid), SIGTERM);
}

static struct fixture *handler_fixture; /* in a child */

static void note_and_leave(int sig)
{
	(void)sig;
	engine_set_usage(&handler_fixture->engine, 40);
	_exit(7);
}

static void leave_in_order(struct fixture *f)
{
	handler_fixture = f;
	signal(SIGTERM, note_and_leave);
}

static void test_a_handler_has_its_time(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, leave_in_order);

	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_has(f->engine.job.detail, ": SIGTERM, ended after ");
	assert_int_equal(f->engine.job.after.usage, 40 * MIB);
	assert_int_equal(end_signal(f, pid), -7);
}

static void ignore_sigterm(struct fixture *f)
{
	(void)f;
	signal(SIGTERM, SIG_IGN);
}

static void test_sigkill_after_the_grace(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, ignore_sigterm);

	f->engine.policy.kill_grace_ns = 30000000;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_has(f->engine.job.detail, ": SIGTERM, then SIGKILL after ");
	assert_has(f->engine.job.detail, " ms, ended after ");
	assert_int_equal(end_signal(f, pid), SIGKILL);
}

static void fill_on(int sig)
{
	(void)sig;
	engine_set_usage(&handler_fixture->engine, 98);
}

static void answer_by_filling(struct fixture *f)
{
	handler_fixture = f;
	signal(SIGTERM, fill_on);
}

/* Halfway between 90 % and the limit is 95 %: it was there, and rose. */
static void test_a_filler_has_no_grace(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, answer_by_filling);

	f->engine.policy.kill_grace_ns = 3600 * 1000000000ULL;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_has(f->engine.job.detail, "(usage rose to 98.0 %), ended after ");
	assert_int_equal(end_signal(f, pid), SIGKILL);
}

/* It ends by SIGTERM, not by SIGKILL, though it was stopped; its gate was opened before. */
static void test_a_stopped_process_is_let_go_to_end(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, leave_in_order);
	int status;

	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	f->engine.policy.kill_grace_ns = 3600 * 1000000000ULL;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_int_equal(f->engine.gate_opened, pid);
	assert_int_equal(end_signal(f, pid), -7);
}

static void test_named_process_that_may_not_be_killed(void **state)
{
	struct fixture *f = *state;
	char *names[] = {(char *)"test_kill"};
	pid_t pid = start(f, NULL);
	struct mp_policy kept = f->engine.policy;

	f->engine.policy.protect_comm = names;
	f->engine.policy.n_protect_comm = 1;
	kill_now(f, pid);
	f->engine.policy = kept;
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_starts(f->engine.job.detail, "test_kill: ");
	assert_has(f->engine.job.detail, "protect");
	assert_int_equal(f->engine.job.acted_on, 0);
	assert_true(is_running(pid));
}

static void test_no_target_any_more(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);

	f->engine.n_targets = 0;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "test_kill: it is no target any more");
	assert_true(is_running(pid));
	f->engine.actions.o.host.is_target = NULL;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_true(is_running(pid));
}

static void test_no_longer_over(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);

	engine_set_usage(&f->engine, 71);
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "usage fell to 71 %");
	assert_true(is_running(pid));
}

static void test_a_zombie_has_ended(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);
	siginfo_t info;

	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "it has ended already");
}

/* A process with the number that began after the cause is another one. */
static void test_a_reused_number_is_not_killed(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);

	f->engine.job.ts_ns = 1;
	kill_now(f, pid);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "it has ended already");
	assert_true(is_running(pid));
}

static void hold_memory(struct fixture *f)
{
	char *memory =
		mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)f;
	memset(memory, 1, 8 * MIB);
}

static void *hold_and_wait(void *data)
{
	hold_memory(data);
	*((struct fixture *)data)->shared = 1;
	for (;;)
		pause();
	return NULL;
}

static void end_main_thread(int sig)
{
	(void)sig;
	pthread_exit(NULL);
}

/* The main thread becomes a zombie on SIGUSR1, the other goes on with 8 MiB. */
static void hold_in_thread(struct fixture *f)
{
	pthread_t thread;

	signal(SIGUSR1, end_main_thread);
	pthread_create(&thread, NULL, hold_and_wait, f);
	while (!*f->shared)
		usleep(1000);
}

static void wait_for_zombie(pid_t pid)
{
	struct mp_process process = {0};

	while (process.state != 'Z') {
		usleep(1000);
		assert_int_equal(mp_process_read(&(struct mp_fsroot){""}, pid, &process), 0);
	}
}

static void test_worst_of_the_domain(void **state)
{
	struct fixture *f = *state;
	pid_t small = start(f, NULL);
	pid_t large = start(f, hold_memory);
	pid_t outside = start(f, hold_memory);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", outside);
	tree_write(&f->engine.tree, "/sys/fs/cgroup/app2/memory.current", "0\n");
	tree_write(&f->engine.tree, path, "0::/app2\n");
	f->engine.policy.kill_grace_ns = 3600 * 1000000000ULL;
	kill_now(f, 0);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_int_equal(f->engine.job.acted_on, large);
	assert_int_equal(end_signal(f, large), SIGTERM);
	assert_true(is_running(small));
	assert_true(is_running(outside));
}

static void test_a_zombie_main_thread_hides_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t small = start(f, NULL);
	pid_t hidden = start(f, hold_in_thread);
	struct mp_victim victim;

	kill(hidden, SIGUSR1);
	wait_for_zombie(hidden);
	assert_int_equal(mp_victim_read(&f->engine.actions, hidden, &victim), 0);
	assert_false(victim.is_ending);
	assert_true(victim.memory_bytes >= 8 * MIB);
	kill_now(f, 0);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_int_equal(f->engine.job.acted_on, hidden);
	assert_int_equal(end_signal(f, hidden), SIGTERM);
	assert_true(is_running(small));
}

static void test_nobody_in_the_domain(void **state)
{
	struct fixture *f = *state;

	kill_now(f, 0);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "no target of the domain may be touched");
}

#define REAL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_badness_counts_memory_and_adj),
		cmocka_unit_test(test_adj_1000_goes_first),
		cmocka_unit_test(test_adj_is_on_the_scale_of_the_domain),
		cmocka_unit_test(test_negative_adj_goes_last),
		cmocka_unit_test(test_equals_go_by_memory_then_by_youth),
		cmocka_unit_test(test_who_may_not_be_killed_is_passed_over),
		cmocka_unit_test(test_scope_is_the_group_and_below),
		cmocka_unit_test(test_wanted_is_down_to_where_the_severity_is_left),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_status_of_one_that_ends),
		cmocka_unit_test(test_status_malformed),
		REAL(test_sigterm_is_enough),
		REAL(test_a_handler_has_its_time),
		REAL(test_sigkill_after_the_grace),
		REAL(test_a_filler_has_no_grace),
		REAL(test_a_stopped_process_is_let_go_to_end),
		REAL(test_named_process_that_may_not_be_killed),
		REAL(test_no_target_any_more),
		REAL(test_no_longer_over),
		REAL(test_a_zombie_has_ended),
		REAL(test_a_reused_number_is_not_killed),
		REAL(test_worst_of_the_domain),
		REAL(test_a_zombie_main_thread_hides_nothing),
		REAL(test_nobody_in_the_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
