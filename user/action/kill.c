// SPDX-License-Identifier: GPL-2.0-only
/* Ends one process: SIGTERM, a grace, SIGKILL, and its memory taken back at once. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <time.h>

#include "action/report.h"
#include "action/scope.h"
#include "action/victim.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/size.h"
#include "cgroup/control.h"

#define NS_PER_SEC 1000000000ULL
#define NS_PER_MS 1000000ULL
#define STEP_MS 5
#define THAW_AFTER_MS 10  /* a killed process that is not frozen ends well before */
#define END_MAX_MS 2000	  /* between SIGKILL and the end */
#define DRAIN_MAX_MS 100  /* charges are given back in batches of each processor */
#define DRAINED_SAMPLES 3 /* as many that say the same */
#define ENDING_STEP_MS 20
#define ENDING_MAX_NS 500000000ULL /* what another that is ending already has to do so */

struct killing {
	struct mp_actions *actions;
	struct mp_job *job;
	struct mp_victim victim;
	int pidfd;
	double pct_at_term;
	uint64_t start_ns;
	uint64_t term_ns; /* 0: not sent */
	uint64_t kill_ns; /* 0: not sent */
	char why[64];	  /* there was no more grace; empty: there was */
};

/* --- who ---------------------------------------------------------------------------- */

