// SPDX-License-Identifier: GPL-2.0-only
#include "report/thin.h"

#include <stdlib.h>

#define CELL 4

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
	/* Out may be where the cell is. */
	first = cell[low < high ? low : high];
	second = cell[low < high ? high : low];
	out[0] = first;
	if (low == high)
		return 1;
	out[1] = second;
	return 2;
}

size_t mp_samples_thin(struct mp_memory_sample *samples, size_t n)
{
	size_t kept = 1;

	if (n <= 2)
		return n;
	for (size_t at = 1; at < n - 1; at += CELL) {
		size_t left = n - 1 - at;

		kept += keep_extremes(samples + kept, samples + at, left < CELL ? left : CELL);
	}
	samples[kept++] = samples[n - 1];
	return kept;
}

static uint64_t known(uint64_t value)
{
	return value == MP_UNKNOWN ? 0 : value;
}

static uint64_t moved(const struct mp_report_mark *m)
{
	return m->bytes == MP_UNKNOWN_DELTA ? 0 : (uint64_t)llabs(m->bytes);
}

bool mp_mark_outranks(const struct mp_report_mark *b, const struct mp_report_mark *a)
{
	if ((a->kind == MP_MARK_OOM) != (b->kind == MP_MARK_OOM))
		return b->kind == MP_MARK_OOM;
	if (a->severity != b->severity)
		return b->severity > a->severity;
	if (known(a->duration_ns) != known(b->duration_ns))
		return known(b->duration_ns) > known(a->duration_ns);
	return moved(b) > moved(a);
}
