// SPDX-License-Identifier: GPL-2.0-only
#include "probe/bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/marker.h"
#include "probe/loaded.h"

_Static_assert(MEMPROBE_MARKER_PYTHON == MP_DECLARED_PYTHON << 8, "flags of a marker's level");

#define FIREHOSE_NS 10000000ULL /* shorter intervals are read in batches */
#define MAX_GATED 1024

/* libbpf's own messages say little to a user; its error codes are translated. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static uint64_t shortest_interval(const struct mp_policy *policy)
{
	uint64_t shortest = UINT64_MAX;

	for (int level = 0; level < MP_LEVEL_COUNT; level++) {
		uint64_t interval = mp_policy_interval_ns(policy, (enum mp_level)level);

		if (interval < shortest)
			shortest = interval;
	}
	return shortest;
}

static bool is_firehose(const struct mp_bpf_options *o)
{
	return shortest_interval(o->policy) < FIREHOSE_NS;
}

static uint64_t ring_size(const struct mp_bpf_options *o)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t wanted = o->ring_bytes;

	if (!wanted)
		wanted = is_firehose(o) ? MP_RING_BYTES_FIREHOSE : MP_RING_BYTES;
	while (size < wanted && size < 1ULL << 62)
		size *= 2;
	return size;
}

static uint8_t whole_pct(double pct)
{
	return (uint8_t)(pct < 1 ? 1 : pct > 100 ? 100 : pct);
}

/* What can be had of what was asked for: nobody is stopped without the means to do it. */
static enum mp_gate gate_mode(const struct mp_bpf_options *o)
{
	bool can_hold = o->features->send_signal && o->features->process_tracking;

	return o->gate == MP_GATE_HELD && !can_hold ? MP_GATE_WOULD : o->gate;
}

/* Each costs some milliseconds to load: what cannot add a target is left out. */
static void choose_others(struct memprobe *skel, const struct mp_bpf_options *o)
{
	bool track = o->features->process_tracking;
	bool takes_children = track && (o->follow || o->want_comm || o->want_exe || o->want_cgroup);
	bool can_miss = o->features->preemptible_tracing;
	const struct {
		struct bpf_program *program;
		bool load;
	} all[] = {
		{skel->progs.mp_setup, o->features->rss_per_cpu},
		{skel->progs.mp_watch, o->watchpoints && o->features->preempt_disable},
		{skel->progs.mp_watch_preemptible, o->watchpoints && !o->features->preempt_disable},
		{skel->progs.mp_fork, takes_children && !can_miss},
		{skel->progs.mp_new_task, takes_children && can_miss},
		{skel->progs.mp_exec, track},
		{skel->progs.mp_exec_again, track && can_miss},
		{skel->progs.mp_exit, track},
		{skel->progs.mp_exit_again, track && can_miss},
		{skel->progs.mp_mark_victim, o->features->oom_victims},
		{skel->progs.mp_victim_exit, o->features->oom_victims},
		{skel->progs.mp_victim_exit_again, o->features->oom_victims && can_miss},
		{skel->progs.mp_cgroup_attach, track && o->want_cgroup},
		{skel->progs.mp_fault_clock, o->pressure && o->features->fault_clock},
		{skel->progs.mp_memcg_reclaim_begin, o->pressure && o->features->reclaim_events},
		{skel->progs.mp_memcg_reclaim_end, o->pressure && o->features->reclaim_events},
		{skel->progs.mp_direct_reclaim_begin, o->pressure && o->features->reclaim_events},
		{skel->progs.mp_direct_reclaim_end, o->pressure && o->features->reclaim_events},
		{skel->progs.mp_memcg_event, o->pressure && o->features->memcg_events},
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(all); i++)
		bpf_program__set_autoload(all[i].program, all[i].load);
}

struct builds {
	struct bpf_program *unpreempted;
	struct bpf_program *preemptible;
};

