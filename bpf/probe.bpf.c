// SPDX-License-Identifier: GPL-2.0-only
/*
 * Injection points: what runs at the entry and the return of a probed function
 * and at USDT sites. Counting is exact and comes first; a record is a bonus
 * that the level's interval or a full ring may withhold.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "arch.bpf.h"
#include "thread.bpf.h"
#include "emit.bpf.h"
#include "gate.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_point_config);
} points SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_point_stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_usdt_site);
} usdt_sites SEC(".maps");

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

/* Hits of threads for which there was no memory. */
__u64 lost_hits = 0;

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

static __always_inline u64 mp_register(const void *ctx, u16 offset)
{
	u64 value = 0;

	if (offset > sizeof(bpf_user_pt_regs_t) - sizeof(u64))
		return 0;
	bpf_probe_read_kernel(&value, sizeof(value), ctx + offset);
	return value;
}

static __always_inline u64 mp_usdt_narrow(u64 value, const struct mp_usdt_arg *arg)
{
	u32 shift = (64 - arg->bytes * 8) & 63;

	if (arg->is_signed)
		return (u64)((s64)(value << shift) >> shift);
	return value << shift >> shift;
}

static __always_inline u64 mp_usdt_value(const void *ctx, const struct mp_usdt_arg *arg)
{
	u64 value = mp_register(ctx, arg->reg);

	if (arg->kind == MP_USDT_CONST)
		return arg->value;
	if (arg->kind == MP_USDT_SIB)
		value += mp_register(ctx, arg->index_reg) * arg->scale;
	if (arg->kind != MP_USDT_REG)
		bpf_probe_read_user(&value, sizeof(value), (void *)(value + arg->value));
	return mp_usdt_narrow(value, arg);
}

/* Argument `i` of a point as it stands in the registers. */
static __noinline u64 mp_arg(bpf_user_pt_regs_t *ctx, u32 index, u32 i)
{
	const struct mp_point_config *point = bpf_map_lookup_elem(&points, &index);

	if (!ctx || !point || i >= MP_MAX_ARGS)
		return 0;
	return mp_register(ctx, point->arg_reg[i]);
}

static __noinline u64 mp_usdt_arg(bpf_user_pt_regs_t *ctx, u32 site, u32 i)
{
	const struct mp_usdt_site *args = bpf_map_lookup_elem(&usdt_sites, &site);

	if (!ctx || !args || i >= MP_MAX_ARGS)
		return 0;
	return mp_usdt_value(ctx, &args->args[i]);
}

/* Arguments are there on entry only; on return the registers hold other things. */
static __always_inline void mp_fill_args(bpf_user_pt_regs_t *ctx, struct mp_probe_record *r,
					 const struct mp_point_config *point)
{
	u32 site = bpf_get_attach_cookie(ctx) >> 32;

	r->n_args = 0;
	if (r->phase == MP_PHASE_EXIT)
		return;
	r->n_args = point->n_args;
	for (u32 i = 0; i < MP_MAX_ARGS; i++) {
		r->args[i] = 0;
		if (i < r->n_args)
			r->args[i] = r->phase == MP_PHASE_CHECK ? mp_usdt_arg(ctx, site, i)
								: mp_arg(ctx, r->point, i);
	}
}

static __always_inline void mp_fill(bpf_user_pt_regs_t *ctx, struct mp_probe_record *r,
				    const struct mp_thread *t, const struct mp_point_config *point)
{
	u64 id = bpf_get_current_pid_tgid();

	r->level = point->level;
	r->flags = 0;
	r->pid = id >> 32;
	r->tid = (u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->ip = MP_REG_IP(ctx);
	r->cgroup_id = t->view.cgroup_id;
	r->limit_cgroup_id = t->view.limit_cgroup_id;
	for (int kind = 0; kind < MP_RSS_KINDS; kind++)
		r->rss[kind] = t->snap.rss[kind];
	r->usage = t->snap.usage;
	r->limit = t->view.limit;
	r->reclaimable = t->view.reclaimable;
	r->duration_ns = t->call.duration_ns;
	r->rss_delta = t->call.rss_delta;
	r->usage_delta = t->call.usage_delta;
	r->ret = MP_REG_RET(ctx);
	if (r->phase == MP_PHASE_EXIT && point->flags & MP_POINT_HAS_RET)
		r->flags |= MP_PROBE_HAS_RET;
	if (r->phase == MP_PHASE_EXIT && t->call.matched)
		r->flags |= MP_PROBE_MATCHED;
	mp_fill_args(ctx, r, point);
}

/* The reader of a stop is woken after it: see mp_gate_stop(). */
static __always_inline void mp_submit(struct mp_probe_record *r, const struct mp_thread *t)
{
	r->flags |= t->gate;
	bpf_ringbuf_submit(r,
			   t->gate == MP_PROBE_GATED ? BPF_RB_NO_WAKEUP : mp_wake_flags(&events));
}

static __always_inline bool mp_emit_small(bpf_user_pt_regs_t *ctx, const struct mp_thread *t,
					  const struct mp_point_config *point, u32 index, u32 phase)
{
	struct mp_probe_record *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r)
		return false;
	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_PROBE, t->now, lost_records);
	r->point = index;
	r->phase = phase;
	mp_fill(ctx, r, t, point);
	mp_submit(r, t);
	return true;
}

