// SPDX-License-Identifier: GPL-2.0-only
/* The checks on this very process: what is reused, over forks, closed files and signals. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/process.h"
#include "markers.h"

#define MIB (1ULL << 20)

/* As if no check had ever been made. */
static int forget(void **state)
{
	struct mp_lib_process *p = mp_lib_process();

	(void)state;
	mp_lib_sources_close(&p->sources);
	memset(p, 0, sizeof(*p));
	return 0;
}

/* The last sample becomes that much older, and so do the files' values. */
static void age(uint64_t ns)
{
	struct mp_lib_process *p = mp_lib_process();

	p->sample[0] -= ns;
	p->rss_ts_ns -= ns;
	_Static_assert(offsetof(struct memprobe_info, ts_ns) == 0, "the first word is its time");
}

static void expect_sane(const struct memprobe_info *info)
{
	assert_true(info->rss > MIB && info->rss < 1ULL << 40);
	assert_true(info->peak_rss >= info->rss);
	assert_true(info->limit != MEMPROBE_UNKNOWN && info->usage != MEMPROBE_UNKNOWN);
	assert_true(info->available == (info->limit > info->usage ? info->limit - info->usage : 0));
	assert_true(info->usage_ratio >= 0 && info->usage_ratio <= 1);
	assert_true(info->severity <= MEMPROBE_PRESSURE_CRITICAL);
}

static void test_check(void **state)
{
	struct memprobe_info info;
	struct memprobe_info again;

	(void)state;
	errno = 99;
	assert_int_equal(memprobe_check("check", &info), 0);
	assert_int_equal(info.flags, 0);
	expect_sane(&info);
	assert_int_equal(memprobe_check("check", &again), 0);
	assert_int_equal(again.flags, MEMPROBE_REUSED);
	again.flags = 0;
	assert_memory_equal(&again, &info, sizeof(info));
	assert_int_equal(memprobe_check("another", &again), 0);
	assert_int_equal(again.flags, MEMPROBE_REUSED);
	assert_int_equal(memprobe_check("check", NULL), 0);
	assert_int_equal(errno, 99);
}

/* Which levels may still use a sample of that age; one bit each. */
static unsigned int reusers(uint64_t age_ms)
{
	static const char *const names[] = {"level.low", "level.medium", "level.high",
					    "level.critical"};
	unsigned int reused = 0;

	for (unsigned int level = 0; level < 4; level++) {
		struct memprobe_point *point =
			memprobe_point(names[level], (enum memprobe_level)level);
		struct memprobe_info info;

		forget(NULL);
		assert_int_equal(memprobe_check_point(point, &info), 0);
		age(age_ms * 1000000);
		assert_int_equal(memprobe_check_point(point, &info), 0);
		reused |= (info.flags & MEMPROBE_REUSED ? 1U : 0U) << level;
	}
	return reused;
}

static void test_levels_decide_what_is_reused(void **state)
{
	static const enum memprobe_level medium = MEMPROBE_MEDIUM;

	(void)state;
	assert_int_equal(reusers(0), 0xf);
	assert_int_equal(reusers(125), 0x7);
	assert_int_equal(reusers(250), 0x3);
	assert_int_equal(reusers(500), 0x1);
	assert_int_equal(reusers(1000), 0);
	memprobe_check("by.name", NULL);
	assert_int_equal(memprobe_point("by.name", MEMPROBE_LOW)->level, medium);
}

static void test_refused(void **state)
{
	struct memprobe_info info;

	(void)state;
	errno = 0;
	assert_int_equal(memprobe_check("", &info), -1);
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_int_equal(memprobe_check(NULL, &info), -1);
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_int_equal(memprobe_check_point(NULL, &info), -1);
	assert_int_equal(errno, EINVAL);
}

static void test_monitor_is_told(void **state)
{
	struct memprobe_info info;

	(void)state;
	memprobe_point("told", MEMPROBE_CRITICAL);
	attach_markers(1);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(memprobe_check("told", i == 2 ? NULL : &info), 0);
		assert_int_equal(heard()->checks, i);
	}
	assert_string_equal(heard()->name, "told");
	assert_true(heard()->id == memprobe_marker_id("told"));
	assert_int_equal(heard()->level, MEMPROBE_CRITICAL);
	assert_true(heard()->rss == info.rss);
	assert_int_equal(memprobe_check("", &info), -1);
	assert_int_equal(heard()->checks, 3);
	attach_markers(0);
	assert_int_equal(memprobe_check("told", &info), 0);
	assert_int_equal(heard()->checks, 0);
}

