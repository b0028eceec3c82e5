// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel side has stopped a process at the entry of a critical point, in the
 * instant of the call. What is left to do here is to let it go again.
 */
#include <errno.h>
#include <string.h>

#include "action/hold.h"
#include "action/report.h"
#include "base/clock.h"
#include "base/size.h"

#define ALL_HELD "let go at once: 64 are held already"
_Static_assert(MP_HOLDS == 64, "the number is in the text");

static int let_go(struct mp_actions *actions, const struct mp_job *job, uint64_t now_ns)
{
	const struct mp_action_host *host = &actions->o.host;

	/* Before SIGCONT, or the very next call would stop it again. */
	if (host->open_gate)
		host->open_gate(host->data, job->pid, now_ns + actions->o.policy->cooldown_ns);
	if (job->undo >= 0)
		return mp_undo_run(actions->o.undo, job->undo);
	return mp_undo_continue(job->pid, job->start_time);
}

static int release(struct mp_actions *actions, struct mp_hold *hold, uint64_t now_ns)
{
	return let_go(actions, &hold->job, now_ns);
}

static const struct mp_hold_ops gate_hold = {
	.action = "gate",
	.released = "let go",
	.of_process = true,
	.release = release,
};

/* Below which usage there is room for the call: for what it asks for, too, if that is known. */
static double room_pct(const struct mp_policy *policy, const struct mp_event_probe *probe)
{
	double critical = policy->threshold_pct[MP_SEVERITY_CRITICAL];
	double room = critical - policy->hysteresis_pct;
	double with_size;

	if (probe->size == MP_UNKNOWN || probe->limit == MP_UNKNOWN || probe->limit == 0)
		return room;
	with_size = critical - 100.0 * (double)probe->size / (double)probe->limit;
	return with_size < room ? with_size : room;
}

/* The guardian knows of it from the kernel side's map, too: without a slot it is still safe. */
static int arm(struct mp_actions *actions, const struct mp_job *job)
{
	const struct mp_undo_what what = {
		.kind = MP_UNDO_CONTINUE,
		.pid = job->pid,
		.start_time = job->start_time,
	};

	return actions->o.undo ? mp_undo_arm(actions->o.undo, &what) : -EOPNOTSUPP;
}

static uint64_t deadline_after_ns(const struct mp_actions *actions,
				  const struct mp_event_probe *probe)
{
	return probe->gate_deadline_ns == MP_UNKNOWN ? actions->o.policy->gate_deadline_ns
						     : probe->gate_deadline_ns;
}

static int hold_process(struct mp_actions *actions, const struct mp_action_request *request)
{
	const struct mp_event_probe *probe = &request->cause->probe;
	uint64_t after_ns = deadline_after_ns(actions, probe);
	char deadline[MP_HUMAN_LEN];
	struct mp_job job;
	int err = mp_job_init(&job, actions->o.cgroups, NULL, request);

	/* What follows is about a process that stands still already, so it must not be left so. */
	job.undo = arm(actions, &job);
	job.room_pct = room_pct(actions->o.policy, probe);
	mp_job_sample_before(actions, &job);
	if (!err)
		err = mp_holds_begin(actions->holds, &gate_hold, &job, request->cause->ts_ns,
				     request->cause->ts_ns + after_ns);
	if (err) {
		let_go(actions, &job, mp_clock_now_ns());
		mp_action_report_now(actions, request, MP_RESULT_FAILED,
				     err == -ENOSPC ? ALL_HELD : strerror(-err));
		return 0;
	}
	mp_duration_format(after_ns, deadline);
	mp_job_end(&job, MP_RESULT_DONE, "stopped before %s; deadline %s", job.point, deadline);
	mp_action_report_job(actions, &job, request->cause->ts_ns, MP_UNKNOWN);
	return 0;
}

int mp_gate_run(struct mp_actions *actions, const struct mp_action_request *request)
{
	enum mp_gate gate = MP_GATE_NONE;
	char detail[MP_JOB_DETAIL];

	if (request->cause->type == MP_EVENT_PROBE)
		gate = request->cause->probe.gate;
	if (gate == MP_GATE_HELD && actions->holds)
		return hold_process(actions, request);
	/* The return of a call, or pressure: there is nothing to stop before. */
	if (gate == MP_GATE_NONE)
		return 0;
	snprintf(detail, sizeof(detail), "it would be stopped before %s", request->decision->point);
	mp_action_report_now(actions, request, MP_RESULT_WOULD, detail);
	return 0;
}
