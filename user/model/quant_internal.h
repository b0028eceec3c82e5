/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the mixes share: the rules, the tensors of a shape, and those of a file. */
#ifndef MP_MODEL_QUANT_INTERNAL_H
#define MP_MODEL_QUANT_INTERNAL_H

#include "model/quant.h"

/* Vectors and norms are small, and stay of the type that they were trained in. */
bool mp_quant_applies(const char *name, uint32_t n_dims, const uint64_t *ne);

/* llama.cpp copies it into memory of its own, unless it is told not to (--no-repack). */
bool mp_quant_is_repacked(const struct mp_ggml_type *type, const char *name, bool tied,
			  uint32_t n_dims, const uint64_t *ne);

#endif
