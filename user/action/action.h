/* SPDX-License-Identifier: GPL-2.0-only */
/* What a decision leads to. One file and one row of the table each. */
#ifndef MP_ACTION_ACTION_H
#define MP_ACTION_ACTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "action/undo.h"
#include "base/event.h"
#include "cgroup/cgroup.h"
#include "config/policy_file.h"

struct mp_actions; /* running hooks, workers, holds, symbol caches */
struct mp_job;

struct mp_action_request {
	const struct mp_event_decision *decision;
	const struct mp_event *cause; /* the probe or pressure event */
	const char *name;	      /* as the policy has it: log, hook:/path … */
	const char *arg;	      /* hook's path */
};

/*
 * An action reports its result as an event: at once, or later for one that
 * takes time. One that may block has `work`, which runs in a worker thread and
 * leaves its result in the job; one that does not has `run`, in the monitor's loop.
 */
struct mp_action_ops {
	const char *name;
	bool takes_arg;
	bool destructive;  /* only with --enforce; else it is reported as `would` */
	bool urgent;	   /* its work passes what waits for a worker */
	bool whole_domain; /* acts on the domain, one at a time, whichever process is the cause */
	const char *would; /* what a destructive one would do, as a phrase */
	/* Checks the argument when the policy is loaded; error exit code 3 or 4. May be NULL. */
	int (*check)(const char *arg, struct mp_error *err);
	/* 0: started or done; a negative errno is reported as a failed action. */
	int (*run)(struct mp_actions *actions, const struct mp_action_request *request);
	void (*work)(struct mp_actions *actions, struct mp_job *job);
};

/* Table of all actions, and the same as the config loader wants it. */
const struct mp_action_ops *mp_action_table(size_t *ret_n);
const struct mp_action_kind *mp_action_kinds(size_t *ret_n);

/*
 * What actions ask of the monitor. The first two are also called from worker
 * threads. Any may be NULL (a replay has none of them).
 */
struct mp_action_host {
	void *data;
	bool (*is_target)(void *data, pid_t pid);
	/* Stops at what `fn` returns other than 0. */
	int (*for_each_target)(void *data, int (*fn)(void *fn_data, pid_t pid), void *fn_data);
	/* Marks a gated process as let go: its calls pass until then. Before SIGCONT is sent. */
	int (*open_gate)(void *data, pid_t pid, uint64_t pass_until_ns);
	/* Looks at a domain again and lets the policy decide anew: after an action. */
	void (*look)(void *data, const char *limit_cgroup);
};

struct mp_actions_options {
	mp_event_fn emit; /* takes results */
	void *data;
	const struct mp_policy *policy;
	const struct mp_cgroups *cgroups; /* NULL in a replay */
	struct mp_undo *undo;		  /* NULL: nothing that must be undone can be done */
	pid_t guardian;			  /* 0: none */
	bool enforce;
	const char *notify_path; /* socket that `notify` serves; NULL: none */
	struct mp_action_host host;
};

struct mp_actions *mp_actions_new(const struct mp_actions_options *options); /* NULL: see errno */
/*
 * Lets go whatever is held, waits up to 2 s for running hooks and workers and reports
 * them; then kills hooks with their process groups.
 */
void mp_actions_free(struct mp_actions *actions);

/* Checks every action that the policy names, with its argument (hook paths). */
int mp_actions_check(const struct mp_policy *policy, struct mp_error *err);
/* Whether the policy names an action in any cell. */
bool mp_actions_named(const struct mp_policy *policy, const char *name);

/* Runs each action of the list (may be NULL); in a dry run, a replay, reports it as `would`. */
void mp_actions_run(struct mp_actions *actions, const struct mp_action_list *list,
		    const struct mp_event_decision *decision, const struct mp_event *cause,
		    bool dry_run);

/* Poll this for reading; then call mp_actions_dispatch(). An epoll fd. */
int mp_actions_fd(const struct mp_actions *actions);
void mp_actions_dispatch(struct mp_actions *actions, uint64_t now_ns);

/* A process has ended: what is held of it is forgotten. */
void mp_actions_process_gone(struct mp_actions *actions, pid_t pid);

#endif
