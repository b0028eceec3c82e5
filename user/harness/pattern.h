/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pressure patterns: what memory in use should be at each time. Pure; one file and one
 * row of the table each.
 */
#ifndef MP_HARNESS_PATTERN_H
#define MP_HARNESS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Times in ns, sizes in bytes, shares of the limit in percent. See docs/harness.md for defaults. */
struct mp_pattern_options {
	uint64_t step_bytes;
	uint64_t interval_ns;
	unsigned int steps;
	double target_pct;
	double min_pct, max_pct;
	unsigned int cycles;
	uint64_t duration_ns;  /* burst: of the hold; sawtooth: of a cycle, its ramps included */
	uint64_t margin_bytes; /* allocate_full: what is left free; no pattern goes beyond it */
	uint64_t rest_ns;      /* stability: behind each pattern */
	unsigned int rounds;   /* stability: set by mp_stability_plan() */
	const char *phase;     /* watch: what it is called, borrowed; NULL: "watch" */
};

/* What the pattern is played on, fixed when it begins. */
struct mp_pattern_stage {
	uint64_t limit; /* bytes: effective limit, or the host's memory */
	uint64_t start; /* bytes in use before the filler began */
};

enum mp_want_kind {
	MP_WANT_TOTAL = 0,  /* usage of the whole group, whatever the neighbours do */
	MP_WANT_FILLER = 1, /* size of the filler alone: staircase */
	MP_WANT_DONE = 2,
};

struct mp_want {
	enum mp_want_kind kind;
	uint64_t bytes;
	uint64_t next_ns;  /* when it changes by itself, since the begin; UINT64_MAX: as it goes
			      (ramps, allocate_full) */
	const char *phase; /* "step 3 of 20", static or of the pattern: "ramp", "hold", "release" */
	unsigned int step; /* counts phases, for the report */
};

struct mp_pattern {
	const char *name;
	const char *summary; /* for --help */
	/* t_ns of at() stands still at 0 until what is wanted then is reached: a hold is a hold. */
	bool from_reached;
	bool takes_nothing;
	/* Whether the options make sense together; exit code 2 with the option's name. */
	int (*check)(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		     struct mp_error *err);
	/* What is wanted `t_ns` after the begin. Never more than limit - margin. */
	void (*at)(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		   uint64_t t_ns, struct mp_want *ret);
	/* How long it takes, 0 when that depends on how fast memory fills. */
	uint64_t (*length)(const struct mp_pattern_options *o);
};

const struct mp_pattern *mp_pattern_find(const char *name); /* NULL: there is none */
const struct mp_pattern *const *mp_patterns(size_t *ret_n);

#endif
