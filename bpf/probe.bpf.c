// SPDX-License-Identifier: GPL-2.0-only
/*
 * Injection points: the entry and the return of a probed function, USDT sites,
 * markers, watchpoints. All in this file, since libbpf 1.1 cannot link two that
 * declare the same function of the kernel.
 */
#include "hit.bpf.h"
#include "marker.bpf.h"
#include "watchpoint.bpf.h"
#include <linux/bpf_perf_event.h>

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
		if (mp_frame_at(t, depth - 1)->key >= sp)
			break;
		depth--;
	}
	t->depth = depth;
	for (int i = 0; i < MP_SAME_PLACE && depth; i++) {
		const struct mp_frame *frame = mp_frame_at(t, --depth);

		if (frame->key != sp)
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

	if (at == MP_NO_FRAME) {
		at = t->depth;
		if (at >= MP_FRAME_DEPTH) {
			mp_count(hit->alone, &hit->stats->missed, 1);
			return;
		}
		t->depth = at + 1;
	}
	mp_frame_fill(mp_frame_at(t, at), hit, sp, emitted);
}

/* Takes the frame of the call that returns, if its entry was seen. */
static __always_inline void mp_pop(struct mp_thread *t, u64 sp, u32 point)
{
	u32 at = mp_find(t, sp, point);
	struct mp_frame *frame = mp_frame_at(t, at);

	if (at == MP_NO_FRAME)
		return;
	mp_call_end(t, frame);
	/* Those above it are at the same place, where order does not matter. */
	t->depth--;
	*frame = *mp_frame_at(t, t->depth);
}

/* Returns whether the process is to be stopped now. */
static __always_inline bool mp_on_enter(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_CALL};
	bool emitted;

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_ENTER))
		return false;
	emitted = mp_count_enter(&hit);
	mp_push(&hit, MP_REG_SP(ctx), emitted);
	return mp_is_to_stop(&hit, emitted);
}

static __always_inline bool mp_on_return(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_CALL};

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_EXIT))
		return false;
	mp_pop(hit.thread, MP_REG_SP(ctx) - MP_RET_POPS, hit.index);
	mp_count_exit(&hit);
	return false;
}

/*
 * About to leave the function, where the stack pointer is as it was at its entry. A jump that may
 * stay inside of it counts only where that holds.
 */
static __always_inline bool mp_on_leave(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_CALL};

	if (!mp_hit_begin(&hit, ctx, MP_PHASE_EXIT))
		return false;
	mp_pop(hit.thread, MP_REG_SP(ctx), hit.index);
	if (hit.thread->call.matched)
		mp_count_exit(&hit);
	return false;
}

static __always_inline bool mp_on_usdt(bpf_user_pt_regs_t *ctx, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_USDT};

	if (mp_hit_begin(&hit, ctx, MP_PHASE_CHECK))
		mp_count_moment(&hit);
	return false;
}

MP_PROGRAM("uprobe", mp_enter, mp_on_enter, mp_gate_stop)
MP_PROGRAM("uretprobe", mp_return, mp_on_return, mp_no_more)
MP_PROGRAM("uprobe", mp_leave, mp_on_leave, mp_no_more)
MP_PROGRAM("uprobe", mp_usdt, mp_on_usdt, mp_no_more)
MP_PROGRAM("uprobe", mp_marker, mp_on_marker, mp_gate_stop)

/*
 * Entries of Python functions; no return is seen. In the exception's handler interrupts are
 * off, so both are alone on their CPU; the second is for kernels that lack what the first loads by.
 */
SEC("perf_event")
int mp_watch(struct bpf_perf_event_data *ctx)
{
	mp_on_watch(&ctx->regs, ctx->addr, true);
	return 0;
}

SEC("perf_event")
int mp_watch_preemptible(struct bpf_perf_event_data *ctx)
{
	mp_on_watch(&ctx->regs, ctx->addr, false);
	return 0;
}