static bool has_ended(int pidfd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

/* A process that began after the cause has only the number of the one that caused it. */
static bool began_later(const struct mp_victim *victim, uint64_t cause_ns)
{
	uint64_t ticks_per_sec = (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t age_ns = mp_clock_now_ns() - cause_ns;
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	return victim->who.start_time * (NS_PER_SEC / ticks_per_sec) >
	       (uint64_t)boot.tv_sec * NS_PER_SEC + (uint64_t)boot.tv_nsec - age_ns;
}

/*
 * From here on the number cannot come to mean another process: what is read of it
 * is of the process behind the pidfd when that has not ended afterwards.
 */
static int pin(struct killing *k, pid_t pid)
{
	MP_CLOSE int pidfd = pidfd_open(pid, 0);
	int err = pidfd < 0 ? -errno : mp_victim_read(k->actions, pid, &k->victim);

	if (!err && has_ended(pidfd, 0))
		err = -ESRCH;
	if (!err)
		k->pidfd = mp_take_fd(&pidfd);
	return err;
}

static bool is_target(const struct mp_actions *actions, pid_t pid)
{
	const struct mp_action_host *host = &actions->o.host;

	return host->is_target && host->is_target(host->data, pid);
}

/* Says in the job why the pinned process is not killed. */
static bool may_kill(const struct killing *k)
{
	const struct mp_victim *v = &k->victim;
	const char *why = v->objection;

	if (!why && v->is_ending)
		why = "it is ending already";
	if (!why && !is_target(k->actions, v->who.pid))
		why = "it is no target any more";
	if (why)
		mp_job_end(k->job, MP_RESULT_SKIPPED, "%s: %s", v->who.comm, why);
	return !why;
}

static bool still_over(const struct killing *k)
{
	if (mp_job_still_over(k->actions, k->job))
		return true;
	if (k->job->before.usage_pct < 0)
		mp_job_end(k->job, MP_RESULT_SKIPPED, "usage is not known any more");
	else
		mp_job_end(k->job, MP_RESULT_SKIPPED, "usage fell to %.0f %%",
			   k->job->before.usage_pct);
	return false;
}

static void no_such(struct mp_job *job, int err)
{
	if (err == -ESRCH)
		mp_job_end(job, MP_RESULT_SKIPPED, "it has ended already");
	else
		mp_job_end(job, MP_RESULT_FAILED, "what it is cannot be read: %s", strerror(-err));
}

static bool pin_named(struct killing *k)
{
	int err = pin(k, k->job->pid);

	if (!err && began_later(&k->victim, k->job->ts_ns))
		err = -ESRCH;
	if (err)
		no_such(k->job, err);
	return !err && may_kill(k);
}

static bool pin_worst(struct killing *k)
{
	uint64_t patient_until = k->start_ns + ENDING_MAX_NS;
	struct mp_victim worst;
	int err;

	while ((err = mp_victim_pick(k->actions, k->job, mp_clock_now_ns() < patient_until,
				     &worst)) == -EBUSY)
		poll(NULL, 0, ENDING_STEP_MS);
	if (!err)
		err = pin(k, worst.who.pid);
	if (err && err != -ENOENT)
		no_such(k->job, err);
	return !err && may_kill(k);
}

/* --- how ---------------------------------------------------------------------------- */

static int send_signal(struct killing *k, int sig)
{
	return pidfd_send_signal(k->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

static double usage_pct(const struct killing *k)
{
	struct mp_domain_sample now;

	if (mp_domain_sample(k->actions->o.cgroups, mp_job_domain(k->job), &now))
		return -1;
	return now.usage_pct;
}

static bool any_may_freeze(void *data, pid_t pid)
{
	(void)data;
	(void)pid;
	return true;
}

static bool is_frozen(const struct killing *k)
{
	struct mp_cgroup_knob knob;
	size_t others;

	return mp_cgroup_freeze_knob(k->actions->o.cgroups, k->victim.who.pid, any_may_freeze, NULL,
				     &knob, &others) == -EALREADY;
}

/*
 * A stopped process handles SIGTERM only when it goes on. Its gate is opened first,
 * or it would be stopped again on its way out.
 */
static int ask_to_end(struct killing *k)
{
	const struct mp_action_host *host = &k->actions->o.host;
	uint64_t now = mp_clock_now_ns();
	int err;

	k->pct_at_term = k->job->before.usage_pct;
	err = send_signal(k, SIGTERM);
	if (err)
		return err;
	k->term_ns = now;
	if (k->victim.state == 'T' && host->open_gate)
		(void)host->open_gate(host->data, k->victim.who.pid,
				      now + k->actions->o.policy->kill_grace_ns);
	(void)send_signal(k, SIGCONT); /* it may have ended by now */
	return 0;
}

/* A process that goes on to fill its group does not get the whole grace. */
static bool fills_on(struct killing *k)
{
	double halfway = (k->actions->o.policy->threshold_pct[MP_SEVERITY_CRITICAL] + 100) / 2;
	double pct = usage_pct(k);

	if (pct <= halfway || pct <= k->pct_at_term)
		return false;
	snprintf(k->why, sizeof(k->why), "usage rose to %.1f %%", pct);
	return true;
}

/* Whether it ended in its grace. */
static bool wait_grace(struct killing *k)
{
	uint64_t deadline = k->term_ns + k->actions->o.policy->kill_grace_ns;

	while (!has_ended(k->pidfd, STEP_MS)) {
		if (mp_clock_now_ns() >= deadline || fills_on(k) || mp_scope_stopping(k->actions))
			return false;
	}
	return true;
}

static int make_end(struct killing *k)
{
	int err = send_signal(k, SIGKILL);

	if (err)
		return err;
	k->kill_ns = mp_clock_now_ns();
	/* It frees what the process itself may be too slow to; not all kernels can, nor need they.
	 */
	(void)process_mrelease(k->pidfd, 0);
	if (has_ended(k->pidfd, THAW_AFTER_MS))
		return 0;
	/*
	 * Version 1's freezer keeps even a killed process until it thaws. It is not frozen
	 * again afterwards: whoever froze it may have thawed it meanwhile.
	 */
	(void)mp_cgroup_thaw(k->actions->o.cgroups, k->victim.who.pid);
	return has_ended(k->pidfd, END_MAX_MS - THAW_AFTER_MS) ? 0 : -ETIMEDOUT;
}

/*
 * Memory is back when the process is gone, but for what processors have in their
 * stocks; and what it shared with others stays.
 */
static void wait_drained(const struct killing *k)
{
	const struct mp_job *job = k->job;
	struct mp_domain_sample now;
	uint64_t last = MP_UNKNOWN;
	int same = 0;

	for (int waited = 0; waited < DRAIN_MAX_MS && same < DRAINED_SAMPLES; waited += STEP_MS) {
		if (mp_domain_sample(k->actions->o.cgroups, mp_job_domain(job), &now) ||
		    now.usage + k->victim.memory_bytes <= job->before.usage)
			return;
		same = now.usage == last ? same + 1 : 0;
		last = now.usage;
		poll(NULL, 0, STEP_MS);
	}
}

/* --- what it came to ---------------------------------------------------------------- */

static void describe(const struct killing *k, char *out, size_t size)
{
	char grace[MP_HUMAN_LEN];

	if (!k->kill_ns)
		snprintf(out, size, "SIGTERM");
	else if (!k->term_ns)
		snprintf(out, size, "SIGKILL (%s)", k->why);
	else
		snprintf(out, size, "SIGTERM, then SIGKILL after %s%s%s%s",
			 mp_duration_format(k->kill_ns - k->term_ns, grace), *k->why ? " (" : "",
			 k->why, *k->why ? ")" : "");
}

static void finish(struct killing *k, int err)
{
	char size[MP_HUMAN_LEN];
	char took[MP_HUMAN_LEN];
	char how[128];

	describe(k, how, sizeof(how));
	mp_size_format(k->victim.memory_bytes, size);
	mp_duration_format(mp_clock_now_ns() - k->start_ns, took);
	if (!err)
		wait_drained(k);
	mp_job_sample_after(k->actions, k->job);
	if (!err)
		mp_job_end(k->job, MP_RESULT_DONE, "%s, %s: %s, ended after %s", k->victim.who.comm,
			   size, how, took);
	else if (err == -ETIMEDOUT)
		mp_job_end(k->job, MP_RESULT_FAILED, "%s, %s: %s, has not ended after %s",
			   k->victim.who.comm, size, how, took);
	else if (err == -ECANCELED)
		mp_job_end(k->job, MP_RESULT_FAILED, "%s, %s: %s, left to end: the monitor stops",
			   k->victim.who.comm, size, how);
	else
		mp_job_end(k->job, MP_RESULT_FAILED, "%s, %s: cannot be killed: %s",
			   k->victim.who.comm, size, strerror(-err));
}

/* 0 when it has ended. */
static int end_process(struct killing *k)
{
	int err;

	if (is_frozen(k)) {
		snprintf(k->why, sizeof(k->why), "it is frozen");
		return make_end(k);
	}
	err = ask_to_end(k);
	if (err)
		return err;
	if (wait_grace(k))
		return 0;
	return mp_scope_stopping(k->actions) ? -ECANCELED : make_end(k);
}

void mp_kill_work(struct mp_actions *actions, struct mp_job *job)
{
	struct killing k = {.actions = actions, .job = job, .pidfd = -1};

	k.start_ns = mp_clock_now_ns();
	/* The limit is what processes are weighed against. */
	if (!job->pid)
		mp_job_sample_before(actions, job);
	if ((job->pid ? pin_named(&k) : pin_worst(&k)) && still_over(&k)) {
		int err;

		job->acted_on = k.victim.who.pid;
		k.start_ns = mp_clock_now_ns();
		err = end_process(&k);
		/* Gone between two steps is gone. */
		finish(&k, err == -ESRCH ? 0 : err);
	}
	mp_close_p(&k.pidfd);
}
