/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A snapshot of a task's memory: RSS by kind, the usage of the memory cgroup
 * whose limit it will hit first, and that limit.
 *
 * Scratch space is the task's own storage, never the BPF stack: these programs
 * can be preempted, and from 6.13 on a program with more than 64 bytes of
 * stack may be given a per-CPU one that another thread then overwrites.
 */
#ifndef MP_MEMORY_BPF_H
#define MP_MEMORY_BPF_H

#include "maps.bpf.h"

#define MP_MEMCG_DEPTH 16
#define MP_MEMCG_FRESH_NS 10000000ULL /* how long a walk up the groups stays good */

struct mp_memcg_view {
	u64 css_set; /* whose walk this is: the address of the task's css_set */
	u64 until_ns;
	u64 usage_addr; /* of the counter to read; 0: there is none */
	u64 limit;	/* bytes */
	u64 cgroup_id;
	u64 limit_cgroup_id; /* 0: the host */
	u64 reclaimable;
	u64 counter;  /* of a walk: where it is … */
	u64 tightest; /* … the counter with the smallest limit so far, 0: the host's … */
	u64 least;    /* … and that limit, in pages */
};

struct mp_snapshot {
	u64 rss[MP_RSS_KINDS]; /* bytes */
	u64 rss_total;	       /* without swap */
	u64 usage;
	s32 held[MP_RSS_KINDS]; /* scratch: pages that one CPU holds back */
};

/* Addresses of the counters of free pages (by zone) and of page cache (by node); filled once by
 * mp_setup_host. */
extern __u64 spare_counters[MP_MAX_SPARE_COUNTERS];
extern __u64 n_spare_counters;

/* What to add to a per-CPU pointer on each CPU; filled once by mp_setup. */
extern __u64 percpu_offset[MP_MAX_CPUS];

/*
 * CO-RE moves an array access only when its index is a literal: the kernel's
 * struct percpu_counter is larger than the one declared here.
 */
#define MP_COUNTER(mm, kind) ((mm)->rss_stat[kind].counters)
#define MP_COUNT(mm, kind) ((mm)->rss_stat[kind].count)

/*
 * Lets a program load from an address as if it were of a kernel type: a plain
 * load that survives a fault, where bpf_probe_read_kernel() is a call (6.2).
 */
extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym __weak;

#define MP_CAST(type, addr)                                                                        \
	((const type *)bpf_rdonly_cast((const void *)(addr), bpf_core_type_id_kernel(type)))

/* What one CPU holds back of the four counters, when they lie side by side. */
static __always_inline void mp_add_held_together(struct mp_snapshot *snap, u64 at, bool fast)
{
	if (fast) {
		const struct timespec64 *held = MP_CAST(struct timespec64, at);
		u64 low = held->tv_sec;
		u64 high = held->tv_nsec;

		snap->rss[0] += (s64)(s32)low;
		snap->rss[1] += (s64)low >> 32;
		snap->rss[2] += (s64)(s32)high;
		snap->rss[3] += (s64)high >> 32;
		return;
	}
	bpf_probe_read_kernel(snap->held, sizeof(snap->held), (void *)at);
	for (int kind = 0; kind < MP_RSS_KINDS; kind++)
		snap->rss[kind] += (s64)snap->held[kind];
}

static __always_inline void mp_add_held_apart(struct mp_snapshot *snap, u64 at, int kind)
{
	bpf_probe_read_kernel(snap->held, sizeof(s32), (void *)at);
	snap->rss[kind] += (s64)snap->held[0];
}

/* Pages by kind into snap->rss: the shared counts plus what each CPU holds back. */
static __always_inline void mp_rss_percpu(const struct mm_struct *mm, struct mp_snapshot *snap,
					  bool fast)
{
	u64 first = (u64)MP_COUNTER(mm, 0);
	/* The four lie side by side since 6.6 (14ef95be6f55): one read gets them all. */
	bool together = (u64)MP_COUNTER(mm, 1) == first + sizeof(s32) &&
			(u64)MP_COUNTER(mm, 3) == first + 3 * sizeof(s32);

	snap->rss[0] = MP_COUNT(mm, 0);
	snap->rss[1] = MP_COUNT(mm, 1);
	snap->rss[2] = MP_COUNT(mm, 2);
	snap->rss[3] = MP_COUNT(mm, 3);
	for (u32 cpu = 0; cpu < MP_MAX_CPUS && cpu < cfg.nr_cpus; cpu++) {
		u64 offset = percpu_offset[cpu];

		if (together) {
			mp_add_held_together(snap, first + offset, fast);
			continue;
		}
		mp_add_held_apart(snap, first + offset, 0);
		mp_add_held_apart(snap, (u64)MP_COUNTER(mm, 1) + offset, 1);
		mp_add_held_apart(snap, (u64)MP_COUNTER(mm, 2) + offset, 2);
		mp_add_held_apart(snap, (u64)MP_COUNTER(mm, 3) + offset, 3);
	}
}

