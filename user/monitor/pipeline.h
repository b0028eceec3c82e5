/* SPDX-License-Identifier: GPL-2.0-only */
/* event → output, state → policy → decision → output, action → result → output. */
#ifndef MP_MONITOR_PIPELINE_H
#define MP_MONITOR_PIPELINE_H

#include "action/action.h"
#include "config/policy_file.h"
#include "monitor/output.h"
#include "report/gather.h"
#include "state/state.h"

struct mp_pipeline_options {
	struct mp_output *output;
	struct mp_gather *gather; /* for a report, after all else is done; NULL: none is made */
	bool dry_run;		  /* a replay: actions are told, not taken */
	/* Takes every decision and every result of an action, after it was put out. May be NULL. */
	void (*on_outcome)(void *data, const struct mp_event *event);
	void *data;
	struct mp_actions_options actions; /* but for emit and its data */
};

struct mp_pipeline {
	struct mp_pipeline_options o;
	const struct mp_policy *policy;
	struct mp_state *state;
	struct mp_actions *actions;
	int64_t realtime_offset_ns; /* added to an event's ts_ns when it has no wall time yet */
};

int mp_pipeline_init(struct mp_pipeline *pipeline, const struct mp_pipeline_options *options);
void mp_pipeline_end(struct mp_pipeline *pipeline);

/* One event through all of it. Returns 1 when it led to a decision, which then has been told. */
int mp_pipeline_feed(struct mp_pipeline *pipeline, struct mp_event *event);
/* Output alone, stamped with the time now when it has none: start, site, stop … */
void mp_pipeline_put(struct mp_pipeline *pipeline, struct mp_event *event);
/* The state alone: what a recording tells of actions that were taken then. */
void mp_pipeline_note(struct mp_pipeline *pipeline, const struct mp_event *event);

/* What the policy holds a domain to be at (NULL: the host). */
enum mp_severity mp_pipeline_severity(const struct mp_pipeline *pipeline, const char *domain);

#endif
