// SPDX-License-Identifier: GPL-2.0-only
/* Everything until the first record can come. The order matters where a comment says so. */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "monitor/private.h"
#include "monitor/preload.h"
#include "monitor/privileges.h"
#include "monitor/programs.h"

#define FIRST_LOOKS_NS 200000000ULL /* what Python functions may delay the first event by */

static int resolve_targets(struct mp_monitor *m, struct mp_error *err)
{
	for (size_t i = 0; i < m->o->n_targets; i++) {
		int error = mp_target_resolve(&m->o->targets[i], &m->cgroups, err);

		if (error)
			return error;
	}
	return 0;
}

static bool has_target(const struct mp_monitor *m, enum mp_target_kind kind)
{
	for (size_t i = 0; i < m->o->n_targets; i++) {
		if (m->o->targets[i].kind == kind)
			return true;
	}
	return false;
}

static bool has_usdt(const struct mp_points *points)
{
	for (size_t i = 0; i < points->n; i++) {
		if (points->items[i].n_usdt)
			return true;
	}
	return false;
}

/* What happens at a point that is to be gated. */
static enum mp_gate gate_of(const struct mp_monitor *m)
{
	if (!mp_actions_named(m->o->policy, "gate") || !m->features.send_signal)
		return MP_GATE_NONE;
	return m->o->enforce ? MP_GATE_HELD : MP_GATE_WOULD;
}

static int load_bpf(struct mp_monitor *m, struct mp_error *err)
{
	struct mp_bpf_options o = {
		.features = &m->features,
		.points = m->o->points,
		.policy = m->o->policy,
		.ring_bytes = m->o->ring_bytes,
		.follow = m->o->follow,
		.want_comm = has_target(m, MP_TARGET_COMM),
		.want_exe = has_target(m, MP_TARGET_EXE),
		.want_cgroup = has_target(m, MP_TARGET_CGROUP),
		.has_usdt = has_usdt(m->o->points),
		.max_usdt_sites = MP_MAX_USDT_SITES,
		.pressure = !m->o->no_pressure,
		.watchpoints = m->o->python_mode == MP_PYTHON_WATCHPOINT,
		.gate = gate_of(m),
	};
	uint64_t available;

	if (mp_host_memory(&m->fs, &o.host_bytes, &available))
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOENT,
			       "cannot read /proc/meminfo: is /proc mounted?");
	return mp_bpf_load(&o, &m->bpf, err);
}

/* Processes that come to match later. The ones that run now are scanned for after this. */
static int want_targets(struct mp_monitor *m, struct mp_error *err)
{
	for (size_t i = 0; i < m->o->n_targets; i++) {
		const struct mp_target_spec *spec = &m->o->targets[i];
		uint64_t id;
		int error = 0;

		if (spec->kind == MP_TARGET_COMM)
			error = mp_bpf_want_comm(m->bpf, spec->text);
		else if (spec->kind == MP_TARGET_EXE)
			error = mp_bpf_want_exe(m->bpf, spec->text);
		else if (spec->kind == MP_TARGET_CGROUP)
			error = mp_cgroup_id(&m->cgroups, spec->text, &id)
					?: mp_bpf_want_cgroup(m->bpf, id);
		if (error)
			return mp_fail(err, MP_EXIT_TARGET, -error, "--target %s: %s", spec->origin,
				       strerror(-error));
	}
	mp_monitor_reconcile_from_now(m);
	return mp_bpf_track_processes(m->bpf, err);
}

/* The pidfd is opened first: what is read of /proc afterwards is of the same process, or of none.
 */
static int watch_pid(struct mp_monitor *m, pid_t pid, struct mp_error *err)
{
	struct mp_watched_pid *w = &m->pids[m->n_pids];
	int error;

	*w = (struct mp_watched_pid){m, pid, (int)syscall(SYS_pidfd_open, pid, 0)};
	if (w->pidfd < 0)
		return mp_fail(err, MP_EXIT_TARGET, errno,
			       "pid %d ended before it could be attached to", (int)pid);
	m->n_pids++;
	m->n_live_pids++;
	error = mp_bpf_add_target(m->bpf, pid, m->o->follow);
	return error < 0 ? error : mp_monitor_watch_end(m, w);
}

static int add_scanned(void *data, const struct mp_process *process)
{
	struct mp_monitor *m = data;

	mp_bpf_add_target(m->bpf, process->pid, m->o->follow);
	return 0;
}

