// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "abi.h"
#include "base/clock.h"
#include "base/fsroot.h"
#include "cgroup/control.h"
#include "monitor/guardian.h"
#include "processes.h"
#include "tree.h"

#define SEC 1000000000ULL
#define GATES_OPEN_AT 4104 /* not in the first page */

struct fixture {
	struct tree tree;
	struct mp_undo *undo;
	char knob[PATH_MAX];
	char socket[PATH_MAX];
	char folder[PATH_MAX];
	pid_t stopped; /* what a round of killing is about */
	int live;      /* stands for the live map, which is memory of user space all the same */
	uint64_t *gates_open;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *page;

	tree_make(&f->tree);
	tree_write(&f->tree, "/knob", "1\n");
	tree_write(&f->tree, "/made/socket", "");
	tree_path(&f->tree, "/knob", f->knob);
	tree_path(&f->tree, "/made/socket", f->socket);
	tree_path(&f->tree, "/made", f->folder);
	f->undo = mp_undo_new();
	f->live = memfd_create("live", MFD_CLOEXEC);
	if (!f->undo || f->live < 0 || ftruncate(f->live, 8192))
		return -1;
	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f->live, 0);
	f->gates_open = (uint64_t *)(page + GATES_OPEN_AT);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	munmap((char *)f->gates_open - GATES_OPEN_AT, 8192);
	close(f->live);
	mp_undo_free(f->undo);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static void expect_knob(const struct fixture *f, const char *text)
{
	MP_FREE char *data = NULL;

	assert_int_equal(mp_read_file(f->knob, 64, &data, NULL), 0);
	assert_string_equal(data, text);
}

static bool knob_is(const struct fixture *f, const char *text)
{
	MP_FREE char *data = NULL;

	assert_int_equal(mp_read_file(f->knob, 64, &data, NULL), 0);
	return strcmp(data, text) == 0;
}

static void arm_files(const struct fixture *f)
{
	const struct mp_undo_what whats[] = {
		{.kind = MP_UNDO_RMDIR, .path = f->folder},
		{.kind = MP_UNDO_UNLINK, .path = f->socket},
		{.kind = MP_UNDO_WRITE, .path = f->knob, .text = "0"},
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(whats); i++) {
		if (mp_undo_arm(f->undo, &whats[i]) < 0)
			abort();
	}
}

static void expect_files_undone(const struct fixture *f)
{
	expect_knob(f, "0\n");
	assert_int_equal(access(f->folder, F_OK), -1);
}

/*
 * A process that stands for the monitor: it starts a guardian, does `fn`, tells the
 * guardian's pid, and waits to be killed.
 */
static pid_t start_monitor(struct fixture *f, void (*fn)(struct fixture *, struct mp_guardian *),
			   pid_t *ret_guardian)
{
	int pipes[2];
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct mp_guardian *guardian;
		pid_t guardian_pid;

		if (mp_guardian_start(f->undo, &guardian, NULL))
			_exit(1);
		fn(f, guardian);
		guardian_pid = mp_guardian_pid(guardian);
		(void)!write(pipes[1], &guardian_pid, sizeof(guardian_pid));
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(pipes[1]);
	assert_int_equal(read(pipes[0], ret_guardian, sizeof(*ret_guardian)),
			 sizeof(*ret_guardian));
	close(pipes[0]);
	return pid;
}

#define ROUNDS 200
#define LONGEST_US 3000U

/* Holds and lets go as fast as it can, in the order that the actions do. */
static _Noreturn void hold_and_let_go(const struct fixture *f, uint64_t start_time)
{
	const struct mp_undo_what go_on = {
		.kind = MP_UNDO_CONTINUE, .pid = f->stopped, .start_time = start_time};
	const struct mp_undo_what thaw = {.kind = MP_UNDO_WRITE, .path = f->knob, .text = "0"};

	for (;;) {
		int first = mp_undo_arm(f->undo, &go_on);
		int second;

		kill(f->stopped, SIGSTOP);
		second = mp_undo_arm(f->undo, &thaw);
		mp_cgroup_write(f->knob, "1");
		mp_undo_run(f->undo, second);
		mp_undo_run(f->undo, first);
	}
}

/* A monitor that is killed after so many microseconds of that, and its guardian's work. */
static void kill_one_monitor(struct fixture *f, uint64_t start_time, unsigned int after_us)
{
	pid_t guardian = 0;
	int pipes[2];
	pid_t pid;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct mp_guardian *g;

		if (mp_guardian_start(f->undo, &g, NULL))
			_exit(1);
		guardian = mp_guardian_pid(g);
		(void)!write(pipes[1], &guardian, sizeof(guardian));
		hold_and_let_go(f, start_time);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], &guardian, sizeof(guardian)), sizeof(guardian));
	close(pipes[0]);
	usleep(after_us);
	end_child(pid);
	wait_for_end_of(guardian);
}