/* --- the quick check ------------------------------------------------------------------- */

static void test_fast_check(void **state)
{
	struct memprobe_info info;

	(void)state;
	errno = 99;
	assert_int_equal(memprobe_fast_check(0), 1);
	assert_int_equal(memprobe_fast_check(MEMPROBE_UNKNOWN), 0);
	assert_int_equal(memprobe_check("fast", &info), 0);
	assert_int_equal(memprobe_fast_check(info.rss - 1), 1);
	assert_int_equal(memprobe_fast_check(info.rss), 0);
	assert_int_equal(errno, 99);
}

static uint64_t use_memory(uint64_t bytes, bool keep)
{
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	memset(memory, 1, bytes);
	if (!keep)
		munmap(memory, bytes);
	return bytes;
}

static struct mp_lib_burst *own_burst(void)
{
	struct mp_lib_burst *found = NULL;

	for (size_t i = 0; i < MP_LIB_BURSTS; i++)
		if (mp_lib_process()->bursts[i].tick_ns)
			found = &mp_lib_process()->bursts[i];
	assert_non_null(found);
	return found;
}

/* Not in a burst, every call looks at the clock; what is 10 ms old is read anew. */
static void test_fast_check_when_calls_are_rare(void **state)
{
	(void)state;
	memprobe_fast_check(0);
	for (unsigned int i = 0; i < 30; i++) {
		own_burst()->tick_ns -= 4000000;
		assert_int_equal(memprobe_fast_check(0), 1);
		assert_int_equal(own_burst()->left, 0);
		mp_lib_process()->rss = 1;
		age(9000000);
		own_burst()->tick_ns -= 4000000;
		assert_int_equal(memprobe_fast_check(1), 0);
		age(10000000);
		own_burst()->tick_ns -= 4000000;
		assert_int_equal(memprobe_fast_check(1), 1);
	}
}

/* In one it does so at every eighth call, and then sees what has become old. */
static void test_fast_check_in_a_burst(void **state)
{
	unsigned int calls = 0;

	(void)state;
	do {
		memprobe_fast_check(0);
		assert_in_range(++calls, 1, 1000);
	} while (!own_burst()->left);
	assert_int_equal(own_burst()->left, 7);
	mp_lib_process()->rss = 1;
	age(1000000000);
	for (calls = 0; !memprobe_fast_check(1); calls++)
		assert_in_range(calls, 0, 6);
	assert_int_equal(calls, 7);
}

static void test_fast_check_sees_growth(void **state)
{
	struct memprobe_info info;

	(void)state;
	assert_int_equal(memprobe_check("grow", &info), 0);
	assert_int_equal(memprobe_fast_check(info.rss + 32 * MIB), 0);
	use_memory(64 * MIB, true);
	usleep(20000);
	for (unsigned int i = 0; i < 8; i++)
		memprobe_fast_check(0);
	assert_int_equal(memprobe_fast_check(info.rss + 32 * MIB), 1);
}

/* --- other processes ------------------------------------------------------------------------ */

