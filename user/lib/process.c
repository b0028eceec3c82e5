// SPDX-License-Identifier: GPL-2.0-only
#include "lib/process.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a child is known by: its memory is wiped, or, where the kernel cannot do that, its pid. */
enum armed {
	NOT_ARMED = 0,
	BY_WIPE,
	BY_PID,
};

union mp_lib_pages mp_lib_pages;

/* --- files over a fork -------------------------------------------------------------- */

/* Survives the wipe, so that a child can close what it has inherited and cannot use. */
struct inheritance {
	uint32_t is_set;
	struct mp_lib_file files[2];
};

static struct inheritance *inheritance(void)
{
	static struct inheritance the_inheritance;

	return &the_inheritance;
}

static void leave_files(const struct mp_lib_sources *s)
{
	struct inheritance *left = inheritance();

	__atomic_store_n(&left->is_set, 0, __ATOMIC_RELAXED);
	left->files[0] = s->statm;
	left->files[1] = s->group_usage;
	__atomic_store_n(&left->is_set, 1, __ATOMIC_RELEASE);
}

/* Once, whichever thread comes first: the numbers are soon others' again. */
static void close_inherited(void)
{
	struct inheritance *left = inheritance();

	if (!__atomic_exchange_n(&left->is_set, 0, __ATOMIC_ACQUIRE))
		return;
	mp_lib_file_close(&left->files[0]);
	mp_lib_file_close(&left->files[1]);
}

/* Before anything is stored that a child must not see. */
static void arm(struct mp_lib_process *p)
{
	enum armed armed = __atomic_load_n(&p->armed, __ATOMIC_ACQUIRE);

	if (armed == BY_WIPE ||
	    (armed == BY_PID && __atomic_load_n(&p->pid, __ATOMIC_RELAXED) == getpid()))
		return;
	if (armed == BY_PID)
		memset(p, 0, sizeof(*p));
	armed = madvise(p, sizeof(union mp_lib_pages), MADV_WIPEONFORK) ? BY_PID : BY_WIPE;
	__atomic_store_n(&p->pid, getpid(), __ATOMIC_RELAXED);
	close_inherited();
	__atomic_store_n(&p->armed, armed, __ATOMIC_RELEASE);
}

static bool try_hold(struct mp_lib_process *p)
{
	return !__atomic_exchange_n(&p->is_busy, 1, __ATOMIC_ACQUIRE);
}

static void let_go(struct mp_lib_process *p)
{
	__atomic_store_n(&p->is_busy, 0, __ATOMIC_RELEASE);
}

/* dlclose() of the library, or the end; it is not used after that. */
static __attribute__((destructor)) void close_files(void)
{
	struct mp_lib_process *p = mp_lib_process();

	if (p->armed && try_hold(p))
		mp_lib_sources_close(&p->sources);
}

/* --- the last sample ------------------------------------------------------------------- */

/*
 * Acquiring each word, and releasing each below, is what keeps them between the two looks at
 * the number; fences would do, but no race detector understands them.
 */
bool mp_lib_last_sample(const struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
			struct memprobe_info *ret)
{
	uint32_t seq = __atomic_load_n(&p->sample_seq, __ATOMIC_ACQUIRE);
	uint64_t words[sizeof(*ret) / sizeof(uint64_t)];

	if (!seq || seq & 1)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = __atomic_load_n(&p->sample[i], __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&p->sample_seq, __ATOMIC_RELAXED) != seq)
		return false;
	memcpy(ret, words, sizeof(words));
	return mp_lib_is_younger(ret->ts_ns, now_ns, max_age_ns);
}

/* By anyone: two at once leave a time and a size that both are new. */
static void keep_rss(struct mp_lib_process *p, uint64_t now_ns, uint64_t rss)
{
	__atomic_store_n(&p->rss, rss, __ATOMIC_RELAXED);
	__atomic_store_n(&p->rss_ts_ns, now_ns, __ATOMIC_RELEASE);
}

/* By who holds the sources, so there is one writer. */
static void keep_sample(struct mp_lib_process *p, const struct memprobe_info *info)
{
	uint32_t seq = __atomic_load_n(&p->sample_seq, __ATOMIC_RELAXED);
	uint64_t words[sizeof(*info) / sizeof(uint64_t)];

	memcpy(words, info, sizeof(words));
	__atomic_store_n(&p->sample_seq, seq + 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		__atomic_store_n(&p->sample[i], words[i], __ATOMIC_RELEASE);
	/* Not 0 when the number comes around. */
	__atomic_store_n(&p->sample_seq, seq + 2 ? seq + 2 : 2, __ATOMIC_RELEASE);
	keep_rss(p, info->ts_ns, info->rss);
}

/* --- samples ----------------------------------------------------------------------------- */

int mp_lib_take_sample(struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
		       struct memprobe_info *ret)
{
	struct mp_lib_sources own;
	int err;

	arm(p);
	if (try_hold(p)) {
		err = mp_lib_sample(&mp_lib_live, &p->sources, now_ns, ret);
		if (!err)
			keep_sample(p, ret);
		leave_files(&p->sources);
		let_go(p);
		return err;
	}
	if (mp_lib_last_sample(p, now_ns, max_age_ns, ret)) {
		ret->flags |= MEMPROBE_REUSED;
		return 0;
	}
	memset(&own, 0, sizeof(own));
	err = mp_lib_sample(&mp_lib_live, &own, now_ns, ret);
	mp_lib_sources_close(&own);
	return err;
}

enum memprobe_severity mp_lib_take_severity(struct mp_lib_process *p, uint64_t now_ns,
					    uint64_t max_age_ns)
{
	enum memprobe_severity severity = MEMPROBE_NORMAL;
	struct memprobe_info info;

	arm(p);
	if (try_hold(p)) {
		severity = mp_lib_glance(&mp_lib_live, &p->sources, now_ns);
		leave_files(&p->sources);
		let_go(p);
	} else if (mp_lib_take_sample(p, now_ns, max_age_ns, &info) == 0) {
		severity = (enum memprobe_severity)info.severity;
	}
	return severity;
}

int mp_lib_take_rss(struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
		    uint64_t *ret_rss)
{
	struct mp_lib_sources own;
	uint64_t ts_ns;
	int err;

	arm(p);
	if (try_hold(p)) {
		err = mp_lib_sample_rss(&mp_lib_live, &p->sources, ret_rss);
		if (!err)
			keep_rss(p, now_ns, *ret_rss);
		leave_files(&p->sources);
		let_go(p);
		return err;
	}
	ts_ns = __atomic_load_n(&p->rss_ts_ns, __ATOMIC_ACQUIRE);
	if (ts_ns && mp_lib_is_younger(ts_ns, now_ns, max_age_ns)) {
		*ret_rss = __atomic_load_n(&p->rss, __ATOMIC_RELAXED);
		return 0;
	}
	memset(&own, 0, sizeof(own));
	err = mp_lib_sample_rss(&mp_lib_live, &own, ret_rss);
	mp_lib_sources_close(&own);
	if (!err)
		keep_rss(p, now_ns, *ret_rss);
	return err;
}
