// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forks and ends that the kernel side did not see: its programs were left out while a task
 * was preempted in one, or their ring or map was full. It counts the times; only when
 * there are new ones, /proc is looked through. An exec is made up for by the kernel side itself.
 */
#include <errno.h>
#include <time.h>

#include "base/array.h"
#include "monitor/private.h"

/* What /proc tells a process's start in. */
static uint64_t ticks_since_boot(void)
{
	const uint64_t ticks_per_sec = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * ticks_per_sec +
	       (uint64_t)now.tv_nsec / (1000000000ULL / ticks_per_sec);
}

void mp_monitor_reconcile_from_now(struct mp_monitor *m)
{
	m->followed_since = ticks_since_boot();
}

static void tell(struct mp_monitor *m, enum mp_process_op op, const struct mp_process *process)
{
	struct mp_event event = {.type = MP_EVENT_PROCESS};

	event.process = (struct mp_event_process){
		.op = op,
		.pid = (uint32_t)process->pid,
		.parent = op == MP_PROCESS_FORK ? (uint32_t)process->parent : 0,
		.exit_code = MP_EXIT_STATUS_UNKNOWN,
		.comm = process->comm[0] ? process->comm : NULL,
	};
	mp_monitor_take_process(m, &event);
}

/* --- who should be under watch -------------------------------------------------------- */

struct adopting {
	struct mp_monitor *m;
	size_t n; /* of this round */
};

/* The kernel side may have seen its end while it was looked at. */
static bool is_still_there(const struct mp_monitor *m, const struct mp_process *process)
{
	struct mp_process now;

	return mp_process_read(&m->fs, process->pid, &now) == 0 && !now.is_exiting &&
	       now.start_time == process->start_time;
}

static void adopt(struct adopting *a, enum mp_process_op op, const struct mp_process *process)
{
	if (mp_bpf_add_target(a->m->bpf, process->pid, a->m->o->follow) <= 0)
		return;
	/* From here on it sees that, or comes too late and finds nothing to forget. */
	if (!is_still_there(a->m, process)) {
		mp_bpf_remove_target(a->m->bpf, process->pid);
		return;
	}
	a->n++;
	tell(a->m, op, process);
}

static int adopt_match(void *data, const struct mp_process *process)
{
	adopt(data, MP_PROCESS_EXEC, process);
	return 0;
}

/* A child from before the watch began is followed by nobody. */
static int adopt_child(void *data, const struct mp_process *process)
{
	struct adopting *a = data;

	if (process->start_time >= a->m->followed_since &&
	    mp_bpf_is_target(a->m->bpf, process->parent))
		adopt(a, MP_PROCESS_FORK, process);
	return 0;
}

/* /proc is in order of pids, which is not always that of generations. */
static void adopt_children(struct mp_monitor *m)
{
	struct adopting a = {.m = m};

	do {
		a.n = 0;
		mp_process_scan(&m->cgroups, adopt_child, &a);
	} while (a.n);
}

static void adopt_strays(struct mp_monitor *m)
{
	struct adopting a = {.m = m};

	for (size_t i = 0; i < m->o->n_targets; i++) {
		if (m->o->targets[i].kind != MP_TARGET_PID)
			mp_target_scan(&m->o->targets[i], &m->cgroups, adopt_match, &a);
	}
	if (m->o->follow)
		adopt_children(m);
}

/* --- who has ended ---------------------------------------------------------------------- */

struct gone {
	const struct mp_monitor *m;
	pid_t *pids;
	size_t n;
	size_t cap;
};

static int note_if_gone(void *data, pid_t pid)
{
	struct gone *gone = data;
	struct mp_process process;

	if (mp_process_read(&gone->m->fs, pid, &process) != -ESRCH)
		return 0;
	if (MP_RESERVE_ONE(gone->pids, gone->n, gone->cap))
		return -ENOMEM;
	gone->pids[gone->n++] = pid;
	return 0;
}

void mp_monitor_forget_ended(struct mp_monitor *m, pid_t pid)
{
	const struct mp_process process = {.pid = pid};

	/* The kernel side forgets a process before it is seen to have ended: this one it missed. */
	if (!mp_bpf_is_target(m->bpf, pid))
		return;
	mp_bpf_remove_target(m->bpf, pid);
	if (m->features.process_tracking)
		tell(m, MP_PROCESS_EXIT, &process);
}

static void forget_gone(struct mp_monitor *m)
{
	struct gone gone = {.m = m};

	mp_bpf_for_each_target(m->bpf, note_if_gone, &gone);
	for (size_t i = 0; i < gone.n; i++)
		mp_monitor_forget_ended(m, gone.pids[i]);
	free(gone.pids);
}

void mp_monitor_reconcile(struct mp_monitor *m)
{
	uint64_t missed = mp_bpf_missed_processes(m->bpf) + mp_bpf_lost_processes(m->bpf);

	if (missed == m->missed_seen)
		return;
	m->missed_seen = missed;
	adopt_strays(m);
	forget_gone(m);
	/* An exec may be among what was missed: all of them are looked at again. */
	mp_monitor_mark_dirty(m, 0);
}
