// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/monitor.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/loop.h"
#include "monitor/child.h"
#include "monitor/domains.h"
#include "monitor/oom.h"
#include "monitor/pipeline.h"
#include "monitor/programs.h"
#include "monitor/summary.h"
#include "probe/prober.h"
#include "source/mmap_watch.h"
#include "source/ring.h"

#define DRAIN_BATCH 4096U
#define BATCH_MS 20
#define LOST_EVERY_NS 100000000ULL
#define OOM_PATIENCE_NS 2000000000ULL /* how long a victim may take to end */
#define MIN_TICK_NS 50000000ULL
#define MAX_TICK_NS 5000000000ULL

struct watched_pid {
	struct mp_monitor *monitor;
	pid_t pid;
	int pidfd;
};

struct mp_monitor {
	const struct mp_monitor_options *o;
	struct mp_fsroot fs;
	struct mp_features features;
	struct mp_cgroups cgroups;
	struct mp_bpf *bpf;
	struct mp_prober *prober;
	struct mp_ring *ring;
	struct mp_loop *loop;
	struct mp_mmap_watch *mmaps;
	struct mp_domains *domains;
	struct mp_oom *oom;
	struct mp_output *output;
	struct mp_pipeline pipeline;
	struct mp_child child;
	uint64_t oom_kills;	  /* of the command's group before it ran */
	struct watched_pid *pids; /* of pid targets */
	size_t n_pids;
	size_t n_live_pids;
	pid_t *dirty; /* processes that mapped something; 0: all */
	size_t n_dirty;
	size_t cap_dirty;
	int signals;
	int tick;
	int deadline;
	bool started;  /* start was put out: from here on a summary follows */
	bool draining; /* more records wait than one batch */
	const char *stop_reason;
	int stop_signal;
	uint64_t start_ns;
	uint64_t received;
	uint64_t lost_told;    /* ring losses already reported … */
	uint64_t lost_told_ns; /* … and when */
};

static void stop(struct mp_monitor *m, const char *reason)
{
	if (!m->stop_reason)
		m->stop_reason = reason;
}

/* --- what comes in ---------------------------------------------------------- */

static void tell_lost(struct mp_monitor *m, const char *source, uint64_t count)
{
	struct mp_event event = {.type = MP_EVENT_LOST, .lost = {source, count}};

	mp_pipeline_put(&m->pipeline, &event);
}

static void mark_dirty(struct mp_monitor *m, pid_t pid)
{
	for (size_t i = 0; i < m->n_dirty; i++) {
		if (m->dirty[i] == pid)
			return;
	}
	if (MP_RESERVE_ONE(m->dirty, m->n_dirty, m->cap_dirty))
		return;
	m->dirty[m->n_dirty++] = pid;
}

/* Told where it happened in the stream, but not at every record of a flood. */
static void note_lost(struct mp_monitor *m, uint64_t lost, uint64_t now_ns)
{
	if (lost <= m->lost_told || now_ns - m->lost_told_ns < LOST_EVERY_NS)
		return;
	tell_lost(m, "ring", lost - m->lost_told);
	m->lost_told = lost;
	m->lost_told_ns = now_ns;
}

static int on_record(void *data, struct mp_decoded *record)
{
	struct mp_monitor *m = data;
	uint64_t now = mp_clock_now_ns();

	if (record->event.type == MP_EVENT_PROBE) {
		m->received++;
		note_lost(m, record->lost, now);
		mp_domains_enrich(m->domains, record, now);
	} else if (record->event.type == MP_EVENT_OOM) {
		mp_oom_add(m->oom, &record->event, record->cgroup_id);
		return 0;
	} else if (record->event.process.op == MP_PROCESS_EXEC) {
		mark_dirty(m, (pid_t)record->event.process.pid);
	} else if (record->event.process.op == MP_PROCESS_EXIT) {
		mp_oom_exit(m->oom, record->event.process.pid, now);
	}
	mp_pipeline_feed(&m->pipeline, &record->event);
	return 0;
}

static void drain_ring(void *data)
{
	struct mp_monitor *m = data;
	int n = mp_ring_drain(m->ring, DRAIN_BATCH);

	m->draining = n == (int)DRAIN_BATCH;
}

/* A program that is not watched may map what it likes. */
static void on_mmap(void *data, pid_t pid)
{
	struct mp_monitor *m = data;

	if (pid == 0 || mp_bpf_is_target(m->bpf, pid))
		mark_dirty(m, pid);
}

