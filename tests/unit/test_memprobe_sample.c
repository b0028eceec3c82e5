// SPDX-License-Identifier: GPL-2.0-only
/* Samples of made-up systems: what is taken from where, and when it is read anew. */
#include "lib/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tree.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define MS 1000000ULL
#define FIRST_NS (1000 * MS) /* of the first sample */

#define V2_MOUNT "35 31 0:32 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT                                                                                   \
	"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"                              \
	"35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
#define HYBRID_MOUNT                                                                               \
	"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" V1_MOUNT                   \
	"42 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
#define V1_NONE "9223372036854771712\n"

/* What sysinfo() would say: 8 GiB, of which a test sets what is free. */
static uint64_t free_now;

static struct mp_lib_ram fake_ram(void)
{
	return (struct mp_lib_ram){8 * GIB, free_now};
}

struct fixture {
	struct tree tree;
	struct mp_lib_system system;
	struct mp_lib_sources sources;
	struct memprobe_info info;
	uint64_t now_ns;
};

static void MP_PRINTF(3, 4) put(struct fixture *f, const char *path, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tree_write(&f->tree, path, text);
}

static void put_rss(struct fixture *f, uint64_t bytes)
{
	put(f, "/proc/self/statm", "99999 %llu 300 1 0 500 0\n",
	    (unsigned long long)(bytes / (uint64_t)sysconf(_SC_PAGESIZE)));
}

static void put_meminfo(struct fixture *f, uint64_t free_bytes, uint64_t available)
{
	free_now = free_bytes;
	put(f, "/proc/meminfo",
	    "MemTotal:        8388608 kB\nMemFree:         %llu kB\nMemAvailable:    %llu kB\n",
	    (unsigned long long)(free_bytes / 1024), (unsigned long long)(available / 1024));
}

/* 8 GiB with 2 GiB free and 3 GiB available; 64 MiB resident, 80 MiB at most. */
static int make_fixture(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	f->system = (struct mp_lib_system){f->tree.root, fake_ram};
	f->now_ns = FIRST_NS;
	put_rss(f, 64 * MIB);
	put(f, "/proc/self/status", "Name:\tx\nVmPeak:\t 999999 kB\nVmHWM:\t %llu kB\n",
	    80 * MIB / 1024);
	put_meminfo(f, 2 * GIB, 3 * GIB);
	*state = f;
	return 0;
}

static int remove_fixture(void **state)
{
	struct fixture *f = *state;

	mp_lib_sources_close(&f->sources);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static const struct memprobe_info *sample_at(struct fixture *f, uint64_t now_ns)
{
	f->now_ns = now_ns;
	memset(&f->info, 0xff, sizeof(f->info));
	assert_int_equal(mp_lib_sample(&f->system, &f->sources, now_ns, &f->info), 0);
	assert_true(f->info.ts_ns == now_ns);
	assert_int_equal(f->info.flags, 0);
	return &f->info;
}

static const struct memprobe_info *sample_later(struct fixture *f, uint64_t ms)
{
	return sample_at(f, f->now_ns + ms * MS);
}

static void expect_host(const struct memprobe_info *info)
{
	assert_true(info->limit == 8 * GIB);
	assert_true(info->usage == 5 * GIB);
	assert_true(info->available == 3 * GIB);
	assert_true(info->usage_ratio == 0.625);
	assert_int_equal(info->severity, MEMPROBE_NORMAL);
}

/* A group /app/inner of 100 MiB in one of 200 MiB, that uses 60 MiB, 10 of them idle cache. */
static void put_v2(struct fixture *f)
{
	put(f, "/proc/self/mountinfo", V2_MOUNT);
	put(f, "/proc/self/cgroup", "0::/app/inner\n");
	put(f, "/sys/fs/cgroup/app/memory.max", "%llu\n", 200 * MIB);
	put(f, "/sys/fs/cgroup/app/memory.current", "%llu\n", 160 * MIB);
	put(f, "/sys/fs/cgroup/app/memory.stat", "anon 1\ninactive_file 0\n");
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "%llu\n", 100 * MIB);
	put(f, "/sys/fs/cgroup/app/inner/memory.current", "%llu\n", 60 * MIB);
	put(f, "/sys/fs/cgroup/app/inner/memory.stat",
	    "anon 5\nfile 6\ninactive_anon 77\ninactive_file %llu\nactive_file 8\n", 10 * MIB);
}

