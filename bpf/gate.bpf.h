/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate of critical points: stops a process before a call that memory has
 * no room for. Whoever reads the record lets it go on. It fails open: a process
 * is stopped only when the gated map and a record both say so.
 */
#ifndef MP_GATE_BPF_H
#define MP_GATE_BPF_H

#include "maps.bpf.h"
#include "memory.bpf.h"
#include "thread.bpf.h"
#include "emit.bpf.h"

#define MP_SIGCONT 18 /* on x86 and arm64 */
#define MP_SIGSTOP 19
#define MP_GATE_TOLD 1
#define MP_GATE_ENFORCED 2
#define MP_ADJ_NEVER (-1000) /* OOM_SCORE_ADJ_MIN: nobody may end it, so nobody stops it */

/* Bytes that the call asks for: of a signed argument, none when it is negative. */
static __always_inline u64 mp_asked(u64 value, u8 type)
{
	return type == MP_ARG_S64 && (s64)value < 0 ? 0 : value;
}

/* Whether usage is critical, or would be with `asked` bytes more. */
static __always_inline bool mp_has_no_room(u64 used, u64 asked, u64 limit)
{
	/* More than all of it is no different from all of it, and cannot overflow. */
	if (asked > limit)
		asked = limit;
	return mp_severity_of(used + asked, limit) == MP_SEVERITY_CRITICAL;
}

static __always_inline bool mp_is_exempt(const struct task_struct *task)
{
	u32 tgid = task->tgid;

	return tgid == 1 || tgid == cfg.self || task->signal->oom_score_adj == MP_ADJ_NEVER;
}

/*
 * Takes an entry that is open over. Of several threads one wins, and sends the
 * signal; the fields come first, so that a stopped entry is never told with the
 * time of an earlier stop.
 */
static __always_inline bool mp_gate_retake(struct mp_gated *entry, const struct mp_gated *now)
{
	if (entry->state != MP_GATE_OPEN || now->stopped_ns < entry->pass_until_ns)
		return false;
	entry->tid = now->tid;
	entry->point = now->point;
	entry->stopped_ns = now->stopped_ns;
	return __sync_val_compare_and_swap(&entry->state, MP_GATE_OPEN, MP_GATE_STOPPED) ==
	       MP_GATE_OPEN;
}

/* Claims the stop of the process at hand. False: it passes, or another thread's call stops it. */
static __noinline int mp_gate_claim(u32 point, u64 now)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mp_thread *t = bpf_task_storage_get(&threads, task, NULL, 0);
	struct mp_gated stopped = {
		.state = MP_GATE_STOPPED,
		.tid = task->pid,
		.point = point,
		.stopped_ns = now,
		.start_time = task->group_leader->start_boottime,
	};
	struct mp_gated *entry;

	if (!t || live.gates_open)
		return 0;
	t->tgid = task->tgid;
	entry = bpf_map_lookup_elem(&gated, &t->tgid);
	if (entry && entry->start_time == stopped.start_time)
		return mp_gate_retake(entry, &stopped);
	if (entry)
		bpf_map_delete_elem(&gated, &t->tgid); /* of a process that had the same pid */
	return bpf_map_update_elem(&gated, &t->tgid, &stopped, BPF_NOEXIST) == 0;
}

static __always_inline void mp_gate_forget(struct mp_thread *t)
{
	bpf_map_delete_elem(&gated, &t->tgid);
}

/* An interrupt to the own CPU: some microseconds in a virtual machine, so it comes last. */
static __always_inline void mp_wake_reader(void)
{
	void *nothing = bpf_ringbuf_reserve(&events, sizeof(u64), 0);

	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

/*
 * Stops the process whose call was claimed and told, before this thread is back
 * in user space. Who read the record meanwhile and let the process go has opened
 * the entry before: then the stop is taken back, or it would stay for good.
 *
 * While preemption is disabled the signal would go by way of an interrupt. So
 * this runs after, and therefore keeps nothing on its stack (see the end of
 * hit.bpf.h).
 */
static __noinline int mp_gate_stop(void)
{
	struct mp_thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	const struct mp_gated *entry;

	if (!t)
		return 0;
	if (bpf_send_signal(MP_SIGSTOP)) {
		mp_gate_forget(t);
		return 0;
	}
	entry = bpf_map_lookup_elem(&gated, &t->tgid);
	if (live.gates_open || !entry || entry->state != MP_GATE_STOPPED)
		bpf_send_signal(MP_SIGCONT);
	mp_wake_reader();
	return 1;
}

#endif