static int add_process(void *data, pid_t pid)
{
	struct mp_monitor *m = data;
	struct mp_error err = {0};

	/* Too many sites in a library that came late: told once, the others go on. */
	if (mp_prober_add_process(m->prober, pid, &err) == -E2BIG)
		fprintf(stderr, "memprobe-bpf: warning: %s\n", err.text);
	return 0;
}

/* Looks again at processes that mapped something since the last time. */
static void look_again(struct mp_monitor *m)
{
	if (m->n_dirty == 0)
		return;
	for (size_t i = 0; i < m->n_dirty; i++) {
		if (m->dirty[i] == 0)
			mp_bpf_for_each_target(m->bpf, add_process, m);
		else
			add_process(m, m->dirty[i]);
	}
	m->n_dirty = 0;
	mp_prober_attach(m->prober);
	mp_prober_emit(m->prober);
}

static void on_tick(void *data)
{
	struct mp_monitor *m = data;

	mp_timer_clear(m->tick);
	mp_domains_refresh(m->domains, mp_clock_now_ns());
	mp_oom_flush(m->oom, mp_clock_now_ns(), OOM_PATIENCE_NS);
	if (mp_output_closed(m->output))
		stop(m, "output_closed");
}

static void on_actions(void *data)
{
	struct mp_monitor *m = data;

	mp_actions_dispatch(m->pipeline.actions, mp_clock_now_ns());
}

static void on_deadline(void *data)
{
	struct mp_monitor *m = data;

	mp_timer_clear(m->deadline);
	stop(m, "duration");
}

/*
 * A signal that somebody sent to `run` alone is for its command, too; one from
 * the terminal has reached both. A second one ends the watch at once.
 */
static void on_signal(void *data)
{
	struct mp_monitor *m = data;
	struct signalfd_siginfo info;

	if (read(m->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (!m->o->command || m->stop_signal) {
		stop(m, "signal");
	} else if (info.ssi_code == SI_USER || info.ssi_code == SI_QUEUE) {
		syscall(SYS_pidfd_send_signal, m->child.pidfd, (int)info.ssi_signo, NULL, 0);
	}
	m->stop_signal = (int)info.ssi_signo;
}

static void on_child(void *data)
{
	struct mp_monitor *m = data;

	if (!mp_child_reap(&m->child))
		return;
	mp_loop_remove(m->loop, m->child.pidfd);
	stop(m, "command_exit");
}

static void on_pid_end(void *data)
{
	struct watched_pid *w = data;
	struct mp_monitor *m = w->monitor;

	mp_loop_remove(m->loop, w->pidfd);
	/* Where the kernel side follows processes it has done this already. */
	mp_bpf_remove_target(m->bpf, w->pid);
	if (--m->n_live_pids == 0 && m->n_pids == m->o->n_targets)
		stop(m, "target_exit");
}

/* --- set-up ------------------------------------------------------------------ */

static int block_signals(struct mp_monitor *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return m->signals < 0 ? -errno : mp_loop_add(m->loop, m->signals, on_signal, m);
}

static uint64_t tick_ns(const struct mp_policy *policy)
{
	uint64_t tick = policy->check_interval_ns;

	return tick < MIN_TICK_NS ? MIN_TICK_NS : tick > MAX_TICK_NS ? MAX_TICK_NS : tick;
}

static int add_timers(struct mp_monitor *m)
{
	uint64_t tick = tick_ns(m->o->policy);
	int err;

	m->tick = mp_timer_new(tick, tick);
	err = m->tick < 0 ? m->tick : mp_loop_add(m->loop, m->tick, on_tick, m);
	if (err || !m->o->duration_ns)
		return err;
	m->deadline = mp_timer_new(m->o->duration_ns, 0);
	return m->deadline < 0 ? m->deadline : mp_loop_add(m->loop, m->deadline, on_deadline, m);
}

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
	return mp_bpf_track_processes(m->bpf, err);
}

/* The pidfd is opened first: what is read of /proc afterwards is of the same process, or of none.
 */
static int watch_pid(struct mp_monitor *m, pid_t pid, struct mp_error *err)
{
	struct watched_pid *w = &m->pids[m->n_pids];
	int error;

	*w = (struct watched_pid){m, pid, (int)syscall(SYS_pidfd_open, pid, 0)};
	if (w->pidfd < 0)
		return mp_fail(err, MP_EXIT_TARGET, errno,
			       "pid %d ended before it could be attached to", (int)pid);
	m->n_pids++;
	m->n_live_pids++;
	error = mp_bpf_add_target(m->bpf, pid, m->o->follow);
	return error ? error : mp_loop_add(m->loop, w->pidfd, on_pid_end, w);
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
	if (m->o->command)
		return mp_bpf_add_target(m->bpf, m->child.pid, m->o->follow);
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
	return error ? error : mp_prober_add_candidates(m->prober, err);
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
	if (!error && m->features.cap_perfmon)
		mp_mmap_watch_new(m->loop, on_mmap, m, &m->mmaps);
	return error;
}

static void put_start(struct mp_monitor *m)
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
	mp_pipeline_put(&m->pipeline, &event);
	mp_prober_emit(m->prober);
	mp_prober_emit_waiting(m->prober);
	m->started = true;
}

