// SPDX-License-Identifier: GPL-2.0-only
/*
 * Up and down between two shares of the limit: a cycle is a ramp up and a ramp down of the
 * same length, which together take --duration.
 */
#include "harness/patterns.h"

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	int error;

	if (o->cycles == 0 || o->duration_ns < 2)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--cycles and --duration: each is above zero");
	if (o->min_pct >= o->max_pct)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--min %g is not below --max %g: a tooth goes from one to the other",
			       o->min_pct, o->max_pct);
	error = mp_pattern_check_share("--min", o->min_pct, o, stage, err);
	return error ? error : mp_pattern_check_share("--max", o->max_pct, o, stage, err);
}

static uint64_t length(const struct mp_pattern_options *o)
{
	return o->cycles * o->duration_ns;
}

static void at(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
	       uint64_t t_ns, struct mp_want *ret)
{
	uint64_t cycle = t_ns / o->duration_ns;
	uint64_t within = t_ns % o->duration_ns;
	uint64_t half = o->duration_ns / 2;
	bool is_up = within < half;
	double share = is_up ? (double)within / (double)half
			     : (double)(o->duration_ns - within) / (double)(o->duration_ns - half);

	if (cycle >= o->cycles) {
		*ret = (struct mp_want){.kind = MP_WANT_DONE, .next_ns = UINT64_MAX};
		return;
	}
	*ret = (struct mp_want){
		.kind = MP_WANT_TOTAL,
		.bytes = mp_pattern_share(o, stage, o->min_pct + (o->max_pct - o->min_pct) * share),
		.next_ns = UINT64_MAX,
		.phase = is_up ? "ramp up" : "ramp down",
		.step = (unsigned int)(2 * cycle + !is_up),
	};
}

const struct mp_pattern mp_pattern_sawtooth = {
	.name = "sawtooth",
	.summary = "goes from --min to --max percent and back, --cycles times, each in --duration",
	.from_reached = true,
	.check = check,
	.at = at,
	.length = length,
};