/* The strings that a call was given, or the one that it returns. */
static __always_inline void mp_fill_strings(struct mp_probe_record_full *r,
					    const struct mp_point_config *point)
{
	bool is_exit = r->base.phase == MP_PHASE_EXIT;

	for (u32 i = 0; i < MP_MAX_ARGS; i++) {
		u64 at = is_exit ? r->base.ret : r->base.args[i];
		bool wanted = is_exit ? i == 0 && point->flags & MP_POINT_RET_STR
				      : i < r->base.n_args && point->arg_type[i] == MP_ARG_STR;

		r->str[i][0] = '\0';
		if (wanted && bpf_probe_read_user_str(r->str[i], MP_ARG_STR_LEN, (void *)at) < 0)
			r->str[i][0] = MP_STR_UNREADABLE;
	}
}

static __always_inline bool mp_emit_full(bpf_user_pt_regs_t *ctx, const struct mp_thread *t,
					 const struct mp_point_config *point, u32 index, u32 phase,
					 u32 want_stack)
{
	struct mp_probe_record_full *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	long bytes = 0;

	if (!r)
		return false;
	mp_fill_header(&r->base.h, sizeof(*r), MP_RECORD_PROBE, t->now, lost_records);
	r->base.point = index;
	r->base.phase = phase;
	mp_fill(ctx, &r->base, t, point);
	r->base.flags |= MP_PROBE_HAS_TAIL;
	mp_fill_strings(r, point);
	r->pad = 0;
	r->caller = 0;
	if (want_stack) {
		bytes = bpf_get_stack(ctx, r->stack, sizeof(r->stack), BPF_F_USER_STACK);
		if (phase == MP_PHASE_ENTER)
			r->caller = mp_reg_caller(ctx);
	}
	r->stack_bytes = bytes > 0 ? bytes : 0;
	mp_submit(&r->base, t);
	return true;
}

/* Puts out a record of what the thread's storage holds. Returns whether there was room. */
static __noinline int mp_put_out(bpf_user_pt_regs_t *ctx, u32 index, u32 phase, u32 want_stack)
{
	struct mp_thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	const struct mp_point_config *point = bpf_map_lookup_elem(&points, &index);

	if (!ctx || !t || !point)
		return 0;
	if (want_stack || point->flags & MP_POINT_HAS_STR)
		return mp_emit_full(ctx, t, point, index, phase, want_stack);
	return mp_emit_small(ctx, t, point, index, phase);
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
	if (mp_put_out(hit->ctx, hit->index, hit->phase, severity >= hit->point->stack_severity)) {
		mp_count(hit->alone, &counts->emitted, 1);
		return true;
	}
	mp_count(hit->alone, &counts->lost, 1);
	mp_count(false, &lost_records, 1);
	return false;
}

/* Looks everything up and takes the snapshot. False: not for us. */
static __always_inline bool mp_hit_begin(struct mp_hit *hit, bpf_user_pt_regs_t *ctx, u32 phase)
{
	struct task_struct *task = bpf_get_current_task_btf();
	/* Not hit->index: a struct whose address is handed out is kept in memory. */
	u32 index = (u32)bpf_get_attach_cookie(ctx);
	struct mp_thread *t;

	if (!live.enabled)
		return false;
	t = mp_thread_get(task);
	if (!t)
		return false;
	hit->thread = t;
	hit->ctx = ctx;
	hit->phase = phase;
	hit->index = index;
	hit->point = bpf_map_lookup_elem(&points, &index);
	hit->stats = bpf_map_lookup_elem(&stats, &index);
	if (!hit->point || !hit->stats)
		return false;
	t->now = bpf_ktime_get_ns();
	t->call.duration_ns = 0;
	t->call.rss_delta = 0;
	t->call.usage_delta = 0;
	t->call.emitted = 0;
	t->call.matched = 0;
	t->gate = 0;
	if (!mp_memcg_is_fresh(task, &t->view, t->now))
		mp_memcg_look(t->now);
	mp_snapshot_take(task, &t->view, &t->snap, hit->alone);
	t->used = mp_used_now(&t->view, &t->snap, hit->alone);
	return true;
}

/* The barrier keeps the compiler from proving the mask needless: older verifiers cannot follow it.
 */
static __always_inline struct mp_frame *mp_frame_at(struct mp_thread *t, u32 i)
{
	barrier_var(i);
	return &t->frames[i & (MP_FRAME_DEPTH - 1)];
}

