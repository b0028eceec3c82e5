// SPDX-License-Identifier: GPL-2.0-only
/* OOM kills: who was chosen, what it held, and which calls its threads were inside of. */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "thread.bpf.h"

#define MP_MAX_VICTIMS 256

/* RSS of targets that are being killed, when they were chosen. Key: thread group id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MP_MAX_VICTIMS);
	__type(key, u32);
	__type(value, struct mp_snapshot);
} victims SEC(".maps");

static __always_inline void mp_oom_fill(struct mp_oom_record *r, u32 pid)
{
	struct task_struct *by = bpf_get_current_task_btf();

	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_OOM, bpf_ktime_get_ns(), lost_processes);
	r->pid = pid;
	r->is_target = bpf_map_lookup_elem(&targets, &pid) != NULL;
	r->by_pid = by->tgid;
	r->oom_score_adj = MP_UNKNOWN_ADJ;
	bpf_get_current_comm(r->by_comm, sizeof(r->by_comm));
	r->comm[0] = '\0';
	r->cgroup_id = 0;
	for (int kind = 0; kind < MP_RSS_KINDS; kind++)
		r->rss[kind] = MP_UNKNOWN;
}

static __always_inline void mp_oom_look(struct mp_oom_record *r, const struct task_struct *victim)
{
	static const struct mp_snapshot none = {};
	const struct cgroup_subsys_state *css = mp_memcg_of(victim);
	struct mp_snapshot *snap;
	u32 pid = r->pid; /* a record cannot be a key on 6.1 */

	bpf_probe_read_kernel(r->comm, sizeof(r->comm), victim->comm);
	r->oom_score_adj = victim->signal->oom_score_adj;
	if (css)
		r->cgroup_id = mp_memcg_id((const void *)css);
	bpf_map_update_elem(&victims, &pid, &none, BPF_ANY);
	snap = bpf_map_lookup_elem(&victims, &pid);
	if (!snap)
		return;
	mp_rss_read(victim, snap, false);
	for (int kind = 0; kind < MP_RSS_KINDS; kind++)
		r->rss[kind] = snap->rss[kind];
}

SEC("tp_btf/mark_victim")
int BPF_PROG(mp_mark_victim, struct task_struct *victim)
{
	bool has_task = bpf_core_field_exists(struct trace_event_raw_mark_victim, anon_rss);
	u32 pid = has_task ? (u32)victim->tgid : (u32)(u64)victim;
	struct mp_oom_record *r = bpf_ringbuf_reserve(&processes, sizeof(*r), 0);

	if (!r) {
		__sync_fetch_and_add(&lost_processes, 1);
		return 0;
	}
	mp_oom_fill(r, pid);
	if (has_task)
		mp_oom_look(r, victim);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

static __always_inline void mp_tell_in_flight(const struct mp_frame *frame, u64 now)
{
	struct mp_in_flight_record *r = bpf_ringbuf_reserve(&processes, sizeof(*r), 0);
	u64 id = bpf_get_current_pid_tgid();
	const struct mp_snapshot *snap;
	u32 pid = id >> 32;

	if (!r) {
		__sync_fetch_and_add(&lost_processes, 1);
		return;
	}
	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_IN_FLIGHT, now, lost_processes);
	r->pid = pid;
	r->tid = (u32)id;
	r->point = frame->point;
	r->pad = 0;
	r->duration_ns = now - frame->ts_ns;
	snap = bpf_map_lookup_elem(&victims, &pid);
	r->rss_delta = snap ? mp_frame_delta(snap->rss_total, frame->rss) : MP_UNKNOWN_DELTA;
	bpf_ringbuf_submit(r, 0);
}

static __always_inline int mp_on_victim_exit(struct task_struct *task)
{
	u64 now = bpf_ktime_get_ns();
	struct mp_thread *t;
	u32 depth;
	u32 next;

	if (!task->signal->oom_mm)
		return 0;
	t = bpf_task_storage_get(&threads, task, NULL, 0);
	if (!t || !t->is_target)
		return 0;
	depth = t->depth;
	for (u32 i = 0; i < MP_FRAME_DEPTH && i < depth; i++)
		mp_tell_in_flight(&t->frames[i], now);
	next = t->keyed_next;
	for (u32 i = 0; i < MP_KEYED_FRAMES; i++) {
		const struct mp_frame *frame = mp_keyed_at(t, next + i);

		if (frame->key)
			mp_tell_in_flight(frame, now);
	}
	mp_forget_calls(t);
	return 0;
}

/* Before mp_exit of process.bpf.c has forgotten the process: both run at the same tracepoint. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(mp_victim_exit, struct task_struct *task)
{
	return mp_on_victim_exit(task);
}

/* For what the first was kept from: see process.bpf.c. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(mp_victim_exit_again, struct task_struct *task)
{
	return mp_on_victim_exit(task);
}