static void put_inner(struct fixture *f, uint64_t usage, uint64_t inactive_file)
{
	put(f, "/sys/fs/cgroup/app/inner/memory.current", "%llu\n", (unsigned long long)usage);
	put(f, "/sys/fs/cgroup/app/inner/memory.stat", "anon 5\ninactive_file %llu\n",
	    (unsigned long long)inactive_file);
}

static void expect_inner(const struct memprobe_info *info)
{
	assert_true(info->limit == 100 * MIB);
	assert_true(info->usage == 50 * MIB);
	assert_true(info->available == 50 * MIB);
	assert_true(info->usage_ratio == 0.5);
}

static void expect_inner_is_full(const struct memprobe_info *info)
{
	assert_true(info->usage == 93 * MIB);
	assert_int_equal(info->severity, MEMPROBE_PRESSURE_CRITICAL);
}

/* --- where things are taken from --------------------------------------------------- */

static void test_host(void **state)
{
	struct fixture *f = *state;
	const struct memprobe_info *info = sample_at(f, FIRST_NS);

	assert_true(info->rss == 64 * MIB);
	assert_true(info->peak_rss == 80 * MIB);
	expect_host(info);
}

/* The kernel may hold back more than it could drop: then less is available than free. */
static void test_host_with_less_available_than_free(void **state)
{
	struct fixture *f = *state;

	put_meminfo(f, 2 * GIB, GIB);
	assert_true(sample_at(f, FIRST_NS)->usage == 7 * GIB);
	free_now = 3 * GIB / 2;
	assert_true(sample_later(f, 1)->available == GIB / 2);
	free_now = GIB / 2;
	assert_true(sample_later(f, 1)->available == 0);
	assert_true(f->info.usage_ratio == 1.0);
	assert_int_equal(f->info.severity, MEMPROBE_PRESSURE_CRITICAL);
}

static void test_v2(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	expect_inner(sample_at(f, FIRST_NS));
}

static void test_v2_limit_further_up(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "max\n");
	assert_true(sample_at(f, FIRST_NS)->limit == 200 * MIB);
	assert_true(f->info.usage == 160 * MIB);
	assert_int_equal(f->info.severity, MEMPROBE_WARNING);
}

/* A group without the controller is charged to the one above. */
static void test_v2_without_controller(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/proc/self/cgroup", "0::/app/inner/plain/deeper\n");
	expect_inner(sample_at(f, FIRST_NS));
}

static void test_v2_without_limit(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "max\n");
	put(f, "/sys/fs/cgroup/app/memory.max", "max\n");
	expect_host(sample_at(f, FIRST_NS));
}

static void test_limit_above_the_host(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "%llu\n", 9 * GIB);
	put(f, "/sys/fs/cgroup/app/memory.max", "%llu\n", 8 * GIB);
	expect_host(sample_at(f, FIRST_NS));
}

/* The tree's names are those of version 1, with the same figures. */
static void put_v1(struct fixture *f, const char *mounts, const char *cgroup, const char *folder)
{
	char path[256];

	put(f, "/proc/self/mountinfo", "%s", mounts);
	put(f, "/proc/self/cgroup", "%s", cgroup);
	put(f, "/sys/fs/cgroup/memory/memory.limit_in_bytes", V1_NONE);
	put(f, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "%llu\n", 4 * GIB);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", folder);
	put(f, path, "%llu\n", 100 * MIB);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.usage_in_bytes", folder);
	put(f, path, "%llu\n", 60 * MIB);
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.stat", folder);
	put(f, path, "inactive_file 1\ntotal_inactive_anon 2\ntotal_inactive_file %llu\n",
	    10 * MIB);
}

static void test_v1(void **state)
{
	struct fixture *f = *state;

	put_v1(f, V1_MOUNT, "4:cpu:/other\n3:hugetlb,memory:/app\n", "/app");
	expect_inner(sample_at(f, FIRST_NS));
}

static void test_hybrid(void **state)
{
	struct fixture *f = *state;

	put_v1(f, HYBRID_MOUNT, "4:memory:/app\n0::/unified/one\n", "/app");
	expect_inner(sample_at(f, FIRST_NS));
}

