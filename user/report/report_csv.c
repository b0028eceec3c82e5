// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as CSV (RFC 4180): one line of figures behind a header, the documented columns
 * first, so that files of many runs can be put together. A report that loaded a model several
 * times, as one of quantization levels does, has a line for each.
 */
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "report/memory_report.h"

#define HEADER                                                                                     \
	"timestamp,test_mode,duration,model_id,start_memory_percent,peak_memory_percent,"          \
	"end_memory_percent,model_load_time,avg_memory_percent,min_available_gb,volatility,"       \
	"outcome,limit_bytes,profile_name,requested_percent,achieved_percent,trend,oom_kills,"     \
	"verdict,model_file,loader,level,file_bytes,tensor_bytes,predicted,load_warm,passes,"      \
	"pass_p50,pass_max,peak_rss,peak_anon,peak_file,peak_group,major_faults,read_bytes,"       \
	"reread_bytes,perplexity\r\n"

/* Foreign bytes that are no UTF-8 become question marks: a whole file would be unreadable for one.
 */
static char *valid_utf8(const char *text)
{
	char *valid = strdup(text);

	for (char *s = valid; s && *s;) {
		size_t n = mp_utf8_length(s, strlen(s));

		if (n == 0)
			*s = '?';
		s += n ? n : 1;
	}
	return valid;
}

/* Quoted where RFC 4180 asks for it; what a spreadsheet would take for a formula gets a quote mark.
 */
static void put_text(struct mp_text *out, const char *text)
{
	MP_FREE char *valid = text ? valid_utf8(text) : NULL;
	const char *s = valid ? valid : "";
	bool is_formula = *s && strchr("=+-@\t\r", *s);

	if (!is_formula && !strpbrk(s, ",\"\r\n")) {
		mp_text_puts(out, s);
		return;
	}
	mp_text_putc(out, '"');
	if (is_formula)
		mp_text_putc(out, '\'');
	for (; *s; s++) {
		if (*s == '"')
			mp_text_putc(out, '"');
		mp_text_putc(out, *s);
	}
	mp_text_putc(out, '"');
}

static void put_decimals(struct mp_text *out, double value, int decimals)
{
	char text[64];

	mp_text_putc(out, ',');
	if (!isfinite(value))
		return;
	snprintf(text, sizeof(text), "%.*f", decimals, value);
	for (char *comma = strchr(text, ','); comma; comma = NULL)
		*comma = '.';
	mp_text_puts(out, text);
}

static void put_field(struct mp_text *out, double value)
{
	put_decimals(out, value, 3);
}

static void put_text_field(struct mp_text *out, const char *text)
{
	mp_text_putc(out, ',');
	put_text(out, text);
}

static void put_count(struct mp_text *out, uint64_t value)
{
	mp_text_putc(out, ',');
	if (value != MP_UNKNOWN)
		mp_text_printf(out, "%llu", (unsigned long long)value);
}

static void put_seconds(struct mp_text *out, uint64_t ns, int decimals)
{
	put_decimals(out, ns == MP_UNKNOWN ? (double)NAN : (double)ns / 1e9, decimals);
}

static double percent_at(const struct mp_memory_report *r, size_t i)
{
	return i < r->n_samples ? mp_memory_report_percent(r, r->samples[i].usage) : (double)NAN;
}

static void put_phases(struct mp_text *out, const struct mp_memory_report *r)
{
	const struct mp_memory_phase *top = mp_memory_report_top(r);

	put_field(out, top ? top->requested_pct : (double)NAN);
	put_field(out, top && top->achieved != MP_UNKNOWN ? top->achieved_pct : (double)NAN);
}

static const char *prediction(const struct mp_model_run *run)
{
	return run->predicted < MP_OUTCOME_COUNT ? mp_outcome_name(run->predicted) : NULL;
}

