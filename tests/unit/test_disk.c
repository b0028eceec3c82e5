// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "model/disk.h"
#include "tree.h"
#include "workdir.h"

#define MB (1ULL << 20)

static const char *path_of(const struct dir *dir, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", dir->path, name);
	return out;
}

static bool is_in_memory(const struct dir *dir)
{
	struct statfs fs;

	assert_int_equal(statfs(dir->path, &fs), 0);
	return fs.f_type == TMPFS_MAGIC;
}

static void test_a_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_disk_speed speed = {0};
	char path[128];
	int error;

	shell(dir, "head -c 5243392 /dev/urandom >file && sync file"); /* 5 MiB and a sector */
	error = mp_disk_measure(path_of(dir, "file", path), &speed);
	if (is_in_memory(dir)) {
		assert_int_equal(error, -EOPNOTSUPP);
		return;
	}
	assert_int_equal(error, 0);
	assert_true(speed.read_bytes >= 2 * MB && speed.read_bytes <= 5 * MB);
	assert_int_equal(speed.read_bytes % MB, 0); /* the rest is no whole chunk */
	assert_true(speed.per_s > 0);
}

static void test_memory_is_no_disk(void **state)
{
	struct mp_disk_speed speed = {.per_s = 7};
	struct statfs fs;
	char path[] = "/dev/shm/mp_test.XXXXXX";
	int fd, error;

	(void)state;
	if (statfs("/dev/shm", &fs) || fs.f_type != TMPFS_MAGIC)
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, 4 * MB), 0);
	error = mp_disk_measure(path, &speed);
	unlink(path);
	close(fd);
	assert_int_equal(error, -EOPNOTSUPP);
	assert_int_equal(speed.per_s, 7);
}

static void test_what_tells_nothing(void **state)
{
	const struct dir *dir = *state;
	struct mp_disk_speed speed = {.per_s = 7};
	int unknown = is_in_memory(dir) ? -EOPNOTSUPP : -ENODATA;
	char path[128];

	shell(dir, "truncate -s 8M holes && : >empty && head -c 2097151 /dev/urandom >small");
	assert_int_equal(mp_disk_measure(path_of(dir, "holes", path), &speed), unknown);
	assert_int_equal(mp_disk_measure(path_of(dir, "empty", path), &speed), unknown);
	assert_int_equal(mp_disk_measure(path_of(dir, "small", path), &speed), unknown);
	assert_int_equal(mp_disk_measure(path_of(dir, "none", path), &speed), -ENOENT);
	assert_true(mp_disk_measure(dir->path, &speed) < 0);
	assert_int_equal(speed.per_s, 7);
}

static void test_readahead(void **state)
{
	struct mp_fsroot fs;
	struct tree tree;

	(void)state;
	tree_make(&tree);
	fs.root = tree.root;
	assert_int_equal(mp_disk_readahead(&fs, makedev(254, 1)), 128 << 10);
	tree_write(&tree, "/sys/dev/block/254:0/queue/read_ahead_kb", "512\n");
	tree_link(&tree, "/sys/dev/block/254:1", "254:0/part");
	tree_write(&tree, "/sys/dev/block/254:0/part/dev", "254:1\n");
	assert_int_equal(mp_disk_readahead(&fs, makedev(254, 1)), 512 << 10);
	tree_write(&tree, "/sys/class/bdi/254:1/read_ahead_kb", "8192\n");
	assert_int_equal(mp_disk_readahead(&fs, makedev(254, 1)), 8192 << 10);
	tree_write(&tree, "/sys/class/bdi/254:1/read_ahead_kb", "much\n");
	assert_int_equal(mp_disk_readahead(&fs, makedev(254, 1)), 512 << 10);
	tree_remove(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file, make_dir, remove_dir),
		cmocka_unit_test(test_memory_is_no_disk),
		cmocka_unit_test(test_readahead),
		cmocka_unit_test_setup_teardown(test_what_tells_nothing, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
