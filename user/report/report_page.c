// SPDX-License-Identifier: GPL-2.0-only
/*
 * A chart has some hundred columns of pixels: of long runs the page gets as many samples, calls and
 * marks as it can show, those that stand out among them, and counts of all. Sizes are in KiB.
 */
#include "report/report_page.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/level.h"
#include "report/report_json.h"
#include "report/report_model.h"
#include "report/thin.h"

#define MAX_SAMPLES 1600
#define MAX_SPANS 2000 /* of all points */
#define LEAST_SPANS 24 /* of a point */
#define MAX_MARKS 500
#define MAX_PASSES 1500 /* of all runs of a model */
#define LEAST_PASSES 60 /* of a run */
#define KIB 1024

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

/* --- samples: a column each, without those of which nothing is known --------------------- */

static const struct column {
	const char *name;
	size_t offset;
	uint64_t unit;
} columns[] = {
	{"usage", offsetof(struct mp_memory_sample, usage), KIB},
	{"requested", offsetof(struct mp_memory_sample, requested), KIB},
	{"filler", offsetof(struct mp_memory_sample, filler), KIB},
	{"target_rss", offsetof(struct mp_memory_sample, target_rss), KIB},
	{"swap", offsetof(struct mp_memory_sample, swap), KIB},
	{"some_us", offsetof(struct mp_memory_sample, some_ns), 1000},
	{"full_us", offsetof(struct mp_memory_sample, full_ns), 1000},
};

static uint64_t cell(const struct mp_memory_sample *sample, const struct column *column)
{
	uint64_t value;

	memcpy(&value, (const char *)sample + column->offset, sizeof(value));
	return value == MP_UNKNOWN ? MP_UNKNOWN : value / column->unit;
}

static void put_column(struct mp_json *j, const struct mp_memory_sample *samples, size_t n,
		       const struct column *column)
{
	size_t i = 0;

	while (i < n && cell(&samples[i], column) == MP_UNKNOWN)
		i++;
	if (i == n)
		return;
	mp_json_array(j, column->name);
	for (i = 0; i < n; i++)
		mp_json_u64(j, NULL, cell(&samples[i], column));
	mp_json_array_end(j);
}

static void put_samples(struct mp_json *j, const struct mp_memory_report *r)
{
	MP_FREE struct mp_memory_sample *samples = calloc(r->n_samples + 1, sizeof(*samples));
	size_t n = r->n_samples;

	if (!samples) {
		j->out->failed = true;
		return;
	}
	if (n)
		memcpy(samples, r->samples, n * sizeof(*samples));
	n = mp_samples_thin(samples, n, MAX_SAMPLES);
	mp_json_object(j, "series");
	mp_json_array(j, "t");
	for (size_t i = 0; i < n; i++)
		mp_json_fixed(j, NULL, seconds(samples[i].t_ns), 4);
	mp_json_array_end(j);
	for (size_t i = 0; i < MP_ARRAY_SIZE(columns); i++)
		put_column(j, samples, n, &columns[i]);
	mp_json_object_end(j);
	mp_json_u64(j, "n_samples", r->n_samples);
}

/* --- calls and marks ---------------------------------------------------------------------- */

static int by_point(const void *a, const void *b)
{
	const struct mp_report_mark *x = *(const struct mp_report_mark *const *)a;
	const struct mp_report_mark *y = *(const struct mp_report_mark *const *)b;
	int names = strcmp(x->name, y->name);

	return names ? names : (x->t_ns > y->t_ns) - (x->t_ns < y->t_ns);
}

static void put_span(struct mp_json *j, const struct mp_report_mark *m)
{
	mp_json_array(j, NULL);
	mp_json_fixed(j, NULL, seconds(m->t_ns), 6);
	mp_json_u64(j, NULL, m->duration_ns);
	mp_json_s64(j, NULL, m->bytes);
	mp_json_u64(j, NULL, m->tid);
	mp_json_u64(j, NULL, m->severity);
	mp_json_string(j, NULL, m->text);
	mp_json_array_end(j);
}

