// SPDX-License-Identifier: GPL-2.0-only
/* What /proc says of a process, and the files it runs code from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "target/target.h"
#include "tree.h"

#define HYBRID "tests/fixtures/hybrid"

static const struct mp_fsroot hybrid = {HYBRID};

static int setup(void **state)
{
	struct tree *tree = malloc(sizeof(*tree));

	tree_make(tree);
	tree_link(tree, "/proc/self/ns/mnt", "mnt:[1]");
	tree_link(tree, "/proc/7/ns/mnt", "mnt:[1]");
	tree_link(tree, "/proc/7/root", "/");
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	tree_remove(*state);
	free(*state);
	return 0;
}

static void test_read_process(void **state)
{
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5000001, &p), 0);
	assert_int_equal(p.pid, 5000001);
	assert_int_equal(p.parent, 1);
	assert_string_equal(p.comm, "redis-server");
	assert_int_equal(p.state, 'S');
	assert_false(p.is_kernel_thread);
	assert_int_equal(p.start_time, 150689);
}

static void test_read_kernel_thread(void **state)
{
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5000002, &p), 0);
	assert_true(p.is_kernel_thread);
	assert_string_equal(p.comm, "kworker/u4:1-ev"); /* 15 bytes, as everywhere else */
	assert_int_equal(p.state, 'I');
}

static void test_read_zombie(void **state)
{
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5000003, &p), 0);
	assert_int_equal(p.state, 'Z');
	assert_int_equal(p.parent, 5000001);
}

static void test_read_hostile_comm(void **state)
{
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5000004, &p), 0);
	assert_string_equal(p.comm, "x) S 1 (\n\033[2J");
	assert_int_equal(p.parent, 5000001);
	assert_int_equal(p.start_time, 170003);
}

static void test_read_thread_names_its_group(void **state)
{
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5000010, &p), 0);
	assert_int_equal(p.pid, 5000001);
	assert_string_equal(p.comm, "bio_close_file");
}

static void test_read_gone(void **state)
{
	struct mp_process p = {.pid = 3};

	(void)state;
	assert_int_equal(mp_process_read(&hybrid, 5009999, &p), -ESRCH);
	assert_int_equal(p.pid, 3);
}

#define WORDS_TO_START " S 1 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 "

static void test_read_malformed_stat(void **state)
{
	static const char *const malformed[] = {
		"",
		"7",
		"7 (a",
		"7 a)" WORDS_TO_START "5\n",
		"7 )a(" WORDS_TO_START "5\n",
		"7 (a)",
		"7 (a)\n",
		"7 (a) S 1 7 7 0 -1 4194304\n",
		"7 (a)" WORDS_TO_START "\n",
		"7 (a)" WORDS_TO_START "18446744073709551616\n",
		"7 (a)" WORDS_TO_START "-5\n",
		"7 (a)" WORDS_TO_START "5x\n",
		"7 (a) SS 1 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 5\n",
		"7 (a) S 2147483648 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 5\n",
		"7 (a) S 1 7 7 0 -1 4294967296 1 0 0 0 1 1 0 0 20 0 1 0 5\n",
	};
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	struct mp_process p = {.pid = 3};

	tree_write(tree, "/proc/7/status", "Name:\ta\nTgid:\t7\n");
	for (size_t i = 0; i < MP_ARRAY_SIZE(malformed); i++) {
		tree_write(tree, "/proc/7/stat", malformed[i]);
		if (mp_process_read(&fs, 7, &p) != -EBADMSG)
			fail_msg("taken: %s", malformed[i]);
	}
	assert_int_equal(p.pid, 3);
}

