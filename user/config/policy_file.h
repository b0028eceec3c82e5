/* SPDX-License-Identifier: GPL-2.0-only */
/* policy.yaml as a typed struct. docs/policy.md describes the file. */
#ifndef MP_CONFIG_POLICY_FILE_H
#define MP_CONFIG_POLICY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "base/error.h"

#define MP_MAX_ACTIONS 8 /* in one cell of the level x severity table */

struct mp_action_ref {
	char *name; /* log, stack, hook … */
	char *arg;  /* what stands behind the colon of hook:PATH, or NULL */
};

struct mp_action_list {
	struct mp_action_ref refs[MP_MAX_ACTIONS];
	size_t n;
};

struct mp_policy {
	uint64_t check_interval_ns;
	double threshold_pct[MP_SEVERITY_COUNT]; /* [MP_SEVERITY_NORMAL] is 0 */
	double hysteresis_pct;
	uint64_t dwell_ns; /* least time at a severity before a lower one */
	double some_pct;   /* instantaneous stall, percent of the window */
	double full_pct;
	uint64_t window_ns;
	enum mp_level pressure_level; /* whose row decisions without a point act by */
	double interval_factor[MP_LEVEL_COUNT];
	struct mp_action_list on[MP_LEVEL_COUNT][MP_SEVERITY_COUNT];
	uint64_t cooldown_ns;
	uint64_t gate_deadline_ns; /* a gated process is let go after this at the latest */
	uint64_t freeze_max_ns;	   /* a frozen group is thawed … */
	uint64_t throttle_max_ns;  /* … and memory.high restored after this at the latest */
	uint64_t kill_grace_ns;	   /* between SIGTERM and SIGKILL */
	char **protect_comm;
	size_t n_protect_comm;
	char **protect_cgroup;
	size_t n_protect_cgroup;
};

/* An action that this build has; the action table hands them in: config/ stays below it. */
struct mp_action_kind {
	const char *name;
	int takes_arg; /* hook:PATH */
};

/*
 * Loads a policy into `policy`, which is zeroed or holds one, and unchanged on
 * failure. Keys that are absent have the values of mp_policy_default(); a level's
 * `on` replaces its whole row, so that a severity left out there does nothing.
 * An action that is not in `kinds` is an error that lists those that are.
 * Thresholds must rise (warning < gc < critical <= 100) and lie above the hysteresis.
 * Errors carry file:line:column and exit code 3.
 */
int mp_policy_load(struct mp_policy *policy, const char *path, const struct mp_action_kind *kinds,
		   size_t n_kinds, struct mp_error *err);
int mp_policy_parse(struct mp_policy *policy, const char *name, const char *text, size_t len,
		    const struct mp_action_kind *kinds, size_t n_kinds, struct mp_error *err);
/* The built-in policy, equal to configs/policy.yaml. -ENOMEM. */
int mp_policy_default(struct mp_policy *policy);
void mp_policy_free(struct mp_policy *policy);
#define MP_POLICY MP_CLEANUP(mp_policy_free)

/* Least time between two event records of a point with that level, ns. */
uint64_t mp_policy_interval_ns(const struct mp_policy *policy, enum mp_level level);

#endif
