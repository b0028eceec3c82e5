// SPDX-License-Identifier: GPL-2.0-only
#include "report/ndjson.h"

#include "base/clock.h"
#include "base/level.h"
#include "report/json.h"

/* No user process has number 0. */
static void put_pid(struct mp_json *j, const char *key, uint32_t pid)
{
	mp_json_u64(j, key, pid ? pid : MP_UNKNOWN);
}

/* Fields that are left out when they are not known. What would become null is not known either. */
static void put_known(struct mp_json *j, const char *key, uint64_t value)
{
	if (value <= INT64_MAX)
		mp_json_u64(j, key, value);
}

static void put_known_pct(struct mp_json *j, const char *key, double value)
{
	if (value >= 0)
		mp_json_pct(j, key, value);
}

static void put_list(struct mp_json *j, const char *key, const char *const *items, size_t n)
{
	mp_json_array(j, key);
	for (size_t i = 0; i < n; i++)
		mp_json_string(j, NULL, items[i]);
	mp_json_array_end(j);
}

static void write_start(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_start *e = &event->start;

	mp_json_string(j, "version", e->version);
	mp_json_string(j, "kernel", e->kernel);
	mp_json_string(j, "cgroup_mode", e->cgroup_mode);
	put_list(j, "targets", e->targets, e->n_targets);
	put_list(j, "features", e->features, e->n_features);
	if (e->threshold_pct[MP_SEVERITY_WARNING] < 1)
		return;
	mp_json_object(j, "thresholds");
	mp_json_pct(j, "warning", e->threshold_pct[MP_SEVERITY_WARNING]);
	mp_json_pct(j, "gc", e->threshold_pct[MP_SEVERITY_GC]);
	mp_json_pct(j, "critical", e->threshold_pct[MP_SEVERITY_CRITICAL]);
	mp_json_object_end(j);
}

static void write_site(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_site *e = &event->site;

	mp_json_string(j, "point", e->point);
	mp_json_string(j, "level", mp_level_name(e->level));
	mp_json_string(j, "kind", mp_site_kind_name(e->kind));
	mp_json_string(j, "binary", e->binary);
	mp_json_string(j, "symbol", e->symbol);
	mp_json_u64(j, "offset", e->offset);
	mp_json_string(j, "insn", e->insn);
	mp_json_string(j, "cost", e->cost);
	mp_json_string(j, "risk", e->risk);
	mp_json_string(j, "status", mp_site_status_name(e->status));
	mp_json_string(j, "reason", e->reason);
}

/* A number that readers cannot hold as a signed integer is shown as its bits. */
static void put_value(struct mp_json *j, const struct mp_event_arg *arg)
{
	if (arg->type == MP_ARG_STR)
		mp_json_string(j, arg->name, arg->str);
	else if (arg->type == MP_ARG_PTR || (arg->type != MP_ARG_S64 && arg->value > INT64_MAX))
		mp_json_hex(j, arg->name, arg->value);
	else
		mp_json_int(j, arg->name, (int64_t)arg->value);
}

static void put_values(struct mp_json *j, const char *key, const struct mp_event_arg *args,
		       size_t n)
{
	mp_json_object(j, key);
	for (size_t i = 0; i < n; i++)
		put_value(j, &args[i]);
	mp_json_object_end(j);
}

static void put_addresses(struct mp_json *j, const char *key, const uint64_t *addrs, size_t n)
{
	mp_json_array(j, key);
	for (size_t i = 0; i < n; i++)
		mp_json_hex(j, NULL, addrs[i]);
	mp_json_array_end(j);
}

static void put_memory(struct mp_json *j, const struct mp_event_probe *e)
{
	mp_json_u64(j, "rss", e->rss);
	mp_json_u64(j, "rss_anon", e->rss_anon);
	mp_json_u64(j, "rss_file", e->rss_file);
	mp_json_u64(j, "rss_shmem", e->rss_shmem);
	mp_json_u64(j, "swap", e->swap);
	mp_json_u64(j, "usage", e->usage);
	mp_json_u64(j, "working_set", e->working_set);
	mp_json_u64(j, "limit", e->limit);
	mp_json_pct(j, "usage_pct", e->usage_pct);
}

