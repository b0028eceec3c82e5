/* SPDX-License-Identifier: GPL-2.0-only */
/* An advice as reports have it. */
#ifndef MP_MODEL_ADVICE_ROWS_H
#define MP_MODEL_ADVICE_ROWS_H

#include "model/advice.h"
#include "report/memory_report.h"

enum mp_outcome mp_outcome_of_fit(enum mp_fit fit);

/* Its level is NULL: of a file as it is. */
struct mp_quantization_row mp_advice_row(const struct mp_level_advice *a);
/* A new array, a row for each level; free() it. Names are those of the levels' table. -ENOMEM. */
int mp_advice_rows(const struct mp_advice *advice, struct mp_quantization_row **ret, size_t *ret_n);

#endif
