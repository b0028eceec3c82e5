// SPDX-License-Identifier: GPL-2.0-only
#include "model/advice_rows.h"

#include <errno.h>
#include <math.h>

enum mp_outcome mp_outcome_of_fit(enum mp_fit fit)
{
	static const enum mp_outcome outcomes[] = {
		[MP_FIT_OK] = MP_OUTCOME_OK,
		[MP_FIT_THRASH] = MP_OUTCOME_THRASH,
		[MP_FIT_OOM] = MP_OUTCOME_OOM_KILLED,
	};

	_Static_assert(MP_ARRAY_SIZE(outcomes) == MP_FIT_COUNT, "an outcome for every fit");
	return outcomes[fit];
}

struct mp_quantization_row mp_advice_row(const struct mp_level_advice *a)
{
	return (struct mp_quantization_row){
		.level = a->level ? a->level->name : NULL,
		.tensor_bytes = a->tensor_bytes,
		.kv = a->kv,
		.compute = a->compute,
		.repack = a->repack,
		.runtime = a->runtime,
		.metadata = a->metadata,
		.must = a->must,
		.comfortable = a->comfortable,
		.fit = mp_outcome_of_fit(a->fit),
		.perplexity = a->level ? a->level->perplexity : NAN,
		.most_per_s = a->most_per_s,
	};
}

int mp_advice_rows(const struct mp_advice *advice, struct mp_quantization_row **ret, size_t *ret_n)
{
	struct mp_quantization_row *rows = calloc(advice->n, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < advice->n; i++)
		rows[i] = mp_advice_row(&advice->levels[i]);
	*ret = rows;
	*ret_n = advice->n;
	return 0;
}
