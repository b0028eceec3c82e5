/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space knows of the memory cgroups that events name by id: their
 * paths, which of them are domains (limiting groups of targets, and the host),
 * and how much of a domain's usage is page cache that can be dropped.
 */
#ifndef MP_MONITOR_DOMAINS_H
#define MP_MONITOR_DOMAINS_H

#include "cgroup/cgroup.h"
#include "config/policy_file.h"
#include "probe/bpf.h"
#include "source/decode.h"
#include "source/pressure.h"

struct mp_domains;

/* `pressure` NULL: domains are not watched, only sampled. */
struct mp_domains *mp_domains_new(const struct mp_cgroups *cgroups, struct mp_bpf *bpf,
				  struct mp_pressure *pressure, const struct mp_policy *policy);
void mp_domains_free(struct mp_domains *domains);

/*
 * Watches the domain that a process is in: the group whose limit it will hit
 * first, and always the host. A process that is gone is none.
 */
void mp_domains_follow(struct mp_domains *domains, pid_t pid);

/* Samples the host and every domain, and tells BPF. Limits that moved make other domains. */
void mp_domains_refresh(struct mp_domains *domains, uint64_t now_ns);

/* What the last refresh found of each domain that is watched; NULL is the host. */
void mp_domains_each(const struct mp_domains *domains,
		     void (*fn)(void *data, const char *path,
				const struct mp_domain_sample *sample),
		     void *data);

/*
 * Puts out, as pressure events, what the kernel side has summed up of reclaim and had no
 * later reclaim to tell it with.
 */
void mp_domains_flush(struct mp_domains *domains, uint64_t now_ns, mp_event_fn fn, void *data);

/*
 * Fills in cgroup, limit_cgroup, working_set and usage_pct of a decoded probe or
 * pressure event. When they would cross a threshold on an old sample, a new one
 * is taken first: page cache that came since must not look like pressure.
 * `now_ns` is the time of the call.
 */
void mp_domains_enrich(struct mp_domains *domains, struct mp_decoded *record, uint64_t now_ns);

/* The path of a group that was seen before, or NULL: without a look at the file system. */
const char *mp_domains_path(const struct mp_domains *domains, uint64_t id);

/*
 * What the policy holds a domain (NULL: the host) to be at: the kernel side tells
 * what goes beyond, and counts more closely while any is above normal.
 */
void mp_domains_set_severity(struct mp_domains *domains, const char *path,
			     enum mp_severity severity);

#endif
