/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs of gguf share: one file of user/cli/gguf_VERB.c each. */
#ifndef MP_CLI_GGUF_H
#define MP_CLI_GGUF_H

#include "cli/cli.h"
#include "cli/profile.h"
#include "monitor/output.h"
#include "model/load.h"

struct mp_gguf_args {
	const char *model_id;
	const char *file; /* --model, or the word behind the verb */
	const char *env;
	const char *output;
	const struct mp_quant_level **levels; /* of --quant or --quant-levels; NULL: all */
	size_t n_levels;
	uint64_t limit; /* --limit; 0: of --env, or the effective one here */
	uint64_t margin;
	bool margin_given; /* else the default */
	uint32_t context;  /* 0: no KV cache and no compute buffer */
	bool context_given;
	enum mp_kv_type kv_type;
	bool no_repack, no_mmap;
	bool explain;
	uint32_t scale_num, scale_den; /* 0: as it is */
	bool sparse;
	uint64_t seed;
	struct mp_load_options load;
	enum mp_format format;
	struct mp_models models; /* loaded when a verb asks for them */
};

/* models.yaml, and the model of --model-id (NULL when there is none: exit code 2 when needed). */
int mp_gguf_args_model(const struct mp_cli *cli, struct mp_gguf_args *args,
		       const struct mp_model **ret, struct mp_error *err);

typedef int (*mp_gguf_verb_fn)(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);
int mp_gguf_info(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);
int mp_gguf_sizes(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);
int mp_gguf_advise(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);
int mp_gguf_synth(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);
int mp_gguf_load(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err);

#endif
