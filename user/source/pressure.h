/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space can notice of memory pressure on a domain (a limiting group,
 * or the host), by whatever this system offers: PSI triggers, memory.events
 * (v2, by poll), memory.pressure_level and memory.oom_control (v1, by
 * eventfd), and as the last resort a look at usage by the clock. All become
 * pressure events. What the kernel side notices comes through the ring instead.
 */
#ifndef MP_SOURCE_PRESSURE_H
#define MP_SOURCE_PRESSURE_H

#include "base/event.h"
#include "base/loop.h"
#include "cgroup/cgroup.h"
#include "config/policy_file.h"

struct mp_pressure;

/*
 * Events go to `fn`, with usage, working set and limit of the domain sampled at
 * that moment, and the domain's path in `cgroup`. Nothing is watched until a domain is added.
 * `fn` may call mp_pressure_add() and mp_pressure_look(). A source that has told something
 * is left alone for 100 ms; only a higher level of memcg_v1 does not wait.
 */
struct mp_pressure *mp_pressure_new(struct mp_loop *loop, const struct mp_cgroups *cgroups,
				    const struct mp_policy *policy, mp_event_fn fn, void *data);
void mp_pressure_free(struct mp_pressure *pressure);

/*
 * Watches a domain; `path` NULL: the host. Known ones are no error. -ENOENT when the
 * group is gone. A group that goes away later is dropped by itself.
 */
int mp_pressure_add(struct mp_pressure *pressure, const char *path);

/*
 * The clock's part, called every check interval: samples every domain's usage
 * and stall. A domain at a severity above normal gives an event of source usage
 * (psi when stall alone is what is above), and goes on doing so until it was normal
 * for 5 s, or for the policy's dwell and window if these are longer: the policy holds
 * a severity for a while, and has to see the calm after it. A calm domain gives none.
 */
void mp_pressure_tick(struct mp_pressure *pressure, uint64_t now_ns);
/* The policy holds the domain to be above normal: it is looked at until it has been calm for a
 * while.
 */
void mp_pressure_attend(struct mp_pressure *pressure, const char *path, uint64_t now_ns);
/*
 * The same for one domain, at once and in any case: the look after an action, or
 * after something else has noticed pressure. The clock then reports it for a while as
 * above. A domain that is not watched gives nothing.
 */
void mp_pressure_look(struct mp_pressure *pressure, const char *path, uint64_t now_ns);

/* --- what this machine offers, for doctor and the start record ------------------- */

struct mp_pressure_support {
	bool psi;		/* /proc/pressure/memory */
	bool psi_trigger;	/* a trigger could be set on it … */
	uint64_t psi_window_ns; /* … with this window */
	bool psi_cgroup;	/* per group */
	bool memory_events;
	bool memcg_v1_events; /* pressure_level and oom_control */
	bool usage;
};
void mp_pressure_support_detect(const struct mp_cgroups *cgroups, const struct mp_policy *policy,
				struct mp_pressure_support *ret);

/* One row of what doctor shows. */
struct mp_pressure_row {
	const char *name;
	bool live;
	const char *meaning; /* when live */
	const char *without; /* what its absence costs */
};
#define MP_PRESSURE_ROWS 6
size_t mp_pressure_rows(const struct mp_pressure_support *support,
			struct mp_pressure_row rows[MP_PRESSURE_ROWS]);

#endif