static void put_run(struct mp_text *out, const struct mp_memory_report *r)
{
	static const struct mp_model_run none = {.file_bytes = MP_UNKNOWN,
						 .tensor_bytes = MP_UNKNOWN,
						 .predicted = MP_OUTCOME_COUNT,
						 .load_warm_ns = MP_UNKNOWN,
						 .passes_done = MP_UNKNOWN,
						 .pass_p50_ns = MP_UNKNOWN,
						 .pass_max_ns = MP_UNKNOWN,
						 .peak_rss = MP_UNKNOWN,
						 .peak_anon = MP_UNKNOWN,
						 .peak_file = MP_UNKNOWN,
						 .peak_group = MP_UNKNOWN,
						 .major_faults = MP_UNKNOWN,
						 .read_bytes = MP_UNKNOWN,
						 .reread_bytes = MP_UNKNOWN,
						 .perplexity = NAN};
	const struct mp_model_run *run = r->model.n_runs ? r->model.runs : &none;

	put_text_field(out, r->model.file);
	put_text_field(out, r->model.loader);
	put_text_field(out, run->level);
	put_count(out, run->file_bytes);
	put_count(out, run->tensor_bytes);
	put_text_field(out, prediction(run));
	put_seconds(out, run->load_warm_ns, 3);
	put_count(out, run->passes_done);
	put_seconds(out, run->pass_p50_ns, 6);
	put_seconds(out, run->pass_max_ns, 6);
	put_count(out, run->peak_rss);
	put_count(out, run->peak_anon);
	put_count(out, run->peak_file);
	put_count(out, run->peak_group);
	put_count(out, run->major_faults);
	put_count(out, run->read_bytes);
	put_count(out, run->reread_bytes);
	put_decimals(out, run->perplexity, 4);
}

static void put_line(struct mp_text *out, const struct mp_memory_report *r)
{
	struct mp_series_stats pct = {.avg = NAN, .min = NAN, .max = NAN, .volatility = NAN};
	double least = NAN;
	double average = NAN;
	char time[MP_TIME_LEN];

	mp_memory_report_stats(r, &pct, &least, &average);
	put_text(out, mp_clock_format(r->begin_realtime_ns, time));
	put_text_field(out, r->test_mode);
	put_field(out, (double)r->duration_ns / 1e9);
	put_text_field(out, r->model_id);
	put_field(out, percent_at(r, 0));
	put_field(out, pct.max);
	put_field(out, r->n_samples ? percent_at(r, r->n_samples - 1) : (double)NAN);
	put_seconds(out, r->model_load_ns, 3);
	put_field(out, pct.avg);
	put_field(out, least);
	put_field(out, pct.volatility);
	put_text_field(out, mp_outcome_name(r->outcome));
	put_count(out, r->limit);
	put_text_field(out, r->environment.profile_name);
	put_phases(out, r);
	put_text_field(out, mp_trend_name(mp_memory_report_trend(r)));
	put_count(out, r->pressure.oom_kills);
	put_text_field(out, r->verdict);
	put_run(out, r);
	mp_text_puts(out, "\r\n");
}

/* One of several runs as a report of its own: its part of the time, under its limit. */
static struct mp_memory_report part_of(const struct mp_memory_report *r, size_t i)
{
	const struct mp_model_run *run = &r->model.runs[i];
	uint64_t end = run->end_ns == MP_UNKNOWN ? r->duration_ns : run->end_ns;
	struct mp_memory_report part = *r;

	while (part.n_samples && part.samples[0].t_ns < run->start_ns) {
		part.samples++;
		part.n_samples--;
	}
	while (part.n_samples && part.samples[part.n_samples - 1].t_ns > end)
		part.n_samples--;
	part.begin_realtime_ns += run->start_ns;
	part.duration_ns = end > run->start_ns ? end - run->start_ns : 0;
	part.model_load_ns = run->load_cold_ns;
	part.limit = run->limit == MP_UNKNOWN ? r->limit : run->limit;
	part.outcome = run->outcome;
	part.pressure.oom_kills = MP_UNKNOWN;
	part.model.runs = &r->model.runs[i];
	part.model.n_runs = 1;
	return part;
}

static void put_lines(struct mp_text *out, const struct mp_memory_report *r)
{
	if (r->model.n_runs < 2) {
		put_line(out, r);
		return;
	}
	for (size_t i = 0; i < r->model.n_runs; i++) {
		struct mp_memory_report part = part_of(r, i);

		put_line(out, &part);
	}
}

void mp_report_write_csv_all(struct mp_text *out, const struct mp_memory_report *const *reports,
			     size_t n)
{
	mp_text_puts(out, HEADER);
	for (size_t i = 0; i < n; i++)
		put_lines(out, reports[i]);
}

void mp_report_write_csv(struct mp_text *out, const struct mp_memory_report *r)
{
	mp_report_write_csv_all(out, &r, 1);
}
