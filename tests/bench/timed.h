/* SPDX-License-Identifier: GPL-2.0-only */
/* How the programs that measure a call do it: the median of several runs, as "name ns". */
#ifndef MP_BENCH_TIMED_H
#define MP_BENCH_TIMED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Many and short: most of them are not interrupted, also on a machine that has others to serve. */
#define TIMED_RUNS 201

static inline uint64_t timed_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline int timed_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void timed_report(const char *name, double *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), timed_compare);
	printf("%s %.2f\n", name, ns[n / 2]);
	fflush(stdout);
}

/* What a statement costs, in a loop that does nothing else. */
#define TIMED(name, calls, statement)                                                              \
	do {                                                                                       \
		double timed_ns[TIMED_RUNS];                                                       \
                                                                                                   \
		for (int timed_run = 0; timed_run < TIMED_RUNS; timed_run++) {                     \
			uint64_t timed_begin = timed_now_ns();                                     \
                                                                                                   \
			for (int timed_i = 0; timed_i < (calls); timed_i++) {                      \
				statement;                                                         \
			}                                                                          \
			timed_ns[timed_run] = (double)(timed_now_ns() - timed_begin) / (calls);    \
		}                                                                                  \
		timed_report(name, timed_ns, TIMED_RUNS);                                          \
	} while (0)

#endif
