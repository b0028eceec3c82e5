/* SPDX-License-Identifier: GPL-2.0-only */
/* What the HTML page is drawn from: the figures of the JSON report, and its series made compact. */
#ifndef MP_REPORT_REPORT_PAGE_H
#define MP_REPORT_REPORT_PAGE_H

#include "report/json.h"
#include "report/memory_report.h"

/* One object into the array that is open; page/page.js reads it. */
void mp_report_write_page_data(struct mp_json *j, const struct mp_memory_report *report);

#endif