static int add_targets(struct mp_monitor *m, struct mp_error *err)
{
	m->pids = calloc(m->o->n_targets + 1, sizeof(*m->pids));
	if (!m->pids)
		return -ENOMEM;
	for (size_t i = 0; i < m->o->n_targets; i++) {
		const struct mp_target_spec *spec = &m->o->targets[i];
		int error;

		if (spec->kind == MP_TARGET_PID)
			error = watch_pid(m, spec->pid, err);
		else
			error = mp_target_scan(spec, &m->cgroups, add_scanned, m);
		if (error)
			return error;
	}
	if (m->o->command) {
		int error = mp_bpf_add_target(m->bpf, m->child.pid, m->o->follow);

		return error < 0 ? error : 0;
	}
	return 0;
}

/* With pid targets alone the probes need to be in no other process. */
static size_t link_pids(const struct mp_monitor *m, pid_t pids[MP_MAX_PROBER_PIDS])
{
	bool filter = m->features.uprobe_multi ? m->features.uprobe_multi_pid : true;

	if (!filter || m->o->follow || m->o->command || m->n_pids != m->o->n_targets ||
	    m->n_pids > MP_MAX_PROBER_PIDS)
		return 0;
	for (size_t i = 0; i < m->n_pids; i++)
		pids[i] = m->pids[i].pid;
	return m->n_pids;
}

static int emit_event(void *data, const struct mp_event *event)
{
	struct mp_event copy = *event;

	mp_pipeline_put(data, &copy);
	return 0;
}

struct finding {
	struct mp_monitor *monitor;
	struct mp_error *err;
	int error;
};

static bool injects(const struct mp_monitor *m)
{
	return (m->o->python_mode == MP_PYTHON_AUTO || m->o->python_mode == MP_PYTHON_INJECT) &&
	       mp_points_any_python(m->o->points);
}

static int find_in_process(void *data, pid_t pid)
{
	struct finding *f = data;
	int error = mp_prober_add_process(f->monitor->prober, pid, f->err);

	/* Gone or not readable: the others still count. */
	f->error = error == -E2BIG || error == -ENOMEM ? error : 0;
	return f->error;
}

static int find_sites(struct mp_monitor *m, struct mp_error *err)
{
	struct finding f = {m, err, 0};
	int error = 0;

	mp_bpf_for_each_target(m->bpf, find_in_process, &f);
	if (f.error)
		return f.error;
	for (size_t i = 0; i < m->o->n_targets && !error; i++) {
		if (m->o->targets[i].kind == MP_TARGET_EXE)
			error = mp_programs_add(m->prober, m->o->targets[i].text, err);
	}
	if (m->o->command && !error)
		error = mp_programs_add(m->prober, m->child.path, err);
	if (m->python_env && !error)
		error = mp_prober_add_path(m->prober, mp_python_env_marker(m->python_env), false,
					   err);
	return error ? error : mp_prober_add_candidates(m->prober, err);
}

/* Nothing may harm the process under watch, unless its owner has said that it may. */
static int check_risk(const struct mp_monitor *m, struct mp_error *err)
{
	const char *risk = mp_watchpoints_warning(m->watchpoints);

	if (risk && !getenv("MEMPROBE_WATCHPOINT_RISK"))
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "%s; to take the risk, set MEMPROBE_WATCHPOINT_RISK=1", risk);
	if (risk && !m->o->output.quiet)
		fprintf(stderr, "memprobe-bpf: warning: %s\n", risk);
	return 0;
}

/* The functions are looked for behind the start record. */
static int watch_functions(struct mp_monitor *m, struct mp_error *err)
{
	const struct mp_watchpoints_options o = {
		.fs = &m->fs,
		.points = m->o->points,
		.bpf = m->bpf,
		.follow = m->o->follow,
		.emit = emit_event,
		.data = &m->pipeline,
	};

	if (m->o->python_mode != MP_PYTHON_WATCHPOINT)
		return 0;
	m->watchpoints = mp_watchpoints_new(&o);
	return m->watchpoints ? check_risk(m, err) : -ENOMEM;
}

static int attach_probes(struct mp_monitor *m, struct mp_error *err)
{
	struct mp_prober_options o = {
		.fs = &m->fs,
		.points = m->o->points,
		.features = &m->features,
		.bpf = m->bpf,
		.emit = emit_event,
		.data = &m->pipeline,
		.python_elsewhere = m->o->python_mode != MP_PYTHON_OFF,
	};
	int error;

	o.n_pids = link_pids(m, o.pids);
	m->prober = mp_prober_new(&o);
	if (!m->prober)
		return -ENOMEM;
	error = find_sites(m, err);
	error = error ?: mp_prober_attach(m->prober);
	if (!error)
		mp_bpf_enable(m->bpf);
	return error;
}

