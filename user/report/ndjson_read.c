// SPDX-License-Identifier: GPL-2.0-only
#include "report/ndjson.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/level.h"
#include "report/json_read.h"

struct mp_ndjson_reader {
	struct mp_reading reading; /* the first: what is told of a record leads back here */
	struct mp_event_arg args[MP_MAX_ARGS];
	struct mp_event_arg ret;
};

struct mp_ndjson_reader *mp_ndjson_reader_new(void)
{
	return calloc(1, sizeof(struct mp_ndjson_reader));
}

void mp_ndjson_reader_free(struct mp_ndjson_reader *reader)
{
	if (!reader)
		return;
	mp_reading_free(&reader->reading);
	free(reader);
}

/* "0x" and hex digits, as mp_json_hex() writes them. */
static bool parse_address(const char *s, uint64_t *ret)
{
	size_t digits;

	if (s[0] != '0' || s[1] != 'x')
		return false;
	digits = mp_reading_hex(s + 2, 16, ret);
	return digits > 0 && s[2 + digits] == '\0' && (s[2] != '0' || digits == 1);
}

/* --- records ------------------------------------------------------------------- */

static void read_start(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_start *e = &event->start;
	struct mp_fields thresholds = mp_fields_object(o, "thresholds");

	e->version = mp_fields_string(o, "version");
	e->kernel = mp_fields_string(o, "kernel");
	e->cgroup_mode = mp_fields_string(o, "cgroup_mode");
	e->targets = mp_fields_list(o, "targets", &e->n_targets);
	e->features = mp_fields_list(o, "features", &e->n_features);
	e->threshold_pct[MP_SEVERITY_WARNING] = mp_fields_pct(&thresholds, "warning");
	e->threshold_pct[MP_SEVERITY_GC] = mp_fields_pct(&thresholds, "gc");
	e->threshold_pct[MP_SEVERITY_CRITICAL] = mp_fields_pct(&thresholds, "critical");
}

static void read_site(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_site *e = &event->site;

	e->point = mp_fields_string(o, "point");
	e->level = mp_fields_name(o, "level", mp_level_parse);
	e->kind = mp_fields_name(o, "kind", mp_site_kind_parse);
	e->binary = mp_fields_string(o, "binary");
	e->symbol = mp_fields_string(o, "symbol");
	e->offset = mp_fields_u64(o, "offset");
	e->insn = mp_fields_string(o, "insn");
	e->cost = mp_fields_string(o, "cost");
	e->risk = mp_fields_string(o, "risk");
	e->status = mp_fields_name(o, "status", mp_site_status_parse);
	e->reason = mp_fields_string(o, "reason");
}

/* The type is seen from the value; what is ambiguous is written the same way again. */
static void read_value(const struct mp_fields *o, const char *name, const json_t *value,
		       struct mp_event_arg *ret)
{
	*ret = (struct mp_event_arg){.name = mp_reading_string(o->reading, name),
				     .type = MP_ARG_STR};
	if (json_is_integer(value)) {
		ret->type = json_integer_value(value) < 0 ? MP_ARG_S64 : MP_ARG_U64;
		ret->value = (uint64_t)json_integer_value(value);
	} else if (json_is_string(value)) {
		if (parse_address(json_string_value(value), &ret->value))
			ret->type = MP_ARG_PTR;
		else
			ret->str = mp_reading_string(o->reading, json_string_value(value));
	} else if (!json_is_null(value)) {
		mp_fields_bad(o, name, "is not an integer, a string or null");
	}
}

/* Up to `max` values of the object `key` into `args`. Returns their number. */
static size_t get_values(const struct mp_fields *o, const char *key, struct mp_event_arg *args,
			 size_t max)
{
	struct mp_fields values = mp_fields_object(o, key);
	const char *name;
	json_t *value;
	size_t n = 0;

	if (json_object_size(values.json) > max) {
		mp_fields_bad(o, key, "holds too many values");
		return 0;
	}
	json_object_foreach((json_t *)values.json, name, value)
		read_value(&values, name, value, &args[n++]);
	return n;
}

