// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "config/search.h"

/* A name that no machine has in /etc/memprobe or the share folder. */
#define NAME "only-for-test_config_search.yaml"

struct place {
	char before[PATH_MAX];
	char dir[64];
};

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

/* An empty folder as the current one, with nothing in the environment. */
static int enter(void **state)
{
	static const char template[] = "/tmp/test_config_search.XXXXXX";
	struct place *place = calloc(1, sizeof(*place));

	if (!place || !getcwd(place->before, sizeof(place->before)))
		return -1;
	memcpy(place->dir, template, sizeof(template));
	if (!mkdtemp(place->dir) || chdir(place->dir))
		return -1;
	*state = place;
	return unsetenv("MEMPROBE_CONFIG_DIR");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int leave(void **state)
{
	struct place *place = *state;
	int err = chdir(place->before);

	err |= nftw(place->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(place);
	return err | unsetenv("MEMPROBE_CONFIG_DIR");
}

static void assert_found(const char *config_dir, const char *name, const char *want)
{
	MP_FREE char *path = NULL;

	assert_int_equal(mp_config_find(config_dir, name, &path), 0);
	assert_string_equal(path, want);
}

static void assert_missing(const char *config_dir)
{
	char *path = NULL;

	assert_int_equal(mp_config_find(config_dir, NAME, &path), -ENOENT);
	assert_null(path);
}

static void a_path_is_taken_as_it_is(void **state)
{
	(void)state;
	assert_found(NULL, "./x.yaml", "./x.yaml");
	assert_found("dir", "/no/such/file", "/no/such/file");
}

static void nothing_is_found(void **state)
{
	(void)state;
	assert_missing(NULL);
	assert_missing("no-such-dir");
	assert_int_equal(setenv("MEMPROBE_CONFIG_DIR", "no-such-dir", 1), 0);
	assert_missing(NULL);
	/* The current folder itself is not searched. */
	make_file(NAME);
	assert_missing(NULL);
}

static void configs_comes_last(void **state)
{
	(void)state;
	assert_int_equal(mkdir("configs", 0755), 0);
	make_file("configs/" NAME);
	assert_found(NULL, NAME, "./configs/" NAME);
	assert_int_equal(setenv("MEMPROBE_CONFIG_DIR", "", 1), 0);
	assert_found(NULL, NAME, "./configs/" NAME);
	assert_int_equal(mkdir("env", 0755), 0);
	assert_int_equal(setenv("MEMPROBE_CONFIG_DIR", "env", 1), 0);
	assert_found(NULL, NAME, "./configs/" NAME);
	make_file("env/" NAME);
	assert_found(NULL, NAME, "env/" NAME);
}

static void config_dir_stands_alone(void **state)
{
	(void)state;
	assert_int_equal(mkdir("configs", 0755), 0);
	make_file("configs/" NAME);
	assert_int_equal(mkdir("own", 0755), 0);
	assert_missing("own");
	make_file("own/" NAME);
	assert_found("own", NAME, "own/" NAME);
}

/* A link that leads nowhere is absent; one that leads in circles is not passed over. */
static void what_is_out_of_reach_is_not_passed_over(void **state)
{
	(void)state;
	assert_int_equal(mkdir("configs", 0755), 0);
	make_file("configs/" NAME);
	assert_int_equal(mkdir("env", 0755), 0);
	assert_int_equal(setenv("MEMPROBE_CONFIG_DIR", "env", 1), 0);
	assert_int_equal(symlink("nowhere", "env/" NAME), 0);
	assert_found(NULL, NAME, "./configs/" NAME);
	assert_int_equal(unlink("env/" NAME), 0);
	assert_int_equal(symlink(NAME, "env/" NAME), 0);
	assert_found(NULL, NAME, "env/" NAME);
}

static void a_hostile_name_is_only_a_name(void **state)
{
	char *path = NULL;

	(void)state;
	assert_int_equal(mp_config_find(NULL, "%s%n\n\033[31m\xff", &path), -ENOENT);
	assert_null(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_path_is_taken_as_it_is),
		TEST(nothing_is_found),
		TEST(configs_comes_last),
		TEST(config_dir_stands_alone),
		TEST(what_is_out_of_reach_is_not_passed_over),
		TEST(a_hostile_name_is_only_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
