// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the kernel take memory of the domain back, until its severity is left:
 * memory.reclaim where there is one, else MADV_PAGEOUT on the targets' own memory.
 */
#include <errno.h>
#include <string.h>

#include "action/pageout.h"
#include "action/report.h"
#include "action/scope.h"
#include "base/clock.h"
#include "base/level.h"
#include "base/size.h"
#include "cgroup/control.h"

#define MAX_NS 5000000000ULL
#define MIN_STEP (1ULL << 20)
#define MAX_STEP (64ULL << 20) /* one write cannot be broken off */
#define MAX_FRUITLESS 2

struct effort {
	struct mp_actions *actions;
	struct mp_job *job;
	uint64_t deadline_ns;
	uint64_t asked_bytes;
	uint64_t usage; /* as last sampled */
	uint64_t wanted;
	int err;	 /* of the last sample */
	const char *why; /* it ended before the domain was below; NULL: it is */
	bool no_swap;	 /* so only pages of files could go */
};

/* Samples the domain. False at the end: it is below, or time is over, or it cannot be told. */
static bool wants_more(void *data)
{
	struct effort *e = data;
	const struct mp_actions *actions = e->actions;
	struct mp_domain_sample now;

	e->why = NULL;
	e->err = mp_domain_sample(actions->o.cgroups, mp_job_domain(e->job), &now);
	if (!e->err && !mp_scope_wanted(actions->o.policy, e->job->severity, &now, &e->wanted))
		e->err = -ENODATA;
	if (e->err)
		return false;
	e->usage = now.usage;
	if (!e->wanted)
		return false;
	if (mp_scope_stopping(actions))
		e->why = "stopped with the monitor";
	else if (mp_clock_now_ns() >= e->deadline_ns)
		e->why = "its time is over";
	return !e->why;
}

static uint64_t step_bytes(uint64_t wanted, uint64_t max)
{
	if (wanted > max)
		return max;
	return wanted < MIN_STEP ? MIN_STEP : wanted;
}

/*
 * EAGAIN means less than was asked for. That can be most of it, so that only a step
 * that brought less than a quarter counts as fruitless; the next ones are smaller.
 */
static int reclaim_group(struct effort *e, const char *group)
{
	uint64_t max = MAX_STEP;
	int fruitless = 0;

	while (wants_more(e)) {
		uint64_t step = step_bytes(e->wanted, max);
		uint64_t before = e->usage;
		int err = mp_cgroup_reclaim(e->actions->o.cgroups, group, step);

		if (err && err != -EAGAIN && err != -EINTR)
			return err;
		e->asked_bytes += step;
		if (err != -EAGAIN) {
			fruitless = 0;
			continue;
		}
		if (!wants_more(e))
			break;
		fruitless = e->usage + step / 4 > before ? fruitless + 1 : 0;
		if (fruitless == MAX_FRUITLESS) {
			e->why = "the kernel finds no more";
			break;
		}
		max = max / 2 < MIN_STEP ? MIN_STEP : max / 2;
	}
	return e->err;
}

static int members(const struct effort *e, struct mp_pids *ret)
{
	if (!e->job->pid)
		return mp_scope_members(e->actions, e->job, ret);
	ret->pids = malloc(sizeof(*ret->pids));
	if (!ret->pids)
		return -ENOMEM;
	ret->pids[ret->n++] = e->job->pid;
	return 0;
}

/* Processes that end meanwhile are no failure. */
static int page_out(struct effort *e)
{
	struct mp_pids MP_PIDS pids = {0};
	enum mp_pageout_kind kind;
	int err = members(e, &pids);

	e->no_swap = !mp_scope_has_swap(e->actions);
	kind = e->no_swap ? MP_PAGEOUT_FILE : MP_PAGEOUT_ANON;
	for (size_t i = 0; i < pids.n && !err && wants_more(e); i++) {
		err = mp_pageout_process(&e->actions->o.cgroups->fs, pids.pids[i], kind, wants_more,
					 e, &e->asked_bytes);
		if (err == -ESRCH)
			err = 0;
	}
	if (!err && wants_more(e))
		e->why = e->no_swap ? "there is no swap: nothing to page out"
				    : "the kernel finds no more";
	return err ? err : e->err;
}

/* The host as a whole is not the targets': there the group of the process is reclaimed from. */
static const char *group_of(const struct mp_job *job)
{
	const char *domain = mp_job_domain(job);

	if (domain)
		return domain;
	return job->has_cgroup && strcmp(job->cgroup, "/") != 0 ? job->cgroup : NULL;
}

static void finish(struct effort *e)
{
	struct mp_job *job = e->job;
	uint64_t freed;
	char asked[MP_HUMAN_LEN];

	mp_job_sample_after(e->actions, job);
	freed = job->after.usage < job->before.usage ? job->before.usage - job->after.usage : 0;
	mp_size_format(e->asked_bytes, asked);
	if (!e->why)
		mp_job_end(job, MP_RESULT_DONE, "asked for %s", asked);
	else if (e->no_swap && !freed)
		mp_job_end(job, MP_RESULT_SKIPPED, "%s", e->why);
	else
		mp_job_end(job, freed ? MP_RESULT_DONE : MP_RESULT_FAILED, "asked for %s: %s",
			   asked, e->why);
}

static void fail(struct mp_job *job, const char *what, int err)
{
	if (err == -ENODATA)
		mp_job_end(job, MP_RESULT_FAILED, "the domain's usage or limit is not known");
	else
		mp_job_end(job, MP_RESULT_FAILED, "%s: %s", what, strerror(-err));
}

void mp_reclaim_work(struct mp_actions *actions, struct mp_job *job)
{
	struct effort e = {
		.actions = actions,
		.job = job,
		.deadline_ns = mp_clock_now_ns() + MAX_NS,
	};
	const char *what = "memory.reclaim";
	const char *group = group_of(job);
	int err = -EOPNOTSUPP;

	mp_job_sample_before(actions, job);
	if (!wants_more(&e) && !e.err && !e.why) {
		mp_job_end(job, MP_RESULT_SKIPPED, "usage is below %s already",
			   mp_severity_name(job->severity));
		return;
	}
	if (group && !e.err)
		err = reclaim_group(&e, group);
	if (err == -EOPNOTSUPP && !e.err) {
		what = "process_madvise (needs CAP_SYS_NICE and CAP_SYS_PTRACE)";
		err = page_out(&e);
	}
	if (e.err)
		err = e.err;
	if (err)
		fail(job, what, err);
	else
		finish(&e);
}
