/* SPDX-License-Identifier: GPL-2.0-only */
/* event → output, state → policy → decision → output, action → result → output. */
#ifndef MP_MONITOR_PIPELINE_H
#define MP_MONITOR_PIPELINE_H

#include "action/action.h"
#include "config/policy_file.h"
#include "monitor/output.h"
#include "state/state.h"

struct mp_pipeline {
	const struct mp_policy *policy;
	struct mp_state *state;
	struct mp_actions *actions;
	struct mp_output *output;
	int64_t realtime_offset_ns; /* added to an event's ts_ns when it has no wall time yet */
	bool dry_run;
};

int mp_pipeline_init(struct mp_pipeline *pipeline, const struct mp_policy *policy,
		     struct mp_output *output, bool dry_run);
void mp_pipeline_end(struct mp_pipeline *pipeline);

/* One event through all of it. */
void mp_pipeline_feed(struct mp_pipeline *pipeline, struct mp_event *event);
/* Output alone, stamped with the time now when it has none: start, site, stop … */
void mp_pipeline_put(struct mp_pipeline *pipeline, struct mp_event *event);

#endif
