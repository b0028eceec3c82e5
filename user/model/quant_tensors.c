// SPDX-License-Identifier: GPL-2.0-only
/* The tensors of a model by its shape, and what they come to. */
#include <errno.h>
#include <stdio.h>

#include "model/quant_internal.h"

enum extent {
	OF_NOTHING = 0,
	OF_HIDDEN,
	OF_FF,
	OF_HEADS,
	OF_KV_HEADS,
	OF_HEAD,
	OF_HALF_HEAD,
	OF_VOCAB,
};

enum when {
	ALWAYS = 0,
	WHEN_UNTIED,
	WHEN_BIASED,
	WHEN_NORMED,
	WHEN_ROPE_FACTORS,
};

struct tensor_row {
	const char *name;
	enum extent row, column;
	enum when when;
};

/* llama.cpp writes by layer, those of none first, and then by name. */
static const struct tensor_row global_rows[] = {
	{"output.weight", OF_HIDDEN, OF_VOCAB, WHEN_UNTIED},
	{"output_norm.weight", OF_HIDDEN, OF_NOTHING, ALWAYS},
	{"rope_freqs.weight", OF_HALF_HEAD, OF_NOTHING, WHEN_ROPE_FACTORS},
	{"token_embd.weight", OF_HIDDEN, OF_VOCAB, ALWAYS},
};
static const struct tensor_row layer_rows[] = {
	{"attn_k.bias", OF_KV_HEADS, OF_NOTHING, WHEN_BIASED},
	{"attn_k.weight", OF_HIDDEN, OF_KV_HEADS, ALWAYS},
	{"attn_k_norm.weight", OF_HEAD, OF_NOTHING, WHEN_NORMED},
	{"attn_norm.weight", OF_HIDDEN, OF_NOTHING, ALWAYS},
	{"attn_output.weight", OF_HEADS, OF_HIDDEN, ALWAYS},
	{"attn_q.bias", OF_HEADS, OF_NOTHING, WHEN_BIASED},
	{"attn_q.weight", OF_HIDDEN, OF_HEADS, ALWAYS},
	{"attn_q_norm.weight", OF_HEAD, OF_NOTHING, WHEN_NORMED},
	{"attn_v.bias", OF_KV_HEADS, OF_NOTHING, WHEN_BIASED},
	{"attn_v.weight", OF_HIDDEN, OF_KV_HEADS, ALWAYS},
	{"ffn_down.weight", OF_FF, OF_HIDDEN, ALWAYS},
	{"ffn_gate.weight", OF_HIDDEN, OF_FF, ALWAYS},
	{"ffn_norm.weight", OF_HIDDEN, OF_NOTHING, ALWAYS},
	{"ffn_up.weight", OF_HIDDEN, OF_FF, ALWAYS},
};

static uint64_t extent_of(const struct mp_model_shape *s, enum extent extent)
{
	switch (extent) {
	case OF_HIDDEN:
		return s->hidden;
	case OF_FF:
		return s->ff;
	case OF_HEADS:
		return (uint64_t)s->heads * s->head_dim;
	case OF_KV_HEADS:
		return (uint64_t)s->kv_heads * s->head_dim;
	case OF_HEAD:
		return s->head_dim;
	case OF_HALF_HEAD:
		return s->head_dim / 2;
	case OF_VOCAB:
		return s->vocab;
	case OF_NOTHING:
		break;
	}
	return 1;
}

static bool is_there(const struct mp_model_shape *s, enum when when)
{
	switch (when) {
	case ALWAYS:
		return true;
	case WHEN_UNTIED:
		return !s->tied;
	case WHEN_BIASED:
		return s->qkv_bias;
	case WHEN_NORMED:
		return s->qk_norm;
	case WHEN_ROPE_FACTORS:
		return s->rope_factors;
	}
	return false;
}

struct walk {
	const struct mp_model_shape *shape;
	const struct mp_quant_level *level;
	mp_tensor_fn fn;
	void *data;
};

static int visit(const struct walk *walk, const struct tensor_row *row,
		 struct mp_model_tensor *tensor)
{
	int error;

	tensor->ne[0] = extent_of(walk->shape, row->row);
	tensor->ne[1] = extent_of(walk->shape, row->column);
	tensor->ne[2] = tensor->ne[3] = 1;
	tensor->n_dims = row->column == OF_NOTHING ? 1 : 2;
	tensor->type = mp_quant_type_of(walk->level, walk->shape, tensor->name, tensor->n_dims,
					tensor->ne);
	error = mp_ggml_bytes(tensor->type, tensor->n_dims, tensor->ne, &tensor->bytes);
	return error ?: walk->fn(walk->data, tensor);
}

static int visit_layer(const struct walk *walk, uint32_t layer)
{
	struct mp_model_tensor tensor;
	int error = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(layer_rows) && !error; i++) {
		if (!is_there(walk->shape, layer_rows[i].when))
			continue;
		snprintf(tensor.name, sizeof(tensor.name), "blk.%u.%s", layer, layer_rows[i].name);
		error = visit(walk, &layer_rows[i], &tensor);
	}
	return error;
}

int mp_model_each_tensor(const struct mp_model_shape *shape, const struct mp_quant_level *level,
			 mp_tensor_fn fn, void *data)
{
	const struct walk walk = {shape, level, fn, data};
	struct mp_model_tensor tensor;
	int error = mp_model_shape_wrong(shape) ? -EOVERFLOW : 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(global_rows) && !error; i++) {
		if (!is_there(shape, global_rows[i].when))
			continue;
		snprintf(tensor.name, sizeof(tensor.name), "%s", global_rows[i].name);
		error = visit(&walk, &global_rows[i], &tensor);
	}
	for (uint32_t i = 0; i < shape->layers && !error; i++)
		error = visit_layer(&walk, i);
	return error;
}

/* --- sizes ------------------------------------------------------------------- */

struct sum {
	struct mp_model_size size;
	bool tied;
};

static int add_tensor(void *data, const struct mp_model_tensor *tensor)
{
	struct sum *sum = data;

	if (mp_quant_is_repacked(tensor->type, tensor->name, sum->tied, tensor->n_dims, tensor->ne))
		sum->size.repack_bytes += tensor->bytes; /* never more than tensor_bytes */
	sum->size.n_tensors++;
	return __builtin_add_overflow(sum->size.tensor_bytes, tensor->bytes,
				      &sum->size.tensor_bytes)
		       ? -EOVERFLOW
		       : 0;
}

int mp_model_size(const struct mp_model_shape *shape, const struct mp_quant_level *level,
		  struct mp_model_size *ret)
{
	struct sum sum = {.tied = shape->tied};
	int error = mp_model_each_tensor(shape, level, add_tensor, &sum);

	if (!error)
		*ret = sum.size;
	return error;
}
