/* SPDX-License-Identifier: GPL-2.0-only */
/* The patterns, and what several of them use. */
#ifndef MP_HARNESS_PATTERNS_H
#define MP_HARNESS_PATTERNS_H

#include <errno.h>

#include "harness/pattern.h"

#define MP_SECOND_NS 1000000000ULL

extern const struct mp_pattern mp_pattern_staircase;
extern const struct mp_pattern mp_pattern_burst;
extern const struct mp_pattern mp_pattern_sawtooth;
extern const struct mp_pattern mp_pattern_allocate_full;
/* Takes nothing until the command ends, or --duration is over. Not one of mp_patterns(). */
extern const struct mp_pattern mp_pattern_watch;

/* What may be in use: the limit less the margin. */
uint64_t mp_pattern_ceiling(const struct mp_pattern_options *o,
			    const struct mp_pattern_stage *stage);
/* A percentage of the limit in bytes, at most the ceiling. */
uint64_t mp_pattern_share(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
			  double pct);
/* Whether a percentage can be held: above what is in use already, below the ceiling. */
int mp_pattern_check_share(const char *option, double pct, const struct mp_pattern_options *o,
			   const struct mp_pattern_stage *stage, struct mp_error *err);

#endif
