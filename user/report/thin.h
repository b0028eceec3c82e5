/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fewer samples and marks that show the same picture: time is divided into even cells, and of each
 * what stands out stays, so that the old part of a long run is told as closely as the new one.
 */
#ifndef MP_REPORT_THIN_H
#define MP_REPORT_THIN_H

#include "report/memory_report.h"

/*
 * Of samples by time: the first, the last, and the highest and the lowest usage of each cell, in
 * place. Returns how many there are now, at most `most` (which is 4 or more).
 */
size_t mp_samples_thin(struct mp_memory_sample *samples, size_t n, size_t most);

/* For marks by time: the one of each cell that says most. Those that go stand behind the others. */
size_t mp_marks_thin(const struct mp_report_mark **marks, size_t n, size_t most);

/* For qsort(3), of samples, and of pointers to marks: by time; of marks that begin together by
 * kind, cause before effect, and the longer call is the first. */
int mp_samples_compare(const void *a, const void *b);
int mp_marks_compare(const void *a, const void *b);

#endif
