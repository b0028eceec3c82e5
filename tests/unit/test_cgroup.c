// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "cgroup/cgroup.h"
#include "tree.h"

#define DOCKER_ID "4f1d0a9be7c352d8a6410f3b9d27c85e10b4a7f6693ec2d58b1f04a7d9e3c611"

#define HYBRID "tests/fixtures/hybrid"
#define V2 "tests/fixtures/v2"
#define V1_CONTAINER "tests/fixtures/v1-container"
#define NO_MEMORY "tests/fixtures/no-memory"

static struct mp_cgroups detect(const char *root)
{
	struct mp_cgroups cg;

	assert_int_equal(mp_cgroups_detect(&(struct mp_fsroot){root}, &cg), 0);
	return cg;
}

static void test_detect_hybrid(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);

	(void)state;
	assert_int_equal(cg.mode, MP_CGROUP_HYBRID);
	assert_string_equal(mp_cgroup_mode_name(cg.mode), "hybrid");
	assert_string_equal(cg.memory_mount, "/sys/fs/cgroup/memory");
	assert_string_equal(cg.memory_root, "/");
	assert_string_equal(cg.unified_mount, "/sys/fs/cgroup/unified");
}

static void test_detect_v2(void **state)
{
	struct mp_cgroups cg = detect(V2);

	(void)state;
	assert_int_equal(cg.mode, MP_CGROUP_V2);
	assert_string_equal(mp_cgroup_mode_name(cg.mode), "v2");
	assert_string_equal(cg.memory_mount, "/sys/fs/cgroup");
	assert_string_equal(cg.unified_mount, "/sys/fs/cgroup");
}

static void test_detect_v1_in_container(void **state)
{
	struct mp_cgroups cg = detect(V1_CONTAINER);

	(void)state;
	assert_int_equal(cg.mode, MP_CGROUP_V1);
	assert_string_equal(mp_cgroup_mode_name(cg.mode), "v1");
	assert_string_equal(cg.memory_mount, "/sys/fs/cgroup/memory");
	assert_string_equal(cg.memory_root, "/docker/" DOCKER_ID);
	assert_string_equal(cg.unified_mount, "");
}

static void test_detect_without_memory(void **state)
{
	struct mp_cgroups cg = detect(NO_MEMORY);
	struct mp_cgroup_sample sample;
	uint64_t number;
	char *path = NULL;

	(void)state;
	assert_int_equal(cg.mode, MP_CGROUP_NONE);
	assert_string_equal(mp_cgroup_mode_name(cg.mode), "none");
	assert_string_equal(cg.memory_mount, "");
	assert_string_equal(cg.unified_mount, "/sys/fs/cgroup");
	assert_int_equal(mp_cgroup_of_pid(&cg, 5000001, &path), -ENOENT);
	assert_int_equal(mp_cgroup_id(&cg, "/", &number), -ENOENT);
	assert_int_equal(mp_cgroup_by_id(&cg, 1, &path), -ENOENT);
	assert_int_equal(mp_cgroup_sample(&cg, "/", &sample), -ENOENT);
	assert_int_equal(mp_cgroup_effective_limit(&cg, "/", &number, &path), -ENOENT);
	assert_null(path);
}

static void test_detect_hostile_mountinfo(void **state)
{
	struct tree tree;
	struct mp_fsroot fs = {tree.root};
	struct mp_cgroups cg = {.mode = MP_CGROUP_V2};

	(void)state;
	tree_make(&tree);
	assert_int_equal(mp_cgroups_detect(&fs, &cg), -ENOENT);
	assert_int_equal(cg.mode, MP_CGROUP_V2);
	tree_write(&tree, "/proc/self/mountinfo",
		   "\n"
		   "1 - cgroup\n"
		   "1 2 0:1 / - cgroup cgroup rw,memory\n"
		   "1 2 0:1 relative /a rw - cgroup cgroup rw,memory\n"
		   "1 2 0:1 / /mem\\040ory\\134x rw shared:1 master:2 - cgroup c rw,memory\n"
		   "1 2 0:1 / /second rw - cgroup c rw,memory\n"
		   "1 2 0:1 / /no rw - cgroup c rw,memory_x,xmemory\n"
		   "1 2 0:1 / /bad\\09 rw - cgroup2 c rw");
	assert_int_equal(mp_cgroups_detect(&fs, &cg), 0);
	assert_int_equal(cg.mode, MP_CGROUP_HYBRID);
	assert_string_equal(cg.memory_mount, "/mem ory\\x");
	assert_string_equal(cg.unified_mount, "/bad\\09");
	tree_remove(&tree);
}

