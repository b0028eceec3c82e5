// SPDX-License-Identifier: GPL-2.0-only
/* Who leaks: a slope that is above zero for certain, and matters. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "report/memory_report.h"

#define MB (1 << 20)
#define LEAST_BYTES (2.0 * MB) /* over the run: less is what programs do when they settle */
#define LEAST_SHARE 0.02       /* of what it has */
/* What the supervisor keeps for the report grows with the run, up to this. */
#define LEAST_KEPT (8.0 * MB)

typedef uint64_t (*value_fn)(const struct mp_memory_sample *s);

static uint64_t target_of(const struct mp_memory_sample *s)
{
	return s->target_rss;
}

/* What it has beyond what it was told to have. */
static uint64_t filler_of(const struct mp_memory_sample *s)
{
	if (s->filler_rss == MP_UNKNOWN || s->filler == MP_UNKNOWN)
		return MP_UNKNOWN;
	return s->filler_rss > s->filler ? s->filler_rss - s->filler : 0;
}

static uint64_t monitor_of(const struct mp_memory_sample *s)
{
	if (s->monitor_rss == MP_UNKNOWN)
		return MP_UNKNOWN;
	return s->monitor_rss + (s->watcher_rss == MP_UNKNOWN ? 0 : s->watcher_rss);
}

static int slope_of(const struct mp_memory_report *r, value_fn value, struct mp_slope *ret)
{
	MP_FREE double *values = calloc(2 * r->n_samples + 1, sizeof(*values));
	struct mp_series series = {.t = values};

	if (!values)
		return -ENOMEM;
	series.y = values + r->n_samples;
	for (size_t i = 0; i < r->n_samples; i++) {
		uint64_t bytes = value(&r->samples[i]);

		if (bytes == MP_UNKNOWN)
			continue;
		values[series.n] = (double)r->samples[i].t_ns / 1e9;
		values[r->n_samples + series.n++] = (double)bytes;
	}
	return mp_trend_slope(&series, ret);
}

/* Growth over the run matters, seen against what there was at its begin. */
static bool is_leak(const struct mp_memory_report *r, const struct mp_slope *slope, double least)
{
	double growth = slope->per_second * (double)r->duration_ns / 1e9;

	return slope->low > 0 && growth >= least && growth >= LEAST_SHARE * slope->intercept;
}

static void tell(char *what, size_t size, const char *who, const struct mp_slope *slope)
{
	const double hour = 3600;
	char rate[MP_HUMAN_LEN], low[MP_HUMAN_LEN], high[MP_HUMAN_LEN];
	size_t len = strlen(what);

	snprintf(what + len, size - len, "%s%s leaks %s an hour (95 %%: %s to %s)", len ? "; " : "",
		 who, mp_size_format((uint64_t)(slope->per_second * hour), rate),
		 mp_size_format((uint64_t)(slope->low * hour), low),
		 mp_size_format((uint64_t)(slope->high * hour), high));
}

unsigned int mp_memory_report_find_leaks(struct mp_memory_report *r, char *what, size_t size)
{
	const struct {
		const char *who;
		value_fn value;
		double least;
		struct mp_slope *slope;
		bool *known;
	} all[] = {
		{r->command ? r->command : "the program", target_of, LEAST_BYTES, &r->leak.target,
		 &r->leak.target_known},
		{"the filler", filler_of, LEAST_BYTES, &r->leak.filler, &r->leak.filler_known},
		{"the monitor", monitor_of, LEAST_KEPT, &r->leak.monitor, &r->leak.monitor_known},
	};
	unsigned int leaks = 0;

	what[0] = '\0';
	for (size_t i = 0; i < MP_ARRAY_SIZE(all); i++) {
		*all[i].known = slope_of(r, all[i].value, all[i].slope) == 0;
		if (!*all[i].known || !is_leak(r, all[i].slope, all[i].least))
			continue;
		tell(what, size, all[i].who, all[i].slope);
		leaks++;
	}
	return leaks;
}
