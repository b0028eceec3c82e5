// SPDX-License-Identifier: GPL-2.0-only
/* The freezer stops every process of a group, and so what they take, until the group is thawed. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "action/hold.h"
#include "action/report.h"
#include "action/safety.h"
#include "action/victim.h"
#include "base/clock.h"
#include "base/size.h"

#define FREEZE_PATIENCE_NS 1000000000ULL
#define FREEZE_POLL_NS 2000000L

static const struct mp_hold_ops freeze_hold = {
	.action = "freeze",
	.released = "thawed",
	.of_process = true,
	.release = mp_hold_knob_release,
};

/* All of a group freeze or none: so one that must not be touched protects the others. */
struct census {
	struct mp_actions *actions;
	char objection[MP_JOB_DETAIL]; /* the first; empty: none */
};

static const char *objection_to(const struct mp_actions *actions, const struct mp_suspect *suspect)
{
	return mp_safety_objection(actions->o.policy, suspect, getpid(), actions->o.guardian);
}

static bool may_freeze(void *data, pid_t pid)
{
	struct census *census = data;
	struct mp_suspect suspect;
	const char *objection;
	int err = mp_suspect_read(census->actions->o.cgroups, pid, &suspect);

	if (err) {
		if (err != -ESRCH)
			snprintf(census->objection, sizeof(census->objection), "pid %d: %s",
				 (int)pid, strerror(-err));
		return err == -ESRCH;
	}
	objection = objection_to(census->actions, &suspect);
	/* A zombie is not in the way. */
	if (objection && !suspect.is_dead)
		snprintf(census->objection, sizeof(census->objection), "%s[%d]: %s", suspect.comm,
			 (int)pid, objection);
	mp_suspect_free(&suspect);
	return !objection || suspect.is_dead;
}

/* Whether the process of the decision is still that one, and may be touched. */
static bool check_process(struct mp_actions *actions, struct mp_job *job)
{
	struct mp_suspect suspect;
	const char *objection;
	bool same;
	int err;

	err = mp_suspect_read(actions->o.cgroups, job->pid, &suspect);
	if (err && err != -ESRCH) {
		mp_job_end(job, MP_RESULT_FAILED, "pid %d: %s", (int)job->pid, strerror(-err));
		return false;
	}
	same = !err && suspect.start_time == job->start_time;
	objection = same ? objection_to(actions, &suspect) : "it has ended already";
	if (objection)
		mp_job_end(job, MP_RESULT_SKIPPED, "%s", objection);
	if (!err)
		mp_suspect_free(&suspect);
	return !objection;
}

static int find_knob(struct mp_actions *actions, struct mp_job *job, struct mp_cgroup_knob *knob,
		     size_t *others)
{
	struct census census = {.actions = actions};
	int err = mp_cgroup_freeze_knob(actions->o.cgroups, job->pid, may_freeze, &census, knob,
					others);

	if (err == -EBUSY && census.objection[0])
		mp_job_end(job, MP_RESULT_SKIPPED, "its group holds %s", census.objection);
	else if (err == -EBUSY)
		mp_job_end(job, MP_RESULT_SKIPPED, "its group is the root, which cannot be frozen");
	else if (err == -EALREADY)
		mp_job_end(job, MP_RESULT_SKIPPED, "its group is frozen already");
	else if (err == -EOPNOTSUPP)
		mp_job_end(job, MP_RESULT_SKIPPED, "its group has no freezer");
	else if (err == -ESRCH)
		mp_job_end(job, MP_RESULT_SKIPPED, "it has ended already");
	else if (err)
		mp_job_end(job, MP_RESULT_FAILED, "freezer: %s", strerror(-err));
	return err;
}

/* One that is waiting for a disk freezes when that is over. */
static int wait_frozen(struct mp_actions *actions, const struct mp_cgroup_knob *knob)
{
	const struct timespec pause = {.tv_nsec = FREEZE_POLL_NS};
	uint64_t until_ns = mp_clock_now_ns() + FREEZE_PATIENCE_NS;

	for (;;) {
		int frozen = mp_cgroup_is_frozen(actions->o.cgroups, knob);

		if (frozen)
			return frozen > 0 ? 0 : frozen;
		if (mp_clock_now_ns() >= until_ns)
			return -ETIMEDOUT;
		if (mp_workers_stopping(actions->workers))
			return -ESHUTDOWN;
		nanosleep(&pause, NULL);
	}
}

static int freeze(struct mp_actions *actions, struct mp_job *job, const struct mp_cgroup_knob *knob)
{
	int err = mp_hold_knob(actions, job, knob);

	if (err)
		return err;
	err = wait_frozen(actions, knob);
	if (!err)
		return 0;
	mp_undo_run(actions->o.undo, job->undo);
	if (err == -ETIMEDOUT)
		mp_job_end(job, MP_RESULT_FAILED, "not frozen within 1 s, and thawed again");
	else
		mp_job_end(job, MP_RESULT_FAILED, "freezer: %s", strerror(-err));
	return err;
}

/* For a domain as a whole: the group of its worst process, as `kill` would choose it. */
static bool name_process(struct mp_actions *actions, struct mp_job *job)
{
	struct mp_victim worst;
	int err;

	if (job->pid)
		return true;
	err = mp_victim_pick(actions, job, false, &worst);
	if (err) {
		if (err != -ENOENT)
			mp_job_end(job, MP_RESULT_FAILED, "%s", strerror(-err));
		return false;
	}
	job->pid = worst.who.pid;
	job->start_time = worst.who.start_time;
	return true;
}

void mp_freeze_work(struct mp_actions *actions, struct mp_job *job)
{
	const struct mp_policy *policy = actions->o.policy;
	char most[MP_HUMAN_LEN];
	struct mp_cgroup_knob knob;
	size_t others;

	/* The limit is what processes are weighed against. */
	if (!job->pid)
		mp_job_sample_before(actions, job);
	if (!name_process(actions, job) || !check_process(actions, job) ||
	    find_knob(actions, job, &knob, &others))
		return;
	if (!mp_job_still_over(actions, job)) {
		mp_job_end(job, MP_RESULT_SKIPPED, "usage is below the threshold again");
		return;
	}
	if (freeze(actions, job, &knob))
		return;
	job->held = &freeze_hold;
	job->room_pct = policy->threshold_pct[MP_SEVERITY_GC];
	job->hold_max_ns = policy->freeze_max_ns;
	mp_job_end(job, MP_RESULT_DONE, "froze its group, %zu %s; at most %s", others + 1,
		   others ? "processes" : "process", mp_duration_format(job->hold_max_ns, most));
}
