/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of a model's exact layout with contents that are valid and mean nothing. */
#ifndef MP_MODEL_SYNTH_H
#define MP_MODEL_SYNTH_H

#include "base/text.h"
#include "model/quant.h"

#define MP_SYNTH_SEED "memprobe.seed" /* a key that synthesized files have, and no others */

struct mp_synth_options {
	const char *name; /* general.name: the model's id */
	const struct mp_model_shape *shape;
	const struct mp_quant_level *level;
	bool sparse;   /* no contents: holes, which take no disk */
	uint64_t seed; /* the same seed gives the same bytes */
	/* Called now and then with the bytes of the file so far; non-zero ends it (-EINTR). NULL.
	 */
	int (*progress)(void *data, uint64_t done, uint64_t total);
	void *data;
};

/*
 * The shape with `num`/`den` of its weights: fewer layers first, then a smaller vocabulary, so that
 * the rows of its matrices stay, and by them the types. It comes as near as 64 tokens are, or a
 * layer where the vocabulary would become too small; in bytes it is less near, as the layers that
 * stay need not have the mix of those that go. -ERANGE: it cannot be that small.
 */
int mp_model_scale(const struct mp_model_shape *shape, uint32_t num, uint32_t den,
		   struct mp_model_shape *ret);

/*
 * The shape of `num`/`den` of a model, or of all of it when `den` is 0, and the name that tells it
 * from the whole ("qwen2.5-7b 1/16"). Exit code 2.
 */
#define MP_SYNTH_NAME_LEN 256
int mp_synth_shape(const struct mp_model *model, uint32_t num, uint32_t den,
		   struct mp_model_shape *ret, char name[MP_SYNTH_NAME_LEN], struct mp_error *err);

/* All that is before the tensors' data, which is padded to `ret_data_bytes`. */
int mp_synth_header(const struct mp_synth_options *options, struct mp_text *ret,
		    uint64_t *ret_data_bytes);

/* Bytes of the whole file. */
int mp_synth_bytes(const struct mp_synth_options *options, uint64_t *ret);

/*
 * Writes it where nobody sees it, and gives it its name when it is whole. SIGINT, SIGTERM and
 * SIGHUP end it, and reach the process when it is over. Exit codes: 2 when `path` can be no file
 * there, 6 when the disk has too little room (said before anything is written), 130 when it was
 * ended, 1 when writing fails. Nothing is left then, and what was there before still is.
 */
int mp_synth(const struct mp_synth_options *options, const char *path, struct mp_error *err);

/* The same into an empty file; `path` is what errors call it. */
int mp_synth_to(const struct mp_synth_options *options, int fd, const char *path,
		struct mp_error *err);

/* Fills a buffer with whole blocks of a type: finite scales of about 1/sqrt(row), random quants.
   Blocks of types that no level uses become zeros where their scales are no plain halves. */
void mp_synth_blocks(const struct mp_ggml_type *type, uint64_t row, uint64_t *state, void *blocks,
		     uint64_t n_blocks);

#endif
