// SPDX-License-Identifier: GPL-2.0-only
#include "source/pressure.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cgroup/control.h"
#include "source/pressure_kind.h"

/* A source that has told something says the same again after this at the earliest. */
#define QUIET_NS 100000000ULL
/* How long a domain is reported on after it was last above normal, at least. */
#define ATTENTION_NS 5000000000ULL

static const struct mp_pressure_kind *const kinds[] = {
	&mp_pressure_psi,
	&mp_pressure_memory_events,
	&mp_pressure_memcg_v1,
};

struct mp_pressure {
	struct mp_loop *loop;
	const struct mp_cgroups *cgroups;
	const struct mp_policy *policy;
	mp_event_fn fn;
	void *data;
	int timer; /* ends the quiet of all watches that are left alone */
	bool timer_runs;
	struct mp_pressure_domain *domains;
};

/* --- watches -------------------------------------------------------------------- */

static void on_ready(void *data);

static int listen_to(struct mp_pressure_watch *watch, int fd)
{
	struct mp_loop *loop = watch->domain->pressure->loop;

	return watch->kind->is_urgent ? mp_loop_add_priority(loop, fd, on_ready, watch)
				      : mp_loop_add(loop, fd, on_ready, watch);
}

void mp_pressure_close_fds(struct mp_pressure_watch *watch)
{
	while (watch->n_fds)
		close(watch->fds[--watch->n_fds]);
}

static void close_watch(struct mp_pressure_watch *watch)
{
	if (!watch->kind)
		return;
	for (size_t i = 0; i < watch->n_fds; i++)
		mp_loop_remove(watch->domain->pressure->loop, watch->fds[i]);
	watch->kind->close(watch);
	watch->kind = NULL;
	watch->n_quiet = 0;
}

/* What a domain does not have, or cannot have here, leaves it to the other sources. */
static void open_watch(struct mp_pressure_domain *domain, const struct mp_pressure_kind *kind,
		       struct mp_pressure_watch *watch)
{
	const struct mp_pressure *p = domain->pressure;
	int err;

	watch->kind = kind;
	watch->domain = domain;
	err = kind->open(watch, p->cgroups, p->policy);
	for (size_t i = 0; !err && i < watch->n_fds; i++)
		err = listen_to(watch, watch->fds[i]);
	if (err)
		close_watch(watch);
}

/* Leaves the first fds of a watch alone until the timer fires. */
static void make_quiet(struct mp_pressure_watch *watch, size_t n)
{
	struct mp_pressure *p = watch->domain->pressure;

	if (n > watch->n_fds)
		n = watch->n_fds;
	while (watch->n_quiet < n)
		mp_loop_remove(p->loop, watch->fds[watch->n_quiet++]);
	if (!watch->n_quiet || p->timer_runs)
		return;
	mp_timer_set(p->timer, QUIET_NS);
	p->timer_runs = true;
}

static uint64_t increment(uint64_t before, uint64_t now)
{
	if (before == MP_UNKNOWN || now == MP_UNKNOWN)
		return MP_UNKNOWN;
	return now > before ? now - before : 0;
}

static bool is_some(uint64_t n)
{
	return n && n != MP_UNKNOWN;
}

bool mp_pressure_count(struct mp_pressure_watch *watch, const struct mp_cgroup_events *now,
		       struct mp_event_pressure *event)
{
	const struct mp_cgroup_events *seen = &watch->seen;

	event->low = increment(seen->low, now->low);
	event->high = increment(seen->high, now->high);
	event->max = increment(seen->max, now->max);
	event->oom = increment(seen->oom, now->oom);
	event->oom_kill = increment(seen->oom_kill, now->oom_kill);
	watch->seen = *now;
	return is_some(event->low) || is_some(event->high) || is_some(event->max) ||
	       is_some(event->oom) || is_some(event->oom_kill);
}

/* --- domains -------------------------------------------------------------------- */

static void close_domain(struct mp_pressure_domain *domain)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++)
		close_watch(&domain->watches[i]);
	mp_psi_free(domain->psi);
	domain->psi = NULL;
	domain->gone = true;
}

static void free_domain(struct mp_pressure_domain *domain)
{
	free(domain->watches);
	free(domain->path);
	free(domain);
}

/* Not while the list is walked or a watch's handler runs: events lead to calls back here. */
static void free_gone(struct mp_pressure *p)
{
	struct mp_pressure_domain **at = &p->domains;

	while (*at) {
		struct mp_pressure_domain *domain = *at;

		if (domain->gone) {
			*at = domain->next;
			free_domain(domain);
		} else {
			at = &domain->next;
		}
	}
}

static struct mp_pressure_domain *find_domain(const struct mp_pressure *p, const char *path)
{
	for (struct mp_pressure_domain *d = p->domains; d; d = d->next) {
		if (d->gone || !d->path != !path)
			continue;
		if (!path || strcmp(d->path, path) == 0)
			return d;
	}
	return NULL;
}

