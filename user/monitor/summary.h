/* SPDX-License-Identifier: GPL-2.0-only */
/* The exact totals of a run, from the kernel's counters. */
#ifndef MP_MONITOR_SUMMARY_H
#define MP_MONITOR_SUMMARY_H

#include "base/event.h"
#include "config/points.h"
#include "probe/bpf.h"

/*
 * Reads the counters of every point. The array is new; free() it. `received`
 * and `all_shown` say how much of what was emitted has arrived and was put out.
 */
int mp_summary_read(const struct mp_bpf *bpf, const struct mp_points *points, uint64_t received,
		    bool all_shown, struct mp_summary_point **ret_points,
		    struct mp_event_summary *ret);

#endif
