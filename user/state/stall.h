/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Share of the time just past that tasks spent stalled, from records that each
 * tell a sum since the one before. Pure, and of fixed size: two periods of the
 * window's length, of which the older one counts by as much as the window still
 * covers. A calm of two periods forgets everything.
 */
#ifndef MP_STATE_STALL_H
#define MP_STATE_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct mp_stall_sum {
	bool known;
	uint64_t period;  /* number of the current one: time / length */
	double now_ns;	  /* stalled in it … */
	double before_ns; /* … and in the one before */
};

/*
 * Adds what one record tells: `stall_ns` of stall, spread evenly over the
 * `window_ns` before `ts_ns`. Tasks that stalled at the same time cannot take more than
 * all of it. A window that is not known (MP_UNKNOWN) was all stall: the record is of a
 * single one that has just ended. `length_ns`, of which shares are asked, is
 * always the same and not 0.
 */
void mp_stall_add(struct mp_stall_sum *sum, uint64_t length_ns, uint64_t ts_ns, uint64_t window_ns,
		  uint64_t stall_ns);

/* Percent of the `length_ns` up to `ts_ns`, at most 100; negative: nothing is known of it. */
double mp_stall_pct(const struct mp_stall_sum *sum, uint64_t length_ns, uint64_t ts_ns);

#endif
