// SPDX-License-Identifier: GPL-2.0-only
/* Domains under watch for pressure, and gated processes: what user space tells the kernel side. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>

#include "probe/loaded.h"

/*
 * How many page faults of a CPU pass between two looks at usage: what can be
 * filled unseen is that many times the size of a page, 16 KiB a CPU, or 8 MiB
 * with huge pages. Of the 1,300 ns that a fault of a small page took where this
 * was measured, counting it adds some 50 and a look 130: with 4, 6 % together.
 */
#define FAULTS_PER_LOOK 4

/* --- domains ---------------------------------------------------------------------- */

static struct mp_domain *find_domain(const struct mp_bpf *bpf, uint64_t id)
{
	uint32_t slot;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.domain_slots), &id, &slot))
		return NULL;
	return &bpf->skel->bss->domains[slot];
}

/* A slot is filled before the programs can find it. */
static int add_domain(struct mp_bpf *bpf, uint64_t id, struct mp_domain **ret)
{
	struct mp_domain *all = bpf->skel->bss->domains;
	uint32_t slot = 0;
	int err;

	while (slot < MP_DOMAINS && bpf->slot_used[slot])
		slot++;
	if (slot == MP_DOMAINS)
		return -E2BIG;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): loaded programs have a .bss */
	all[slot] = (struct mp_domain){.reclaimable = MP_UNKNOWN};
	err = bpf_map_update_elem(bpf_map__fd(bpf->skel->maps.domain_slots), &id, &slot, BPF_ANY);
	if (err)
		return err;
	bpf->slot_used[slot] = true;
	*ret = &all[slot];
	return 0;
}

int mp_bpf_watch_domain(struct mp_bpf *bpf, uint64_t id)
{
	struct mp_domain *domain = find_domain(bpf, id);
	int err = domain ? 0 : add_domain(bpf, id, &domain);

	if (!err)
		__atomic_store_n(&domain->watched, 1, __ATOMIC_RELEASE);
	return err;
}

void mp_bpf_forget_domain(struct mp_bpf *bpf, uint64_t id)
{
	const struct mp_domain *domain = find_domain(bpf, id);

	if (!domain)
		return;
	bpf_map_delete_elem(bpf_map__fd(bpf->skel->maps.domain_slots), &id);
	bpf->slot_used[domain - bpf->skel->bss->domains] = false;
}

static uint64_t take(__u64 *sum)
{
	return __atomic_exchange_n(sum, 0, __ATOMIC_RELAXED);
}

static void take_sums(const struct mp_bpf *bpf, struct mp_domain *domain,
		      struct mp_event_pressure *e)
{
	uint64_t events[MP_MEMCG_EVENT_COUNT];

	e->reclaims = __atomic_exchange_n(&domain->reclaims, 0, __ATOMIC_RELAXED);
	e->stall_ns = take(&domain->stall_ns);
	e->reclaimed_pages = take(&domain->reclaimed_pages);
	for (size_t i = 0; i < MP_MEMCG_EVENT_COUNT; i++)
		events[i] = take(&domain->events[i]);
	if (!bpf->skel->bss->live.counts_events)
		return;
	e->pgmajfault = events[MP_MEMCG_PGMAJFAULT];
	if (!bpf->skel->bss->live.counts_pages)
		return;
	e->pgscan = events[MP_MEMCG_PGSCAN];
	e->pgsteal = events[MP_MEMCG_PGSTEAL];
}

bool mp_bpf_take_reclaim(struct mp_bpf *bpf, uint64_t id, uint64_t now_ns,
			 struct mp_event_pressure *ret)
{
	struct mp_domain *domain = find_domain(bpf, id);
	__u64 told_ns;