static struct mp_pressure_domain *new_domain(struct mp_pressure *p, const char *path)
{
	struct mp_pressure_domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->pressure = p;
	domain->watches = calloc(MP_ARRAY_SIZE(kinds), sizeof(*domain->watches));
	domain->path = path ? strdup(path) : NULL;
	if (!domain->watches || (path && !domain->path)) {
		free_domain(domain);
		return NULL;
	}
	return domain;
}

/*
 * A group's own file in pure v2 alone: in a hybrid the tasks of a v1 memory group can
 * be anywhere in the v2 tree.
 */
static int psi_path(const struct mp_cgroups *cg, const char *path, char out[PATH_MAX])
{
	if (!path)
		return mp_fsroot_path(&cg->fs, out, MP_PRESSURE_HOST_PSI);
	return cg->mode == MP_CGROUP_V2 ? mp_cgroup_psi_path(cg, path, out) : -EOPNOTSUPP;
}

static void open_psi(struct mp_pressure_domain *domain)
{
	const struct mp_pressure *p = domain->pressure;
	char path[PATH_MAX];

	if (psi_path(p->cgroups, domain->path, path) == 0)
		mp_psi_new(path, p->policy->some_pct, p->policy->window_ns, &domain->psi);
}

int mp_pressure_add(struct mp_pressure *p, const char *path)
{
	struct mp_pressure_domain *domain;
	struct mp_domain_sample sample;
	int err;

	if (find_domain(p, path))
		return 0;
	err = mp_domain_glance(p->cgroups, path, &sample);
	if (err)
		return err;
	domain = new_domain(p, path);
	if (!domain)
		return -ENOMEM;
	open_psi(domain);
	for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++)
		open_watch(domain, kinds[i], &domain->watches[i]);
	domain->next = p->domains;
	p->domains = domain;
	return 0;
}

/* --- events --------------------------------------------------------------------- */

static struct mp_event_pressure blank_event(const struct mp_pressure_domain *domain,
					    enum mp_pressure_source source)
{
	struct mp_event_pressure event = mp_event_pressure_blank(source);

	event.cgroup = domain->path;
	return event;
}

static bool is_stalled(const struct mp_policy *policy, const struct mp_event_pressure *event)
{
	return event->some_pct >= policy->some_pct || event->full_pct >= policy->full_pct;
}

/* A domain that has been above normal is back only below the hysteresis. */
static bool is_used(const struct mp_pressure_domain *domain, double usage_pct, uint64_t now_ns)
{
	const struct mp_policy *policy = domain->pressure->policy;
	double threshold = policy->threshold_pct[MP_SEVERITY_WARNING];

	if (now_ns < domain->attentive_until_ns)
		threshold -= policy->hysteresis_pct;
	return usage_pct >= threshold;
}

/* Long enough that the policy, which holds a severity for a while, sees the calm after it. */
static void be_attentive(struct mp_pressure_domain *domain, uint64_t now_ns)
{
	const struct mp_policy *policy = domain->pressure->policy;
	uint64_t hold_ns = policy->dwell_ns + policy->window_ns;

	domain->attentive_until_ns = now_ns + (hold_ns > ATTENTION_NS ? hold_ns : ATTENTION_NS);
}

/* Fills in the memory of the domain. -ENOENT when it is gone. */
static int add_memory(const struct mp_pressure_domain *domain, struct mp_event_pressure *event)
{
	struct mp_domain_sample now;
	int err = mp_domain_sample(domain->pressure->cgroups, domain->path, &now);

	if (err)
		return err;
	event->usage = now.usage;
	event->working_set = now.working_set;
	event->limit = now.limit;
	event->usage_pct = now.usage_pct;
	return 0;
}

static void emit(const struct mp_pressure_domain *domain, const struct mp_event_pressure *pressure,
		 uint64_t now_ns)
{
	const struct mp_pressure *p = domain->pressure;
	const struct mp_event event = {
		.type = MP_EVENT_PRESSURE,
		.ts_ns = now_ns,
		.realtime_ns = now_ns + (uint64_t)mp_clock_realtime_offset_ns(),
		.pressure = *pressure,
	};

	p->fn(p->data, &event);
}

/* One source of a domain has something: tells it, and keeps it from saying so at once again. */
static void take(struct mp_pressure_watch *watch)
{
	struct mp_pressure_domain *domain = watch->domain;
	const struct mp_pressure *p = domain->pressure;
	struct mp_event_pressure event = blank_event(domain, watch->kind->source);
	uint64_t now_ns = mp_clock_now_ns();
	size_t quiet = 0;
	int ret = watch->kind->take(watch, p->cgroups, now_ns, &event, &quiet);

	if (ret == -ENOENT || (ret > 0 && add_memory(domain, &event) == -ENOENT)) {
		close_domain(domain);
		return;
	}
	/* What cannot be read just now (no fd, no memory) is tried again later. */
	make_quiet(watch, ret < 0 ? watch->n_fds : quiet);
	if (ret <= 0)
		return;
	if (is_stalled(p->policy, &event) || is_used(domain, event.usage_pct, now_ns))
		be_attentive(domain, now_ns);
	emit(domain, &event, now_ns);
}