/* Frames are text once they are symbolized; addresses that can be told stay with them. */
static void read_stack(const struct mp_fields *o, struct mp_event_probe *e)
{
	size_t addresses = 0;
	uint64_t *stack;
	size_t n = 0;

	e->stack_text = mp_fields_list(o, "stack", &n);
	if (!e->stack_text)
		return;
	stack = mp_reading_block(o->reading, n, sizeof(*stack));
	if (!stack)
		return;
	for (size_t i = 0; i < n; i++)
		addresses += parse_address(e->stack_text[i], &stack[i]);
	if (addresses == n)
		e->stack_text = NULL;
	e->stack = stack;
	e->n_stack = n;
}

static void read_memory(const struct mp_fields *o, struct mp_event_probe *e)
{
	e->rss = mp_fields_u64(o, "rss");
	e->rss_anon = mp_fields_u64(o, "rss_anon");
	e->rss_file = mp_fields_u64(o, "rss_file");
	e->rss_shmem = mp_fields_u64(o, "rss_shmem");
	e->swap = mp_fields_u64(o, "swap");
	e->usage = mp_fields_u64(o, "usage");
	e->working_set = mp_fields_u64(o, "working_set");
	e->limit = mp_fields_u64(o, "limit");
	e->usage_pct = mp_fields_pct(o, "usage_pct");
}

static void read_probe(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_ndjson_reader *reader = (struct mp_ndjson_reader *)o->reading;
	struct mp_event_probe *e = &event->probe;

	e->point = mp_fields_string(o, "point");
	e->level = mp_fields_name(o, "level", mp_level_parse);
	e->phase = mp_fields_name(o, "phase", mp_phase_parse);
	e->pid = mp_fields_pid(o, "pid");
	e->tid = mp_fields_pid(o, "tid");
	e->comm = mp_fields_string(o, "comm");
	e->cgroup = mp_fields_string(o, "cgroup");
	e->limit_cgroup = mp_fields_string(o, "limit_cgroup");
	read_memory(o, e);
	e->size = mp_fields_u64(o, "size");
	e->gate = mp_fields_optional_name(o, "gate", mp_gate_parse);
	e->gate_deadline_ns = mp_fields_u64(o, "gate_deadline_ns");
	e->n_args = get_values(o, "args", reader->args, MP_MAX_ARGS);
	e->args = e->n_args ? reader->args : NULL;
	e->ret = get_values(o, "ret", &reader->ret, 1) ? &reader->ret : NULL;
	e->duration_ns = mp_fields_u64(o, "duration_ns");
	e->rss_delta = mp_fields_s64(o, "rss_delta");
	e->usage_delta = mp_fields_s64(o, "usage_delta");
	read_stack(o, e);
}

static void read_process(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_process *e = &event->process;

	e->op = mp_fields_name(o, "op", mp_process_op_parse);
	e->pid = mp_fields_pid(o, "pid");
	e->parent = mp_fields_pid(o, "parent");
	e->comm = mp_fields_string(o, "comm");
	e->exit_code = mp_fields_int(o, "exit_code", MP_EXIT_STATUS_UNKNOWN);
}

static void read_figures(const struct mp_fields *o, struct mp_event_pressure *e)
{
	e->window_ns = mp_fields_u64(o, "window_ns");
	e->some_pct = mp_fields_pct(o, "some_pct");
	e->full_pct = mp_fields_pct(o, "full_pct");
	e->stall_ns = mp_fields_u64(o, "stall_ns");
	e->reclaims = mp_fields_u64(o, "reclaims");
	e->reclaimed_pages = mp_fields_u64(o, "reclaimed_pages");
	e->pgscan = mp_fields_u64(o, "pgscan");
	e->pgsteal = mp_fields_u64(o, "pgsteal");
	e->pgmajfault = mp_fields_u64(o, "pgmajfault");
	e->low = mp_fields_u64(o, "low");
	e->high = mp_fields_u64(o, "high");
	e->max = mp_fields_u64(o, "max");
	e->oom = mp_fields_u64(o, "oom");
	e->oom_kill = mp_fields_u64(o, "oom_kill");
	e->v1_level = mp_fields_string(o, "v1_level");
}

