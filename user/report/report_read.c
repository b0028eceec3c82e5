// SPDX-License-Identifier: GPL-2.0-only
/*
 * A JSON report read back. What follows from other fields (statistics, trend, percentages of the
 * limit) is not read but worked out again; fields that are not known are passed over.
 */
#include <errno.h>
#include <math.h>

#include "base/level.h"
#include "report/json_read.h"
#include "report/memory_report.h"
#include "report/report_model.h"

#define SCHEMA_VERSION 1
#define MB (1 << 20)

static uint64_t megabytes(const struct mp_fields *o, const char *key)
{
	double value = mp_fields_number(o, key, 0, MP_FIELDS_MAX_NUMBER / MB, -1);

	return value < 0 ? MP_UNKNOWN : (uint64_t)llround(value * MB);
}

static void read_head(const struct mp_fields *o, struct mp_memory_report *r)
{
	uint64_t limit = mp_fields_u64(o, "limit");
	uint64_t time = mp_fields_time(o, "time");

	r->version = mp_fields_string(o, "version");
	r->begin_realtime_ns = time == MP_UNKNOWN ? 0 : time;
	r->test_mode = mp_fields_need_string(o, "test_mode");
	r->model_id = mp_fields_string(o, "model_id");
	r->command = mp_fields_string(o, "command");
	r->duration_ns = mp_fields_need_seconds(o, "duration");
	r->outcome = mp_fields_name(o, "outcome", mp_outcome_parse);
	r->verdict = mp_fields_string(o, "verdict");
	r->recommendation = mp_fields_string(o, "recommendation");
	r->kernel = mp_fields_string(o, "kernel");
	r->cgroup = mp_fields_string(o, "cgroup");
	r->limit = limit == MP_UNKNOWN ? 0 : limit;
	r->model_load_ns = mp_fields_seconds(o, "model_load_time");
	r->marks_left_out = mp_fields_u64(o, "events_left_out");
	r->monitor = mp_fields_string(o, "monitor");
}

static void read_environment(const struct mp_fields *o, struct mp_memory_report *r)
{
	struct mp_fields environment = mp_fields_object(o, "environment");
	struct mp_fields thresholds = mp_fields_object(o, "thresholds");

	r->environment.profile_name = mp_fields_string(&environment, "profile_name");
	r->environment.total_bytes = megabytes(&environment, "total_mem_mb");
	r->environment.swap_bytes = megabytes(&environment, "swap_size_mb");
	r->environment.limit_bytes = mp_fields_u64(&environment, "memory_limit");
	r->environment.engine = mp_fields_string(&environment, "engine");
	r->environment.notes = mp_fields_string(&environment, "notes");
	r->thresholds.warning_pct = mp_fields_any_number(&thresholds, "warning");
	r->thresholds.gc_pct = mp_fields_any_number(&thresholds, "gc");
	r->thresholds.critical_pct = mp_fields_any_number(&thresholds, "critical");
}

static bool read_slope(const struct mp_fields *o, const char *key, struct mp_slope *ret)
{
	struct mp_fields slope = mp_fields_object(o, key);

	ret->per_second = mp_fields_any_number(&slope, "bytes_per_second");
	ret->low = mp_fields_any_number(&slope, "low");
	ret->high = mp_fields_any_number(&slope, "high");
	return isfinite(ret->per_second);
}

static void read_pressure(const struct mp_fields *o, struct mp_memory_report *r)
{
	struct mp_fields pressure = mp_fields_object(o, "pressure");
	struct mp_fields leak = mp_fields_object(o, "leak");

	r->pressure.some_ns = mp_fields_u64(&pressure, "some_ns");
	r->pressure.full_ns = mp_fields_u64(&pressure, "full_ns");
	r->pressure.oom_kills = mp_fields_u64(&pressure, "oom_kills");
	r->pressure.high_events = mp_fields_u64(&pressure, "high_events");
	r->pressure.max_events = mp_fields_u64(&pressure, "max_events");
	r->pressure.incidents = mp_fields_u64(&pressure, "incidents");
	r->leak.target_known = read_slope(&leak, "target", &r->leak.target);
	r->leak.filler_known = read_slope(&leak, "filler", &r->leak.filler);
	r->leak.monitor_known = read_slope(&leak, "monitor", &r->leak.monitor);
}