static void test_v1_without_limit(void **state)
{
	struct fixture *f = *state;

	put_v1(f, V1_MOUNT, "4:memory:/app\n", "/app");
	put(f, "/sys/fs/cgroup/memory/app/memory.limit_in_bytes", V1_NONE);
	expect_host(sample_at(f, FIRST_NS));
}

/* In a container its own group is what is mounted. */
static void test_container(void **state)
{
	struct fixture *f = *state;

	put_v1(f, "35 31 0:32 /docker/0123 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
	       "4:memory:/docker/0123/inner\n", "/inner");
	expect_inner(sample_at(f, FIRST_NS));
	put(f, "/proc/self/cgroup", "4:memory:/docker/0123\n");
	put(f, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "%llu\n", 50 * MIB);
	put(f, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "%llu\n", 25 * MIB);
	assert_true(sample_later(f, 1000)->limit == 50 * MIB);
	assert_true(f->info.usage == 25 * MIB);
}

static void test_group_outside_of_the_mount(void **state)
{
	static const char *const groups[] = {"4:memory:/docker/01234\n",
					     "4:memory:/\n",
					     "4:memory:/docker/0123/../x\n",
					     "4:memory:nowhere\n",
					     "4:memory\n",
					     "4:mem:/docker/0123\n",
					     ""};
	struct fixture *f = *state;

	for (size_t i = 0; i < MP_ARRAY_SIZE(groups); i++) {
		put_v1(f,
		       "35 31 0:32 /docker/0123 /sys/fs/cgroup/memory rw - cgroup cgroup "
		       "rw,memory\n",
		       groups[i], "/4");
		put(f, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
		expect_host(sample_at(f, FIRST_NS + i * 2 * MP_LIB_KEPT_NS));
	}
}

static void test_mount_point_with_blanks(void **state)
{
	struct fixture *f = *state;

	put(f, "/proc/self/mountinfo", "1 2 0:3 / /my\\040cgroups\\134 rw - cgroup2 none rw\n");
	put(f, "/proc/self/cgroup", "0::/a b\n");
	put(f, "/my cgroups\\/a b/memory.max", "%llu\n", 100 * MIB);
	put(f, "/my cgroups\\/a b/memory.current", "%llu\n", 50 * MIB);
	expect_inner(sample_at(f, FIRST_NS));
}

/* --- what is not there, or malformed -------------------------------------------------- */

static void test_malformed_groups_are_passed_over(void **state)
{
	static const char *const mounts[] = {
		"",
		"\n\n",
		" - cgroup2 cgroup2 rw\n",
		"1 2 0:3 / /sys/fs/cgroup rw cgroup2 cgroup2 rw\n",
		"1 2 0:3 - cgroup2 cgroup2 rw\n",
		"1 2 0:3 / /sys/fs/cgroup rw - cgroup2\n",
		"1 2 0:3 / /sys/fs/cgroup rw - cgroup cgroup rw,xmemory,memoryx\n",
	};
	struct fixture *f = *state;

	put_v2(f);
	for (size_t i = 0; i < MP_ARRAY_SIZE(mounts); i++) {
		memset(&f->sources, 0, sizeof(f->sources));
		put(f, "/proc/self/mountinfo", "%s", mounts[i]);
		expect_host(sample_at(f, FIRST_NS));
		mp_lib_sources_close(&f->sources);
	}
}

static void test_mount_with_a_very_long_path(void **state)
{
	struct fixture *f = *state;
	char line[2000];

	memset(line, 'x', sizeof(line));
	memcpy(line, "1 2 0:3 / /", 11);
	strcpy(line + 1900, " rw - cgroup2 cgroup2 rw\n");
	put_v2(f);
	put(f, "/proc/self/mountinfo", "%s", line);
	expect_host(sample_at(f, FIRST_NS));
	memset(line, 'x', 300);
	memcpy(line, "1 2 0:3 / /", 11);
	strcpy(line + 300, " rw - cgroup2 cgroup2 rw\n");
	put(f, "/proc/self/mountinfo", "%s" V2_MOUNT, line);
	memset(&f->sources, 0, sizeof(f->sources));
	expect_inner(sample_at(f, FIRST_NS));
}

static void test_malformed_values(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/sys/fs/cgroup/app/inner/memory.stat", "inactive_file lots\n");
	assert_true(sample_at(f, FIRST_NS)->usage == 60 * MIB);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "100 MB\n");
	assert_true(sample_later(f, 1000)->limit == 200 * MIB);
	put(f, "/sys/fs/cgroup/app/memory.current", "many\n");
	assert_true(sample_later(f, 1)->usage == MEMPROBE_UNKNOWN);
	assert_true(f->info.limit == 200 * MIB);
	assert_true(f->info.available == MEMPROBE_UNKNOWN);
	assert_true(f->info.usage_ratio == 0);
	assert_int_equal(f->info.severity, MEMPROBE_NORMAL);
}

