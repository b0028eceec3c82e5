// SPDX-License-Identifier: GPL-2.0-only
/* The checks: whether the last sample will do, else a new one; and telling the monitor. */
#include <errno.h>
#include <stddef.h>

#include "lib/private.h"
#include "lib/process.h"

/* A sample that another thread is about to replace may be that much older. */
#define GRACE_NS 100000000ULL

/* Of the quick check. */
#define QUICK_AGE_NS 10000000ULL
#define BURST 8 /* calls in one tick of the clock that make a burst, and of which one looks */

/* How old a sample may be: those of the monitor's policy, half a second times the level's factor.
 */
static uint64_t interval_ns(enum memprobe_level level)
{
	static const uint64_t intervals[] = {
		[MEMPROBE_LOW] = 1000000000,
		[MEMPROBE_MEDIUM] = 500000000,
		[MEMPROBE_HIGH] = 250000000,
		[MEMPROBE_CRITICAL] = 125000000,
	};

	return intervals[level];
}

static int sample_for(const struct memprobe_point *point, struct memprobe_info *ret)
{
	struct mp_lib_process *p = mp_lib_process();
	uint64_t interval = interval_ns(point->level);
	uint64_t now_ns = mp_lib_tick_ns();

	if (mp_lib_likely(mp_lib_last_sample(p, now_ns, interval, ret))) {
		ret->flags |= MEMPROBE_REUSED;
		return 0;
	}
	return mp_lib_take_sample(p, now_ns, interval + GRACE_NS, ret);
}

static int failed(int err, int saved)
{
	errno = err ? -err : saved;
	return err ? -1 : 0;
}

int memprobe_check_point(struct memprobe_point *point, struct memprobe_info *info)
{
	struct memprobe_info own;
	int saved = errno;
	int err;

	if (!info)
		info = &own;
	err = point ? sample_for(point, info) : -EINVAL;
	if (!err && !mp_lib_likely(!mp_lib_check_semaphore))
		mp_lib_marker_check(point->id, point->name, point->level, info->rss);
	return failed(err, saved);
}

int memprobe_sample(struct memprobe_info *info)
{
	int saved = errno;

	return failed(info ? mp_lib_take_sample(mp_lib_process(), mp_lib_tick_ns(), GRACE_NS, info)
			   : -EINVAL,
		      saved);
}

int memprobe_severity(void)
{
	int saved = errno;
	enum memprobe_severity severity =
		mp_lib_take_severity(mp_lib_process(), mp_lib_tick_ns(), GRACE_NS);

	errno = saved;
	return (int)severity;
}

int memprobe_check(const char *name, struct memprobe_info *info)
{
	struct memprobe_point *point;
	int err = mp_lib_point(name, MEMPROBE_MEDIUM, &point);

	return err ? failed(err, 0) : memprobe_check_point(point, info);
}

/* --- the quick check ------------------------------------------------------------------------ */

/*
 * The calling thread's; two may have the same, which costs time and nothing else. By the
 * thread pointer, since a variable of a thread's own would need room for it made at the
 * first call of a thread, by malloc().
 */
static struct mp_lib_burst *burst_of_thread(struct mp_lib_process *p)
{
	uint64_t thread = (uint64_t)(uintptr_t)__builtin_thread_pointer();

	return &p->bursts[(thread * 0x9e3779b97f4a7c15ULL) >> 58];
}
_Static_assert(MP_LIB_BURSTS == 1 << (64 - 58), "bits that choose the burst");

/* Only who has just seen many calls in one tick may do without the clock for some more. */
static void note_look(struct mp_lib_burst *b, uint64_t now_ns)
{
	uint32_t same = __atomic_load_n(&b->same, __ATOMIC_RELAXED) + 1;

	if (__atomic_load_n(&b->tick_ns, __ATOMIC_RELAXED) != now_ns)
		same = 0;
	__atomic_store_n(&b->tick_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&b->same, same, __ATOMIC_RELAXED);
	if (same >= BURST)
		__atomic_store_n(&b->left, BURST - 1, __ATOMIC_RELAXED);
}

static __attribute__((noinline)) int
check_with_clock(struct mp_lib_process *p, struct mp_lib_burst *b, uint64_t threshold_bytes)
{
	uint64_t now_ns = mp_lib_tick_ns();
	uint64_t ts_ns = __atomic_load_n(&p->rss_ts_ns, __ATOMIC_ACQUIRE);
	uint64_t rss = __atomic_load_n(&p->rss, __ATOMIC_RELAXED);

	if (!ts_ns || !mp_lib_is_younger(ts_ns, now_ns, QUICK_AGE_NS)) {
		int saved = errno;
		int err = mp_lib_take_rss(p, now_ns, QUICK_AGE_NS + GRACE_NS, &rss);

		if (failed(err, saved))
			return -1;
	}
	note_look(b, now_ns);
	return rss > threshold_bytes;
}

int memprobe_fast_check(uint64_t threshold_bytes)
{
	struct mp_lib_process *p = mp_lib_process();
	struct mp_lib_burst *b = burst_of_thread(p);
	uint32_t left = __atomic_load_n(&b->left, __ATOMIC_RELAXED);

	if (!mp_lib_likely(left))
		return check_with_clock(p, b, threshold_bytes);
	__atomic_store_n(&b->left, left - 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&p->rss, __ATOMIC_RELAXED) > threshold_bytes;
}
