/* SPDX-License-Identifier: GPL-2.0-only */
/* models.yaml: what models look like, so that their sizes can be told without a file. */
#ifndef MP_CONFIG_MODELS_H
#define MP_CONFIG_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MP_MAX_ARCHITECTURE 32
/* Within these, the weights of no model overflow 64 bits. */
#define MP_MAX_LAYERS 4096
#define MP_MAX_WIDTH (1U << 24) /* of hidden, ff and vocab, and of all heads together */

/* Of a transformer with gated feed-forward; counts of elements, heads and layers. */
struct mp_model_shape {
	char architecture[MP_MAX_ARCHITECTURE]; /* as in general.architecture: qwen2, llama */
	uint32_t layers;
	uint32_t hidden;
	uint32_t ff;
	uint32_t heads, kv_heads;
	uint32_t head_dim; /* hidden / heads, unless given */
	uint32_t vocab;
	bool tied;		 /* no output.weight: token_embd is used twice */
	bool qkv_bias;		 /* qwen2 */
	bool qk_norm;		 /* qwen3 */
	bool rope_factors;	 /* llama 3.1 and later: a tensor rope_freqs.weight */
	uint32_t context_length; /* that it was trained for */
	double rope_base;
	double rms_eps;
};

/* A real file, by its level. */
struct mp_model_path {
	char *level;
	char *path;
};

struct mp_model {
	char *id;
	char **aliases; /* or NULL */
	size_t n_aliases;
	char *description; /* or NULL */
	char *source;	   /* where the figures are from */
	char *origin;	   /* file:line:column */
	struct mp_model_shape shape;
	struct mp_model_path *paths;
	size_t n_paths;
};

struct mp_models {
	struct mp_model *items;
	size_t n;
};

/* Errors: exit code 3 with file:line:column. */
int mp_models_load(struct mp_models *ret, const char *path, struct mp_error *err);
int mp_models_parse(struct mp_models *models, const char *name, const char *text, size_t len,
		    struct mp_error *err);
void mp_models_free(struct mp_models *models);
#define MP_MODELS MP_CLEANUP(mp_models_free)

/* By id or alias, whatever the case. NULL with exit code 2 and the near ones. */
const struct mp_model *mp_models_find(const struct mp_models *models, const char *id,
				      struct mp_error *err);

/* What makes a shape impossible ("kv_heads are from 1 to heads"), or NULL. */
const char *mp_model_shape_wrong(const struct mp_model_shape *shape);

/* Weights, of all tensors, as models are named by; of a shape that is possible. */
uint64_t mp_model_parameters(const struct mp_model_shape *shape);

#endif
