// SPDX-License-Identifier: GPL-2.0-only
#include "action/hold.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "action/report.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/size.h"

struct mp_holds {
	struct mp_actions *actions;
	int timer_fd; /* for the next tick, while something is held */
	size_t n;
	struct mp_hold items[MP_HOLDS];
};

/* What is known of a domain now. Holds of one domain share it. */
struct look {
	bool done;
	const char *domain;
	int err;
	struct mp_domain_sample sample;
	bool has_stall;
	struct mp_psi_totals stall;
	uint64_t stall_ns;
};

enum why {
	WHY_ROOM = 0,
	WHY_DEADLINE,
	WHY_GROUP_GONE,
	WHY_PROCESS_GONE,
	WHY_END, /* of the monitor */
};

struct mp_holds *mp_holds_new(struct mp_actions *actions)
{
	/* All of it is there from the start: holding must not wait for memory. */
	struct mp_holds *holds = mmap(NULL, sizeof(*holds), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int fd;

	if (holds == MAP_FAILED)
		return NULL;
	holds->actions = actions;
	fd = mp_timer_new(0, 0);
	holds->timer_fd = fd;
	if (fd >= 0)
		return holds;
	munmap(holds, sizeof(*holds));
	errno = -fd;
	return NULL;
}

int mp_holds_fd(const struct mp_holds *holds)
{
	return holds->timer_fd;
}

/* --- looking at a domain -------------------------------------------------------- */

static bool same_domain(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void take_look(const struct mp_holds *holds, const char *domain, struct look *look)
{
	const struct mp_cgroups *cg = holds->actions->o.cgroups;

	if (look->done && same_domain(look->domain, domain))
		return;
	*look = (struct look){.done = true, .domain = domain};
	look->err = cg ? mp_domain_sample(cg, domain, &look->sample) : -EOPNOTSUPP;
	if (look->err)
		look->sample = (struct mp_domain_sample){.usage_pct = -1};
	look->has_stall = mp_stall_read(cg, domain, &look->stall);
	look->stall_ns = mp_clock_now_ns();
}

static void keep_stall(struct mp_hold *hold, const struct look *look)
{
	hold->has_stall = look->has_stall;
	hold->stall = look->stall;
	hold->stall_ns = look->stall_ns;
}

/* Stall since the last look, which is a tick ago. */
static double stall_since(const struct mp_hold *hold, const struct look *look)
{
	struct mp_psi_share share;

	if (!hold->has_stall || !look->has_stall ||
	    !mp_psi_between(&hold->stall, hold->stall_ns, &look->stall, look->stall_ns, &share))
		return -1;
	return share.some_pct;
}

/* --- the end of a hold ---------------------------------------------------------- */

static void describe_why(char *out, size_t size, enum why why, double usage_pct)
{
	static const char *const reasons[] = {
		[WHY_ROOM] = "room again",
		[WHY_DEADLINE] = "at its deadline",
		[WHY_GROUP_GONE] = "its group is gone",
		[WHY_PROCESS_GONE] = "its process has ended",
		[WHY_END] = "the monitor ends",
	};
	bool tells_usage = why != WHY_GROUP_GONE && usage_pct >= 0;

	if (tells_usage)
		snprintf(out, size, "%s (%.1f %% of the limit)", reasons[why], usage_pct);
	else
		snprintf(out, size, "%s", reasons[why]);
}

static void describe_end(struct mp_hold *hold, enum why why, int err, uint64_t held_ns)
{
	char because[96];
	char held[MP_HUMAN_LEN];

	describe_why(because, sizeof(because), why, hold->job.after.usage_pct);
	mp_duration_format(held_ns, held);
	/* A process or group that is gone is not held any more, which is all that was wanted. */
	if (err == 0 || err == -ESRCH || err == -ENOENT)
		mp_job_end(&hold->job, MP_RESULT_DONE, "%s after %s: %s", hold->ops->released, held,
			   because);
	else
		mp_job_end(&hold->job, MP_RESULT_FAILED, "not %s after %s (%s): %s",
			   hold->ops->released, held, because, strerror(-err));
}

static void end_hold(struct mp_holds *holds, struct mp_hold *hold, enum why why,
		     const struct look *look, uint64_t now_ns)
{
	uint64_t held_ns = now_ns > hold->since_ns ? now_ns - hold->since_ns : 0;
	int err = hold->ops->release(holds->actions, hold, now_ns);

	hold->job.after = look->sample;
	hold->job.some_after_pct = stall_since(hold, look);
	describe_end(hold, why, err, held_ns);
	mp_action_report_job(holds->actions, &hold->job, now_ns, held_ns);
	hold->ops = NULL;
	holds->n--;
	/* What the policy then decides may hold something again. */
	mp_action_look(holds->actions, &hold->job);
}

void mp_holds_release_all(struct mp_holds *holds)
{
	uint64_t now_ns = mp_clock_now_ns();
	struct look look = {0};

	for (size_t i = 0; holds && i < MP_HOLDS; i++) {
		struct mp_hold *hold = &holds->items[i];

		if (!hold->ops)
			continue;
		take_look(holds, mp_job_domain(&hold->job), &look);
		end_hold(holds, hold, WHY_END, &look, now_ns);
		look.done = false;
	}
}

void mp_holds_free(struct mp_holds *holds)
{
	if (!holds)
		return;
	mp_holds_release_all(holds);
	close(holds->timer_fd);
	munmap(holds, sizeof(*holds));
}

/* --- holding -------------------------------------------------------------------- */

static struct mp_hold *free_hold(struct mp_holds *holds)
{
	for (size_t i = 0; i < MP_HOLDS; i++) {
		if (!holds->items[i].ops)
			return &holds->items[i];
	}
	return NULL;
}

int mp_holds_begin(struct mp_holds *holds, const struct mp_hold_ops *ops, const struct mp_job *job,
		   uint64_t since_ns, uint64_t deadline_ns)
{
	struct mp_hold *hold = free_hold(holds);

	if (!hold)
		return -ENOSPC;
	hold->job = *job;
	hold->since_ns = since_ns;
	hold->deadline_ns = deadline_ns;
	hold->has_stall = false;
	hold->ops = ops;
	if (holds->n++ == 0)
		mp_timer_set(holds->timer_fd, MP_HOLD_TICK_NS);
	return 0;
}

bool mp_holds_has(const struct mp_holds *holds, const char *action, pid_t pid, const char *domain)
{
	for (size_t i = 0; i < MP_HOLDS; i++) {
		const struct mp_hold *hold = &holds->items[i];

		if (!hold->ops || strcmp(hold->ops->action, action) != 0)
			continue;
		if (pid ? hold->job.pid == pid : same_domain(mp_job_domain(&hold->job), domain))
			return true;
	}
	return false;
}

/* A limit that cannot be read is no room; one that is gone holds nobody back. */
static bool is_over(const struct mp_hold *hold, const struct look *look, uint64_t now_ns,
		    enum why *ret)
{
	if (look->err == -ENOENT)
		*ret = WHY_GROUP_GONE;
	else if (look->sample.usage_pct >= 0 && look->sample.usage_pct < hold->job.room_pct)
		*ret = WHY_ROOM;
	else if (now_ns >= hold->deadline_ns)
		*ret = WHY_DEADLINE;
	else
		return false;
	return true;
}

void mp_holds_tick(struct mp_holds *holds, uint64_t now_ns)
{
	struct look look = {0};

	mp_timer_clear(holds->timer_fd);
	for (size_t i = 0; i < MP_HOLDS; i++) {
		struct mp_hold *hold = &holds->items[i];
		enum why why;

		if (!hold->ops)
			continue;
		take_look(holds, mp_job_domain(&hold->job), &look);
		if (!is_over(hold, &look, now_ns, &why)) {
			keep_stall(hold, &look);
			continue;
		}
		end_hold(holds, hold, why, &look, now_ns);
		/* Its name is gone with the hold, and its memory may be another's now. */
		look.done = false;
	}
	if (holds->n)
		mp_timer_set(holds->timer_fd, MP_HOLD_TICK_NS);
}

void mp_holds_process_gone(struct mp_holds *holds, pid_t pid)
{
	uint64_t now_ns = mp_clock_now_ns();

	for (size_t i = 0; i < MP_HOLDS; i++) {
		struct mp_hold *hold = &holds->items[i];
		struct look look = {0};

		if (!hold->ops || !hold->ops->of_process || hold->job.pid != pid)
			continue;
		take_look(holds, mp_job_domain(&hold->job), &look);
		end_hold(holds, hold, WHY_PROCESS_GONE, &look, now_ns);
	}
}
