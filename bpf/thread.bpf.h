/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept with a thread of a watched process. */
#ifndef MP_THREAD_BPF_H
#define MP_THREAD_BPF_H

#include "maps.bpf.h"
#include "memory.bpf.h"

/* A call that a thread is inside of. */
struct mp_frame {
	u64 sp; /* at the function's first instruction: what tells calls apart */
	u64 ts_ns;
	u64 rss;
	u64 usage;
	u32 point;
	u32 emitted; /* its entry was put out, so its exit will be, too */
};

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
	u64 used; /* of the view's limit, without what can be dropped */
	struct mp_frame frames[MP_FRAME_DEPTH];
};

struct mp_threads_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mp_thread);
};

extern struct mp_threads_map threads SEC(".maps");

#endif
