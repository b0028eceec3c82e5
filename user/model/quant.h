/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Quantization levels: which tensor gets which type (the mixes of llama.cpp's llama-quant.cpp), and
 * what that comes to in bytes. Pure.
 */
#ifndef MP_MODEL_QUANT_H
#define MP_MODEL_QUANT_H

#include "config/models.h"
#include "model/gguf.h"

/* Opaque rules behind a name; a row of a table each, from the smallest to the largest. */
struct mp_quant_level {
	const char *name; /* "Q4_K_M" */
	enum mp_ggml_id base;
	uint32_t file_type; /* general.file_type of llama.cpp */
	/* How much perplexity rises over F16, Llama-3-8B, by llama.cpp's own table; NAN: not
	   known. */
	double perplexity;
	const struct mp_quant_rule *rules;
	size_t n_rules;
};

const struct mp_quant_level *mp_quant_levels(size_t *ret_n);
/* NULL with exit code 2, the levels and the near one. */
const struct mp_quant_level *mp_quant_find(const char *name, struct mp_error *err);
/* "Q2_K,Q4_K_M": a new array, each at most once; free() it. Exit code 2. */
int mp_quant_parse_list(const char *text, const struct mp_quant_level ***ret, size_t *ret_n,
			struct mp_error *err);

struct mp_model_tensor {
	char name[MP_GGUF_MAX_NAME];
	uint32_t n_dims;
	uint64_t ne[MP_GGML_MAX_DIMS];
	const struct mp_ggml_type *type;
	uint64_t bytes;
};

/* The type that a level gives to a tensor of that name and size, in a model of that shape. */
const struct mp_ggml_type *mp_quant_type_of(const struct mp_quant_level *level,
					    const struct mp_model_shape *shape, const char *name,
					    uint32_t n_dims, const uint64_t *ne);

/* Calls `fn` for each tensor in the order of llama.cpp's files; its first non-zero ends it. */
typedef int (*mp_tensor_fn)(void *data, const struct mp_model_tensor *tensor);
int mp_model_each_tensor(const struct mp_model_shape *shape, const struct mp_quant_level *level,
			 mp_tensor_fn fn, void *data);

struct mp_model_size {
	uint64_t tensor_bytes;
	uint64_t repack_bytes; /* copied into anonymous memory when llama.cpp repacks on this CPU */
	size_t n_tensors;
};
/* -EOVERFLOW: no such model can be. */
int mp_model_size(const struct mp_model_shape *shape, const struct mp_quant_level *level,
		  struct mp_model_size *ret);

/* What a file's own tensors would take at a level, and take as they are (`level` NULL). */
int mp_gguf_size(const struct mp_gguf_file *file, const struct mp_quant_level *level,
		 struct mp_model_size *ret, struct mp_error *err);

/* The shape by a file's metadata and tensors. Exit code 3 with the key that is missing or wrong. */
int mp_gguf_shape(const struct mp_gguf_file *file, struct mp_model_shape *ret,
		  struct mp_error *err);
/* The level that a file is of: by what its tensors are, whatever it says. NULL: none of ours. */
const struct mp_quant_level *mp_gguf_level(const struct mp_gguf_file *file);

#endif
