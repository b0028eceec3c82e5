// SPDX-License-Identifier: GPL-2.0-only
/* What a process is, as an interpreter: real ones, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "elf/elf_lookup.h"
#include "inject/memory.h"
#include "inject/private.h"
#include "workdir.h"

static const struct mp_fsroot live = {""};

static const char python_path[] = "/usr/bin/python3";

struct child {
	pid_t pid;
	FILE *says;
};

/* Runs `code` in the interpreter at `path`; it prints a line when it is up. */
static struct child start_python(const char *path, const char *code)
{
	struct child child;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	child.pid = fork();
	if (child.pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl(path, path, "-c", code, NULL);
		_exit(127);
	}
	close(fds[1]);
	child.says = fdopen(fds[0], "r");
	return child;
}

static void end_child(struct child *child)
{
	fclose(child->says);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

/* Its version as it says itself: major * 100 + minor. */
static int start_waiting(const char *path, struct child *ret)
{
	unsigned int major;
	unsigned int minor;

	*ret = start_python(path, "import sys, time\n"
				  "print('%d %d' % sys.version_info[:2], flush=True)\n"
				  "time.sleep(60)");
	assert_int_equal(fscanf(ret->says, "%u %u", &major, &minor), 2);
	return (int)(major * 100 + minor);
}

static void test_live_python(void **state)
{
	struct mp_python python;
	struct mp_error err = {0};
	struct child child;
	int version;

	(void)state;
	if (access(python_path, X_OK))
		skip();
	version = start_waiting(python_path, &child);
	assert_int_equal(mp_python_inspect(&live, child.pid, &python, &err), 0);
	assert_int_equal(python.pid, child.pid);
	assert_int_equal(python.major * 100 + python.minor, version);
	assert_false(python.is_free_threaded);
	assert_false(python.is_debug);
	assert_int_not_equal(python.runtime, 0);
	assert_int_not_equal(python.start_time, 0);
	assert_int_equal(mp_python_still_there(&live, &python), 0);
	if (version < 314)
		assert_int_equal(python.way, MP_PYTHON_PENDING_CALL);
	python.start_time++;
	assert_int_equal(mp_python_still_there(&live, &python), -ESRCH);
	end_child(&child);
}

static void test_no_python(void **state)
{
	struct mp_python python = {.pid = 7};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_python_inspect(&live, getpid(), &python, &err), -ENOENT);
	assert_int_equal(python.pid, 7);
	assert_int_equal(mp_python_inspect(&live, INT32_MAX, &python, &err), -ESRCH);
}

/* An executable that has only the section, as one that is linked statically and stripped. */
static void test_stripped_interpreter(void **state)
{
	struct dir *dir = *state;
	struct mp_python python;
	struct mp_error err = {0};
	struct child child;
	char path[PATH_MAX];

	shell(dir,
	      "printf '%%s\\n' '#include <stdio.h>' '#include <unistd.h>' "
	      "'__attribute__((section(\".PyRuntime\"), used)) char runtime[4096] = {1};' "
	      "'int main(void) { puts(\"3 0\"); fflush(stdout); return (int)sleep(60); }' >a.c && "
	      "cc -static -s -o python3 a.c");
	snprintf(path, sizeof(path), "%s/python3", dir->path);
	start_waiting(path, &child);
	assert_int_equal(mp_python_inspect(&live, child.pid, &python, &err), 0);
	assert_int_equal(python.way, MP_PYTHON_NO_WAY);
	assert_non_null(strstr(python.why, "stripped"));
	end_child(&child);
}

/* With a table that says 3.14 but holds nonsense: refused, not followed. */
static void test_nonsense_table(void **state)
{
	struct dir *dir = *state;
	struct mp_python python;
	struct mp_error err = {0};
	struct child child;
	char path[PATH_MAX];

	shell(dir,
	      "printf '%%s\\n' '#include <stdio.h>' '#include <unistd.h>' "
	      "'struct {char c[8]; unsigned long v, f, rest[200];} "
	      "_PyRuntime __attribute__((section(\".PyRuntime\"), used)) = {"
	      "{\"xdebugpy\"[0],100,101,98,117,103,112,121}, 0x030e00f0, 0, {-1UL, -1UL, -1UL}};' "
	      "'int main(void) { puts(\"3 14\"); fflush(stdout); return (int)sleep(60); }' >a.c && "
	      "cc -o python3.14 a.c");
	snprintf(path, sizeof(path), "%s/python3.14", dir->path);
	start_waiting(path, &child);
	assert_int_equal(mp_python_inspect(&live, child.pid, &python, &err), 0);
	assert_int_equal(python.major, 3);
	assert_int_equal(python.minor, 14);
	assert_int_equal(python.way, MP_PYTHON_NO_WAY);
	assert_non_null(strstr(python.why, "table"));
	end_child(&child);
}

static void test_memory(void **state)
{
	uint64_t value = 5;
	uint64_t read = 0;

	(void)state;
	assert_int_equal(mp_memory_read(getpid(), (uintptr_t)&value, &read, sizeof(read)), 0);
	assert_int_equal(read, 5);
	assert_int_equal(mp_memory_write(getpid(), (uintptr_t)&read, &(uint64_t){7}, sizeof(read)),
			 0);
	assert_int_equal(read, 7);
	assert_int_equal(mp_memory_read(getpid(), 8, &read, sizeof(read)), -EFAULT);
	assert_int_equal(mp_memory_read(getpid(), UINT64_MAX - 3, &read, sizeof(read)), -EFAULT);
	assert_int_equal(mp_memory_read(INT32_MAX, 8, &read, sizeof(read)), -ESRCH);
}

static void test_lookup(void **state)
{
	struct mp_elf_wanted wanted[] = {{.name = "main"}, {.name = "no such thing"}};
	struct mp_elf_wanted section = {.name = ".text"};

	(void)state;
	assert_int_equal(mp_elf_lookup("/proc/self/exe", wanted, 2, &section), 0);
	assert_int_not_equal(wanted[0].addr, 0);
	assert_int_equal(wanted[1].addr, 0);
	assert_int_not_equal(section.addr, 0);
	assert_int_equal(mp_elf_lookup("/dev/null", wanted, 2, NULL), -ENOEXEC);
	assert_int_equal(mp_elf_lookup("/nowhere", wanted, 2, NULL), -ENOENT);
	assert_int_equal(mp_elf_bias("/proc/self/exe", 0x1000, UINT64_MAX, &section.addr), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_python),
		cmocka_unit_test(test_no_python),
		cmocka_unit_test_setup_teardown(test_stripped_interpreter, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_nonsense_table, make_dir, remove_dir),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
