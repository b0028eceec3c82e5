// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/domains.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#define STALE_NS 10000000ULL
#define MAX_DOMAINS 1024

struct domain {
	uint64_t id;
	char *path;    /* NULL: the group is gone */
	bool is_limit; /* some event named its limit: it is sampled */
	uint64_t reclaimable;
	uint64_t sampled_ns;
};

struct mp_domains {
	const struct mp_cgroups *cgroups;
	struct mp_bpf *bpf;
	const struct mp_policy *policy;
	void *tree; /* tsearch tree of struct domain, by id */
	size_t n;
	uint64_t host_used;
	uint64_t host_sampled_ns;
};

struct mp_domains *mp_domains_new(const struct mp_cgroups *cgroups, struct mp_bpf *bpf,
				  const struct mp_policy *policy)
{
	struct mp_domains *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->cgroups = cgroups;
	d->bpf = bpf;
	d->policy = policy;
	d->host_used = MP_UNKNOWN;
	return d;
}

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

static struct domain *get_domain(struct mp_domains *d, uint64_t id, pid_t pid)
{
	const struct domain key = {.id = id};
	void *found = tfind(&key, &d->tree, compare_domains);
	struct domain *domain;

	if (found)
		return *(struct domain **)found;
	if (d->n >= MAX_DOMAINS) {
		tdestroy(d->tree, domain_free);
		d->tree = NULL;
		d->n = 0;
	}
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return NULL;
	domain->id = id;
	domain->reclaimable = MP_UNKNOWN;
	domain->path = find_path(d, id, pid);
	if (!tsearch(domain, &d->tree, compare_domains)) {
		domain_free(domain);
		return NULL;
	}
	d->n++;
	return domain;
}

static void sample_domain(struct mp_domains *d, struct domain *domain, uint64_t now_ns)
{
	struct mp_cgroup_sample sample;

	domain->sampled_ns = now_ns;
	if (!domain->path || mp_cgroup_sample(d->cgroups, domain->path, &sample))
		return;
	domain->reclaimable = sample.inactive_file;
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
	mp_bpf_set_host_used(d->bpf, d->host_used);
}

struct refresh {
	struct mp_domains *domains;
	uint64_t now_ns;
};

static void refresh_node(const void *node, VISIT visit, void *data)
{
	struct domain *domain = *(struct domain *const *)node;
	struct refresh *r = data;

	if ((visit == postorder || visit == leaf) && domain->is_limit)
		sample_domain(r->domains, domain, r->now_ns);
}

void mp_domains_refresh(struct mp_domains *d, uint64_t now_ns)
{
	struct refresh r = {d, now_ns};

	sample_host(d, now_ns);
	twalk_r(d->tree, refresh_node, &r);
}

static bool is_alarming(const struct mp_domains *d, const struct mp_event_probe *probe)
{
	return probe->usage_pct >= d->policy->threshold_pct[MP_SEVERITY_WARNING];
}

static void enrich_host(struct mp_domains *d, struct mp_event_probe *probe, uint64_t now_ns)
{
	mp_decode_working_set(probe, true, MP_UNKNOWN, d->host_used);
	if (!is_alarming(d, probe) || now_ns - d->host_sampled_ns < STALE_NS)
		return;
	sample_host(d, now_ns);
	mp_decode_working_set(probe, true, MP_UNKNOWN, d->host_used);
}

static void enrich_limited(struct mp_domains *d, struct mp_decoded *record, uint64_t now_ns)
{
	struct mp_event_probe *probe = &record->event.probe;
	struct domain *domain = get_domain(d, record->limit_cgroup_id, (pid_t)probe->pid);

	if (!domain)
		return;
	if (!domain->is_limit) {
		domain->is_limit = true;
		sample_domain(d, domain, now_ns);
	}
	mp_decode_working_set(probe, false, domain->reclaimable, MP_UNKNOWN);
	if (!is_alarming(d, probe) || now_ns - domain->sampled_ns < STALE_NS)
		return;
	sample_domain(d, domain, now_ns);
	mp_decode_working_set(probe, false, domain->reclaimable, MP_UNKNOWN);
}

void mp_domains_enrich(struct mp_domains *d, struct mp_decoded *record, uint64_t now_ns)
{
	struct mp_event_probe *probe = &record->event.probe;
	const struct domain *own;

	if (record->cgroup_id) {
		own = get_domain(d, record->cgroup_id, (pid_t)probe->pid);
		probe->cgroup = own ? own->path : NULL;
	}
	if (record->limit_cgroup_id)
		enrich_limited(d, record, now_ns);
	else
		enrich_host(d, probe, now_ns);
}
