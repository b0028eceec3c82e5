// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "cli/model_run.h"
#include "cli/profile.h"

#define DEFAULT_LEVELS "Q2_K,Q4_K_M,Q6_K"

static const struct mp_option options[] = {
	{"quant-levels", 0, "LIST", "which to load (" DEFAULT_LEVELS ")", mp_model_set_levels},
	{"passes", 0, "N", "of each: so many over all weights (5)", mp_model_set_passes},
	MP_MODEL_OPTIONS,
	MP_DEVICE_OPTIONS,
};

/* What is kept of the levels that are done. */
struct series {
	struct mp_model_run *runs; /* their passes are owned */
	size_t n;
	struct mp_harness_result *last; /* whose report has all of them */
	struct mp_model_shape shape;	/* of the first file */
	bool is_synthesized;
	bool was_interrupted;
	char file[256];
};

static void series_free(struct series *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->runs[i].passes);
	free(s->runs);
	mp_harness_result_free(s->last);
}

/* --- the table ------------------------------------------------------------------------------ */

static void print_head(void)
{
	printf("%-8s %9s %8s %8s %8s %9s %7s %6s  %-11s %-11s %s\n", "level", "size", "cold",
	       "warm", "pass", "peak", "faults", "again", "predicted", "outcome", "quality");
}

/* Of what a pass reads, how much comes from the disk once passes have settled. */
static const char *format_again(const struct mp_model_run *run, char out[MP_HUMAN_LEN])
{
	double share = (double)run->pass_read_bytes * 100 / (double)run->tensor_bytes;

	if (run->pass_read_bytes == MP_UNKNOWN)
		return "-";
	snprintf(out, MP_HUMAN_LEN, "%.0f %%", fmin(share, 100));
	return out;
}

static const char *format_quality(const struct mp_model_run *run, char out[MP_HUMAN_LEN])
{
	if (isnan(run->perplexity))
		return "-";
	snprintf(out, MP_HUMAN_LEN, "+%.4f", run->perplexity);
	return out;
}

static void print_row(const struct mp_model_run *run)
{
	char size[MP_HUMAN_LEN], cold[MP_HUMAN_LEN], warm[MP_HUMAN_LEN], pass[MP_HUMAN_LEN];
	char peak[MP_HUMAN_LEN], faults[MP_HUMAN_LEN], again[MP_HUMAN_LEN], quality[MP_HUMAN_LEN];

	printf("%-8s %9s %8s %8s %8s %9s %7s %6s  %-11s %-11s %s\n", run->level,
	       mp_size_format(run->file_bytes, size), mp_duration_format(run->load_cold_ns, cold),
	       mp_duration_format(run->load_warm_ns, warm),
	       mp_duration_format(run->pass_p50_ns, pass), mp_size_format(run->peak_rss, peak),
	       mp_count_format(run->major_faults, faults), format_again(run, again),
	       run->predicted == MP_OUTCOME_COUNT ? "-" : mp_outcome_name(run->predicted),
	       mp_outcome_name(run->outcome), format_quality(run, quality));
	fflush(stdout);
}

/* --- what to take ----------------------------------------------------------------------------- */

/* F16 is what the others are measured against; of those that are not known the larger is better. */
static bool is_better(const struct mp_model_run *a, const struct mp_model_run *b)
{
	if (isnan(a->perplexity) || isnan(b->perplexity))
		return a->tensor_bytes > b->tensor_bytes;
	return a->perplexity < b->perplexity;
}

static const struct mp_model_run *best_of(const struct series *s)
{
	const struct mp_model_run *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct mp_model_run *run = &s->runs[i];

		if (run->outcome == MP_OUTCOME_OK && (!best || is_better(run, best)))
			best = run;
	}
	return best;
}

static size_t done_of(const struct series *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->runs[i].outcome != MP_OUTCOME_INTERRUPTED;
	return n;
}

