// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/fsroot.h"
#include "tree.h"

static int setup(void **state)
{
	struct tree *tree = malloc(sizeof(*tree));

	tree_make(tree);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	tree_remove(*state);
	free(*state);
	return 0;
}

static void test_read_whole_file(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	MP_FREE char *data = NULL;
	size_t len = 0;

	tree_write_bytes(tree, "/a", "x\0y\n", 4);
	assert_int_equal(mp_read_file_at(&fs, 100, &data, &len, "/%s", "a"), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(data, "x\0y\n", 5);
}

static void test_read_empty_file(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	MP_FREE char *data = NULL;
	size_t len = 1;

	tree_write(tree, "/empty", "");
	assert_int_equal(mp_read_file_at(&fs, 0, &data, &len, "/empty"), 0);
	assert_int_equal(len, 0);
	assert_string_equal(data, "");
}

/* Around the size of the first read, and the limit itself. */
static void test_read_limits(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	char *text = malloc(20000);

	for (size_t len = 4090; len < 4100; len++) {
		char *data = NULL;
		size_t got = 0;

		memset(text, 'a', len);
		tree_write_bytes(tree, "/f", text, len);
		assert_int_equal(mp_read_file_at(&fs, len - 1, &data, &got, "/f"), -EFBIG);
		assert_null(data);
		assert_int_equal(mp_read_file_at(&fs, len, &data, &got, "/f"), 0);
		assert_int_equal(got, len);
		assert_int_equal(strlen(data), len);
		free(data);
	}
	free(text);
}

static void test_read_what_is_no_file(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	char *data = NULL;

	tree_write(tree, "/dir/file", "");
	assert_int_equal(mp_read_file_at(&fs, 9, &data, NULL, "/none"), -ENOENT);
	assert_int_equal(mp_read_file_at(&fs, 9, &data, NULL, "/dir"), -EISDIR);
	assert_int_equal(mp_read_file_at(&fs, 9, &data, NULL, "/dir/file/x"), -ENOTDIR);
	assert_null(data);
}

static void test_path_length(void **state)
{
	const struct mp_fsroot fs = {"/root"};
	char name[PATH_MAX];
	char path[PATH_MAX];
	char *data = NULL;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mp_fsroot_path(&fs, path, "/%s", name), -ENAMETOOLONG);
	assert_int_equal(mp_read_file_at(&fs, 1, &data, NULL, "/%s", name), -ENAMETOOLONG);
	name[PATH_MAX - 1 - strlen("/root/")] = '\0'; /* just fits */
	assert_int_equal(mp_fsroot_path(&fs, path, "/%s", name), 0);
	assert_int_equal(strlen(path), PATH_MAX - 1);
	assert_memory_equal(path, "/root/nnn", 9);
	memset(name, 'n', sizeof(name) - 1);
	assert_int_equal(mp_fsroot_path(&(struct mp_fsroot){name}, path, "/x"), -ENAMETOOLONG);
}

static void test_meminfo_field(void **state)
{
	static const char text[] = "MemTotal:       24684084 kB\n"
				   "\n"
				   "MemFree:    12 kB\n"
				   "HugePages_Total:       3\n"
				   "Negative:  -1 kB\n"
				   "Fits: 18014398509481983 kB\n"
				   "Huge: 18014398509481984 kB\n"
				   "Worse: 99999999999999999999999 kB\n"
				   "Empty:\n"
				   "Words: many kB\n"
				   "Last: 7 kB";
	uint64_t bytes = 1;

	(void)state;
	assert_int_equal(mp_meminfo_field(text, "Mem", &bytes), -ENOENT);
	assert_int_equal(mp_meminfo_field(text, "Free", &bytes), -ENOENT);
	assert_int_equal(mp_meminfo_field(text, "HugePages_Total", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field(text, "Negative", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field(text, "Huge", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field(text, "Worse", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field(text, "Empty", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field(text, "Words", &bytes), -EINVAL);
	assert_int_equal(mp_meminfo_field("", "MemTotal", &bytes), -ENOENT);
	assert_int_equal(bytes, 1);
	assert_int_equal(mp_meminfo_field(text, "MemTotal", &bytes), 0);
	assert_int_equal(bytes, 24684084ULL * 1024);
	assert_int_equal(mp_meminfo_field(text, "MemFree", &bytes), 0);
	assert_int_equal(bytes, 12 * 1024);
	assert_int_equal(mp_meminfo_field(text, "Fits", &bytes), 0);
	assert_int_equal(bytes, UINT64_MAX - 1023);
	assert_int_equal(mp_meminfo_field(text, "Last", &bytes), 0);
	assert_int_equal(bytes, 7 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_whole_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_empty_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_what_is_no_file, setup, teardown),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_meminfo_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
