// SPDX-License-Identifier: GPL-2.0-only
#include "harness/pattern.h"

#include <string.h>

#include "base/cleanup.h"
#include "harness/patterns.h"

static const struct mp_pattern *const patterns[] = {
	&mp_pattern_staircase,
	&mp_pattern_burst,
	&mp_pattern_sawtooth,
	&mp_pattern_allocate_full,
};

const struct mp_pattern *const *mp_patterns(size_t *ret_n)
{
	*ret_n = MP_ARRAY_SIZE(patterns);
	return patterns;
}

const struct mp_pattern *mp_pattern_find(const char *name)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(patterns); i++) {
		if (strcmp(patterns[i]->name, name) == 0)
			return patterns[i];
	}
	return NULL;
}

uint64_t mp_pattern_ceiling(const struct mp_pattern_options *o,
			    const struct mp_pattern_stage *stage)
{
	return stage->limit > o->margin_bytes ? stage->limit - o->margin_bytes : 0;
}

uint64_t mp_pattern_share(const struct mp_pattern_options *o, const struct mp_pattern_stage *stage,
			  double pct)
{
	uint64_t bytes = (uint64_t)((double)stage->limit * pct / 100);
	uint64_t ceiling = mp_pattern_ceiling(o, stage);

	return bytes < ceiling ? bytes : ceiling;
}

int mp_pattern_check_share(const char *option, double pct, const struct mp_pattern_options *o,
			   const struct mp_pattern_stage *stage, struct mp_error *err)
{
	double limit = (double)stage->limit;
	double most = limit > 0 ? (double)mp_pattern_ceiling(o, stage) * 100 / limit : 0;
	double least = limit > 0 ? (double)stage->start * 100 / limit : 0;

	if (!(pct > 0 && pct <= 100))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %g: a percentage above 0, up to 100",
			       option, pct);
	if (pct > most)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "%s %g: with the safety margin at most %.1f %% of the limit can be "
			       "filled; lower it, or the --safety-margin",
			       option, pct, most);
	if (pct < least)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "%s %g: %.1f %% of the limit are in use already", option, pct,
			       least);
	return 0;
}
