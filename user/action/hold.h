/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is held until there is room again: a gated process, a frozen group, a
 * lowered memory.high. Every hold has a deadline, and an entry in the undo
 * journal from before it begins. Private to action/.
 */
#ifndef MP_ACTION_HOLD_H
#define MP_ACTION_HOLD_H

#include "action/work.h"
#include "cgroup/control.h"

#define MP_HOLDS 64
#define MP_HOLD_TICK_NS 20000000ULL /* how often held domains are looked at */

struct mp_hold;
struct mp_holds;

struct mp_hold_ops {
	const char *action;
	const char *released; /* "let go", "thawed": begins the detail when it ends */
	bool of_process;      /* ends with the process that it is on account of */
	/* Ends the hold on the system: SIGCONT, thaw, memory.high. -ESRCH, -ENOENT: it is gone. */
	int (*release)(struct mp_actions *actions, struct mp_hold *hold, uint64_t now_ns);
};

struct mp_hold {
	const struct mp_hold_ops *ops; /* NULL: free */
	struct mp_job job; /* whose result is reported when the hold ends; has undo and room_pct */
	uint64_t since_ns;
	uint64_t deadline_ns;
	bool has_stall; /* `stall` was read at `stall_ns` */
	struct mp_psi_totals stall;
	uint64_t stall_ns;
};

struct mp_holds *mp_holds_new(struct mp_actions *actions); /* NULL: see errno */
/* Lets everything go, since the monitor ends. */
void mp_holds_release_all(struct mp_holds *holds);
/* The same, and frees. */
void mp_holds_free(struct mp_holds *holds);
/*
 * Begins what `job` (copied) describes, until there is room in its domain or the deadline.
 * -ENOSPC when all are taken.
 */
int mp_holds_begin(struct mp_holds *holds, const struct mp_hold_ops *ops, const struct mp_job *job,
		   uint64_t since_ns, uint64_t deadline_ns);
/* Whether that action holds a process or, with pid 0, a domain (NULL: the host). */
bool mp_holds_has(const struct mp_holds *holds, const char *action, pid_t pid, const char *domain);
/*
 * For what is held by a control file: arms the journal and writes the file. On failure
 * nothing is left of it, and the job's result says why.
 */
int mp_hold_knob(struct mp_actions *actions, struct mp_job *job, const struct mp_cgroup_knob *knob);
/* The release of such a hold. */
int mp_hold_knob_release(struct mp_actions *actions, struct mp_hold *hold, uint64_t now_ns);

int mp_holds_fd(const struct mp_holds *holds); /* readable when it is time to tick */
/* Samples the held domains, lets go what has room or is at its deadline, and reports it. */
void mp_holds_tick(struct mp_holds *holds, uint64_t now_ns);
/* What is held on account of that process ends. */
void mp_holds_process_gone(struct mp_holds *holds, pid_t pid);

#endif
