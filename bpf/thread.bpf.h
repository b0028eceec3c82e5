/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept with a thread of a watched process. */
#ifndef MP_THREAD_BPF_H
#define MP_THREAD_BPF_H

#include "maps.bpf.h"
#include "memory.bpf.h"

/* Sizes in a frame are kept in units of 4 KiB, of which every page is a multiple. */
#define MP_FRAME_UNIT_BITS 12

/* A call that a thread is inside of. Small: with these a thread's storage stays below 2 KiB. */
struct mp_frame {
	u64 key; /* what tells calls apart: the stack pointer at the function's first instruction;
		    of a marker the key that it was given, 0: free */
	u64 ts_ns;
	u32 rss;
	u32 usage;
	u32 point;
	u32 emitted; /* its entry was put out, so its exit will be, too */
};

static __always_inline u32 mp_frame_units(u64 bytes)
{
	return bytes >> MP_FRAME_UNIT_BITS;
}

/* Bytes by which a size has changed since a frame kept it: right up to 8 TiB either way. */
static __always_inline s64 mp_frame_delta(u64 bytes, u32 kept)
{
	return (s64)(s32)(mp_frame_units(bytes) - kept) << MP_FRAME_UNIT_BITS;
}

/* The call whose return is being handled. */
struct mp_call {
	u64 duration_ns;
	s64 rss_delta;
	s64 usage_delta;
	u64 emitted; /* its entry was */
	u64 matched; /* its entry was seen: the above is valid */
};

struct mp_thread {
	u64 generation; /* of the verdict below; 0: none yet */
	u32 is_target;
	u32 depth;
	u32 gate; /* of this entry: MP_PROBE_GATED, MP_PROBE_WOULD_GATE or 0 */
	u32 tgid; /* with a gate: key of the gated map */
	u64 now;
	struct mp_call call;
	struct mp_memcg_view view;
	struct mp_snapshot snap;
	u64 used;  /* of the view's limit, without what can be dropped */
	u64 asked; /* bytes that a marker's call asks for; 0: not known */
	struct mp_frame frames[MP_FRAME_DEPTH];
	u64 marker_id; /* the id that was looked up last, and its point: most often it comes again
			*/
	u64 marker_point;
	/* Calls of markers come and go in any order (generators, coroutines): a slot each. */
	u64 keyed_next; /* the slot to try first for the next one */
	struct mp_frame keyed[MP_KEYED_FRAMES];
};

/*
 * Slot number `i`, or the one that lies where it would. The barrier keeps the compiler from
 * proving the mask needless: older verifiers cannot follow it.
 */
static __always_inline struct mp_frame *mp_keyed_at(struct mp_thread *t, u32 i)
{
	barrier_var(i);
	return &t->keyed[i & (MP_KEYED_FRAMES - 1)];
}

struct mp_threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mp_thread);
};

extern struct mp_threads_map threads SEC(".maps");

#endif
