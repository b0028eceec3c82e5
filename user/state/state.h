/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is remembered between events: the severity of each limit domain and
 * when each (process, level) was last acted on. Pure: time comes in with the events.
 * Bounded: of too many domains or processes the one longest untouched is
 * forgotten. What is returned lives until the next one of its kind is asked for.
 */
#ifndef MP_STATE_STATE_H
#define MP_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"

struct mp_state;

struct mp_state *mp_state_new(void); /* NULL: no memory */
void mp_state_free(struct mp_state *state);

/* One domain (key: path of the limiting group; NULL: the host). */
struct mp_domain_state {
	enum mp_severity severity;
	uint64_t since_ns; /* when it was entered */
	/* Last known stall, valid until stall_until_ns; negative: not known. */
	double some_pct;
	double full_pct;
	uint64_t stall_until_ns;
	uint64_t incident;    /* number of the one that goes on or was last; 0: none yet */
	uint64_t incident_ns; /* when something of it was last noticed */
	/* Decisions without a process: as struct mp_cooldown_state. */
	bool acted;
	enum mp_severity acted_severity;
	uint64_t acted_ns;
};
/* New domains start normal. NULL: no memory. */
struct mp_domain_state *mp_state_domain(struct mp_state *state, const char *cgroup);

/* When a process was last acted on for points of a level. */
struct mp_cooldown_state {
	bool acted; /* false: never, and last_ns says nothing */
	uint64_t last_ns;
	enum mp_severity severity; /* highest acted at since the cooldown was last over */
};
struct mp_cooldown_state *mp_state_cooldown(struct mp_state *state, uint32_t pid,
					    enum mp_level level);

/* Forgets a process that is gone. */
void mp_state_forget(struct mp_state *state, uint32_t pid);

#endif
