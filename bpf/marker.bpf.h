/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Markers of libmemprobe: functions that do nothing, by which a program tells of
 * points that it has declared itself, or that an injected wrapper stands for.
 * user/lib/marker.h says what their arguments are. One program is for all of
 * them, as each takes its time to load: the cookie has the phase where that of
 * other probes has the point.
 */
#ifndef MP_MARKER_BPF_H
#define MP_MARKER_BPF_H

#include "hit.bpf.h"

#define MP_NO_POINT ((u32)-1)
#define MP_LEVEL_BITS 8 /* of the level argument; flags are above */

/* Where a point lies, by its id. Names of configured points are put in by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, u32);
} marker_points SEC(".maps");

/* Which id has which of the slots behind the configured points; 0: free, as all behind it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MP_SPARE_POINTS);
	__type(key, u32);
	__type(value, u64);
} declared SEC(".maps");

/* Whether user space was told that markers hit a point. User space sets its size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} told SEC(".maps");

/* Whether points came when none was free. Their hits are lost. */
__u64 undeclared = 0;

static __always_inline u64 mp_marker_id(bpf_user_pt_regs_t *ctx)
{
	return PT_REGS_PARM1(ctx);
}

static __always_inline u32 mp_marker_level(bpf_user_pt_regs_t *ctx)
{
	return PT_REGS_PARM3(ctx) & (MP_LEVEL_COUNT - 1);
}

struct mp_claim {
	u64 id;
	u64 slot;
};

static long mp_claim_one(void *map, u32 *slot, u64 *owner, struct mp_claim *claim)
{
	u64 found = *owner ?: __sync_val_compare_and_swap(owner, 0, claim->id);

	if (found && found != claim->id)
		return 0;
	claim->slot = *slot;
	return 1;
}

/* Takes a slot for an id, or finds that a thread on another CPU has just done so. */
static __always_inline u32 mp_claim_slot(u64 id)
{
	struct mp_claim claim = {.id = id, .slot = MP_SPARE_POINTS};

	bpf_for_each_map_elem(&declared, mp_claim_one, &claim, 0);
	return claim.slot;
}

static __always_inline void mp_fill_point(bpf_user_pt_regs_t *ctx, struct mp_point_record *r,
					  u32 index)
{
	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_POINT, bpf_ktime_get_ns(), lost_processes);
	r->point = index;
	r->site = bpf_get_attach_cookie(ctx) >> 32;
	r->id = mp_marker_id(ctx);
	r->pid = bpf_get_current_pid_tgid() >> 32;
	r->level = mp_marker_level(ctx);
	r->flags = PT_REGS_PARM3(ctx) >> MP_LEVEL_BITS;
	r->pad[0] = 0;
	r->pad[1] = 0;
	if (bpf_probe_read_user_str(r->name, sizeof(r->name), (void *)PT_REGS_PARM2(ctx)) < 0)
		r->name[0] = '\0';
}

/*
 * Tells user space that markers hit this point, and its name; of threads that
 * come at once, one does. Returns 0 when there was no room: the next hit tries again.
 */
static __noinline int mp_tell_point(bpf_user_pt_regs_t *ctx, u32 index)
{
	u64 *done = bpf_map_lookup_elem(&told, &index);
	struct mp_point_record *r;

	if (!ctx || !done)
		return 0;
	if (*done || __sync_val_compare_and_swap(done, 0, 1))
		return 1;
	r = bpf_ringbuf_reserve(&processes, sizeof(*r), 0);
	if (!r) {
		__sync_fetch_and_add(&lost_processes, 1);
		*done = 0;
		return 0;
	}
	mp_fill_point(ctx, r, index);
	bpf_ringbuf_submit(r, 0);
	return 1;
}

/*
 * Makes a point of an id that nobody has seen yet. Threads that race for it find
 * the same slot, and write the same into it. A point that user space could not
 * be told of has no name, and no hits.
 */
