// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory pressure on the domains under watch: usage that crosses a threshold,
 * seen at page faults, and reclaim. Records go through the process ring, where no
 * flood of probe records delays them, and wake the reader at once.
 */
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "memory.bpf.h"

#define MP_EVENT_DEPTH 16

/* Who needs to know the groups of the task at hand. */
enum mp_walker {
	MP_WALKER_FAULT = 0,
	MP_WALKER_BEGIN,
	MP_WALKER_END,
	MP_WALKER_COUNT
};

/*
 * The last walk of each, by CPU. The kernel runs no program of these kinds twice
 * at a time on one CPU, not even where it can be preempted: so each has its own.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MP_WALKER_COUNT);
	__type(key, u32);
	__type(value, struct mp_memcg_view);
} views SEC(".maps");

/* Tasks inside reclaim. Made for those whose domain is watched. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64); /* since when, or 0 */
} reclaiming SEC(".maps");

static __always_inline const struct mp_memcg_view *mp_walk(u32 walker,
							   const struct task_struct *task, u64 now)
{
	struct mp_memcg_view *view = bpf_map_lookup_elem(&views, &walker);

	if (view)
		mp_memcg_view_of(task, view, now);
	return view;
}

/* A domain that is watched, as the task at hand meets it. */
struct mp_scene {
	const struct task_struct *task;
	const struct mp_memcg_view *view; /* of that task */
	struct mp_domain *domain;
	u64 id; /* the view's limiting group, or 0 */
	u64 usage;
	u64 limit;
	u32 severity;
};

/* False: nobody watches it. */
static __always_inline bool mp_look(struct mp_scene *scene, u64 id)
{
	u64 used;

	scene->id = id;
	scene->domain = mp_domain_of(id);
	if (!scene->domain || !scene->domain->watched)
		return false;
	if (id) {
		scene->usage = mp_read_counter(scene->view->usage_addr, false) * cfg.page_size;
		scene->limit = scene->view->limit;
		used = mp_working_set(scene->usage, scene->domain->reclaimable);
	} else {
		scene->usage = mp_host_used(false);
		scene->limit = cfg.host_bytes;
		used = scene->usage;
	}
	scene->severity = mp_severity_of(used, scene->limit);
	return true;
}

static __always_inline struct mp_pressure_record *mp_reserve(void)
{
	struct mp_pressure_record *r = bpf_ringbuf_reserve(&processes, sizeof(*r), 0);

	if (!r)
		__sync_fetch_and_add(&lost_processes, 1);
	return r;
}

static __always_inline void mp_fill_scene(struct mp_pressure_record *r,
					  const struct mp_scene *scene, u32 source, u64 now)
{
	u32 pid = scene->task->tgid;

	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_PRESSURE, now, lost_processes);
	r->pid = pid;
	r->tid = scene->task->pid;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->source = source;
	r->severity = scene->severity;
	r->is_target = bpf_map_lookup_elem(&targets, &pid) != NULL;
	r->has_events = 0;
	r->reclaims = 0;
	r->cgroup_id = scene->view->cgroup_id;
	r->limit_cgroup_id = scene->id;
	r->usage = scene->usage;
	r->limit = scene->limit;
	r->reclaimable = scene->id ? scene->domain->reclaimable : MP_UNKNOWN;
	r->window_ns = MP_UNKNOWN;
	r->stall_ns = 0;
	r->reclaimed_pages = 0;
	for (int i = 0; i < MP_MEMCG_EVENT_COUNT; i++)
		r->events[i] = 0;
}

/* --- usage that rises ------------------------------------------------------------ */

/* Tells of a domain whose severity is above all that was told. One CPU does. */
static __always_inline void mp_check(struct mp_scene *scene, u64 id)
{
	struct mp_pressure_record *r;
	u32 told;

	if (!mp_look(scene, id))
		return;
	told = scene->domain->severity_told;
	if (scene->severity <= told || __sync_val_compare_and_swap(&scene->domain->severity_told,
								   told, scene->severity) != told)
		return;
	r = mp_reserve();
	if (!r) {
		/* Not told after all: the next fault tries again. */
		__sync_val_compare_and_swap(&scene->domain->severity_told, scene->severity, told);
		return;
	}
	mp_fill_scene(r, scene, MP_PRESSURE_USAGE, bpf_ktime_get_ns());
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
}

/*
 * The clock that does not miss a fast filler: it ticks by page faults, so what
 * is filled between two looks is bounded, however fast that goes.
 */
SEC("perf_event")
int mp_fault_clock(struct bpf_perf_event_data *ctx)
{
	struct mp_scene scene = {.task = bpf_get_current_task_btf()};

	scene.view = mp_walk(MP_WALKER_FAULT, scene.task, bpf_ktime_get_ns());
	if (!scene.view)
		return 0;
	if (scene.view->limit_cgroup_id)
		mp_check(&scene, scene.view->limit_cgroup_id);
	/* What any group is charged for, the host has given. */
	mp_check(&scene, 0);
	return 0;
}

/* --- reclaim --------------------------------------------------------------------- */

