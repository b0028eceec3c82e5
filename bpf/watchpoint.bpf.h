/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware watchpoints on the first bytecode of Python functions. A hit is found by
 * its address: the event is inherited by threads and children, and the kernel
 * exchanges inherited events between tasks, but hands no cookie on.
 */
#ifndef MP_WATCHPOINT_BPF_H
#define MP_WATCHPOINT_BPF_H

#include "hit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_WATCHED);
	__type(key, u64);
	__type(value, struct mp_watched);
} watched SEC(".maps");

/* What an object begins with. */
struct mp_object_head {
	u64 references;
	u64 type;
};

/*
 * Whether the code object that the bytecode belongs to is still there: memory of a
 * function that is gone may be anything's by now. The same as is_alive() in
 * user/inject/pycode.c.
 */
static __always_inline bool mp_watch_is_alive(const struct mp_watched *w)
{
	struct mp_object_head head;

	if (bpf_probe_read_user(&head, sizeof(head), (void *)w->object))
		return false;
	return head.type == w->type && (u32)head.references && !(head.references >> 32 & 0xffff);
}

static __always_inline void mp_on_watch(bpf_user_pt_regs_t *ctx, u64 addr, bool alone)
{
	struct mp_hit hit = {.alone = alone, .origin = MP_ORIGIN_WATCH};
	const struct mp_watched *w = bpf_map_lookup_elem(&watched, &addr);

	if (!w || !mp_hit_thread(&hit, ctx, MP_PHASE_ENTER) || !mp_watch_is_alive(w))
		return;
	if (mp_hit_point(&hit, w->point))
		mp_count_moment(&hit);
}

#endif
