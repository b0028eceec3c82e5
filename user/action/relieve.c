// SPDX-License-Identifier: GPL-2.0-only
/* Asks processes to give memory back, in turn until there is enough; see docs/relief.md. */
#include <errno.h>
#include <string.h>

#include "action/relief_client.h"
#include "action/report.h"
#include "action/scope.h"
#include "action/status.h"
#include "base/clock.h"
#include "base/size.h"
#include "base/text.h"

#define MAX_NS 2000000000ULL
#define MIN_SHARE_NS 100000000ULL /* of one process, however many are left to be asked */

struct asking {
	struct mp_actions *actions;
	struct mp_job *job;
	uint64_t deadline_ns;
	uint64_t freed_bytes; /* as the processes say */
	uint64_t callbacks;
	unsigned int done;
	unsigned int nothing;
	unsigned int busy;
	unsigned int failed;
	unsigned int absent;
	unsigned int stopped;
	const char *why; /* of the last that failed */
};

static void count_reply(struct asking *a, const struct mp_relief_reply *reply)
{
	switch ((enum mp_relief_status)reply->status) {
	case MP_RELIEF_DONE:
		a->done++;
		/* It may say anything: a sum that wraps would be small again. */
		if (__builtin_add_overflow(a->freed_bytes, reply->freed_bytes, &a->freed_bytes))
			a->freed_bytes = MP_UNKNOWN;
		a->callbacks += reply->callbacks;
		break;
	case MP_RELIEF_NOTHING:
		a->nothing++;
		break;
	case MP_RELIEF_BUSY:
		a->busy++;
		break;
	case MP_RELIEF_FAILED:
		a->failed++;
		a->why = "it says that it could not";
		break;
	}
}

/* What is still too much; the question is not put when nothing is. */
static bool wanted(const struct asking *a, uint64_t *ret)
{
	struct mp_domain_sample now;

	*ret = 0;
	if (mp_domain_sample(a->actions->o.cgroups, mp_job_domain(a->job), &now))
		return true;
	return !mp_scope_wanted(a->actions->o.policy, a->job->severity, &now, ret) || *ret > 0;
}

static void ask(struct asking *a, pid_t pid, const struct mp_status *status, uint64_t wanted_bytes,
		uint64_t share_ns)
{
	struct mp_relief_peer peer = {pid, status->own_pid, status->uid};
	uint64_t now = mp_clock_now_ns();
	uint64_t deadline = now + share_ns < a->deadline_ns ? now + share_ns : a->deadline_ns;
	struct mp_relief_reply reply;
	struct mp_relief_request request = {
		.severity = (uint16_t)a->job->severity,
		.id = now, /* no two requests of this monitor to a process at once: never the same
			    */
		.wanted_bytes = wanted_bytes,
	};
	const char *why;
	int err =
		mp_relief_ask(&a->actions->o.cgroups->fs, &peer, &request, deadline, &reply, &why);

	if (!err) {
		count_reply(a, &reply);
	} else if (err == -ENOENT) {
		a->absent++;
	} else {
		a->failed++;
		a->why = why;
	}
}

static void visit(struct asking *a, pid_t pid, uint64_t wanted_bytes, uint64_t share_ns)
{
	struct mp_status status;

	if (mp_status_read(&a->actions->o.cgroups->fs, pid, &status) || !status.has_memory)
		a->absent++;
	else if (status.state == 'T' || status.state == 't')
		a->stopped++;
	else
		ask(a, pid, &status, wanted_bytes, share_ns);
}

/* Each has its share of the time that is left, so that one that hangs leaves some to the others. */
static int visit_members(struct asking *a, pid_t but)
{
	struct mp_pids MP_PIDS members = {0};
	int err = mp_scope_members(a->actions, a->job, &members);

	for (size_t i = 0; i < members.n && !err; i++) {
		uint64_t now = mp_clock_now_ns();
		uint64_t share;
		uint64_t bytes;

		if (members.pids[i] == but)
			continue;
		if (now >= a->deadline_ns || mp_scope_stopping(a->actions) || !wanted(a, &bytes))
			break;
		share = (a->deadline_ns - now) / (members.n - i);
		visit(a, members.pids[i], bytes, share < MIN_SHARE_NS ? MIN_SHARE_NS : share);
	}
	return err;
}

/* A process that is stopped cannot answer: the others of its domain are asked instead. */
static int visit_all(struct asking *a)
{
	uint64_t bytes;

	if (!a->job->pid)
		return visit_members(a, 0);
	(void)wanted(a, &bytes);
	visit(a, a->job->pid, bytes, MAX_NS);
	return a->stopped ? visit_members(a, a->job->pid) : 0;
}

static void describe(const struct asking *a, struct mp_text *out)
{
	if (a->done) {
		char freed[MP_HUMAN_LEN];

		mp_text_printf(out, "; %u gave back %s by own measure, in %llu callbacks", a->done,
			       mp_size_format(a->freed_bytes, freed),
			       (unsigned long long)a->callbacks);
	}
	if (a->nothing)
		mp_text_printf(out, "; %u with nothing to give back", a->nothing);
	if (a->busy)
		mp_text_printf(out, "; %u busy with an earlier request", a->busy);
	if (a->failed)
		mp_text_printf(out, "; %u failed: %s", a->failed, a->why);
	if (a->stopped)
		mp_text_printf(out, "; %u stopped and cannot answer", a->stopped);
	if (a->absent)
		mp_text_printf(out, "; %u without an agent that listens (libmemprobe's)",
			       a->absent);
	if (!out->len)
		mp_text_puts(out, "; no target in the domain");
}

static enum mp_action_result result_of(const struct asking *a)
{
	if (a->done)
		return MP_RESULT_DONE;
	return a->failed ? MP_RESULT_FAILED : MP_RESULT_SKIPPED;
}

void mp_relieve_work(struct mp_actions *actions, struct mp_job *job)
{
	struct asking a = {
		.actions = actions,
		.job = job,
		.deadline_ns = mp_clock_now_ns() + MAX_NS,
	};
	struct mp_text MP_TEXT said = {0};
	int err;

	mp_job_sample_before(actions, job);
	err = visit_all(&a);
	mp_job_sample_after(actions, job);
	if (err) {
		mp_job_end(job, MP_RESULT_FAILED, "%s", strerror(-err));
		return;
	}
	describe(&a, &said);
	mp_job_end(job, result_of(&a), "%s", said.failed ? "" : said.data + strlen("; "));
}
