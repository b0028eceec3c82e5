// SPDX-License-Identifier: GPL-2.0-only
#include "report/memory_report.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/names.h"

#define GB 1e9
#define LEAST_TREND_PCT 2.0 /* of the limit over a whole run: less is noise */

MP_NAMES(outcome, enum mp_outcome, MP_OUTCOME_COUNT, "ok", "oom_killed", "limit_not_reached",
	 "interrupted")

static double percent(const struct mp_memory_report *r, uint64_t bytes)
{
	return r->limit ? (double)bytes * 100 / (double)r->limit : 0;
}

/* Percent of the limit over seconds; new arrays in one. */
static double *series_of(const struct mp_memory_report *r, struct mp_series *ret)
{
	double *values = calloc(2 * r->n_samples + 1, sizeof(*values));

	if (!values)
		return NULL;
	for (size_t i = 0; i < r->n_samples; i++) {
		values[i] = (double)r->samples[i].t_ns / 1e9;
		values[r->n_samples + i] = percent(r, r->samples[i].usage);
	}
	*ret = (struct mp_series){.t = values, .y = values + r->n_samples, .n = r->n_samples};
	return values;
}

int mp_memory_report_stats(const struct mp_memory_report *r, struct mp_series_stats *ret_pct,
			   double *ret_min_available_gb, double *ret_avg_available_gb)
{
	struct mp_series series;
	MP_FREE double *values = series_of(r, &series);
	double least = 0;
	double sum = 0;

	if (!values)
		return -ENOMEM;
	if (r->n_samples == 0)
		return -EAGAIN;
	for (size_t i = 0; i < r->n_samples; i++) {
		double gb = (double)r->samples[i].available / GB;

		least = i == 0 || gb < least ? gb : least;
		sum += gb;
	}
	*ret_min_available_gb = least;
	*ret_avg_available_gb = sum / (double)r->n_samples;
	return mp_series_stats(&series, ret_pct);
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