#define MP_NO_FRAME MP_FRAME_DEPTH
#define MP_SAME_PLACE 8 /* points on one function, and tail calls in a row, told apart */

/*
 * The frame of a point's call whose stack pointer was `sp`, or MP_NO_FRAME.
 *
 * Stacks grow down: a frame below belongs to a call that was left without a
 * return (longjmp, an exception), and is forgotten. Frames of other points at
 * the very same place are alive: they are on the same function, or it jumped
 * here (a tail call), and all of them will return.
 */
static __always_inline u32 mp_find(struct mp_thread *t, u64 sp, u32 point)
{
	u32 depth = t->depth;

	for (int i = 0; i < MP_FRAME_DEPTH && depth; i++) {
		if (mp_frame_at(t, depth - 1)->sp >= sp)
			break;
		depth--;
	}
	t->depth = depth;
	for (int i = 0; i < MP_SAME_PLACE && depth; i++) {
		const struct mp_frame *frame = mp_frame_at(t, --depth);

		if (frame->sp != sp)
			break;
		if (frame->point == point)
			return depth;
	}
	return MP_NO_FRAME;
}

/* Remembers a call. A frame that it finds in its place was never returned from. */
static __always_inline void mp_push(const struct mp_hit *hit, u64 sp, bool emitted)
{
	struct mp_thread *t = hit->thread;
	u32 at = mp_find(t, sp, hit->index);
	struct mp_frame *frame;

	if (at == MP_NO_FRAME) {
		at = t->depth;
		if (at >= MP_FRAME_DEPTH) {
			mp_count(hit->alone, &hit->stats->missed, 1);
			return;
		}
		t->depth = at + 1;
	}
	frame = mp_frame_at(t, at);
	frame->sp = sp;
	frame->ts_ns = t->now;
	frame->rss = t->snap.rss_total;
	frame->usage = t->snap.usage;
	frame->point = hit->index;
	frame->emitted = emitted;
}

/* Takes the frame of the call that returns. False: its entry was not seen. */
static __always_inline bool mp_pop(const struct mp_hit *hit, u64 sp)
{
	struct mp_thread *t = hit->thread;
	u32 at = mp_find(t, sp, hit->index);
	struct mp_frame *frame = mp_frame_at(t, at);

	if (at == MP_NO_FRAME)
		return false;
	t->call.duration_ns = t->now - frame->ts_ns;
	t->call.rss_delta = t->snap.rss_total - frame->rss;
	t->call.usage_delta = t->snap.usage - frame->usage;
	t->call.emitted = frame->emitted;
	t->call.matched = 1;
	/* Those above it are at the same place, where order does not matter. */
	t->depth--;
	*frame = *mp_frame_at(t, t->depth);
	return true;
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
	u32 i = point->size_arg;
	u64 asked = 0;

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

/* Returns whether the process is to be stopped now. */
static __always_inline bool mp_on_enter(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone};
	u32 gate = 0;
	bool emitted;

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_ENTER))
		return false;
	mp_count(hit.alone, &hit.stats->phase[MP_PHASE_ENTER].hits, 1);
	if (cfg.gate && hit.point->flags & MP_POINT_GATE)
		gate = hit.thread->gate = mp_gate(&hit);
	emitted = mp_emit(&hit, &hit.stats->phase[MP_PHASE_ENTER]);
	mp_push(&hit, MP_REG_SP(ctx), emitted);
	if (cfg.gate != MP_GATE_ENFORCED || gate != MP_PROBE_GATED)
		return false;
	/* Nobody was told: the claim is void. */
	if (!emitted)
		mp_gate_forget(hit.thread);
	return emitted;
}

static __always_inline int mp_on_return(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone};

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_EXIT))
		return 0;
	mp_count(hit.alone, &hit.stats->phase[MP_PHASE_EXIT].hits, 1);
	if (mp_pop(&hit, MP_REG_SP(ctx) - MP_RET_POPS))
		mp_count_call(&hit);
	else
		mp_count(hit.alone, &hit.stats->missed, 1);
	mp_emit(&hit, &hit.stats->phase[MP_PHASE_EXIT]);
	return 0;
}

/* A USDT site is a moment, not a call: it is counted as an entry. */
static __always_inline int mp_on_usdt(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone};

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_CHECK))
		return 0;
	mp_count(hit.alone, &hit.stats->phase[MP_PHASE_ENTER].hits, 1);
	mp_emit(&hit, &hit.stats->phase[MP_PHASE_ENTER]);
	return 0;
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

MP_PROGRAM("uprobe", mp_enter, mp_on_enter, mp_gate_stop)
MP_PROGRAM("uretprobe", mp_return, mp_on_return, mp_no_more)
MP_PROGRAM("uprobe", mp_usdt, mp_on_usdt, mp_no_more)