static void test_read_extreme_stat(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	struct mp_process p;

	tree_write(tree, "/proc/7/status", "Name:\tTgid:\t5\nTgid:\t7\n");
	tree_write(tree, "/proc/7/stat", "7 ()" WORDS_TO_START "18446744073709551615");
	assert_int_equal(mp_process_read(&fs, 7, &p), 0);
	assert_string_equal(p.comm, "");
	assert_int_equal(p.start_time, UINT64_MAX);
	assert_int_equal(p.pid, 7);
	tree_write_bytes(tree, "/proc/7/stat", "7 (\xff\0b)" WORDS_TO_START "5\n",
			 sizeof("7 (\xff\0b)" WORDS_TO_START "5\n") - 1);
	assert_int_equal(mp_process_read(&fs, 7, &p), 0);
	assert_memory_equal(p.comm, "\xff\0b\0", 4);
}

static void test_read_malformed_status(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	struct mp_process p;

	tree_write(tree, "/proc/7/stat", "7 (a)" WORDS_TO_START "5\n");
	assert_int_equal(mp_process_read(&fs, 7, &p), -ESRCH); /* ended between the two files */
	tree_write(tree, "/proc/7/status", "Name:\ta\nPid:\t7\n");
	assert_int_equal(mp_process_read(&fs, 7, &p), -EBADMSG);
	tree_write(tree, "/proc/7/status", "Tgid:\t99999999999999999999\n");
	assert_int_equal(mp_process_read(&fs, 7, &p), -EBADMSG);
}

/* Copies of what the callbacks were handed. */
struct seen {
	struct mp_binary items[16];
	char text[16][3][PATH_MAX];
	size_t n;
	int stop_with;
};

static int keep(void *data, const struct mp_binary *binary)
{
	struct seen *seen = data;
	struct mp_binary *item = &seen->items[seen->n];
	char(*text)[PATH_MAX] = seen->text[seen->n];

	assert_in_range(seen->n, 0, MP_ARRAY_SIZE(seen->items) - 1);
	seen->n++;
	*item = *binary;
	item->path = strcpy(text[0], binary->path);
	item->open_path = strcpy(text[1], binary->open_path);
	item->root = strcpy(text[2], binary->root);
	return seen->stop_with;
}

static struct seen *seen_new(void)
{
	return calloc(1, sizeof(struct seen));
}

static void test_recorded_mappings(void **state)
{
	MP_FREE struct seen *seen = seen_new();

	(void)state;
	assert_int_equal(mp_process_mappings(&hybrid, 5000001, keep, seen), 0);
	assert_int_equal(seen->n, 3);
	assert_string_equal(seen->items[0].path, "/usr/bin/redis-server");
	assert_int_equal(seen->items[0].start, 0x55e9b80d5000);
	assert_int_equal(seen->items[0].end, 0x55e9b80da000);
	assert_int_equal(seen->items[0].file_offset, 0x2000);
	assert_string_equal(seen->items[1].path, "/usr/lib/x86_64-linux-gnu/libc.so.6");
	/* A memfd has no path to open: the kernel's link to the mapping does. */
	assert_string_equal(seen->items[2].path, "/memfd:jit");
	assert_string_equal(seen->items[2].open_path,
			    HYBRID "/proc/5000001/map_files/7f2c1b600000-7f2c1b601000");
	assert_true(seen->items[2].deleted);
	assert_int_equal(seen->items[2].dev, makedev(0, 1));
	assert_int_equal(seen->items[2].ino, 1033);
}

static void test_mappings_gone(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};

	assert_int_equal(mp_process_mappings(&fs, 7, keep, NULL), -ESRCH);
	tree_write(tree, "/proc/7/maps", "");
	assert_int_equal(mp_process_mappings(&fs, 7, keep, NULL), -ESRCH);
	assert_int_equal(mp_process_binaries(&fs, 7, keep, NULL), -ESRCH);
}

