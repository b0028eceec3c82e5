// SPDX-License-Identifier: GPL-2.0-only
#include "state/trend.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define LEAST_SAMPLES 8
#define Z_95 1.959963984540054 /* of the normal distribution, two-sided */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(const double *sorted, size_t n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Sample `i` of the `n` that are looked at: the first and the last are always among them. */
static size_t thinned(const struct mp_series *s, size_t i, size_t n)
{
	return n == s->n ? i : i * (s->n - 1) / (n - 1);
}

/* The slopes of all pairs, sorted. Returns how many; samples at the same time have none. */
static size_t pair_slopes(const struct mp_series *s, size_t n, double *slopes)
{
	size_t n_slopes = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			size_t a = thinned(s, i, n);
			size_t b = thinned(s, j, n);

			if (s->t[b] > s->t[a])
				slopes[n_slopes++] = (s->y[b] - s->y[a]) / (s->t[b] - s->t[a]);
		}
	}
	qsort(slopes, n_slopes, sizeof(*slopes), compare_doubles);
	return n_slopes;
}

/* Kendall's variance of the sum of signs, with what equal values take from it. */
static double kendall_variance(double *sorted_y, size_t n)
{
	double count = (double)n;
	double sum = count * (count - 1) * (2 * count + 5);
	size_t run = 1;

	for (size_t i = 1; i <= n; i++) {
		double equal = (double)run;

		if (i < n && sorted_y[i] == sorted_y[i - 1]) {
			run++;
			continue;
		}
		sum -= equal * (equal - 1) * (2 * equal + 5);
		run = 1;
	}
	return sum / 18;
}

/* Between the ranks around it, as quantiles commonly are. Rank 0 is the smallest. */
static double at_rank(const double *sorted, size_t n, double rank)
{
	double below = floor(rank);
	size_t i;

	if (rank <= 0)
		return sorted[0];
	if (rank >= (double)(n - 1))
		return sorted[n - 1];
	i = (size_t)below;
	return sorted[i] + (sorted[i + 1] - sorted[i]) * (rank - below);
}

static void fill_slope(const double *slopes, size_t n_slopes, double variance, struct mp_slope *ret)
{
	double reach = Z_95 * sqrt(variance > 0 ? variance : 0);
	double count = (double)n_slopes;

	ret->per_second = median_of(slopes, n_slopes);
	ret->low = at_rank(slopes, n_slopes, (count - reach) / 2 - 1);
	ret->high = at_rank(slopes, n_slopes, (count + reach) / 2);
}

int mp_trend_slope(const struct mp_series *s, struct mp_slope *ret)
{
	size_t n = s->n < MP_TREND_MAX ? s->n : MP_TREND_MAX;
	MP_FREE double *slopes = NULL;
	MP_FREE double *y = NULL;
	struct mp_slope slope;
	size_t n_slopes;

	if (n < LEAST_SAMPLES)
		return -EAGAIN;
	slopes = calloc(n * (n - 1) / 2, sizeof(*slopes));
	y = calloc(n, sizeof(*y));
	if (!slopes || !y)
		return -ENOMEM;
	n_slopes = pair_slopes(s, n, slopes);
	if (n_slopes == 0)
		return -EAGAIN;
	for (size_t i = 0; i < n; i++)
		y[i] = s->y[thinned(s, i, n)];
	qsort(y, n, sizeof(*y), compare_doubles);
	fill_slope(slopes, n_slopes, kendall_variance(y, n), &slope);
	for (size_t i = 0; i < n; i++)
		y[i] = s->y[thinned(s, i, n)] - slope.per_second * s->t[thinned(s, i, n)];
	qsort(y, n, sizeof(*y), compare_doubles);
	slope.intercept = median_of(y, n);
	*ret = slope;
	return 0;
}

const char *mp_trend_name(enum mp_trend trend)
{
	static const char *const names[] = {
		[MP_TREND_UNKNOWN] = "unknown",
		[MP_TREND_STABLE] = "stable",
		[MP_TREND_INCREASING] = "increasing",
		[MP_TREND_DECREASING] = "decreasing",
	};

	_Static_assert(MP_ARRAY_SIZE(names) == MP_TREND_COUNT, "a name for each trend");
	return names[trend];
}

enum mp_trend mp_trend_of(const struct mp_series *s, double least)
{
	struct mp_slope slope;
	double change;

	if (mp_trend_slope(s, &slope))
		return MP_TREND_UNKNOWN;
	change = slope.per_second * (s->t[s->n - 1] - s->t[0]);
	if (fabs(change) < least)
		return MP_TREND_STABLE;
	if (slope.low > 0)
		return MP_TREND_INCREASING;
	return slope.high < 0 ? MP_TREND_DECREASING : MP_TREND_STABLE;
}

int mp_series_stats(const struct mp_series *s, struct mp_series_stats *ret)
{
	struct mp_series_stats stats;
	double sum = 0;
	double changes = 0;

	if (s->n == 0)
		return -EAGAIN;
	stats.min = stats.max = s->y[0];
	for (size_t i = 0; i < s->n; i++) {
		sum += s->y[i];
		stats.min = fmin(stats.min, s->y[i]);
		stats.max = fmax(stats.max, s->y[i]);
		changes += i ? fabs(s->y[i] - s->y[i - 1]) : 0;
	}
	stats.avg = sum / (double)s->n;
	stats.volatility = s->n > 1 ? changes / (double)(s->n - 1) : 0;
	*ret = stats;
	return 0;
}
