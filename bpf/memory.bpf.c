// SPDX-License-Identifier: GPL-2.0-only
#include "maps.bpf.h"
#include "memory.bpf.h"

#define MP_MAX_NODES 16
#define MP_MAX_ZONES 8
#define MP_ROOT_DEPTH 32

__u64 percpu_offset[MP_MAX_CPUS] = {};
__u64 spare_counters[MP_MAX_SPARE_COUNTERS] = {};
__u64 n_spare_counters = 0;

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

/* Not every kernel tells where its table of nodes is; the root memory cgroup has them all. */
static __always_inline const struct mem_cgroup *mp_root_memcg(void)
{
	const struct cgroup_subsys_state *css = mp_memcg_of(bpf_get_current_task_btf());

	for (int depth = 0; depth < MP_ROOT_DEPTH && css; depth++) {
		const struct cgroup_subsys_state *parent = BPF_CORE_READ(css, parent);

		if (!parent)
			break;
		css = parent;
	}
	return (const void *)css;
}

/* A node that has never been used may be missing there: then it does not count. */
static __always_inline const struct pglist_data *mp_node(const struct mem_cgroup *root, u32 nid)
{
	const struct mem_cgroup_per_node *info = NULL;
	const struct pglist_data *node;

	bpf_probe_read_kernel(&info, sizeof(info),
			      (const void *)root +
				      bpf_core_field_offset(struct mem_cgroup, nodeinfo) +
				      nid * sizeof(info));
	node = BPF_CORE_READ(info, lruvec.pgdat);
	/* Behind the last node lies something else. */
	return node && (u32)BPF_CORE_READ(node, node_id) == nid ? node : NULL;
}

static __noinline int mp_add_counter(u64 at)
{
	u64 n = n_spare_counters;

	if (n >= MP_MAX_SPARE_COUNTERS)
		return 0;
	barrier_var(n);
	spare_counters[n & (MP_MAX_SPARE_COUNTERS - 1)] = at;
	n_spare_counters++;
	return 1;
}

static __always_inline void mp_add_zone(u64 zone)
{
	if (BPF_CORE_READ((const struct zone *)zone, present_pages))
		mp_add_counter(zone + bpf_core_field_offset(struct zone, vm_stat) +
			       bpf_core_enum_value(enum zone_stat_item, NR_FREE_PAGES) *
				       sizeof(u64));
}

/* MemAvailable is made of these in the main; what it takes off hardly changes. */
static __always_inline void mp_add_cache(u64 node)
{
	u64 stat = node + bpf_core_field_offset(struct pglist_data, vm_stat);

	mp_add_counter(stat +
		       bpf_core_enum_value(enum node_stat_item, NR_INACTIVE_FILE) * sizeof(u64));
	mp_add_counter(stat +
		       bpf_core_enum_value(enum node_stat_item, NR_ACTIVE_FILE) * sizeof(u64));
}

/* Runs once before anything is attached: finds where free pages and page cache are counted. */
SEC("syscall")
int mp_setup_host(void *ctx)
{
	const struct mem_cgroup *root = mp_root_memcg();

	/* The newest kernels count them by node, and not as events. */
	live.counts_pages = bpf_core_enum_value_exists(enum vm_event_item, PGSCAN_DIRECT) &&
			    bpf_core_enum_value_exists(enum vm_event_item, PGSTEAL_DIRECT);
	for (u32 nid = 0; nid < MP_MAX_NODES && root; nid++) {
		const struct pglist_data *node = mp_node(root, nid);
		u32 zones = node ? BPF_CORE_READ(node, nr_zones) : 0;

		if (node)
			mp_add_cache((u64)node);
		for (u32 i = 0; i < MP_MAX_ZONES && i < zones; i++)
			mp_add_zone((u64)node +
				    bpf_core_field_offset(struct pglist_data, node_zones) +
				    i * bpf_core_type_size(struct zone));
	}
	return 0;
}

/* Runs whenever user space has sampled the host. */
SEC("syscall")
int mp_rebase_host(void *ctx)
{
	live.host_base = live.host_used + mp_host_spare(false);
	return 0;
}