#define BUILDS(skel, name)                                                                         \
	{                                                                                          \
		(skel)->progs.name, (skel)->progs.name##_preemptible                               \
	}
#define N_UPROBE_PROGRAMS MP_PROGRAM_WATCH

/* One of each program's two builds; see the end of hit.bpf.h. */
static struct bpf_program *uprobe_program(const struct memprobe *skel,
					  const struct mp_features *features,
					  enum mp_program program, struct bpf_program **ret_other)
{
	const struct builds all[] = {
		[MP_PROGRAM_ENTER] = BUILDS(skel, mp_enter),
		[MP_PROGRAM_RETURN] = BUILDS(skel, mp_return),
		[MP_PROGRAM_LEAVE] = BUILDS(skel, mp_leave),
		[MP_PROGRAM_USDT] = BUILDS(skel, mp_usdt),
		[MP_PROGRAM_MARKER] = BUILDS(skel, mp_marker),
	};
	const struct builds *builds = &all[program];

	_Static_assert(MP_ARRAY_SIZE(all) == N_UPROBE_PROGRAMS, "two builds of each");
	*ret_other = features->preempt_disable ? builds->preemptible : builds->unpreempted;
	return features->preempt_disable ? builds->unpreempted : builds->preemptible;
}

static void choose_uprobes(struct memprobe *skel, const struct mp_bpf_options *o)
{
	for (int i = 0; i < N_UPROBE_PROGRAMS; i++) {
		struct bpf_program *other;
		struct bpf_program *program =
			uprobe_program(skel, o->features, (enum mp_program)i, &other);

		bpf_program__set_autoload(other, false);
		bpf_program__set_autoload(program, i != MP_PROGRAM_USDT || o->has_usdt);
		if (o->features->uprobe_multi)
			bpf_program__set_expected_attach_type(
				program, (enum bpf_attach_type)MP_BPF_TRACE_UPROBE_MULTI);
	}
}

static int size_maps(struct memprobe *skel, const struct mp_bpf_options *o)
{
	uint32_t points = (uint32_t)o->points->n + MP_SPARE_POINTS;
	uint32_t usdt = (uint32_t)(o->max_usdt_sites ? o->max_usdt_sites : 1);
	uint64_t ring = ring_size(o);
	int err = bpf_map__set_max_entries(skel->maps.points, points);

	if (ring > UINT32_MAX)
		return -E2BIG;
	err = err ?: bpf_map__set_max_entries(skel->maps.stats, points);
	err = err ?: bpf_map__set_max_entries(skel->maps.intervals, points);
	err = err ?: bpf_map__set_max_entries(skel->maps.marker_points, points);
	err = err ?: bpf_map__set_max_entries(skel->maps.told, points);
	err = err ?: bpf_map__set_max_entries(skel->maps.usdt_sites, usdt);
	err = err ?: bpf_map__set_max_entries(skel->maps.events, (uint32_t)ring);
	if (gate_mode(o) == MP_GATE_HELD)
		err = err ?: bpf_map__set_max_entries(skel->maps.gated, MAX_GATED);
	return err;
}

