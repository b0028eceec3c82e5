/* SPDX-License-Identifier: GPL-2.0-only */
/* What a row of samples says: statistics, and whether it rises. Pure. */
#ifndef MP_STATE_TREND_H
#define MP_STATE_TREND_H

#include <stddef.h>
#include <stdint.h>

struct mp_series {
	const double *t; /* seconds, rising */
	const double *y;
	size_t n;
};

/* Theil-Sen slope with the confidence interval of Sen (1968), by Kendall's variance with ties. */
struct mp_slope {
	double per_second;
	double low, high; /* 95 % */
	double intercept; /* median of y - slope * t */
};
/* -EAGAIN: fewer than 8 samples. More than `MP_TREND_MAX` are thinned evenly first: it is
 * quadratic. */
#define MP_TREND_MAX 512
int mp_trend_slope(const struct mp_series *series, struct mp_slope *ret);

enum mp_trend {
	MP_TREND_UNKNOWN = 0, /* too few samples */
	MP_TREND_STABLE,
	MP_TREND_INCREASING,
	MP_TREND_DECREASING,
	MP_TREND_COUNT
};
const char *mp_trend_name(enum mp_trend trend);
/*
 * Increasing or decreasing when the whole confidence interval lies on one side of zero and the
 * change over the series is at least `least` (in y's unit), else stable.
 */
enum mp_trend mp_trend_of(const struct mp_series *series, double least);

struct mp_series_stats {
	double avg, min, max;
	double volatility; /* mean absolute change from a sample to the next */
};
int mp_series_stats(const struct mp_series *series,
		    struct mp_series_stats *ret); /* -EAGAIN: empty */

#endif
