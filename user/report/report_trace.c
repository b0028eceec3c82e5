// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report in the trace event format of Chromium, which Perfetto's UI opens: calls as spans of
 * their threads, memory as counters, what happened as instants. Times in microseconds.
 */
#include "report/json.h"
#include "report/memory_report.h"

#define SELF 0 /* the process that counters and phases are shown under */

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static void begin(struct mp_json *j, const char *name, const char *phase, double ts, uint32_t pid,
		  uint32_t tid)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "name", name);
	mp_json_string(j, "ph", phase);
	mp_json_fixed(j, "ts", ts, 3);
	mp_json_u64(j, "pid", pid);
	mp_json_u64(j, "tid", tid);
}

static void put_name(struct mp_json *j, const struct mp_memory_report *r)
{
	begin(j, "process_name", "M", 0, SELF, SELF);
	mp_json_object(j, "args");
	mp_json_string(j, "name", r->cgroup ? r->cgroup : "the host");
	mp_json_object_end(j);
	mp_json_object_end(j);
}

static void put_sample(struct mp_json *j, const struct mp_memory_sample *s)
{
	begin(j, "memory", "C", us(s->t_ns), SELF, SELF);
	mp_json_object(j, "args");
	mp_json_u64(j, "in use", s->usage);
	mp_json_u64(j, "filler", s->filler);
	mp_json_object_end(j);
	mp_json_object_end(j);
	if (s->some_ns == MP_UNKNOWN)
		return;
	begin(j, "stall total (ms)", "C", us(s->t_ns), SELF, SELF);
	mp_json_object(j, "args");
	mp_json_number(j, "some", (double)s->some_ns / 1e6);
	mp_json_number(j, "all", (double)s->full_ns / 1e6);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

static void put_phase(struct mp_json *j, const struct mp_memory_phase *p)
{
	begin(j, p->name, "X", us(p->start_ns), SELF, SELF);
	mp_json_fixed(j, "dur", us(p->end_ns - p->start_ns), 3);
	mp_json_object(j, "args");
	mp_json_number(j, "requested_pct", p->requested_pct);
	mp_json_number(j, "achieved_pct", p->achieved_pct);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

static void put_mark(struct mp_json *j, const struct mp_report_mark *m)
{
	bool is_span = m->kind == MP_MARK_CALL && m->duration_ns != MP_UNKNOWN;

	begin(j, m->name, is_span ? "X" : "i", us(m->t_ns), m->pid, m->tid ? m->tid : m->pid);
	mp_json_string(j, "cat", mp_mark_kind_name(m->kind));
	if (is_span)
		mp_json_fixed(j, "dur", us(m->duration_ns), 3);
	else
		mp_json_string(j, "s", "g");
	mp_json_object(j, "args");
	mp_json_string(j, "text", m->text);
	mp_json_s64(j, "bytes", m->bytes);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

void mp_report_write_trace(struct mp_text *out, const struct mp_memory_report *r)
{
	struct mp_json j = {.out = out};

	mp_json_object(&j, NULL);
	mp_json_string(&j, "displayTimeUnit", "ms");
	mp_json_array(&j, "traceEvents");
	put_name(&j, r);
	for (size_t i = 0; i < r->n_phases; i++)
		put_phase(&j, &r->phases[i]);
	for (size_t i = 0; i < r->n_samples; i++)
		put_sample(&j, &r->samples[i]);
	for (size_t i = 0; i < r->n_marks; i++)
		put_mark(&j, &r->marks[i]);
	mp_json_array_end(&j);
	mp_json_object_end(&j);
	mp_text_putc(out, '\n');
}
