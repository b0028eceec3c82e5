// SPDX-License-Identifier: GPL-2.0-only
#include "action/victim.h"

#include <errno.h>
#include <string.h>

#include "action/scope.h"
#include "action/status.h"
#include "base/cleanup.h"

int64_t mp_victim_badness(const struct mp_victim *victim, uint64_t total_bytes)
{
	/* Divided first: a thousandth of all memory times an adj stays far from overflowing. */
	return (int64_t)victim->memory_bytes +
	       victim->who.oom_score_adj * (int64_t)(total_bytes / 1000);
}

static bool is_worse(const struct mp_victim *a, const struct mp_victim *b, uint64_t total_bytes)
{
	int64_t badness_a = mp_victim_badness(a, total_bytes);
	int64_t badness_b = mp_victim_badness(b, total_bytes);

	if (badness_a != badness_b)
		return badness_a > badness_b;
	if (a->memory_bytes != b->memory_bytes)
		return a->memory_bytes > b->memory_bytes;
	return a->who.start_time > b->who.start_time;
}

const struct mp_victim *mp_victim_choose(const struct mp_victim *victims, size_t n,
					 uint64_t total_bytes)
{
	const struct mp_victim *worst = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct mp_victim *v = &victims[i];

		if (v->objection || v->is_ending)
			continue;
		if (!worst || is_worse(v, worst, total_bytes))
			worst = v;
	}
	return worst;
}

int mp_victim_read(const struct mp_actions *actions, pid_t pid, struct mp_victim *ret)
{
	struct mp_victim victim = {0};
	struct mp_status status;
	int err = mp_status_read(&actions->o.cgroups->fs, pid, &status);

	if (!err)
		err = mp_suspect_read(actions->o.cgroups, pid, &victim.who);
	if (err)
		return err;
	victim.memory_bytes = status.rss + status.swap + status.page_tables;
	victim.state = status.state;
	victim.is_ending = status.kill_pending || !status.has_memory;
	victim.objection =
		mp_safety_objection(actions->o.policy, &victim.who, getpid(), actions->o.guardian);
	mp_suspect_free(&victim.who);
	*ret = victim;
	return 0;
}

static uint64_t domain_total(const struct mp_actions *actions, const struct mp_job *job)
{
	uint64_t total;
	uint64_t available;

	if (job->before.limit && job->before.limit != MP_UNKNOWN)
		return job->before.limit;
	if (mp_host_memory(&actions->o.cgroups->fs, &total, &available))
		return 0;
	return total;
}

static void victims_free(struct mp_victim **victims)
{
	free(*victims);
}

static bool one_is_ending(const struct mp_victim *victims, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (victims[i].is_ending && victims[i].memory_bytes)
			return true;
	}
	return false;
}

/* With what speaks for the largest of them. */
static void tell_why_none(struct mp_job *job, const struct mp_victim *victims, size_t n)
{
	const struct mp_victim *largest = NULL;

	for (size_t i = 0; i < n; i++) {
		if (victims[i].objection &&
		    (!largest || victims[i].memory_bytes > largest->memory_bytes))
			largest = &victims[i];
	}
	if (largest)
		mp_job_end(job, MP_RESULT_SKIPPED,
			   "no target of the domain may be touched; %s[%d]: %s", largest->who.comm,
			   (int)largest->who.pid, largest->objection);
	else
		mp_job_end(job, MP_RESULT_SKIPPED, "no target of the domain may be touched");
}

int mp_victim_pick(const struct mp_actions *actions, struct mp_job *job, bool patient,
		   struct mp_victim *ret)
{
	struct mp_pids MP_PIDS members = {0};
	MP_CLEANUP(victims_free) struct mp_victim *victims = NULL;
	const struct mp_victim *chosen;
	size_t n = 0;
	int err = mp_scope_members(actions, job, &members);

	if (err)
		return err;
	victims = calloc(members.n + 1, sizeof(*victims));
	if (!victims)
		return -ENOMEM;
	for (size_t i = 0; i < members.n; i++)
		n += mp_victim_read(actions, members.pids[i], &victims[n]) == 0;
	if (patient && one_is_ending(victims, n))
		return -EBUSY;
	chosen = mp_victim_choose(victims, n, domain_total(actions, job));
	if (!chosen) {
		tell_why_none(job, victims, n);
		return -ENOENT;
	}
	*ret = *chosen;
	return 0;
}
