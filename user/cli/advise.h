/* SPDX-License-Identifier: GPL-2.0-only */
/* What `gguf advise` and `status` share: a model, a device, and which level fits. */
#ifndef MP_CLI_ADVISE_H
#define MP_CLI_ADVISE_H

#include "cli/cli.h"
#include "model/advice.h"
#include "report/json.h"

/* Zero-initialized is empty. */
struct mp_advising {
	struct mp_models models;
	const struct mp_model *model; /* of models.yaml; NULL: the file is what it is about */
	const char *path;
	struct mp_gguf_file file;
	struct mp_model_shape shape;
	const struct mp_quant_level *own; /* of the file; NULL: a mix of its own */
	struct mp_advice_input input;	  /* by mp_advising_find(), but for the device */
	struct mp_advice advice;
	struct mp_advice as_it_is;	    /* of the file */
	const struct mp_quant_level *other; /* that fits, when none of those asked for does */
	const struct mp_model *smaller;
	const struct mp_quant_level *smaller_level;
};

/*
 * The model of an id, or of a GGUF file; one of both is given. Exit codes: 2 (unknown id, both or
 * none), 3, 5. `what` is the command, for messages.
 */
int mp_advising_find(const struct mp_cli *cli, const char *what, const char *model_id,
		     const char *path, struct mp_advising *ret, struct mp_error *err);
/* Once `input` tells of the device. `levels` as for mp_advise(). */
int mp_advising_work_out(struct mp_advising *a, const struct mp_quant_level *const *levels,
			 size_t n, struct mp_error *err);
void mp_advising_free(struct mp_advising *a);
#define MP_ADVISING MP_CLEANUP(mp_advising_free)

/* The value of --context. Exit code 2. */
int mp_advising_parse_context(const char *value, uint32_t *ret, struct mp_error *err);
/* The same, and 0 is none. */
int mp_advising_parse_context_or_none(const char *value, uint32_t *ret, struct mp_error *err);

/* The level to take; NULL: none is comfortable. */
const char *mp_advising_optimal(const struct mp_advising *a);
bool mp_advising_fits(const struct mp_advising *a);
/* The advice in words: of the file as it is, if there is one, and of the levels. */
void mp_advising_say(struct mp_text *out, const struct mp_advising *a);

/* A key of the open object each: the advice as reports have it, and what else there is to tell. */
void mp_advising_put(struct mp_json *j, const struct mp_advising *a);

#endif