/* A part of the tree mounted for a container must not hide the whole one. */
static void test_detect_prefers_whole_tree(void **state)
{
	struct tree tree;
	struct mp_fsroot fs = {tree.root};
	struct mp_cgroups cg;
	char text[1024];

	(void)state;
	tree_make(&tree);
	snprintf(text, sizeof(text),
		 "1 2 0:1 /docker/a /part rw - cgroup c rw,memory\n"
		 "1 2 0:1 / /%0300d rw - cgroup c rw,memory\n"
		 "1 2 0:1 / /whole rw - cgroup c rw,memory\n",
		 7);
	tree_write(&tree, "/proc/self/mountinfo", text);
	assert_int_equal(mp_cgroups_detect(&fs, &cg), 0);
	assert_int_equal(cg.mode, MP_CGROUP_V1);
	assert_string_equal(cg.memory_mount, "/whole");
	assert_string_equal(cg.memory_root, "/");
	tree_remove(&tree);
}

static void check_of_pid(const struct mp_cgroups *cg, pid_t pid, const char *expected)
{
	MP_FREE char *path = NULL;

	assert_int_equal(mp_cgroup_of_pid(cg, pid, &path), 0);
	assert_string_equal(path, expected);
}

static void test_of_pid(void **state)
{
	struct mp_cgroups hybrid = detect(HYBRID);
	struct mp_cgroups v2 = detect(V2);
	char *path = NULL;

	(void)state;
	check_of_pid(&hybrid, 5000001, "/app/db");
	check_of_pid(&hybrid, 5000002, "/");
	check_of_pid(&v2, 5000001, "/system.slice/redis.service");
	check_of_pid(&v2, 5000003, "/system.slice/docker-" DOCKER_ID ".scope");
	assert_int_equal(mp_cgroup_of_pid(&v2, 5009999, &path), -ESRCH);
	assert_null(path);
}

/* session-1.scope has no memory controller: what its processes use is user.slice's. */
static void test_of_pid_is_the_charged_group(void **state)
{
	struct mp_cgroups v2 = detect(V2);

	(void)state;
	check_of_pid(&v2, 5000002, "/user.slice");
}

static void test_of_pid_outside_the_mount(void **state)
{
	struct mp_cgroups v2 = detect(V2);
	struct mp_cgroups v1 = detect(V1_CONTAINER);
	char *path = NULL;

	(void)state;
	assert_int_equal(mp_cgroup_of_pid(&v2, 5000004, &path), -ENOENT);
	check_of_pid(&v1, 5000001, "/");
	check_of_pid(&v1, 5000002, "/worker");
	assert_int_equal(mp_cgroup_of_pid(&v1, 5000003, &path), -ENOENT);
	assert_int_equal(mp_cgroup_of_pid(&v1, 5000004, &path), -ENOENT); /* …c6110 */
	assert_null(path);
}

static void test_of_pid_hostile(void **state)
{
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_V1, .memory_mount = "/m", .memory_root = "/"};
	MP_FREE char *path = NULL;

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	tree_write(&tree, "/proc/7/cgroup", "");
	assert_int_equal(mp_cgroup_of_pid(&cg, 7, &path), -ENOENT);
	tree_write(&tree, "/proc/7/cgroup", "4\n:\n4:memory\n4:memory:\n4:memory:relative\n::::\n");
	assert_int_equal(mp_cgroup_of_pid(&cg, 7, &path), -ENOENT);
	assert_null(path);
	tree_write(&tree, "/proc/7/cgroup", "3:cpu:/no\n4:cpu,memory:/a:b\033[2J\xff");
	assert_int_equal(mp_cgroup_of_pid(&cg, 7, &path), 0);
	assert_string_equal(path, "/a:b\033[2J\xff");
	tree_remove(&tree);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void test_id_of_path(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	uint64_t id = 0;

	(void)state;
	assert_int_equal(mp_cgroup_id(&cg, "/app/db", &id), 0);
	assert_int_equal(id, inode_of(HYBRID "/sys/fs/cgroup/memory/app/db"));
	assert_int_equal(mp_cgroup_id(&cg, "/", &id), 0);
	assert_int_equal(id, inode_of(HYBRID "/sys/fs/cgroup/memory"));
	id = 5;
	assert_int_equal(mp_cgroup_id(&cg, "/app/none", &id), -ENOENT);
	assert_int_equal(mp_cgroup_id(&cg, "/app/memory.stat", &id), -ENOTDIR);
	assert_int_equal(id, 5);
}

