// SPDX-License-Identifier: GPL-2.0-only
#include "cli/model_args.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "cli/advise.h"
#include "cli/profile.h"
#include "env/device.h"
#include "harness/patterns.h"

#define DEFAULT_LEVEL "Q4_K_M"
#define DEFAULT_PASSES 5
#define MAX_PASSES 1000000000
#define MAX_SCALE (1U << 16)
#define MOST_TIMES 1000
#define MB (1ULL << 20)
#define PROGRAM "llama-cli"
#define PRESET "presets/llama_cpp.yaml"

/* --- options ---------------------------------------------------------------------------- */

int mp_model_set_id(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_model_args *)args)->model_id = value;
	return 0;
}

int mp_model_set_file(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_model_args *)args)->file = value;
	return 0;
}

int mp_model_set_levels(void *state, const char *value, struct mp_error *err)
{
	struct mp_model_args *args = state;

	free(args->levels);
	args->levels = NULL;
	return mp_quant_parse_list(value, &args->levels, &args->n_levels, err);
}

int mp_model_set_quant(void *state, const char *value, struct mp_error *err)
{
	int error = mp_model_set_levels(state, value, err);

	if (!error && ((struct mp_model_args *)state)->n_levels != 1)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--quant %s: one level; several are memprobe-bpf quantization's",
			       value);
	return error;
}

int mp_model_set_loader(void *state, const char *value, struct mp_error *err)
{
	struct mp_model_args *args = state;
	int loader = mp_loader_parse(value);

	if (loader < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--loader %s: it is mmap, read or exec",
			       value);
	args->load.loader = (enum mp_loader)loader;
	args->loader_given = true;
	return 0;
}

int mp_model_set_exec(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_model_args *)args)->exec = value;
	return 0;
}

int mp_model_set_context(void *state, const char *value, struct mp_error *err)
{
	struct mp_model_args *args = state;

	args->context_given = true;
	return mp_advising_parse_context_or_none(value, &args->load.context, err);
}

int mp_model_set_no_repack(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_model_args *)args)->no_repack = true;
	return 0;
}

int mp_model_set_passes(void *args, const char *value, struct mp_error *err)
{
	uint64_t n;

	if (mp_number_parse(value, MAX_PASSES, &n) || n == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--passes %s: a whole number above zero",
			       value);
	((struct mp_model_args *)args)->load.passes = n;
	return 0;
}

int mp_model_set_limit(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_model_args *)args)->limit = value;
	return 0;
}

int mp_model_set_dir(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_model_args *)args)->model_dir = value;
	return 0;
}

int mp_model_parse_scale(const char *value, uint32_t *ret_num, uint32_t *ret_den,
			 struct mp_error *err)
{
	MP_FREE char *num = strdup(value);
	char *den = num ? strchr(num, '/') : NULL;
	uint64_t n = 0, d = 0;

	if (den)
		*den++ = '\0';
	if (!den || mp_number_parse(num, MAX_SCALE, &n) || mp_number_parse(den, MAX_SCALE, &d) ||
	    n == 0 || n > d)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--scale %s: a fraction such as 1/16, down to 1/%u", value,
			       MAX_SCALE);
	*ret_num = (uint32_t)n;
	*ret_den = (uint32_t)d;
	return 0;
}

int mp_model_set_scale(void *state, const char *value, struct mp_error *err)
{
	struct mp_model_args *args = state;

	return mp_model_parse_scale(value, &args->scale_num, &args->scale_den, err);
}

/* --- the model --------------------------------------------------------------------------- */

static int find_model(struct mp_model_args *args, struct mp_error *err)
{
	int error;

	if (!args->model_id == !args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--model-id ID or --model FILE is needed, and not both: gguf sizes "
			       "lists what there is");
	if (args->file)
		return 0;
	error = mp_cli_load_models(args->cli, &args->models, err);
	if (error)
		return error;
	args->model = mp_models_find(&args->models, args->model_id, err);
	return args->model ? 0 : -EINVAL;
}

int mp_model_args_file(struct mp_model_args *args, const struct mp_quant_level *level,
		       struct mp_model_file *ret, struct mp_error *err)
{
	struct mp_model_file_options o = {
		.dir = args->model_dir,
		.scale_num = args->scale_num,
		.scale_den = args->scale_den,
		.tell = mp_cli_note,
		.data = (void *)args->cli,
	};
	int error;

