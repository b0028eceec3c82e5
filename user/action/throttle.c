// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.high of the domain is lowered to its working set. What lies above is page
 * cache that nobody uses: it goes first, and at no one's cost. From there on who
 * wants another page has to reclaim one and is slowed down, while those that want
 * none go on as before. Nobody is killed by memory.high. Lower still would have
 * everyone pay for pages they are using; higher would let the growth go on.
 */
#include <errno.h>
#include <string.h>

#include "action/hold.h"
#include "action/report.h"
#include "base/size.h"

static const struct mp_hold_ops throttle_hold = {
	.action = "throttle",
	.released = "memory.high restored",
	.release = mp_hold_knob_release,
};

static uint64_t wanted_high(const struct mp_domain_sample *sample)
{
	return sample->working_set == MP_UNKNOWN ? sample->usage : sample->working_set;
}

/* Whether it lies below already: then it throttles already. */
static bool is_lower(const struct mp_cgroup_knob *knob, uint64_t high)
{
	uint64_t now;

	return mp_number_parse(knob->restore, UINT64_MAX, &now) == 0 && now <= high;
}

/* As with `run`, whose command is in the monitor's group: who is to let go must not be slowed down.
 */
static bool holds_monitor(const struct mp_actions *actions, const struct mp_job *job)
{
	MP_FREE char *own = NULL;

	return mp_cgroup_of_pid(actions->o.cgroups, getpid(), &own) == 0 &&
	       mp_cgroup_is_in(own, job->domain);
}

static int find_knob(struct mp_actions *actions, struct mp_job *job, struct mp_cgroup_knob *knob)
{
	uint64_t high = wanted_high(&job->before);
	int err;

	if (!job->has_domain) {
		mp_job_end(job, MP_RESULT_SKIPPED, "the host has no memory.high");
		return -EOPNOTSUPP;
	}
	if (holds_monitor(actions, job)) {
		mp_job_end(job, MP_RESULT_SKIPPED, "the monitor itself is in that group");
		return -EBUSY;
	}
	if (job->before.limit == 0 || high == MP_UNKNOWN) {
		mp_job_end(job, MP_RESULT_FAILED, "the usage of its group cannot be read");
		return -ENODATA;
	}
	err = mp_cgroup_high_knob(actions->o.cgroups, job->domain, high, knob);
	if (err == -EOPNOTSUPP)
		mp_job_end(job, MP_RESULT_SKIPPED, "its group has no memory.high: needs cgroup v2");
	else if (err)
		mp_job_end(job, MP_RESULT_FAILED, "memory.high: %s", strerror(-err));
	else if (is_lower(knob, high))
		mp_job_end(job, MP_RESULT_SKIPPED, "memory.high is at %s bytes already",
			   knob->restore);
	else
		return 0;
	return err ? err : -EALREADY;
}

void mp_throttle_work(struct mp_actions *actions, struct mp_job *job)
{
	const struct mp_policy *policy = actions->o.policy;
	char most[MP_HUMAN_LEN];
	char high[MP_HUMAN_LEN];
	struct mp_cgroup_knob knob;
	bool still_over;

	still_over = mp_job_still_over(actions, job);
	if (find_knob(actions, job, &knob))
		return;
	if (!still_over) {
		mp_job_end(job, MP_RESULT_SKIPPED, "usage is below the threshold again");
		return;
	}
	/* Returns when the kernel has reclaimed what lies above. */
	if (mp_hold_knob(actions, job, &knob))
		return;
	job->held = &throttle_hold;
	job->room_pct = policy->threshold_pct[MP_SEVERITY_GC] - policy->hysteresis_pct;
	job->hold_max_ns = policy->throttle_max_ns;
	mp_job_end(job, MP_RESULT_DONE, "memory.high lowered to %s, was %s; at most %s",
		   mp_size_format(wanted_high(&job->before), high), knob.restore,
		   mp_duration_format(job->hold_max_ns, most));
}
