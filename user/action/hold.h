/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is held until there is room again: a gated process, a frozen group, a
 * lowered memory.high. Every hold has a deadline, and an entry in the undo
 * journal from before it begins. Private to action/.
 */
#ifndef MP_ACTION_HOLD_H
#define MP_ACTION_HOLD_H

#include "action/work.h"

#define MP_HOLDS 64
#define MP_HOLD_TICK_NS 20000000ULL /* how often held domains are looked at */

struct mp_hold;
struct mp_holds;

struct mp_hold_ops {
	const char *action;
	/* Ends the hold on the system: SIGCONT, thaw, memory.high. */
	int (*release)(struct mp_actions *actions, struct mp_hold *hold, uint64_t now_ns);
};

struct mp_hold {
	const struct mp_hold_ops *ops; /* NULL: free */
	struct mp_job job;	       /* whose result is reported when the hold ends */
	int undo;		       /* slot in the journal; negative: none */
	uint64_t start_time;	       /* of the process, ticks */
	uint64_t since_ns;
	uint64_t deadline_ns;
	double room_pct; /* let go when usage of the domain is below */
};

struct mp_holds *mp_holds_new(struct mp_actions *actions); /* NULL: see errno */
/* Lets everything go. */
void mp_holds_free(struct mp_holds *holds);
/* A free one, zeroed; NULL when all are taken. It counts from when ops is set by mp_holds_begin().
 */
struct mp_hold *mp_holds_take(struct mp_holds *holds);
void mp_holds_begin(struct mp_holds *holds, struct mp_hold *hold, const struct mp_hold_ops *ops);
/* The hold of that action on a process or domain, or NULL. */
struct mp_hold *mp_holds_find(struct mp_holds *holds, const char *action, pid_t pid,
			      const char *domain);
int mp_holds_fd(const struct mp_holds *holds); /* a timer, armed while something is held */
/* Samples the held domains, lets go what has room or is at its deadline, and reports it. */
void mp_holds_tick(struct mp_holds *holds, uint64_t now_ns);
void mp_holds_process_gone(struct mp_holds *holds, pid_t pid);

#endif