static void test_limit_of_nothing(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "0\n");
	assert_true(sample_at(f, FIRST_NS)->limit == 0);
	assert_true(f->info.available == 0);
	assert_true(f->info.usage_ratio == 1.0);
	assert_int_equal(f->info.severity, MEMPROBE_PRESSURE_CRITICAL);
}

static void test_more_cache_than_usage(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put_inner(f, 5 * MIB, 6 * MIB);
	assert_true(sample_at(f, FIRST_NS)->usage == 0);
	assert_true(f->info.available == 100 * MIB);
}

static void test_host_that_does_not_say(void **state)
{
	struct fixture *f = *state;

	put(f, "/proc/meminfo", "MemTotal: 8388608 kB\n");
	put(f, "/proc/self/status", "VmHWM: none\n");
	assert_true(sample_at(f, FIRST_NS)->limit == MEMPROBE_UNKNOWN);
	assert_true(f->info.usage == MEMPROBE_UNKNOWN);
	assert_true(f->info.available == MEMPROBE_UNKNOWN);
	assert_true(f->info.peak_rss == 64 * MIB);
}

static void test_malformed_statm(void **state)
{
	static const char *const wrong[] = {"",
					    "1\n",
					    "1 \n",
					    "x 1 2\n",
					    "1 x\n",
					    "1 2",
					    "1 18446744073709551615 3\n",
					    "1 4503599627370496 3\n"};
	struct fixture *f = *state;
	uint64_t rss = 7;

	for (size_t i = 0; i < MP_ARRAY_SIZE(wrong); i++) {
		put(f, "/proc/self/statm", "%s", wrong[i]);
		assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), -EBADMSG);
		assert_int_equal(mp_lib_sample(&f->system, &f->sources, FIRST_NS, &f->info),
				 -EBADMSG);
	}
	assert_int_equal(rss, 7);
}

static void test_no_proc(void **state)
{
	struct fixture *f = *state;
	uint64_t rss;

	f->system.root = "/does/not/exist";
	assert_int_equal(mp_lib_sample(&f->system, &f->sources, FIRST_NS, &f->info), -ENOENT);
	assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), -ENOENT);
	f->system.root = f->tree.root;
	expect_host(sample_at(f, FIRST_NS));
}

/* The main thread has ended: its file is all zero, a thread's own is not. */
static void test_main_thread_is_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t rss = 7;

	assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), 0);
	put(f, "/proc/self/statm", "0 0 0 0 0 0 0\n");
	assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), -ENOENT);
	put(f, "/proc/thread-self/statm", "9999 16 3 1 0 5 0\n");
	assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), 0);
	assert_true(rss == 16 * (uint64_t)sysconf(_SC_PAGESIZE));
	put(f, "/proc/thread-self/statm", "9999 17 3 1 0 5 0\n");
	assert_int_equal(mp_lib_sample_rss(&f->system, &f->sources, &rss), 0);
	assert_true(rss == 17 * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* --- what is kept, and until when -------------------------------------------------------- */

static void test_cheap_parts_are_always_new(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	sample_at(f, FIRST_NS);
	put_inner(f, 61 * MIB, 12 * MIB);
	put_rss(f, 65 * MIB);
	assert_true(sample_later(f, 1)->usage == 51 * MIB);
	assert_true(f->info.rss == 65 * MIB);
	/* old enough, but it could not matter */
	assert_true(sample_later(f, 500)->usage == 51 * MIB);
	assert_true(sample_later(f, 499)->usage == 49 * MIB);
}

/* Without the resident set: no file but the group's is read again. */
static void test_glance(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS), MEMPROBE_NORMAL);
	assert_false(f->sources.statm.is_open);
	put_inner(f, 84 * MIB, 10 * MIB);
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS + MS), MEMPROBE_NORMAL);
	put_inner(f, 85 * MIB, 10 * MIB);
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS + MS), MEMPROBE_WARNING);
	put_inner(f, 95 * MIB, 10 * MIB);
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS + MS), MEMPROBE_GC);
	put_inner(f, 95 * MIB, 2 * MIB);
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS + 100 * MS),
			 MEMPROBE_PRESSURE_CRITICAL);
	expect_inner_is_full(sample_at(f, FIRST_NS + 101 * MS));
}