	if (args->file)
		return mp_model_file_open(args->file, ret, err);
	if (!level)
		level = args->n_levels ? args->levels[0] : mp_quant_find(DEFAULT_LEVEL, err);
	error = mp_model_file_get(args->model, level, &o, ret, err);
	if (!error && ret->is_temporary)
		error = mp_model_room_note(&args->room, ret->path, err);
	return error;
}

void mp_model_args_let_go(struct mp_model_args *args, struct mp_model_file *file)
{
	bool was_temporary = file->is_temporary;

	mp_model_file_release(file);
	if (was_temporary)
		mp_model_room_forget(&args->room);
}

/* --- the loader ---------------------------------------------------------------------------- */

static int check_program(const char *line, struct mp_error *err)
{
	MP_FREE char *found = NULL;
	char **words = NULL;
	int error = mp_rehearsal_words(line, "model.gguf", &words, err);

	if (error)
		return error;
	found = words[0] ? mp_child_find(words[0]) : NULL;
	if (!found)
		error = mp_fail(err, MP_EXIT_TARGET, ENOENT,
				"--exec %s: there is no program %s: give a path, or one that is in "
				"$PATH; --loader mmap needs none",
				line, words[0] ? words[0] : "in it");
	mp_rehearsal_words_free(words);
	return error;
}

static int use_program(struct mp_model_args *args, struct mp_error *err)
{
	int len = asprintf(
		&args->own_exec, PROGRAM " -m {model} -c %u -n %llu -p Once%s -no-cnv --no-warmup",
		args->load.context, (unsigned long long)(args->load.passes ?: DEFAULT_PASSES),
		args->no_repack ? " --no-repack" : "");

	(void)err;
	if (len < 0) {
		args->own_exec = NULL;
		return -ENOMEM;
	}
	args->exec = args->own_exec;
	return 0;
}

/* What runs the model in the end is the better judge, where it is there. */
static int choose_loader(struct mp_model_args *args, struct mp_error *err)
{
	MP_FREE char *program = mp_child_find(PROGRAM);
	bool may_exec = !args->loader_given && (args->exec || program);
	int error = 0;

	if (args->exec && args->loader_given && args->load.loader != MP_LOADER_EXEC)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--exec is of --loader exec, not of --loader %s",
			       mp_loader_name(args->load.loader));
	if (may_exec)
		args->load.loader = MP_LOADER_EXEC;
	if (args->load.loader != MP_LOADER_EXEC)
		return 0;
	if (!args->exec)
		error = use_program(args, err);
	return error ?: check_program(args->exec, err);
}

/* Presets lie beside the points that are shipped; without them these will do. */
static int find_points(struct mp_model_args *args, struct mp_error *err)
{
	int error = mp_cli_find_config(args->cli, "injection_points.yaml", &args->points, err);
	const char *slash = error ? NULL : strrchr(args->points, '/');
	int dir = slash ? (int)(slash - args->points) : 0;

	if (error)
		return error;
	if (asprintf(&args->exec_points, "%.*s%s" PRESET, dir, args->points, slash ? "/" : "") <
	    0) {
		args->exec_points = NULL;
		return -ENOMEM;
	}
	if (access(args->exec_points, R_OK) == 0)
		return 0;
	free(args->exec_points);
	args->exec_points = strdup(args->points);
	return args->exec_points ? 0 : -ENOMEM;
}

/* --- the device ----------------------------------------------------------------------------- */

