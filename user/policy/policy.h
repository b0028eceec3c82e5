/* SPDX-License-Identifier: GPL-2.0-only */
/* From an event and the state to a decision. Pure: no clock, no I/O, no logging. */
#ifndef MP_POLICY_POLICY_H
#define MP_POLICY_POLICY_H

#include "base/event.h"
#include "config/policy_file.h"
#include "state/state.h"

/*
 * Severity of a usage percentage, given the one before: a threshold is entered
 * at its value and left `hysteresis` below it, so that a value that swings
 * around a threshold does not flap. A negative (unknown) percentage is normal.
 */
enum mp_severity mp_policy_severity(const struct mp_policy *policy, enum mp_severity previous,
				    double usage_pct);

struct mp_decision {
	struct mp_event_decision event; /* strings borrowed from the event and from `reason` */
	const struct mp_action_list *actions; /* from the level x severity table, or NULL */
	char reason[160];
};

/*
 * Feeds one event. Returns 1 and fills in `ret` when there is something to
 * decide: the severity of the process's limit domain changed, or it is above
 * normal and the cooldown of this process and level is over, or this level has
 * not yet acted at a severity this high. Returns 0 otherwise, -ENOMEM.
 * A decision to normal has no actions (NULL). An unknown percentage leaves the
 * domain as it is. Events other than probe events only keep the state up to date.
 */
int mp_policy_decide(const struct mp_policy *policy, struct mp_state *state,
		     const struct mp_event *event, struct mp_decision *ret);

#endif