static void check_by_id(const struct mp_cgroups *cg, const char *expected)
{
	MP_FREE char *path = NULL;
	uint64_t id;

	assert_int_equal(mp_cgroup_id(cg, expected, &id), 0);
	assert_int_equal(mp_cgroup_by_id(cg, id, &path), 0);
	assert_string_equal(path, expected);
}

static void test_path_of_id(void **state)
{
	struct mp_cgroups cg = detect(V2);
	char *path = NULL;

	(void)state;
	check_by_id(&cg, "/");
	check_by_id(&cg, "/user.slice");
	check_by_id(&cg, "/system.slice/docker-" DOCKER_ID ".scope");
	assert_int_equal(mp_cgroup_by_id(&cg, UINT64_MAX, &path), -ENOENT);
	assert_null(path);
}

static int count_group(void *data, const char *path)
{
	int *n = data;

	assert_int_equal(path[0], '/');
	return ++*n == 3 ? -ECANCELED : 0;
}

static void test_walk_ends_when_told(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	int n = 0;

	(void)state;
	assert_int_equal(mp_cgroup_walk(&cg, count_group, &n), -ECANCELED);
	assert_int_equal(n, 3);
	n = 10;
	assert_int_equal(mp_cgroup_walk(&cg, count_group, &n), 0);
	assert_int_equal(n, 15); /* /, /app and three below it */
}

static struct mp_cgroup_sample sample(const struct mp_cgroups *cg, const char *path)
{
	struct mp_cgroup_sample s;

	assert_int_equal(mp_cgroup_sample(cg, path, &s), 0);
	return s;
}

static void test_sample_v1(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	struct mp_cgroup_sample s = sample(&cg, "/app");

	(void)state;
	assert_int_equal(s.usage, 805306368);
	assert_int_equal(s.inactive_file, 104857600); /* with those below, unlike inactive_file */
	assert_int_equal(s.working_set, 805306368 - 104857600);
	assert_int_equal(s.limit, 1073741824);
	s = sample(&cg, "/");
	assert_int_equal(s.usage, 1610612736);
	assert_int_equal(s.limit, MP_UNKNOWN);
}

/* The counters are read one after the other: the cache may look larger than the whole. */
static void test_sample_working_set_is_not_negative(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	struct mp_cgroup_sample s = sample(&cg, "/app/db");

	(void)state;
	assert_int_equal(s.usage, 314572800);
	assert_int_equal(s.inactive_file, 419430400);
	assert_int_equal(s.working_set, 0);
}

static void test_sample_v2(void **state)
{
	struct mp_cgroups cg = detect(V2);
	struct mp_cgroup_sample s = sample(&cg, "/system.slice/redis.service");

	(void)state;
	assert_int_equal(s.usage, 134217728);
	assert_int_equal(s.inactive_file, 33554432);
	assert_int_equal(s.working_set, 134217728 - 33554432);
	assert_int_equal(s.limit, 268435456);
	assert_int_equal(sample(&cg, "/system.slice").limit, MP_UNKNOWN);
}