/* What all of its calls come to, and those that are drawn. */
static void put_point(struct mp_json *j, const struct mp_report_mark **calls, size_t n, size_t most)
{
	uint64_t longest = 0;
	int64_t grown = 0;

	for (size_t i = 0; i < n; i++) {
		if (calls[i]->duration_ns != MP_UNKNOWN && calls[i]->duration_ns > longest)
			longest = calls[i]->duration_ns;
		if (calls[i]->bytes != MP_UNKNOWN_DELTA &&
		    __builtin_add_overflow(grown, calls[i]->bytes, &grown))
			grown = INT64_MAX;
	}
	mp_json_object(j, NULL);
	mp_json_string(j, "name", calls[0]->name);
	mp_json_u64(j, "n", n);
	mp_json_u64(j, "longest_ns", longest);
	mp_json_s64(j, "grown", grown);
	n = mp_marks_thin(calls, n, most);
	mp_json_array(j, "spans");
	for (size_t i = 0; i < n; i++)
		put_span(j, calls[i]);
	mp_json_array_end(j);
	mp_json_object_end(j);
}

static size_t count_points(const struct mp_report_mark *const *calls, size_t n)
{
	size_t points = n > 0;

	for (size_t i = 1; i < n; i++)
		points += strcmp(calls[i]->name, calls[i - 1]->name) != 0;
	return points;
}

static void put_calls(struct mp_json *j, const struct mp_report_mark **calls, size_t n)
{
	size_t share;

	qsort(calls, n, sizeof(const struct mp_report_mark *), by_point);
	share = MAX_SPANS / (count_points(calls, n) + 1);
	mp_json_array(j, "calls");
	for (size_t first = 0, last; first < n; first = last) {
		for (last = first + 1;
		     last < n && strcmp(calls[last]->name, calls[first]->name) == 0;)
			last++;
		put_point(j, calls + first, last - first,
			  share < LEAST_SPANS ? LEAST_SPANS : share);
	}
	mp_json_array_end(j);
}

static void put_mark(struct mp_json *j, const struct mp_report_mark *m)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "kind", mp_mark_kind_name(m->kind));
	mp_json_fixed(j, "t", seconds(m->t_ns), 6);
	mp_json_u64(j, "severity", m->severity);
	mp_json_u64(j, "duration_ns", m->duration_ns);
	mp_json_s64(j, "bytes", m->bytes);
	mp_json_string(j, "name", m->name);
	mp_json_string(j, "text", m->text);
	mp_json_object_end(j);
}

static void put_marks(struct mp_json *j, const struct mp_report_mark **marks, size_t n)
{
	mp_json_u64(j, "n_marks", n);
	n = mp_marks_thin(marks, n, MAX_MARKS);
	mp_json_array(j, "marks");
	for (size_t i = 0; i < n; i++)
		put_mark(j, marks[i]);
	mp_json_array_end(j);
}

static void put_events(struct mp_json *j, const struct mp_memory_report *r)
{
	MP_FREE const struct mp_report_mark **sorted =
		calloc(r->n_marks + 1, sizeof(const struct mp_report_mark *));
	size_t n_calls = 0;
	size_t n = 0;

	if (!sorted) {
		j->out->failed = true;
		return;
	}
	for (size_t i = 0; i < r->n_marks; i++) {
		if (r->marks[i].kind == MP_MARK_CALL)
			sorted[n_calls++] = &r->marks[i];
	}
	put_calls(j, sorted, n_calls);
	for (size_t i = 0; i < r->n_marks; i++) {
		if (r->marks[i].kind != MP_MARK_CALL)
			sorted[n++] = &r->marks[i];
	}
	put_marks(j, sorted, n);
}

void mp_report_write_page_data(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_object(j, NULL);
	mp_report_write_figures(j, r);
	mp_report_write_model(j, r, MAX_PASSES / (r->model.n_runs + 1) + LEAST_PASSES);
	put_samples(j, r);
	put_events(j, r);
	mp_json_object_end(j);
}
