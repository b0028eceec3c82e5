// SPDX-License-Identifier: GPL-2.0-only
/* Takes so much more every so often, at times that do not drift, and holds the last step as long.
 */
#include "harness/patterns.h"

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	uint64_t room = mp_pattern_ceiling(o, stage);

	if (o->step_bytes == 0 || o->interval_ns == 0 || o->steps == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--step-size, --interval and --steps: each is above zero");
	if (room < stage->start || room - stage->start < o->step_bytes)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--step-size: not even one step fits below the limit less the "
			       "safety margin; make it smaller");
	return 0;
}

/* Steps that would go beyond the ceiling are cut to it, so that the report says what was reached.
 */
static uint64_t size_of(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
			uint64_t steps)
{
	uint64_t ceiling = mp_pattern_ceiling(o, stage);
	uint64_t room = ceiling > stage->start ? ceiling - stage->start : 0;

	if (steps > room / o->step_bytes)
		return room;
	return steps * o->step_bytes;
}

static uint64_t length(const struct mp_pattern_options *o)
{
	return o->steps * o->interval_ns;
}

static void at(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
	       uint64_t t_ns, struct mp_want *ret)
{
	uint64_t step = t_ns / o->interval_ns;

	if (step >= o->steps) {
		*ret = (struct mp_want){.kind = MP_WANT_DONE, .next_ns = UINT64_MAX};
		return;
	}
	*ret = (struct mp_want){
		.kind = MP_WANT_FILLER,
		.bytes = size_of(o, stage, step + 1),
		.next_ns = (step + 1) * o->interval_ns,
		.phase = "step",
		.step = (unsigned int)step,
	};
}

const struct mp_pattern mp_pattern_staircase = {
	.name = "staircase",
	.summary = "takes --step-size more every --interval, --steps times",
	.check = check,
	.at = at,
	.length = length,
};