static unsigned int open_files(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* In the child, which has 64 MiB more: whether it sees them, and keeps no file of its parent. */
static int look_in_child(const struct memprobe_info *parent, unsigned int files)
{
	struct memprobe_info info;

	use_memory(64 * MIB, true);
	if (memprobe_fast_check(parent->rss + 32 * MIB) != 1)
		return 1;
	if (memprobe_check("fork", &info) || info.flags)
		return 2;
	if (info.rss < parent->rss + 32 * MIB)
		return 3;
	if (open_files() > files)
		return 4;
	return 0;
}

static void expect_child(long pid, const struct memprobe_info *parent, unsigned int files)
{
	int status;

	if (pid == 0)
		syscall(SYS_exit_group, look_in_child(parent, files));
	assert_true(pid > 0);
	assert_int_equal(waitpid((pid_t)pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_fork(void **state)
{
	struct memprobe_info info;
	struct memprobe_info after;
	unsigned int files;

	(void)state;
	assert_int_equal(memprobe_check("fork", &info), 0);
	for (unsigned int i = 0; i < 100; i++)
		memprobe_fast_check(0);
	files = open_files();
	expect_child(fork(), &info, files);
	/* by a call that no handler of the C library sees */
	expect_child(syscall(SYS_fork), &info, files);
	assert_int_equal(memprobe_check("fork", &after), 0);
	assert_int_equal(after.flags, MEMPROBE_REUSED);
	assert_true(after.rss == info.rss);
	assert_int_equal(open_files(), files);
}

/* Where the kernel cannot wipe memory, at the next sample the pid tells. */
static void test_fork_known_by_pid(void **state)
{
	struct mp_lib_process *p = mp_lib_process();
	struct memprobe_info info;
	uint64_t busy;

	(void)state;
	assert_int_equal(memprobe_check("pid", &info), 0);
	p->armed = 2;
	p->pid = getpid() + 1;
	busy = p->is_busy;
	age(2000000000);
	assert_int_equal(memprobe_check("pid", &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(p->pid, getpid());
	assert_int_equal(busy, 0);
}

/* A daemon that closes all that it has inherited, and whose own files then get the numbers. */
static void test_files_are_closed(void **state)
{
	struct memprobe_info info;
	int fds[3];

	(void)state;
	assert_int_equal(memprobe_check("closed", &info), 0);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++)
		fds[i] = open("/proc/1/statm", O_RDONLY | O_CLOEXEC);
	age(2000000000);
	assert_int_equal(memprobe_check("closed", &info), 0);
	assert_int_equal(info.flags, 0);
	expect_sane(&info);
	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++)
		assert_int_equal(close(fds[i]), 0);
}

/* --- signals ---------------------------------------------------------------------------- */

struct interrupts {
	volatile sig_atomic_t seen;
	volatile sig_atomic_t wrong;
};

static struct interrupts *interrupts(void)
{
	static struct interrupts the_interrupts;

	return &the_interrupts;
}

static void check_in_handler(int sig)
{
	struct memprobe_info info;
	int saved = errno;

	(void)sig;
	errno = 77;
	if (memprobe_check("signal", &info) || info.rss < MIB || memprobe_fast_check(0) != 1 ||
	    memprobe_fast_check(MEMPROBE_UNKNOWN) != 0 || errno != 77)
		interrupts()->wrong++;
	interrupts()->seen++;
	errno = saved;
}

/* Handlers that check, at any instant of checks that all sample. */
static void test_signals(void **state)
{
	const struct itimerval often = {{0, 200}, {0, 200}};
	const struct itimerval never = {{0, 0}, {0, 0}};
	struct sigaction act = {.sa_handler = check_in_handler};
	struct memprobe_info info;

	(void)state;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (interrupts()->seen < 500) {
		assert_int_equal(memprobe_check("signal", &info), 0);
		expect_sane(&info);
		__atomic_fetch_sub(&mp_lib_process()->sample[0], 2000000000, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&mp_lib_process()->rss_ts_ns, 2000000000, __ATOMIC_RELAXED);
		assert_int_equal(memprobe_fast_check(0), 1);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(interrupts()->wrong, 0);
}

/* Somebody who samples never comes back: others do without what he holds. */
static void test_sampler_that_never_ends(void **state)
{
	struct mp_lib_process *p = mp_lib_process();
	struct memprobe_info info;
	unsigned int files;

	(void)state;
	p->is_busy = 1;
	files = open_files();
	assert_int_equal(memprobe_check("never", &info), 0);
	assert_int_equal(info.flags, 0);
	expect_sane(&info);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(memprobe_fast_check(0), 1);
	assert_int_equal(open_files(), files);
	p->is_busy = 0;
	/* while the last sample is young enough, it is used */
	assert_int_equal(memprobe_check("never", &info), 0);
	p->is_busy = 1;
	age(550000000);
	assert_int_equal(memprobe_check("never", &info), 0);
	assert_int_equal(info.flags, MEMPROBE_REUSED);
	age(100000000);
	assert_int_equal(memprobe_check("never", &info), 0);
	assert_int_equal(info.flags, 0);
	p->is_busy = 0;
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_check),
		TEST(test_levels_decide_what_is_reused),
		TEST(test_refused),
		TEST(test_monitor_is_told),
		TEST(test_fast_check),
		TEST(test_fast_check_when_calls_are_rare),
		TEST(test_fast_check_in_a_burst),
		TEST(test_fast_check_sees_growth),
		TEST(test_fork),
		TEST(test_fork_known_by_pid),
		TEST(test_files_are_closed),
		TEST(test_signals),
		TEST(test_sampler_that_never_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