static void say_verdict(const struct mp_model_args *args, const struct series *s, char *out,
			size_t size)
{
	const struct mp_model_run *best = best_of(s);
	char limit[MP_HUMAN_LEN], pass[MP_HUMAN_LEN];

	mp_size_format(args->h.o.profile->limit_bytes, limit);
	if (s->was_interrupted)
		snprintf(out, size, "Interrupted after %zu of %zu levels", done_of(s),
			 args->n_levels);
	else if (best)
		snprintf(out, size,
			 "Take %s: the best of those that were loaded which stays in memory under "
			 "%s; a pass over its weights takes %s",
			 best->level, limit, mp_duration_format(best->pass_p50_ns, pass));
	else
		snprintf(out, size, "None of the levels that were loaded stays in memory under %s",
			 limit);
}

static const struct mp_model_run *run_of(const struct series *s, const struct mp_quant_level *level)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->runs[i].level, level->name) == 0)
			return &s->runs[i];
	}
	return NULL;
}

/*
 * The arithmetic knows of levels that were not loaded, and leaves a margin; of those that were
 * loaded, the load is right.
 */
static void recommend(const struct series *s, const struct mp_model_advised *a, char *out,
		      size_t size)
{
	const struct mp_quant_level *level = a->advice.best ? a->advice.best->level : NULL;
	const struct mp_model_run *run = level ? run_of(s, level) : NULL;

	if (!run || run->outcome == MP_OUTCOME_OK || run->outcome == MP_OUTCOME_INTERRUPTED)
		snprintf(out, size, "By the arithmetic, which leaves a margin: %s",
			 a->sentence.data);
	else if (a->smaller)
		snprintf(out, size,
			 "Use a smaller model, for example %s at %s: by the arithmetic %s would "
			 "just fit, but it did not when it was loaded",
			 a->smaller->id, a->smaller_level->name, level->name);
	else
		snprintf(out, size,
			 "Use a smaller model, or raise the limit: by the arithmetic %s would just "
			 "fit, but it did not when it was loaded",
			 level->name);
}

/* As good as the best of them is. */
static enum mp_outcome outcome_of(const struct series *s)
{
	enum mp_outcome outcome = MP_OUTCOME_OOM_KILLED;

	if (s->was_interrupted)
		return MP_OUTCOME_INTERRUPTED;
	if (best_of(s))
		return MP_OUTCOME_OK;
	for (size_t i = 0; i < s->n; i++) {
		if (s->runs[i].outcome == MP_OUTCOME_THRASH)
			outcome = MP_OUTCOME_THRASH;
	}
	return outcome;
}

/* --- levels, one after the other ----------------------------------------------------------------
 */

static int run_level(struct mp_model_args *args, struct mp_model_file *file, struct series *s,
		     struct mp_error *err)
{
	const struct mp_memory_report *earlier = s->last ? mp_harness_report(s->last) : NULL;
	struct mp_model_rehearsed done;
	int error = mp_model_rehearse(args, file, earlier, &done, err);

	if (error)
		return error;
	mp_harness_result_free(s->last);
	s->last = MP_TAKE(done.result);
	s->runs[s->n++] = done.run;
	s->shape = file->shape;
	s->is_synthesized |= file->is_synthesized;
	s->was_interrupted = done.run.outcome == MP_OUTCOME_INTERRUPTED && !done.has_failed;
	snprintf(s->file, sizeof(s->file), "%s", file->path);
	if (done.has_failed)
		mp_cli_note((void *)args->cli, done.sentence);
	if (!args->cli->quiet)
		print_row(&s->runs[s->n - 1]);
	return 0;
}

