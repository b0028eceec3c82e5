/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs of models, and what the commands that make them tell and keep. */
#ifndef MP_CLI_MODEL_RUN_H
#define MP_CLI_MODEL_RUN_H

#include "cli/model_args.h"

#define MP_MODEL_SENTENCE 1024

/* One file, loaded in the device of `args`; behind an `earlier` report, or NULL. */
struct mp_model_rehearsed {
	struct mp_harness_result *result;
	struct mp_model_run run;
	bool has_failed; /* the loader did, or somebody ended it */
	char sentence[MP_MODEL_SENTENCE];
};
int mp_model_rehearse(struct mp_model_args *args, struct mp_model_file *file,
		      const struct mp_memory_report *earlier, struct mp_model_rehearsed *ret,
		      struct mp_error *err);
void mp_model_rehearsed_free(struct mp_model_rehearsed *done);

/* What the arithmetic says of all levels on that device; `run`, or NULL, has shown how fast the
 * disk is. Zero-initialized is empty. */
struct mp_model_advised {
	struct mp_advice advice;
	struct mp_quantization_row *rows;
	size_t n_rows;
	uint64_t usable;     /* bytes */
	uint64_t disk_per_s; /* 0: not known */
	struct mp_text sentence;
	const struct mp_model *smaller; /* to take when no level fits; NULL: none is known */
	const struct mp_quant_level *smaller_level;
};
int mp_model_advise(const struct mp_model_args *args, const struct mp_model_shape *shape,
		    const struct mp_model_run *run, struct mp_model_advised *ret,
		    struct mp_error *err);
void mp_model_advised_free(struct mp_model_advised *advised);

/* Into a report: the model, its runs and the advice; what they point to lives longer. */
struct mp_model_kept {
	const char *id;
	const char *file;
	bool is_synthesized;
	struct mp_model_run *runs;
	size_t n_runs;
	const struct mp_model_advised *advised;
};
void mp_model_fill_report(const struct mp_model_args *args, const struct mp_model_kept *kept,
			  struct mp_memory_report *r);

/* 0 ok, 1 thrash or a loader that failed, 7 OOM-killed, 130 interrupted. */
int mp_model_exit_code(const struct mp_model_rehearsed *done);

#endif
