/* SPDX-License-Identifier: GPL-2.0-only */
/* Models whose figures are known, for tests. */
#ifndef MP_TESTS_SHAPES_H
#define MP_TESTS_SHAPES_H

#include "model/quant.h"

static const struct mp_model_shape qwen_7b = {
	.architecture = "qwen2",
	.layers = 28,
	.hidden = 3584,
	.ff = 18944,
	.heads = 28,
	.kv_heads = 4,
	.head_dim = 128,
	.vocab = 152064,
	.qkv_bias = true,
	.context_length = 32768,
};
static const struct mp_model_shape qwen_05b = {
	.architecture = "qwen2",
	.layers = 24,
	.hidden = 896,
	.ff = 4864,
	.heads = 14,
	.kv_heads = 2,
	.head_dim = 64,
	.vocab = 151936,
	.tied = true,
	.qkv_bias = true,
	.context_length = 32768,
};

/* Of which whole files are written. */
#define TINY_SHAPE                                                                                 \
	.architecture = "qwen2", .layers = 2, .hidden = 256, .ff = 512, .heads = 4, .kv_heads = 2, \
	.head_dim = 64, .vocab = 1024, .qkv_bias = true, .context_length = 2048, .rope_base = 1e6, \
	.rms_eps = 1e-6
static const struct mp_model_shape tiny = {TINY_SHAPE};

static inline struct mp_model_size size_of(const struct mp_model_shape *shape, const char *level)
{
	struct mp_model_size size;

	assert_int_equal(mp_model_size(shape, mp_quant_find(level, NULL), &size), 0);
	return size;
}

#endif
