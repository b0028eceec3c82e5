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
	put_memory(j, e);
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

static void write_process(struct mp_json *j, const struct mp_event *event)
{
	const struct mp_event_process *e = &event->process;

	mp_json_string(j, "op", mp_process_op_name(e->op));
	put_pid(j, "pid", e->pid);
	put_pid(j, "parent", e->parent);
	mp_json_string(j, "comm", e->comm);
	mp_json_s64(j, "exit_code", e->op == MP_PROCESS_EXIT ? e->exit_code : MP_UNKNOWN_DELTA);
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
	mp_json_string(j, "reason", e->reason);
	mp_json_object(j, "evidence");
	mp_json_pct(j, "usage_pct", e->usage_pct);
	mp_json_u64(j, "working_set", e->working_set);
	mp_json_u64(j, "limit", e->limit);
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
	mp_json_u64(j, "freed_bytes", e->freed_bytes);
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