	if (!domain || !__atomic_load_n(&domain->reclaims, __ATOMIC_RELAXED))
		return false;
	told_ns = __atomic_load_n(&domain->told_ns, __ATOMIC_RELAXED);
	if (now_ns < told_ns + MP_RECLAIM_EVERY_NS ||
	    !__atomic_compare_exchange_n(&domain->told_ns, &told_ns, now_ns, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	*ret = mp_event_pressure_blank(id ? MP_PRESSURE_RECLAIM : MP_PRESSURE_DIRECT_RECLAIM);
	if (told_ns)
		ret->window_ns = now_ns - told_ns;
	take_sums(bpf, domain, ret);
	return true;
}

void mp_bpf_set_severity(struct mp_bpf *bpf, uint64_t id, enum mp_severity severity)
{
	struct mp_domain *domain = find_domain(bpf, id);

	if (domain)
		__atomic_store_n(&domain->severity_told, (__u32)severity, __ATOMIC_RELAXED);
}

/* Also of domains that are not watched: the severity of probe records needs it. */
void mp_bpf_set_reclaimable(struct mp_bpf *bpf, uint64_t cgroup_id, uint64_t bytes)
{
	struct mp_domain *domain = find_domain(bpf, cgroup_id);

	if (domain || add_domain(bpf, cgroup_id, &domain) == 0)
		__atomic_store_n(&domain->reclaimable, bytes, __ATOMIC_RELAXED);
}

void mp_bpf_set_host_used(struct mp_bpf *bpf, uint64_t bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	__atomic_store_n(&bpf->skel->bss->live.host_used, bytes, __ATOMIC_RELAXED);
	bpf_prog_test_run_opts(bpf_program__fd(bpf->skel->progs.mp_rebase_host), &opts);
}

/* --- what tells of pressure -------------------------------------------------------- */

static int open_fault_event(unsigned int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = FAULTS_PER_LOOK,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static int start_fault_clock(struct mp_bpf *bpf)
{
	const struct bpf_program *program = bpf->skel->progs.mp_fault_clock;

	if (!bpf_program__autoload(program))
		return 0;
	bpf->fault_clock = calloc(bpf->nr_cpus, sizeof(struct bpf_link *));
	if (!bpf->fault_clock)
		return -ENOMEM;
	for (unsigned int cpu = 0; cpu < bpf->nr_cpus; cpu++) {
		MP_CLOSE int fd = open_fault_event(cpu);

		if (fd == -ENODEV)
			continue; /* possible, but not online */
		if (fd < 0)
			return fd;
		bpf->fault_clock[cpu] = bpf_program__attach_perf_event(program, fd);
		if (!bpf->fault_clock[cpu])
			return -errno;
		fd = -1; /* the link's */
	}
	return 0;
}

static int attach_reclaim(struct mp_bpf *bpf)
{
	struct bpf_program *const programs[] = {
		/* The ends first: a begin is never without its end. */
		bpf->skel->progs.mp_memcg_reclaim_end,
		bpf->skel->progs.mp_direct_reclaim_end,
		bpf->skel->progs.mp_memcg_reclaim_begin,
		bpf->skel->progs.mp_direct_reclaim_begin,
	};

	_Static_assert(MP_ARRAY_SIZE(programs) == MP_RECLAIM_LINKS, "a link each");
	for (size_t i = 0; i < MP_ARRAY_SIZE(programs); i++) {
		if (!bpf_program__autoload(programs[i]))
			continue;
		bpf->reclaim[i] = bpf_program__attach(programs[i]);
		if (!bpf->reclaim[i])
			return -errno;
	}
	return 0;
}

int mp_bpf_track_pressure(struct mp_bpf *bpf, struct mp_error *err)
{
	int error = attach_reclaim(bpf);

	error = error ?: start_fault_clock(bpf);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot watch memory pressure (%s): see memprobe-bpf doctor",
			       strerror(-error));
	return 0;
}

void mp_bpf_count_memcg_events(struct mp_bpf *bpf, bool on)
{
	struct bpf_program *program = bpf->skel->progs.mp_memcg_event;

	if (!bpf_program__autoload(program) || on == (bpf->memcg_events != NULL))
		return;
	if (on)
		bpf->memcg_events = bpf_program__attach(program);
	else
		bpf_link__destroy(bpf->memcg_events);
	if (!on)
		bpf->memcg_events = NULL;
	__atomic_store_n(&bpf->skel->bss->live.counts_events, bpf->memcg_events != NULL,
			 __ATOMIC_RELAXED);
}

void mp_watch_end(struct mp_bpf *bpf)
{
	bpf_link__destroy(bpf->memcg_events);
	for (size_t i = 0; i < MP_RECLAIM_LINKS; i++)
		bpf_link__destroy(bpf->reclaim[i]);
	for (unsigned int cpu = 0; bpf->fault_clock && cpu < bpf->nr_cpus; cpu++)
		bpf_link__destroy(bpf->fault_clock[cpu]);
	free(bpf->fault_clock);
}

/* --- the gate ---------------------------------------------------------------------- */

int mp_bpf_gated_map(const struct mp_bpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.gated);
}

int mp_bpf_live_map(const struct mp_bpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.bss);
}

size_t mp_bpf_gates_open_offset(const struct mp_bpf *bpf)
{
	const char *at = (const char *)&bpf->skel->bss->live.gates_open;

	return (size_t)(at - (const char *)bpf->skel->bss);
}

int mp_bpf_open_gate(struct mp_bpf *bpf, pid_t pid, uint64_t pass_until_ns)
{
	int fd = mp_bpf_gated_map(bpf);
	uint32_t key = (uint32_t)pid;
	struct mp_gated entry;
	int err = bpf_map_lookup_elem(fd, &key, &entry);

	if (err)
		return err;
	entry.state = MP_GATE_OPEN;
	entry.pass_until_ns = pass_until_ns;
	/* Not a new one: the process may have ended since. */
	return bpf_map_update_elem(fd, &key, &entry, BPF_EXIST);
}
