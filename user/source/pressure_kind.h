/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pressure.c asks of a source that wakes the loop: one file and one row in
 * its table each. A watch is one source on one domain.
 */
#ifndef MP_SOURCE_PRESSURE_KIND_H
#define MP_SOURCE_PRESSURE_KIND_H

#include "base/event.h"
#include "cgroup/cgroup.h"
#include "config/policy_file.h"
#include "source/psi.h"

#define MP_PRESSURE_MAX_FDS 4

struct mp_pressure_domain {
	struct mp_pressure_domain *next;
	struct mp_pressure *pressure;
	char *path;	    /* NULL: the host */
	bool gone;	    /* closed; freed when nobody can be looking at it */
	struct mp_psi *psi; /* NULL: the domain has none */
	uint64_t attentive_until_ns;
	struct mp_pressure_watch *watches; /* one a kind */
};

struct mp_pressure_watch {
	const struct mp_pressure_kind *kind; /* NULL: the domain does not have it */
	struct mp_pressure_domain *domain;
	int fds[MP_PRESSURE_MAX_FDS];
	size_t n_fds;
	size_t n_quiet;		      /* the first of them that the loop does not hear for now */
	struct mp_cgroup_events seen; /* at the last record */
};

struct mp_pressure_kind {
	enum mp_pressure_source source;
	bool is_urgent; /* its fds poll for EPOLLPRI */
	/* Opens fds; a negative errno where the domain has no such source. */
	int (*open)(struct mp_pressure_watch *watch, const struct mp_cgroups *cg,
		    const struct mp_policy *policy);
	/* Ends what belongs to the watch; may be called after an open that failed half-way. */
	void (*close)(struct mp_pressure_watch *watch);
	/*
	 * Takes off what has come. 1 with its figures in `event`, 0 when there is nothing
	 * to tell, -ENOENT when the group is gone, another errno when it is to be tried
	 * again in a while. `ret_quiet`: how many of the first fds to leave alone for a while,
	 * since they would tell the same again and again.
	 */
	int (*take)(struct mp_pressure_watch *watch, const struct mp_cgroups *cg, uint64_t now_ns,
		    struct mp_event_pressure *event, size_t *ret_quiet);
};

/* What the host's stalls are read from. */
#define MP_PRESSURE_HOST_PSI "/proc/pressure/memory"

extern const struct mp_pressure_kind mp_pressure_psi;
extern const struct mp_pressure_kind mp_pressure_memory_events;
extern const struct mp_pressure_kind mp_pressure_memcg_v1;

/* Shares since the reading before, into an event: 1, 0 when it is too early, or a negative errno.
 */
int mp_pressure_take_stall(struct mp_psi *psi, uint64_t now_ns, struct mp_event_pressure *event);

/* What was counted since the last record, into an event; true when anything was. */
bool mp_pressure_count(struct mp_pressure_watch *watch, const struct mp_cgroup_events *now,
		       struct mp_event_pressure *event);

/* Closes the watch's fds. */
void mp_pressure_close_fds(struct mp_pressure_watch *watch);

#endif
