/* SPDX-License-Identifier: GPL-2.0-only */
/* What a decision leads to. One file and one row of the table each. */
#ifndef MP_ACTION_ACTION_H
#define MP_ACTION_ACTION_H

#include <stdbool.h>

#include "base/event.h"
#include "config/policy_file.h"

struct mp_actions; /* running hooks, symbol caches */

struct mp_action_request {
	const struct mp_event_decision *decision;
	const struct mp_event *cause; /* the probe event */
	const char *name;	      /* as the policy has it: log, hook:/path … */
	const char *arg;	      /* hook's path */
};

/*
 * An action reports its result as an event: at once, or later for one that
 * takes time (a hook reports when it has ended or was killed at its timeout).
 */
struct mp_action_ops {
	const char *name;
	bool takes_arg;
	/* Checks the argument when the policy is loaded; error exit code 3 or 4. May be NULL. */
	int (*check)(const char *arg, struct mp_error *err);
	/* 0: started or done; a negative errno is reported as a failed action. */
	int (*run)(struct mp_actions *actions, const struct mp_action_request *request);
};

/* Table of all actions, and the same as the config loader wants it. */
const struct mp_action_ops *mp_action_table(size_t *ret_n);
const struct mp_action_kind *mp_action_kinds(size_t *ret_n);

/* Results go to `emit`. */
struct mp_actions *mp_actions_new(mp_event_fn emit, void *data); /* NULL: see errno */
/* Waits up to 2 s for running hooks and reports them; then kills them with their process groups. */
void mp_actions_free(struct mp_actions *actions);

/* Checks every action that the policy names, with its argument (hook paths). */
int mp_actions_check(const struct mp_policy *policy, struct mp_error *err);

/* Runs each action of the list (may be NULL); in a dry run, a replay, reports it as `would`. */
void mp_actions_run(struct mp_actions *actions, const struct mp_action_list *list,
		    const struct mp_event_decision *decision, const struct mp_event *cause,
		    bool dry_run);

/* Poll this for reading; then call mp_actions_dispatch(). An epoll fd. */
int mp_actions_fd(const struct mp_actions *actions);
void mp_actions_dispatch(struct mp_actions *actions, uint64_t now_ns);

#endif
