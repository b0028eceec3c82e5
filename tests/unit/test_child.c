// SPDX-License-Identifier: GPL-2.0-only
/* Commands started, held, let go and waited for. */
#include "monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

struct dir {
	char path[64];
	char *old_path; /* $PATH */
};

static int make_dir(void **state)
{
	struct dir *dir = calloc(1, sizeof(*dir));

	strcpy(dir->path, "/tmp/mp_test_child.XXXXXX");
	if (!mkdtemp(dir->path))
		return -1;
	dir->old_path = strdup(getenv("PATH"));
	*state = dir;
	return 0;
}

static int remove_dir(void **state)
{
	struct dir *dir = *state;
	char command[128];
	int failed;

	setenv("PATH", dir->old_path, 1);
	snprintf(command, sizeof(command), "rm -rf %s", dir->path);
	failed = system(command);
	free(dir->old_path);
	free(dir);
	return failed;
}

static const char *write_file(const struct dir *dir, const char *name, mode_t mode,
			      const char *text, char path[PATH_MAX])
{
	MP_FCLOSE FILE *f = NULL;

	snprintf(path, PATH_MAX, "%s/%s", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	return path;
}

static void wait_end(struct mp_child *child)
{
	struct pollfd end = {.fd = child->pidfd, .events = POLLIN};

	assert_int_equal(poll(&end, 1, -1), 1);
	assert_true(mp_child_reap(child));
	/* The status is kept. */
	assert_true(mp_child_reap(child));
}

static int run(const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct mp_child child;
	struct mp_error err;
	int code;

	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	assert_int_equal(mp_child_release(&child, "sh", &err), 0);
	wait_end(&child);
	code = mp_child_exit_code(&child);
	mp_child_free(&child);
	return code;
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(run("exit 0"), 0);
	assert_int_equal(run("exit 3"), 3);
	assert_int_equal(run("exit 255"), 255);
	assert_int_equal(run("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(run("kill -TERM $$"), 128 + SIGTERM);
	/* Not what the monitor does with it. */
	assert_int_equal(run("kill -PIPE $$"), 128 + SIGPIPE);
}

/* What it took, and what those took that it has waited for. */
static void test_usage(void **state)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
			(char *)"head -c 30000000 /dev/zero | tail -c 30000000 >/dev/null; exit 0",
			NULL};
	struct mp_child child;
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	assert_int_equal(mp_child_release(&child, "sh", &err), 0);
	wait_end(&child);
	assert_true(child.usage.ru_maxrss >= 30000000 / 1024);
	assert_true(child.usage.ru_minflt >= 30000000 / 4096 / 16);
	mp_child_free(&child);
}

/* It runs with no signal blocked, though the monitor blocks those that it reads. */
static void test_signal_mask(void **state)
{
	sigset_t set;
	sigset_t before;
	void (*ignored)(int) = signal(SIGINT, SIG_DFL); /* of a job in the background */

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
	assert_int_equal(run("grep -q '^SigBlk:[[:space:]]*0*$' /proc/self/status"), 0);
	assert_int_equal(run("kill -INT $$; exit 9"), 128 + SIGINT);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGINT, ignored);
}

/* Nothing of the monitor's own is left open in it: 0, 1, 2 and the one of the listing. */
static void test_no_files_leak(void **state)
{
	(void)state;
	assert_int_equal(run("for i in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$i ] || "
			     "case $(readlink /proc/$$/fd/$i) in pipe:*) exit 1;; esac; done"),
			 0);
}

/* What is done first is done in the child, and before anything can see it run. */
static void write_to_pipe(void *data)
{
	pid_t pid = getpid();

	(void)!write(*(int *)data, &pid, sizeof(pid));
}

static void test_prepared(void **state)
{
	char *argv[] = {(char *)"true", NULL};
	struct mp_child child;
	struct mp_error err;
	int pipes[2];
	const struct mp_child_place place = {.prepare = write_to_pipe, .data = &pipes[1]};
	pid_t pid = 0;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(mp_child_start_in(argv, &place, &child, &err), 0);
	assert_int_equal(read(pipes[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(pid, child.pid);
	assert_int_equal(mp_child_release(&child, "true", &err), 0);
	wait_end(&child);
	assert_int_equal(mp_child_exit_code(&child), 0);
	mp_child_free(&child);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_held_until_released(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];
	char *argv[] = {(char *)"touch", path, NULL};
	struct mp_child child;
	struct mp_error err;

	snprintf(path, sizeof(path), "%s/ran", dir->path);
	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	assert_true(child.pid > 0);
	assert_true(child.pidfd >= 0);
	assert_string_equal(strrchr(child.path, '/'), "/touch");
	assert_false(mp_child_reap(&child));
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(mp_child_release(&child, "touch", &err), 0);
	wait_end(&child);
	assert_int_equal(mp_child_exit_code(&child), 0);
	assert_int_equal(access(path, F_OK), 0);
	mp_child_free(&child);
}

/* What a parent that dies leaves behind: every end of the pipe closed, no byte in it. */
static void test_parent_gone(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];
	char *argv[] = {(char *)"touch", path, NULL};
	struct mp_child child;
	struct mp_error err;

	snprintf(path, sizeof(path), "%s/ran", dir->path);
	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	close(child.go);
	child.go = -1;
	wait_end(&child);
	assert_int_equal(mp_child_exit_code(&child), 127);
	assert_int_not_equal(access(path, F_OK), 0);
	mp_child_free(&child);
}

static void test_killed_while_held(void **state)
{
	char *argv[] = {(char *)"true", NULL};
	struct mp_child child;
	struct mp_error err = {.exit_code = MP_EXIT_OK};
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);

	(void)state;
	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	assert_int_equal(kill(child.pid, SIGKILL), 0);
	wait_end(&child);
	assert_int_equal(mp_child_release(&child, "a\nb", &err), -ESRCH);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	assert_string_equal(err.text, "a\\nb: the process is gone");
	assert_int_equal(mp_child_exit_code(&child), 128 + SIGKILL);
	mp_child_free(&child);
	signal(SIGPIPE, before);
}

static void check_not_found(const char *name, int expected, const char *words)
{
	char *argv[] = {(char *)name, NULL};
	struct mp_child child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1};
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	assert_int_equal(mp_child_start(argv, &child, &err), expected);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in: %s", words, err.text);
	/* As the monitor's tear-down does. */
	mp_child_free(&child);
}