static void at_whatever_instant_it_is_killed_nothing_stays_held(void **state)
{
	struct fixture *f = *state;
	unsigned int seed = 20261122;
	uint64_t start_time;
	size_t held = 0;

	f->stopped = start_stopped();
	start_time = start_time_of(f->stopped);
	for (int i = 0; i < ROUNDS; i++) {
		tree_write(&f->tree, "/knob", "?\n");
		kill_one_monitor(f, start_time, (unsigned int)rand_r(&seed) % LONGEST_US);
		assert_int_not_equal(read_process(f->stopped).state, 'T');
		/* Written and written back, or never reached. */
		held += knob_is(f, "0\n");
		assert_true(knob_is(f, "0\n") || knob_is(f, "?\n"));
		assert_int_equal(mp_undo_run_all(f->undo), 0);
	}
	/* The rounds have been about something. */
	assert_true(held > ROUNDS / 4);
	end_child(f->stopped);
}

static void arm_only(struct fixture *f, struct mp_guardian *guardian)
{
	(void)guardian;
	arm_files(f);
}

static void all_is_undone_when_the_monitor_is_killed(void **state)
{
	struct fixture *f = *state;
	pid_t stopped = start_stopped();
	const struct mp_undo_what what = {
		.kind = MP_UNDO_CONTINUE, .pid = stopped, .start_time = start_time_of(stopped)};
	pid_t guardian;
	pid_t monitor = start_monitor(f, arm_only, &guardian);

	assert_true(mp_undo_arm(f->undo, &what) >= 0);
	expect_knob(f, "1\n");
	end_child(monitor);
	wait_for_state(stopped, "SR");
	wait_for_end_of(guardian);
	expect_files_undone(f);
	end_child(stopped);
}

/* Its name is the last thing that it sets. */
static void wait_until_set_up(pid_t guardian)
{
	for (int i = 0; strcmp(read_process(guardian).comm, "memprobe-guard") != 0; i++) {
		assert_true(i < PATIENCE_ROUNDS);
		usleep(10000);
	}
}

/* A terminal's ^C, and kill -9 of the monitor's whole group, are not for the guardian. */
static void the_guardian_is_hard_to_end(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
	struct fixture *f = *state;
	pid_t guardian;
	pid_t monitor = start_monitor(f, arm_only, &guardian);

	wait_until_set_up(guardian);
	assert_int_equal(getsid(guardian), guardian);
	assert_int_equal(getpgid(guardian), guardian);
	for (size_t i = 0; i < MP_ARRAY_SIZE(signals); i++)
		assert_int_equal(kill(guardian, signals[i]), 0);
	assert_true(is_running(guardian));
	expect_knob(f, "1\n");
	end_child(monitor);
	wait_for_end_of(guardian);
	expect_files_undone(f);
}

/* Whoever reads what the monitor writes sees its end when the monitor is gone. */
static void the_guardian_keeps_nothing_open(void **state)
{
	struct fixture *f = *state;
	char path[64];
	size_t n = 0;
	pid_t guardian;
	pid_t monitor = start_monitor(f, arm_only, &guardian);

	wait_until_set_up(guardian);
	for (int fd = 0; fd < 256; fd++) {
		char to[64] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)guardian, fd);
		if (readlink(path, to, sizeof(to) - 1) < 0)
			continue;
		n++;
		if (fd <= STDERR_FILENO)
			assert_string_equal(to, "/dev/null");
		else
			assert_true(strstr(to, "socket:") || strstr(to, "pid"));
	}
	assert_int_equal(n, 5);
	end_child(monitor);
	wait_for_end_of(guardian);
}

static void an_end_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct mp_guardian *guardian = NULL;
	pid_t pid;

	assert_int_equal(mp_guardian_start(f->undo, &guardian, NULL), 0);
	pid = mp_guardian_pid(guardian);
	assert_true(pid > 1);
	arm_files(f);
	mp_guardian_end(guardian);
	expect_files_undone(f);
	/* Neither a process nor a zombie. */
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	mp_guardian_end(NULL);
	assert_int_equal(mp_guardian_pid(NULL), 0);
}

static void a_guardian_that_was_killed_does_not_hold_up_the_end(void **state)
{
	struct fixture *f = *state;
	struct mp_guardian *guardian = NULL;

	assert_int_equal(mp_guardian_start(f->undo, &guardian, NULL), 0);
	assert_int_equal(kill(mp_guardian_pid(guardian), SIGKILL), 0);
	wait_for_end_of(mp_guardian_pid(guardian));
	assert_int_equal(mp_guardian_watch_gates(guardian, f->live, f->live, 0, SEC), -EPIPE);
	mp_guardian_end(guardian);
}

/* --- gates ---------------------------------------------------------------------- */

/* A file that is no map has no entries. */
static void watch_without_map(struct fixture *f, struct mp_guardian *guardian)
{
	if (mp_guardian_watch_gates(guardian, f->live, f->live, GATES_OPEN_AT, SEC))
		_exit(1);
}