/*
 * Before 6.2: the shared counts plus what the running task holds back. 6.1's
 * verifier follows no array whose elements are typedefs, so they are copied.
 */
static __always_inline void mp_rss_shared(const struct task_struct *task,
					  const struct mm_struct *mm, struct mp_snapshot *snap)
{
	const struct mm_struct___before_6_2 *old = (const void *)mm;
	const struct task_struct___before_6_2 *mine = (const void *)task;

	bpf_probe_read_kernel(snap->rss, sizeof(snap->rss), &old->rss_stat.count);
	for (int kind = 0; kind < MP_RSS_KINDS; kind++) {
		if (bpf_core_field_exists(mine->rss_stat))
			snap->rss[kind] += (s64)mine->rss_stat.count[kind];
	}
}

static __always_inline void mp_rss_read(const struct task_struct *task, struct mp_snapshot *snap,
					bool fast)
{
	const struct mm_struct *mm = task->mm;

	if (!mm)
		return;
	if (bpf_core_type_exists(struct mm_rss_stat))
		mp_rss_shared(task, mm, snap);
	else
		mp_rss_percpu(mm, snap, fast);
	for (int kind = 0; kind < MP_RSS_KINDS; kind++) {
		/* Counts held back on two CPUs can make a sum negative for a moment. */
		if ((s64)snap->rss[kind] < 0)
			snap->rss[kind] = 0;
		snap->rss[kind] *= cfg.page_size;
	}
	snap->rss_total = snap->rss[MP_RSS_FILE] + snap->rss[MP_RSS_ANON] + snap->rss[MP_RSS_SHMEM];
}

/* The domain of a limiting group, 0 for the host; or NULL. */
static __always_inline struct mp_domain *mp_domain_of(u64 id)
{
	const u32 *slot = bpf_map_lookup_elem(&domain_slots, &id);
	u32 i;

	if (!slot)
		return NULL;
	i = *slot;
	/* Or the compiler takes the mask away, and older verifiers ask for it. */
	barrier_var(i);
	return &domains[i & (MP_MAX_DOMAINS - 1)];
}

static __always_inline u64 mp_memcg_id(const struct mem_cgroup *memcg)
{
	return BPF_CORE_READ(memcg, css.cgroup, kn, id);
}

/* One step of the walk from the task's group to the root. Returns whether there is another. */
static __always_inline bool mp_memcg_step(struct mp_memcg_view *view)
{
	const struct page_counter *counter = (const void *)view->counter;
	u64 max = BPF_CORE_READ(counter, max);

	if (max < view->least) {
		view->least = max;
		view->tightest = view->counter;
	}
	view->counter = (u64)BPF_CORE_READ(counter, parent);
	return view->counter;
}

static __always_inline void mp_memcg_begin(const struct cgroup_subsys_state *css,
					   struct mp_memcg_view *view)
{
	const struct mem_cgroup *own = (const void *)css;
	const struct page_counter *counter = &own->memory;

	view->cgroup_id = mp_memcg_id(own);
	view->counter = (u64)counter;
	view->tightest = 0;
	view->least = cfg.host_bytes / cfg.page_size;
	/* The root's counter is not charged, so a task of the root has no usage of its own. */
	view->usage_addr = BPF_CORE_READ(counter, parent) ? (u64)&counter->usage : 0;
}

static __always_inline void mp_memcg_end(struct mp_memcg_view *view)
{
	const struct page_counter *tightest = (const void *)view->tightest;
	const struct mp_domain *domain;

	view->limit = view->least * cfg.page_size;
	if (!tightest)
		return;
	view->usage_addr = (u64)&tightest->usage;
	view->limit_cgroup_id = mp_memcg_id((const void *)tightest -
					    bpf_core_field_offset(struct mem_cgroup, memory));
	domain = mp_domain_of(view->limit_cgroup_id);
	if (domain)
		view->reclaimable = domain->reclaimable;
}

/*
 * The walk is kept for 10 ms. What it found stays allocated as long as the task
 * is in that css_set, which the task's reference guarantees; a stale address
 * could only be read, not followed, and probe reads do not fault.
 */
