// SPDX-License-Identifier: GPL-2.0-only
/* The words of gguf and their options; what they do is in gguf_VERB.c. */
#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cli/advise.h"
#include "cli/gguf.h"
#include "cli/model_args.h"
#include "cli/harness_args.h"
#include "cli/watch.h"

static int set_model_id(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_gguf_args *)args)->model_id = value;
	return 0;
}

static int set_model(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_gguf_args *)args)->file = value;
	return 0;
}

static int set_quant(void *state, const char *value, struct mp_error *err)
{
	struct mp_gguf_args *args = state;

	free(args->levels);
	args->levels = NULL;
	return mp_quant_parse_list(value, &args->levels, &args->n_levels, err);
}

static int set_env(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_gguf_args *)args)->env = value;
	return 0;
}

static int set_output(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_gguf_args *)args)->output = value;
	return 0;
}

static int set_size(const char *option, const char *value, uint64_t *ret, struct mp_error *err)
{
	uint64_t bytes;

	if (mp_size_parse(value, &bytes))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: a size, such as 1.96G or 512M",
			       option, value);
	*ret = bytes;
	return 0;
}

static int set_limit(void *args, const char *value, struct mp_error *err)
{
	uint64_t *limit = &((struct mp_gguf_args *)args)->limit;
	int error = set_size("--limit", value, limit, err);

	if (!error && *limit == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--limit 0: nothing fits there");
	return error;
}

static int set_margin(void *args, const char *value, struct mp_error *err)
{
	((struct mp_gguf_args *)args)->margin_given = true;
	return set_size("--margin", value, &((struct mp_gguf_args *)args)->margin, err);
}

static int set_context(void *state, const char *value, struct mp_error *err)
{
	struct mp_gguf_args *args = state;

	args->context_given = true;
	return mp_advising_parse_context_or_none(value, &args->context, err);
}

static int set_kv_type(void *args, const char *value, struct mp_error *err)
{
	int type = mp_kv_type_parse(value);

	if (type < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--kv-type %s: it is f16, q8_0 or f32",
			       value);
	((struct mp_gguf_args *)args)->kv_type = (enum mp_kv_type)type;
	return 0;
}

static int set_no_repack(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_gguf_args *)args)->no_repack = true;
	return 0;
}

static int set_no_mmap(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_gguf_args *)args)->no_mmap = true;
	return 0;
}

static int set_explain(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_gguf_args *)args)->explain = true;
	return 0;
}

static int set_scale(void *state, const char *value, struct mp_error *err)
{
	struct mp_gguf_args *args = state;

	return mp_model_parse_scale(value, &args->scale_num, &args->scale_den, err);
}

static int set_sparse(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_gguf_args *)args)->sparse = true;
	return 0;
}

static int set_seed(void *args, const char *value, struct mp_error *err)
{
	if (mp_number_parse(value, UINT64_MAX, &((struct mp_gguf_args *)args)->seed))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--seed %s: a whole number", value);
	return 0;
}

static int set_loader(void *args, const char *value, struct mp_error *err)
{
	int loader = mp_loader_parse(value);

	if (loader < 0 || loader == MP_LOADER_EXEC)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--loader %s: it is mmap or read",
			       value);
	((struct mp_gguf_args *)args)->load.loader = (enum mp_loader)loader;
	return 0;
}

static int set_passes(void *args, const char *value, struct mp_error *err)
{
	if (mp_number_parse(value, UINT32_MAX, &((struct mp_gguf_args *)args)->load.passes))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--passes %s: a whole number", value);
	return 0;
}

static int set_duration(void *args, const char *value, struct mp_error *err)
{
	return mp_harness_parse_time("--duration", value,
				     &((struct mp_gguf_args *)args)->load.duration_ns, err);
}

static int set_cold_only(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_gguf_args *)args)->load.cold_only = true;
	return 0;
}

static int set_format(void *args, const char *value, struct mp_error *err)
{
	return mp_format_parse(value, &((struct mp_gguf_args *)args)->format, err);
}

