// SPDX-License-Identifier: GPL-2.0-only
/* What was decided, as a sentence with the numbers that led to it. */
#include <stdio.h>

#include "base/level.h"
#include "policy/private.h"

#define NS_PER_SEC 1e9

static void usage_reason(const struct mp_policy *policy, const struct mp_view *v, char *out,
			 size_t size)
{
	const char *name = mp_severity_name(v->severity);
	double enter = policy->threshold_pct[v->severity];
	double pct = v->usage_pct;

	if (v->severity == MP_SEVERITY_NORMAL)
		snprintf(out, size, "working set %.1f %% of the limit, recovered from %s", pct,
			 mp_severity_name(v->previous));
	else if (v->severity < v->previous)
		snprintf(out, size, "working set %.1f %% of the limit, down from %s to %s", pct,
			 mp_severity_name(v->previous), name);
	else if (v->severity > v->previous)
		snprintf(out, size, "working set %.1f %% of the limit, above %s (%g %%)", pct, name,
			 enter);
	else if (pct >= enter)
		snprintf(out, size, "working set %.1f %% of the limit, still above %s (%g %%)", pct,
			 name, enter);
	else
		snprintf(out, size, "working set %.1f %% of the limit, %s until below %g %%", pct,
			 name, mp_policy_leave_pct(policy, v->severity));
}

/* "raised to gc", "still gc", "down from critical to gc" */
static void stall_outcome(const struct mp_view *v, char *out, size_t size)
{
	const char *name = mp_severity_name(v->severity);

	if (v->severity > v->previous)
		snprintf(out, size, "raised to %s", name);
	else if (v->severity == v->previous)
		snprintf(out, size, "still %s", name);
	else
		snprintf(out, size, "down from %s to %s", mp_severity_name(v->previous), name);
}

static void stall_reason(const struct mp_policy *policy, const struct mp_view *v, char *out,
			 size_t size)
{
	bool full = mp_policy_stalled(v->full_pct, policy->full_pct);
	char outcome[48];

	stall_outcome(v, outcome, sizeof(outcome));
	snprintf(out, size,
		 "working set %.1f %% of the limit; %s stalled %.3g %% of the last %.2g s "
		 "(%s >= %g %%): %s",
		 v->usage_pct, full ? "all tasks" : "tasks", full ? v->full_pct : v->some_pct,
		 (double)v->stall_window_ns / NS_PER_SEC, full ? "full" : "some",
		 full ? policy->full_pct : policy->some_pct, outcome);
}

void mp_reason_write(const struct mp_policy *policy, const struct mp_view *view, char *out,
		     size_t size)
{
	if (view->severity > view->usage)
		stall_reason(policy, view, out, size);
	else
		usage_reason(policy, view, out, size);
}

void mp_reason_gate(const struct mp_policy *policy, double usage_pct, double after_pct, char *out,
		    size_t size)
{
	double critical = policy->threshold_pct[MP_SEVERITY_CRITICAL];

	if (after_pct >= critical)
		snprintf(out, size,
			 "this call would bring the working set from %.1f to %.1f %% of the limit, "
			 "above critical (%g %%)",
			 usage_pct, after_pct, critical);
	else if (usage_pct >= 0)
		snprintf(out, size,
			 "the kernel side found this call above critical (%g %%); the working set "
			 "is now %.1f %% of the limit",
			 critical, usage_pct);
	else
		snprintf(out, size,
			 "the kernel side found this call above critical (%g %%); the working set "
			 "is not known",
			 critical);
}