static int open_sources(struct mp_monitor *m, struct mp_error *err)
{
	int error;

	m->ring = mp_ring_new(mp_bpf_events_ring(m->bpf), mp_bpf_processes_ring(m->bpf),
			      m->o->points, on_record, m);
	m->domains = mp_domains_new(&m->cgroups, m->bpf, m->o->policy);
	m->oom = mp_oom_new(&m->cgroups, emit_event, &m->pipeline);
	if (!m->ring || !m->domains || !m->oom)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOMEM,
			       "cannot map the ring buffer: choose a smaller --ring-size");
	mp_domains_refresh(m->domains, mp_clock_now_ns());
	error = mp_loop_add(m->loop, mp_ring_fd(m->ring), drain_ring, m);
	error = error ?: mp_loop_add(m->loop, mp_actions_fd(m->pipeline.actions), on_actions, m);
	if (!error && m->o->command)
		error = mp_loop_add(m->loop, m->child.pidfd, on_child, m);
	return error ? error : add_timers(m);
}

/* Everything until the first record can come. The order matters where a comment says so. */
static int set_up(struct mp_monitor *m, struct mp_error *err)
{
	int error;

	mp_features_detect(&m->fs, &m->features);
	error = mp_features_require(&m->features, err);
	if (error)
		return error;
	mp_cgroups_detect(&m->fs, &m->cgroups);
	error = resolve_targets(m, err);
	/* The command is forked before any thread is made. */
	if (!error && m->o->command)
		error = mp_child_start(m->o->command, &m->child, err);
	m->loop = mp_loop_new();
	error = error ?: (m->loop ? block_signals(m) : -ENOMEM);
	error = error ?: load_bpf(m, err);
	error = error ?: mp_output_new(&m->o->output, &m->output, err);
	error = error ?: mp_pipeline_init(&m->pipeline, m->o->policy, m->output, false);
	/* Followed before the scan: who starts in between is seen by one of the two. */
	error = error ?: want_targets(m, err);
	error = error ?: add_targets(m, err);
	error = error ?: open_sources(m, err);
	return error ? error : attach_probes(m, err);
}

/* --- the run ------------------------------------------------------------------ */

static void run_loop(struct mp_monitor *m)
{
	const int batch_ms = mp_bpf_is_batched(m->bpf) ? BATCH_MS : -1;

	while (!m->stop_reason) {
		int err = mp_loop_once(m->loop, m->draining ? 0 : batch_ms);

		if (err) {
			stop(m, "error");
			return;
		}
		if (m->draining || batch_ms >= 0)
			drain_ring(m);
		look_again(m);
	}
}

static void put_losses(struct mp_monitor *m)
{
	uint64_t lost = mp_bpf_lost_records(m->bpf);
	uint64_t processes = mp_bpf_lost_processes(m->bpf);
	uint64_t malformed = mp_ring_malformed(m->ring);
	const struct {
		const char *source;
		uint64_t count;
	} losses[] = {
		{"ring", lost - m->lost_told},
		{"hits", mp_bpf_lost_hits(m->bpf)},
		{"process_ring", processes},
		{"malformed", malformed},
		{"output", mp_output_dropped(m->output)},
		{"record", mp_output_record_dropped(m->output)},
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(losses); i++) {
		struct mp_event event = {.type = MP_EVENT_LOST,
					 .ts_ns = mp_clock_now_ns(),
					 .lost = {losses[i].source, losses[i].count}};

		if (!losses[i].count)
			continue;
		event.realtime_ns = event.ts_ns + (uint64_t)m->pipeline.realtime_offset_ns;
		mp_output_last(m->output, &event);
	}
}

