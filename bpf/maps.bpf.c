// SPDX-License-Identifier: GPL-2.0-only
#include "maps.bpf.h"

const volatile struct mp_bpf_config cfg = {};
struct mp_bpf_live live = {};

/* Thread groups under watch. Seeded by user space, kept by process.bpf.c. */
struct mp_targets_map targets SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