static void put_gate(struct mp_json *j, const struct mp_event_probe *e)
{
	put_known(j, "size", e->size);
	if (e->gate == MP_GATE_NONE)
		return;
	mp_json_string(j, "gate", mp_gate_name(e->gate));
	mp_json_u64(j, "gate_deadline_ns", e->gate_deadline_ns);
}

static void write_probe(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_probe *e = &event->probe;

	mp_json_string(j, "point", e->point);
	mp_json_string(j, "level", mp_level_name(e->level));
	mp_json_string(j, "phase", mp_phase_name(e->phase));
	put_pid(j, "pid", e->pid);
	put_pid(j, "tid", e->tid);
	mp_json_string(j, "comm", e->comm);
	mp_json_string(j, "cgroup", e->cgroup);
	mp_json_string(j, "limit_cgroup", e->limit_cgroup);
	put_memory(j, e);
	put_gate(j, e);
	if (e->n_args)
		put_values(j, "args", e->args, e->n_args);
	if (e->ret)
		put_values(j, "ret", e->ret, 1);
	if (e->phase == MP_PHASE_EXIT) {
		mp_json_u64(j, "duration_ns", e->duration_ns);
		mp_json_s64(j, "rss_delta", e->rss_delta);
		mp_json_s64(j, "usage_delta", e->usage_delta);
	}
	if (e->n_stack && e->stack_text)
		put_list(j, "stack", e->stack_text, e->n_stack);
	else if (e->n_stack)
		put_addresses(j, "stack", e->stack, e->n_stack);
}

static bool has_exit_code(const struct mp_event_process *e)
{
	return e->op == MP_PROCESS_EXIT && e->exit_code != MP_EXIT_STATUS_UNKNOWN;
}

static void write_process(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_process *e = &event->process;

	mp_json_string(j, "op", mp_process_op_name(e->op));
	put_pid(j, "pid", e->pid);
	put_pid(j, "parent", e->parent);
	mp_json_string(j, "comm", e->comm);
	mp_json_s64(j, "exit_code", has_exit_code(e) ? e->exit_code : MP_UNKNOWN_DELTA);
}

/* What was going on; each source has figures of its own. */
static void put_figures(struct mp_json *j, const struct mp_event_pressure *e)
{
	put_known(j, "window_ns", e->window_ns);
	put_known_pct(j, "some_pct", e->some_pct);
	put_known_pct(j, "full_pct", e->full_pct);
	put_known(j, "stall_ns", e->stall_ns);
	put_known(j, "reclaims", e->reclaims);
	put_known(j, "reclaimed_pages", e->reclaimed_pages);
	put_known(j, "pgscan", e->pgscan);
	put_known(j, "pgsteal", e->pgsteal);
	put_known(j, "pgmajfault", e->pgmajfault);
	put_known(j, "low", e->low);
	put_known(j, "high", e->high);
	put_known(j, "max", e->max);
	put_known(j, "oom", e->oom);
	put_known(j, "oom_kill", e->oom_kill);
	if (e->v1_level)
		mp_json_string(j, "v1_level", e->v1_level);
}

static void write_pressure(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_pressure *e = &event->pressure;

	mp_json_string(j, "source", mp_pressure_source_name(e->source));
	mp_json_string(j, "cgroup", e->cgroup);
	put_pid(j, "pid", e->pid);
	if (e->pid) {
		mp_json_string(j, "comm", e->comm);
		mp_json_bool(j, "is_target", e->is_target);
	}
	mp_json_u64(j, "usage", e->usage);
	mp_json_u64(j, "working_set", e->working_set);
	mp_json_u64(j, "limit", e->limit);
	mp_json_pct(j, "usage_pct", e->usage_pct);
	put_figures(j, e);
	if (e->incident) {
		mp_json_u64(j, "incident", e->incident);
		mp_json_bool(j, "repeated", e->repeated);
	}
}

static void put_in_flight(struct mp_json *j, const struct mp_in_flight *call)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "point", call->point);
	put_pid(j, "tid", call->tid);
	mp_json_u64(j, "duration_ns", call->duration_ns);
	mp_json_s64(j, "rss_delta", call->rss_delta);
	mp_json_object_end(j);
}

