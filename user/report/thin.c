// SPDX-License-Identifier: GPL-2.0-only
#include "report/thin.h"

#include <stdlib.h>
#include <string.h>

/* --- samples ------------------------------------------------------------------------- */

/* The lowest and the highest of a cell, in the order in which they came. */
static size_t keep_extremes(struct mp_memory_sample *out, const struct mp_memory_sample *cell,
			    size_t n)
{
	struct mp_memory_sample first, second;
	size_t low = 0;
	size_t high = 0;

	for (size_t i = 1; i < n; i++) {
		low = cell[i].usage < cell[low].usage ? i : low;
		high = cell[i].usage >= cell[high].usage ? i : high;
	}
	/* Copied: out may be where the cell is. */
	first = cell[low < high ? low : high];
	second = cell[low < high ? high : low];
	out[0] = first;
	if (low == high)
		return 1;
	out[1] = second;
	return 2;
}

size_t mp_samples_thin(struct mp_memory_sample *samples, size_t n, size_t most)
{
	size_t kept = 1;
	uint64_t begin;
	uint64_t cell;

	if (n <= most)
		return n;
	begin = samples[0].t_ns;
	cell = (samples[n - 1].t_ns - begin) / ((most - 2) / 2) + 1;
	for (size_t first = 1, last; first < n - 1; first = last) {
		uint64_t number = (samples[first].t_ns - begin) / cell;

		for (last = first + 1;
		     last < n - 1 && (samples[last].t_ns - begin) / cell == number;)
			last++;
		kept += keep_extremes(samples + kept, samples + first, last - first);
	}
	samples[kept++] = samples[n - 1];
	return kept;
}

int mp_samples_compare(const void *a, const void *b)
{
	const struct mp_memory_sample *x = a;
	const struct mp_memory_sample *y = b;

	return (x->t_ns > y->t_ns) - (x->t_ns < y->t_ns);
}

/* --- marks --------------------------------------------------------------------------- */

static uint64_t known(uint64_t value)
{
	return value == MP_UNKNOWN ? 0 : value;
}

static uint64_t moved(const struct mp_report_mark *m)
{
	return m->bytes == MP_UNKNOWN_DELTA ? 0 : (uint64_t)llabs(m->bytes);
}

/* By kind, severity, how long it took, what it moved. */
static bool outranks(const struct mp_report_mark *b, const struct mp_report_mark *a)
{
	if ((a->kind == MP_MARK_OOM) != (b->kind == MP_MARK_OOM))
		return b->kind == MP_MARK_OOM;
	if (a->severity != b->severity)
		return b->severity > a->severity;
	if (known(a->duration_ns) != known(b->duration_ns))
		return known(b->duration_ns) > known(a->duration_ns);
	return moved(b) > moved(a);
}

static void swap(const struct mp_report_mark **a, const struct mp_report_mark **b)
{
	const struct mp_report_mark *kept = *a;

	*a = *b;
	*b = kept;
}

size_t mp_marks_thin(const struct mp_report_mark **marks, size_t n, size_t most)
{
	uint64_t number = UINT64_MAX;
	size_t kept = 0;
	uint64_t begin;
	uint64_t cell;

	if (n <= most)
		return n;
	begin = marks[0]->t_ns;
	cell = (marks[n - 1]->t_ns - begin) / most + 1;
	for (size_t i = 0; i < n; i++) {
		uint64_t own = (marks[i]->t_ns - begin) / cell;

		if (own != number)
			swap(&marks[kept++], &marks[i]);
		else if (outranks(marks[i], marks[kept - 1]))
			swap(&marks[kept - 1], &marks[i]);
		number = own;
	}
	return kept;
}

int mp_marks_compare(const void *a, const void *b)
{
	const struct mp_report_mark *x = *(const struct mp_report_mark *const *)a;
	const struct mp_report_mark *y = *(const struct mp_report_mark *const *)b;

	if (x->t_ns != y->t_ns)
		return x->t_ns > y->t_ns ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind > y->kind ? 1 : -1;
	if (x->duration_ns != y->duration_ns)
		return x->duration_ns < y->duration_ns ? 1 : -1;
	return strcmp(x->name ?: "", y->name ?: "");
}
