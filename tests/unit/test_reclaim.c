// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "action/pageout.h"
#include "action/status.h"
#include "engine.h"

#define TMPFS_MAGIC 0x01021994

/* --- which mappings ------------------------------------------------------------------ */

#define MAPPING(header, rss, anonymous)                                                            \
	header "\nSize:      1 kB\nRss:       " #rss " kB\nAnonymous: " #anonymous                 \
	       " kB\nVmFlags: rd\n"

static const char smaps[] = MAPPING(
	"55d000000000-55d000004000 r--p 00000000 08:01 1234   /usr/bin/app", 16,
	0) MAPPING("55d000004000-55d00000c000 r-xp 00004000 08:01 1234   /usr/bin/app", 32, 4)
	MAPPING("55d000010000-55d000011000 rw-p 0000c000 08:01 1234   /usr/bin/app", 4, 4) MAPPING(
		"55d100000000-55d100100000 rw-p 00000000 00:00 0      [heap]", 1024,
		1024) MAPPING("7e0000000000-7f0000000000 rw-p 00000000 00:00 0 ", 64,
			      64) MAPPING("7f0001000000-7f0009000000 ---p 00000000 00:00 0 ", 0,
					  0) MAPPING("7f0010000000-7f0010200000 rw-p 00000000 "
						     "00:00 0      [anon:arena of ours]",
						     100, 99)
		MAPPING("7f0020000000-7f0020400000 rw-s 00000000 00:01 99     /dev/zero (deleted)",
			40,
			0) MAPPING("7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0      [stack]",
				   12, 12)
			MAPPING("7ffc00104000-7ffc00106000 r-xp 00000000 00:00 0      [vdso]", 4,
				0);

struct expected {
	uint64_t start;
	uint64_t resident_kb;
};

static void assert_plan(const char *text, enum mp_pageout_kind kind,
			const struct expected *expected, size_t n_expected)
{
	MP_FREE struct mp_range *ranges = NULL;
	MP_FCLOSE FILE *f = fmemopen((void *)text, strlen(text), "r");
	size_t n = 77;

	assert_int_equal(mp_pageout_plan(f, kind, &ranges, &n), 0);
	assert_int_equal(n, n_expected);
	for (size_t i = 0; ranges && i < n_expected; i++) {
		assert_int_equal(ranges[i].start, expected[i].start);
		assert_int_equal(ranges[i].resident_bytes, expected[i].resident_kb * 1024);
	}
}

/* By what they hold, not by their size: a sanitizer's shadow is 16 TiB of nothing. */
static void test_plan_of_anonymous_memory(void **state)
{
	static const struct expected expected[] = {{0x55d100000000, 1024},
						   {0x7f0010000000, 99},
						   {0x7e0000000000, 64},
						   {0x7ffc00000000, 12}};

	(void)state;
	assert_plan(smaps, MP_PAGEOUT_ANON, expected, 4);
}

static void test_plan_of_files(void **state)
{
	static const struct expected expected[] = {
		{0x7f0020000000, 40}, {0x55d000004000, 28}, {0x55d000000000, 16}};

	(void)state;
	assert_plan(smaps, MP_PAGEOUT_FILE, expected, 3);
}

static void test_plan_of_hostile_text(void **state)
{
	static const char hostile[] =
		"\n\nRss: 4 kB\nAnonymous: 4 kB\nnot a mapping\n"
		"2000-1000 rw-p 00000000 00:00 0\nAnonymous: 4 kB\n"
		"1000-2000 rw\nAnonymous: 4 kB\n"
		"3000-4000 rw-p 00000000 00:00 0\nAnonymous: x kB\n"
		"4000-6000 rw-p 00000000 00:00 0 [vvar_x]\nAnonymous: 4 kB\n"
		"8000-9000 rw-p 00000000 08:01 5 /x\\0127000-9000 rw-p 0 0:0 0\n"
		"Rss: 4 kB\nAnonymous: 99999 kB\n"
		"ffffffffffffffffff-1 rw-p 00000000 00:00 0\nAnonymous: 4 kB\n"
		"a000-c000 rw-p 00000000 00:00 0\nAnonymous: 8 kB";
	static const struct expected expected[] = {{0xa000, 8}};

	(void)state;
	assert_plan(hostile, MP_PAGEOUT_ANON, expected, 1);
	assert_plan(hostile, MP_PAGEOUT_FILE, NULL, 0);
	assert_plan("\n", MP_PAGEOUT_ANON, NULL, 0);
}

