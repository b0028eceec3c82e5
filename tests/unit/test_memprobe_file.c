// SPDX-License-Identifier: GPL-2.0-only
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/memprobe.h"
#include "tree.h"

static void test_join(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(mp_lib_join(out, sizeof(out), "ab", "", "cdefg"), 0);
	assert_string_equal(out, "abcdefg");
	assert_int_equal(mp_lib_join(out, sizeof(out), "ab", "cd", "efgh"), -ENAMETOOLONG);
	assert_int_equal(mp_lib_join(out, sizeof(out), "abcdefgh", "", ""), -ENAMETOOLONG);
}

static void test_number(void **state)
{
	static const char *const wrong[] = {
		"", "-1", " 1", "x", "18446744073709551616", "99999999999999999999999"};
	const char *at = "18446744073709551615 rest";
	uint64_t value = 7;

	(void)state;
	assert_int_equal(mp_lib_number(&at, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_string_equal(at, " rest");
	value = 7;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		at = wrong[i];
		assert_int_equal(mp_lib_number(&at, &value), -EBADMSG);
		assert_ptr_equal(at, wrong[i]);
		assert_int_equal(value, 7);
	}
}

static void test_kib_field(void **state)
{
	static const char *const wrong[] = {"VmHWM:",	    "VmHWM: kB",
					    "VmHWM: 12",    "VmHWM: 12 kB ",
					    "VmHWM: 12 MB", "VmHWM: 18014398509481984 kB"};
	uint64_t bytes = 7;

	(void)state;
	assert_int_equal(mp_lib_kib_field("VmHWM:\t    1234 kB", "VmHWM:", &bytes), 0);
	assert_int_equal(bytes, 1234 * 1024);
	assert_int_equal(mp_lib_kib_field("VmRSS:\t 1 kB", "VmHWM:", &bytes), -ENOENT);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(mp_lib_kib_field(wrong[i], "VmHWM:", &bytes), -EBADMSG);
	assert_int_equal(bytes, 1234 * 1024);
}

/* --- numbers in files ----------------------------------------------------------- */

static int number_in(const struct tree *tree, const char *text, uint64_t *ret)
{
	char path[PATH_MAX];

	tree_write(tree, "/number", text);
	tree_path(tree, "/number", path);
	return mp_lib_read_number(path, ret);
}

static void test_read_number(void **state)
{
	static const char *const wrong[] = {"", "\n", "max", "maximum\n", "12x\n", "-1\n", "1 2\n"};
	const struct tree *tree = *state;
	uint64_t value = 0;

	assert_int_equal(number_in(tree, "104857600\n", &value), 0);
	assert_int_equal(value, 104857600);
	assert_int_equal(number_in(tree, "12", &value), 0);
	assert_int_equal(value, 12);
	assert_int_equal(number_in(tree, "max\n", &value), 0);
	assert_true(value == MEMPROBE_UNKNOWN);
	value = 7;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(number_in(tree, wrong[i], &value), -EBADMSG);
	assert_int_equal(mp_lib_read_number("/does/not/exist", &value), -ENOENT);
	assert_int_equal(mp_lib_read_number("/", &value), -EISDIR);
	assert_int_equal(value, 7);
}

/* --- lines ---------------------------------------------------------------------- */

static void open_lines(const struct tree *tree, const char *text, struct mp_lib_lines *lines)
{
	char path[PATH_MAX];

	tree_write(tree, "/lines", text);
	tree_path(tree, "/lines", path);
	assert_int_equal(mp_lib_lines_open(lines, path), 0);
}

static void test_lines(void **state)
{
	struct mp_lib_lines lines;

	open_lines(*state, "one\n\nthree\nno newline", &lines);
	assert_string_equal(mp_lib_lines_next(&lines), "one");
	assert_string_equal(mp_lib_lines_next(&lines), "");
	assert_string_equal(mp_lib_lines_next(&lines), "three");
	assert_string_equal(mp_lib_lines_next(&lines), "no newline");
	assert_null(mp_lib_lines_next(&lines));
	assert_null(mp_lib_lines_next(&lines));
	mp_lib_lines_close(&lines);
	open_lines(*state, "", &lines);
	assert_null(mp_lib_lines_next(&lines));
	mp_lib_lines_close(&lines);
}

/* Lines of all lengths around that of the buffer, each with others before and behind it. */
static void test_lines_as_long_as_the_buffer(void **state)
{
	static char text[3 * MP_LIB_LINE_MAX + 64];
	struct mp_lib_lines lines;

	for (size_t len = MP_LIB_LINE_MAX - 3; len < MP_LIB_LINE_MAX + 3; len++) {
		size_t kept = len < MP_LIB_LINE_MAX - 1 ? len : MP_LIB_LINE_MAX - 1;
		const char *line;

		strcpy(text, "first\n");
		memset(text + 6, 'x', len);
		strcpy(text + 6 + len, "\nlast\n");
		open_lines(*state, text, &lines);
		assert_string_equal(mp_lib_lines_next(&lines), "first");
		line = mp_lib_lines_next(&lines);
		assert_int_equal(strlen(line), kept);
		assert_int_equal(strspn(line, "x"), kept);
		assert_string_equal(mp_lib_lines_next(&lines), "last");
		assert_null(mp_lib_lines_next(&lines));
		mp_lib_lines_close(&lines);
	}
}

static void test_lines_far_too_long(void **state)
{
	static char text[3 * MP_LIB_LINE_MAX];
	struct mp_lib_lines lines;

	memset(text, 'x', sizeof(text) - 1);
	open_lines(*state, text, &lines);
	assert_int_equal(strlen(mp_lib_lines_next(&lines)), MP_LIB_LINE_MAX - 1);
	assert_null(mp_lib_lines_next(&lines));
	mp_lib_lines_close(&lines);
	memcpy(text + sizeof(text) - 8, "\nend\n\0\0", 8);
	open_lines(*state, text, &lines);
	assert_non_null(mp_lib_lines_next(&lines));
	assert_string_equal(mp_lib_lines_next(&lines), "end");
	assert_null(mp_lib_lines_next(&lines));
	mp_lib_lines_close(&lines);
}

/* --- a file that is kept open ------------------------------------------------------ */

struct kept {
	struct mp_lib_file file;
	char path[PATH_MAX];
	char other[PATH_MAX];
};

static void open_kept(const struct tree *tree, struct kept *k)
{
	memset(&k->file, 0, sizeof(k->file));
	tree_write(tree, "/kept", "ours\n");
	tree_write(tree, "/other", "theirs\n");
	tree_path(tree, "/kept", k->path);
	tree_path(tree, "/other", k->other);
	assert_int_equal(mp_lib_file_open(&k->file, k->path), 0);
}

static void expect_text(struct kept *k, const char *expected)
{
	char text[16];

	assert_int_equal(mp_lib_file_read(&k->file, text, sizeof(text)), strlen(expected));
	assert_string_equal(text, expected);
}

static void expect_lost(struct kept *k, int err)
{
	char text[16] = "untouched";

	assert_int_equal(mp_lib_file_read(&k->file, text, sizeof(text)), err);
	assert_false(k->file.is_open);
}

static void test_kept_file_is_read_anew(void **state)
{
	struct kept k;

	open_kept(*state, &k);
	expect_text(&k, "ours\n");
	expect_text(&k, "ours\n");
	tree_write(*state, "/kept", "changed\n");
	expect_text(&k, "changed\n");
	assert_int_equal(fcntl(k.file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(mp_lib_file_is_at(&k.file, k.path));
	assert_false(mp_lib_file_is_at(&k.file, k.other));
	assert_false(mp_lib_file_is_at(&k.file, "/does/not/exist"));
	mp_lib_file_close(&k.file);
	assert_int_equal(fcntl(k.file.fd, F_GETFD), -1);
	expect_lost(&k, -EBADF);
}

static void test_kept_file_closed_by_others(void **state)
{
	struct kept k;

	open_kept(*state, &k);
	close(k.file.fd);
	expect_lost(&k, -EBADF);
	/* what is not open is not closed either */
	mp_lib_file_close(&k.file);
}

/* The number is another file's now: not read as ours, and left open. */
static void test_kept_number_taken_by_others(void **state)
{
	struct kept k;
	char text[16] = "";
	int fd;

	open_kept(*state, &k);
	close(k.file.fd);
	fd = open(k.other, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd, k.file.fd);
	expect_lost(&k, -EBADF);
	assert_int_equal(read(fd, text, sizeof(text)), strlen("theirs\n"));
	assert_string_equal(text, "theirs\n");
	k.file.is_open = 1;
	mp_lib_file_close(&k.file);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
}

/* What cannot be read at a position, and would be taken from its owner by a read. */
static void test_kept_number_taken_by_a_pipe(void **state)
{
	struct kept k;
	char text[4] = "";
	int fds[2];

	open_kept(*state, &k);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	dup2(fds[0], k.file.fd);
	expect_lost(&k, -EBADF);
	assert_int_equal(read(fds[0], text, sizeof(text)), 3);
	close(k.file.fd);
	close(fds[0]);
	close(fds[1]);
}

static void test_kept_file_never_has_a_standard_number(void **state)
{
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	struct kept k;

	close(STDIN_FILENO);
	open_kept(*state, &k);
	assert_true(k.file.fd > STDERR_FILENO);
	assert_int_equal(fcntl(k.file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	mp_lib_file_close(&k.file);
	if (saved >= 0) {
		dup2(saved, STDIN_FILENO);
		close(saved);
	}
}

static void test_kept_file_that_is_not_there(void **state)
{
	struct mp_lib_file file = {0};

	(void)state;
	assert_int_equal(mp_lib_file_open(&file, "/does/not/exist"), -ENOENT);
	assert_false(file.is_open);
}

static int make_tree(void **state)
{
	static struct tree tree;

	tree_make(&tree);
	*state = &tree;
	return 0;
}

static int remove_tree(void **state)
{
	tree_remove(*state);
	return 0;
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_kib_field),
		TREE_TEST(test_read_number),
		TREE_TEST(test_lines),
		TREE_TEST(test_lines_as_long_as_the_buffer),
		TREE_TEST(test_lines_far_too_long),
		TREE_TEST(test_kept_file_is_read_anew),
		TREE_TEST(test_kept_file_closed_by_others),
		TREE_TEST(test_kept_number_taken_by_others),
		TREE_TEST(test_kept_number_taken_by_a_pipe),
		TREE_TEST(test_kept_file_never_has_a_standard_number),
		cmocka_unit_test(test_kept_file_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
