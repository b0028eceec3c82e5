/* SPDX-License-Identifier: GPL-2.0-only */
/* Fewer samples and marks that show the same picture: what stands out stays. */
#ifndef MP_REPORT_THIN_H
#define MP_REPORT_THIN_H

#include "report/memory_report.h"

/* Leaves the first and the last sample, and of each four between them the highest and the lowest
 * usage, in place. Returns how many there are now: about half. */
size_t mp_samples_thin(struct mp_memory_sample *samples, size_t n);

/* Whether `b` says more than `a`: by its kind, its severity, how long it took, what it moved. */
bool mp_mark_outranks(const struct mp_report_mark *b, const struct mp_report_mark *a);

#endif
