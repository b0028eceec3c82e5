/* SPDX-License-Identifier: GPL-2.0-only */
/* What the JSON report and the page's data have in common. */
#ifndef MP_REPORT_REPORT_JSON_H
#define MP_REPORT_REPORT_JSON_H

#include "report/json.h"
#include "report/memory_report.h"

/* Every field of the report but the long ones (model, samples, events) into the open object. */
void mp_report_write_figures(struct mp_json *j, const struct mp_memory_report *report);

#endif