/* --- memory.reclaim, as told by a script ------------------------------------------------ */

struct step {
	int err;
	unsigned int usage_mib; /* afterwards */
};

struct fixture {
	struct engine engine;
	const struct step *steps; /* the last one repeats */
	size_t n_steps;
	size_t called;
	uint64_t asked[64]; /* bytes */
};

static struct fixture *current; /* whose script is followed */

/* Linked in the place of mp_cgroup_reclaim(): see the Makefile. */
int __wrap_mp_cgroup_reclaim(const struct mp_cgroups *cg, const char *path, uint64_t bytes);

int __wrap_mp_cgroup_reclaim(const struct mp_cgroups *cg, const char *path, uint64_t bytes)
{
	struct fixture *f = current;
	size_t last = f->n_steps - 1;
	const struct step *step = &f->steps[f->called < last ? f->called : last];

	(void)cg;
	assert_string_equal(path, "/app");
	assert_true(f->called < MP_ARRAY_SIZE(f->asked));
	f->asked[f->called++] = bytes;
	engine_set_usage(&f->engine, step->usage_mib);
	return step->err;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	engine_init(&f->engine, 97); /* critical is left below 87 % of 100 MiB */
	current = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	engine_free(&f->engine);
	free(f);
	return 0;
}

static void reclaim(struct fixture *f, const struct step *steps, size_t n)
{
	f->steps = steps;
	f->n_steps = n;
	mp_reclaim_work(&f->engine.actions, &f->engine.job);
}

static void test_reclaims_until_it_is_left(void **state)
{
	static const struct step steps[] = {{0, 91}, {0, 86}};
	struct fixture *f = *state;

	reclaim(f, steps, 2);
	assert_int_equal(f->called, 2);
	assert_int_equal(f->asked[0], 10 * MIB + 1); /* what is wanted, not a fixed step */
	assert_int_equal(f->asked[1], 4 * MIB + 1);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_string_equal(f->engine.job.detail, "asked for 14.0 MiB");
	assert_int_equal(f->engine.job.before.usage, 97 * MIB);
	assert_int_equal(f->engine.job.after.usage, 86 * MIB);
}

/* Less than asked for, but most of it, is no reason to stop. */
static void test_eagain_with_progress_goes_on(void **state)
{
	static const struct step steps[] = {{-EAGAIN, 93}, {-EAGAIN, 90}, {-EAGAIN, 86}};
	struct fixture *f = *state;

	reclaim(f, steps, 3);
	assert_int_equal(f->called, 3);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
}

static void test_two_fruitless_steps_end_it(void **state)
{
	static const struct step steps[] = {{-EAGAIN, 97}};
	struct fixture *f = *state;

	reclaim(f, steps, 1);
	assert_int_equal(f->called, 2);
	assert_int_equal(f->engine.job.result, MP_RESULT_FAILED);
	assert_string_equal(f->engine.job.detail, "asked for 20.0 MiB: the kernel finds no more");
}

static void test_what_was_freed_before_the_end_counts(void **state)
{
	static const struct step steps[] = {{0, 92}, {-EAGAIN, 92}, {-EAGAIN, 93}};
	struct fixture *f = *state;

	reclaim(f, steps, 3);
	assert_int_equal(f->called, 3);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
	assert_int_equal(f->engine.job.after.usage, 93 * MIB);
}

static void test_a_fruitful_step_starts_the_count_anew(void **state)
{
	static const struct step steps[] = {{-EAGAIN, 97}, {-EAGAIN, 92}, {-EAGAIN, 92}, {0, 80}};
	struct fixture *f = *state;

	reclaim(f, steps, 4);
	assert_int_equal(f->called, 4);
	assert_int_equal(f->engine.job.result, MP_RESULT_DONE);
}

static void test_nothing_to_do(void **state)
{
	struct fixture *f = *state;

	engine_set_usage(&f->engine, 86);
	reclaim(f, NULL, 0);
	assert_int_equal(f->called, 0);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "usage is below critical already");
}

static void test_an_error_is_said(void **state)
{
	static const struct step steps[] = {{-EACCES, 97}};
	struct fixture *f = *state;

	reclaim(f, steps, 1);
	assert_int_equal(f->called, 1);
	assert_int_equal(f->engine.job.result, MP_RESULT_FAILED);
	assert_string_equal(f->engine.job.detail, "memory.reclaim: Permission denied");
}

