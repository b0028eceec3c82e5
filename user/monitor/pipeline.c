// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/pipeline.h"

#include <errno.h>

#include "base/clock.h"
#include "policy/policy.h"

static void stamp(const struct mp_pipeline *p, struct mp_event *event)
{
	if (!event->ts_ns)
		event->ts_ns = mp_clock_now_ns();
	if (!event->realtime_ns)
		event->realtime_ns = event->ts_ns + (uint64_t)p->realtime_offset_ns;
}

/* Without memory the report has less; the watch goes on. */
static void gather(const struct mp_pipeline *p, const struct mp_event *event)
{
	if (p->o.gather)
		mp_gather_event(p->o.gather, event);
}

void mp_pipeline_put(struct mp_pipeline *p, struct mp_event *event)
{
	stamp(p, event);
	mp_output_event(p->o.output, event);
	gather(p, event);
}

static void tell_outcome(const struct mp_pipeline *p, const struct mp_event *event)
{
	mp_output_event(p->o.output, event);
	if (p->o.on_outcome)
		p->o.on_outcome(p->o.data, event);
}

void mp_pipeline_note(struct mp_pipeline *p, const struct mp_event *event)
{
	struct mp_decision none;

	mp_policy_decide(p->policy, p->state, event, &none);
}

/* Results of actions; those of a replay carry the time of their cause. */
static int on_action_result(void *data, const struct mp_event *event)
{
	struct mp_pipeline *p = data;
	struct mp_event copy = *event;

	stamp(p, &copy);
	mp_pipeline_note(p, &copy);
	tell_outcome(p, &copy);
	gather(p, &copy);
	return 0;
}

int mp_pipeline_init(struct mp_pipeline *p, const struct mp_pipeline_options *options)
{
	*p = (struct mp_pipeline){.o = *options, .policy = options->actions.policy};
	p->o.actions.emit = on_action_result;
	p->o.actions.data = p;
	p->realtime_offset_ns = mp_clock_realtime_offset_ns();
	p->state = mp_state_new();
	p->actions = mp_actions_new(&p->o.actions);
	return p->state && p->actions ? 0 : -ENOMEM;
}

void mp_pipeline_end(struct mp_pipeline *p)
{
	mp_actions_free(p->actions);
	mp_state_free(p->state);
	p->actions = NULL;
	p->state = NULL;
}

/* A record that another CPU has just made may seem to lie ahead. */
static uint64_t elapsed_since(uint64_t ts_ns)
{
	uint64_t now = mp_clock_now_ns();

	return now > ts_ns ? now - ts_ns : 0;
}

/* Whether a decision was made. */
static int decide(struct mp_pipeline *p, const struct mp_event *event)
{
	struct mp_decision decision;
	struct mp_event out = {.type = MP_EVENT_DECISION};

	if (mp_policy_decide(p->policy, p->state, event, &decision) <= 0)
		return 0;
	out.ts_ns = event->ts_ns;
	out.realtime_ns = event->realtime_ns;
	out.decision = decision.event;
	if (!p->o.dry_run)
		out.decision.latency_ns = elapsed_since(event->ts_ns);
	tell_outcome(p, &out);
	if (decision.actions)
		mp_actions_run(p->actions, decision.actions, &decision.event, event, p->o.dry_run);
	gather(p, &out);
	return 1;
}

int mp_pipeline_feed(struct mp_pipeline *p, struct mp_event *event)
{
	int decided;

	mp_policy_number(p->state, event);
	stamp(p, event);
	mp_output_event(p->o.output, event);
	decided = decide(p, event);
	gather(p, event);
	return decided;
}

enum mp_severity mp_pipeline_severity(const struct mp_pipeline *p, const char *domain)
{
	const struct mp_domain_state *state = mp_state_domain(p->state, domain);

	return state ? state->severity : MP_SEVERITY_NORMAL;
}