static void test_sample_what_v2_does_not_say(void **state)
{
	struct mp_cgroups cg = detect(V2);
	struct mp_cgroup_sample s = sample(&cg, "/");

	(void)state;
	assert_int_equal(s.usage, MP_UNKNOWN);
	assert_int_equal(s.inactive_file, 196820992);
	assert_int_equal(s.working_set, MP_UNKNOWN);
	assert_int_equal(s.limit, MP_UNKNOWN);
	s = sample(&cg, "/user.slice/session-1.scope");
	assert_int_equal(s.usage, MP_UNKNOWN);
	assert_int_equal(s.inactive_file, MP_UNKNOWN);
	assert_int_equal(mp_cgroup_sample(&cg, "/gone.slice", &s), -ENOENT);
}

static void write_group(const struct tree *tree, const char *usage, const char *limit,
			const char *stat_text)
{
	tree_write(tree, "/m/g/memory.usage_in_bytes", usage);
	tree_write(tree, "/m/g/memory.limit_in_bytes", limit);
	tree_write(tree, "/m/g/memory.stat", stat_text);
}

static void test_sample_hostile(void **state)
{
	static const char *const no_limit[] = {"9223372036854771712\n", /* 4 KiB pages */
					       "9223372036854710272\n", /* 64 KiB pages */
					       "9223372036854775807\n", "18446744073709551615\n"};
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_V1, .memory_mount = "/m", .memory_root = "/"};
	struct mp_cgroup_sample s = {.usage = 1};

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	write_group(&tree, "12x\n", "1\n", "");
	assert_int_equal(mp_cgroup_sample(&cg, "/g", &s), -EBADMSG);
	write_group(&tree, "18446744073709551616\n", "1\n", "");
	assert_int_equal(mp_cgroup_sample(&cg, "/g", &s), -EBADMSG);
	write_group(&tree, "", "1\n", "");
	assert_int_equal(mp_cgroup_sample(&cg, "/g", &s), -EBADMSG);
	write_group(&tree, "5\n", "1\n", "total_inactive_file -1\n");
	assert_int_equal(mp_cgroup_sample(&cg, "/g", &s), -EBADMSG);
	assert_int_equal(s.usage, 1);
	write_group(&tree, "5\n", "1\n", "xtotal_inactive_file 3\n\n \ntotal_inactive_file\n");
	assert_int_equal(sample(&cg, "/g").working_set, MP_UNKNOWN);
	write_group(&tree, "5", "9223372036854513664", "total_inactive_file 3");
	s = sample(&cg, "/g");
	assert_int_equal(s.working_set, 2);
	assert_int_equal(s.limit, MP_UNKNOWN); /* 256 KiB pages */
	write_group(&tree, "5\n", "9223372036854513663\n", "");
	assert_int_equal(sample(&cg, "/g").limit, 9223372036854513663);
	for (size_t i = 0; i < MP_ARRAY_SIZE(no_limit); i++) {
		write_group(&tree, "5\n", no_limit[i], "");
		assert_int_equal(sample(&cg, "/g").limit, MP_UNKNOWN);
	}
	tree_remove(&tree);
}

static void check_limit(const struct mp_cgroups *cg, const char *path, uint64_t limit,
			const char *owner)
{
	MP_FREE char *ret_owner = NULL;
	uint64_t ret = 0;

	assert_int_equal(mp_cgroup_effective_limit(cg, path, &ret, &ret_owner), 0);
	assert_int_equal(ret, limit);
	if (owner)
		assert_string_equal(ret_owner, owner);
	else
		assert_null(ret_owner);
}

static void test_effective_limit(void **state)
{
	struct mp_cgroups hybrid = detect(HYBRID);
	struct mp_cgroups v1 = detect(V1_CONTAINER);
	struct mp_cgroups v2 = detect(V2);
	uint64_t limit = 7;
	char *owner = NULL;

	(void)state;
	check_limit(&hybrid, "/", MP_UNKNOWN, NULL);
	check_limit(&hybrid, "/app/db", 536870912, "/app/db"); /* below its parent's */
	check_limit(&hybrid, "/app/web", 1073741824, "/app");  /* none of its own */
	check_limit(&v1, "/worker", 268435456, "/");	       /* the container's own */
	check_limit(&v2, "/system.slice", MP_UNKNOWN, NULL);
	check_limit(&v2, "/system.slice/redis.service", 268435456, "/system.slice/redis.service");
	check_limit(&v2, "/user.slice/session-1.scope", 1073741824, "/user.slice");
	assert_int_equal(mp_cgroup_effective_limit(&v2, "/none", &limit, &owner), -ENOENT);
	assert_int_equal(limit, 7);
	assert_null(owner);
}