static void read_pressure(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_pressure *e = &event->pressure;
	uint64_t incident = mp_fields_u64(o, "incident");

	e->source = mp_fields_name(o, "source", mp_pressure_source_parse);
	e->cgroup = mp_fields_string(o, "cgroup");
	e->pid = mp_fields_pid(o, "pid");
	e->comm = mp_fields_string(o, "comm");
	e->is_target = mp_fields_bool(o, "is_target");
	e->usage = mp_fields_u64(o, "usage");
	e->working_set = mp_fields_u64(o, "working_set");
	e->limit = mp_fields_u64(o, "limit");
	e->usage_pct = mp_fields_pct(o, "usage_pct");
	read_figures(o, e);
	e->incident = incident == MP_UNKNOWN ? 0 : incident;
	e->repeated = mp_fields_bool(o, "repeated");
}

static void read_in_flight(const struct mp_fields *o, struct mp_event_oom *e)
{
	const json_t *array = mp_fields_array(o, "in_flight");
	size_t n = json_array_size(array);
	struct mp_in_flight *calls = mp_reading_block(o->reading, n, sizeof(*calls));

	for (size_t i = 0; calls && i < n; i++) {
		struct mp_fields item = mp_fields_item(o, "in_flight", array, i);

		calls[i].point = mp_fields_string(&item, "point");
		calls[i].tid = mp_fields_pid(&item, "tid");
		calls[i].duration_ns = mp_fields_u64(&item, "duration_ns");
		calls[i].rss_delta = mp_fields_s64(&item, "rss_delta");
	}
	e->in_flight = calls;
	e->n_in_flight = n;
}

/* A part of the story is what such a record would be by itself. */
static int parse_history_kind(const char *name)
{
	int type = mp_event_type_parse(name);

	return type == MP_EVENT_DECISION || type == MP_EVENT_ACTION ? type : -ENOENT;
}

static void read_history(const struct mp_fields *o, struct mp_event_oom *e)
{
	const json_t *array = mp_fields_array(o, "history");
	size_t n = json_array_size(array);
	struct mp_history_entry *entries = mp_reading_block(o->reading, n, sizeof(*entries));

	for (size_t i = 0; entries && i < n; i++) {
		struct mp_fields item = mp_fields_item(o, "history", array, i);

		entries[i].ts_ns = mp_fields_u64(&item, "ts_ns");
		entries[i].is_action =
			mp_fields_name(&item, "kind", parse_history_kind) == MP_EVENT_ACTION;
		if (entries[i].is_action)
			entries[i].result = mp_fields_name(&item, "result", mp_action_result_parse);
		else
			entries[i].severity = mp_fields_name(&item, "severity", mp_severity_parse);
		entries[i].text = mp_fields_string(&item, "text");
	}
	e->history = entries;
	e->n_history = n;
}

static void read_events(const struct mp_fields *o, struct mp_cgroup_events *e)
{
	struct mp_fields events = mp_fields_object(o, "events");

	e->low = mp_fields_u64(&events, "low");
	e->high = mp_fields_u64(&events, "high");
	e->max = mp_fields_u64(&events, "max");
	e->oom = mp_fields_u64(&events, "oom");
	e->oom_kill = mp_fields_u64(&events, "oom_kill");
}