static int run_levels(struct mp_model_args *args, struct series *s, struct mp_error *err)
{
	int error = 0;

	s->runs = calloc(args->n_levels, sizeof(*s->runs));
	if (!s->runs)
		return -ENOMEM;
	for (size_t i = 0; i < args->n_levels && !s->was_interrupted && !error; i++) {
		struct mp_model_file file;

		error = mp_model_args_file(args, args->levels[i], &file, err);
		s->was_interrupted = error == -EINTR && s->n;
		if (error)
			return s->was_interrupted ? 0 : error;
		error = run_level(args, &file, s, err);
		mp_model_args_let_go(args, &file);
	}
	return error;
}

static int tell_and_save(struct mp_model_args *args, struct series *s, struct mp_error *err)
{
	MP_CLEANUP(mp_model_advised_free) struct mp_model_advised advised = {0};
	struct mp_memory_report r = *mp_harness_report(s->last);
	struct mp_report_name name = {0};
	char verdict[MP_MODEL_SENTENCE], recommendation[MP_MODEL_SENTENCE];
	const struct mp_model_kept kept = {
		.id = args->model->id,
		.file = s->file,
		.is_synthesized = s->is_synthesized,
		.runs = s->runs,
		.n_runs = s->n,
		.advised = &advised,
	};
	int error = mp_model_advise(args, &s->shape, s->runs, &advised, err);

	if (error)
		return error;
	mp_model_fill_report(args, &kept, &r);
	say_verdict(args, s, verdict, sizeof(verdict));
	r.test_mode = "quantization";
	r.n_points = 0; /* they are of the last level alone; the calls of all are in the events */
	r.outcome = outcome_of(s);
	r.verdict = verdict;
	recommend(s, &advised, recommendation, sizeof(recommendation));
	r.recommendation = recommendation;
	printf("%s\n%s\n", verdict, recommendation);
	return mp_save_report(args->cli, &args->h.save, &r, &name, err);
}

static int exit_code(const struct series *s)
{
	if (s->was_interrupted)
		return MP_EXIT_INTERRUPTED;
	return best_of(s) ? MP_EXIT_OK : MP_EXIT_CHECK;
}

/* --- the command ---------------------------------------------------------------------------------
 */

static int get_ready(struct mp_cli *cli, struct mp_model_args *args, char **rest,
		     struct mp_error *err)
{
	int error = 0;

	if (!args->model_id)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--model-id is needed: a model of models.yaml, whose levels are to "
			       "be compared");
	if (!args->n_levels)
		error = mp_model_set_levels(args, DEFAULT_LEVELS, err);
	mp_model_args_alone(args);
	error = error ?: mp_model_args_ready(cli, args, rest, err);
	return error ?: mp_model_args_device(args, 0, err);
}

static int compare(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	MP_CLEANUP(series_free) struct series series = {0};
	struct mp_model_args *args = state;
	int error = get_ready(cli, args, rest, err);

	if (error)
		return error;
	if (!cli->quiet)
		print_head();
	error = run_levels(args, &series, err);
	error = error ?: tell_and_save(args, &series, err);
	return error ? error : exit_code(&series);
}

const struct mp_command mp_cmd_quantization = {
	.name = "quantization",
	.usage = "quantization --model-id ID [--quant-levels LIST] [--env PROFILE|--limit SIZE] "
		 "[OPTION]...",
	.summary = "load a model's levels one after the other, and tell which to take",
	.details =
		"Loads each level in a group with that limit, and passes over its weights as\n"
		"decoding does. Tells of each how long it takes, what it takes, whether it fits,\n"
		"thrashes or is killed, and how much worse than F16 it is: the rise of perplexity\n"
		"of Llama 3 8B. Levels that are not on the disk are made, one at a time.\n"
		"Exits 0 when one of them fits, 1 when none does.\n",
	.examples =
		"  memprobe-bpf quantization --model-id qwen2.5-3b --env 2gb-extreme "
		"--save-report\n"
		"  memprobe-bpf quantization --model-id qwen2.5-7b --quant-levels Q2_K,Q3_K_M \\\n"
		"      --limit 4G --loader read --context 2048\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct mp_model_args),
	.run = compare,
	.end = mp_model_args_free,
};
