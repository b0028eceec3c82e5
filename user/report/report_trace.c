// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report in the trace event format of Chromium, which Perfetto's UI opens: calls as spans of
 * their threads, memory as counters, what happened as instants. Times in microseconds.
 */
#include <string.h>

#include "base/cleanup.h"
#include "report/json.h"
#include "report/memory_report.h"

#define SELF 4194305	 /* what counters and phases are shown under: no process can have this id */
#define MODEL (SELF + 1) /* the track of what a model does */
#define MAX_NESTED 256

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static void begin(struct mp_json *j, const char *name, const char *phase, uint64_t t_ns,
		  uint32_t pid, uint32_t tid)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "name", name);
	mp_json_string(j, "ph", phase);
	mp_json_fixed(j, "ts", us(t_ns), 3);
	mp_json_u64(j, "pid", pid);
	mp_json_u64(j, "tid", tid);
}

static void put_name(struct mp_json *j, uint32_t pid, const char *name)
{
	begin(j, "process_name", "M", 0, pid, pid);
	mp_json_object(j, "args");
	mp_json_string(j, "name", name);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

/* A value of a counter; unknown ones leave a gap. */
static void put_counter(struct mp_json *j, const char *name, uint64_t t_ns, const char *series,
			uint64_t value)
{
	if (value == MP_UNKNOWN)
		return;
	begin(j, name, "C", t_ns, SELF, SELF);
	mp_json_object(j, "args");
	mp_json_u64(j, series, value);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

static void put_sample(struct mp_json *j, const struct mp_memory_sample *s)
{
	put_counter(j, "memory in use", s->t_ns, "bytes", s->usage);
	put_counter(j, "asked for", s->t_ns, "bytes", s->requested);
	put_counter(j, "filler", s->t_ns, "bytes", s->filler);
	put_counter(j, "program", s->t_ns, "bytes", s->target_rss);
	put_counter(j, "stalled, some task", s->t_ns, "ns", s->some_ns);
	put_counter(j, "stalled, all tasks", s->t_ns, "ns", s->full_ns);
}

static void put_phase(struct mp_json *j, const struct mp_memory_phase *p)
{
	uint64_t length = p->end_ns > p->start_ns ? p->end_ns - p->start_ns : 0;

	begin(j, p->name, "X", p->start_ns, SELF, SELF);
	mp_json_string(j, "cat", "phase");
	mp_json_fixed(j, "dur", us(length), 3);
	mp_json_object(j, "args");
	mp_json_number(j, "requested_pct", p->requested_pct);
	mp_json_number(j, "achieved_pct", p->achieved_pct);
	mp_json_object_end(j);
	mp_json_object_end(j);
}

/* --- a model: its runs, and in them its loads and passes ------------------------------- */

static void put_model_span(struct mp_json *j, const char *name, uint64_t start_ns, uint64_t end_ns)
{
	begin(j, name, "X", start_ns, SELF, MODEL);
	mp_json_string(j, "cat", "model");
	mp_json_fixed(j, "dur", us(end_ns - start_ns), 3);
}

static void put_part(struct mp_json *j, const char *name, uint64_t start_ns, uint64_t length_ns,
		     uint64_t end_ns)
{
	uint64_t left = start_ns < end_ns ? end_ns - start_ns : 0;

	put_model_span(j, name, start_ns, start_ns + (length_ns < left ? length_ns : left));
	mp_json_object_end(j);
}

/* The cold load begins the run, the warm one ends where the first pass begins: `end_ns`. */
static void put_loads(struct mp_json *j, const struct mp_model_run *run, uint64_t end_ns)
{
	uint64_t cold = run->load_cold_ns == MP_UNKNOWN ? 0 : run->load_cold_ns;
	uint64_t warm_at = run->start_ns + cold;

	if (cold)
		put_part(j, "load, cold", run->start_ns, cold, end_ns);
	if (run->load_warm_ns == MP_UNKNOWN)
		return;
	if (run->n_passes && end_ns > run->load_warm_ns && end_ns - run->load_warm_ns > warm_at)
		warm_at = end_ns - run->load_warm_ns;
	put_part(j, "load, warm", warm_at, run->load_warm_ns, end_ns);
}

/* When pass `i` begins, or the run ends. */
static uint64_t pass_at(const struct mp_model_run *run, size_t i, uint64_t end_ns)
{
	return i < run->n_passes && run->passes[i].t_ns < end_ns ? run->passes[i].t_ns : end_ns;
}

static void put_passes(struct mp_json *j, const struct mp_model_run *run, uint64_t end_ns)
{
	for (size_t i = 0; i < run->n_passes && run->passes[i].t_ns < end_ns; i++)
		put_part(j, "pass", run->passes[i].t_ns, run->passes[i].duration_ns,
			 pass_at(run, i + 1, end_ns));
}

static void put_run(struct mp_json *j, const struct mp_memory_report *r,
		    const struct mp_model_run *run)
{
	uint64_t end = run->end_ns == MP_UNKNOWN ? r->duration_ns : run->end_ns;

	end = end > run->start_ns ? end : run->start_ns;
	put_model_span(j, run->level ?: "model", run->start_ns, end);
	mp_json_object(j, "args");
	mp_json_string(j, "outcome", mp_outcome_name(run->outcome));
	mp_json_u64(j, "limit", run->limit);
	mp_json_u64(j, "peak_rss", run->peak_rss);
	mp_json_object_end(j);
	mp_json_object_end(j);
	put_loads(j, run, pass_at(run, 0, end));
	put_passes(j, run, end);
}

static void put_model(struct mp_json *j, const struct mp_memory_report *r)
{
	if (!r->model.n_runs)
		return;
	begin(j, "thread_name", "M", 0, SELF, MODEL);
	mp_json_object(j, "args");
	mp_json_string(j, "name", "model");
	mp_json_object_end(j);
	mp_json_object_end(j);
	for (size_t i = 0; i < r->model.n_runs; i++)
		put_run(j, r, &r->model.runs[i]);
}

/* --- instants --------------------------------------------------------------------------- */

static void put_args(struct mp_json *j, const struct mp_report_mark *m)
{
	mp_json_object(j, "args");
	mp_json_string(j, "text", m->text);
	mp_json_s64(j, "bytes", m->bytes);
	mp_json_u64(j, "duration_ns", m->duration_ns);
	mp_json_object_end(j);
}

static bool is_span(const struct mp_report_mark *m)
{
	return m->kind == MP_MARK_CALL && m->duration_ns != MP_UNKNOWN;
}

static void put_instant(struct mp_json *j, const struct mp_report_mark *m)
{
	uint32_t pid = m->pid ? m->pid : SELF;

	begin(j, m->name, "i", m->t_ns, pid, m->tid ? m->tid : pid);
	mp_json_string(j, "cat", mp_mark_kind_name(m->kind));
	mp_json_string(j, "s", m->kind == MP_MARK_CALL ? "t" : "g");
	put_args(j, m);
	mp_json_object_end(j);
}

/* --- spans: within a thread each lies inside the one around it ------------------------- */

static int compare_spans(const void *a, const void *b)
{
	const struct mp_report_mark *x = *(const struct mp_report_mark *const *)a;
	const struct mp_report_mark *y = *(const struct mp_report_mark *const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return (x->duration_ns < y->duration_ns) - (x->duration_ns > y->duration_ns);
}

static uint64_t end_of(const struct mp_report_mark *m)
{
	return m->t_ns + m->duration_ns;
}

/* The ends of the calls around the one that is put. */
struct nest {
	uint64_t ends[MAX_NESTED];
	size_t depth;
};

/*
 * A call that the kernel side saw begin late, or that was cut off with its thread, can seem to
 * outlast its caller, and viewers drop such a span: it is drawn to its caller's end, and its args
 * have its duration.
 */
static void put_span(struct mp_json *j, const struct mp_report_mark *m, struct nest *nest)
{
	uint64_t end = end_of(m);

	while (nest->depth && nest->ends[nest->depth - 1] <= m->t_ns)
		nest->depth--;
	if (nest->depth && end > nest->ends[nest->depth - 1])
		end = nest->ends[nest->depth - 1];
	if (nest->depth < MAX_NESTED)
		nest->ends[nest->depth++] = end;
	begin(j, m->name, "X", m->t_ns, m->pid, m->tid ? m->tid : m->pid);
	mp_json_string(j, "cat", mp_mark_kind_name(m->kind));
	mp_json_fixed(j, "dur", us(end - m->t_ns), 3);
	put_args(j, m);
	mp_json_object_end(j);
}

/* "redis-server[4242]": viewers put the id there themselves. */
static void put_process(struct mp_json *j, const struct mp_report_mark *m)
{
	const char *bracket = m->text ? strrchr(m->text, '[') : NULL;
	MP_FREE char *name = bracket ? strndup(m->text, (size_t)(bracket - m->text)) : NULL;

	if (name)
		put_name(j, m->pid, name);
}

static void put_spans(struct mp_json *j, const struct mp_memory_report *r)
{
	MP_FREE const struct mp_report_mark **spans =
		calloc(r->n_marks + 1, sizeof(const struct mp_report_mark *));
	const struct mp_report_mark *last = NULL;
	struct nest nest = {.depth = 0};
	size_t n = 0;

	if (!spans) {
		j->out->failed = true;
		return;
	}
	for (size_t i = 0; i < r->n_marks; i++) {
		if (is_span(&r->marks[i]))
			spans[n++] = &r->marks[i];
	}
	qsort(spans, n, sizeof(const struct mp_report_mark *), compare_spans);
	for (size_t i = 0; i < n; i++) {
		if (!last || last->pid != spans[i]->pid)
			put_process(j, spans[i]);
		if (!last || last->pid != spans[i]->pid || last->tid != spans[i]->tid)
			nest.depth = 0;
		put_span(j, spans[i], &nest);
		last = spans[i];
	}
}

void mp_report_write_trace(struct mp_text *out, const struct mp_memory_report *r)
{
	struct mp_json j = {.out = out};

	mp_json_object(&j, NULL);
	mp_json_string(&j, "displayTimeUnit", "ms");
	mp_json_array(&j, "traceEvents");
	put_name(&j, SELF, r->cgroup ? r->cgroup : "the host");
	for (size_t i = 0; i < r->n_phases; i++)
		put_phase(&j, &r->phases[i]);
	for (size_t i = 0; i < r->n_samples; i++)
		put_sample(&j, &r->samples[i]);
	put_model(&j, r);
	put_spans(&j, r);
	for (size_t i = 0; i < r->n_marks; i++) {
		if (!is_span(&r->marks[i]))
			put_instant(&j, &r->marks[i]);
	}
	mp_json_array_end(&j);
	mp_json_object_end(&j);
	mp_text_putc(out, '\n');
}
