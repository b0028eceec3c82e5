// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "action/undo.h"
#include "base/fsroot.h"
#include "processes.h"
#include "tree.h"

struct fixture {
	struct tree tree;
	struct mp_undo *undo;
	char file[PATH_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	tree_write(&f->tree, "/knob", "1\n");
	tree_path(&f->tree, "/knob", f->file);
	f->undo = mp_undo_new();
	*state = f;
	return f->undo ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mp_undo_free(f->undo);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static void expect_file(const char *path, const char *text)
{
	MP_FREE char *data = NULL;

	assert_int_equal(mp_read_file(path, 4096, &data, NULL), 0);
	assert_string_equal(data, text);
}

static int arm_write(const struct fixture *f, const char *text)
{
	const struct mp_undo_what what = {.kind = MP_UNDO_WRITE, .path = f->file, .text = text};

	return mp_undo_arm(f->undo, &what);
}

static void a_file_is_written_back_once(void **state)
{
	const struct fixture *f = *state;
	int slot = arm_write(f, "0");

	assert_true(slot >= 0);
	expect_file(f->file, "1\n");
	assert_int_equal(mp_undo_run(f->undo, slot), 0);
	expect_file(f->file, "0\n");
	tree_write(&f->tree, "/knob", "2\n");
	assert_int_equal(mp_undo_run(f->undo, slot), 0);
	assert_int_equal(mp_undo_run_all(f->undo), 0);
	expect_file(f->file, "2\n");
}

static void what_is_disarmed_is_not_undone(void **state)
{
	const struct fixture *f = *state;
	int slot = arm_write(f, "0");

	mp_undo_disarm(f->undo, slot);
	mp_undo_disarm(f->undo, -1);
	mp_undo_disarm(f->undo, MP_UNDO_SLOTS);
	assert_int_equal(mp_undo_run(f->undo, slot), 0);
	assert_int_equal(mp_undo_run_all(f->undo), 0);
	assert_int_equal(mp_undo_run(f->undo, -1), -EINVAL);
	assert_int_equal(mp_undo_run(f->undo, MP_UNDO_SLOTS), -EINVAL);
	expect_file(f->file, "1\n");
}

/* The first value found is the one to go back to, so it must be written last. */
static void all_is_undone_latest_first(void **state)
{
	const struct fixture *f = *state;
	int first = arm_write(f, "1");
	int second = arm_write(f, "2");

	mp_undo_disarm(f->undo, first);
	/* In the slot of the first, but later. */
	assert_int_equal(arm_write(f, "3"), first);
	assert_true(second >= 0);
	assert_int_equal(mp_undo_run_all(f->undo), 2);
	expect_file(f->file, "2\n");
	assert_int_equal(mp_undo_run_all(f->undo), 0);
}

static void what_does_not_fit_is_refused(void **state)
{
	const struct fixture *f = *state;
	char path[MP_UNDO_PATH + 1];
	char text[128];
	struct mp_undo_what what = {.kind = MP_UNDO_WRITE, .path = path, .text = "0"};

	memset(path, 'x', sizeof(path));
	path[MP_UNDO_PATH] = '\0';
	assert_int_equal(mp_undo_arm(f->undo, &what), -ENAMETOOLONG);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(arm_write(f, text), -ENAMETOOLONG);
	what.kind = MP_UNDO_NONE;
	assert_int_equal(mp_undo_arm(f->undo, &what), -EINVAL);
	what.kind = MP_UNDO_KIND_COUNT;
	assert_int_equal(mp_undo_arm(f->undo, &what), -EINVAL);
	/* Nothing of it is left. */
	for (size_t i = 0; i < MP_UNDO_SLOTS; i++)
		assert_int_equal(arm_write(f, "0"), i);
	assert_int_equal(arm_write(f, "0"), -ENOSPC);
	mp_undo_disarm(f->undo, 7);
	assert_int_equal(arm_write(f, "0"), 7);
	assert_int_equal(mp_undo_run_all(f->undo), MP_UNDO_SLOTS);
}

static void what_is_gone_already_is_undone(void **state)
{
	const struct fixture *f = *state;
	char path[PATH_MAX];
	struct mp_undo_what what = {.kind = MP_UNDO_UNLINK, .path = path};

	tree_path(&f->tree, "/no/such", path);
	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), 0);
	what.kind = MP_UNDO_RMDIR;
	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), 0);
	what.kind = MP_UNDO_WRITE;
	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), -ENOENT);
	/* Disarmed all the same. */
	assert_int_equal(mp_undo_run_all(f->undo), 0);
}

static void files_and_empty_folders_go(void **state)
{
	const struct fixture *f = *state;
	char folder[PATH_MAX];
	char file[PATH_MAX];
	struct mp_undo_what what = {.kind = MP_UNDO_RMDIR, .path = folder};

	tree_write(&f->tree, "/made/here", "x");
	tree_path(&f->tree, "/made/here", file);
	tree_path(&f->tree, "/made", folder);
	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), -ENOTEMPTY);
	mp_undo_arm(f->undo, &what);
	what.kind = MP_UNDO_UNLINK;
	what.path = file;
	mp_undo_arm(f->undo, &what);
	assert_int_equal(mp_undo_run_all(f->undo), 2);
	assert_int_equal(access(folder, F_OK), -1);
}