static void test_malformed_maps(void **state)
{
	static const char maps[] = "\n"
				   "garbage\n"
				   "1000-2000 r-xp 00000000 fe:00 5\n"
				   "1000-2000 r-xp 00000000 fe:00 5 \n"
				   "1000-2000 r-xp 00000000 fe:00 x /a\n"
				   "1000-2000 r-xp 00000000 fe:00 99999999999999999999 /a\n"
				   "1000-2000 r-xp 00000000 fe 5 /a\n"
				   "1000-2000 r-xp 0000g000 fe:00 5 /a\n"
				   "1000-2000 r-x 00000000 fe:00 5 /a\n"
				   "2000-1000 r-xp 00000000 fe:00 5 /a\n"
				   "1000-1000 r-xp 00000000 fe:00 5 /a\n"
				   "0x10-2000 r-xp 00000000 fe:00 5 /a\n"
				   "-1-2000 r-xp 00000000 fe:00 5 /a\n"
				   "1000-10000000000000000 r-xp 00000000 fe:00 5 /a\n"
				   "1000-2000 r-xp 00000000 fe:00 5 relative\n"
				   "1000-2000 r--p 00000000 fe:00 5 /a\n"
				   "1000-2000 r-xp 00000000 fe:00 0 /a\n"
				   "1000-2000 r-xp 00000000 00:00 0 [vdso]\n"
				   "1000-ffffffffffffffff --xp ffffffffffffffff fff:fffff "
				   "18446744073709551615 /edge\n"
				   "3000-4000 r-xp 00000000 fe:00 6 /cut";
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	MP_FREE struct seen *seen = seen_new();

	tree_write(tree, "/proc/7/maps", maps);
	assert_int_equal(mp_process_mappings(&fs, 7, keep, seen), 0);
	assert_int_equal(seen->n, 2);
	assert_string_equal(seen->items[0].path, "/edge");
	assert_int_equal(seen->items[0].end, UINT64_MAX);
	assert_int_equal(seen->items[0].file_offset, UINT64_MAX);
	assert_int_equal(seen->items[0].ino, UINT64_MAX);
	assert_string_equal(seen->items[1].path, "/cut");
}

