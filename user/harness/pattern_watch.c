// SPDX-License-Identifier: GPL-2.0-only
/* Nothing is taken: what the command does by itself is what matters. */
#include "harness/patterns.h"

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	(void)stage;
	if (o->duration_ns == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--duration: it is above zero");
	return 0;
}

static uint64_t length(const struct mp_pattern_options *o)
{
	return o->duration_ns;
}

static void at(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
	       uint64_t t_ns, struct mp_want *ret)
{
	(void)stage;
	if (t_ns >= o->duration_ns) {
		*ret = (struct mp_want){.kind = MP_WANT_DONE, .next_ns = UINT64_MAX};
		return;
	}
	*ret = (struct mp_want){
		.kind = MP_WANT_FILLER,
		.next_ns = o->duration_ns,
		.phase = o->phase ? o->phase : "watch",
	};
}

const struct mp_pattern mp_pattern_watch = {
	.name = "watch",
	.summary = "takes nothing, until the command ends or --duration is over",
	.takes_nothing = true,
	.check = check,
	.at = at,
	.length = length,
};
