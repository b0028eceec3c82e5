/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs at every hit of a point, however it came about. Counting is exact
 * and comes first; a record is a bonus that the level's interval or a full ring
 * may withhold.
 */
#ifndef MP_HIT_BPF_H
#define MP_HIT_BPF_H

#include "record.bpf.h"
#include "gate.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_point_stats);
} stats SEC(".maps");

/* Hits that could not be counted: no memory for the thread's storage, no slot for the point. */
__u64 lost_hits = 0;

/*
 * Everything one hit works with. The pointers come from maps, so a function
 * that takes this is inlined: a subprogram would have to look them up again.
 */
struct mp_hit {
	bpf_user_pt_regs_t *ctx;
	struct mp_thread *thread;
	const struct mp_point_config *point;
	struct mp_point_stats *stats;
	bool alone; /* a constant of the build: nothing else runs on this CPU meanwhile */
	u32 index;
	u32 phase;
	u32 origin; /* enum mp_origin; a constant, too */
};

/*
 * Counters are per CPU. Where a program can be preempted, another thread's may
 * run on the same CPU in between: there they are added to atomically.
 */
static __always_inline void mp_count(bool alone, u64 *counter, u64 n)
{
	if (alone)
		*counter += n;
	else
		__sync_fetch_and_add(counter, n);
}

#define MP_RAISE(name, type)                                                                       \
	static __always_inline void name(bool alone, type *max, type value)                        \
	{                                                                                          \
		if (alone) {                                                                       \
			if (value > *max)                                                          \
				*max = value;                                                      \
			return;                                                                    \
		}                                                                                  \
		for (int i = 0; i < 4; i++) {                                                      \
			type seen = *max;                                                          \
                                                                                                   \
			if (value <= seen ||                                                       \
			    __sync_val_compare_and_swap(max, seen, value) == seen)                 \
				return;                                                            \
		}                                                                                  \
	}

MP_RAISE(mp_raise_u64, u64)
MP_RAISE(mp_raise_s64, s64)

/*
 * Functions marked __noinline find their data again, so that the verifier has
 * few states to tell apart in them and the time to attach stays short. It would
 * look at global ones only once, but from 6.10 to 6.14 it refuses to call those
 * while preemption is disabled.
 */

/* The same arithmetic as mp_hist_bucket() in user/state/histogram.c. */
static __noinline u32 mp_bucket(u64 ns)
{
	u64 v = ns;
	u32 log = 0;
	u32 bucket;

	if (ns < MP_HIST_SUB)
		return ns;
	for (int shift = 32; shift; shift /= 2) {
		if (v >> shift) {
			v >>= shift;
			log += shift;
		}
	}
	bucket = (log - MP_HIST_SUB_BITS + 1) * MP_HIST_SUB +
		 ((ns >> (log - MP_HIST_SUB_BITS)) & (MP_HIST_SUB - 1));
	return bucket < MP_HIST_BUCKETS ? bucket : MP_HIST_BUCKETS - 1;
}

/* A step of the walk: few states to tell apart from one turn of the loop to the next. */
static __noinline int mp_memcg_next(u64 depth)
{
	struct mp_thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);

	return t && depth < MP_MEMCG_DEPTH && mp_memcg_step(&t->view);
}

/* Walks the task's memory cgroups. */
static __noinline int mp_memcg_look(u64 now)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_thread *t = bpf_task_storage_get(&threads, task, NULL, 0);
	const struct cgroup_subsys_state *css;

	if (!t)
		return 0;
	css = mp_memcg_reset(task, &t->view, now);
	if (!css)
		return 0;
	mp_memcg_begin(css, &t->view);
	for (u64 depth = 0; depth < MP_MEMCG_DEPTH; depth++) {
		if (!mp_memcg_next(depth))
			break;
	}
	mp_memcg_end(&t->view);
	return 1;
}

/* The thread's storage if its process is under watch, else NULL. */
static __always_inline struct mp_thread *mp_thread_get(struct task_struct *task)
{
	struct mp_thread *thread = bpf_task_storage_get(&threads, task, NULL, 0);
	u64 generation = live.targets_generation;
	u32 tgid;

	if (thread && thread->generation == generation)
		return thread->is_target ? thread : NULL;
	tgid = bpf_get_current_pid_tgid() >> 32;
	if (!bpf_map_lookup_elem(&targets, &tgid)) {
		if (thread)
			thread->is_target = 0;
		return NULL;
	}
	if (!thread)
		thread = bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		mp_count(false, &lost_hits, 1);
		return NULL;
	}
	thread->generation = generation;
	thread->is_target = 1;
	return thread;
}

