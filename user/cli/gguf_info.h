/* SPDX-License-Identifier: GPL-2.0-only */
/* What gguf info tells, as text and as JSON. */
#ifndef MP_CLI_GGUF_INFO_H
#define MP_CLI_GGUF_INFO_H

#include "base/text.h"
#include "model/quant.h"

struct mp_gguf_type_sum {
	const struct mp_ggml_type *type;
	uint64_t n_tensors, bytes;
};

struct mp_gguf_info {
	struct mp_gguf_file file;
	struct mp_model_shape shape;
	bool has_shape;
	struct mp_error no_shape;	    /* why not */
	const struct mp_quant_level *level; /* NULL: none of ours */
	uint64_t parameters;
	uint64_t header_bytes; /* of all parts, padded */
	struct mp_gguf_type_sum
		sums[MP_GGML_MXFP4 + 1]; /* the largest first; those of no bytes end it */
};

/*
 * NUL-terminated, and cut at `size`. A NUL inside becomes the two bytes that Java has for it: no
 * UTF-8, so they are shown escaped.
 */
const char *mp_gguf_info_string(struct mp_gguf_string s, char *out, size_t size);

/* With tensors one by one when it is verbose. */
void mp_gguf_info_text(const struct mp_gguf_info *info, bool verbose, struct mp_text *out);
void mp_gguf_info_json(const struct mp_gguf_info *info, struct mp_text *out);

#endif