static bool has_action(const struct mp_policy *policy, enum mp_level level,
		       enum mp_severity severity, const char *name)
{
	const struct mp_action_list *list = &policy->on[level][severity];

	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->refs[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The least severity at which the policy asks for the stack action at a level. */
static uint8_t stack_severity(const struct mp_policy *policy, enum mp_level level)
{
	for (int severity = 0; severity < MP_SEVERITY_COUNT; severity++) {
		if (has_action(policy, level, (enum mp_severity)severity, "stack"))
			return (uint8_t)severity;
	}
	return MP_SEVERITY_COUNT;
}

static void point_config(const struct mp_point *point, const struct mp_policy *policy,
			 struct mp_point_config *ret)
{
	*ret = (struct mp_point_config){
		.level = (uint8_t)point->level,
		.n_args = (uint8_t)point->n_args,
		.stack_severity = stack_severity(policy, point->level),
		.size_arg = (uint8_t)mp_point_size_arg(point),
		.threshold_bytes = point->threshold_bytes,
	};
	if (point->level == MP_LEVEL_CRITICAL &&
	    has_action(policy, point->level, MP_SEVERITY_CRITICAL, "gate"))
		ret->flags |= MP_POINT_GATE;
	for (size_t i = 0; i < point->n_args; i++) {
		ret->arg_type[i] = (uint8_t)point->args[i].type;
		ret->arg_reg[i] = mp_arch_arg_register(point->args[i].index);
		if (point->args[i].type == MP_ARG_STR)
			ret->flags |= MP_POINT_HAS_STR;
	}
	if (!point->has_ret)
		return;
	ret->flags |= MP_POINT_HAS_RET;
	if (point->ret_type == MP_ARG_STR)
		ret->flags |= MP_POINT_HAS_STR | MP_POINT_RET_STR;
}

static void fill_config(struct memprobe *skel, const struct mp_bpf_options *o, unsigned int nr_cpus)
{
	struct mp_bpf_config *cfg = (struct mp_bpf_config *)&skel->rodata->cfg;

	for (int level = 0; level < MP_LEVEL_COUNT; level++)
		cfg->interval_ns[level] = mp_policy_interval_ns(o->policy, (enum mp_level)level);
	for (int severity = MP_SEVERITY_WARNING; severity < MP_SEVERITY_COUNT; severity++)
		cfg->threshold_pct[severity] = whole_pct(o->policy->threshold_pct[severity]);
	cfg->host_bytes = o->host_bytes;
	cfg->page_size = (__u32)sysconf(_SC_PAGESIZE);
	cfg->nr_cpus = nr_cpus;
	cfg->want_comm = o->want_comm;
	cfg->want_exe = o->want_exe;
	cfg->want_cgroup = o->want_cgroup;
	cfg->follow = o->follow;
	cfg->self = (__u32)getpid();
	cfg->gate = (__u8)gate_mode(o);
	cfg->n_points = (__u32)o->points->n;
	for (int level = 0; level < MP_LEVEL_COUNT; level++) {
		const struct mp_point bare = {.level = (enum mp_level)level};

		point_config(&bare, o->policy, &cfg->declared[level]);
	}
	cfg->wake_bytes = is_firehose(o) ? (__u32)(ring_size(o) / 8) : 0;
	skel->bss->live.targets_generation = 1;
}

/* Found by its own probes, and by markers that give its name's id. */
static int fill_point(struct memprobe *skel, const struct mp_bpf_options *o, uint32_t index)
{
	const struct mp_point *point = &o->points->items[index];
	uint64_t id = memprobe_marker_id(point->name);
	struct mp_point_config config;
	int err;

	point_config(point, o->policy, &config);
	err = bpf_map_update_elem(bpf_map__fd(skel->maps.points), &index, &config, BPF_ANY);
	return err
		       ?: bpf_map_update_elem(bpf_map__fd(skel->maps.marker_points), &id, &index,
					      BPF_ANY);
}

static int fill_points(struct memprobe *skel, const struct mp_bpf_options *o)
{
	int err = 0;

	for (uint32_t i = 0; i < o->points->n && !err; i++)
		err = fill_point(skel, o, i);
	return err;
}

static int run_once(const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	return err ? err : -(int)opts.retval;
}

static int run_setup(struct memprobe *skel, const struct mp_features *features)
{
	int err = run_once(skel->progs.mp_setup_host);

	if (!err && features->rss_per_cpu)
		err = run_once(skel->progs.mp_setup);
	return err;
}

static int explain_load(int error, const struct mp_bpf_options *o, struct mp_error *err)
{
	unsigned long long ring = (unsigned long long)ring_size(o);

	switch (error) {
	case -E2BIG:
	case -ENOMEM:
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "the kernel gives no ring buffer of %llu bytes: choose a smaller "
			       "--ring-size (the default is 256K), or raise the memory or "
			       "locked-memory limit (ulimit -l)",
			       ring);
	case -EPERM:
		return mp_fail(err, MP_EXIT_PRIVILEGE, -error,
			       "the kernel refuses to load BPF programs (%s): CAP_BPF and "
			       "CAP_PERFMON are needed, and kernel lockdown must not forbid it",
			       strerror(-error));
	default:
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "the kernel cannot load the BPF programs (%s): please report this "
			       "with the output of memprobe-bpf doctor",
			       strerror(-error));
	}
}

