/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of policy/ share. */
#ifndef MP_POLICY_PRIVATE_H
#define MP_POLICY_PRIVATE_H

#include "policy/policy.h"

/* A domain as an event shows it, with what is remembered of its stall. */
struct mp_view {
	double usage_pct;
	double some_pct; /* negative: not known */
	double full_pct;
	uint64_t stall_window_ns; /* that they are shares of */
	enum mp_severity usage;	  /* severity by usage alone */
	enum mp_severity severity;
	enum mp_severity previous; /* may be the same */
};

/* Where a severity is left again, in percent. */
double mp_policy_leave_pct(const struct mp_policy *policy, enum mp_severity severity);
/* Whether a share of stall counts as at least that much. No stall never does. */
bool mp_policy_stalled(double pct, double at_least_pct);

/* Why the domain is at the view's severity. */
void mp_reason_write(const struct mp_policy *policy, const struct mp_view *view, char *out,
		     size_t size);
/* Why a call is gated while the view itself is below critical; `after_pct` negative: not by its
 * size. */
void mp_reason_gate(const struct mp_policy *policy, double usage_pct, double after_pct, char *out,
		    size_t size);

#endif
