/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The report of a watch, put together from its events as they come, live or out of a recording.
 * Memory is bounded however long the watch is: samples and calls are thinned as they become many,
 * and what stands out stays.
 */
#ifndef MP_REPORT_GATHER_H
#define MP_REPORT_GATHER_H

#include "report/memory_report.h"

struct mp_gather;
struct mp_gather *mp_gather_new(void); /* NULL: no memory */
void mp_gather_free(struct mp_gather *gather);

/* Events of one clock, in any order of the recordings that they are from. -ENOMEM. */
int mp_gather_event(struct mp_gather *gather, const struct mp_event *event);
/* A look at a domain (NULL: the host) that is no event. */
int mp_gather_sample(struct mp_gather *gather, const char *domain, uint64_t ts_ns,
		     uint64_t working_set, uint64_t limit);

/*
 * What it comes to: the picture of the domain that was fullest. Lives until
 * mp_gather_free(); no event can be taken any more. NULL: no memory.
 */
const struct mp_memory_report *mp_gather_report(struct mp_gather *gather);

#endif