static int add_watched(void *data, pid_t pid)
{
	struct mp_monitor *m = data;

	mp_watchpoints_add(m->watchpoints, pid);
	return 0;
}

static int add_python(void *data, pid_t pid)
{
	struct mp_monitor *m = data;

	mp_pythons_add(m->pythons, pid);
	return 0;
}

/* Behind the start record, as what is told of it. */
static void inject(struct mp_monitor *m)
{
	if (!m->pythons)
		return;
	mp_pythons_emit_waiting(m->pythons);
	mp_bpf_for_each_target(m->bpf, add_python, m);
}

static void look_for_functions(struct mp_monitor *m)
{
	if (!m->watchpoints)
		return;
	mp_bpf_for_each_target(m->bpf, add_watched, m);
	mp_watchpoints_finish_looks(m->watchpoints, FIRST_LOOKS_NS);
	mp_watchpoints_emit_waiting(m->watchpoints);
	mp_monitor_run_watchpoints(m);
}

void mp_monitor_put_start(struct mp_monitor *m)
{
	MP_FREE const char **targets = calloc(m->o->n_targets + 1, sizeof(*targets));
	struct mp_feature_row rows[MP_FEATURE_ROWS];
	const char *features[MP_FEATURE_ROWS];
	struct mp_event event = {.type = MP_EVENT_START};
	size_t n_rows = mp_features_rows(&m->features, rows);
	struct utsname name;
	size_t n = 0;

	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].present)
			features[n++] = rows[i].name;
	}
	for (size_t i = 0; targets && i < m->o->n_targets; i++)
		targets[event.start.n_targets++] = m->o->targets[i].origin;
	if (targets && m->o->command)
		targets[event.start.n_targets++] = m->o->command[0];
	uname(&name);
	event.start.version = MP_VERSION;
	event.start.kernel = name.release;
	event.start.cgroup_mode = mp_cgroup_mode_name(m->cgroups.mode);
	event.start.targets = targets;
	event.start.features = features;
	event.start.n_features = n;
	memcpy(event.start.threshold_pct, m->o->policy->threshold_pct,
	       sizeof(event.start.threshold_pct));
	mp_pipeline_put(&m->pipeline, &event);
	mp_prober_emit(m->prober);
	mp_prober_emit_waiting(m->prober);
	m->started = true;
	inject(m);
	look_for_functions(m);
}

/* What actions ask for; the first two also from worker threads. */
static bool host_is_target(void *data, pid_t pid)
{
	const struct mp_monitor *m = data;

	return mp_bpf_is_target(m->bpf, pid);
}

static int host_for_each_target(void *data, int (*fn)(void *, pid_t), void *fn_data)
{
	const struct mp_monitor *m = data;

	return mp_bpf_for_each_target(m->bpf, fn, fn_data);
}

static int host_open_gate(void *data, pid_t pid, uint64_t pass_until_ns)
{
	const struct mp_monitor *m = data;

	return mp_bpf_open_gate(m->bpf, pid, pass_until_ns);
}

static void on_outcome(void *data, const struct mp_event *event)
{
	struct mp_monitor *m = data;

	mp_oom_note(m->oom, event);
	if (event->type == MP_EVENT_DECISION)
		mp_domains_set_severity(
			m->domains, event->decision.limit_cgroup,
			mp_pipeline_severity(&m->pipeline, event->decision.limit_cgroup));
}

static int init_pipeline(struct mp_monitor *m)
{
	struct mp_pipeline_options o = {
		.output = m->output,
		.gather = m->o->gather,
		.on_outcome = on_outcome,
		.data = m,
		.actions =
			{
				.policy = m->o->policy,
				.cgroups = &m->cgroups,
				.undo = m->undo,
				.guardian = m->guardian ? mp_guardian_pid(m->guardian) : 0,
				.enforce = m->o->enforce,
				.notify_path = m->notify_path[0] ? m->notify_path : NULL,
				.host = {m, host_is_target, host_for_each_target, host_open_gate,
					 mp_monitor_look},
			},
	};

	return mp_pipeline_init(&m->pipeline, &o);
}

