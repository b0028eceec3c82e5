// SPDX-License-Identifier: GPL-2.0-only
#include "policy/policy.h"

#include <errno.h>

#include "policy/private.h"

/* Records of several CPUs can be slightly out of order: an earlier one counts as simultaneous. */
static uint64_t elapsed_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

/* --- severity --------------------------------------------------------------- */

double mp_policy_leave_pct(const struct mp_policy *policy, enum mp_severity severity)
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
						   : mp_policy_leave_pct(policy, severity);

		if (usage_pct >= bound)
			break;
		severity--;
	}
	return severity;
}

bool mp_policy_stalled(double pct, double at_least_pct)
{
	return pct > 0 && pct >= at_least_pct;
}

enum mp_severity mp_policy_raise(const struct mp_policy *policy, enum mp_severity severity,
				 double some_pct, double full_pct)
{
	int by = 0;

	if (mp_policy_stalled(full_pct, policy->full_pct))
		by = 2;
	else if (mp_policy_stalled(some_pct, policy->some_pct))
		by = 1;
	if ((int)severity + by >= MP_SEVERITY_CRITICAL)
		return MP_SEVERITY_CRITICAL;
	return (enum mp_severity)((int)severity + by);
}

/* --- stall ------------------------------------------------------------------ */

static bool is_reclaim(enum mp_pressure_source source)
{
	return source == MP_PRESSURE_RECLAIM || source == MP_PRESSURE_DIRECT_RECLAIM;
}

static void note_stall(const struct mp_policy *policy, struct mp_domain_state *domain,
		       const struct mp_event_pressure *p, uint64_t ts_ns)
{
	if (p->some_pct >= 0) {
		domain->some_pct = p->some_pct;
		domain->full_pct = p->full_pct;
		domain->stall_window_ns =
			p->window_ns == MP_UNKNOWN ? policy->window_ns : p->window_ns;
		domain->stall_until_ns = ts_ns + policy->window_ns;
	}
	if (is_reclaim(p->source) && p->stall_ns != MP_UNKNOWN)
		mp_stall_add(&domain->reclaim, policy->window_ns, ts_ns, p->window_ns, p->stall_ns);
}

/*
 * Time in reclaim stands in where nobody tells a share. While the working set
 * is far from the limit, what is reclaimed is page cache, and no pressure; and
 * what the host's tasks stall on is the limit of some group, which is a domain of its own.
 */
static void view_stall(const struct mp_policy *policy, const struct mp_domain_state *domain,
		       bool is_host, uint64_t ts_ns, struct mp_view *view)
{
	bool far = domain->usage_severity == MP_SEVERITY_NORMAL;

	view->full_pct = -1;
	view->some_pct = -1;
	view->stall_window_ns = policy->window_ns;
	if (ts_ns < domain->stall_until_ns && !(is_host && far)) {
		view->some_pct = domain->some_pct;
		view->full_pct = domain->full_pct;
		view->stall_window_ns = domain->stall_window_ns;
	} else if (!far) {
		view->some_pct = mp_stall_pct(&domain->reclaim, policy->window_ns, ts_ns);
	}
}

/* --- when ------------------------------------------------------------------- */

/* An event that may lead to a decision, and what that would be about. */
struct subject {
	const struct mp_policy *policy;
	struct mp_state *state;
	struct mp_domain_state *domain;
	uint64_t ts_ns;
	enum mp_gate gate;
	struct mp_event_decision about;
};

/*
 * Takes in what an event shows of its domain. False: less is called for than
 * its severity, which is held by its dwell; there is nothing to decide on.
 */
static bool observe(const struct subject *s, struct mp_view *view)
{
	const struct mp_policy *policy = s->policy;
	struct mp_domain_state *domain = s->domain;

	domain->usage_severity =
		mp_policy_severity(policy, domain->usage_severity, view->usage_pct);
	view_stall(policy, domain, !s->about.limit_cgroup, s->ts_ns, view);
	view->usage = domain->usage_severity;
	view->previous = domain->severity;
	view->severity = mp_policy_raise(policy, view->usage, view->some_pct, view->full_pct);
	if (view->severity < domain->severity)
		return elapsed_ns(domain->called_ns, s->ts_ns) >= policy->dwell_ns;
	if (s->ts_ns > domain->called_ns)
		domain->called_ns = s->ts_ns;
	return true;
}

