// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cli/model_run.h"
#include "harness/patterns.h"

#define TEST_NS 60000000000ULL
/* --- options ------------------------------------------------------------------------- */

static int set_test_duration(void *state, const char *value, struct mp_error *err)
{
	return mp_harness_parse_time("--test-duration", value,
				     &((struct mp_model_args *)state)->test_ns, err);
}

static const struct mp_option options[] = {
	{"model", 'm', "FILE", "a GGUF file", mp_model_set_file},
	{"quant", 0, "LEVEL", "of --model-id (Q4_K_M)", mp_model_set_quant},
	{"mode", 0, "MODE", "a pattern beside it: staircase, burst, sawtooth or allocate_full",
	 mp_harness_set_mode},
	{"test-duration", 0, "TIME", "of the pattern, unless its own times say otherwise (60)",
	 set_test_duration},
	{"passes", 0, "N", "without --mode: so many over all weights (5)", mp_model_set_passes},
	MP_MODEL_OPTIONS,
	MP_HARNESS_OPTIONS,
};

/* --- how long ---------------------------------------------------------------------------- */

/* The pattern takes the test's time; a sawtooth's and a staircase's parts have equal shares. */
static void spread_pattern(struct mp_model_args *args)
{
	struct mp_pattern_options *p = &args->h.o.pattern_options;
	unsigned int cycles = p->cycles ?: MP_HARNESS_CYCLES;
	unsigned int steps = p->steps ?: MP_HARNESS_STEPS;
	bool is_sawtooth = args->h.o.pattern == &mp_pattern_sawtooth;

	args->test_ns = args->test_ns ?: TEST_NS;
	p->interval_ns = p->interval_ns ?: args->test_ns / steps;
	p->duration_ns = p->duration_ns ?: args->test_ns / (is_sawtooth ? cycles : 1);
	args->load.passes = 0;
}

static int set_times(struct mp_model_args *args, struct mp_error *err)
{
	if (args->h.o.pattern && args->load.passes)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--passes: with --mode they go on as long as the pattern does");
	if (args->h.o.pattern) {
		spread_pattern(args);
		args->load.duration_ns = args->test_ns + MP_MODEL_AFTER_NS;
		return 0;
	}
	args->load.duration_ns = args->test_ns;
	mp_model_args_alone(args);
	return 0;
}

/* --- what is told --------------------------------------------------------------------------- */

static void print_load(const struct mp_model_run *run)
{
	char cold[MP_HUMAN_LEN], warm[MP_HUMAN_LEN], p50[MP_HUMAN_LEN], max[MP_HUMAN_LEN];

	printf("%-12s cold %s, warm %s\n", "load", mp_duration_format(run->load_cold_ns, cold),
	       mp_duration_format(run->load_warm_ns, warm));
	printf("%-12s %llu, the median %s, the slowest %s\n", "passes",
	       (unsigned long long)run->passes_done, mp_duration_format(run->pass_p50_ns, p50),
	       mp_duration_format(run->pass_max_ns, max));
}

static void print_peaks(const struct mp_model_run *run)
{
	char anon[MP_HUMAN_LEN], file[MP_HUMAN_LEN], group[MP_HUMAN_LEN];
	char more_anon[MP_HUMAN_LEN], more_file[MP_HUMAN_LEN];

	printf("%-12s anonymous %s (predicted %s), file %s (predicted %s), group %s\n", "peak",
	       mp_size_format(run->peak_anon, anon), mp_size_format(run->predicted_anon, more_anon),
	       mp_size_format(run->peak_file, file), mp_size_format(run->predicted_file, more_file),
	       mp_size_format(run->peak_group, group));
}

static void print_cost(const struct mp_model_run *run)
{
	char faults[MP_HUMAN_LEN], bytes[MP_HUMAN_LEN], again[MP_HUMAN_LEN];
	char some[MP_HUMAN_LEN], full[MP_HUMAN_LEN], reclaimed[MP_HUMAN_LEN];

	printf("%-12s %s major faults, %s from the disk, %s of it again\n", "read",
	       mp_count_format(run->major_faults, faults), mp_size_format(run->read_bytes, bytes),
	       mp_size_format(run->reread_bytes, again));
	printf("%-12s some %s, all %s; %s reclaimed\n", "stalled",
	       mp_duration_format(run->some_ns, some), mp_duration_format(run->full_ns, full),
	       mp_size_format(run->reclaimed_bytes, reclaimed));
}

