/* SPDX-License-Identifier: GPL-2.0-only */
/* How the actions of this folder are run and report their results. Private to action/. */
#ifndef MP_ACTION_REPORT_H
#define MP_ACTION_REPORT_H

#include "action/action.h"

struct mp_hooks;
struct mp_symbolizer;

struct mp_workers;
struct mp_holds;
struct mp_notify;

struct mp_actions {
	struct mp_actions_options o;
	int epoll_fd; /* of hooks, workers and holds */
	struct mp_hooks *hooks;
	struct mp_symbolizer *symbolizer;
	struct mp_workers *workers; /* NULL in a replay, as the two below */
	struct mp_holds *holds;
	struct mp_notify *notify;
};

/* Which action of which decision a result belongs to. Strings are borrowed. */
struct mp_action_origin {
	const char *action;
	const char *point;
	uint32_t pid;
	const char *cgroup;
	uint64_t ts_ns; /* of the cause, on both clocks: what ties a later time to the calendar */
	uint64_t realtime_ns;
};

struct mp_action_outcome {
	enum mp_action_result result;
	uint64_t ended_ns;    /* CLOCK_MONOTONIC */
	uint64_t duration_ns; /* MP_UNKNOWN: it takes none */
	const char *detail;
	const char *const *stack;
	size_t n_stack;
	const struct mp_job *effect; /* what it did to its domain; NULL: not measured */
};

struct mp_action_origin mp_action_origin(const struct mp_action_request *request);
void mp_action_report(const struct mp_actions *actions, const struct mp_action_origin *origin,
		      const struct mp_action_outcome *outcome);
/* For what takes no time: it ended when its cause happened. */
void mp_action_report_now(const struct mp_actions *actions, const struct mp_action_request *request,
			  enum mp_action_result result, const char *detail);

/*
 * The result of a job, for what ended at `ended_ns`; duration_ns may be MP_UNKNOWN.
 */
void mp_action_report_job(const struct mp_actions *actions, const struct mp_job *job,
			  uint64_t ended_ns, uint64_t duration_ns);
/* Has the monitor look at a job's domain again. The job may be gone when this returns. */
void mp_action_look(const struct mp_actions *actions, const struct mp_job *job);

/* One row of the table in action.c each. */
int mp_log_run(struct mp_actions *actions, const struct mp_action_request *request);
int mp_stack_run(struct mp_actions *actions, const struct mp_action_request *request);
int mp_gate_run(struct mp_actions *actions, const struct mp_action_request *request);
void mp_throttle_work(struct mp_actions *actions, struct mp_job *job);
void mp_freeze_work(struct mp_actions *actions, struct mp_job *job);
int mp_hook_check(const char *arg, struct mp_error *err);
int mp_hook_run(struct mp_actions *actions, const struct mp_action_request *request);
int mp_notify_run(struct mp_actions *actions, const struct mp_action_request *request);
void mp_relieve_work(struct mp_actions *actions, struct mp_job *job);
void mp_reclaim_work(struct mp_actions *actions, struct mp_job *job);
void mp_kill_work(struct mp_actions *actions, struct mp_job *job);

#endif
