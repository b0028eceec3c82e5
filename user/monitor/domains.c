// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/domains.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"

#define STALE_NS 10000000ULL
#define MAX_DOMAINS 1024
#define HOST 0 /* its id */

struct domain {
	uint64_t id;
	char *path;    /* NULL: the host, or the group is gone */
	bool followed; /* a target is in it: its limiting group is a domain */
	bool sampled;  /* some event named its limit */
	bool watched;  /* the sources know of it */
	enum mp_severity severity;
	uint64_t reclaimable;
	uint64_t working_set; /* when it was sampled last, as is its limit */
	uint64_t limit;
	uint64_t sampled_ns;
};

struct mp_domains {
	const struct mp_cgroups *cgroups;
	struct mp_bpf *bpf;
	struct mp_pressure *pressure;
	const struct mp_policy *policy;
	void *tree; /* tsearch tree of struct domain, by id */
	struct domain *all[MAX_DOMAINS];
	size_t n;
	size_t n_alarmed; /* above normal */
	uint64_t host_used;
	uint64_t host_total;
	uint64_t host_sampled_ns;
};

static void domain_free(void *data)
{
	struct domain *domain = data;

	free(domain->path);
	free(domain);
}

void mp_domains_free(struct mp_domains *d)
{
	if (!d)
		return;
	tdestroy(d->tree, domain_free);
	free(d);
}

static int compare_domains(const void *a, const void *b)
{
	const struct domain *x = a;
	const struct domain *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* By the process that named it, which is quick; else by a walk of the tree. */
static char *find_path(const struct mp_domains *d, uint64_t id, pid_t pid)
{
	char *path = NULL;
	uint64_t found;

	if (mp_cgroup_of_pid(d->cgroups, pid, &path) == 0) {
		if (mp_cgroup_id(d->cgroups, path, &found) == 0 && found == id)
			return path;
		free(path);
		path = NULL;
	}
	mp_cgroup_by_id(d->cgroups, id, &path);
	return path;
}

/* Too many to remember: from the beginning. What is still there comes back by its events. */
static void forget_all(struct mp_domains *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->all[i]->watched)
			mp_bpf_forget_domain(d->bpf, d->all[i]->id);
	}
	tdestroy(d->tree, domain_free);
	d->tree = NULL;
	d->n = 0;
	d->n_alarmed = 0;
}

/* `path` becomes the domain's, also when that fails. */
static struct domain *add_domain(struct mp_domains *d, uint64_t id, char *path)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (d->n >= MAX_DOMAINS)
		forget_all(d);
	if (!domain) {
		free(path);
		return NULL;
	}
	domain->id = id;
	domain->path = path;
	domain->reclaimable = domain->working_set = domain->limit = MP_UNKNOWN;
	if (!tsearch(domain, &d->tree, compare_domains)) {
		domain_free(domain);
		return NULL;
	}
	d->all[d->n++] = domain;
	return domain;
}

static struct domain *find_domain(const struct mp_domains *d, uint64_t id)
{
	const struct domain key = {.id = id};
	void *found = tfind(&key, &d->tree, compare_domains);

	return found ? *(struct domain **)found : NULL;
}

static struct domain *get_domain(struct mp_domains *d, uint64_t id, pid_t pid)
{
	struct domain *domain = find_domain(d, id);

	return domain ? domain : add_domain(d, id, find_path(d, id, pid));
}

/* A source that cannot be had for a group is missing there; the others go on. */
static void watch(struct mp_domains *d, struct domain *domain)
{
	if (domain->watched || !d->pressure || (domain->id != HOST && !domain->path))
		return;
	domain->watched = true;
	mp_bpf_watch_domain(d->bpf, domain->id);
	mp_pressure_add(d->pressure, domain->path);
}

struct mp_domains *mp_domains_new(const struct mp_cgroups *cgroups, struct mp_bpf *bpf,
				  struct mp_pressure *pressure, const struct mp_policy *policy)
{
	struct mp_domains *d = calloc(1, sizeof(*d));
	struct domain *host;

	if (!d)
		return NULL;
	d->cgroups = cgroups;
	d->bpf = bpf;
	d->pressure = pressure;
	d->policy = policy;
	d->host_used = d->host_total = MP_UNKNOWN;
	host = add_domain(d, HOST, NULL);
	if (!host) {
		free(d);
		return NULL;
	}
	watch(d, host);
	return d;
}