static void enter(struct mp_domain_state *domain, enum mp_severity severity, uint64_t ts_ns)
{
	if (severity == domain->severity)
		return;
	domain->severity = severity;
	domain->since_ns = ts_ns;
	domain->called_ns = ts_ns;
}

/* --- decisions -------------------------------------------------------------- */

/* Of the process, or without one of the domain as a whole. */
static struct mp_cooldown_state *find_cooldown(const struct subject *s)
{
	if (!s->about.pid)
		return &s->domain->cooldown;
	return mp_state_cooldown(s->state, s->about.pid, s->about.level);
}

/*
 * Whether it may be acted on now, or -ENOMEM; then it is noted as acted on.
 * Within the cooldown the highest severity is kept: swinging between two
 * severities does not make the upper one new each time.
 */
static int take_turn(const struct subject *s, enum mp_severity severity, bool changed)
{
	struct mp_cooldown_state *cooldown = find_cooldown(s);
	bool fresh;

	if (!cooldown)
		return -ENOMEM;
	fresh = !cooldown->acted || severity > cooldown->severity ||
		elapsed_ns(cooldown->last_ns, s->ts_ns) >= s->policy->cooldown_ns;
	if (!fresh && !changed)
		return 0;
	if (fresh)
		cooldown->severity = severity;
	cooldown->acted = true;
	cooldown->last_ns = s->ts_ns;
	/* What is done about one of its processes is done about the domain. */
	if (s->about.pid && !s->about.point)
		s->domain->cooldown = *cooldown;
	return 1;
}

/* The same; a call that is held is due in any case, or nobody would let it go. */
static int is_due(const struct subject *s, enum mp_severity severity, bool changed)
{
	int due = take_turn(s, severity, changed);

	return s->gate == MP_GATE_HELD ? 1 : due;
}

static void fill_decision(const struct subject *s, const struct mp_view *view,
			  struct mp_decision *ret)
{
	ret->event = s->about;
	ret->event.severity = view->severity;
	ret->event.previous = view->previous;
	ret->event.some_pct = view->some_pct;
	ret->event.full_pct = view->full_pct;
	ret->event.latency_ns = MP_UNKNOWN;
	ret->event.reason = ret->reason;
	ret->actions = NULL;
	if (view->severity != MP_SEVERITY_NORMAL)
		ret->actions = &s->policy->on[s->about.level][view->severity];
}

static int decide(const struct subject *s, struct mp_decision *ret)
{
	struct mp_view view = {.usage_pct = s->about.usage_pct};
	int due;

	/* A percentage that is not known is no evidence, neither of pressure nor of recovery. */
	if (!(view.usage_pct >= 0) || !observe(s, &view))
		return 0;
	/* A recovery is told once; it does not act, so it leaves the cooldown alone. */
	if (view.severity == MP_SEVERITY_NORMAL)
		due = view.previous != MP_SEVERITY_NORMAL;
	else
		due = is_due(s, view.severity, view.severity != view.previous);
	if (due <= 0)
		return due;
	enter(s->domain, view.severity, s->ts_ns);
	fill_decision(s, &view, ret);
	mp_reason_write(s->policy, &view, ret->reason, sizeof(ret->reason));
	return 1;
}

/* Percent of the limit once the call has what it asks for; negative: not known. */
static double pct_after(const struct mp_event_probe *probe)
{
	if (probe->size == MP_UNKNOWN || probe->working_set == MP_UNKNOWN ||
	    probe->limit == MP_UNKNOWN || !probe->limit)
		return -1;
	return 100 * ((double)probe->working_set + (double)probe->size) / (double)probe->limit;
}

