/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of the commands that load a model, and what these make of them. */
#ifndef MP_CLI_MODEL_ARGS_H
#define MP_CLI_MODEL_ARGS_H

#include "cli/harness_args.h"
#include "model/rehearsal.h"
#include "model/room.h"

/* The state of such a command is, or begins with, this. */
struct mp_model_args {
	struct mp_harness_args h; /* first: the options that are shared set it */
	const char *model_id;
	const char *file; /* --model */
	const struct mp_quant_level **levels;
	size_t n_levels;
	bool loader_given;
	const char *exec;
	struct mp_load_options load;
	bool context_given;
	bool no_repack;
	const char *limit; /* --limit: a size, or "1.6x" of the file */
	const char *model_dir;
	uint32_t scale_num, scale_den;
	uint64_t test_ns; /* --test-duration; 0: not given */

	/* Ready to be used. */
	const struct mp_cli *cli;
	struct mp_models models;
	const struct mp_model *model; /* of --model-id; or NULL */
	struct mp_model_room room;
	char *own_exec;		  /* where --exec was not given */
	struct mp_profile ad_hoc; /* of --limit, or of what there is here */
	char ad_hoc_name[64];
	char *points, *exec_points; /* paths */
};

/* "1/16". Exit code 2. */
int mp_model_parse_scale(const char *value, uint32_t *ret_num, uint32_t *ret_den,
			 struct mp_error *err);

int mp_model_set_id(void *args, const char *value, struct mp_error *err);
int mp_model_set_file(void *args, const char *value, struct mp_error *err);
int mp_model_set_quant(void *args, const char *value, struct mp_error *err);
int mp_model_set_levels(void *args, const char *value, struct mp_error *err);
int mp_model_set_loader(void *args, const char *value, struct mp_error *err);
int mp_model_set_exec(void *args, const char *value, struct mp_error *err);
int mp_model_set_context(void *args, const char *value, struct mp_error *err);
int mp_model_set_no_repack(void *args, const char *value, struct mp_error *err);
int mp_model_set_passes(void *args, const char *value, struct mp_error *err);
int mp_model_set_limit(void *args, const char *value, struct mp_error *err);
int mp_model_set_dir(void *args, const char *value, struct mp_error *err);
int mp_model_set_scale(void *args, const char *value, struct mp_error *err);

/* Passes beside a pattern go on until it is over, which ends them: so long after it at most. */
#define MP_MODEL_AFTER_NS 600000000000ULL

/* Rows that all of them have. */
#define MP_MODEL_OPTIONS                                                                           \
	{"model-id", 0, "ID", "a model of models.yaml", mp_model_set_id},                          \
		{"loader", 0, "LOADER",                                                            \
		 "mmap, read or exec (exec where llama-cli is in $PATH, else mmap)",               \
		 mp_model_set_loader},                                                             \
		{"exec", 0, "COMMAND", "exec: what loads, with {model} for the file's path",       \
		 mp_model_set_exec},                                                               \
		{"context", 'c', "TOKENS", "of the KV cache; 0: weights alone (4096)",             \
		 mp_model_set_context},                                                            \
		{"no-repack", 0, NULL, "as llama.cpp with --no-repack", mp_model_set_no_repack},   \
		{"limit", 0, "SIZE",                                                               \
		 "instead of --env: so much memory, such as 1600M, or 1.6x the file's size",       \
		 mp_model_set_limit},                                                              \
		{"model-dir", 0, "DIR",                                                            \
		 "where files that are made stay (a temporary one, and they do not)",              \
		 mp_model_set_dir},                                                                \
	{                                                                                          \
		"scale", 0, "N/M", "of files that are made: about that part of the bytes",         \
			mp_model_set_scale                                                         \
	}

/* The model, where its files go, what loads it: before any file is made. */
int mp_model_args_ready(const struct mp_cli *cli, struct mp_model_args *args, char **rest,
			struct mp_error *err);
void mp_model_args_free(void *args);

/* The file of a level; NULL: the file of --model, or Q4_K_M. */
int mp_model_args_file(struct mp_model_args *args, const struct mp_quant_level *level,
		       struct mp_model_file *ret, struct mp_error *err);
/* When it is done with: what nobody has asked to keep goes. */
void mp_model_args_let_go(struct mp_model_args *args, struct mp_model_file *file);
/* No pattern beside it: until the loader ends. */
void mp_model_args_alone(struct mp_model_args *args);
/* The device: of --env or --limit, or all that there is here. */
int mp_model_args_device(struct mp_model_args *args, uint64_t file_bytes, struct mp_error *err);

/* What a run of that file is; `args` lives longer. */
void mp_model_args_rehearsal(const struct mp_model_args *args, struct mp_model_file *file,
			     struct mp_rehearsal_options *ret);

#endif