static void test_not_found(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];

	check_not_found("no-such-command-here", -ENOENT, "no-such-command-here: command not found");
	check_not_found("", -ENOENT, "command not found");
	check_not_found("/no/such/file", -ENOENT, "/no/such/file: command not found");
	check_not_found("evil\x1b[31m\n", -ENOENT, "evil\\e[31m\\n: command not found");
	check_not_found(dir->path, -EACCES, "not a file that can be executed");
	check_not_found(write_file(dir, "data", 0644, "text", path), -EACCES,
			"not a file that can be executed");
}

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* Out of file descriptors in each of the places that need one: nothing is left open. */
static void test_out_of_files(void **state)
{
	char *argv[] = {(char *)"true", NULL};
	struct rlimit before;
	const int first = lowest_free_fd();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (rlim_t room = 0; room < 5; room++) {
		struct mp_child child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1};
		struct mp_error err = {.exit_code = MP_EXIT_OK};
		struct rlimit limit = {(rlim_t)first + room, before.rlim_max};

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(mp_child_start(argv, &child, &err), -EMFILE);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
		assert_non_null(strstr(err.text, "cannot start a process"));
		assert_int_equal(child.pid, -1);
		assert_int_equal(lowest_free_fd(), first);
	}
	while (wait(NULL) > 0)
		;
}

/* The kernel says so at exec only. */
static void check_exec_fails(const char *path, int expected)
{
	char *argv[] = {(char *)path, NULL};
	struct mp_child child;
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	assert_int_equal(mp_child_release(&child, path, &err), -expected);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	assert_non_null(strstr(err.text, strerror(expected)));
	wait_end(&child);
	assert_int_equal(mp_child_exit_code(&child), 127);
	mp_child_free(&child);
}

static void test_exec_fails(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];

	check_exec_fails(write_file(dir, "garbage", 0755,
				    "\x7f"
				    "ELFgarbage",
				    path),
			 ENOEXEC);
	check_exec_fails(write_file(dir, "orphan", 0755, "#!/no/such/interpreter\n", path), ENOENT);
}

/* Starts NAME with the PATH given and tells which file was taken, relative to the directory. */
static void check_search(const struct dir *dir, const char *search, const char *expected)
{
	char *argv[] = {(char *)"tool", NULL};
	struct mp_child child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1};
	struct mp_error err;
	char wanted[PATH_MAX];

	setenv("PATH", search, 1);
	if (!expected) {
		assert_int_equal(mp_child_start(argv, &child, &err), -ENOENT);
		setenv("PATH", dir->old_path, 1);
		return;
	}
	assert_int_equal(mp_child_start(argv, &child, &err), 0);
	setenv("PATH", dir->old_path, 1);
	snprintf(wanted, sizeof(wanted), "%s", expected);
	assert_string_equal(child.path, wanted);
	assert_int_equal(mp_child_release(&child, "tool", &err), 0);
	wait_end(&child);
	assert_int_equal(mp_child_exit_code(&child), 0);
	mp_child_free(&child);
}

static void test_path_search(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];
	char search[512];
	char wanted[512];
	char here[PATH_MAX];

	snprintf(path, sizeof(path), "%s/a", dir->path);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/a/tool", dir->path);
	assert_int_equal(mkdir(path, 0755), 0); /* a folder is no program */
	snprintf(path, sizeof(path), "%s/b", dir->path);
	assert_int_equal(mkdir(path, 0755), 0);
	write_file(dir, "b/tool", 0644, "#!/bin/sh\n", path); /* nor is this */
	snprintf(path, sizeof(path), "%s/c", dir->path);
	assert_int_equal(mkdir(path, 0755), 0);
	write_file(dir, "c/tool", 0755, "#!/bin/sh\nexit 0\n", path);
	snprintf(wanted, sizeof(wanted), "%s/c/tool", dir->path);
	snprintf(search, sizeof(search), "/none:%s/a:%s/b:%s/c", dir->path, dir->path, dir->path);
	check_search(dir, search, wanted);
	snprintf(search, sizeof(search), "%s/a:%s/b", dir->path, dir->path);
	check_search(dir, search, NULL);

	/* An empty part is the current directory, wherever it stands. */
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(path, sizeof(path), "%s/c", dir->path);
	assert_int_equal(chdir(path), 0);
	check_search(dir, ":/none", "./tool");
	check_search(dir, "/none::/none", "./tool");
	check_search(dir, "/none:", "./tool");
	check_search(dir, "", "./tool");
	assert_int_equal(chdir(here), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_signal_mask),
		cmocka_unit_test(test_no_files_leak),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test_setup_teardown(test_held_until_released, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_parent_gone, make_dir, remove_dir),
		cmocka_unit_test(test_killed_while_held),
		cmocka_unit_test_setup_teardown(test_not_found, make_dir, remove_dir),
		cmocka_unit_test(test_out_of_files),
		cmocka_unit_test_setup_teardown(test_exec_fails, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_path_search, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
