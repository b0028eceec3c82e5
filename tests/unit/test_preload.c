// SPDX-License-Identifier: GPL-2.0-only
/* The library that `run --agent` puts before a command: where it is, and who can load it. */
#include "monitor/preload.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/relief.h"
#include "workdir.h"

static const char *in(const struct dir *dir, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", dir->path, name);
	return path;
}

/* --- where it is ------------------------------------------------------------------- */

static void assert_found(const struct dir *dir, const char *program, const char *expected)
{
	char path[PATH_MAX];
	char found[PATH_MAX];
	struct mp_error err = {0};

	assert_int_equal(mp_preload_find(in(dir, program, path), found, &err), 0);
	assert_string_equal(found, in(dir, expected, path));
}

static void assert_not_found(const struct dir *dir, const char *program, const char *why)
{
	char path[PATH_MAX];
	char found[PATH_MAX] = "untouched";
	struct mp_error err = {0};

	assert_true(mp_preload_find(in(dir, program, path), found, &err) < 0);
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_non_null(strstr(err.text, why));
}

static void test_places(void **state)
{
	const struct dir *dir = *state;

	shell(dir, "mkdir -p usr/bin usr/lib build");
	shell(dir, "touch usr/bin/memprobe-bpf build/memprobe-bpf");
	assert_not_found(dir, "usr/bin/memprobe-bpf",
			 "there is no libmemprobe.so in /tmp/mp_test.");
	shell(dir,
	      "touch usr/lib/libmemprobe.so.0 && ln -s libmemprobe.so.0 usr/lib/libmemprobe.so");
	assert_found(dir, "usr/bin/memprobe-bpf", "usr/lib/libmemprobe.so.0");
	shell(dir, "touch build/libmemprobe.so && ln -s ../../build/memprobe-bpf usr/bin/link");
	assert_found(dir, "build/memprobe-bpf", "build/libmemprobe.so");
	assert_found(dir, "usr/bin/link", "build/libmemprobe.so");
	assert_not_found(dir, "usr/bin/absent", "No such file or directory");
}

static void test_names_that_ld_preload_takes_apart(void **state)
{
	const struct dir *dir = *state;

	shell(dir, "mkdir 'a b' c:d && for d in 'a b' c:d; do touch \"$d/x\" "
		   "\"$d/libmemprobe.so\"; done");
	assert_not_found(dir, "a b/x", "LD_PRELOAD cannot name");
	assert_not_found(dir, "c:d/x", "LD_PRELOAD cannot name");
}

/* --- who can load it ----------------------------------------------------------------- */

static enum mp_preload_fit fit_of(const struct dir *dir, const char *name)
{
	char path[PATH_MAX];

	return mp_preload_fit(in(dir, name, path), "/proc/self/exe");
}

static void test_fit(void **state)
{
	const struct dir *dir = *state;

	shell(dir, "cp /proc/self/exe own && printf '#!%s/static\\n' %s >script && echo text >text",
	      dir->path, dir->path);
	shell(dir,
	      "sed 's|/ld-linux-x86-64|/ld-musl-x86_64x|; s|/ld-linux-aarch64|/ld-musl-aarch64x|' "
	      "own >musl");
	shell(dir, "echo 'int main(void) { return 0; }' | gcc -static -x c - -o static");
	assert_int_equal(fit_of(dir, "own"), MP_PRELOAD_FITS);
	assert_int_equal(fit_of(dir, "static"), MP_PRELOAD_STATIC);
	assert_int_equal(fit_of(dir, "script"), MP_PRELOAD_STATIC);
	assert_int_equal(fit_of(dir, "musl"), MP_PRELOAD_OTHER);
	/* What cannot be executed anyway is told by who tries to. */
	assert_int_equal(fit_of(dir, "text"), MP_PRELOAD_FITS);
	assert_int_equal(fit_of(dir, "absent"), MP_PRELOAD_FITS);
}

/* --- the environment ------------------------------------------------------------------- */

static void test_environment(void **state)
{
	(void)state;
	unsetenv("LD_PRELOAD");
	unsetenv("MEMPROBE_AGENT");
	assert_int_equal(mp_preload_set_environment("/a/libmemprobe.so"), 0);
	assert_string_equal(getenv("LD_PRELOAD"), "/a/libmemprobe.so");
	assert_string_equal(getenv("MEMPROBE_AGENT"), "1");
	setenv("LD_PRELOAD", "", 1);
	setenv("MEMPROBE_AGENT", "no", 1);
	assert_int_equal(mp_preload_set_environment("/a/libmemprobe.so"), 0);
	assert_string_equal(getenv("LD_PRELOAD"), "/a/libmemprobe.so");
	assert_string_equal(getenv("MEMPROBE_AGENT"), "1");
	setenv("LD_PRELOAD", "b.so c.so", 1);
	setenv("MEMPROBE_AGENT", "fork", 1);
	assert_int_equal(mp_preload_set_environment("/a/libmemprobe.so"), 0);
	assert_string_equal(getenv("LD_PRELOAD"), "/a/libmemprobe.so:b.so c.so");
	assert_string_equal(getenv("MEMPROBE_AGENT"), "fork");
	unsetenv("LD_PRELOAD");
	unsetenv("MEMPROBE_AGENT");
}

/* --- what is left behind ----------------------------------------------------------------- */

#define NO_PID 2147483646

static void test_tidy(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	MP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct stat st;
	FILE *file;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), MP_RELIEF_PATH, NO_PID);
	mp_preload_tidy(NO_PID); /* there is nothing */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	mp_preload_tidy(NO_PID);
	assert_int_equal(lstat(address.sun_path, &st), -1);
	/* A file that is no socket is nobody's whom this knows. */
	file = fopen(address.sun_path, "wxe");
	assert_non_null(file);
	fclose(file);
	mp_preload_tidy(NO_PID);
	assert_int_equal(unlink(address.sun_path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_names_that_ld_preload_takes_apart, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_fit, make_dir, remove_dir),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_tidy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