static __always_inline bool mp_may_emit(const struct mp_hit *hit, u32 severity)
{
	const struct mp_thread *t = hit->thread;
	u64 interval = cfg.interval_ns[hit->point->level & (MP_LEVEL_COUNT - 1)];

	if (t->snap.rss_total < hit->point->threshold_bytes)
		return false;
	if (hit->phase == MP_PHASE_EXIT)
		return t->call.emitted ||
		       mp_may_emit_exit(hit->index, interval, severity, t->call.duration_ns);
	return mp_may_emit_enter(hit->index, interval, severity, t->now);
}

/* Puts out a record, or counts why not. Returns whether it was put out. */
static __always_inline bool mp_emit(const struct mp_hit *hit, struct mp_phase_stats *counts)
{
	struct mp_thread *t = hit->thread;
	u32 severity = mp_severity_of(t->used, t->view.limit);

	if (t->gate != MP_PROBE_GATED && !mp_may_emit(hit, severity)) {
		mp_count(hit->alone, &counts->suppressed, 1);
		return false;
	}
	if (mp_put_out(hit->ctx, hit->index, hit->phase, hit->origin,
		       severity >= hit->point->stack_severity)) {
		mp_count(hit->alone, &counts->emitted, 1);
		return true;
	}
	mp_count(hit->alone, &counts->lost, 1);
	mp_count(false, &lost_records, 1);
	return false;
}

/* Looks the thread up and readies its storage. False: not for us. */
static __always_inline bool mp_hit_thread(struct mp_hit *hit, bpf_user_pt_regs_t *ctx, u32 phase)
{
	struct mp_thread *t;

	if (!live.enabled)
		return false;
	t = mp_thread_get(bpf_get_current_task_btf());
	if (!t)
		return false;
	hit->thread = t;
	hit->ctx = ctx;
	hit->phase = phase;
	t->now = bpf_ktime_get_ns();
	t->call.duration_ns = 0;
	t->call.rss_delta = 0;
	t->call.usage_delta = 0;
	t->call.emitted = 0;
	t->call.matched = 0;
	t->gate = 0;
	return true;
}

/* Looks the point up and takes the snapshot. False: there is no such point. */
static __always_inline bool mp_hit_point(struct mp_hit *hit, u32 index)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_thread *t = hit->thread;

	hit->index = index;
	/* Not hit->index: a struct whose address is handed out is kept in memory. */
	hit->point = bpf_map_lookup_elem(&points, &index);
	hit->stats = bpf_map_lookup_elem(&stats, &index);
	if (!hit->point || !hit->stats)
		return false;
	if (!mp_memcg_is_fresh(task, &t->view, t->now))
		mp_memcg_look(t->now);
	mp_snapshot_take(task, &t->view, &t->snap, hit->alone);
	t->used = mp_used_now(&t->view, &t->snap, hit->alone);
	return true;
}

/* Of a probe whose cookie says which point it is. */
static __always_inline bool mp_hit_begin(struct mp_hit *hit, bpf_user_pt_regs_t *ctx, u32 phase)
{
	return mp_hit_thread(hit, ctx, phase) && mp_hit_point(hit, (u32)bpf_get_attach_cookie(ctx));
}

static __always_inline void mp_frame_fill(struct mp_frame *frame, const struct mp_hit *hit, u64 key,
					  bool emitted)
{
	const struct mp_thread *t = hit->thread;

	frame->key = key;
	frame->ts_ns = t->now;
	frame->rss = mp_frame_units(t->snap.rss_total);
	frame->usage = mp_frame_units(t->snap.usage);
	frame->point = hit->index;
	frame->emitted = emitted;
}

/* The call that the frame is of returns now. */
static __always_inline void mp_call_end(struct mp_thread *t, const struct mp_frame *frame)
{
	t->call.duration_ns = t->now - frame->ts_ns;
	t->call.rss_delta = mp_frame_delta(t->snap.rss_total, frame->rss);
	t->call.usage_delta = mp_frame_delta(t->snap.usage, frame->usage);
	t->call.emitted = frame->emitted;
	t->call.matched = 1;
}