/* --- who is in which domain -------------------------------------------------- */

static struct domain *by_path(struct mp_domains *d, const char *path)
{
	uint64_t id;

	if (!path)
		return find_domain(d, HOST);
	for (size_t i = 0; i < d->n; i++) {
		if (d->all[i]->path && strcmp(d->all[i]->path, path) == 0)
			return d->all[i];
	}
	if (mp_cgroup_id(d->cgroups, path, &id))
		return NULL;
	return find_domain(d, id) ?: add_domain(d, id, strdup(path));
}

static void watch_limit(struct mp_domains *d, const struct domain *group)
{
	MP_FREE char *owner = NULL;
	struct domain *domain;
	uint64_t limit;

	if (!group->path || mp_cgroup_effective_limit(d->cgroups, group->path, &limit, &owner) ||
	    !owner)
		return;
	domain = by_path(d, owner);
	if (domain)
		watch(d, domain);
}

void mp_domains_follow(struct mp_domains *d, pid_t pid)
{
	MP_FREE char *path = NULL;
	struct domain *group;

	if (mp_cgroup_of_pid(d->cgroups, pid, &path))
		return;
	group = by_path(d, path);
	if (!group || group->followed)
		return;
	group->followed = true;
	watch_limit(d, group);
}

/* --- samples ------------------------------------------------------------------- */

static void sample_domain(struct mp_domains *d, struct domain *domain, uint64_t now_ns)
{
	struct mp_cgroup_sample sample;

	domain->sampled_ns = now_ns;
	if (!domain->path || mp_cgroup_sample(d->cgroups, domain->path, &sample))
		return;
	domain->reclaimable = sample.inactive_file;
	domain->working_set = sample.working_set;
	domain->limit = sample.limit;
	if (sample.inactive_file != MP_UNKNOWN)
		mp_bpf_set_reclaimable(d->bpf, domain->id, sample.inactive_file);
}

static void sample_host(struct mp_domains *d, uint64_t now_ns)
{
	uint64_t total;
	uint64_t available;

	d->host_sampled_ns = now_ns;
	if (mp_host_memory(&d->cgroups->fs, &total, &available))
		return;
	d->host_used = total > available ? total - available : 0;
	d->host_total = total;
	mp_bpf_set_host_used(d->bpf, d->host_used);
}

void mp_domains_refresh(struct mp_domains *d, uint64_t now_ns)
{
	size_t n = d->n;

	sample_host(d, now_ns);
	for (size_t i = 0; i < n && i < d->n; i++) {
		struct domain *domain = d->all[i];

		if (domain->id != HOST && (domain->sampled || domain->watched))
			sample_domain(d, domain, now_ns);
		if (domain->followed)
			watch_limit(d, domain);
	}
}

static void flush_domain(struct mp_domains *d, const struct domain *domain, uint64_t now_ns,
			 mp_event_fn fn, void *data)
{
	struct mp_event event = {.type = MP_EVENT_PRESSURE, .ts_ns = now_ns};
	struct mp_event_pressure *e = &event.pressure;
	struct mp_domain_sample sample;

	if (!mp_bpf_take_reclaim(d->bpf, domain->id, now_ns, e))
		return;
	e->cgroup = domain->path;
	if (mp_domain_sample(d->cgroups, domain->path, &sample) == 0) {
		e->usage = sample.usage;
		e->working_set = sample.working_set;
		e->limit = sample.limit;
		e->usage_pct = sample.usage_pct;
	}
	fn(data, &event);
}

void mp_domains_flush(struct mp_domains *d, uint64_t now_ns, mp_event_fn fn, void *data)
{
	/* What is put out can make all domains be forgotten. */
	for (size_t i = 0; i < d->n; i++) {
		if (d->all[i]->watched)
			flush_domain(d, d->all[i], now_ns, fn, data);
	}
}

void mp_domains_each(const struct mp_domains *d,
		     void (*fn)(void *data, const char *path,
				const struct mp_domain_sample *sample),
		     void *data)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct domain *domain = d->all[i];
		struct mp_domain_sample sample = {.working_set = domain->working_set,
						  .limit = domain->limit};

		if (domain->id == HOST)
			sample = (struct mp_domain_sample){.working_set = d->host_used,
							   .limit = d->host_total};
		if (domain->watched)
			fn(data, domain->path, &sample);
	}
}