/* What outlives the monitor is left to whoever waits for it. */
static void what_takes_its_time_stays_armed(void **state)
{
	const struct fixture *f = *state;
	char folder[PATH_MAX];
	char file[PATH_MAX];
	const struct mp_undo_what what = {.kind = MP_UNDO_RMDIR_LATER, .path = folder};
	int slot;

	tree_write(&f->tree, "/made/here", "x");
	tree_path(&f->tree, "/made/here", file);
	tree_path(&f->tree, "/made", folder);
	assert_false(mp_undo_has_later(f->undo));
	slot = mp_undo_arm(f->undo, &what);
	assert_int_equal(mp_undo_run_all(f->undo), 0);
	assert_int_equal(mp_undo_run(f->undo, slot), -ENOTEMPTY);
	assert_true(mp_undo_has_later(f->undo));
	assert_int_equal(unlink(file), 0);
	mp_undo_run_later(f->undo);
	assert_int_equal(access(folder, F_OK), -1);
	assert_false(mp_undo_has_later(f->undo));
	assert_true(mp_undo_arm(f->undo, &what) >= 0);
	mp_undo_disarm(f->undo, 0);
	assert_false(mp_undo_has_later(f->undo));
}

/* Nobody but the processes of a group says when it can go: for what else is in the way it gives up.
 */
static void what_never_goes_is_given_up(void **state)
{
	const struct fixture *f = *state;
	char folder[PATH_MAX];
	const struct mp_undo_what what = {.kind = MP_UNDO_RMDIR_LATER, .path = folder};

	tree_write(&f->tree, "/made/here", "x");
	tree_path(&f->tree, "/made", folder);
	assert_true(mp_undo_arm(f->undo, &what) >= 0);
	mp_undo_run_later(f->undo);
	assert_false(mp_undo_has_later(f->undo));
}

static void a_stopped_process_goes_on(void **state)
{
	const struct fixture *f = *state;
	pid_t pid = start_stopped();
	const struct mp_undo_what what = {
		.kind = MP_UNDO_CONTINUE, .pid = pid, .start_time = start_time_of(pid)};

	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), 0);
	wait_for_state(pid, "SR");
	end_child(pid);
	assert_int_equal(mp_undo_continue(pid, what.start_time), -ESRCH);
}

static void a_reused_pid_is_another_process(void **state)
{
	const struct fixture *f = *state;
	pid_t pid = start_stopped();
	const struct mp_undo_what what = {
		.kind = MP_UNDO_CONTINUE, .pid = pid, .start_time = start_time_of(pid) + 1};

	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), -ESRCH);
	assert_int_equal(read_process(pid).state, 'T');
	assert_int_equal(mp_undo_continue(0, 0), -EINVAL);
	assert_int_equal(mp_undo_continue(-1, 0), -EINVAL);
	end_child(pid);
}

/* A group of two, of which the second is not a child of the test. */
static pid_t start_group(bool ignore_term, pid_t *ret_member)
{
	int pipes[2];
	pid_t member = 0;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGTERM, ignore_term ? SIG_IGN : SIG_DFL);
		member = fork();
		if (member)
			(void)!write(pipes[1], &member, sizeof(member));
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(pipes[0], &member, sizeof(member)), sizeof(member));
	close(pipes[0]);
	close(pipes[1]);
	*ret_member = member;
	return pid;
}

static void expect_group_ended(bool ignore_term, int signum)
{
	struct mp_undo *undo = mp_undo_new();
	pid_t member;
	pid_t pid = start_group(ignore_term, &member);
	const struct mp_undo_what what = {
		.kind = MP_UNDO_KILL_GROUP, .pid = pid, .start_time = start_time_of(pid)};
	int status;

	/* The leader stays a zombie meanwhile, and so its group is there until the patience ends.
	 */
	assert_int_equal(mp_undo_run(undo, mp_undo_arm(undo, &what)), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signum);
	wait_for_end_of(member);
	mp_undo_free(undo);
}

static void a_group_gets_sigterm(void **state)
{
	(void)state;
	expect_group_ended(false, SIGTERM);
}

static void a_group_that_ignores_it_gets_sigkill(void **state)
{
	(void)state;
	expect_group_ended(true, SIGKILL);
}

static void a_group_of_another_leader_is_left_alone(void **state)
{
	const struct fixture *f = *state;
	pid_t member;
	pid_t pid = start_group(false, &member);
	struct mp_undo_what what = {
		.kind = MP_UNDO_KILL_GROUP, .pid = pid, .start_time = start_time_of(pid) + 1};

	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), 0);
	assert_true(is_running(pid));
	assert_true(is_running(member));
	/* Nor is everything: kill(-1) would be. */
	what.pid = 1;
	what.start_time = 0;
	assert_int_equal(mp_undo_run(f->undo, mp_undo_arm(f->undo, &what)), 0);
	kill(-pid, SIGKILL);
	end_child(pid);
}

static void a_child_sees_what_is_armed_later(void **state)
{
	const struct fixture *f = *state;
	int pipes[2];
	int status;
	pid_t pid;
	char byte;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		(void)!read(pipes[0], &byte, 1);
		_exit((int)mp_undo_run_all(f->undo));
	}
	arm_write(f, "0");
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	expect_file(f->file, "0\n");
	assert_int_equal(mp_undo_run_all(f->undo), 0);
	close(pipes[0]);
	close(pipes[1]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_written_back_once),
		TEST(what_is_disarmed_is_not_undone),
		TEST(all_is_undone_latest_first),
		TEST(what_does_not_fit_is_refused),
		TEST(what_is_gone_already_is_undone),
		TEST(files_and_empty_folders_go),
		TEST(what_takes_its_time_stays_armed),
		TEST(what_never_goes_is_given_up),
		TEST(a_stopped_process_goes_on),
		TEST(a_reused_pid_is_another_process),
		TEST(a_group_gets_sigterm),
		TEST(a_group_that_ignores_it_gets_sigkill),
		TEST(a_group_of_another_leader_is_left_alone),
		TEST(a_child_sees_what_is_armed_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