static int parse_limit(const char *text, uint64_t file_bytes, uint64_t *ret, struct mp_error *err)
{
	char *rest;
	double times = strtod(text, &rest);

	if (rest != text && strcmp(rest, "x") == 0) {
		if (!(times > 0 && times <= MOST_TIMES))
			return mp_fail(err, MP_EXIT_USAGE, EINVAL,
				       "--limit %s: so many times the file's size, such as 1.6x",
				       text);
		if (!file_bytes)
			return mp_fail(err, MP_EXIT_USAGE, EINVAL,
				       "--limit %s: levels have files of different sizes: give a "
				       "size, such as 2G",
				       text);
		*ret = (uint64_t)(times * (double)file_bytes);
		return 0;
	}
	if (mp_size_parse(text, ret) || *ret == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--limit %s: a size such as 1600M, or 1.6x of the file's", text);
	return 0;
}

/* All but what the harness would leave to the host anyway. */
static int limit_here(uint64_t *ret, struct mp_error *err)
{
	const struct mp_fsroot fs = {.root = ""};
	uint64_t total, available, room, reserve;
	struct mp_cgroups cg;
	int error = mp_cgroups_detect(&fs, &cg);

	error = error ?: mp_host_memory(&fs, &total, &available);
	error = error ?: mp_device_room(&cg, NULL, &room);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot tell how much memory there is: %s", strerror(-error));
	reserve = mp_harness_reserve(total);
	available = available > reserve ? available - reserve : 0;
	*ret = available < room ? available : room;
	return 0;
}

/* A profile that does not fit here is told before a file is made. */
static int check_profile(const struct mp_model_args *args, struct mp_error *err)
{
	const struct mp_device_options o = {.profile = args->h.o.profile, .force = args->h.o.force};
	const struct mp_fsroot fs = {.root = ""};
	struct mp_cgroups cg;
	uint64_t room;

	if (!o.profile || mp_cgroups_detect(&fs, &cg) || mp_device_room(&cg, NULL, &room))
		return 0; /* what is wrong the harness tells */
	return mp_device_check(&o, room, err);
}

int mp_model_args_device(struct mp_model_args *args, uint64_t file_bytes, struct mp_error *err)
{
	struct mp_profile *p = &args->ad_hoc;
	int error;

	if (args->h.o.profile)
		return 0;
	if (args->limit)
		error = parse_limit(args->limit, file_bytes, &p->limit_bytes, err);
	else
		error = limit_here(&p->limit_bytes, err);
	if (error)
		return error;
	snprintf(args->ad_hoc_name, sizeof(args->ad_hoc_name),
		 args->limit ? "limit %lluM" : "this machine, %lluM",
		 (unsigned long long)(p->limit_bytes / MB));
	p->name = args->ad_hoc_name;
	p->total_bytes = p->limit_bytes;
	args->h.o.profile = p;
	return 0;
}

#define DAY_NS (24ULL * 3600 * 1000000000)

void mp_model_args_alone(struct mp_model_args *args)
{
	args->h.o.pattern = &mp_pattern_watch;
	args->h.o.pattern_options.duration_ns = DAY_NS;
}

/* --- all of it ------------------------------------------------------------------------------ */

int mp_model_args_ready(const struct mp_cli *cli, struct mp_model_args *args, char **rest,
			struct mp_error *err)
{
	uint64_t limit;
	int error;

	if (rest[0])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "unexpected argument %s: what loads the model is given with --exec",
			       rest[0]);
	if (args->h.env && args->limit)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--env and --limit: a device has one limit; give one of them");
	/* What is wrong with it is told before a file is made. */
	if (args->limit && parse_limit(args->limit, 1, &limit, err))
		return -EINVAL;
	args->cli = cli;
	if (!args->context_given)
		args->load.context = MP_ADVICE_CONTEXT;
	args->load.repack = !args->no_repack;
	error = find_model(args, err);
	error = error ?: choose_loader(args, err);
	error = error ?: find_points(args, err);
	error = error ?: mp_harness_args_ready(cli, &args->h, rest, err);
	error = error ?: check_profile(args, err);
	if (!args->load.passes && !args->load.duration_ns)
		args->load.passes = DEFAULT_PASSES;
	return error;
}

void mp_model_args_rehearsal(const struct mp_model_args *args, struct mp_model_file *file,
			     struct mp_rehearsal_options *ret)
{
	*ret = (struct mp_rehearsal_options){
		.file = file,
		.load = args->load,
		.exec = args->exec,
		.exec_points = args->exec_points,
		.points = args->points,
		.limit = args->h.o.profile->limit_bytes,
		.is_alone = args->h.o.pattern == &mp_pattern_watch,
	};
	ret->load.path = file->path;
}

void mp_model_args_free(void *state)
{
	struct mp_model_args *args = state;

	mp_model_room_end(&args->room);
	mp_models_free(&args->models);
	free(args->levels);
	free(args->own_exec);
	free(args->points);
	free(args->exec_points);
	mp_harness_args_free(&args->h);
}