/* --- events --------------------------------------------------------------------- */

/* Of a probe or a pressure event. */
struct reading {
	uint64_t usage;
	uint64_t limit;
	uint64_t working_set;
	double usage_pct;
};

static bool is_alarming(const struct mp_domains *d, const struct reading *r)
{
	return r->usage_pct >= d->policy->threshold_pct[MP_SEVERITY_WARNING];
}

static void set_working_set(struct reading *r, uint64_t working_set)
{
	r->working_set = working_set;
	r->usage_pct = mp_percent(working_set, r->limit);
}

static void judge_host(struct mp_domains *d, struct reading *r, uint64_t now_ns)
{
	set_working_set(r, d->host_used);
	if (!is_alarming(d, r) || now_ns - d->host_sampled_ns < STALE_NS)
		return;
	sample_host(d, now_ns);
	set_working_set(r, d->host_used);
}

static void judge_limited(struct mp_domains *d, struct domain *domain, struct reading *r,
			  uint64_t now_ns)
{
	if (!domain->sampled) {
		domain->sampled = true;
		sample_domain(d, domain, now_ns);
	}
	set_working_set(r, mp_decode_working_set(r->usage, domain->reclaimable));
	if (!is_alarming(d, r) || now_ns - domain->sampled_ns < STALE_NS)
		return;
	sample_domain(d, domain, now_ns);
	set_working_set(r, mp_decode_working_set(r->usage, domain->reclaimable));
}

/* Working set and percentage; returns the domain's path, NULL for the host. */
static const char *judge(struct mp_domains *d, const struct mp_decoded *record, uint32_t pid,
			 struct reading *r, uint64_t now_ns)
{
	struct domain *domain;

	r->working_set = MP_UNKNOWN;
	r->usage_pct = -1;
	if (!record->limit_cgroup_id) {
		judge_host(d, r, now_ns);
		return NULL;
	}
	domain = get_domain(d, record->limit_cgroup_id, (pid_t)pid);
	if (!domain)
		return NULL;
	judge_limited(d, domain, r, now_ns);
	watch(d, domain);
	return domain->path;
}

static void enrich_probe(struct mp_domains *d, struct mp_decoded *record, uint64_t now_ns)
{
	struct mp_event_probe *probe = &record->event.probe;
	struct reading r = {.usage = probe->usage, .limit = probe->limit};

	probe->limit_cgroup = judge(d, record, probe->pid, &r, now_ns);
	probe->working_set = r.working_set;
	probe->usage_pct = r.usage_pct;
	if (record->cgroup_id) {
		const struct domain *own = get_domain(d, record->cgroup_id, (pid_t)probe->pid);

		probe->cgroup = own ? own->path : NULL;
	}
}

static void enrich_pressure(struct mp_domains *d, struct mp_decoded *record, uint64_t now_ns)
{
	struct mp_event_pressure *e = &record->event.pressure;
	struct reading r = {.usage = e->usage, .limit = e->limit};

	e->cgroup = judge(d, record, e->pid, &r, now_ns);
	e->working_set = r.working_set;
	e->usage_pct = r.usage_pct;
}

void mp_domains_enrich(struct mp_domains *d, struct mp_decoded *record, uint64_t now_ns)
{
	if (record->event.type == MP_EVENT_PROBE)
		enrich_probe(d, record, now_ns);
	else
		enrich_pressure(d, record, now_ns);
}

const char *mp_domains_path(const struct mp_domains *d, uint64_t id)
{
	const struct domain *domain = find_domain(d, id);

	return domain ? domain->path : NULL;
}

void mp_domains_set_severity(struct mp_domains *d, const char *path, enum mp_severity severity)
{
	struct domain *domain = by_path(d, path);

	if (!domain || !domain->watched)
		return;
	/* In any case: the kernel side may have raised its own since. */
	mp_bpf_set_severity(d->bpf, domain->id, severity);
	if (domain->severity != MP_SEVERITY_NORMAL)
		d->n_alarmed--;
	if (severity != MP_SEVERITY_NORMAL)
		d->n_alarmed++;
	domain->severity = severity;
	mp_bpf_count_memcg_events(d->bpf, d->n_alarmed > 0);
	if (severity != MP_SEVERITY_NORMAL)
		mp_pressure_attend(d->pressure, domain->path, mp_clock_now_ns());
}
