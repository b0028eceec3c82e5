/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads for actions that may block, so that the decision path never does. All
 * memory is there from the start: jobs are slots, stacks are touched. Private to action/.
 */
#ifndef MP_ACTION_WORK_H
#define MP_ACTION_WORK_H

#include "action/action.h"
#include "cgroup/psi.h"

#define MP_WORKERS 3
#define MP_JOBS 16
#define MP_JOB_DETAIL 256
#define MP_JOB_PATH 1024

struct mp_hold_ops;

/* One action to be done; a copy of the request that outlives it. */
struct mp_job {
	const struct mp_action_ops *ops;
	char name[64];	     /* as the policy has it, without an argument */
	char point[128];     /* empty: none */
	pid_t pid;	     /* 0: the domain as a whole */
	uint64_t start_time; /* of that process, ticks since boot; 0: it was gone already */
	char cgroup[MP_JOB_PATH];
	char domain[MP_JOB_PATH]; /* the limiting group */
	bool has_cgroup;
	bool has_domain; /* false: the host */
	enum mp_severity severity;
	uint64_t ts_ns; /* of the cause, on both clocks */
	uint64_t realtime_ns;

	/* The result. Preset: failed, nothing known. */
	enum mp_action_result result;
	pid_t acted_on; /* reported as the pid; 0: `pid` */
	uint64_t started_ns;
	uint64_t ended_ns;
	struct mp_domain_sample before; /* limit 0: not sampled */
	struct mp_domain_sample after;
	double some_before_pct; /* of the decision; negative: not known */
	double full_before_pct;
	double some_after_pct;
	char detail[MP_JOB_DETAIL];

	/* Of work that leaves something held: how that ends. */
	const struct mp_hold_ops *held; /* NULL: nothing is */
	int undo;			/* slot in the journal; negative: none */
	double room_pct;
	uint64_t hold_max_ns;
};

struct mp_workers;

/* Copies what of the request outlives it. -ENAMETOOLONG. */
int mp_job_init(struct mp_job *job, const struct mp_cgroups *cg, const struct mp_action_ops *ops,
		const struct mp_action_request *request);

struct mp_workers *mp_workers_new(struct mp_actions *actions); /* NULL: see errno */
/*
 * Waits up to `timeout_ns` for jobs that run, then interrupts what they wait in; those
 * that have not begun become skipped. What is there to collect then is all there will be.
 */
void mp_workers_stop(struct mp_workers *workers, uint64_t timeout_ns);
void mp_workers_free(struct mp_workers *workers);

/*
 * Takes the request over. -EBUSY when the same action is under way for the same process
 * and domain, -ENOSPC when all slots are taken, -ENAMETOOLONG. Urgent ones (kill) pass
 * those that wait.
 */
int mp_workers_submit(struct mp_workers *workers, const struct mp_action_ops *ops,
		      const struct mp_action_request *request);

/* Readable when jobs are done. */
int mp_workers_fd(const struct mp_workers *workers);
/* Hands each finished job to `fn`, in the caller's thread, and frees its slot. */
void mp_workers_collect(struct mp_workers *workers,
			void (*fn)(struct mp_actions *, struct mp_job *));
/* Whether the workers are being stopped: long jobs ask between their steps. */
bool mp_workers_stopping(const struct mp_workers *workers);

/* Reads the stall totals of a domain (NULL: the host). False where there are none. */
bool mp_stall_read(const struct mp_cgroups *cg, const char *domain, struct mp_psi_totals *ret);

/* --- what jobs are written with -------------------------------------------------- */

/* printf into the job's detail; foreign bytes are cleaned. */
void mp_job_detail(struct mp_job *job, const char *fmt, ...) MP_PRINTF(2, 3);
/* Sets result and detail in one; returns nothing to make `return mp_job_end(…)` one line. */
void mp_job_end(struct mp_job *job, enum mp_action_result result, const char *fmt, ...)
	MP_PRINTF(3, 4);
/* The domain of the job, as the cgroup functions want it: NULL for the host. */
const char *mp_job_domain(const struct mp_job *job);
/*
 * Samples the domain. The stall before is the decision's; the one after is taken over
 * the next 20 ms, in which the job has ended already.
 */
void mp_job_sample_before(struct mp_actions *actions, struct mp_job *job);
void mp_job_sample_after(struct mp_actions *actions, struct mp_job *job);
/*
 * Samples the domain into before, and says whether it is still at the job's severity: by its
 * usage now, with the hysteresis, raised by the stall of the decision. Not so when
 * usage cannot be read. Destructive actions ask just before they act.
 */
bool mp_job_still_over(struct mp_actions *actions, struct mp_job *job);

#endif
