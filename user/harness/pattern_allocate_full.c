// SPDX-License-Identifier: GPL-2.0-only
/* As fast as memory fills, until only the margin is left; held for --duration. */
#include "harness/patterns.h"

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	if (mp_pattern_ceiling(o, stage) <= stage->start)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--safety-margin: nothing is left to fill between what is in use "
			       "and the limit less the margin; make it smaller");
	return 0;
}

static uint64_t length(const struct mp_pattern_options *o)
{
	return o->duration_ns;
}

static void at(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
	       uint64_t t_ns, struct mp_want *ret)
{
	if (t_ns >= o->duration_ns) {
		*ret = (struct mp_want){.kind = MP_WANT_DONE, .next_ns = UINT64_MAX};
		return;
	}
	*ret = (struct mp_want){
		.kind = MP_WANT_TOTAL,
		.bytes = mp_pattern_ceiling(o, stage),
		.next_ns = o->duration_ns,
		.phase = "fill",
	};
}

const struct mp_pattern mp_pattern_allocate_full = {
	.name = "allocate_full",
	.summary = "fills until only --safety-margin is left, and holds it for --duration",
	.from_reached = true,
	.check = check,
	.at = at,
	.length = length,
};