static __noinline u32 mp_declare(bpf_user_pt_regs_t *ctx)
{
	u64 id = ctx ? mp_marker_id(ctx) : 0;
	struct mp_point_config *point;
	u32 slot, index;

	if (!ctx)
		return MP_NO_POINT;
	slot = mp_claim_slot(id);
	if (slot >= MP_SPARE_POINTS) {
		undeclared = 1;
		return MP_NO_POINT;
	}
	index = cfg.n_points + slot;
	point = bpf_map_lookup_elem(&points, &index);
	if (!point)
		return MP_NO_POINT;
	*point = cfg.declared[mp_marker_level(ctx)];
	if (!mp_tell_point(ctx, index))
		return MP_NO_POINT;
	bpf_map_update_elem(&marker_points, &id, &index, BPF_NOEXIST);
	return index;
}

/* The point whose marker this is, known or new. */
static __noinline u32 mp_marker_look(bpf_user_pt_regs_t *ctx, struct mp_thread *t)
{
	u64 id = ctx ? mp_marker_id(ctx) : 0;
	const u32 *known = bpf_map_lookup_elem(&marker_points, &id);
	u32 index = known ? *known : MP_NO_POINT;

	if (!known)
		return mp_declare(ctx);
	if (mp_tell_point(ctx, index)) {
		t->marker_id = id;
		t->marker_point = index;
	}
	return index;
}

/*
 * The slot for a new call: the first free one from keyed_next on, so that calls
 * which end in the order of a stack find it at once. When there is none the
 * oldest call is given up; its exit will count as missed.
 */
static __noinline u32 mp_keyed_slot(struct mp_thread *t)
{
	u64 oldest_ns = (u64)-1;
	u32 oldest = 0;

	for (u32 i = 0; i < MP_KEYED_FRAMES; i++) {
		u32 at = t->keyed_next + i;
		const struct mp_frame *frame = mp_keyed_at(t, at);

		if (!frame->key)
			return at;
		if (frame->ts_ns < oldest_ns) {
			oldest_ns = frame->ts_ns;
			oldest = at;
		}
	}
	return oldest;
}

static __always_inline void mp_keyed_push(const struct mp_hit *hit, u64 key, bool emitted)
{
	struct mp_thread *t = hit->thread;
	u32 at = mp_keyed_slot(t);

	mp_frame_fill(mp_keyed_at(t, at), hit, key, emitted);
	t->keyed_next = at + 1;
}

/* Takes the frame of the call that ends, if its entry is remembered; newest first. */
static __noinline int mp_keyed_pop(struct mp_thread *t, u64 key, u32 point)
{
	for (u32 i = 1; i <= MP_KEYED_FRAMES; i++) {
		struct mp_frame *frame = mp_keyed_at(t, t->keyed_next - i);

		if (frame->key != key || frame->point != point)
			continue;
		mp_call_end(t, frame);
		frame->key = 0;
		t->keyed_next -= i;
		return 1;
	}
	return 0;
}

/* Returns whether the process is to be stopped now. */
static __always_inline bool mp_on_marker(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_MARKER};
	u32 phase = bpf_get_attach_cookie(ctx);
	u64 key = PT_REGS_PARM4(ctx);
	bool emitted;
	u32 index;

	if (!mp_hit_thread(&hit, ctx, phase))
		return false;
	/* No name has the id 0: it is what a free slot has, and a thread that has passed none. */
	if (!mp_marker_id(ctx)) {
		mp_count(false, &lost_hits, 1);
		return false;
	}
	index = hit.thread->marker_point;
	if (hit.thread->marker_id != mp_marker_id(ctx))
		index = mp_marker_look(ctx, hit.thread);
	if (!mp_hit_point(&hit, index)) {
		mp_count(false, &lost_hits, 1);
		return false;
	}
	hit.thread->asked = phase == MP_PHASE_ENTER ? PT_REGS_PARM5(ctx) : 0;
	if (phase == MP_PHASE_EXIT) {
		if (key)
			mp_keyed_pop(hit.thread, key, index);
		mp_count_exit(&hit);
		return false;
	}
	if (phase == MP_PHASE_CHECK) {
		mp_count_moment(&hit);
		return false;
	}
	emitted = mp_count_enter(&hit);
	if (key)
		mp_keyed_push(&hit, key, emitted);
	return mp_is_to_stop(&hit, emitted);
}

#endif
