// SPDX-License-Identifier: GPL-2.0-only
/* The formulas and where they are from: docs/models.md, Advice. */
#include "model/advice.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "abi.h"
#include "base/names.h"

#define MB (1ULL << 20)
#define MOST_MARGIN (500 * MB)
#define FLOAT_BYTES 4 /* of logits and hidden states */
#define TOKENS "tokenizer.ggml.tokens"
#define MERGES "tokenizer.ggml.merges"

MP_NAMES(kv_type, enum mp_kv_type, MP_KV_TYPE_COUNT, "f16", "q8_0", "f32")

const char *mp_fit_name(enum mp_fit fit)
{
	static const char *const names[] = {"ok", "thrash", "oom_killed"};

	_Static_assert(MP_ARRAY_SIZE(names) == MP_FIT_COUNT, "a name for every fit");
	return mp_name_of(names, MP_FIT_COUNT, fit);
}

/* --- sums that stay at UINT64_MAX once they are too large -------------------------------- */

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* --- parts -------------------------------------------------------------------------------- */

static const struct mp_ggml_type *ggml_type_of(enum mp_kv_type type)
{
	static const enum mp_ggml_id ids[] = {
		[MP_KV_F16] = MP_GGML_F16,
		[MP_KV_Q8_0] = MP_GGML_Q8_0,
		[MP_KV_F32] = MP_GGML_F32,
	};

	_Static_assert(MP_ARRAY_SIZE(ids) == MP_KV_TYPE_COUNT, "a type for every kind of cache");
	return mp_ggml_type_of(ids[type]);
}

uint64_t mp_kv_bytes(const struct mp_model_shape *shape, uint32_t context, enum mp_kv_type type)
{
	const struct mp_ggml_type *ggml = ggml_type_of(type);
	uint64_t cells = ((uint64_t)context + MP_KV_CELLS - 1) / MP_KV_CELLS * MP_KV_CELLS;
	uint64_t elements = times(2, (uint64_t)shape->kv_heads * shape->head_dim);

	elements = times(times(elements, cells), shape->layers);
	return times(elements / ggml->block_elements, ggml->block_bytes);
}

uint64_t mp_compute_bytes(const struct mp_model_shape *shape, uint32_t n_ubatch)
{
	return times((uint64_t)n_ubatch * FLOAT_BYTES,
		     (uint64_t)shape->vocab + 2ULL * shape->hidden);
}

uint64_t mp_advice_margin(uint64_t limit)
{
	return limit / 10 < MOST_MARGIN ? limit / 10 : MOST_MARGIN;
}

uint64_t mp_advice_usable(const struct mp_advice_input *input)
{
	return less(input->limit, plus(input->used, input->margin));
}

void mp_advice_vocabulary(const struct mp_advice_input *input, uint64_t *ret_tokens,
			  uint64_t *ret_merges)
{
	const struct mp_gguf *gguf = input->file ? &input->file->parts[0].gguf : NULL;
	const struct mp_gguf_kv *tokens = gguf ? mp_gguf_find(gguf, TOKENS) : NULL;
	const struct mp_gguf_kv *merges = gguf ? mp_gguf_find(gguf, MERGES) : NULL;

	*ret_tokens = tokens ? tokens->n : input->shape->vocab;
	*ret_merges = merges ? merges->n : gguf ? 0 : input->shape->vocab;
}

static uint64_t metadata_bytes(const struct mp_advice_input *input)
{
	uint64_t tokens, merges;

	if (input->metadata != MP_UNKNOWN)
		return input->metadata;
	mp_advice_vocabulary(input, &tokens, &merges);
	return plus(times(tokens, MP_METADATA_PER_TOKEN), times(merges, MP_METADATA_PER_MERGE));
}

/* --- a level ------------------------------------------------------------------------------ */

/* llama.cpp repacks what it maps; what it reads it puts where it belongs at once. */
static bool does_repack(const struct mp_advice_input *input)
{
	return input->repack && !input->no_mmap;
}

/* Of the mapping, what is read again for each token: of what is repacked it is the copy. */
static uint64_t mapped_bytes(const struct mp_advice_input *input, const struct mp_level_advice *a)
{
	return input->no_mmap ? 0 : less(a->tensor_bytes, a->repack);
}

static enum mp_fit fit_of(const struct mp_level_advice *a, uint64_t usable)
{
	if (a->comfortable <= usable)
		return MP_FIT_OK;
	return a->must <= usable ? MP_FIT_THRASH : MP_FIT_OOM;
}

static double speed_of(const struct mp_advice_input *input, const struct mp_level_advice *a)
{
	uint64_t mapped = mapped_bytes(input, a);

	if (a->fit != MP_FIT_THRASH || input->disk_per_s == 0 || mapped == 0)
		return NAN;
	return (double)input->disk_per_s / (MP_ADVICE_REREAD * (double)mapped);
}

static uint64_t most_context(const struct mp_advice_input *input, const struct mp_level_advice *a,
			     uint64_t usable)
{
	uint64_t room = less(usable, a->comfortable - a->kv);
	uint64_t of_cells = mp_kv_bytes(input->shape, MP_KV_CELLS, input->kv_type);

	return of_cells ? room / of_cells * MP_KV_CELLS : 0;
}

static int add_up(const struct mp_advice_input *input, const struct mp_model_size *size,
		  struct mp_level_advice *a)
{
	uint64_t usable = mp_advice_usable(input);