static void test_no_limit_no_aim(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->engine.tree, "/sys/fs/cgroup/app/memory.max", "max\n");
	reclaim(f, NULL, 0);
	assert_int_equal(f->engine.job.result, MP_RESULT_FAILED);
	assert_string_equal(f->engine.job.detail, "the domain's usage or limit is not known");
}

static void set_swap(struct fixture *f, const char *meminfo)
{
	char path[PATH_MAX];

	tree_path(&f->engine.tree, "/proc/meminfo", path);
	unlink(path);
	tree_write(&f->engine.tree, "/proc/meminfo", meminfo);
}

/* Without memory.reclaim and without targets, what is left is to say why nothing can go. */
static void test_without_swap(void **state)
{
	static const struct step steps[] = {{-EOPNOTSUPP, 97}};
	struct fixture *f = *state;

	set_swap(f, "SwapTotal:       4096 kB\nSwapFree:           0 kB\n");
	reclaim(f, steps, 1);
	assert_int_equal(f->engine.job.result, MP_RESULT_SKIPPED);
	assert_string_equal(f->engine.job.detail, "there is no swap: nothing to page out");
}

static void test_without_targets(void **state)
{
	static const struct step steps[] = {{-EOPNOTSUPP, 97}};
	struct fixture *f = *state;

	set_swap(f, "SwapTotal:       4096 kB\nSwapFree:           4 kB\n");
	reclaim(f, steps, 1);
	assert_int_equal(f->engine.job.result, MP_RESULT_FAILED);
	assert_string_equal(f->engine.job.detail, "asked for 0 B: the kernel finds no more");
}

/* --- a real process -------------------------------------------------------------------- */

static bool always(void *data)
{
	(void)data;
	return true;
}

static bool never(void *data)
{
	(void)data;
	return false;
}

/* A child that has 16 MiB of a file in memory; its pid, when it has. */
static pid_t map_file(const char *path)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR);
		const volatile char *data = mmap(NULL, 16 * MIB, PROT_READ, MAP_PRIVATE, fd, 0);
		char sum = 0;

		for (size_t i = 0; i < 16 * MIB; i += 4096)
			sum = (char)(sum + data[i]);
		(void)!write(ready[1], &sum, 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void make_file(struct fixture *f, char path[PATH_MAX])
{
	static char zeros[MIB];
	int fd;

	tree_path(&f->engine.tree, "/data", path);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	for (int i = 0; i < 16; i++)
		assert_int_equal(write(fd, zeros, MIB), MIB);
	assert_int_equal(fsync(fd), 0); /* what is dirty is not dropped */
	close(fd);
}

static void test_file_pages_leave_the_process(void **state)
{
	struct fixture *f = *state;
	const struct mp_fsroot fs = {""};
	struct mp_status before;
	struct mp_status after;
	uint64_t advised = 0;
	char path[PATH_MAX];
	struct statfs statfs_data;
	pid_t pid;
	int err;

	make_file(f, path);
	pid = map_file(path);
	assert_int_equal(mp_status_read(&fs, pid, &before), 0);
	assert_int_equal(mp_pageout_process(&fs, pid, MP_PAGEOUT_FILE, never, NULL, &advised), 0);
	assert_int_equal(advised, 0);
	err = mp_pageout_process(&fs, pid, MP_PAGEOUT_FILE, always, NULL, &advised);
	assert_int_equal(mp_status_read(&fs, pid, &after), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(statfs(path, &statfs_data), 0);
	if (err == -EPERM || statfs_data.f_type == TMPFS_MAGIC)
		skip();
	assert_int_equal(err, 0);
	assert_true(advised >= 16 * MIB);
	assert_true(before.rss >= after.rss + 12 * MIB);
	assert_int_equal(mp_pageout_process(&fs, pid, MP_PAGEOUT_FILE, always, NULL, &advised),
			 -ESRCH);
}

#define SCRIPTED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_of_anonymous_memory),
		cmocka_unit_test(test_plan_of_files),
		cmocka_unit_test(test_plan_of_hostile_text),
		SCRIPTED(test_reclaims_until_it_is_left),
		SCRIPTED(test_eagain_with_progress_goes_on),
		SCRIPTED(test_two_fruitless_steps_end_it),
		SCRIPTED(test_what_was_freed_before_the_end_counts),
		SCRIPTED(test_a_fruitful_step_starts_the_count_anew),
		SCRIPTED(test_nothing_to_do),
		SCRIPTED(test_an_error_is_said),
		SCRIPTED(test_no_limit_no_aim),
		SCRIPTED(test_without_swap),
		SCRIPTED(test_without_targets),
		SCRIPTED(test_file_pages_leave_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