static void read_oom(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_oom *e = &event->oom;

	e->pid = mp_fields_pid(o, "pid");
	e->comm = mp_fields_string(o, "comm");
	e->cgroup = mp_fields_string(o, "cgroup");
	e->is_target = mp_fields_bool(o, "is_target");
	e->oom_score_adj = mp_fields_s64(o, "oom_score_adj");
	e->rss = mp_fields_u64(o, "rss");
	e->rss_anon = mp_fields_u64(o, "rss_anon");
	e->rss_file = mp_fields_u64(o, "rss_file");
	e->rss_shmem = mp_fields_u64(o, "rss_shmem");
	e->swap = mp_fields_u64(o, "swap");
	e->by_pid = mp_fields_pid(o, "by_pid");
	e->by_comm = mp_fields_string(o, "by_comm");
	read_in_flight(o, e);
	read_history(o, e);
	read_events(o, &e->events);
}

static void read_decision(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_decision *e = &event->decision;
	struct mp_fields evidence = mp_fields_object(o, "evidence");

	e->severity = mp_fields_name(o, "severity", mp_severity_parse);
	e->previous = mp_fields_name(o, "previous", mp_severity_parse);
	e->level = mp_fields_name(o, "level", mp_level_parse);
	e->point = mp_fields_string(o, "point");
	e->pid = mp_fields_pid(o, "pid");
	e->cgroup = mp_fields_string(o, "cgroup");
	e->limit_cgroup = mp_fields_string(o, "limit_cgroup");
	e->reason = mp_fields_string(o, "reason");
	e->usage_pct = mp_fields_pct(&evidence, "usage_pct");
	e->working_set = mp_fields_u64(&evidence, "working_set");
	e->limit = mp_fields_u64(&evidence, "limit");
	e->some_pct = mp_fields_pct(&evidence, "some_pct");
	e->full_pct = mp_fields_pct(&evidence, "full_pct");
	e->latency_ns = mp_fields_u64(o, "latency_ns");
}

static void read_action(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_action *e = &event->action;
	struct mp_fields stall = mp_fields_object(o, "stall");

	e->action = mp_fields_string(o, "action");
	e->result = mp_fields_name(o, "result", mp_action_result_parse);
	e->point = mp_fields_string(o, "point");
	e->pid = mp_fields_pid(o, "pid");
	e->cgroup = mp_fields_string(o, "cgroup");
	e->limit_cgroup = mp_fields_string(o, "limit_cgroup");
	e->freed_bytes = mp_fields_u64(o, "freed_bytes");
	e->usage_before = mp_fields_u64(o, "usage_before");
	e->usage_after = mp_fields_u64(o, "usage_after");
	e->some_before_pct = mp_fields_pct(&stall, "before_pct");
	e->some_after_pct = mp_fields_pct(&stall, "after_pct");
	e->duration_ns = mp_fields_u64(o, "duration_ns");
	e->detail = mp_fields_string(o, "detail");
	e->stack = mp_fields_list(o, "stack", &e->n_stack);
}

static void read_lost(const struct mp_fields *o, struct mp_event *event)
{
	event->lost.source = mp_fields_string(o, "source");
	event->lost.count = mp_fields_u64(o, "count");
}

static void read_phase(const struct mp_fields *o, const char *key, struct mp_phase_stats *s)
{
	struct mp_fields phase = mp_fields_object(o, key);

	s->hits = mp_fields_u64(&phase, "hits");
	s->emitted = mp_fields_u64(&phase, "emitted");
	s->suppressed = mp_fields_u64(&phase, "suppressed");
	s->lost = mp_fields_u64(&phase, "lost");
}

