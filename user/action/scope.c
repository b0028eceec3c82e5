// SPDX-License-Identifier: GPL-2.0-only
#include "action/scope.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

#define MAX_MEMINFO (64U << 10)

void mp_pids_free(struct mp_pids *pids)
{
	free(pids->pids);
	*pids = (struct mp_pids){0};
}

bool mp_scope_holds(const char *group, const char *cgroup)
{
	return !group || mp_cgroup_is_in(cgroup, group);
}

static int add_pid(void *data, pid_t pid)
{
	struct mp_pids *pids = data;
	int err = MP_RESERVE_ONE(pids->pids, pids->n, pids->cap);

	if (!err)
		pids->pids[pids->n++] = pid;
	return err;
}

static bool is_member(const struct mp_actions *actions, const char *domain, pid_t pid)
{
	MP_FREE char *cgroup = NULL;

	if (!domain)
		return true;
	return mp_cgroup_of_pid(actions->o.cgroups, pid, &cgroup) == 0 &&
	       mp_scope_holds(domain, cgroup);
}

/* The monitor's list is copied before anything is read of a process: it may be locked meanwhile. */
int mp_scope_members(const struct mp_actions *actions, const struct mp_job *job,
		     struct mp_pids *ret)
{
	const struct mp_action_host *host = &actions->o.host;
	struct mp_pids MP_PIDS all = {0};
	size_t kept = 0;
	int err = host->for_each_target ? host->for_each_target(host->data, add_pid, &all) : 0;

	if (err)
		return err;
	for (size_t i = 0; i < all.n; i++) {
		if (is_member(actions, mp_job_domain(job), all.pids[i]))
			all.pids[kept++] = all.pids[i];
	}
	ret->pids = MP_TAKE(all.pids);
	ret->n = kept;
	ret->cap = all.cap;
	return 0;
}

bool mp_scope_wanted(const struct mp_policy *policy, enum mp_severity severity,
		     const struct mp_domain_sample *sample, uint64_t *ret)
{
	double left_pct = policy->threshold_pct[severity] - policy->hysteresis_pct;
	uint64_t goal;

	if (!sample->limit || sample->limit == MP_UNKNOWN || sample->working_set == MP_UNKNOWN)
		return false;
	if (severity == MP_SEVERITY_NORMAL) {
		*ret = 0;
		return true;
	}
	goal = (uint64_t)((double)sample->limit * left_pct / 100);
	/* A severity is left below its value, not at it. */
	*ret = sample->working_set < goal ? 0 : sample->working_set - goal + 1;
	return true;
}

bool mp_scope_stopping(const struct mp_actions *actions)
{
	return actions->workers && mp_workers_stopping(actions->workers);
}

bool mp_scope_has_swap(const struct mp_actions *actions)
{
	MP_FREE char *text = NULL;
	uint64_t free_bytes;

	if (mp_read_file_at(&actions->o.cgroups->fs, MAX_MEMINFO, &text, NULL, "/proc/meminfo") ||
	    mp_meminfo_field(text, "SwapFree", &free_bytes))
		return false;
	return free_bytes > 0;
}
