// SPDX-License-Identifier: GPL-2.0-only
/* What comes in: records of the kernel, the clock, signals, ends of processes. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "base/array.h"
#include "base/clock.h"
#include "cgroup/control.h"
#include "monitor/preload.h"
#include "monitor/private.h"

#define LOST_EVERY_NS 100000000ULL
#define OOM_PATIENCE_NS 2000000000ULL /* how long a victim may take to end */
#define MIN_TICK_NS 50000000ULL
#define MAX_TICK_NS 5000000000ULL

void mp_monitor_stop(struct mp_monitor *m, const char *reason)
{
	if (!m->stop_reason)
		m->stop_reason = reason;
}

/* --- records ------------------------------------------------------------------ */

static void tell_lost(struct mp_monitor *m, const char *source, uint64_t count)
{
	struct mp_event event = {.type = MP_EVENT_LOST, .lost = {source, count}};

	mp_pipeline_put(&m->pipeline, &event);
}

void mp_monitor_mark_dirty(struct mp_monitor *m, pid_t pid)
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

/* The kernel side is told what the policy made of it: it tells what goes beyond. */
static void feed_pressure(struct mp_monitor *m, struct mp_event *event)
{
	const char *domain = event->pressure.cgroup;

	/* With a decision it has been already. */
	if (mp_pipeline_feed(&m->pipeline, event))
		return;
	mp_domains_set_severity(m->domains, domain, mp_pipeline_severity(&m->pipeline, domain));
}

static void take_probe(struct mp_monitor *m, struct mp_decoded *record, uint64_t now)
{
	m->received++;
	note_lost(m, record->lost, now);
	mp_domains_enrich(m->domains, record, now);
	if (record->event.probe.gate != MP_GATE_NONE)
		record->event.probe.gate_deadline_ns = m->o->policy->gate_deadline_ns;
	mp_pipeline_feed(&m->pipeline, &record->event);
}

/* A program has passed the marker of a point for the first time; it may have declared it. */
static void take_point(struct mp_monitor *m, const struct mp_decoded *record)
{
	const struct mp_reached *r = &record->reached;

	/* Without memory for it, records of the point are counted as malformed. */
	if (r->point >= m->o->points->n)
		mp_points_declare(m->o->points, r->point, r->name, record->event.site.level);
	/* Of a wrapper that was put in is told by the name of its function. */
	if (m->pythons && r->point < m->o->points->n && record->event.site.kind == MP_SITE_PYTHON)
		return;
	if (mp_points_at(m->o->points, r->point))
		mp_prober_reached(m->prober, r->point, r->site, record->event.site.kind,
				  record->event.ts_ns);
}

static void tell_watchpoints(struct mp_monitor *m, const struct mp_event *event)
{
	const struct mp_event_process *e = &event->process;

	if (e->op == MP_PROCESS_FORK)
		mp_watchpoints_fork(m->watchpoints, (pid_t)e->parent, (pid_t)e->pid, event->ts_ns);
	else if (e->op == MP_PROCESS_EXEC)
		mp_watchpoints_add(m->watchpoints, (pid_t)e->pid);
	else if (e->op == MP_PROCESS_EXIT)
		mp_watchpoints_remove(m->watchpoints, (pid_t)e->pid);
	mp_monitor_run_watchpoints(m);
}

void mp_monitor_take_process(struct mp_monitor *m, struct mp_event *event)
{
	pid_t pid = (pid_t)event->process.pid;

	if (m->watchpoints)
		tell_watchpoints(m, event);
	if (event->process.op == MP_PROCESS_FORK)
		mp_pythons_add(m->pythons, pid);
	if (event->process.op == MP_PROCESS_EXEC) {
		mp_monitor_mark_dirty(m, pid);
		mp_domains_follow(m->domains, pid);
	} else if (event->process.op == MP_PROCESS_EXIT) {
		mp_oom_exit(m->oom, event->process.pid, mp_clock_now_ns());
		mp_actions_process_gone(m->pipeline.actions, pid);
		mp_pythons_remove(m->pythons, pid);
		if (m->o->agent)
			mp_preload_tidy(pid);
	}
	mp_pipeline_feed(&m->pipeline, event);
}

