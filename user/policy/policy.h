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

/*
 * The same, raised by stall: `some` at or above the policy's share of the window
 * by one severity, `full` by two; critical stays the highest. Usage alone, held
 * steady, never climbs. No stall, or one that is not known (negative), raises nothing.
 */
enum mp_severity mp_policy_raise(const struct mp_policy *policy, enum mp_severity severity,
				 double some_pct, double full_pct);

/*
 * Gives a pressure event the number of its domain's incident: the one of the
 * last pressure event of the domain when that is at most MP_INCIDENT_GAP_NS
 * ago, whatever its source, else a new one. Other events are left alone.
 */
#define MP_INCIDENT_GAP_NS 2000000000ULL
void mp_policy_number(struct mp_state *state, struct mp_event *event);

struct mp_decision {
	struct mp_event_decision event; /* strings borrowed from the event and from `reason` */
	const struct mp_action_list *actions; /* from the level x severity table, or NULL */
	char reason[160];
};

/*
 * Feeds one event. Returns 1 and fills in `ret` when there is something to
 * decide: the severity of the domain changed, or it is above normal and the
 * cooldown of this process and level is over, or this level has not yet acted
 * at a severity this high. Returns 0 otherwise, -ENOMEM.
 *
 * Probe and pressure events decide; the former by their point's level, the
 * latter by the policy's pressure_level, for the process they name when that is
 * a target, else for the domain (pid 0). A pressure event's stall stays good
 * for the policy's window.
 *
 * A higher severity is entered at once, a lower one only when none as high as
 * the present one was called for during dwell_ns; until then nothing is
 * decided on the higher one, as nothing speaks for it any more.
 *
 * A probe event whose call is held always decides, at critical, with its
 * level's critical actions; one that would be gated does so once its cooldown
 * is over. While usage is below critical, the domain's severity is left alone.
 *
 * An action event that measured less usage than before ends the dwell and the
 * cooldown of its domain: what comes next is judged anew.
 *
 * A decision to normal has no actions (NULL). An unknown percentage leaves the
 * domain as it is. Other events only keep the state up to date.
 */
int mp_policy_decide(const struct mp_policy *policy, struct mp_state *state,
		     const struct mp_event *event, struct mp_decision *ret);

#endif