static void print_run(const struct mp_model_args *args, const struct mp_model_file *file,
		      const struct mp_model_run *run)
{
	char bytes[MP_HUMAN_LEN], limit[MP_HUMAN_LEN];

	printf("%-12s %s %s, %s%s, loader %s\n", "model",
	       args->model_id ? args->model_id : file->path, run->level ? run->level : "",
	       mp_size_format(run->file_bytes, bytes), file->is_synthesized ? ", made" : "",
	       mp_loader_name(args->load.loader));
	printf("%-12s %s (%s)\n", "limit", mp_size_format(run->limit, limit),
	       args->h.o.profile->name);
	print_load(run);
	print_peaks(run);
	print_cost(run);
	printf("%-12s %s%s%s\n", "outcome", mp_outcome_name(run->outcome),
	       run->predicted == MP_OUTCOME_COUNT ? "" : ", predicted ",
	       run->predicted == MP_OUTCOME_COUNT ? "" : mp_outcome_name(run->predicted));
}

/* --- the command ----------------------------------------------------------------------------- */

static int tell_and_save(struct mp_model_args *args, const struct mp_model_file *file,
			 struct mp_model_rehearsed *done, struct mp_error *err)
{
	MP_CLEANUP(mp_model_advised_free) struct mp_model_advised advised = {0};
	struct mp_memory_report r = *mp_harness_report(done->result);
	struct mp_report_name name = {0};
	const struct mp_model_kept kept = {
		.id = args->model ? args->model->id : NULL,
		.file = file->path,
		.is_synthesized = file->is_synthesized,
		.runs = &done->run,
		.n_runs = 1,
		.advised = &advised,
	};
	int error = mp_model_advise(args, &file->shape, &done->run, &advised, err);

	if (error)
		return error;
	mp_model_fill_report(args, &kept, &r);
	if (args->h.o.pattern == &mp_pattern_watch)
		r.test_mode = "model";
	r.outcome = done->run.outcome;
	r.verdict = done->sentence;
	r.recommendation = advised.sentence.data;
	if (!args->cli->quiet)
		print_run(args, file, &done->run);
	printf("%s\n", done->sentence);
	if (!args->cli->quiet)
		printf("%s\n", advised.sentence.data);
	return mp_save_report(args->cli, &args->h.save, &r, &name, err);
}

static int run_file(struct mp_model_args *args, struct mp_model_file *file, struct mp_error *err)
{
	struct mp_model_rehearsed done;
	int exit_code;
	int error = mp_model_args_device(args, file->gguf.file_bytes, err);

	error = error ?: mp_model_rehearse(args, file, NULL, &done, err);
	if (error)
		return error;
	exit_code = mp_model_exit_code(&done);
	error = tell_and_save(args, file, &done, err);
	mp_model_rehearsed_free(&done);
	return error ? error : exit_code;
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct mp_model_args *args = state;
	struct mp_model_file file;
	int ret = set_times(args, err);

	ret = ret ?: mp_model_args_ready(cli, args, rest, err);
	ret = ret ?: mp_model_args_file(args, NULL, &file, err);
	if (ret)
		return ret;
	ret = run_file(args, &file, err);
	mp_model_args_let_go(args, &file);
	return ret;
}

const struct mp_command mp_cmd_model = {
	.name = "model",
	.usage = "model --model-id ID|--model FILE [--env PROFILE|--limit SIZE] [OPTION]...",
	.summary = "load a model under a limit, with pressure beside it if asked",
	.details = "Really loads the file in a group with that limit, and passes over all its "
		   "weights\n"
		   "as decoding does. Tells whether it fits, thrashes (weights are read from the "
		   "disk\n"
		   "again and again) or is killed, what it took, and what would fit. A model of\n"
		   "models.yaml that is not on the disk is made: of its exact layout, without "
		   "meaning.\n"
		   "Exits 0 when it fits, 1 when it thrashes, 7 when memory ran out.\n",
	.examples =
		"  memprobe-bpf model --model-id qwen2.5-1.5b --quant Q4_K_M --env 2gb-extreme\n"
		"  memprobe-bpf model --model m.gguf --limit 1.6x --context 2048 --passes 20\n"
		"  memprobe-bpf model --model m.gguf --limit 2G --mode burst --target 80\n"
		"  memprobe-bpf model --model m.gguf --limit 2G --exec './llama-cli -m {model} -n "
		"8'\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct mp_model_args),
	.run = run,
	.end = mp_model_args_free,
};