static __always_inline bool mp_memcg_is_fresh(const struct task_struct *task,
					      const struct mp_memcg_view *view, u64 now)
{
	return view->css_set == (u64)task->cgroups && now < view->until_ns;
}

/* The task's memory cgroup, or NULL. */
static __always_inline const struct cgroup_subsys_state *mp_memcg_of(const struct task_struct *task)
{
	const struct css_set *set = task->cgroups;

	if (!set || !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return NULL;
	return set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
}

/* The same, at the beginning of a walk: until it says more, the host is the limit. */
static __always_inline const struct cgroup_subsys_state *
mp_memcg_reset(const struct task_struct *task, struct mp_memcg_view *view, u64 now)
{
	view->css_set = (u64)task->cgroups;
	view->until_ns = now + MP_MEMCG_FRESH_NS;
	view->usage_addr = 0;
	view->cgroup_id = 0;
	view->limit_cgroup_id = 0;
	view->limit = cfg.host_bytes;
	view->reclaimable = MP_UNKNOWN;
	return mp_memcg_of(task);
}

/* Walks a task's memory cgroups, if what the view holds is not about them or too old. */
static __always_inline void mp_memcg_view_of(const struct task_struct *task,
					     struct mp_memcg_view *view, u64 now)
{
	const struct cgroup_subsys_state *css;

	if (mp_memcg_is_fresh(task, view, now))
		return;
	css = mp_memcg_reset(task, view, now);
	if (!css)
		return;
	mp_memcg_begin(css, view);
	for (u32 depth = 0; depth < MP_MEMCG_DEPTH; depth++) {
		if (!mp_memcg_step(view))
			break;
	}
	mp_memcg_end(view);
}

static __always_inline u64 mp_read_counter(u64 at, bool fast)
{
	u64 value = 0;

	if (fast)
		return MP_CAST(struct timespec64, at)->tv_sec;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)at);
	return value;
}

/*
 * What of the host's memory is free, or page cache that the kernel would drop for
 * it: when memory is short the one is kept and the other shrinks. Bytes; 0 where
 * the counters were not found.
 */
static __always_inline u64 mp_host_spare(bool fast)
{
	u64 pages = 0;

	for (u32 i = 0; i < MP_MAX_SPARE_COUNTERS && i < n_spare_counters; i++)
		pages += mp_read_counter(spare_counters[i], fast);
	return pages * cfg.page_size;
}

/*
 * Memory in use on the host, bytes: what user space sampled last and what has
 * been taken from what was spare since, so that a fast fill shows at once.
 */
static __always_inline u64 mp_host_used(bool fast)
{
	u64 spare = mp_host_spare(fast);
	u64 base = live.host_base;

	return base > spare ? base - spare : 0;
}

/* A group's usage without the page cache that can be dropped. */
static __always_inline u64 mp_working_set(u64 usage, u64 reclaimable)
{
	if (reclaimable == MP_UNKNOWN)
		return usage;
	return usage > reclaimable ? usage - reclaimable : 0;
}

/* The severity that user space will see, before hysteresis. No division: it is asked at every hit.
 */
static __always_inline u32 mp_severity_of(u64 used, u64 limit)
{
	u64 hundredfold = used * 100;

	if (!limit)
		return MP_SEVERITY_NORMAL;
	if (hundredfold >= cfg.threshold_pct[MP_SEVERITY_CRITICAL] * limit)
		return MP_SEVERITY_CRITICAL;
	if (hundredfold >= cfg.threshold_pct[MP_SEVERITY_GC] * limit)
		return MP_SEVERITY_GC;
	if (hundredfold >= cfg.threshold_pct[MP_SEVERITY_WARNING] * limit)
		return MP_SEVERITY_WARNING;
	return MP_SEVERITY_NORMAL;
}

/* What counts against the limit of a view: of its group, or of the host. */
static __always_inline u64 mp_used_now(const struct mp_memcg_view *view,
				       const struct mp_snapshot *snap, bool fast)
{
	if (!view->limit_cgroup_id)
		return mp_host_used(fast);
	return mp_working_set(snap->usage, view->reclaimable);
}

/* The view must be fresh. `fast`: the kernel has bpf_rdonly_cast(). */
static __always_inline void mp_snapshot_take(const struct task_struct *task,
					     const struct mp_memcg_view *view,
					     struct mp_snapshot *snap, bool fast)
{
	mp_rss_read(task, snap, fast);
	snap->usage = MP_UNKNOWN;
	if (!view->usage_addr)
		return;
	snap->usage = mp_read_counter(view->usage_addr, fast) * cfg.page_size;
}

#endif