static int fd_of(const struct bpf_program *program)
{
	return bpf_program__autoload(program) ? bpf_program__fd(program) : -1;
}

static void keep_programs(struct mp_bpf *bpf, const struct mp_features *features)
{
	for (int i = 0; i < N_UPROBE_PROGRAMS; i++) {
		struct bpf_program *other;

		bpf->programs[i] =
			fd_of(uprobe_program(bpf->skel, features, (enum mp_program)i, &other));
	}
	bpf->programs[MP_PROGRAM_WATCH] =
		fd_of(features->preempt_disable ? bpf->skel->progs.mp_watch
						: bpf->skel->progs.mp_watch_preemptible);
}

/*
 * When a type of an older kernel is not in vmlinux's BTF, libbpf looks into
 * those of modules, and to list them needs CAP_SYS_ADMIN. With a BTF file
 * named it does not; that costs parsing the same file twice.
 */
static struct memprobe *open_skeleton(const struct mp_features *features)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	if (!features->cap_sys_admin)
		opts.btf_custom_path = "/sys/kernel/btf/vmlinux";
	return memprobe__open_opts(&opts);
}

int mp_bpf_load(const struct mp_bpf_options *o, struct mp_bpf **ret, struct mp_error *err)
{
	int nr_cpus = libbpf_num_possible_cpus();
	struct mp_bpf *bpf = calloc(1, sizeof(*bpf));
	int error = -ENOMEM;

	if (!bpf || nr_cpus <= 0)
		goto fail;
	libbpf_set_print(quiet);
	bpf->n_points = o->points->n;
	bpf->nr_cpus = (unsigned int)nr_cpus;
	bpf->skel = open_skeleton(o->features);
	if (!bpf->skel) {
		error = -errno;
		goto fail;
	}
	fill_config(bpf->skel, o, bpf->nr_cpus);
	choose_others(bpf->skel, o);
	choose_uprobes(bpf->skel, o);
	error = size_maps(bpf->skel, o);
	error = error ?: memprobe__load(bpf->skel);
	error = error ?: run_setup(bpf->skel, o->features);
	error = error ?: fill_points(bpf->skel, o);
	if (error)
		goto fail;
	keep_programs(bpf, o->features);
	*ret = bpf;
	return 0;
fail:
	mp_bpf_free(bpf);
	return explain_load(error, o, err);
}

void mp_bpf_free(struct mp_bpf *bpf)
{
	if (!bpf)
		return;
	for (size_t i = 0; i < MP_ARRAY_SIZE(bpf->tracking); i++)
		bpf_link__destroy(bpf->tracking[i]);
	mp_watch_end(bpf);
	memprobe__destroy(bpf->skel);
	free(bpf);
}

void mp_bpf_enable(struct mp_bpf *bpf)
{
	__atomic_store_n(&bpf->skel->bss->live.enabled, 1, __ATOMIC_RELEASE);
}

void mp_bpf_disable(struct mp_bpf *bpf)
{
	__atomic_store_n(&bpf->skel->bss->live.enabled, 0, __ATOMIC_RELEASE);
}