static void test_glance_at_the_unknown(void **state)
{
	struct fixture *f = *state;

	put(f, "/proc/meminfo", "MemTotal: 1 kB\n");
	assert_int_equal(mp_lib_glance(&f->system, &f->sources, FIRST_NS), MEMPROBE_NORMAL);
}

static void test_costly_parts_follow_what_moves(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	sample_at(f, FIRST_NS);
	put_inner(f, 62 * MIB, 20 * MIB);
	assert_true(sample_later(f, 99)->usage == 52 * MIB);
	assert_true(sample_later(f, 1)->usage == 42 * MIB);
	put_inner(f, 62 * MIB, 30 * MIB);
	assert_true(sample_later(f, 100)->usage == 42 * MIB);
	put_rss(f, 66 * MIB);
	assert_true(sample_later(f, 100)->usage == 32 * MIB);
}

static void test_costly_parts_are_new_near_a_threshold(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put_inner(f, 80 * MIB, 9 * MIB);
	assert_true(sample_at(f, FIRST_NS)->usage == 71 * MIB);
	put_inner(f, 80 * MIB, 4 * MIB);
	assert_true(sample_later(f, 100)->usage == 76 * MIB);
	assert_int_equal(f->info.severity, MEMPROBE_WARNING);
}

/* Page cache gives way to other memory: usage does not change at all. */
static void test_costly_parts_are_new_in_a_full_group(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	put_inner(f, 99 * MIB, 90 * MIB);
	assert_true(sample_at(f, FIRST_NS)->usage == 9 * MIB);
	put_inner(f, 99 * MIB, 5 * MIB);
	assert_true(sample_later(f, 100)->usage == 94 * MIB);
	assert_int_equal(f->info.severity, MEMPROBE_PRESSURE_CRITICAL);
}

static void test_host_follows_what_is_free(void **state)
{
	struct fixture *f = *state;

	sample_at(f, FIRST_NS);
	free_now -= 100 * MIB;
	assert_true(sample_later(f, 1)->available == 3 * GIB - 100 * MIB);
	/* it went to page cache, as is seen when a lot has */
	put_meminfo(f, 1 * GIB, 3 * GIB);
	assert_true(sample_later(f, 50)->available == 2 * GIB);
	assert_true(sample_later(f, 50)->available == 3 * GIB);
}

static void test_peak(void **state)
{
	struct fixture *f = *state;

	sample_at(f, FIRST_NS);
	put_rss(f, 100 * MIB);
	assert_true(sample_later(f, 1)->peak_rss == 100 * MIB);
	put_rss(f, 20 * MIB);
	put(f, "/proc/self/status", "VmHWM:\t 131072 kB\n");
	assert_true(sample_later(f, 1)->peak_rss == 100 * MIB);
	assert_true(sample_later(f, 1000)->peak_rss == 128 * MIB);
	put(f, "/proc/self/status", "VmHWM:\t 1 kB\n");
	assert_true(sample_later(f, 1000)->peak_rss == 128 * MIB);
}

static void test_process_is_moved(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	expect_inner(sample_at(f, FIRST_NS));
	put(f, "/proc/self/cgroup", "0::/app\n");
	assert_true(sample_later(f, 1000)->limit == 200 * MIB);
	assert_true(f->info.usage == 160 * MIB);
	put(f, "/proc/self/cgroup", "0::/\n");
	expect_host(sample_later(f, 1000));
	put(f, "/proc/self/cgroup", "0::/app/inner\n");
	expect_inner(sample_later(f, 1000));
}

