/* SPDX-License-Identifier: GPL-2.0-only */
/* What a job is about: which processes, and how much there is to gain. Private to action/. */
#ifndef MP_ACTION_SCOPE_H
#define MP_ACTION_SCOPE_H

#include "action/report.h"
#include "action/work.h"

struct mp_pids {
	pid_t *pids;
	size_t n;
	size_t cap;
};

void mp_pids_free(struct mp_pids *pids);
#define MP_PIDS MP_CLEANUP(mp_pids_free)

/*
 * The targets whose memory is charged to the job's domain: their memory cgroup is the
 * domain's or below it; all of them when the domain is the host. 0 or -ENOMEM.
 */
int mp_scope_members(const struct mp_actions *actions, const struct mp_job *job,
		     struct mp_pids *ret);

/* Whether a memory cgroup is `group` or lies below it; a NULL group is the host's memory. Pure. */
bool mp_scope_holds(const char *group, const char *cgroup);

/*
 * Bytes that the working set must lose for a severity to be left, 0 when it is
 * left already. False when usage or limit is not known. Pure.
 */
bool mp_scope_wanted(const struct mp_policy *policy, enum mp_severity severity,
		     const struct mp_domain_sample *sample, uint64_t *ret);

/* Whether a job should come to its end because the monitor does. */
bool mp_scope_stopping(const struct mp_actions *actions);

/* Whether something can still be swapped out. */
bool mp_scope_has_swap(const struct mp_actions *actions);

#endif
