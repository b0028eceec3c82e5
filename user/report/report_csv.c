// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as CSV (RFC 4180): one line of figures behind a header, the documented columns
 * first, so that files of many runs can be put together.
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
	"verdict\r\n"

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

static void put_number(struct mp_text *out, double value)
{
	char text[32];

	if (!isfinite(value))
		return;
	snprintf(text, sizeof(text), "%.3f", value);
	for (char *comma = strchr(text, ','); comma; comma = NULL)
		*comma = '.';
	mp_text_puts(out, text);
}

static void put_field(struct mp_text *out, double value)
{
	mp_text_putc(out, ',');
	put_number(out, value);
}

static void put_text_field(struct mp_text *out, const char *text)
{
	mp_text_putc(out, ',');
	put_text(out, text);
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
	put_field(out,
		  r->model_load_ns == MP_UNKNOWN ? (double)NAN : (double)r->model_load_ns / 1e9);
	put_field(out, pct.avg);
	put_field(out, least);
	put_field(out, pct.volatility);
	put_text_field(out, mp_outcome_name(r->outcome));
	mp_text_printf(out, ",%llu", (unsigned long long)r->limit);
	put_text_field(out, r->environment.profile_name);
	put_phases(out, r);
	put_text_field(out, mp_trend_name(mp_memory_report_trend(r)));
	if (r->pressure.oom_kills == MP_UNKNOWN)
		mp_text_putc(out, ',');
	else
		mp_text_printf(out, ",%llu", (unsigned long long)r->pressure.oom_kills);
	put_text_field(out, r->verdict);
	mp_text_puts(out, "\r\n");
}

void mp_report_write_csv_all(struct mp_text *out, const struct mp_memory_report *const *reports,
			     size_t n)
{
	mp_text_puts(out, HEADER);
	for (size_t i = 0; i < n; i++)
		put_line(out, reports[i]);
}

void mp_report_write_csv(struct mp_text *out, const struct mp_memory_report *r)
{
	mp_report_write_csv_all(out, &r, 1);
}
