// SPDX-License-Identifier: GPL-2.0-only
#include "maps.bpf.h"
#include "memory.bpf.h"

struct mp_reclaimable_map reclaimable SEC(".maps");

__u64 percpu_offset[MP_MAX_CPUS] = {};

/*
 * A per-CPU map whose element is known both as the kernel keeps it (relative)
 * and as a program gets it (on one CPU): the difference is the CPU's offset.
 * The kernel's own table of offsets is not in kallsyms everywhere.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} offset_probe SEC(".maps");

__u64 offset_probe_addr = 0;

/* Runs once before anything is attached, where RSS is counted per CPU (6.2 on). */
SEC("syscall")
int mp_setup(void *ctx)
{
	u64 relative = 0;
	u32 zero = 0;

	/* By way of memory, since the verifier allows no arithmetic on a map's address. */
	*(volatile u64 *)&offset_probe_addr = (u64)&offset_probe;
	if (bpf_probe_read_kernel(&relative, sizeof(relative),
				  (void *)*(volatile u64 *)&offset_probe_addr +
					  bpf_core_field_offset(struct bpf_array, pptrs)))
		return 1;
	for (u32 cpu = 0; cpu < MP_MAX_CPUS && cpu < cfg.nr_cpus; cpu++) {
		void *there = bpf_map_lookup_percpu_elem(&offset_probe, &zero, cpu);

		*(volatile u64 *)&percpu_offset[cpu] = (u64)there;
		*(volatile u64 *)&percpu_offset[cpu] -= relative;
	}
	return 0;
}