static const struct mp_option options[] = {
	{"model-id", 0, "ID", "a model of models.yaml", set_model_id},
	{"model", 'm', "FILE", "a GGUF file", set_model},
	{"quant", 0, "LEVEL", "synth: of the file, such as Q4_K_M", set_quant},
	{"quant-levels", 0, "LIST", "sizes, advise: these only, such as Q2_K,Q4_K_M", set_quant},
	{"env", 0, "PROFILE", "advise: for a device profile: see env list", set_env},
	{"limit", 0, "SIZE", "advise: for so much memory, such as 4G", set_limit},
	{"margin", 0, "SIZE", "advise: of it left free (a tenth, at most 500M)", set_margin},
	{"context", 'c', "TOKENS", "of the KV cache (4096); load: 0 for weights alone",
	 set_context},
	{"kv-type", 0, "TYPE", "of the KV cache: f16, q8_0 or f32 (f16)", set_kv_type},
	{"no-repack", 0, NULL, "llama.cpp with --no-repack", set_no_repack},
	{"no-mmap", 0, NULL, "llama.cpp with --no-mmap: weights in anonymous memory", set_no_mmap},
	{"explain", 0, NULL, "advise: every number and where it is from", set_explain},
	{"output", 'o', "FILE", "synth: where the file goes", set_output},
	{"scale", 0, "N/M", "synth: a model with about that part of the bytes", set_scale},
	{"sparse", 0, NULL, "synth: holes instead of contents", set_sparse},
	{"seed", 0, "N", "synth: of the contents (0)", set_seed},
	{"loader", 0, "LOADER", "load: mmap or read (mmap)", set_loader},
	{"passes", 0, "N", "load: at least so many over all weights (5)", set_passes},
	{"duration", 'd', "TIME", "load: passes for so long", set_duration},
	{"cold-only", 0, NULL, "load: not a second time with a warm cache", set_cold_only},
	{"format", 0, "FORMAT", "text or json", set_format},
};

enum {
	VERB_INFO = 0,
	VERB_SIZES,
	VERB_ADVISE,
	VERB_SYNTH,
	VERB_LOAD,
	VERB_COUNT
};
static const char *const verbs[] = {
	[VERB_INFO] = "info",	[VERB_SIZES] = "sizes", [VERB_ADVISE] = "advise",
	[VERB_SYNTH] = "synth", [VERB_LOAD] = "load",	NULL,
};
static const mp_gguf_verb_fn verb_rows[VERB_COUNT] = {
	[VERB_INFO] = mp_gguf_info,   [VERB_SIZES] = mp_gguf_sizes, [VERB_ADVISE] = mp_gguf_advise,
	[VERB_SYNTH] = mp_gguf_synth, [VERB_LOAD] = mp_gguf_load,
};

int mp_gguf_args_model(const struct mp_cli *cli, struct mp_gguf_args *args,
		       const struct mp_model **ret, struct mp_error *err)
{
	int error = mp_cli_load_models(cli, &args->models, err);

	if (error)
		return error;
	*ret = args->model_id ? mp_models_find(&args->models, args->model_id, err) : NULL;
	return args->model_id && !*ret ? -EINVAL : 0;
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct mp_gguf_args *args = state;

	if (rest[0] && !args->file)
		args->file = *rest++;
	if (rest[0])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf %s: unexpected argument %s: see memprobe-bpf gguf --help",
			       verbs[cli->verb], rest[0]);
	if (args->context_given && !args->context && cli->verb != VERB_LOAD)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--context 0: a whole number of tokens above zero; load takes 0");
	if (!args->context_given)
		args->context = MP_ADVICE_CONTEXT;
	return verb_rows[cli->verb](cli, args, err);
}

static void end(void *state)
{
	struct mp_gguf_args *args = state;

	free(args->levels);
	mp_models_free(&args->models);
}

const struct mp_command mp_cmd_gguf = {
	.name = "gguf",
	.usage = "gguf info|sizes|advise|synth|load [FILE] [OPTION]...",
	.summary = "model files: what is in them, what they take, which level fits",
	.details =
		"info tells what is in a file, and checks it. sizes are the bytes of a model at\n"
		"each level of quantization. advise tells which level fits a device, and why.\n"
		"synth writes a file of a model's exact layout without its meaning. load loads\n"
		"a file as llama.cpp does, and passes over its weights as decoding does.\n",
	.examples = "  memprobe-bpf gguf sizes --model-id qwen2.5-7b\n"
		    "  memprobe-bpf gguf advise --model-id qwen2.5-7b --limit 4G --explain\n"
		    "  memprobe-bpf gguf synth --model-id qwen2.5-0.5b --quant Q4_K_M -o m.gguf\n"
		    "  memprobe-bpf gguf info m.gguf\n"
		    "  memprobe-bpf gguf load m.gguf --passes 20\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.verbs = verbs,
	.takes_rest = true,
	.mixes_rest = true,
	.size = sizeof(struct mp_gguf_args),
	.run = run,
	.end = end,
};
