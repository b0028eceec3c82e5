/* SPDX-License-Identifier: GPL-2.0-only */
/* What a report says of a model and of its levels of quantization: as JSON, and read back. */
#ifndef MP_REPORT_REPORT_MODEL_H
#define MP_REPORT_REPORT_MODEL_H

#include "report/json.h"
#include "report/json_read.h"
#include "report/memory_report.h"

/* "model" into the object that is open, with at most so many passes of each run. */
#define MP_ALL_PASSES SIZE_MAX
void mp_report_write_model(struct mp_json *j, const struct mp_memory_report *r, size_t most_passes);
/* "quantization": what the arithmetic says of each level, and what came of those that were loaded.
 */
void mp_report_write_quantization(struct mp_json *j, const struct mp_memory_report *r);
/* The arithmetic of one of them, into the object that is open. */
void mp_report_put_level(struct mp_json *j, const struct mp_quantization_row *row);

void mp_report_read_model(const struct mp_fields *o, struct mp_memory_report *r);
void mp_report_read_quantization(const struct mp_fields *o, struct mp_memory_report *r);

#endif