static __always_inline int mp_reclaim_begin(struct task_struct *task, u64 id, u64 now)
{
	const struct mp_domain *domain = mp_domain_of(id);
	u64 *since;

	if (!domain || !domain->watched || (u32)task->tgid == cfg.self)
		return 0;
	since = bpf_task_storage_get(&reclaiming, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (since)
		*since = now;
	else
		__sync_fetch_and_add(&lost_processes, 1);
	return 0;
}

/* Takes the domain's sums into a record. */
static __always_inline void mp_take_sums(struct mp_pressure_record *r, struct mp_domain *domain)
{
	r->reclaims = __sync_lock_test_and_set(&domain->reclaims, 0);
	r->stall_ns = __sync_lock_test_and_set(&domain->stall_ns, 0);
	r->reclaimed_pages = __sync_lock_test_and_set(&domain->reclaimed_pages, 0);
	r->has_events = live.counts_events != 0;
	for (int i = 0; i < MP_MEMCG_EVENT_COUNT; i++)
		r->events[i] = __sync_lock_test_and_set(&domain->events[i], 0);
	if (!live.counts_pages)
		r->events[MP_MEMCG_PGSCAN] = r->events[MP_MEMCG_PGSTEAL] = MP_UNKNOWN;
}

/* The record is reserved first: without room for it the sums stay for the next one. */
static __always_inline void mp_tell_reclaim(const struct mp_scene *scene, u32 source, u64 now)
{
	u64 told = scene->domain->told_ns;
	struct mp_pressure_record *r;

	if (told && now < told + MP_RECLAIM_EVERY_NS)
		return;
	r = mp_reserve();
	if (!r)
		return;
	if (__sync_val_compare_and_swap(&scene->domain->told_ns, told, now) != told) {
		bpf_ringbuf_discard(r, 0);
		return;
	}
	mp_fill_scene(r, scene, source, now);
	if (told)
		r->window_ns = now - told;
	mp_take_sums(r, scene->domain);
	bpf_ringbuf_submit(r, BPF_RB_FORCE_WAKEUP);
}

static __always_inline int mp_reclaim_end(u32 source, u64 pages)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 *since = bpf_task_storage_get(&reclaiming, task, NULL, 0);
	struct mp_scene scene = {.task = task};
	u64 now = bpf_ktime_get_ns();
	u64 stall;

	if (!since || !*since)
		return 0;
	stall = now - *since;
	*since = 0;
	scene.view = mp_walk(MP_WALKER_END, task, now);
	if (!scene.view ||
	    !mp_look(&scene, source == MP_PRESSURE_RECLAIM ? scene.view->limit_cgroup_id : 0))
		return 0;
	__sync_fetch_and_add(&scene.domain->reclaims, 1);
	__sync_fetch_and_add(&scene.domain->stall_ns, stall);
	__sync_fetch_and_add(&scene.domain->reclaimed_pages, pages);
	mp_tell_reclaim(&scene, source, now);
	return 0;
}

/*
 * Raw tracepoints are found by name; for each tp_btf libbpf searches all type
 * information, which takes as long as loading the program.
 *
 * The tracepoint does not say which group: it is the task's own that ran into its limit.
 */
SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(mp_memcg_reclaim_begin)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 now = bpf_ktime_get_ns();
	const struct mp_memcg_view *view = mp_walk(MP_WALKER_BEGIN, task, now);

	/* Without a limit on the way up it is memory.high, which is no pressure on the host. */
	if (!view || !view->limit_cgroup_id)
		return 0;
	return mp_reclaim_begin(task, view->limit_cgroup_id, now);
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(mp_memcg_reclaim_end, unsigned long nr_reclaimed)
{
	return mp_reclaim_end(MP_PRESSURE_RECLAIM, nr_reclaimed);
}

SEC("raw_tp/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(mp_direct_reclaim_begin)
{
	return mp_reclaim_begin(bpf_get_current_task_btf(), 0, bpf_ktime_get_ns());
}

SEC("raw_tp/mm_vmscan_direct_reclaim_end")
int BPF_PROG(mp_direct_reclaim_end, unsigned long nr_reclaimed)
{
	return mp_reclaim_end(MP_PRESSURE_DIRECT_RECLAIM, nr_reclaimed);
}

/* --- events of memory cgroups ---------------------------------------------------- */

#define MP_IS_ITEM(item, name)                                                                     \
	(bpf_core_enum_value_exists(enum vm_event_item, name) &&                                   \
	 (item) == bpf_core_enum_value(enum vm_event_item, name))

static __always_inline u32 mp_event_of(u32 item)
{
	if (MP_IS_ITEM(item, PGSCAN_DIRECT) || MP_IS_ITEM(item, PGSCAN_KSWAPD) ||
	    MP_IS_ITEM(item, PGSCAN_KHUGEPAGED) || MP_IS_ITEM(item, PGSCAN_PROACTIVE))
		return MP_MEMCG_PGSCAN;
	if (MP_IS_ITEM(item, PGSTEAL_DIRECT) || MP_IS_ITEM(item, PGSTEAL_KSWAPD) ||
	    MP_IS_ITEM(item, PGSTEAL_KHUGEPAGED) || MP_IS_ITEM(item, PGSTEAL_PROACTIVE))
		return MP_MEMCG_PGSTEAL;
	return MP_IS_ITEM(item, PGMAJFAULT) ? MP_MEMCG_PGMAJFAULT : MP_MEMCG_EVENT_COUNT;
}

/* Fires at every page fault of the system: attached only while there is an incident. */
SEC("raw_tp/count_memcg_events")
int BPF_PROG(mp_memcg_event, struct mem_cgroup *memcg, int item, unsigned long count)
{
	const struct cgroup_subsys_state *css = &memcg->css;
	u32 event = mp_event_of(item);

	if (event >= MP_MEMCG_EVENT_COUNT)
		return 0;
	for (int depth = 0; depth < MP_EVENT_DEPTH && css; depth++) {
		struct mp_domain *domain = mp_domain_of(BPF_CORE_READ(css, cgroup, kn, id));

		if (domain && domain->watched) {
			__sync_fetch_and_add(&domain->events[event], count);
			return 0;
		}
		css = BPF_CORE_READ(css, parent);
	}
	return 0;
}