static void test_effective_limit_above_is_smaller(void **state)
{
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_V2, .memory_mount = "/m", .memory_root = "/"};

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	tree_write(&tree, "/m/a/memory.max", "4096\n");
	tree_write(&tree, "/m/a/b/memory.max", "8192\n");
	tree_write(&tree, "/m/a/b/c/memory.max", "0\n");
	tree_write(&tree, "/m/a/b/c/d/memory.max", "max\n");
	tree_write(&tree, "/m/a/e/memory.max", "4096\n");
	check_limit(&cg, "/a/b", 4096, "/a");
	check_limit(&cg, "/a/e", 4096, "/a/e"); /* the nearest of equals */
	check_limit(&cg, "/a/b/c/d", 0, "/a/b/c");
	tree_remove(&tree);
}

static void test_host_memory(void **state)
{
	uint64_t total = 1;
	uint64_t available = 2;

	(void)state;
	assert_int_equal(mp_host_memory(&(struct mp_fsroot){NO_MEMORY}, &total, &available),
			 -ENOENT);
	assert_int_equal(total, 1);
	assert_int_equal(available, 2);
	assert_int_equal(mp_host_memory(&(struct mp_fsroot){V2}, &total, &available), 0);
	assert_int_equal(total, 24684084ULL * 1024);
	assert_int_equal(available, 23168592ULL * 1024);
}

static void check_domain(const struct mp_cgroups *cg, const char *path, uint64_t usage,
			 uint64_t working_set, uint64_t limit, double usage_pct)
{
	struct mp_domain_sample s;

	assert_int_equal(mp_domain_sample(cg, path, &s), 0);
	assert_int_equal(s.usage, usage);
	assert_int_equal(s.working_set, working_set);
	assert_int_equal(s.limit, limit);
	assert_true(s.usage_pct == usage_pct);
}

static void test_domain(void **state)
{
	struct mp_cgroups hybrid = detect(HYBRID);
	struct mp_cgroups v2 = detect(V2);
	struct mp_cgroups none = detect(NO_MEMORY);
	const uint64_t used = (24684084ULL - 23168592ULL) * 1024;
	struct mp_domain_sample s = {.usage = 7};

	(void)state;
	check_domain(&hybrid, "/app", 805306368, 700448768, 1073741824, 65.23);
	check_domain(&hybrid, "/app/db", 314572800, 0, 536870912, 0);
	check_domain(&v2, "/system.slice/redis.service", 134217728, 100663296, 268435456, 37.5);
	check_domain(&v2, "/user.slice/session-1.scope", MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, -1);
	check_domain(&v2, NULL, used, used, 24684084ULL * 1024, 6.14);
	assert_int_equal(mp_domain_sample(&v2, "/gone.slice", &s), -ENOENT);
	assert_int_equal(mp_domain_sample(&none, "/", &s), -ENOENT);
	assert_int_equal(mp_domain_sample(&none, NULL, &s), -ENOENT);
	assert_int_equal(s.usage, 7);
}

static void test_domain_glance(void **state)
{
	struct mp_cgroups hybrid = detect(HYBRID);
	struct mp_cgroups v2 = detect(V2);
	struct mp_domain_sample s;

	(void)state;
	assert_int_equal(mp_domain_glance(&hybrid, "/app", &s), 0);
	assert_int_equal(s.usage, 805306368);
	assert_int_equal(s.working_set, MP_UNKNOWN);
	assert_int_equal(s.limit, 1073741824);
	assert_true(s.usage_pct == 75); /* of the usage: never below that of the working set */
	assert_int_equal(mp_domain_glance(&v2, NULL, &s), 0);
	assert_true(s.usage_pct == 6.14);
	assert_int_equal(mp_domain_glance(&v2, "/system.slice", &s), 0);
	assert_true(s.usage_pct == -1);
	assert_int_equal(mp_domain_glance(&v2, "/gone.slice", &s), -ENOENT);
}

