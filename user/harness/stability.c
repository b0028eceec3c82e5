// SPDX-License-Identifier: GPL-2.0-only
#include "harness/stability.h"

#include "base/cleanup.h"
#include "harness/patterns.h"

#define RESTS 3
#define RESTS_SHARE 4 /* one in so many: of a short run, the least that rests have */
#define MAX_PHASES 30000
#define MAX_SAMPLES 3600
#define SAMPLE_LEAST_NS 100000000ULL
#define PART_LEAST_NS 1000000ULL

static const struct mp_pattern *const played[RESTS] = {
	&mp_pattern_staircase,
	&mp_pattern_burst,
	&mp_pattern_sawtooth,
};

static uint64_t active_ns(const struct mp_pattern_options *o)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(played); i++)
		sum += played[i]->length(o);
	return sum;
}

uint64_t mp_stability_round_ns(const struct mp_pattern_options *o)
{
	return active_ns(o) + RESTS * o->rest_ns;
}

/* --- the plan ------------------------------------------------------------------------ */

static void shorten(struct mp_pattern_options *o, uint64_t total_ns)
{
	uint64_t most = total_ns - total_ns / RESTS_SHARE;
	uint64_t active = active_ns(o);

	o->rounds = 1;
	if (active > most) {
		double factor = (double)most / (double)active;

		o->interval_ns = (uint64_t)((double)o->interval_ns * factor);
		o->duration_ns = (uint64_t)((double)o->duration_ns * factor);
		active = active_ns(o);
	}
	o->rest_ns = (total_ns - active) / RESTS;
}

static unsigned int phases_of_round(const struct mp_pattern_options *o)
{
	return o->steps + 1 + 2 * o->cycles + RESTS;
}

int mp_stability_plan(struct mp_pattern_options *o, uint64_t total_ns, struct mp_error *err)
{
	uint64_t rounds = total_ns / mp_stability_round_ns(o);

	if (rounds > MAX_PHASES / phases_of_round(o))
		return mp_fail(
			err, MP_EXIT_USAGE, EINVAL,
			"--hours: it would be %llu rounds, more than a report can hold; make "
			"--rest longer, or --steps fewer",
			(unsigned long long)rounds);
	if (rounds) {
		o->rounds = (unsigned int)rounds;
		o->rest_ns = (total_ns / rounds - active_ns(o)) / RESTS;
		return 0;
	}
	shorten(o, total_ns);
	if (o->interval_ns < PART_LEAST_NS || o->duration_ns < PART_LEAST_NS)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--hours: too short for a round of %u steps and %u cycles", o->steps,
			       o->cycles);
	return 0;
}

uint64_t mp_stability_sample_ns(uint64_t total_ns)
{
	uint64_t ns = total_ns / MAX_SAMPLES;

	return ns > SAMPLE_LEAST_NS ? ns : SAMPLE_LEAST_NS;
}

/* --- what is wanted at a time ---------------------------------------------------------- */

/* The part that `within` of a round lies in, and how far. */
static unsigned int part_at(const struct mp_pattern_options *o, uint64_t *within)
{
	unsigned int part;

	for (part = 0; part < MP_STABILITY_PARTS - 1; part++) {
		uint64_t lasts = part % 2 ? o->rest_ns : played[part / 2]->length(o);

		if (*within < lasts)
			break;
		*within -= lasts;
	}
	return part;
}

unsigned int mp_stability_parts_done(const struct mp_pattern_options *o, uint64_t t_ns)
{
	uint64_t round_ns = mp_stability_round_ns(o);
	uint64_t within = t_ns % round_ns;

	if (t_ns >= o->rounds * round_ns)
		return o->rounds * MP_STABILITY_PARTS;
	return (unsigned int)(t_ns / round_ns) * MP_STABILITY_PARTS + part_at(o, &within);
}

static uint64_t length(const struct mp_pattern_options *o)
{
	return o->rounds * mp_stability_round_ns(o);
}

static int check(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
		 struct mp_error *err)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(played); i++) {
		int error = played[i]->check(o, stage, err);

		if (error)
			return error;
	}
	return 0;
}

/* A round's phases are counted on, so that each has a number of its own. */
static void at(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
	       uint64_t t_ns, struct mp_want *ret)
{
	uint64_t round_ns = mp_stability_round_ns(o);
	uint64_t within = t_ns % round_ns;
	unsigned int part = part_at(o, &within);
	uint64_t base = t_ns - within;
	unsigned int number = (unsigned int)(t_ns / round_ns) * MP_STABILITY_PARTS + part;

	if (t_ns >= length(o)) {
		*ret = (struct mp_want){.kind = MP_WANT_DONE, .next_ns = UINT64_MAX};
		return;
	}
	if (part % 2) {
		*ret = (struct mp_want){.kind = MP_WANT_FILLER,
					.next_ns = base + o->rest_ns,
					.phase = "rest",
					.step = number};
		return;
	}
	played[part / 2]->at(o, stage, within, ret);
	if (ret->next_ns != UINT64_MAX)
		ret->next_ns += base;
	ret->step += number;
}

const struct mp_pattern mp_pattern_stability = {
	.name = "stability",
	.summary = "staircase, burst and sawtooth in turn, with rests, for hours",
	.check = check,
	.at = at,
	.length = length,
};