static void read_stability(const struct mp_fields *o, struct mp_memory_report *r)
{
	struct mp_fields stability = mp_fields_object(o, "stability");
	uint64_t total = mp_fields_seconds(&stability, "total");
	uint64_t rest = mp_fields_seconds(&stability, "rest");
	uint64_t round = mp_fields_seconds(&stability, "round");
	uint64_t rounds = mp_fields_u64(&stability, "rounds");
	uint64_t done = mp_fields_u64(&stability, "rounds_done");

	r->stability.total_ns = total == MP_UNKNOWN ? 0 : total;
	r->stability.rest_ns = rest == MP_UNKNOWN ? 0 : rest;
	r->stability.round_ns = round == MP_UNKNOWN ? 0 : round;
	r->stability.rounds = rounds > UINT32_MAX ? 0 : (unsigned int)rounds;
	r->stability.rounds_done = done > UINT32_MAX ? 0 : (unsigned int)done;
}

static void read_sample(const struct mp_fields *o, uint64_t limit, struct mp_memory_sample *s)
{
	s->t_ns = mp_fields_need_seconds(o, "t");
	s->usage = mp_fields_u64(o, "usage");
	if (s->usage == MP_UNKNOWN)
		mp_fields_bad(o, "usage", "is missing");
	s->available = mp_fields_u64(o, "available");
	if (s->available == MP_UNKNOWN)
		s->available = limit > s->usage ? limit - s->usage : 0;
	s->filler = mp_fields_u64(o, "filler");
	s->requested = mp_fields_u64(o, "requested");
	s->swap = mp_fields_u64(o, "swap");
	s->some_ns = mp_fields_u64(o, "some_ns");
	s->full_ns = mp_fields_u64(o, "full_ns");
	s->target_rss = mp_fields_u64(o, "target_rss");
	s->filler_rss = mp_fields_u64(o, "filler_rss");
	s->monitor_rss = mp_fields_u64(o, "monitor_rss");
	s->watcher_rss = mp_fields_u64(o, "watcher_rss");
}

static void read_samples(const struct mp_fields *o, struct mp_memory_report *r)
{
	const json_t *array = mp_fields_array(o, "samples");
	size_t n = json_array_size(array);
	struct mp_memory_sample *samples = mp_reading_block(o->reading, n, sizeof(*samples));

	if (!array)
		mp_fields_bad(o, "samples", "is missing");
	for (size_t i = 0; samples && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "samples", array, i);

		read_sample(&item, r->limit, &samples[i]);
		if (i && samples[i].t_ns < samples[i - 1].t_ns)
			mp_fields_bad(&item, "t", "goes back in time");
	}
	r->samples = samples;
	r->n_samples = samples ? n : 0;
}

static void read_phase(const struct mp_fields *o, const struct mp_memory_report *r,
		       struct mp_memory_phase *p)
{
	struct mp_fields requested = mp_fields_object(o, "requested");
	struct mp_fields achieved = mp_fields_object(o, "achieved");

	p->name = mp_fields_need_string(o, "name");
	p->start_ns = mp_fields_need_seconds(o, "start");
	p->end_ns = mp_fields_need_seconds(o, "end");
	p->due_ns = mp_fields_seconds(o, "due");
	p->requested = mp_fields_u64(&requested, "bytes");
	p->requested_pct = mp_fields_any_number(&requested, "percent");
	p->achieved = mp_fields_u64(&achieved, "bytes");
	p->achieved_pct = mp_memory_report_percent(r, p->achieved);
	p->error_pct = mp_fields_any_number(&achieved, "error_pct");
}