/* Whatever this machine has, the parts must agree with each other. */
static void test_live_machine(void **state)
{
	struct mp_cgroups cg = detect("");
	MP_FREE char *path = NULL;
	struct mp_cgroup_sample s;

	(void)state;
	if (cg.mode == MP_CGROUP_NONE || mp_cgroup_of_pid(&cg, getpid(), &path))
		skip();
	assert_int_equal(mp_cgroup_sample(&cg, path, &s), 0);
	check_by_id(&cg, path);
}

static void test_tally_v2(void **state)
{
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_V2, .memory_mount = "/cg"};
	struct mp_cgroup_tally tally = {1, 1, 1};
	pid_t *pids = NULL;
	size_t n = 0;

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	tree_write(&tree, "/cg/a/memory.stat",
		   "anon 1\npgsteal 3\npgsteal_kswapd 9\n"
		   "workingset_refault_file 5\n");
	assert_int_equal(mp_cgroup_tally(&cg, "/a", &tally), 0);
	assert_int_equal(tally.peak, MP_UNKNOWN); /* before 5.19 */
	assert_int_equal(tally.reclaimed, 3 * sysconf(_SC_PAGESIZE));
	assert_int_equal(tally.refaulted, 5 * sysconf(_SC_PAGESIZE));
	tree_write(&tree, "/cg/a/memory.peak", "4096\n");
	tree_write(&tree, "/cg/a/cgroup.procs", "5\n17\n");
	assert_int_equal(mp_cgroup_tally(&cg, "/a", &tally), 0);
	assert_int_equal(tally.peak, 4096);
	assert_int_equal(mp_cgroup_pids(&cg, "/a", &pids, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(pids[1], 17);
	free(pids);
	assert_int_equal(mp_cgroup_pids(&cg, "/b", &pids, &n), -ENOENT);
	tree_write(&tree, "/cg/a/memory.stat", "pgsteal x\n");
	assert_int_equal(mp_cgroup_tally(&cg, "/a", &tally), -EBADMSG);
	assert_int_equal(tally.peak, 4096);
	assert_int_equal(mp_cgroup_tally(&cg, "/b", &tally), -ENOENT);
	tree_remove(&tree);
}

static void test_tally_v1(void **state)
{
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_HYBRID, .memory_mount = "/cg"};
	struct mp_cgroup_tally tally;

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	tree_write(&tree, "/cg/a/memory.stat", "cache 1\npgpgin 9\n");
	tree_write(&tree, "/cg/a/memory.max_usage_in_bytes", "8192\n");
	assert_int_equal(mp_cgroup_tally(&cg, "/a", &tally), 0);
	assert_int_equal(tally.peak, 8192);
	assert_int_equal(tally.reclaimed, MP_UNKNOWN);
	assert_int_equal(tally.refaulted, MP_UNKNOWN);
	tree_remove(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_detect_hybrid),
		cmocka_unit_test(test_detect_v2),
		cmocka_unit_test(test_detect_v1_in_container),
		cmocka_unit_test(test_detect_without_memory),
		cmocka_unit_test(test_detect_hostile_mountinfo),
		cmocka_unit_test(test_detect_prefers_whole_tree),
		cmocka_unit_test(test_of_pid),
		cmocka_unit_test(test_of_pid_is_the_charged_group),
		cmocka_unit_test(test_of_pid_outside_the_mount),
		cmocka_unit_test(test_of_pid_hostile),
		cmocka_unit_test(test_id_of_path),
		cmocka_unit_test(test_path_of_id),
		cmocka_unit_test(test_walk_ends_when_told),
		cmocka_unit_test(test_sample_v1),
		cmocka_unit_test(test_sample_working_set_is_not_negative),
		cmocka_unit_test(test_sample_v2),
		cmocka_unit_test(test_sample_what_v2_does_not_say),
		cmocka_unit_test(test_sample_hostile),
		cmocka_unit_test(test_effective_limit),
		cmocka_unit_test(test_effective_limit_above_is_smaller),
		cmocka_unit_test(test_host_memory),
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_domain_glance),
		cmocka_unit_test(test_tally_v2),
		cmocka_unit_test(test_tally_v1),
		cmocka_unit_test(test_live_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
