// SPDX-License-Identifier: GPL-2.0-only
/* A report as JSON: docs/report.schema.json. */
#include <math.h>

#include "base/clock.h"
#include "base/level.h"
#include "report/json.h"
#include "report/memory_report.h"
#include "report/report_json.h"
#include "report/report_model.h"

#define SCHEMA_VERSION 1

static void write_head(struct mp_json *j, const struct mp_memory_report *r)
{
	char time[MP_TIME_LEN];

	mp_json_u64(j, "schema_version", SCHEMA_VERSION);
	mp_json_string(j, "version", r->version);
	mp_json_string(j, "time", mp_clock_format(r->begin_realtime_ns, time));
	mp_json_string(j, "test_mode", r->test_mode);
	mp_json_string(j, "model_id", r->model_id);
	mp_json_string(j, "command", r->command);
	mp_json_seconds(j, "duration", r->duration_ns);
	mp_json_string(j, "outcome", mp_outcome_name(r->outcome));
	mp_json_string(j, "verdict", r->verdict);
	mp_json_string(j, "recommendation", r->recommendation);
	mp_json_string(j, "trend", mp_trend_name(mp_memory_report_trend(r)));
	mp_json_string(j, "kernel", r->kernel);
	mp_json_string(j, "cgroup", r->cgroup);
	mp_json_u64(j, "limit", r->limit ? r->limit : MP_UNKNOWN);
}

static void write_memory(struct mp_json *j, const struct mp_memory_report *r)
{
	struct mp_series_stats pct = {.avg = NAN, .min = NAN, .max = NAN, .volatility = NAN};
	double least = NAN;
	double average = NAN;
	size_t last = r->n_samples ? r->n_samples - 1 : 0;

	mp_memory_report_stats(r, &pct, &least, &average);
	mp_json_number(j, "start_memory",
		       r->n_samples ? mp_memory_report_percent(r, r->samples[0].usage)
				    : (double)NAN);
	mp_json_number(j, "end_memory",
		       r->n_samples ? mp_memory_report_percent(r, r->samples[last].usage)
				    : (double)NAN);
	mp_json_number(j, "peak_memory", pct.max);
	mp_json_seconds(j, "model_load_time", r->model_load_ns);
	mp_json_object(j, "memory_statistics");
	mp_json_number(j, "avg_memory_percent", pct.avg);
	mp_json_number(j, "min_memory_percent", pct.min);
	mp_json_number(j, "max_memory_percent", pct.max);
	mp_json_number(j, "avg_available_gb", average);
	mp_json_number(j, "min_available_gb", least);
	mp_json_number(j, "volatility", pct.volatility);
	mp_json_object_end(j);
}