static void put_history(struct mp_json *j, const struct mp_history_entry *e)
{
	mp_json_object(j, NULL);
	mp_json_u64(j, "ts_ns", e->ts_ns);
	if (e->is_action) {
		mp_json_string(j, "kind", mp_event_type_name(MP_EVENT_ACTION));
		mp_json_string(j, "result", mp_action_result_name(e->result));
	} else {
		mp_json_string(j, "kind", mp_event_type_name(MP_EVENT_DECISION));
		mp_json_string(j, "severity", mp_severity_name(e->severity));
	}
	mp_json_string(j, "text", e->text);
	mp_json_object_end(j);
}

static void put_events(struct mp_json *j, const struct mp_cgroup_events *e)
{
	mp_json_object(j, "events");
	put_known(j, "low", e->low);
	put_known(j, "high", e->high);
	put_known(j, "max", e->max);
	put_known(j, "oom", e->oom);
	put_known(j, "oom_kill", e->oom_kill);
	mp_json_object_end(j);
}

static void write_oom(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_oom *e = &event->oom;

	put_pid(j, "pid", e->pid);
	mp_json_string(j, "comm", e->comm);
	mp_json_string(j, "cgroup", e->cgroup);
	mp_json_bool(j, "is_target", e->is_target);
	mp_json_s64(j, "oom_score_adj", e->oom_score_adj);
	mp_json_u64(j, "rss", e->rss);
	mp_json_u64(j, "rss_anon", e->rss_anon);
	mp_json_u64(j, "rss_file", e->rss_file);
	mp_json_u64(j, "rss_shmem", e->rss_shmem);
	mp_json_u64(j, "swap", e->swap);
	put_pid(j, "by_pid", e->by_pid);
	mp_json_string(j, "by_comm", e->by_comm);
	mp_json_array(j, "in_flight");
	for (size_t i = 0; i < e->n_in_flight; i++)
		put_in_flight(j, &e->in_flight[i]);
	mp_json_array_end(j);
	mp_json_array(j, "history");
	for (size_t i = 0; i < e->n_history; i++)
		put_history(j, &e->history[i]);
	mp_json_array_end(j);
	put_events(j, &e->events);
}

static void write_decision(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_decision *e = &event->decision;

	mp_json_string(j, "severity", mp_severity_name(e->severity));
	mp_json_string(j, "previous", mp_severity_name(e->previous));
	mp_json_string(j, "level", mp_level_name(e->level));
	mp_json_string(j, "point", e->point);
	put_pid(j, "pid", e->pid);
	mp_json_string(j, "cgroup", e->cgroup);
	mp_json_string(j, "limit_cgroup", e->limit_cgroup);
	mp_json_string(j, "reason", e->reason);
	mp_json_object(j, "evidence");
	mp_json_pct(j, "usage_pct", e->usage_pct);
	mp_json_u64(j, "working_set", e->working_set);
	mp_json_u64(j, "limit", e->limit);
	put_known_pct(j, "some_pct", e->some_pct);
	put_known_pct(j, "full_pct", e->full_pct);
	mp_json_object_end(j);
	put_known(j, "latency_ns", e->latency_ns);
}

/* What it changed, by the domain's usage and stall before and after. */
static void put_effect(struct mp_json *j, const struct mp_event_action *e)
{
	mp_json_u64(j, "freed_bytes", e->freed_bytes);
	if (e->usage_before != MP_UNKNOWN)
		mp_json_string(j, "limit_cgroup", e->limit_cgroup);
	put_known(j, "usage_before", e->usage_before);
	put_known(j, "usage_after", e->usage_after);
	if (!(e->some_before_pct >= 0) && !(e->some_after_pct >= 0))
		return;
	mp_json_object(j, "stall");
	mp_json_pct(j, "before_pct", e->some_before_pct);
	mp_json_pct(j, "after_pct", e->some_after_pct);
	mp_json_object_end(j);
}

