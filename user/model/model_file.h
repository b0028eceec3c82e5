/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of a model at a level: a real one where there is one, otherwise one that is made. */
#ifndef MP_MODEL_MODEL_FILE_H
#define MP_MODEL_MODEL_FILE_H

#include "model/synth.h"

struct mp_model_file {
	char *path;
	bool is_synthesized;
	bool is_temporary; /* mp_model_file_release() removes it */
	int fd;		   /* of a temporary one: what keeps it where it has no name of its own */
	struct mp_gguf_file gguf;
	struct mp_model_shape shape;
	const struct mp_quant_level *level; /* NULL: of a mix of its own */
};

struct mp_model_file_options {
	const char *dir; /* where made ones go and are kept; NULL: a temporary one, in TMPDIR */
	uint32_t scale_num, scale_den;		    /* of what is made; 0: as it is */
	void (*tell)(void *data, const char *note); /* "writing …"; NULL */
	void *data;
};

/* A path that the user gave. */
int mp_model_file_open(const char *path, struct mp_model_file *ret, struct mp_error *err);

/*
 * The model's own file of that level (models.yaml), unless a part of it is asked for; one that is
 * in `dir`, made before or put there; or a new one. What was not made here is never written over:
 * it must be of that model and level, or it is an error (exit code 3).
 *
 * A temporary one is a file without a name, by way of a link into this process's descriptors: when
 * the process ends, however it does, the file is gone. Where that cannot be it has a name.
 */
int mp_model_file_get(const struct mp_model *model, const struct mp_quant_level *level,
		      const struct mp_model_file_options *options, struct mp_model_file *ret,
		      struct mp_error *err);
void mp_model_file_release(struct mp_model_file *file); /* zeroed is fine */

#endif
