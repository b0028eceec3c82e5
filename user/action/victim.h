/* SPDX-License-Identifier: GPL-2.0-only */
/* Which process an action takes that is about a domain as a whole. Private to action/. */
#ifndef MP_ACTION_VICTIM_H
#define MP_ACTION_VICTIM_H

#include "action/report.h"
#include "action/safety.h"

/* A suspect, weighed. */
struct mp_victim {
	struct mp_suspect who; /* its cgroup is not kept: nothing to free */
	uint64_t memory_bytes; /* resident, swapped, page tables: what the kernel counts */
	char state;
	bool is_ending;	       /* killed already, or without memory */
	const char *objection; /* of mp_safety_objection(); NULL: it may be killed */
};

/* From /proc and the policy. -ESRCH when it is gone. */
int mp_victim_read(const struct mp_actions *actions, pid_t pid, struct mp_victim *ret);

/*
 * The kernel's badness (oom_badness() in mm/oom_kill.c), bytes: memory and
 * oom_score_adj thousandths of `total_bytes`, which is the domain's limit. (/proc/PID/oom_score
 * is the same on the scale of the host's memory, where small groups are all alike.) Pure.
 */
int64_t mp_victim_badness(const struct mp_victim *victim, uint64_t total_bytes);

/*
 * The worst that may be killed; of equals the one with more memory, then the younger.
 * NULL: none. Pure.
 */
const struct mp_victim *mp_victim_choose(const struct mp_victim *victims, size_t n,
					 uint64_t total_bytes);

/*
 * The worst target of the job's domain that may be touched, or -ENOENT, said in the
 * job. With `patient`, -EBUSY while another still gives its memory back: that may be enough.
 */
struct mp_job;
int mp_victim_pick(const struct mp_actions *actions, struct mp_job *job, bool patient,
		   struct mp_victim *ret);

#endif
