/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is remembered between events: severity, stall and incident of each limit
 * domain, and when each (process, level) was last acted on. Pure: time comes in with the events.
 * Bounded: of too many domains or processes the one longest untouched is
 * forgotten. What is returned lives until the next one of its kind is asked for.
 */
#ifndef MP_STATE_STATE_H
#define MP_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "state/stall.h"

struct mp_state;

struct mp_state *mp_state_new(void); /* NULL: no memory */
void mp_state_free(struct mp_state *state);

/* When something was last acted on. */
struct mp_cooldown_state {
	bool acted; /* false: never, and last_ns says nothing */
	uint64_t last_ns;
	enum mp_severity severity; /* highest acted at since the cooldown was last over */
};

/* One domain (key: path of the limiting group; NULL: the host). */
struct mp_domain_state {
	enum mp_severity severity;	 /* by usage and stall */
	enum mp_severity usage_severity; /* by usage alone, which its hysteresis goes by */
	uint64_t since_ns;		 /* when severity was entered */
	uint64_t called_ns;		 /* when usage and stall last called for it, or for more */
	/* Last stall that was told as a share, valid until stall_until_ns. */
	double some_pct; /* negative: not known */
	double full_pct;
	uint64_t stall_window_ns; /* that they are shares of */
	uint64_t stall_until_ns;
	struct mp_stall_sum reclaim; /* what was told as time stalled in reclaim */
	uint64_t incident;	     /* number of the one that goes on or was last; 0: none yet */
	uint64_t incident_ns;	     /* when something of it was last noticed */
	struct mp_cooldown_state cooldown; /* of decisions about the domain as a whole */
};
/* New domains start normal. NULL: no memory. */
struct mp_domain_state *mp_state_domain(struct mp_state *state, const char *cgroup);

/* A process, by the level of what was decided about it. NULL: no memory. */
struct mp_cooldown_state *mp_state_cooldown(struct mp_state *state, uint32_t pid,
					    enum mp_level level);

/* Forgets a process that is gone. */
void mp_state_forget(struct mp_state *state, uint32_t pid);

#endif