/* A call that is gated for what is to come: its domain is not there yet, and stays as it is. */
static int decide_gate(const struct subject *s, double after_pct, struct mp_decision *ret)
{
	struct mp_view view = {
		.usage_pct = s->about.usage_pct,
		.usage = s->domain->usage_severity,
		.severity = MP_SEVERITY_CRITICAL,
		.previous = s->domain->severity,
	};
	int due = is_due(s, view.severity, false);

	if (due <= 0)
		return due;
	view_stall(s->policy, s->domain, !s->about.limit_cgroup, s->ts_ns, &view);
	fill_decision(s, &view, ret);
	mp_reason_gate(s->policy, view.usage_pct, after_pct, ret->reason, sizeof(ret->reason));
	return 1;
}

static int decide_probe(struct subject *s, const struct mp_event_probe *probe,
			struct mp_decision *ret)
{
	bool critical = probe->usage_pct >= s->policy->threshold_pct[MP_SEVERITY_CRITICAL];

	s->domain = mp_state_domain(s->state, probe->limit_cgroup);
	if (!s->domain)
		return -ENOMEM;
	s->gate = probe->gate;
	s->about = (struct mp_event_decision){
		.level = probe->level,
		.point = probe->point,
		.pid = probe->pid,
		.cgroup = probe->cgroup,
		.limit_cgroup = probe->limit_cgroup,
		.usage_pct = probe->usage_pct,
		.working_set = probe->working_set,
		.limit = probe->limit,
	};
	if (probe->gate != MP_GATE_NONE && !critical)
		return decide_gate(s, pct_after(probe), ret);
	return decide(s, ret);
}

static int decide_pressure(struct subject *s, const struct mp_event_pressure *pressure,
			   struct mp_decision *ret)
{
	s->domain = mp_state_domain(s->state, pressure->cgroup);
	if (!s->domain)
		return -ENOMEM;
	s->about = (struct mp_event_decision){
		.level = s->policy->pressure_level,
		.pid = pressure->is_target ? pressure->pid : 0,
		.cgroup = pressure->cgroup,
		.limit_cgroup = pressure->cgroup,
		.usage_pct = pressure->usage_pct,
		.working_set = pressure->working_set,
		.limit = pressure->limit,
	};
	note_stall(s->policy, s->domain, pressure, s->ts_ns);
	return decide(s, ret);
}

/*
 * An action that gave memory back has changed what the domain is judged by: what
 * comes next is judged anew, without dwell or cooldown from before.
 */
static int note_action(struct mp_state *state, const struct mp_event_action *action)
{
	struct mp_domain_state *domain;

	if (action->usage_before == MP_UNKNOWN || action->usage_after == MP_UNKNOWN ||
	    action->usage_after >= action->usage_before)
		return 0;
	domain = mp_state_domain(state, action->limit_cgroup);
	if (!domain)
		return -ENOMEM;
	domain->called_ns = 0;
	domain->cooldown.acted = false;
	return 0;
}

int mp_policy_decide(const struct mp_policy *policy, struct mp_state *state,
		     const struct mp_event *event, struct mp_decision *ret)
{
	struct subject s = {.policy = policy, .state = state, .ts_ns = event->ts_ns};

	if (event->type == MP_EVENT_PROBE)
		return decide_probe(&s, &event->probe, ret);
	if (event->type == MP_EVENT_PRESSURE)
		return decide_pressure(&s, &event->pressure, ret);
	if (event->type == MP_EVENT_ACTION)
		return note_action(state, &event->action);
	if (event->type == MP_EVENT_PROCESS && event->process.op == MP_PROCESS_EXIT)
		mp_state_forget(state, event->process.pid);
	return 0;
}

void mp_policy_number(struct mp_state *state, struct mp_event *event)
{
	struct mp_domain_state *domain;

	if (event->type != MP_EVENT_PRESSURE)
		return;
	domain = mp_state_domain(state, event->pressure.cgroup);
	if (!domain)
		return;
	event->pressure.repeated =
		domain->incident &&
		elapsed_ns(domain->incident_ns, event->ts_ns) <= MP_INCIDENT_GAP_NS;
	if (!event->pressure.repeated)
		domain->incident++;
	event->pressure.incident = domain->incident;
	if (event->ts_ns > domain->incident_ns)
		domain->incident_ns = event->ts_ns;
}
