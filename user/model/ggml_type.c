// SPDX-License-Identifier: GPL-2.0-only
#include "model/ggml_type.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* Block sizes are those of ggml-common.h. */
static const struct mp_ggml_type types[] = {
	{MP_GGML_F32, "F32", 4, 1},
	{MP_GGML_F16, "F16", 2, 1},
	{MP_GGML_Q4_0, "Q4_0", 18, 32},
	{MP_GGML_Q4_1, "Q4_1", 20, 32},
	{MP_GGML_Q5_0, "Q5_0", 22, 32},
	{MP_GGML_Q5_1, "Q5_1", 24, 32},
	{MP_GGML_Q8_0, "Q8_0", 34, 32},
	{MP_GGML_Q8_1, "Q8_1", 36, 32},
	{MP_GGML_Q2_K, "Q2_K", 84, 256},
	{MP_GGML_Q3_K, "Q3_K", 110, 256},
	{MP_GGML_Q4_K, "Q4_K", 144, 256},
	{MP_GGML_Q5_K, "Q5_K", 176, 256},
	{MP_GGML_Q6_K, "Q6_K", 210, 256},
	{MP_GGML_Q8_K, "Q8_K", 292, 256},
	{MP_GGML_IQ2_XXS, "IQ2_XXS", 66, 256},
	{MP_GGML_IQ2_XS, "IQ2_XS", 74, 256},
	{MP_GGML_IQ3_XXS, "IQ3_XXS", 98, 256},
	{MP_GGML_IQ1_S, "IQ1_S", 50, 256},
	{MP_GGML_IQ4_NL, "IQ4_NL", 18, 32},
	{MP_GGML_IQ3_S, "IQ3_S", 110, 256},
	{MP_GGML_IQ2_S, "IQ2_S", 82, 256},
	{MP_GGML_IQ4_XS, "IQ4_XS", 136, 256},
	{MP_GGML_I8, "I8", 1, 1},
	{MP_GGML_I16, "I16", 2, 1},
	{MP_GGML_I32, "I32", 4, 1},
	{MP_GGML_I64, "I64", 8, 1},
	{MP_GGML_F64, "F64", 8, 1},
	{MP_GGML_IQ1_M, "IQ1_M", 56, 256},
	{MP_GGML_BF16, "BF16", 2, 1},
	{MP_GGML_TQ1_0, "TQ1_0", 54, 256},
	{MP_GGML_TQ2_0, "TQ2_0", 66, 256},
	{MP_GGML_MXFP4, "MXFP4", 17, 32},
};

const struct mp_ggml_type *mp_ggml_type_of(uint32_t id)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
		if (types[i].id == id)
			return &types[i];
	}
	return NULL;
}

const struct mp_ggml_type *mp_ggml_type_find(const char *name)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	}
	return NULL;
}

int mp_ggml_bytes(const struct mp_ggml_type *type, uint32_t n_dims, const uint64_t *ne,
		  uint64_t *ret)
{
	uint64_t bytes = ne[0] / type->block_elements;

	if (ne[0] == 0 || ne[0] % type->block_elements)
		return -EINVAL;
	if (__builtin_mul_overflow(bytes, type->block_bytes, &bytes))
		return -EOVERFLOW;
	for (uint32_t i = 1; i < n_dims; i++) {
		if (ne[i] == 0)
			return -EINVAL;
		if (__builtin_mul_overflow(bytes, ne[i], &bytes))
			return -EOVERFLOW;
	}
	*ret = bytes;
	return 0;
}