static void test_limit_is_changed(void **state)
{
	struct fixture *f = *state;

	put_v2(f);
	sample_at(f, FIRST_NS);
	put(f, "/sys/fs/cgroup/app/inner/memory.max", "%llu\n", 55 * MIB);
	assert_true(sample_later(f, 1000)->limit == 55 * MIB);
	assert_int_equal(f->info.severity, MEMPROBE_PRESSURE_CRITICAL);
}

/* All files of the process are closed, and others take their numbers. */
static void test_files_are_closed_by_others(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX];
	int fds[4];

	put_v2(f);
	expect_inner(sample_at(f, FIRST_NS));
	put(f, "/theirs", "7 7 7\n");
	tree_path(&f->tree, "/theirs", path);
	close(f->sources.statm.fd);
	close(f->sources.group_usage.fd);
	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++) {
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	expect_inner(sample_later(f, 1));
	assert_true(f->info.rss == 64 * MIB);
	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++) {
		char byte;

		assert_int_equal(read(fds[i], &byte, 1), 1);
		assert_int_equal(byte, '7');
		assert_int_not_equal(fds[i], f->sources.statm.fd);
		assert_int_not_equal(fds[i], f->sources.group_usage.fd);
		close(fds[i]);
	}
}

static void test_no_more_than_two_files_stay_open(void **state)
{
	struct fixture *f = *state;
	int before = dup(0);
	int after;

	close(before);
	put_v2(f);
	for (unsigned int i = 0; i < 20; i++) {
		put(f, "/proc/self/cgroup", i % 2 ? "0::/app\n" : "0::/app/inner\n");
		sample_later(f, 1000);
	}
	after = dup(0);
	close(after);
	assert_int_equal(after, before + 2);
	mp_lib_sources_close(&f->sources);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static void test_severity(void **state)
{
	static const struct {
		double ratio;
		enum memprobe_severity severity;
	} cases[] = {
		{0, MEMPROBE_NORMAL},
		{74.999 / 100, MEMPROBE_NORMAL},
		{75.0 / 100, MEMPROBE_WARNING},
		{84.999 / 100, MEMPROBE_WARNING},
		{85.0 / 100, MEMPROBE_GC},
		{89.999 / 100, MEMPROBE_GC},
		{90.0 / 100, MEMPROBE_PRESSURE_CRITICAL},
		{1, MEMPROBE_PRESSURE_CRITICAL},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(cases); i++)
		assert_int_equal(mp_lib_severity(cases[i].ratio), cases[i].severity);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_fixture, remove_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_host),
		TEST(test_host_with_less_available_than_free),
		TEST(test_v2),
		TEST(test_v2_limit_further_up),
		TEST(test_v2_without_controller),
		TEST(test_v2_without_limit),
		TEST(test_limit_above_the_host),
		TEST(test_v1),
		TEST(test_hybrid),
		TEST(test_v1_without_limit),
		TEST(test_container),
		TEST(test_group_outside_of_the_mount),
		TEST(test_mount_point_with_blanks),
		TEST(test_malformed_groups_are_passed_over),
		TEST(test_mount_with_a_very_long_path),
		TEST(test_malformed_values),
		TEST(test_limit_of_nothing),
		TEST(test_more_cache_than_usage),
		TEST(test_host_that_does_not_say),
		TEST(test_malformed_statm),
		TEST(test_no_proc),
		TEST(test_main_thread_is_gone),
		TEST(test_cheap_parts_are_always_new),
		TEST(test_glance),
		TEST(test_glance_at_the_unknown),
		TEST(test_costly_parts_follow_what_moves),
		TEST(test_costly_parts_are_new_near_a_threshold),
		TEST(test_costly_parts_are_new_in_a_full_group),
		TEST(test_host_follows_what_is_free),
		TEST(test_peak),
		TEST(test_process_is_moved),
		TEST(test_limit_is_changed),
		TEST(test_files_are_closed_by_others),
		TEST(test_no_more_than_two_files_stay_open),
		cmocka_unit_test(test_severity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