static void read_point(const struct mp_fields *o, struct mp_summary_point *p)
{
	struct mp_fields duration = mp_fields_object(o, "duration_ns");
	struct mp_fields growth = mp_fields_object(o, "rss_delta");

	p->point = mp_fields_string(o, "point");
	p->level = mp_fields_name(o, "level", mp_level_parse);
	p->hits = mp_fields_u64(o, "hits");
	p->returns = mp_fields_u64(o, "returns");
	p->emitted = mp_fields_u64(o, "emitted");
	p->suppressed = mp_fields_u64(o, "suppressed");
	p->lost = mp_fields_u64(o, "lost");
	read_phase(o, "enter", &p->phase[MP_PHASE_ENTER]);
	read_phase(o, "exit", &p->phase[MP_PHASE_EXIT]);
	p->missed = mp_fields_u64(o, "missed");
	p->duration_p50_ns = mp_fields_u64(&duration, "p50");
	p->duration_p99_ns = mp_fields_u64(&duration, "p99");
	p->duration_max_ns = mp_fields_u64(&duration, "max");
	p->rss_total = mp_fields_s64(&growth, "total");
	p->rss_max = mp_fields_s64(&growth, "max");
}

static void read_summary(const struct mp_fields *o, struct mp_event *event)
{
	struct mp_event_summary *e = &event->summary;
	const json_t *array = mp_fields_array(o, "points");
	size_t n = json_array_size(array);
	struct mp_summary_point *points = mp_reading_block(o->reading, n, sizeof(*points));

	for (size_t i = 0; points && i < n; i++) {
		struct mp_fields item = mp_fields_item(o, "points", array, i);

		read_point(&item, &points[i]);
	}
	e->points = points;
	e->n_points = n;
	e->duration_ns = mp_fields_u64(o, "duration_ns");
	e->received = mp_fields_u64(o, "received");
	e->complete = mp_fields_bool(o, "complete");
}

static void read_stop(const struct mp_fields *o, struct mp_event *event)
{
	event->stop.reason = mp_fields_string(o, "reason");
	event->stop.exit_code = mp_fields_int(o, "exit_code", 0);
}

static void (*const readers[])(const struct mp_fields *, struct mp_event *) = {
	[MP_EVENT_START] = read_start,	     [MP_EVENT_SITE] = read_site,
	[MP_EVENT_PROBE] = read_probe,	     [MP_EVENT_PROCESS] = read_process,
	[MP_EVENT_PRESSURE] = read_pressure, [MP_EVENT_OOM] = read_oom,
	[MP_EVENT_DECISION] = read_decision, [MP_EVENT_ACTION] = read_action,
	[MP_EVENT_LOST] = read_lost,	     [MP_EVENT_SUMMARY] = read_summary,
	[MP_EVENT_STOP] = read_stop,
};
_Static_assert(MP_ARRAY_SIZE(readers) == MP_EVENT_TYPE_COUNT, "a reader for every event");

/* Version and type decide whether the rest can be read at all. */
static int read_type(const struct mp_fields *o, enum mp_event_type *ret)
{
	struct mp_reading *p = o->reading;
	int64_t version = mp_fields_integer(o, "v", 0, INT64_MAX, 0);
	const char *name = mp_fields_string(o, "type");
	int type;

	if (!p->status && !name)
		mp_fields_bad(o, "type", "is missing");
	if (p->status)
		return p->status;
	if (version != MP_EVENT_VERSION)
		return mp_fail(p->err, MP_EXIT_CONFIG, ENOTSUP, "record version %lld is not known",
			       (long long)version);
	type = mp_event_type_parse(name);
	if (type < 0)
		return mp_fail(p->err, MP_EXIT_CONFIG, ENOTSUP, "record type \"%s\" is not known",
			       name);
	*ret = (enum mp_event_type)type;
	return 0;
}

int mp_ndjson_parse(struct mp_ndjson_reader *reader, const char *line, size_t len,
		    struct mp_event *ret, struct mp_error *err)
{
	struct mp_reading *reading = &reader->reading;
	int status = mp_reading_load(reading, line, len, err);
	struct mp_fields o = mp_reading_root(reading);
	struct mp_event event = {0};

	status = status ?: read_type(&o, &event.type);
	if (status)
		return status;
	event.ts_ns = mp_fields_u64(&o, "ts_ns");
	event.realtime_ns = mp_fields_time(&o, "time");
	readers[event.type](&o, &event);
	if (reading->status)
		return reading->status;
	*ret = event;
	return 0;
}