static void write_phases(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_array(j, "phases");
	for (size_t i = 0; i < r->n_phases; i++) {
		const struct mp_memory_phase *p = &r->phases[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "name", p->name);
		mp_json_seconds(j, "start", p->start_ns);
		mp_json_seconds(j, "end", p->end_ns);
		mp_json_seconds(j, "due", p->due_ns);
		mp_json_object(j, "requested");
		mp_json_number(j, "percent", p->requested_pct);
		mp_json_u64(j, "bytes", p->requested);
		mp_json_object_end(j);
		mp_json_object(j, "achieved");
		mp_json_number(j, "percent", mp_memory_report_percent(r, p->achieved));
		mp_json_u64(j, "bytes", p->achieved);
		mp_json_number(j, "error_pct",
			       p->achieved == MP_UNKNOWN ? (double)NAN : p->error_pct);
		mp_json_object_end(j);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

/* Of the whole run: the highest that was asked for, and what of it was reached. */
static void write_reached(struct mp_json *j, const struct mp_memory_report *r)
{
	const struct mp_memory_phase *top = mp_memory_report_top(r);

	mp_json_object(j, "requested");
	mp_json_number(j, "percent", top ? top->requested_pct : (double)NAN);
	mp_json_u64(j, "bytes", top ? top->requested : MP_UNKNOWN);
	mp_json_object_end(j);
	mp_json_object(j, "achieved");
	mp_json_number(j, "percent",
		       top ? mp_memory_report_percent(r, top->achieved) : (double)NAN);
	mp_json_u64(j, "bytes", top ? top->achieved : MP_UNKNOWN);
	mp_json_number(j, "error_pct",
		       top && top->achieved != MP_UNKNOWN ? top->error_pct : (double)NAN);
	mp_json_object_end(j);
}

static void write_samples(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_array(j, "samples");
	for (size_t i = 0; i < r->n_samples; i++) {
		const struct mp_memory_sample *s = &r->samples[i];

		mp_json_object(j, NULL);
		mp_json_seconds(j, "t", s->t_ns);
		mp_json_u64(j, "usage", s->usage);
		mp_json_number(j, "percent", mp_memory_report_percent(r, s->usage));
		mp_json_u64(j, "available", s->available);
		mp_json_u64(j, "filler", s->filler);
		mp_json_u64(j, "requested", s->requested);
		mp_json_u64(j, "swap", s->swap);
		mp_json_u64(j, "some_ns", s->some_ns);
		mp_json_u64(j, "full_ns", s->full_ns);
		mp_json_u64(j, "target_rss", s->target_rss);
		mp_json_u64(j, "filler_rss", s->filler_rss);
		mp_json_u64(j, "monitor_rss", s->monitor_rss);
		mp_json_u64(j, "watcher_rss", s->watcher_rss);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void write_marks(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_array(j, "events");
	for (size_t i = 0; i < r->n_marks; i++) {
		const struct mp_report_mark *m = &r->marks[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "kind", mp_mark_kind_name(m->kind));
		mp_json_seconds(j, "t", m->t_ns);
		mp_json_u64(j, "duration_ns", m->duration_ns);
		mp_json_string(j, "severity", mp_severity_name(m->severity));
		mp_json_u64(j, "pid", m->pid);
		mp_json_u64(j, "tid", m->tid);
		mp_json_s64(j, "bytes", m->bytes);
		mp_json_string(j, "name", m->name);
		mp_json_string(j, "text", m->text);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void write_environment(struct mp_json *j, const struct mp_memory_report *r)
{
	const double mb = 1 << 20;

	mp_json_object(j, "environment");
	mp_json_string(j, "profile_name", r->environment.profile_name);
	mp_json_number(j, "total_mem_mb",
		       r->environment.total_bytes == MP_UNKNOWN
			       ? (double)NAN
			       : (double)r->environment.total_bytes / mb);
	mp_json_number(j, "swap_size_mb",
		       r->environment.swap_bytes == MP_UNKNOWN
			       ? (double)NAN
			       : (double)r->environment.swap_bytes / mb);
	mp_json_u64(j, "memory_limit", r->environment.limit_bytes);
	mp_json_string(j, "engine", r->environment.engine);
	mp_json_string(j, "notes", r->environment.notes);
	mp_json_object_end(j);
	mp_json_object(j, "thresholds");
	mp_json_number(j, "warning", r->thresholds.warning_pct);
	mp_json_number(j, "gc", r->thresholds.gc_pct);
	mp_json_number(j, "critical", r->thresholds.critical_pct);
	mp_json_object_end(j);
}

static void write_pressure(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_object(j, "pressure");
	mp_json_u64(j, "some_ns", r->pressure.some_ns);
	mp_json_u64(j, "full_ns", r->pressure.full_ns);
	mp_json_u64(j, "oom_kills", r->pressure.oom_kills);
	mp_json_u64(j, "high_events", r->pressure.high_events);
	mp_json_u64(j, "max_events", r->pressure.max_events);
	mp_json_u64(j, "incidents", r->pressure.incidents);
	mp_json_object_end(j);
}

static void write_slope(struct mp_json *j, const char *key, const struct mp_slope *slope,
			bool known)
{
	mp_json_object(j, key);
	mp_json_number(j, "bytes_per_second", known ? slope->per_second : (double)NAN);
	mp_json_number(j, "low", known ? slope->low : (double)NAN);
	mp_json_number(j, "high", known ? slope->high : (double)NAN);
	mp_json_object_end(j);
}

static void write_points(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_array(j, "points");
	for (size_t i = 0; i < r->n_points; i++) {
		const struct mp_report_point *p = &r->points[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "point", p->name);
		mp_json_string(j, "level", mp_level_name(p->level));
		mp_json_u64(j, "hits", p->hits);
		mp_json_u64(j, "returns", p->returns);
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
	mp_json_array_end(j);
}

static void write_stability(struct mp_json *j, const struct mp_memory_report *r)
{
	if (!r->stability.total_ns)
		return;
	mp_json_object(j, "stability");
	mp_json_seconds(j, "total", r->stability.total_ns);
	mp_json_seconds(j, "rest", r->stability.rest_ns);
	mp_json_seconds(j, "round", r->stability.round_ns);
	mp_json_u64(j, "rounds", r->stability.rounds);
	mp_json_u64(j, "rounds_done", r->stability.rounds_done);
	mp_json_object_end(j);
}

void mp_report_write_figures(struct mp_json *j, const struct mp_memory_report *r)
{
	write_head(j, r);
	write_memory(j, r);
	write_reached(j, r);
	mp_report_write_quantization(j, r);
	write_environment(j, r);
	write_pressure(j, r);
	mp_json_object(j, "leak");
	write_slope(j, "target", &r->leak.target, r->leak.target_known);
	write_slope(j, "filler", &r->leak.filler, r->leak.filler_known);
	write_slope(j, "monitor", &r->leak.monitor, r->leak.monitor_known);
	mp_json_object_end(j);
	write_stability(j, r);
	write_phases(j, r);
	write_points(j, r);
	mp_json_u64(j, "events_left_out", r->marks_left_out);
	mp_json_string(j, "monitor", r->monitor);
}

void mp_report_write_json(struct mp_text *out, const struct mp_memory_report *r)
{
	struct mp_json j = {.out = out};

	mp_json_object(&j, NULL);
	mp_report_write_figures(&j, r);
	mp_report_write_model(&j, r, MP_ALL_PASSES);
	write_samples(&j, r);
	write_marks(&j, r);
	mp_json_object_end(&j);
	mp_text_putc(out, '\n');
}
