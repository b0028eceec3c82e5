// SPDX-License-Identifier: GPL-2.0-only
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>

#include "base/level.h"

struct change {
	enum mp_severity previous;
	enum mp_severity severity; /* may be the same */
};

/* Where a severity is left again, in percent. */
static double leave_pct(const struct mp_policy *policy, enum mp_severity severity)
{
	return policy->threshold_pct[severity] - policy->hysteresis_pct;
}

enum mp_severity mp_policy_severity(const struct mp_policy *policy, enum mp_severity previous,
				    double usage_pct)
{
	enum mp_severity severity = MP_SEVERITY_CRITICAL;

	if (usage_pct < 0)
		return MP_SEVERITY_NORMAL;
	while (severity > MP_SEVERITY_NORMAL) {
		double bound = severity > previous ? policy->threshold_pct[severity]
						   : leave_pct(policy, severity);

		if (usage_pct >= bound)
			break;
		severity--;
	}
	return severity;
}

/* Records of several CPUs can be slightly out of order: an earlier one counts as simultaneous. */
static uint64_t elapsed_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

/*
 * Whether a level may act on a process now; then it is noted as having acted.
 * Within the cooldown the highest severity is kept: swinging between two
 * severities does not make the upper one new each time.
 */
static int take_turn(const struct mp_policy *policy, struct mp_state *state,
		     const struct mp_event_probe *probe, const struct change *c, uint64_t ts_ns)
{
	struct mp_cooldown_state *cooldown = mp_state_cooldown(state, probe->pid, probe->level);
	bool fresh;

	if (!cooldown)
		return -ENOMEM;
	fresh = !cooldown->acted || c->severity > cooldown->severity ||
		elapsed_ns(cooldown->last_ns, ts_ns) >= policy->cooldown_ns;
	if (!fresh && c->severity == c->previous)
		return 0;
	if (fresh)
		cooldown->severity = c->severity;
	cooldown->acted = true;
	cooldown->last_ns = ts_ns;
	return 1;
}

static void describe(const struct mp_policy *policy, const struct mp_event_probe *probe,
		     const struct change *c, char *out, size_t size)
{
	const char *name = mp_severity_name(c->severity);
	double enter = policy->threshold_pct[c->severity];
	double pct = probe->usage_pct;

	if (c->severity == MP_SEVERITY_NORMAL)
		snprintf(out, size, "working set %.1f %% of the limit, recovered from %s", pct,
			 mp_severity_name(c->previous));
	else if (c->severity < c->previous)
		snprintf(out, size, "working set %.1f %% of the limit, down from %s to %s", pct,
			 mp_severity_name(c->previous), name);
	else if (c->severity > c->previous)
		snprintf(out, size, "working set %.1f %% of the limit, above %s (%g %%)", pct, name,
			 enter);
	else if (pct >= enter)
		snprintf(out, size, "working set %.1f %% of the limit, still above %s (%g %%)", pct,
			 name, enter);
	else
		snprintf(out, size, "working set %.1f %% of the limit, %s until below %g %%", pct,
			 name, leave_pct(policy, c->severity));
}

static void fill_decision(const struct mp_policy *policy, const struct mp_event_probe *probe,
			  const struct change *c, struct mp_decision *ret)
{
	*ret = (struct mp_decision){
		.event =
			{
				.severity = c->severity,
				.previous = c->previous,
				.level = probe->level,
				.point = probe->point,
				.pid = probe->pid,
				.cgroup = probe->cgroup,
				.reason = ret->reason,
				.usage_pct = probe->usage_pct,
				.working_set = probe->working_set,
				.limit = probe->limit,
			},
	};
	if (c->severity != MP_SEVERITY_NORMAL)
		ret->actions = &policy->on[probe->level][c->severity];
	describe(policy, probe, c, ret->reason, sizeof(ret->reason));
}

static int decide_probe(const struct mp_policy *policy, struct mp_state *state,
			const struct mp_event_probe *probe, uint64_t ts_ns, struct mp_decision *ret)
{
	struct mp_domain_state *domain = mp_state_domain(state, probe->cgroup);
	struct change c;
	int due;

	if (!domain)
		return -ENOMEM;
	c.previous = domain->severity;
	c.severity = mp_policy_severity(policy, c.previous, probe->usage_pct);
	/* A recovery is told once; it does not act, so it leaves the cooldown alone. */
	if (c.severity == MP_SEVERITY_NORMAL)
		due = c.previous != MP_SEVERITY_NORMAL;
	else
		due = take_turn(policy, state, probe, &c, ts_ns);
	if (due <= 0)
		return due;
	if (c.severity != c.previous)
		*domain = (struct mp_domain_state){.severity = c.severity, .since_ns = ts_ns};
	fill_decision(policy, probe, &c, ret);
	return 1;
}

int mp_policy_decide(const struct mp_policy *policy, struct mp_state *state,
		     const struct mp_event *event, struct mp_decision *ret)
{
	if (event->type == MP_EVENT_PROCESS && event->process.op == MP_PROCESS_EXIT)
		mp_state_forget(state, event->process.pid);
	/* A percentage that is not known is no evidence, neither of pressure nor of recovery. */
	if (event->type != MP_EVENT_PROBE || !(event->probe.usage_pct >= 0))
		return 0;
	return decide_probe(policy, state, &event->probe, event->ts_ns, ret);
}
