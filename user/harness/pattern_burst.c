// SPDX-License-Identifier: GPL-2.0-only
/* To a share of the limit as fast as memory fills, then held there. */
#include "harness/patterns.h"

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	if (o->duration_ns == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--duration: a time above zero");
	return mp_pattern_check_share("--target", o->target_pct, o, stage, err);
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
		.bytes = mp_pattern_share(o, stage, o->target_pct),
		.next_ns = o->duration_ns,
		.phase = "hold",
	};
}

const struct mp_pattern mp_pattern_burst = {
	.name = "burst",
	.summary = "fills to --target percent at once and holds it for --duration",
	.from_reached = true,
	.check = check,
	.at = at,
	.length = length,
};
