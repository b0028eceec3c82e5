/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of a model's exact layout with contents that are valid and mean nothing. */
#ifndef MP_MODEL_SYNTH_H
#define MP_MODEL_SYNTH_H

#include "model/quant.h"

struct mp_synth_options {
	const char *name; /* general.name: the model's id */
	const struct mp_model_shape *shape;
	const struct mp_quant_level *level;
	bool sparse;   /* no contents: holes, which take no disk */
	uint64_t seed; /* the same seed gives the same bytes */
	/* Called now and then with the bytes written so far; non-zero ends it (-EINTR). NULL. */
	int (*progress)(void *data, uint64_t done, uint64_t total);
	void *data;
};

/*
 * The shape with about `num`/`den` of its bytes: fewer layers first, then a smaller vocabulary, so
 * that the types of its tensors stay. -ERANGE: it cannot be that small.
 */
int mp_model_scale(const struct mp_model_shape *shape, uint32_t num, uint32_t den,
		   struct mp_model_shape *ret);

/* Bytes of the whole file. */
int mp_synth_bytes(const struct mp_synth_options *options, uint64_t *ret);

/*
 * Writes it under a temporary name and renames it. Exit codes: 6 when the disk has too little room
 * (said before anything is written), 1 when writing fails; nothing is left then.
 */
int mp_synth(const struct mp_synth_options *options, const char *path, struct mp_error *err);

/* Fills a buffer with whole blocks of a type: finite scales of about 1/sqrt(row), random quants. */
void mp_synth_blocks(const struct mp_ggml_type *type, uint64_t row, uint64_t *state, void *blocks,
		     uint64_t n_blocks);

#endif
