// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/monitor.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/names.h"
#include "monitor/private.h"
#include "monitor/privileges.h"
#include "monitor/summary.h"

#define BATCH_MS 20
#define PYTHON_END_NS 1000000000ULL /* for interpreters to take their points out */

MP_NAMES(python_mode, enum mp_python_mode, MP_PYTHON_MODE_COUNT, "auto", "inject", "watchpoint",
	 "off")

static void run_loop(struct mp_monitor *m)
{
	const int batch_ms = mp_bpf_is_batched(m->bpf) ? BATCH_MS : -1;

	while (!m->stop_reason) {
		int err = mp_loop_once(m->loop, m->draining ? 0 : batch_ms);

		if (err) {
			mp_monitor_stop(m, "error");
			return;
		}
		if (m->draining || batch_ms >= 0)
			mp_monitor_drain(m);
		mp_monitor_look_again(m);
	}
}

static void put_last(struct mp_monitor *m, const struct mp_event *event)
{
	mp_output_last(m->output, event);
	if (m->o->gather)
		mp_gather_event(m->o->gather, event);
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
		put_last(m, &event);
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
		put_last(m, &event);
	free(points);
	event = (struct mp_event){.type = MP_EVENT_STOP, .ts_ns = now, .realtime_ns = wall};
	event.stop.reason = m->stop_reason;
	event.stop.exit_code = exit_code;
	put_last(m, &event);
}

/* Probes away first, then the records that are still on their way, then the totals. */
static void finish(struct mp_monitor *m, int exit_code)
{
	mp_mmap_watch_free(m->mmaps);
	m->mmaps = NULL;
	mp_bpf_disable(m->bpf);
	mp_prober_detach(m->prober);
	mp_watchpoints_detach(m->watchpoints);
	mp_pythons_end(m->pythons, PYTHON_END_NS);
	while (mp_ring_drain(m->ring, MP_DRAIN_BATCH) == (int)MP_DRAIN_BATCH)
		;
	mp_monitor_reconcile(m);
	mp_monitor_flush_reclaim(m);
	mp_oom_flush(m->oom, mp_clock_now_ns(), 0);
	/* Hooks that still run get their time, so that their results come before the summary. */
	mp_pipeline_end(&m->pipeline);
	mp_monitor_warn_lost_points(m);
	put_losses(m);
	put_end(m, exit_code);
}

static void tear_down(struct mp_monitor *m)
{
	mp_mmap_watch_free(m->mmaps);
	mp_pythons_free(m->pythons);
	mp_python_env_free(m->python_env);
	mp_prober_free(m->prober);
	mp_watchpoints_free(m->watchpoints);
	mp_ring_free(m->ring);
	mp_pressure_free(m->pressure);
	mp_domains_free(m->domains);
	mp_oom_free(m->oom);
	mp_pipeline_end(&m->pipeline);
	mp_bpf_free(m->bpf);
	mp_guardian_end(m->guardian);
	mp_undo_free(m->undo);
	for (size_t i = 0; i < m->n_pids; i++)
		close(m->pids[i].pidfd);
	free(m->pids);
	free(m->dirty);
	mp_close_p(&m->signals);
	mp_close_p(&m->tick);
	mp_close_p(&m->deadline);
	mp_close_p(&m->watch_timer);
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

	mp_monitor_put_start(m);
	/* Symbol tables and the kernel's types are not needed any more. */
	malloc_trim(0);
	mp_privileges_lock_memory();
	m->oom_kills = count_oom_kills(m);
	if (m->o->command)
		error = mp_child_release(&m->child, m->o->command[0], err);
	if (!error)
		run_loop(m);
	*ret_exit_code = MP_EXIT_OK;
	if (!error && m->denied.text[0]) {
		*err = m->denied;
		error = -EPERM;
	}
	if (error)
		*ret_exit_code = (int)err->exit_code;
	else if (m->o->command && m->child.ended)
		*ret_exit_code = command_exit_code(m);
	mp_monitor_stop(m, "error");
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
			       .watch_timer = -1,
			       .child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1}};
	int written;
	int error;

	m.start_ns = mp_clock_now_ns();
	error = mp_monitor_set_up(&m, err);
	if (!error)
		error = run_to_end(&m, ret_exit_code, err);
	tear_down(&m);
	written = mp_output_free(m.output, error ? NULL : err);
	if (error && !err->text[0])
		mp_fail(err, MP_EXIT_UNSUPPORTED, -error, "%s", strerror(-error));
	return error ? error : written;
}