static void test_callback_ends_the_walk(void **state)
{
	MP_FREE struct seen *seen = seen_new();

	(void)state;
	seen->stop_with = -ECANCELED;
	assert_int_equal(mp_process_mappings(&hybrid, 5000001, keep, seen), -ECANCELED);
	assert_int_equal(seen->n, 1);
	assert_int_equal(mp_process_binaries(&hybrid, 5000001, keep, seen), -ECANCELED);
	assert_int_equal(seen->n, 2);
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

/* Appends a mapping to process 7's maps; `ino` 0 means the file's own. */
static void map(const struct tree *tree, const char *path, uint64_t start, uint64_t ino,
		const char *suffix)
{
	char maps[PATH_MAX];
	FILE *f;

	tree_path(tree, "/proc/7/maps", maps);
	f = fopen(maps, "a");
	assert_non_null(f);
	fprintf(f, "%08llx-%08llx r-xp 00001000 fe:00 %llu          %s%s\n",
		(unsigned long long)start, (unsigned long long)start + 0x1000,
		(unsigned long long)(ino ? ino : stat_of(path).st_ino), path, suffix);
	fclose(f);
}

static struct seen *binaries(const struct tree *tree)
{
	struct seen *seen = seen_new();

	assert_int_equal(mp_process_binaries(&(struct mp_fsroot){tree->root}, 7, keep, seen), 0);
	return seen;
}

static void test_binaries_once_and_program_first(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char lib[PATH_MAX];
	char exe[PATH_MAX];

	tree_write(tree, "/lib a.so", "lib"); /* a blank in the name */
	tree_write(tree, "/exe", "exe");
	tree_path(tree, "/lib a.so", lib);
	tree_path(tree, "/exe", exe);
	tree_link(tree, "/proc/7/exe", exe);
	map(tree, lib, 0x1000, 0, "");
	map(tree, lib, 0x2000, 0, "");
	map(tree, exe, 0x8000, 0, "");
	map(tree, exe, 0x9000, 0, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 2);
	assert_string_equal(seen->items[0].path, exe);
	assert_true(seen->items[0].is_exe);
	assert_int_equal(seen->items[0].start, 0x8000);
	assert_string_equal(seen->items[1].path, lib);
	assert_false(seen->items[1].is_exe);
	assert_int_equal(seen->items[1].start, 0x1000);
	assert_int_equal(seen->items[1].file_offset, 0x1000);
	/* The same mount namespace: opened by its own path. */
	assert_string_equal(seen->items[1].open_path, lib);
	assert_string_equal(seen->items[1].root, "");
	assert_int_equal(seen->items[1].dev, stat_of(lib).st_dev);
	assert_int_equal(seen->items[1].ino, stat_of(lib).st_ino);
	assert_false(seen->items[1].deleted);
}

static void test_binary_with_newline(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char written[PATH_MAX];
	char path[PATH_MAX];

	tree_write(tree, "/a\n\nb\033[2J\xff", "lib");
	tree_path(tree, "/a\n\nb\033[2J\xff", path);
	tree_path(tree, "/a\\012\\012b\033[2J\xff", written);
	map(tree, written, 0x1000, stat_of(path).st_ino, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_string_equal(seen->items[0].open_path, path);
}

static void test_binary_replaced(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];
	char old[PATH_MAX];

	tree_write(tree, "/lib.so", "new");
	tree_write(tree, "/old.so", "old");
	tree_path(tree, "/lib.so", path);
	tree_path(tree, "/old.so", old);
	tree_link(tree, "/proc/7/map_files/1000-2000", old);
	map(tree, path, 0x1000, stat_of(old).st_ino, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_non_null(strstr(seen->items[0].open_path, "/proc/7/map_files/1000-2000"));
	assert_int_equal(seen->items[0].ino, stat_of(old).st_ino);
	assert_int_equal(seen->items[0].dev, stat_of(old).st_dev);
	assert_false(seen->items[0].deleted);
}

/* The new file under the name may even have been given the old one's inode. */
static void test_binary_deleted(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];

	tree_write(tree, "/lib.so", "new");
	tree_path(tree, "/lib.so", path);
	map(tree, path, 0x1000, 0, " (deleted)");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_true(seen->items[0].deleted);
	assert_non_null(strstr(seen->items[0].open_path, "/proc/7/map_files/1000-2000"));
}

static void test_binary_named_deleted(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];

	tree_write(tree, "/lib.so (deleted)", "");
	tree_path(tree, "/lib.so (deleted)", path);
	map(tree, path, 0x1000, 0, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_string_equal(seen->items[0].open_path, path);
	assert_false(seen->items[0].deleted);
}

/* On overlayfs older kernels write the inode of the file below: map_files is asked first. */
static void test_binary_of_overlayfs(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];

	tree_write(tree, "/lib.so", "");
	tree_path(tree, "/lib.so", path);
	tree_link(tree, "/proc/7/map_files/1000-2000", path);
	map(tree, path, 0x1000, stat_of(path).st_ino + 1, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].open_path, path);
	assert_int_equal(seen->items[0].ino, stat_of(path).st_ino);
}

/*
 * Process 7 sees /lib.so, which lies in `container` for everybody else; maps
 * shows the path that `container` has for the reader: none in a container.
 */
static void check_through_root(const struct tree *tree, const char *container, const char *shown)
{
	MP_FREE struct seen *seen = NULL;
	char inside[PATH_MAX];
	char expected[PATH_MAX];

	snprintf(inside, sizeof(inside), "%s/lib.so", container);
	map(tree, shown, 0x1000, stat_of(inside).st_ino, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, "/lib.so");
	tree_path(tree, "/proc/7/root", expected);
	assert_string_equal(seen->items[0].root, expected);
	strcat(expected, "/lib.so");
	assert_string_equal(seen->items[0].open_path, expected);
	assert_int_equal(seen->items[0].ino, stat_of(inside).st_ino);
}