	a->tensor_bytes = size->tensor_bytes;
	a->kv = mp_kv_bytes(input->shape, input->context, input->kv_type);
	a->compute = mp_compute_bytes(input->shape, input->n_ubatch);
	a->repack = does_repack(input) ? size->repack_bytes : 0;
	a->runtime = input->runtime;
	a->metadata = metadata_bytes(input);
	a->must = plus(plus(a->kv, a->compute), plus(a->repack, a->runtime));
	a->must = plus(a->must, a->metadata);
	if (input->no_mmap)
		a->must = plus(a->must, a->tensor_bytes);
	a->comfortable = plus(a->must, mapped_bytes(input, a));
	if (a->comfortable == UINT64_MAX)
		return -EOVERFLOW;
	a->fit = fit_of(a, usable);
	a->most_per_s = speed_of(input, a);
	a->most_context = most_context(input, a, usable);
	return 0;
}

static int advise_level(const struct mp_advice_input *input, const struct mp_quant_level *level,
			struct mp_level_advice *ret, struct mp_error *err)
{
	struct mp_level_advice advice = {.level = level};
	struct mp_model_size size;
	int error = input->file ? mp_gguf_size(input->file, level, &size, err)
				: mp_model_size(input->shape, level, &size);

	if (error && input->file)
		return error; /* the file's own words */
	error = error ?: add_up(input, &size, &advice);
	if (error)
		return mp_fail(err, MP_EXIT_USAGE, -error,
			       "%s with %u tokens: no memory is that large",
			       level ? level->name : "this model", input->context);
	*ret = advice;
	return 0;
}

/* --- choosing ------------------------------------------------------------------------------ */

/* Quality decides where it is known of both, otherwise the bytes do. */
static bool is_better(const struct mp_level_advice *a, const struct mp_level_advice *b)
{
	double rise_a = a->level->perplexity, rise_b = b->level->perplexity;

	if (!isnan(rise_a) && !isnan(rise_b))
		return rise_a < rise_b;
	return a->tensor_bytes > b->tensor_bytes;
}

static const struct mp_level_advice *best_of(const struct mp_level_advice *levels, size_t n)
{
	const struct mp_level_advice *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (levels[i].fit == MP_FIT_OK && (!best || is_better(&levels[i], best)))
			best = &levels[i];
	}
	return best;
}

int mp_advise(const struct mp_advice_input *input, const struct mp_quant_level *const *levels,
	      size_t n, struct mp_advice *ret, struct mp_error *err)
{
	size_t n_all;
	const struct mp_quant_level *all = mp_quant_levels(&n_all);
	size_t n_wanted = levels ? n : n_all;
	MP_FREE struct mp_level_advice *advice = calloc(n_wanted, sizeof(*advice));
	size_t n_done = 0;

	if (!advice)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	for (size_t i = 0; i < n_wanted; i++) {
		const struct mp_quant_level *level = levels ? levels[i] : &all[i];
		int error;

		if (!levels && isnan(level->perplexity))
			continue;
		error = advise_level(input, level, &advice[n_done++], err);
		if (error)
			return error;
	}
	ret->n = n_done;
	ret->best = best_of(advice, n_done);
	ret->levels = MP_TAKE(advice);
	return 0;
}

int mp_advise_file(const struct mp_advice_input *input, struct mp_advice *ret, struct mp_error *err)
{
	MP_FREE struct mp_level_advice *advice = calloc(1, sizeof(*advice));
	int error;

	if (!advice)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	error = advise_level(input, NULL, advice, err);
	if (error)
		return error;
	ret->n = 1;
	ret->best = advice->fit == MP_FIT_OK ? advice : NULL;
	ret->levels = MP_TAKE(advice);
	return 0;
}

void mp_advice_free(struct mp_advice *advice)
{
	free(advice->levels);
	*advice = (struct mp_advice){0};
}

bool mp_advice_is_poor(const struct mp_advice *advice)
{
	const struct mp_level_advice *best = advice->best;

	return best && best->level && best->level->perplexity > MP_PASSABLE_RISE;
}

/* --- another model ------------------------------------------------------------------------- */

struct candidate {
	const struct mp_model *model;
	const struct mp_quant_level *level;
	bool is_passable, is_related;
	uint64_t parameters;
};

static bool is_preferred(const struct candidate *a, const struct candidate *b)
{
	if (a->is_passable != b->is_passable)
		return a->is_passable;
	if (a->is_related != b->is_related)
		return a->is_related;
	return a->parameters > b->parameters;
}

/* Whether a model is comfortable there, and at which level best. */
static bool consider(const struct mp_advice_input *input, const struct mp_model *model,
		     struct candidate *ret)
{
	struct mp_advice MP_CLEANUP(mp_advice_free) advice = {0};
	struct mp_advice_input other = *input;

	other.shape = &model->shape;
	other.file = NULL;
	ret->model = model;
	ret->parameters = mp_model_parameters(&model->shape);
	ret->is_related = strcmp(model->shape.architecture, input->shape->architecture) == 0;
	if (ret->parameters >= mp_model_parameters(input->shape) ||
	    mp_advise(&other, NULL, 0, &advice, NULL) || !advice.best)
		return false;
	ret->level = advice.best->level;
	ret->is_passable = !mp_advice_is_poor(&advice);
	return true;
}

const struct mp_model *mp_advise_smaller(const struct mp_advice_input *input,
					 const struct mp_models *models,
					 const struct mp_quant_level **ret_level)
{
	struct candidate best = {0};

	for (size_t i = 0; i < models->n; i++) {
		struct candidate candidate;

		if (consider(input, &models->items[i], &candidate) &&
		    (!best.model || is_preferred(&candidate, &best)))
			best = candidate;
	}
	if (best.model)
		*ret_level = best.level;
	return best.model;
}