static void put_end(struct mp_monitor *m, int exit_code)
{
	struct mp_summary_point *points = NULL;
	uint64_t now = mp_clock_now_ns();
	uint64_t wall = now + (uint64_t)m->pipeline.realtime_offset_ns;
	struct mp_event event = {.type = MP_EVENT_SUMMARY, .ts_ns = now, .realtime_ns = wall};
	bool all_shown = mp_output_dropped(m->output) == 0 && mp_bpf_lost_hits(m->bpf) == 0;

	event.summary.duration_ns = now - m->start_ns;
	if (mp_summary_read(m->bpf, m->o->points, m->received, all_shown, &points,
			    &event.summary) == 0)
		mp_output_last(m->output, &event);
	free(points);
	event = (struct mp_event){.type = MP_EVENT_STOP, .ts_ns = now, .realtime_ns = wall};
	event.stop.reason = m->stop_reason;
	event.stop.exit_code = exit_code;
	mp_output_last(m->output, &event);
}

/* Probes away first, then the records that are still on their way, then the totals. */
static void finish(struct mp_monitor *m, int exit_code)
{
	mp_mmap_watch_free(m->mmaps);
	m->mmaps = NULL;
	mp_bpf_disable(m->bpf);
	mp_prober_detach(m->prober);
	while (mp_ring_drain(m->ring, DRAIN_BATCH) == (int)DRAIN_BATCH)
		;
	mp_oom_flush(m->oom, mp_clock_now_ns(), 0);
	/* Hooks that still run get their time, so that their results come before the summary. */
	mp_pipeline_end(&m->pipeline);
	put_losses(m);
	put_end(m, exit_code);
}

static void tear_down(struct mp_monitor *m)
{
	mp_mmap_watch_free(m->mmaps);
	mp_prober_free(m->prober);
	mp_ring_free(m->ring);
	mp_domains_free(m->domains);
	mp_oom_free(m->oom);
	mp_pipeline_end(&m->pipeline);
	mp_bpf_free(m->bpf);
	for (size_t i = 0; i < m->n_pids; i++)
		close(m->pids[i].pidfd);
	free(m->pids);
	free(m->dirty);
	mp_close_p(&m->signals);
	mp_close_p(&m->tick);
	mp_close_p(&m->deadline);
	mp_loop_free(m->loop);
	if (m->o->command)
		mp_child_free(&m->child);
}

/* OOM kills in the group that the command runs in, which is this process's own. */
static uint64_t count_oom_kills(const struct mp_monitor *m)
{
	MP_FREE char *path = NULL;
	uint64_t kills;

	if (mp_cgroup_of_pid(&m->cgroups, getpid(), &path) ||
	    mp_cgroup_oom_kills(&m->cgroups, path, &kills))
		return 0;
	return kills;
}

static int command_exit_code(const struct mp_monitor *m)
{
	int code = mp_child_exit_code(&m->child);

	if (code == 128 + SIGKILL && count_oom_kills(m) > m->oom_kills)
		return MP_EXIT_OOM;
	return code;
}

static int run_to_end(struct mp_monitor *m, int *ret_exit_code, struct mp_error *err)
{
	int error = 0;

	put_start(m);
	/* Symbol tables and the kernel's types are not needed any more. */
	malloc_trim(0);
	m->oom_kills = count_oom_kills(m);
	if (m->o->command)
		error = mp_child_release(&m->child, m->o->command[0], err);
	if (!error)
		run_loop(m);
	*ret_exit_code = MP_EXIT_OK;
	if (error)
		*ret_exit_code = (int)err->exit_code;
	else if (m->o->command && m->child.ended)
		*ret_exit_code = command_exit_code(m);
	stop(m, "error");
	finish(m, *ret_exit_code);
	return error;
}

int mp_monitor_run(const struct mp_monitor_options *options, int *ret_exit_code,
		   struct mp_error *err)
{
	struct mp_monitor m = {.o = options,
			       .fs = {""},
			       .signals = -1,
			       .tick = -1,
			       .deadline = -1,
			       .child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1}};
	int written;
	int error;

	m.start_ns = mp_clock_now_ns();
	error = set_up(&m, err);
	if (!error)
		error = run_to_end(&m, ret_exit_code, err);
	tear_down(&m);
	written = mp_output_free(m.output, error ? NULL : err);
	if (error && !err->text[0])
		mp_fail(err, MP_EXIT_UNSUPPORTED, -error, "%s", strerror(-error));
	return error ? error : written;
}
