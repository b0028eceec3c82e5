/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space knows of the limits that events name by id: the path of each
 * memory cgroup, and how much of its usage is page cache that can be dropped.
 */
#ifndef MP_MONITOR_DOMAINS_H
#define MP_MONITOR_DOMAINS_H

#include "cgroup/cgroup.h"
#include "config/policy_file.h"
#include "probe/bpf.h"
#include "source/decode.h"

struct mp_domains;

struct mp_domains *mp_domains_new(const struct mp_cgroups *cgroups, struct mp_bpf *bpf,
				  const struct mp_policy *policy);
void mp_domains_free(struct mp_domains *domains);

/* Samples the host and every limiting group seen so far, and tells BPF. */
void mp_domains_refresh(struct mp_domains *domains, uint64_t now_ns);

/*
 * Fills in cgroup, working_set and usage_pct of a decoded probe event. When
 * they would cross a threshold on an old sample, a new one is taken first:
 * page cache that came since must not look like pressure. `now_ns` is the
 * time of the call.
 */
void mp_domains_enrich(struct mp_domains *domains, struct mp_decoded *record, uint64_t now_ns);

#endif
