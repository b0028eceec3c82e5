/* SPDX-License-Identifier: GPL-2.0-only */
/* Maps and read-only data that more than one program file uses; maps.bpf.c defines them. */
#ifndef MP_MAPS_BPF_H
#define MP_MAPS_BPF_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "abi.h"

#define MP_MAX_TARGETS 16384
#define MP_MAX_WANTED 64
#define MP_MAX_CPUS 1024
#define MP_MAX_DOMAINS 1024 /* a power of two */
#define MP_MAX_SPARE_COUNTERS 64

struct mp_targets_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_TARGETS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, struct mp_target);
};

extern struct mp_targets_map targets SEC(".maps");

/* Apart from the events ring, so that a flood of those cannot hide an exit. */
struct mp_processes_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};

extern struct mp_processes_ring processes SEC(".maps");
extern __u64 lost_processes;

/* Where a domain lies in domains[]. Key: id of its group, 0 for the host. */
struct mp_domain_slots_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MP_MAX_DOMAINS);
	__type(key, u64);
	__type(value, u32);
};

extern struct mp_domain_slots_map domain_slots SEC(".maps");
extern struct mp_domain domains[MP_MAX_DOMAINS];

/* Thread groups that a gate has stopped, or let go. Key: thread group id. User space sets its size.
 */
struct mp_gated_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_gated);
};

extern struct mp_gated_map gated SEC(".maps");

extern const volatile struct mp_bpf_config cfg;
extern struct mp_bpf_live live;

static __always_inline void mp_fill_header(struct mp_record_header *h, u32 size, u16 kind, u64 now,
					   u64 lost)
{
	h->size = size;
	h->kind = kind;
	h->version = MP_ABI_VERSION;
	h->ts_ns = now;
	h->lost = lost;
}

#endif