static bool names_any(const struct mp_policy *policy, const char *const *names)
{
	for (; *names; names++) {
		if (mp_actions_named(policy, *names))
			return true;
	}
	return false;
}

/* Forked while this process is small, has no threads and no links. */
static int start_guardian(struct mp_monitor *m, struct mp_error *err)
{
	static const char *const to_be_undone[] = {"gate", "freeze", "throttle", NULL};
	static const char *const always[] = {"hook", "notify", NULL};

	if (!(m->o->enforce && names_any(m->o->policy, to_be_undone)) &&
	    !names_any(m->o->policy, always))
		return 0;
	m->undo = mp_undo_new();
	if (!m->undo)
		return -errno;
	return mp_guardian_start(m->undo, &m->guardian, err);
}

/* Debian's kernels have a level on which CAP_PERFMON is not enough. */
static bool is_paranoid(const struct mp_fsroot *fs)
{
	MP_FREE char *text = NULL;

	return mp_read_file_at(fs, 64, &text, NULL, "/proc/sys/kernel/perf_event_paranoid") == 0 &&
	       strtol(text, NULL, 10) > 2;
}

/* What actions that are only `would` do not need is given up. */
static int drop_privileges(const struct mp_monitor *m)
{
	static const char *const acting[] = {"relieve", "reclaim", NULL};
	bool acts = m->o->enforce || names_any(m->o->policy, acting);
	bool opens_events = m->o->python_mode == MP_PYTHON_WATCHPOINT && is_paranoid(&m->fs);
	uint64_t needed = mp_privileges_needed(&m->features, acts, opens_events);

	/* The report is written at the end, and its folder may be another user's. */
	if (m->o->gather)
		needed |= 1ULL << CAP_DAC_OVERRIDE;
	return mp_privileges_keep(needed);
}

static int guard_gates(struct mp_monitor *m)
{
	if (gate_of(m) != MP_GATE_HELD)
		return 0;
	return mp_guardian_watch_gates(m->guardian, mp_bpf_gated_map(m->bpf),
				       mp_bpf_live_map(m->bpf), mp_bpf_gates_open_offset(m->bpf),
				       m->o->policy->gate_deadline_ns);
}

static int follow_domain(void *data, pid_t pid)
{
	struct mp_monitor *m = data;

	mp_domains_follow(m->domains, pid);
	return 0;
}

static int open_sources(struct mp_monitor *m, struct mp_error *err)
{
	int error = mp_monitor_open_inputs(m);

	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot map the ring buffer: choose a smaller --ring-size");
	mp_domains_refresh(m->domains, mp_clock_now_ns());
	if (m->pressure)
		mp_bpf_for_each_target(m->bpf, follow_domain, m);
	return mp_monitor_watch_inputs(m);
}

/* Nothing is watched yet. Where kernel.perf_event_paranoid is 3, only CAP_SYS_ADMIN can open these.
 */
static int open_perf_events(struct mp_monitor *m, struct mp_error *err)
{
	mp_monitor_watch_mmaps(m);
	return m->o->no_pressure ? 0 : mp_bpf_track_pressure(m->bpf, err);
}

/* The command finds the socket's path in its environment. Without a place for one it has none. */
static void offer_notify(struct mp_monitor *m)
{
	if (!m->o->command || !mp_actions_named(m->o->policy, "notify") ||
	    mp_notify_default_path(m->notify_path))
		return;
	if (mp_notify_set_environment(m->notify_path))
		m->notify_path[0] = '\0';
}

/* A command that would not start with the library does without. */
static int offer_agent(const struct mp_monitor *m, struct mp_error *err)
{
	static const char own[] = "/proc/self/exe";
	MP_FREE char *program = mp_child_find(m->o->command[0]);
	enum mp_preload_fit fit = program ? mp_preload_fit(program, own) : MP_PRELOAD_FITS;
	char library[PATH_MAX];
	int error = mp_preload_find(own, library, err);

	if (error)
		return error;
	if (fit == MP_PRELOAD_STATIC)
		fprintf(stderr,
			"memprobe-bpf: warning: %s is linked statically and loads no library: "
			"only programs that it starts can have an agent\n",
			m->o->command[0]);
	if (fit == MP_PRELOAD_OTHER) {
		fprintf(stderr,
			"memprobe-bpf: warning: %s is for another processor or C library than "
			"%s: it runs without an agent\n",
			m->o->command[0], library);
		return 0;
	}
	return mp_preload_set_environment(library);
}