static void write_action(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_action *e = &event->action;

	mp_json_string(j, "action", e->action);
	mp_json_string(j, "result", mp_action_result_name(e->result));
	mp_json_string(j, "point", e->point);
	put_pid(j, "pid", e->pid);
	mp_json_string(j, "cgroup", e->cgroup);
	put_effect(j, e);
	mp_json_u64(j, "duration_ns", e->duration_ns);
	mp_json_string(j, "detail", e->detail);
	if (e->n_stack)
		put_list(j, "stack", e->stack, e->n_stack);
}

static void write_lost(struct mp_json *j, const struct mp_event *event)
{
	mp_json_string(j, "source", event->lost.source);
	mp_json_u64(j, "count", event->lost.count);
}

static void put_phase(struct mp_json *j, const char *key, const struct mp_phase_stats *s)
{
	mp_json_object(j, key);
	mp_json_u64(j, "hits", s->hits);
	mp_json_u64(j, "emitted", s->emitted);
	mp_json_u64(j, "suppressed", s->suppressed);
	mp_json_u64(j, "lost", s->lost);
	mp_json_object_end(j);
}

static void put_point(struct mp_json *j, const struct mp_summary_point *p)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "point", p->point);
	mp_json_string(j, "level", mp_level_name(p->level));
	mp_json_u64(j, "hits", p->hits);
	mp_json_u64(j, "returns", p->returns);
	mp_json_u64(j, "emitted", p->emitted);
	mp_json_u64(j, "suppressed", p->suppressed);
	mp_json_u64(j, "lost", p->lost);
	put_phase(j, "enter", &p->phase[MP_PHASE_ENTER]);
	put_phase(j, "exit", &p->phase[MP_PHASE_EXIT]);
	mp_json_u64(j, "missed", p->missed);
	mp_json_object(j, "duration_ns");
	mp_json_u64(j, "p50", p->duration_p50_ns);
	mp_json_u64(j, "p99", p->duration_p99_ns);
	mp_json_u64(j, "max", p->duration_max_ns);
	mp_json_object_end(j);
	mp_json_object(j, "rss_delta");
	mp_json_s64(j, "total", p->rss_total);
	mp_json_s64(j, "max", p->rss_max);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

static void write_summary(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_summary *e = &event->summary;

	mp_json_array(j, "points");
	for (size_t i = 0; i < e->n_points; i++)
		put_point(j, &e->points[i]);
	mp_json_array_end(j);
	mp_json_u64(j, "duration_ns", e->duration_ns);
	mp_json_u64(j, "received", e->received);
	mp_json_bool(j, "complete", e->complete);
}

static void write_stop(struct mp_json *j, const struct mp_event *event)
{
	mp_json_string(j, "reason", event->stop.reason);
	mp_json_int(j, "exit_code", event->stop.exit_code);
}

static void (*const writers[])(struct mp_json *, const struct mp_event *) = {
	[MP_EVENT_START] = write_start,	      [MP_EVENT_SITE] = write_site,
	[MP_EVENT_PROBE] = write_probe,	      [MP_EVENT_PROCESS] = write_process,
	[MP_EVENT_PRESSURE] = write_pressure, [MP_EVENT_OOM] = write_oom,
	[MP_EVENT_DECISION] = write_decision, [MP_EVENT_ACTION] = write_action,
	[MP_EVENT_LOST] = write_lost,	      [MP_EVENT_SUMMARY] = write_summary,
	[MP_EVENT_STOP] = write_stop,
};
_Static_assert(MP_ARRAY_SIZE(writers) == MP_EVENT_TYPE_COUNT, "a writer for every event");

void mp_ndjson_write(struct mp_text *out, const struct mp_event *event)
{
	struct mp_json j = {.out = out};
	char time[MP_TIME_LEN];

	mp_json_object(&j, NULL);
	mp_json_u64(&j, "v", MP_EVENT_VERSION);
	mp_json_string(&j, "type", mp_event_type_name(event->type));
	mp_json_u64(&j, "ts_ns", event->ts_ns);
	mp_json_string(&j, "time",
		       event->realtime_ns == MP_UNKNOWN
			       ? NULL
			       : mp_clock_format(event->realtime_ns, time));
	writers[event->type](&j, event);
	mp_json_object_end(&j);
	mp_text_putc(out, '\n');
}
