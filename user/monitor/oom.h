/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts an OOM kill's story together: the victim comes first, then the calls its
 * threads were inside of as they end, then its exit. One event comes out, with
 * what had been decided and done about the victim, and its group's events.
 */
#ifndef MP_MONITOR_OOM_H
#define MP_MONITOR_OOM_H

#include "base/event.h"
#include "cgroup/cgroup.h"

struct mp_oom;

/* Finished stories go to `emit`. */
struct mp_oom *mp_oom_new(const struct mp_cgroups *cgroups, mp_event_fn emit, void *data);
void mp_oom_free(struct mp_oom *oom);

/* Tells a group's memory.events, as mp_cgroup_read_events() does; without it they are unknown. */
typedef int (*mp_oom_events_fn)(const struct mp_cgroups *cgroups, const char *path,
				struct mp_cgroup_events *ret);
void mp_oom_read_events_by(struct mp_oom *oom, mp_oom_events_fn read_events);

/*
 * Every decision and action, as it is put out; other events are nothing to it.
 * The last ones are kept, and those go with a story that are not later than the
 * kill and about the victim itself, about a group that it was in (or below), or
 * about the host as a whole. Logging is left out: its decision is there.
 */
void mp_oom_note(struct mp_oom *oom, const struct mp_event *event);

/*
 * An oom event as decoded: a victim, or one call of it. `cgroup_id` is the
 * victim's, 0 when it is not known, and looked up when the event has no path. Victims that are no
 * targets are told at once.
 */
void mp_oom_add(struct mp_oom *oom, const struct mp_event *event, uint64_t cgroup_id);
/* How long after a process's exit the calls of its threads may still come. */
#define MP_OOM_SETTLE_NS 100000000ULL

/*
 * The process has ended. Its threads leave side by side: a call of one may be
 * reported after the exit of the last that was counted.
 */
void mp_oom_exit(struct mp_oom *oom, uint32_t pid, uint64_t now_ns);
/* Tells the stories that have settled, and those older than `age_ns`, whole or not; 0: all. */
void mp_oom_flush(struct mp_oom *oom, uint64_t now_ns, uint64_t age_ns);

#endif