static void test_binary_in_container(void **state)
{
	const struct tree *tree = *state;
	char container[PATH_MAX];

	tree_write(tree, "/container/lib.so", "inside");
	tree_path(tree, "/container", container);
	tree_link(tree, "/proc/7/ns/mnt", "mnt:[2]");
	tree_link(tree, "/proc/7/root", container);
	check_through_root(tree, container, "/lib.so");
}

static void test_binary_in_chroot(void **state)
{
	const struct tree *tree = *state;
	char container[PATH_MAX];
	char shown[PATH_MAX];

	tree_write(tree, "/container/lib.so", "inside");
	tree_path(tree, "/container", container);
	tree_path(tree, "/container/lib.so", shown);
	tree_link(tree, "/proc/7/root", container);
	check_through_root(tree, container, shown);
}

static void test_binary_from_outside_chroot(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char container[PATH_MAX];
	char path[PATH_MAX];

	tree_write(tree, "/container-lib.so", "outside");
	tree_write(tree, "/container/x", "");
	tree_path(tree, "/container-lib.so", path);
	tree_path(tree, "/container", container);
	tree_link(tree, "/proc/7/root", container);
	map(tree, path, 0x1000, 0, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_string_equal(seen->items[0].open_path, path);
	assert_string_equal(seen->items[0].root, "");
}

/* Another mount namespace is never searched by a path of ours. */
static void test_binary_hidden_in_container(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];

	tree_write(tree, "/lib.so", "ours");
	tree_write(tree, "/empty/x", "");
	tree_path(tree, "/empty", path);
	tree_link(tree, "/proc/7/ns/mnt", "mnt:[2]");
	tree_link(tree, "/proc/7/root", path);
	tree_path(tree, "/lib.so", path);
	map(tree, path, 0x1000, 0, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_non_null(strstr(seen->items[0].open_path, "/map_files/1000-2000"));
}

/* A path that does not fit behind /proc/PID/root is opened through map_files. */
static void test_binary_with_longest_path(void **state)
{
	const struct tree *tree = *state;
	MP_FREE struct seen *seen = NULL;
	char path[PATH_MAX];

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	tree_link(tree, "/proc/7/ns/mnt", "mnt:[2]");
	map(tree, path, 0x1000, 9, "");
	seen = binaries(tree);
	assert_int_equal(seen->n, 1);
	assert_string_equal(seen->items[0].path, path);
	assert_non_null(strstr(seen->items[0].open_path, "/map_files/1000-2000"));
}

static void test_own_process(void **state)
{
	MP_FREE struct seen *seen = seen_new();
	const struct mp_fsroot live = {""};
	struct mp_process p;

	(void)state;
	assert_int_equal(mp_process_read(&live, getpid(), &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.parent, getppid());
	assert_int_equal(p.state, 'R');
	assert_int_equal(mp_process_binaries(&live, getpid(), keep, seen), 0);
	assert_in_range(seen->n, 2, MP_ARRAY_SIZE(seen->items));
	assert_true(seen->items[0].is_exe);
	assert_int_equal(seen->items[0].ino, stat_of("/proc/self/exe").st_ino);
	assert_string_equal(seen->items[0].open_path, seen->items[0].path);
	for (size_t i = 1; i < seen->n; i++)
		assert_false(seen->items[i].is_exe);
}

static void test_own_memfd(void **state)
{
	MP_FREE struct seen *seen = seen_new();
	MP_CLOSE int fd = memfd_create("a (deleted)\nb", MFD_CLOEXEC);
	struct stat st;
	void *code;
	bool found = false;

	(void)state;
	assert_true(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(code, MAP_FAILED);
	assert_int_equal(mp_process_binaries(&(struct mp_fsroot){""}, getpid(), keep, seen), 0);
	munmap(code, 4096);
	for (size_t i = 0; i < seen->n; i++) {
		if (seen->items[i].start != (uintptr_t)code)
			continue;
		found = true;
		assert_string_equal(seen->items[i].path, "/memfd:a (deleted)\nb");
		assert_int_equal(seen->items[i].ino, st.st_ino);
		assert_true(seen->items[i].deleted);
	}
	assert_true(found);
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(mp_binary_matches("/usr/lib/libllama.so.0", "libllama.so*"));
	assert_true(mp_binary_matches("/usr/lib/libllama.so.0", "/usr/*/libllama.so.?"));
	assert_true(mp_binary_matches("/opt/a/b/lib.so", "/opt/*/lib.so"));
	assert_true(mp_binary_matches("/usr/bin/redis-server", "redis-server"));
	assert_true(mp_binary_matches("/a/b\n\xff", "b\n*"));
	assert_true(mp_binary_matches("lib.so", "lib.so"));
	assert_false(mp_binary_matches("/usr/lib/libllama.so.0", "libllama.so"));
	assert_false(mp_binary_matches("/usr/lib/lib.so", "lib"));
	assert_false(mp_binary_matches("/usr/lib/lib.so", "usr"));
	assert_false(mp_binary_matches("/usr/lib/lib.so", "lib/lib.so"));
	assert_false(mp_binary_matches("/usr/lib/lib.so", ""));
	assert_false(mp_binary_matches("/usr/lib/lib.so", "[lib.so"));
}

#define with_tree(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void test_rss_by_kind(void **state)
{
	const struct tree *tree = *state;
	const struct mp_fsroot fs = {tree->root};
	struct mp_rss_kinds rss = {7, 7, 7};

	tree_write(tree, "/proc/7/status",
		   "Name:\tRssAnon:\t9 kB\nVmRSS:\t  60 kB\nRssAnon:\t      10 kB\n"
		   "RssFile:\t      20 kB\nRssShmem:\t      30 kB\n");
	assert_int_equal(mp_process_rss_kinds(&fs, 7, &rss), 0);
	assert_int_equal(rss.anon, 10 << 10);
	assert_int_equal(rss.file, 20 << 10);
	assert_int_equal(rss.shmem, 30 << 10);
	/* A kernel thread, or one that is on its way out, has none. */
	tree_write(tree, "/proc/7/status", "Name:\tx\nRssAnon:\t 5 kB\n");
	assert_int_equal(mp_process_rss_kinds(&fs, 7, &rss), -ESRCH);
	assert_int_equal(mp_process_rss_kinds(&fs, 8, &rss), -ESRCH);
	assert_int_equal(rss.anon, 10 << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_process),
		cmocka_unit_test(test_read_kernel_thread),
		cmocka_unit_test(test_read_zombie),
		cmocka_unit_test(test_read_hostile_comm),
		cmocka_unit_test(test_read_thread_names_its_group),
		cmocka_unit_test(test_read_gone),
		with_tree(test_read_malformed_stat),
		with_tree(test_read_extreme_stat),
		with_tree(test_read_malformed_status),
		with_tree(test_rss_by_kind),
		cmocka_unit_test(test_recorded_mappings),
		with_tree(test_mappings_gone),
		with_tree(test_malformed_maps),
		cmocka_unit_test(test_callback_ends_the_walk),
		with_tree(test_binaries_once_and_program_first),
		with_tree(test_binary_with_newline),
		with_tree(test_binary_replaced),
		with_tree(test_binary_deleted),
		with_tree(test_binary_named_deleted),
		with_tree(test_binary_of_overlayfs),
		with_tree(test_binary_in_container),
		with_tree(test_binary_in_chroot),
		with_tree(test_binary_from_outside_chroot),
		with_tree(test_binary_hidden_in_container),
		with_tree(test_binary_with_longest_path),
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_own_memfd),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
