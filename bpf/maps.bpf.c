// SPDX-License-Identifier: GPL-2.0-only
/*
 * What several files use is defined here: libbpf 1.1 links a map wrongly when a
 * file that only declares it comes before the one that defines it.
 */
#include "maps.bpf.h"
#include "thread.bpf.h"

const volatile struct mp_bpf_config cfg = {};
struct mp_bpf_live live = {};

/* Thread groups under watch. Seeded by user space, kept by process.bpf.c. */
struct mp_targets_map targets SEC(".maps");

struct mp_domain_slots_map domain_slots SEC(".maps");
struct mp_domain domains[MP_MAX_DOMAINS] = {};
struct mp_gated_map gated SEC(".maps");

struct mp_processes_ring processes SEC(".maps");
struct mp_threads_map threads SEC(".maps");
__u64 lost_processes = 0;

char LICENSE[] SEC("license") = "GPL";