/* Before there are threads. */
static int start_processes(struct mp_monitor *m, struct mp_error *err)
{
	int error = 0;

	offer_notify(m);
	if (m->o->agent)
		error = offer_agent(m, err);
	if (m->o->command && !error && injects(m))
		error = mp_python_env_new(m->o->points, &m->python_env, err);
	if (m->o->command && !error)
		error = mp_child_start_in(m->o->command, m->o->place, &m->child, err);
	mp_python_env_leave(m->python_env);
	return error ?: start_guardian(m, err);
}

/* What goes on with less than root has: said once, at the start. */
static void tell_limits(const struct mp_monitor *m)
{
	struct mp_feature_row rows[MP_FEATURE_ROWS];
	size_t n = mp_features_rows(&m->features, rows);

	for (size_t i = 0; i < n && !m->o->output.quiet; i++) {
		if (!rows[i].present && !rows[i].required && strncmp(rows[i].name, "cap_", 4) == 0)
			fprintf(stderr, "memprobe-bpf: note: without %s: %s\n", rows[i].name,
				rows[i].without);
	}
}

static bool all_are_pids(const struct mp_monitor *m)
{
	return !m->o->command && m->o->n_targets == m->n_pids;
}

/* One that is denied is a failed site; when there is nothing else to watch, it is the end. */
static void on_denied(void *data, pid_t pid, const char *reason)
{
	struct mp_monitor *m = data;

	if (!mp_points_only_python(m->o->points) || !all_are_pids(m) || m->n_pids != 1)
		return;
	(void)pid;
	mp_fail(&m->denied, MP_EXIT_PRIVILEGE, EPERM, "%s", reason);
	mp_monitor_stop(m, "denied");
}

static int emit_python(void *data, const struct mp_event *event)
{
	struct mp_monitor *m = data;

	return emit_event(&m->pipeline, event);
}

static void look_at_python(void *data, pid_t pid)
{
	mp_monitor_look_at(data, pid);
}

/* Before privileges are dropped: its thread keeps some that this one does not need. */
static int start_pythons(struct mp_monitor *m)
{
	const struct mp_pythons_options o = {
		.fs = &m->fs,
		.points = m->o->points,
		.loop = m->loop,
		.env = m->python_env,
		.emit = emit_python,
		.look_at = look_at_python,
		.on_denied = on_denied,
		.data = m,
	};

	if (!injects(m))
		return 0;
	m->pythons = mp_pythons_new(&o);
	if (!m->pythons)
		return -errno;
	/* What is known by its pid need not wait until the kernel has taken the programs. */
	for (size_t i = 0; i < m->o->n_targets; i++) {
		if (m->o->targets[i].kind == MP_TARGET_PID)
			mp_pythons_add(m->pythons, m->o->targets[i].pid);
	}
	return 0;
}

static int require_watchpoints(const struct mp_monitor *m, struct mp_error *err)
{
	if (m->o->python_mode != MP_PYTHON_WATCHPOINT || m->features.watchpoints)
		return 0;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
		       "--python-mode watchpoint: no BPF program can run on a hardware "
		       "watchpoint here (kernel 6.1 and a processor that has them are needed): "
		       "use --python-mode inject");
}

int mp_monitor_set_up(struct mp_monitor *m, struct mp_error *err)
{
	int error;

	mp_features_detect(&m->fs, &m->features);
	error = mp_features_require(&m->features, err);
	error = error ?: require_watchpoints(m, err);
	if (error)
		return error;
	tell_limits(m);
	mp_cgroups_detect(&m->fs, &m->cgroups);
	error = resolve_targets(m, err);
	error = error ?: start_processes(m, err);
	m->loop = mp_loop_new();
	error = error ?: (m->loop ? mp_monitor_block_signals(m) : -ENOMEM);
	error = error ?: start_pythons(m);
	error = error ?: load_bpf(m, err);
	error = error ?: open_perf_events(m, err);
	/* Threads that are made after this have no more either. */
	error = error ?: drop_privileges(m);
	/* Before the first hit can stop a process. */
	error = error ?: guard_gates(m);
	error = error ?: mp_output_new(&m->o->output, &m->output, err);
	error = error ?: init_pipeline(m);
	/* Followed before the scan: who starts in between is seen by one of the two. */
	error = error ?: want_targets(m, err);
	error = error ?: add_targets(m, err);
	error = error ?: watch_functions(m, err);
	error = error ?: open_sources(m, err);
	return error ? error : attach_probes(m, err);
}