static __always_inline void mp_count_call(const struct mp_hit *hit)
{
	const struct mp_call *call = &hit->thread->call;
	struct mp_point_stats *s = hit->stats;
	u32 bucket = mp_bucket(call->duration_ns);

	mp_count(hit->alone, &s->matched, 1);
	mp_count(hit->alone, &s->duration_sum_ns, call->duration_ns);
	mp_raise_u64(hit->alone, &s->duration_max_ns, call->duration_ns);
	if (bucket < MP_HIST_BUCKETS)
		mp_count(hit->alone, &s->duration_hist[bucket], 1);
	if (call->rss_delta)
		mp_count(hit->alone, (u64 *)&s->rss_sum, call->rss_delta);
	mp_raise_s64(hit->alone, &s->rss_max, call->rss_delta);
}

/* What the point's gate has to say about a call: flags of its record; 0: it passes. */
static __always_inline u32 mp_gate(const struct mp_hit *hit)
{
	const struct mp_point_config *point = hit->point;
	const struct mp_thread *t = hit->thread;
	u32 i = mp_has_values(hit->origin) ? point->size_arg : MP_NO_SIZE_ARG;
	u64 asked = hit->origin == MP_ORIGIN_MARKER ? t->asked : 0;

	if (mp_is_exempt(bpf_get_current_task_btf()))
		return 0;
	if (i < MP_MAX_ARGS)
		asked = mp_asked(mp_arg(hit->ctx, hit->index, i), point->arg_type[i]);
	if (!mp_has_no_room(t->used, asked, t->view.limit))
		return 0;
	if (cfg.gate == MP_GATE_TOLD)
		return MP_PROBE_WOULD_GATE;
	return mp_gate_claim(hit->index, t->now) ? MP_PROBE_GATED : 0;
}

/* Returns whether a record of it was put out. */
static __always_inline bool mp_count_enter(const struct mp_hit *hit)
{
	struct mp_phase_stats *counts = &hit->stats->phase[MP_PHASE_ENTER];

	mp_count(hit->alone, &counts->hits, 1);
	if (cfg.gate && hit->point->flags & MP_POINT_GATE)
		hit->thread->gate = mp_gate(hit);
	return mp_emit(hit, counts);
}

/* Whether the process is to be stopped now. When nobody was told, the claim is void. */
static __always_inline bool mp_is_to_stop(const struct mp_hit *hit, bool emitted)
{
	if (cfg.gate != MP_GATE_ENFORCED || hit->thread->gate != MP_PROBE_GATED)
		return false;
	if (!emitted)
		mp_gate_forget(hit->thread);
	return emitted;
}

static __always_inline void mp_count_exit(const struct mp_hit *hit)
{
	struct mp_phase_stats *counts = &hit->stats->phase[MP_PHASE_EXIT];

	mp_count(hit->alone, &counts->hits, 1);
	if (hit->thread->call.matched)
		mp_count_call(hit);
	else
		mp_count(hit->alone, &hit->stats->missed, 1);
	mp_emit(hit, counts);
}

/* A moment, not a call: it is counted as an entry, and no gate closes before it. */
static __always_inline void mp_count_moment(const struct mp_hit *hit)
{
	struct mp_phase_stats *counts = &hit->stats->phase[MP_PHASE_ENTER];

	mp_count(hit->alone, &counts->hits, 1);
	mp_emit(hit, counts);
}

/*
 * Each program comes twice. From 6.13 on the verifier gives a program of this
 * size a stack per CPU, which a thread that preempts it would overwrite: so
 * where the kernel has bpf_preempt_disable() (6.10) the first set is loaded,
 * which is not preempted while it has anything on its stack and so may also count
 * without atomics. Older kernels keep BPF stacks with the thread, and the
 * second set does. What is left to do when preemption is back is `finish`.
 */
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

#define MP_PROGRAM(section, name, body, finish)                                                    \
	SEC(section) int name(bpf_user_pt_regs_t *ctx)                                             \
	{                                                                                          \
		bool more;                                                                         \
                                                                                                   \
		bpf_preempt_disable();                                                             \
		more = body(ctx, true);                                                            \
		bpf_preempt_enable();                                                              \
		if (more)                                                                          \
			finish();                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	SEC(section) int name##_preemptible(bpf_user_pt_regs_t *ctx)                               \
	{                                                                                          \
		if (body(ctx, false))                                                              \
			finish();                                                                  \
		return 0;                                                                          \
	}

static __always_inline void mp_no_more(void)
{
}

#endif
