/* SPDX-License-Identifier: GPL-2.0-only */
/* What struct mp_bpf is made of. For bpf.c and watch.c alone. */
#ifndef MP_PROBE_LOADED_H
#define MP_PROBE_LOADED_H

#include <bpf/libbpf.h>

#include "probe/bpf.h"
#include "probe/skeleton.h"

#define MP_TRACKING_LINKS 10
#define MP_RECLAIM_LINKS 4
#define MP_DOMAINS 1024 /* as in maps.bpf.h */

struct mp_bpf {
	struct memprobe *skel;
	int programs[MP_PROGRAM_COUNT];
	struct bpf_link *tracking[MP_TRACKING_LINKS];
	struct bpf_link *reclaim[MP_RECLAIM_LINKS];
	struct bpf_link *memcg_events; /* NULL while they are not counted */
	struct bpf_link **fault_clock; /* one a CPU */
	bool slot_used[MP_DOMAINS];    /* of the domains array */
	size_t n_points;
	unsigned int nr_cpus;
};

/* Of watch.c. */
void mp_watch_end(struct mp_bpf *bpf);

#endif