static void read_phases(const struct mp_fields *o, struct mp_memory_report *r)
{
	const json_t *array = mp_fields_array(o, "phases");
	size_t n = json_array_size(array);
	struct mp_memory_phase *phases = mp_reading_block(o->reading, n, sizeof(*phases));

	for (size_t i = 0; phases && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "phases", array, i);

		read_phase(&item, r, &phases[i]);
	}
	r->phases = phases;
	r->n_phases = phases ? n : 0;
}

static void read_mark(const struct mp_fields *o, struct mp_report_mark *m)
{
	m->kind = mp_fields_name(o, "kind", mp_mark_kind_parse);
	m->severity = mp_fields_optional_name(o, "severity", mp_severity_parse);
	m->t_ns = mp_fields_need_seconds(o, "t");
	m->duration_ns = mp_fields_u64(o, "duration_ns");
	m->pid = mp_fields_pid(o, "pid");
	m->tid = mp_fields_pid(o, "tid");
	m->bytes = mp_fields_s64(o, "bytes");
	m->name = mp_fields_string(o, "name");
	if (!m->name)
		mp_fields_bad(o, "name", "is missing");
	m->text = mp_fields_string(o, "text");
}

static void read_marks(const struct mp_fields *o, struct mp_memory_report *r)
{
	const json_t *array = mp_fields_array(o, "events");
	size_t n = json_array_size(array);
	struct mp_report_mark *marks = mp_reading_block(o->reading, n, sizeof(*marks));

	for (size_t i = 0; marks && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "events", array, i);

		read_mark(&item, &marks[i]);
	}
	r->marks = marks;
	r->n_marks = marks ? n : 0;
}

static void read_point(const struct mp_fields *o, struct mp_report_point *p)
{
	struct mp_fields duration = mp_fields_object(o, "duration_ns");
	struct mp_fields growth = mp_fields_object(o, "rss_delta");

	p->name = mp_fields_need_string(o, "point");
	p->level = mp_fields_name(o, "level", mp_level_parse);
	p->hits = mp_fields_u64(o, "hits");
	p->returns = mp_fields_u64(o, "returns");
	p->duration_p50_ns = mp_fields_u64(&duration, "p50");
	p->duration_p99_ns = mp_fields_u64(&duration, "p99");
	p->duration_max_ns = mp_fields_u64(&duration, "max");
	p->rss_total = mp_fields_s64(&growth, "total");
	p->rss_max = mp_fields_s64(&growth, "max");
}

static void read_points(const struct mp_fields *o, struct mp_memory_report *r)
{
	const json_t *array = mp_fields_array(o, "points");
	size_t n = json_array_size(array);
	struct mp_report_point *points = mp_reading_block(o->reading, n, sizeof(*points));

	for (size_t i = 0; points && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "points", array, i);

		read_point(&item, &points[i]);
	}
	r->points = points;
	r->n_points = points ? n : 0;
}

static int read_version(const struct mp_fields *o, struct mp_error *err)
{
	int64_t version = mp_fields_integer(o, "schema_version", 0, INT64_MAX, 0);

	if (!mp_fields_value(o, "schema_version"))
		mp_fields_bad(o, "schema_version", "is missing: this is no report");
	if (o->reading->status || version == SCHEMA_VERSION)
		return o->reading->status;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "report version %lld is not known: a newer memprobe-bpf reads it",
		       (long long)version);
}

int mp_report_parse(struct mp_reading *reading, const char *text, size_t len,
		    struct mp_memory_report *ret, struct mp_error *err)
{
	struct mp_memory_report r = {0};
	int error = mp_reading_load(reading, text, len, err);
	struct mp_fields o = mp_reading_root(reading);

	error = error ?: read_version(&o, err);
	if (error)
		return error;
	read_head(&o, &r);
	read_environment(&o, &r);
	mp_report_read_quantization(&o, &r);
	mp_report_read_model(&o, &r);
	read_pressure(&o, &r);
	read_stability(&o, &r);
	read_samples(&o, &r);
	read_phases(&o, &r);
	read_marks(&o, &r);
	read_points(&o, &r);
	if (!reading->status)
		*ret = r;
	return reading->status;
}