static void on_ready(void *data)
{
	take(data);
}

/* What came during the quiet is told now, and prolongs it. */
static void end_quiet(struct mp_pressure_watch *watch)
{
	size_t before = watch->n_quiet;

	if (!watch->kind || !before)
		return;
	watch->n_quiet = 0;
	take(watch);
	if (!watch->kind)
		return;
	for (size_t i = watch->n_quiet; i < before; i++)
		listen_to(watch, watch->fds[i]);
}

static void on_timer(void *data)
{
	struct mp_pressure *p = data;

	mp_timer_clear(p->timer);
	p->timer_runs = false;
	for (struct mp_pressure_domain *d = p->domains; d; d = d->next) {
		for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++)
			end_quiet(&d->watches[i]);
	}
}

/* --- the clock's part ----------------------------------------------------------- */

/* Takes the domain's stall. False when that showed that the group is gone. */
static bool take_stall(struct mp_pressure_domain *domain, uint64_t now_ns,
		       struct mp_event_pressure *event)
{
	if (!domain->psi || mp_pressure_take_stall(domain->psi, now_ns, event) != -ENOENT)
		return true;
	close_domain(domain);
	return false;
}

/* Puts out what the clock sees: always while there is attention, else when it is above normal. */
static void report(struct mp_pressure_domain *domain, struct mp_event_pressure *event,
		   uint64_t now_ns)
{
	const struct mp_policy *policy = domain->pressure->policy;
	bool stalled = is_stalled(policy, event);
	bool used;

	if (add_memory(domain, event) == -ENOENT) {
		close_domain(domain);
		return;
	}
	used = is_used(domain, event->usage_pct, now_ns);
	if (used || stalled)
		be_attentive(domain, now_ns);
	else if (now_ns >= domain->attentive_until_ns)
		return;
	event->source = stalled && !used ? MP_PRESSURE_PSI : MP_PRESSURE_USAGE;
	emit(domain, event, now_ns);
}

static void tick(struct mp_pressure_domain *domain, uint64_t now_ns)
{
	const struct mp_pressure *p = domain->pressure;
	struct mp_event_pressure event = blank_event(domain, MP_PRESSURE_USAGE);
	struct mp_domain_sample glance;
	int err;

	if (!take_stall(domain, now_ns, &event))
		return;
	err = mp_domain_glance(p->cgroups, domain->path, &glance);
	if (err == -ENOENT)
		close_domain(domain);
	if (err)
		return;
	if (now_ns < domain->attentive_until_ns || is_stalled(p->policy, &event) ||
	    is_used(domain, glance.usage_pct, now_ns))
		report(domain, &event, now_ns);
}

void mp_pressure_tick(struct mp_pressure *p, uint64_t now_ns)
{
	free_gone(p);
	for (struct mp_pressure_domain *d = p->domains; d; d = d->next) {
		if (!d->gone)
			tick(d, now_ns);
	}
}

void mp_pressure_attend(struct mp_pressure *p, const char *path, uint64_t now_ns)
{
	struct mp_pressure_domain *domain = find_domain(p, path);

	if (domain)
		be_attentive(domain, now_ns);
}

void mp_pressure_look(struct mp_pressure *p, const char *path, uint64_t now_ns)
{
	struct mp_pressure_domain *domain = find_domain(p, path);
	struct mp_event_pressure event;

	if (!domain)
		return;
	event = blank_event(domain, MP_PRESSURE_USAGE);
	if (!take_stall(domain, now_ns, &event))
		return;
	be_attentive(domain, now_ns);
	report(domain, &event, now_ns);
}

/* --- as a whole ----------------------------------------------------------------- */

struct mp_pressure *mp_pressure_new(struct mp_loop *loop, const struct mp_cgroups *cgroups,
				    const struct mp_policy *policy, mp_event_fn fn, void *data)
{
	struct mp_pressure *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = loop;
	p->cgroups = cgroups;
	p->policy = policy;
	p->fn = fn;
	p->data = data;
	p->timer = mp_timer_new(0, 0);
	if (p->timer < 0 || mp_loop_add(loop, p->timer, on_timer, p)) {
		mp_pressure_free(p);
		return NULL;
	}
	return p;
}

void mp_pressure_free(struct mp_pressure *p)
{
	if (!p)
		return;
	for (struct mp_pressure_domain *d = p->domains; d; d = d->next)
		close_domain(d);
	free_gone(p);
	if (p->timer >= 0) {
		mp_loop_remove(p->loop, p->timer);
		close(p->timer);
	}
	free(p);
}