int mp_bpf_track_processes(struct mp_bpf *bpf, struct mp_error *err)
{
	struct bpf_program *const programs[] = {
		bpf->skel->progs.mp_fork,
		bpf->skel->progs.mp_new_task,
		bpf->skel->progs.mp_exec,
		bpf->skel->progs.mp_exec_again,
		/* Before mp_exit: the calls of a victim's last thread are told before its exit. */
		bpf->skel->progs.mp_mark_victim,
		bpf->skel->progs.mp_victim_exit,
		bpf->skel->progs.mp_victim_exit_again,
		bpf->skel->progs.mp_exit,
		bpf->skel->progs.mp_exit_again,
		bpf->skel->progs.mp_cgroup_attach,
	};

	_Static_assert(MP_ARRAY_SIZE(programs) == MP_ARRAY_SIZE(bpf->tracking), "a link each");
	for (size_t i = 0; i < MP_ARRAY_SIZE(programs); i++) {
		if (!bpf_program__autoload(programs[i]))
			continue;
		bpf->tracking[i] = bpf_program__attach(programs[i]);
		if (!bpf->tracking[i])
			return mp_fail(err, MP_EXIT_UNSUPPORTED, errno,
				       "cannot follow processes (%s): see memprobe-bpf doctor",
				       strerror(errno));
	}
	return 0;
}

int mp_bpf_add_target(struct mp_bpf *bpf, pid_t pid, bool follow)
{
	struct mp_target target = {
		.flags = follow ? MP_TARGET_FOLLOW : 0,
		.exec_id = MP_EXEC_UNKNOWN,
	};
	uint32_t key = (uint32_t)pid;
	int err = bpf_map_update_elem(bpf_map__fd(bpf->skel->maps.targets), &key, &target,
				      BPF_NOEXIST);

	if (err)
		return err == -EEXIST ? 0 : err;
	return 1;
}

void mp_bpf_remove_target(struct mp_bpf *bpf, pid_t pid)
{
	uint32_t key = (uint32_t)pid;

	bpf_map_delete_elem(bpf_map__fd(bpf->skel->maps.targets), &key);
	__atomic_add_fetch(&bpf->skel->bss->live.targets_generation, 1, __ATOMIC_RELAXED);
}

bool mp_bpf_is_target(const struct mp_bpf *bpf, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct mp_target target;

	return bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.targets), &key, &target) == 0;
}

int mp_bpf_for_each_target(const struct mp_bpf *bpf, int (*fn)(void *data, pid_t pid), void *data)
{
	int fd = bpf_map__fd(bpf->skel->maps.targets);
	uint32_t key;
	int err = bpf_map_get_next_key(fd, NULL, &key);

	while (!err) {
		int stop = fn(data, (pid_t)key);

		if (stop)
			return stop;
		err = bpf_map_get_next_key(fd, &key, &key);
	}
	return 0;
}

static int put_wanted(const struct bpf_map *map, const void *key)
{
	const uint32_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(map), key, &one, BPF_ANY);
}

int mp_bpf_want_comm(struct mp_bpf *bpf, const char *comm)
{
	struct mp_comm_key key = {{0}};

	memcpy(key.comm, comm, strnlen(comm, MP_COMM_LEN - 1));
	return put_wanted(bpf->skel->maps.wanted_comm, &key);
}

int mp_bpf_want_exe(struct mp_bpf *bpf, const char *path)
{
	struct mp_exe_key key;
	struct stat st;

	if (stat(path, &st))
		return -errno;
	/* The kernel's own dev_t: 20 bits of minor. */
	key.dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	key.ino = st.st_ino;
	return put_wanted(bpf->skel->maps.wanted_exe, &key);
}

int mp_bpf_want_cgroup(struct mp_bpf *bpf, uint64_t id)
{
	return put_wanted(bpf->skel->maps.wanted_cgroup, &id);
}