static int on_record(void *data, struct mp_decoded *record)
{
	struct mp_monitor *m = data;
	uint64_t now = mp_clock_now_ns();

	switch (record->event.type) {
	case MP_EVENT_PROBE:
		take_probe(m, record, now);
		break;
	case MP_EVENT_SITE:
		take_point(m, record);
		break;
	case MP_EVENT_PRESSURE:
		mp_domains_enrich(m->domains, record, now);
		feed_pressure(m, &record->event);
		break;
	case MP_EVENT_OOM:
		/* In a group that is full, a walk of the file system may find no memory. */
		record->event.oom.cgroup = mp_domains_path(m->domains, record->cgroup_id);
		mp_oom_add(m->oom, &record->event, record->cgroup_id);
		break;
	default:
		mp_monitor_take_process(m, &record->event);
		break;
	}
	return 0;
}

void mp_monitor_drain(struct mp_monitor *m)
{
	m->draining = mp_ring_drain(m->ring, MP_DRAIN_BATCH) == (int)MP_DRAIN_BATCH;
}

static void on_ring(void *data)
{
	mp_monitor_drain(data);
}

/* What user space noticed by itself. */
static int on_pressure(void *data, const struct mp_event *event)
{
	struct mp_event copy = *event;

	feed_pressure(data, &copy);
	return 0;
}

void mp_monitor_flush_reclaim(struct mp_monitor *m)
{
	mp_domains_flush(m->domains, mp_clock_now_ns(), on_pressure, m);
}

/* --- binaries that come later ---------------------------------------------------- */

/* A program that is not watched may map what it likes. */
static void on_mmap(void *data, pid_t pid)
{
	struct mp_monitor *m = data;

	if (pid == 0 || mp_bpf_is_target(m->bpf, pid))
		mp_monitor_mark_dirty(m, pid);
}

static int add_process(void *data, pid_t pid)
{
	struct mp_monitor *m = data;
	struct mp_error err = {0};

	mp_pythons_add(m->pythons, pid);
	if (m->watchpoints)
		mp_watchpoints_mapped(m->watchpoints, pid);
	/* Too many sites in a library that came late: told once, the others go on. */
	if (mp_prober_add_process(m->prober, pid, &err) == -E2BIG)
		fprintf(stderr, "memprobe-bpf: warning: %s\n", err.text);
	return 0;
}

/* Before it is said that a process has its points: by now it has the markers that they call. */
void mp_monitor_look_at(struct mp_monitor *m, pid_t pid)
{
	mp_monitor_mark_dirty(m, pid);
	mp_monitor_look_again(m);
}

void mp_monitor_look_again(struct mp_monitor *m)
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

/* --- the clock, actions, signals, ends ------------------------------------------- */

/* Once: what came first has its points, and is counted on. */
void mp_monitor_warn_lost_points(struct mp_monitor *m)
{
	if (m->lost_points_told || !mp_bpf_lost_points(m->bpf))
		return;
	m->lost_points_told = true;
	fprintf(stderr,
		"memprobe-bpf: warning: the programs under watch have declared more than %d "
		"points: hits of the others are lost, and counted as such\n",
		MP_SPARE_POINTS);
}

static void gather_sample(void *data, const char *domain, const struct mp_domain_sample *sample)
{
	struct mp_monitor *m = data;

	mp_gather_sample(m->o->gather, domain, mp_clock_now_ns(), sample->working_set,
			 sample->limit);
}

static void on_tick(void *data)
{
	struct mp_monitor *m = data;
	uint64_t now = mp_clock_now_ns();

	mp_timer_clear(m->tick);
	mp_monitor_reconcile(m);
	mp_domains_refresh(m->domains, now);
	mp_monitor_flush_reclaim(m);
	if (m->o->gather)
		mp_domains_each(m->domains, gather_sample, m);
	if (m->pressure)
		mp_pressure_tick(m->pressure, now);
	mp_oom_flush(m->oom, mp_clock_now_ns(), OOM_PATIENCE_NS);
	mp_monitor_warn_lost_points(m);
	if (mp_output_closed(m->output))
		mp_monitor_stop(m, "output_closed");
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
	mp_monitor_stop(m, "duration");
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
		mp_monitor_stop(m, "signal");
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
	mp_monitor_stop(m, "command_exit");
}

