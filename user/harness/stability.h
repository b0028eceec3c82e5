/* SPDX-License-Identifier: GPL-2.0-only */
/* Hours of pressure: staircase, burst and sawtooth in turn, each followed by a rest. Pure. */
#ifndef MP_HARNESS_STABILITY_H
#define MP_HARNESS_STABILITY_H

#include "harness/pattern.h"

/* Of a round: a pattern, a rest, and so on. */
#define MP_STABILITY_PARTS 6

/* Plays the rounds that mp_stability_plan() has set. Not one of mp_patterns(). */
extern const struct mp_pattern mp_pattern_stability;

/*
 * Divides `total_ns` into whole rounds: as many as fit, and the rests take what is left over. When
 * not even one fits, the rests become shorter (not below a quarter of the time together), and then
 * steps and holds, so that a short run is a whole round, too. -EINVAL with the options' names:
 * the parts are too short, or too many for a report.
 */
int mp_stability_plan(struct mp_pattern_options *o, uint64_t total_ns, struct mp_error *err);

uint64_t mp_stability_round_ns(const struct mp_pattern_options *o);
/* Whole parts (patterns and rests) that are over `t_ns` after the begin. */
unsigned int mp_stability_parts_done(const struct mp_pattern_options *o, uint64_t t_ns);

/* Between samples, so that a report of any length has at most some thousand. */
uint64_t mp_stability_sample_ns(uint64_t total_ns);

#endif
