// SPDX-License-Identifier: GPL-2.0-only
#include "report/memory_report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/names.h"

#define GB 1e9
#define LEAST_TREND_PCT 2.0 /* of the limit over a whole run: less is noise */

MP_NAMES(outcome, enum mp_outcome, MP_OUTCOME_COUNT, "ok", "oom_killed", "limit_not_reached",
	 "interrupted", "thrash")

double mp_memory_report_percent(const struct mp_memory_report *r, uint64_t bytes)
{
	if (bytes == MP_UNKNOWN || !r->limit)
		return NAN;
	return (double)bytes * 100 / (double)r->limit;
}

/* Percent of the limit over seconds, 0 without one; new arrays in one. */
static double *series_of(const struct mp_memory_report *r, struct mp_series *ret)
{
	double *values = calloc(2 * r->n_samples + 1, sizeof(*values));

	if (!values)
		return NULL;
	for (size_t i = 0; i < r->n_samples; i++) {
		values[i] = (double)r->samples[i].t_ns / 1e9;
		values[r->n_samples + i] =
			r->limit ? mp_memory_report_percent(r, r->samples[i].usage) : 0;
	}
	*ret = (struct mp_series){.t = values, .y = values + r->n_samples, .n = r->n_samples};
	return values;
}

/*
 * How much of the run a sample stands for: half of the way to each neighbour, at the ends all of
 * the way to the only one. At even steps it is the same for all.
 */
static double weight(const struct mp_memory_report *r, size_t i)
{
	const struct mp_memory_sample *s = r->samples;
	size_t last = r->n_samples - 1;
	uint64_t before = i ? s[i].t_ns - s[i - 1].t_ns : 0;
	uint64_t after = i < last ? s[i + 1].t_ns - s[i].t_ns : 0;

	if (s[last].t_ns == s[0].t_ns)
		return 1;
	return i == 0 || i == last ? (double)(before + after) : (double)(before + after) / 2;
}

int mp_memory_report_stats(const struct mp_memory_report *r, struct mp_series_stats *ret_pct,
			   double *ret_min_available_gb, double *ret_avg_available_gb)
{
	struct mp_series series;
	MP_FREE double *values = series_of(r, &series);
	double least = INFINITY;
	double available = 0;
	double used = 0;
	double weights = 0;

	if (!values)
		return -ENOMEM;
	if (r->n_samples == 0)
		return -EAGAIN;
	for (size_t i = 0; i < r->n_samples; i++) {
		double gb = (double)r->samples[i].available / GB;
		double w = weight(r, i);

		least = fmin(least, gb);
		available += gb * w;
		used += series.y[i] * w;
		weights += w;
	}
	*ret_min_available_gb = least;
	*ret_avg_available_gb = available / weights;
	mp_series_stats(&series, ret_pct);
	ret_pct->avg = used / weights;
	return 0;
}

enum mp_trend mp_memory_report_trend(const struct mp_memory_report *r)
{
	struct mp_series series;
	MP_FREE double *values = series_of(r, &series);

	return values ? mp_trend_of(&series, LEAST_TREND_PCT) : MP_TREND_UNKNOWN;
}

const struct mp_memory_phase *mp_memory_report_top(const struct mp_memory_report *r)
{
	const struct mp_memory_phase *top = NULL;

	for (size_t i = 0; i < r->n_phases; i++) {
		if (!top || r->phases[i].requested > top->requested)
			top = &r->phases[i];
	}
	return top;
}