static void gates_are_opened_when_the_monitor_is_killed(void **state)
{
	struct fixture *f = *state;
	pid_t guardian;
	pid_t monitor = start_monitor(f, watch_without_map, &guardian);

	assert_int_equal(*f->gates_open, 0);
	end_child(monitor);
	wait_for_end_of(guardian);
	assert_int_equal(*f->gates_open, 1);
}

static void what_cannot_be_mapped_is_told(void **state)
{
	struct fixture *f = *state;
	struct mp_guardian *guardian = NULL;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(mp_guardian_start(f->undo, &guardian, NULL), 0);
	assert_int_equal(mp_guardian_watch_gates(guardian, pipes[0], pipes[0], 0, SEC), -EACCES);
	assert_int_equal(mp_guardian_watch_gates(guardian, f->live, f->live, GATES_OPEN_AT, SEC),
			 0);
	mp_guardian_end(guardian);
	assert_int_equal(*f->gates_open, 1);
	close(pipes[0]);
	close(pipes[1]);
}

static int make_gated_map(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "gated", sizeof(uint32_t),
				sizeof(struct mp_gated), 16, NULL);

	if (fd < 0) {
		print_message("skipped: no BPF map can be made: %s\n", strerror(-fd));
		skip();
	}
	return fd;
}

/* As the kernel side has it, which counts in nanoseconds; a tick is 10 ms. */
static void put_gated(int map, pid_t pid, uint64_t start_time, uint64_t stopped_ns)
{
	const uint32_t key = (uint32_t)pid;
	const struct mp_gated gated = {
		.state = MP_GATE_STOPPED,
		.stopped_ns = stopped_ns,
		.start_time = start_time * (SEC / (uint64_t)sysconf(_SC_CLK_TCK)) + 1234,
	};

	assert_int_equal(bpf_map_update_elem(map, &key, &gated, BPF_ANY), 0);
}

static void who_was_gated_goes_on_when_the_monitor_ends(void **state)
{
	struct fixture *f = *state;
	struct mp_guardian *guardian = NULL;
	int map = make_gated_map();
	pid_t gated = start_stopped();
	pid_t other = start_stopped(); /* has the pid of one that was gated */
	pid_t opened = start_stopped();
	const uint32_t key = (uint32_t)opened;
	const struct mp_gated open = {.state = MP_GATE_OPEN};

	put_gated(map, gated, start_time_of(gated), mp_clock_now_ns());
	put_gated(map, other, start_time_of(other) + 1, mp_clock_now_ns());
	assert_int_equal(bpf_map_update_elem(map, &key, &open, BPF_ANY), 0);
	assert_int_equal(mp_guardian_start(f->undo, &guardian, NULL), 0);
	assert_int_equal(mp_guardian_watch_gates(guardian, map, f->live, GATES_OPEN_AT, 3600 * SEC),
			 0);
	assert_int_equal(read_process(gated).state, 'T');
	mp_guardian_end(guardian);
	wait_for_state(gated, "SR");
	assert_int_equal(read_process(other).state, 'T');
	assert_int_equal(read_process(opened).state, 'T');
	end_child(gated);
	end_child(other);
	end_child(opened);
	close(map);
}

static void a_hung_monitor_stops_nobody_for_ever(void **state)
{
	struct fixture *f = *state;
	struct mp_guardian *guardian = NULL;
	int map = make_gated_map();
	pid_t late = start_stopped();
	pid_t early = start_stopped();
	uint32_t key = (uint32_t)late;
	struct mp_gated gated;

	put_gated(map, late, start_time_of(late), mp_clock_now_ns() - 6 * SEC);
	put_gated(map, early, start_time_of(early), mp_clock_now_ns() + 3600 * SEC);
	assert_int_equal(mp_guardian_start(f->undo, &guardian, NULL), 0);
	assert_int_equal(mp_guardian_watch_gates(guardian, map, f->live, GATES_OPEN_AT, 5 * SEC),
			 0);
	wait_for_state(late, "SR");
	assert_int_equal(bpf_map_lookup_elem(map, &key, &gated), 0);
	assert_int_equal(gated.state, MP_GATE_OPEN);
	assert_true(gated.pass_until_ns > mp_clock_now_ns());
	assert_int_equal(read_process(early).state, 'T');
	assert_int_equal(*f->gates_open, 0);
	mp_guardian_end(guardian);
	wait_for_state(early, "SR");
	end_child(late);
	end_child(early);
	close(map);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_undone_when_the_monitor_is_killed),
		TEST(at_whatever_instant_it_is_killed_nothing_stays_held),
		TEST(the_guardian_is_hard_to_end),
		TEST(the_guardian_keeps_nothing_open),
		TEST(an_end_leaves_nothing_behind),
		TEST(a_guardian_that_was_killed_does_not_hold_up_the_end),
		TEST(gates_are_opened_when_the_monitor_is_killed),
		TEST(what_cannot_be_mapped_is_told),
		TEST(who_was_gated_goes_on_when_the_monitor_ends),
		TEST(a_hung_monitor_stops_nobody_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
