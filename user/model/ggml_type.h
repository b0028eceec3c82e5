/* SPDX-License-Identifier: GPL-2.0-only */
/* The storage types of ggml tensors: rows of blocks, each of so many elements and bytes. */
#ifndef MP_MODEL_GGML_TYPE_H
#define MP_MODEL_GGML_TYPE_H

#include <stdint.h>

#define MP_GGML_MAX_DIMS 4

/* Ids as files hold them; ggml has removed 4, 5, 31 to 33 and 36 to 38. */
enum mp_ggml_id {
	MP_GGML_F32 = 0,
	MP_GGML_F16 = 1,
	MP_GGML_Q4_0 = 2,
	MP_GGML_Q4_1 = 3,
	MP_GGML_Q5_0 = 6,
	MP_GGML_Q5_1 = 7,
	MP_GGML_Q8_0 = 8,
	MP_GGML_Q8_1 = 9,
	MP_GGML_Q2_K = 10,
	MP_GGML_Q3_K = 11,
	MP_GGML_Q4_K = 12,
	MP_GGML_Q5_K = 13,
	MP_GGML_Q6_K = 14,
	MP_GGML_Q8_K = 15,
	MP_GGML_IQ2_XXS = 16,
	MP_GGML_IQ2_XS = 17,
	MP_GGML_IQ3_XXS = 18,
	MP_GGML_IQ1_S = 19,
	MP_GGML_IQ4_NL = 20,
	MP_GGML_IQ3_S = 21,
	MP_GGML_IQ2_S = 22,
	MP_GGML_IQ4_XS = 23,
	MP_GGML_I8 = 24,
	MP_GGML_I16 = 25,
	MP_GGML_I32 = 26,
	MP_GGML_I64 = 27,
	MP_GGML_F64 = 28,
	MP_GGML_IQ1_M = 29,
	MP_GGML_BF16 = 30,
	MP_GGML_TQ1_0 = 34,
	MP_GGML_TQ2_0 = 35,
	MP_GGML_MXFP4 = 39,
};

struct mp_ggml_type {
	enum mp_ggml_id id;
	const char *name;	 /* "Q4_K" */
	uint32_t block_bytes;	 /* of a block */
	uint32_t block_elements; /* of a block: a row is a whole number of them */
};

const struct mp_ggml_type *mp_ggml_type_of(uint32_t id); /* NULL: unknown or removed */
const struct mp_ggml_type *mp_ggml_type_find(const char *name);

/*
 * Bytes of a tensor of these dimensions, ne[0] being the row: -EINVAL when a row is no whole number
 * of blocks or a dimension is 0, -EOVERFLOW.
 */
int mp_ggml_bytes(const struct mp_ggml_type *type, uint32_t n_dims, const uint64_t *ne,
		  uint64_t *ret);

#endif