int mp_bpf_set_usdt_site(struct mp_bpf *bpf, uint32_t site, const struct mp_usdt_site *args)
{
	return bpf_map_update_elem(bpf_map__fd(bpf->skel->maps.usdt_sites), &site, args, BPF_ANY);
}

static void add_phase(struct mp_phase_stats *sum, const struct mp_phase_stats *one)
{
	sum->hits += one->hits;
	sum->emitted += one->emitted;
	sum->suppressed += one->suppressed;
	sum->lost += one->lost;
}

static void add_stats(struct mp_point_stats *sum, const struct mp_point_stats *one)
{
	for (int phase = 0; phase < MP_COUNTED_PHASES; phase++)
		add_phase(&sum->phase[phase], &one->phase[phase]);
	if (one->matched && (!sum->matched || one->rss_max > sum->rss_max))
		sum->rss_max = one->rss_max;
	if (one->duration_max_ns > sum->duration_max_ns)
		sum->duration_max_ns = one->duration_max_ns;
	sum->missed += one->missed;
	sum->matched += one->matched;
	sum->duration_sum_ns += one->duration_sum_ns;
	sum->rss_sum += one->rss_sum;
	for (int i = 0; i < MP_HIST_BUCKETS; i++)
		sum->duration_hist[i] += one->duration_hist[i];
}

int mp_bpf_read_stats(const struct mp_bpf *bpf, uint32_t point, struct mp_point_stats *ret)
{
	MP_FREE struct mp_point_stats *per_cpu = calloc(bpf->nr_cpus, sizeof(*per_cpu));
	int err;

	if (!per_cpu)
		return -ENOMEM;
	err = bpf_map_lookup_elem(bpf_map__fd(bpf->skel->maps.stats), &point, per_cpu);
	if (err)
		return err;
	*ret = (struct mp_point_stats){0};
	for (unsigned int cpu = 0; cpu < bpf->nr_cpus; cpu++)
		add_stats(ret, &per_cpu[cpu]);
	return 0;
}

uint64_t mp_bpf_lost_hits(const struct mp_bpf *bpf)
{
	return __atomic_load_n(&bpf->skel->bss->lost_hits, __ATOMIC_RELAXED);
}

bool mp_bpf_lost_points(const struct mp_bpf *bpf)
{
	return __atomic_load_n(&bpf->skel->bss->undeclared, __ATOMIC_RELAXED) != 0;
}

uint64_t mp_bpf_lost_records(const struct mp_bpf *bpf)
{
	return __atomic_load_n(&bpf->skel->bss->lost_records, __ATOMIC_RELAXED);
}

uint64_t mp_bpf_lost_processes(const struct mp_bpf *bpf)
{
	return __atomic_load_n(&bpf->skel->bss->lost_processes, __ATOMIC_RELAXED);
}

static uint64_t missed_runs(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	if (!bpf_program__autoload(program) ||
	    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len))
		return 0;
	return info.recursion_misses;
}

uint64_t mp_bpf_missed_processes(const struct mp_bpf *bpf)
{
	const struct memprobe *skel = bpf->skel;
	/* Of a pair the second: what only the first missed was not missed. */
	const struct bpf_program *const programs[] = {
		skel->progs.mp_new_task,
		skel->progs.mp_exec_again,
		skel->progs.mp_exit_again,
		skel->progs.mp_cgroup_attach,
	};
	uint64_t missed = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(programs); i++)
		missed += missed_runs(programs[i]);
	return missed;
}

bool mp_bpf_is_batched(const struct mp_bpf *bpf)
{
	return bpf->skel->rodata->cfg.wake_bytes != 0;
}

int mp_bpf_events_ring(const struct mp_bpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.events);
}

int mp_bpf_processes_ring(const struct mp_bpf *bpf)
{
	return bpf_map__fd(bpf->skel->maps.processes);
}

int mp_bpf_program(const struct mp_bpf *bpf, enum mp_program program)
{
	return bpf->programs[program];
}