static void on_pid_end(void *data)
{
	struct mp_watched_pid *w = data;
	struct mp_monitor *m = w->monitor;

	mp_loop_remove(m->loop, w->pidfd);
	mp_monitor_forget_ended(m, w->pid);
	if (m->watchpoints)
		mp_watchpoints_remove(m->watchpoints, w->pid);
	mp_pythons_remove(m->pythons, w->pid);
	if (--m->n_live_pids == 0 && m->n_pids == m->o->n_targets)
		mp_monitor_stop(m, "target_exit");
}

/* --- all of them in the loop ------------------------------------------------------- */

int mp_monitor_block_signals(struct mp_monitor *m)
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

int mp_monitor_watch_end(struct mp_monitor *m, struct mp_watched_pid *w)
{
	return mp_loop_add(m->loop, w->pidfd, on_pid_end, w);
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

void mp_monitor_run_watchpoints(struct mp_monitor *m)
{
	mp_timer_set(m->watch_timer, mp_watchpoints_run(m->watchpoints, mp_clock_now_ns()));
}

static void on_watch_timer(void *data)
{
	struct mp_monitor *m = data;

	mp_timer_clear(m->watch_timer);
	mp_monitor_run_watchpoints(m);
}

static int watch_functions(struct mp_monitor *m)
{
	if (!m->watchpoints)
		return 0;
	m->watch_timer = mp_timer_new(MIN_TICK_NS, 0);
	if (m->watch_timer < 0)
		return m->watch_timer;
	return mp_loop_add(m->loop, m->watch_timer, on_watch_timer, m);
}

static int emit_oom(void *data, const struct mp_event *event)
{
	struct mp_event copy = *event;

	mp_pipeline_feed(data, &copy);
	return 0;
}

int mp_monitor_open_inputs(struct mp_monitor *m)
{
	m->ring = mp_ring_new(mp_bpf_events_ring(m->bpf), mp_bpf_processes_ring(m->bpf),
			      m->o->points, on_record, m);
	m->oom = mp_oom_new(&m->cgroups, emit_oom, &m->pipeline);
	if (!m->ring || !m->oom)
		return -ENOMEM;
	mp_oom_read_events_by(m->oom, mp_cgroup_read_events);
	if (!m->o->no_pressure) {
		m->pressure = mp_pressure_new(m->loop, &m->cgroups, m->o->policy, on_pressure, m);
		if (!m->pressure)
			return -ENOMEM;
	}
	m->domains = mp_domains_new(&m->cgroups, m->bpf, m->pressure, m->o->policy);
	return m->domains ? 0 : -ENOMEM;
}

int mp_monitor_watch_inputs(struct mp_monitor *m)
{
	int error = mp_loop_add(m->loop, mp_ring_fd(m->ring), on_ring, m);

	error = error ?: mp_loop_add(m->loop, mp_actions_fd(m->pipeline.actions), on_actions, m);
	if (!error && m->o->command)
		error = mp_loop_add(m->loop, m->child.pidfd, on_child, m);
	error = error ?: watch_functions(m);
	return error ? error : add_timers(m);
}

void mp_monitor_watch_mmaps(struct mp_monitor *m)
{
	/* Without it, libraries that are loaded later are not seen; the rest goes on. */
	if (m->features.cap_perfmon)
		mp_mmap_watch_new(m->loop, on_mmap, m, &m->mmaps);
}

/* After an action: what it gave is the policy's to judge, at once. */
void mp_monitor_look(void *data, const char *domain)
{
	struct mp_monitor *m = data;

	if (m->pressure)
		mp_pressure_look(m->pressure, domain, mp_clock_now_ns());
}
