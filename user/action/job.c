// SPDX-License-Identifier: GPL-2.0-only
/* What a job knows of its cause, and what it finds out about its domain. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "action/report.h"
#include "action/work.h"
#include "base/clock.h"
#include "base/text.h"
#include "cgroup/control.h"
#include "policy/policy.h"
#include "target/target.h"

#define STALL_WINDOW_NS 20000000L
#define PSI_OF_HOST "/proc/pressure/memory"

static int copy_string(char *to, size_t size, const char *from, bool *ret_has)
{
	size_t len = from ? strlen(from) : 0;

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, from ? from : "", len + 1);
	if (ret_has)
		*ret_has = from != NULL;
	return 0;
}

static int copy_names(struct mp_job *job, const struct mp_action_request *request)
{
	const struct mp_event_decision *decision = request->decision;
	int err = copy_string(job->name, sizeof(job->name), request->name, NULL);

	if (!err)
		err = copy_string(job->cgroup, sizeof(job->cgroup), decision->cgroup,
				  &job->has_cgroup);
	if (!err)
		err = copy_string(job->domain, sizeof(job->domain), decision->limit_cgroup,
				  &job->has_domain);
	/* It is only shown. */
	snprintf(job->point, sizeof(job->point), "%s", decision->point ? decision->point : "");
	return err;
}

static uint64_t start_time_of(const struct mp_cgroups *cg, pid_t pid)
{
	struct mp_process process;

	if (!cg || pid <= 0 || mp_process_read(&cg->fs, pid, &process))
		return 0;
	return process.start_time;
}

int mp_job_init(struct mp_job *job, const struct mp_cgroups *cg, const struct mp_action_ops *ops,
		const struct mp_action_request *request)
{
	const struct mp_event_decision *decision = request->decision;

	*job = (struct mp_job){
		.ops = ops,
		.pid = (pid_t)decision->pid,
		.start_time = start_time_of(cg, (pid_t)decision->pid),
		.severity = decision->severity,
		.ts_ns = request->cause->ts_ns,
		.realtime_ns = request->cause->realtime_ns,
		.result = MP_RESULT_FAILED,
		.some_before_pct = decision->some_pct,
		.full_before_pct = decision->full_pct,
		.some_after_pct = -1,
		.undo = -1,
	};
	return copy_names(job, request);
}

static void MP_PRINTF(2, 0) set_detail(struct mp_job *job, const char *fmt, va_list ap)
{
	char raw[MP_JOB_DETAIL];

	vsnprintf(raw, sizeof(raw), fmt, ap);
	mp_text_clean(raw, job->detail, sizeof(job->detail));
}

void mp_job_detail(struct mp_job *job, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_detail(job, fmt, ap);
	va_end(ap);
}

void mp_job_end(struct mp_job *job, enum mp_action_result result, const char *fmt, ...)
{
	va_list ap;

	job->result = result;
	va_start(ap, fmt);
	set_detail(job, fmt, ap);
	va_end(ap);
}

const char *mp_job_domain(const struct mp_job *job)
{
	return job->has_domain ? job->domain : NULL;
}

static void sample(const struct mp_cgroups *cg, const struct mp_job *job,
		   struct mp_domain_sample *ret)
{
	if (!cg || mp_domain_sample(cg, mp_job_domain(job), ret))
		*ret = (struct mp_domain_sample){.usage_pct = -1};
}

bool mp_stall_read(const struct mp_cgroups *cg, const char *domain, struct mp_psi_totals *ret)
{
	char path[PATH_MAX];
	int err;

	if (!cg)
		return false;
	if (domain)
		err = mp_cgroup_psi_path(cg, domain, path);
	else
		err = mp_fsroot_path(&cg->fs, path, PSI_OF_HOST);
	return !err && mp_psi_totals_read(path, ret) == 0;
}

void mp_job_sample_before(struct mp_actions *actions, struct mp_job *job)
{
	sample(actions->o.cgroups, job, &job->before);
}

void mp_job_sample_after(struct mp_actions *actions, struct mp_job *job)
{
	const struct timespec window = {.tv_nsec = STALL_WINDOW_NS};
	const char *domain = mp_job_domain(job);
	struct mp_psi_totals begin;
	struct mp_psi_totals end;
	struct mp_psi_share share;
	uint64_t begin_ns;

	job->ended_ns = mp_clock_now_ns();
	sample(actions->o.cgroups, job, &job->after);
	if (!mp_stall_read(actions->o.cgroups, domain, &begin))
		return;
	begin_ns = mp_clock_now_ns();
	nanosleep(&window, NULL);
	if (mp_stall_read(actions->o.cgroups, domain, &end) &&
	    mp_psi_between(&begin, begin_ns, &end, mp_clock_now_ns(), &share))
		job->some_after_pct = share.some_pct;
}

bool mp_job_still_over(struct mp_actions *actions, struct mp_job *job)
{
	const struct mp_policy *policy = actions->o.policy;
	enum mp_severity severity;

	mp_job_sample_before(actions, job);
	if (job->before.usage_pct < 0)
		return false;
	severity = mp_policy_severity(policy, job->severity, job->before.usage_pct);
	return mp_policy_raise(policy, severity, job->some_before_pct, job->full_before_pct) >=
	       job->severity;
}
