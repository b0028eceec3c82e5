// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the set of watched processes: children of followed ones, and new
 * processes that match a comm:, exe: or cgroup: target, from their first
 * instruction on.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "memory.bpf.h"
#include "thread.bpf.h"

#define MP_CGROUP_DEPTH 32

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_WANTED);
	__type(key, struct mp_comm_key);
	__type(value, u32);
} wanted_comm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_WANTED);
	__type(key, struct mp_exe_key);
	__type(value, u32);
} wanted_exe SEC(".maps");

/* Memory cgroups whose processes, and those of the groups below, are targets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_WANTED);
	__type(key, u64);
	__type(value, u32);
} wanted_cgroup SEC(".maps");

static __always_inline void mp_tell(u32 op, const struct task_struct *task, u32 parent)
{
	struct mp_process_record *r = bpf_ringbuf_reserve(&processes, sizeof(*r), 0);

	if (!r) {
		__sync_fetch_and_add(&lost_processes, 1);
		return;
	}
	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_PROCESS, bpf_ktime_get_ns(), lost_processes);
	r->op = op;
	r->pid = task->tgid;
	r->parent = parent;
	r->exit_code = op == MP_PROCESS_EXIT ? task->exit_code : 0;
	bpf_probe_read_kernel(r->comm, sizeof(r->comm), task->comm);
	bpf_ringbuf_submit(r, 0);
}

static __always_inline bool mp_wanted_by_comm(const struct task_struct *task)
{
	struct mp_comm_key key = {};

	if (!cfg.want_comm)
		return false;
	bpf_probe_read_kernel_str(key.comm, sizeof(key.comm), task->comm);
	return bpf_map_lookup_elem(&wanted_comm, &key);
}

static __always_inline bool mp_wanted_by_exe(const struct task_struct *task)
{
	struct mp_exe_key key = {};
	const struct inode *inode;

	if (!cfg.want_exe || !task->mm || !task->mm->exe_file)
		return false;
	inode = task->mm->exe_file->f_inode;
	key.dev = inode->i_sb->s_dev;
	key.ino = inode->i_ino;
	return bpf_map_lookup_elem(&wanted_exe, &key);
}

static __always_inline bool mp_wanted_by_cgroup(const struct task_struct *task)
{
	const struct cgroup_subsys_state *css;

	if (!cfg.want_cgroup || !bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return false;
	css = task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
	for (int depth = 0; depth < MP_CGROUP_DEPTH && css; depth++) {
		u64 id = BPF_CORE_READ(css, cgroup, kn, id);

		if (bpf_map_lookup_elem(&wanted_cgroup, &id))
			return true;
		css = BPF_CORE_READ(css, parent);
	}
	return false;
}

static __always_inline bool mp_wanted(const struct task_struct *task)
{
	return mp_wanted_by_comm(task) || mp_wanted_by_exe(task) || mp_wanted_by_cgroup(task);
}

static __always_inline void mp_watch(const struct task_struct *task, u32 op, u32 parent)
{
	struct mp_target target = {
		.flags = cfg.follow ? MP_TARGET_FOLLOW : 0,
		.exec_id = (u32)task->self_exec_id,
	};
	u32 tgid = task->tgid;

	if (tgid == cfg.self)
		return;
	if (bpf_map_update_elem(&targets, &tgid, &target, BPF_ANY)) {
		__sync_fetch_and_add(&lost_processes, 1);
		return;
	}
	mp_tell(op, task, parent);
}

/*
 * The kernel runs a tracing program once at a time on each CPU. Since 7.0 a task
 * can be preempted in one, at a tracepoint, and what other tasks come by with on that
 * CPU until it goes on is missed. So a new process is taken where the kernel
 * holds a lock, and what has no such place has two programs, of which the second
 * does what the first did not get to do. Should both miss it, user space finds
 * out (monitor/reconcile.c): the kernel counts the times.
 */
static __always_inline int mp_on_fork(const struct task_struct *parent,
				      const struct task_struct *child)
{
	u32 tgid = parent->tgid;
	const struct mp_target *target;

	if (child->tgid == parent->tgid)
		return 0; /* a thread */
	target = bpf_map_lookup_elem(&targets, &tgid);
	if ((target && target->flags & MP_TARGET_FOLLOW) || mp_wanted(child))
		mp_watch(child, MP_PROCESS_FORK, tgid);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(mp_fork, struct task_struct *parent, struct task_struct *child)
{
	return mp_on_fork(parent, child);
}

/*
 * With interrupts off and a run queue locked, just before the child can run. For kernels
 * that take memory for a map's elements from stocks (6.1): no allocator is called here.
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(mp_new_task, struct task_struct *child)
{
	return mp_on_fork(bpf_get_current_task_btf(), child);
}

static __always_inline int mp_on_exec(struct task_struct *task)
{
	struct mp_thread *t = bpf_task_storage_get(&threads, task, NULL, 0);
	u32 exec_id = (u32)task->self_exec_id;
	u32 tgid = task->tgid;
	struct mp_target *target = bpf_map_lookup_elem(&targets, &tgid);

	if (t)
		mp_forget_calls(t);
	if (!target) {
		if (mp_wanted(task))
			mp_watch(task, MP_PROCESS_EXEC, 0);
	} else if (target->exec_id != exec_id) {
		target->exec_id = exec_id;
		mp_tell(MP_PROCESS_EXEC, task, 0);
	}
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(mp_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	return mp_on_exec(task);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(mp_exec_again, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	return mp_on_exec(task);
}

static __always_inline int mp_on_exit(struct task_struct *task)
{
	u32 exec_id = (u32)task->self_exec_id;
	u32 tgid = task->tgid;
	const struct mp_target *target;
	u32 told;

	if (task->signal->live.counter != 0)
		return 0;
	if (cfg.gate)
		bpf_map_delete_elem(&gated, &tgid);
	target = bpf_map_lookup_elem(&targets, &tgid);
	if (!target)
		return 0;
	told = target->exec_id;
	bpf_map_delete_elem(&targets, &tgid);
	if (told != exec_id && told != MP_EXEC_UNKNOWN)
		mp_tell(MP_PROCESS_EXEC, task, 0);
	mp_tell(MP_PROCESS_EXIT, task, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(mp_exit, struct task_struct *task)
{
	return mp_on_exit(task);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(mp_exit_again, struct task_struct *task)
{
	return mp_on_exit(task);
}

/* A process that is moved into a wanted group becomes a target then. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(mp_cgroup_attach, struct cgroup *dst, const char *path, struct task_struct *task)
{
	u32 tgid = task->tgid;

	if (!bpf_map_lookup_elem(&targets, &tgid) && mp_wanted_by_cgroup(task))
		mp_watch(task, MP_PROCESS_EXEC, 0);
	return 0;
}
