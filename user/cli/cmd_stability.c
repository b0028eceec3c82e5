// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "cli/model_run.h"
#include "harness/stability.h"

#define HOUR_NS 3600e9
#define MOST_HOURS 8784 /* a leap year */
#define REST_NS 300000000000ULL
#define BAR_WIDTH 30
#define SENTENCE 1024

struct stability_args {
	struct mp_model_args m; /* first: the options that are shared set it */
	bool use_model;
	struct mp_model_file model_file;
	struct mp_rehearsal_options model_options;
	struct mp_rehearsal model;
	struct mp_model_run model_run;
	uint64_t total_ns;
	uint64_t rest_ns;
	const char *resume;
	struct mp_report_file *file; /* that is resumed */
	struct mp_report_name name;
	char dir[sizeof(((struct mp_report_name *)NULL)->stem)]; /* of what is resumed */
	bool rest_given;

	const struct mp_cli *cli;
	unsigned int parts_done;
	bool begun;
	bool on_terminal;
	bool save_failed; /* told once */
};

/* --- options ------------------------------------------------------------------------- */

static int set_hours(void *state, const char *value, struct mp_error *err)
{
	char *rest;
	double hours = strtod(value, &rest);

	if (rest == value || *rest || !(hours > 0 && hours <= MOST_HOURS))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--hours %s: a number above zero, such as 24 or 0.5", value);
	((struct stability_args *)state)->total_ns = (uint64_t)llround(hours * HOUR_NS);
	return 0;
}

static int set_rest(void *state, const char *value, struct mp_error *err)
{
	struct stability_args *args = state;

	args->rest_given = true;
	return mp_harness_parse_time("--rest", value, &args->rest_ns, err);
}

static int set_resume(void *state, const char *value, struct mp_error *err)
{
	(void)err;
	((struct stability_args *)state)->resume = value;
	return 0;
}

static int set_use_model(void *state, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct stability_args *)state)->use_model = true;
	return 0;
}

static const struct mp_option options[] = {
	{"hours", 0, "H", "how long: 24, or 0.02 for a short one", set_hours},
	{"rest", 0, "TIME", "after each pattern (300)", set_rest},
	{"resume", 0, "FILE", "go on with the run of a JSON report that was cut short", set_resume},
	{"use-model", 0, NULL, "a model is loaded and passed over all the time", set_use_model},
	{"model", 'm', "FILE", "--use-model: a GGUF file", mp_model_set_file},
	{"quant", 0, "LEVEL", "--use-model: of --model-id (Q4_K_M)", mp_model_set_quant},
	MP_MODEL_OPTIONS,
	MP_HARNESS_OPTIONS,
};

/* --- a run that was cut short ----------------------------------------------------------- */

static int fail_resume(const struct stability_args *args, const char *why, struct mp_error *err)
{
	return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--resume %s: %s", args->resume, why);
}

/* The same files are written again. */
static int take_name(struct stability_args *args, struct mp_error *err)
{
	size_t len = strlen(args->resume);
	char *slash;

	if (len < 6 || strcmp(args->resume + len - 5, ".json") != 0)
		return fail_resume(args, "the .json file of a report is needed", err);
	if (len - 5 >= sizeof(args->name.stem))
		return fail_resume(args, "its name is too long", err);
	memcpy(args->name.stem, args->resume, len - 5);
	memcpy(args->dir, args->name.stem, sizeof(args->dir));
	slash = strrchr(args->dir, '/');
	if (slash)
		slash[slash == args->dir] = '\0';
	args->m.h.save.dir = slash ? args->dir : ".";
	return 0;
}

static int take_up(struct stability_args *args, struct mp_error *err)
{
	const struct mp_memory_report *r;
	int error = take_name(args, err);

	error = error ?: mp_report_read(args->resume, &args->file, err);
	if (error)
		return error;
	r = mp_report_of(args->file);
	if (!r->stability.total_ns)
		return fail_resume(args, "it is not the report of a stability run", err);
	args->total_ns = args->total_ns ?: r->stability.total_ns;
	if (!args->rest_given)
		args->rest_ns = r->stability.rest_ns;
	if (r->duration_ns >= args->total_ns)
		return fail_resume(args, "that run went to its end", err);
	args->m.h.o.earlier = r;
	return 0;
}

/* --- on disk, as it goes ---------------------------------------------------------------- */

static void describe_plan(const struct stability_args *args, struct mp_memory_report *r)
{
	const struct mp_pattern_options *o = &args->m.h.o.pattern_options;

	r->stability.total_ns = args->total_ns;
	r->stability.rest_ns = args->rest_ns;
	r->stability.round_ns = mp_stability_round_ns(o);
	r->stability.rounds = o->rounds;
	r->stability.rounds_done = mp_stability_parts_done(o, r->duration_ns) / MP_STABILITY_PARTS;
}

/* As if it had ended now: what is left when it is killed. */
static void save_so_far(struct stability_args *args, const struct mp_memory_report *so_far)
{
	struct mp_memory_report r = *so_far;
	char verdict[SENTENCE + 128], leaks[SENTENCE];
	struct mp_error err = {0};

	r.duration_ns = r.samples[r.n_samples - 1].t_ns;
	r.outcome = MP_OUTCOME_INTERRUPTED;
	if (r.n_phases && !r.phases[r.n_phases - 1].end_ns)
		r.n_phases--;
	r.pressure.some_ns = r.samples[r.n_samples - 1].some_ns;
	r.pressure.full_ns = r.samples[r.n_samples - 1].full_ns;
	r.pressure.oom_kills = r.pressure.high_events = r.pressure.max_events = MP_UNKNOWN;
	describe_plan(args, &r);
	mp_memory_report_find_leaks(&r, leaks, sizeof(leaks));
	snprintf(verdict, sizeof(verdict), "Not at its end: %u of %u rounds done%s%s",
		 r.stability.rounds_done, r.stability.rounds, leaks[0] ? "; " : "", leaks);
	r.verdict = verdict;
	r.recommendation = "go on with it: stability --resume";
	if (!mp_report_save(&r, args->m.h.save.dir, MP_REPORT_JSON, &args->name, &err) ||
	    args->save_failed)
		return;
	args->save_failed = true;
	fprintf(stderr, "\rmemprobe-bpf: warning: %s\n", err.text);
}

/* --- progress --------------------------------------------------------------------------- */

static void draw_bar(const struct stability_args *args, uint64_t t_ns, const struct mp_want *want)
{
	const struct mp_pattern_options *o = &args->m.h.o.pattern_options;
	double share = fmin((double)t_ns / (double)args->total_ns, 1);
	uint64_t left = args->total_ns > t_ns ? args->total_ns - t_ns : 0;
	int full = (int)(share * BAR_WIDTH);
	unsigned int round = args->parts_done / MP_STABILITY_PARTS + 1;
	char eta[MP_HUMAN_LEN];

	fprintf(stderr, "\r[%.*s%.*s] %3.0f %%  round %u of %u  %-9s  ETA %-8s", full,
		"##############################", BAR_WIDTH - full,
		"..............................", share * 100,
		round < o->rounds ? round : o->rounds, o->rounds, want->phase,
		mp_duration_format(left, eta));
}

static void print_line(const struct stability_args *args, uint64_t t_ns, const struct mp_want *want)
{
	char at[MP_HUMAN_LEN], eta[MP_HUMAN_LEN];
	uint64_t left = args->total_ns > t_ns ? args->total_ns - t_ns : 0;

	fprintf(stderr, "%s: round %u of %u: %s, ETA %s\n", mp_duration_format(t_ns, at),
		args->parts_done / MP_STABILITY_PARTS + 1, args->m.h.o.pattern_options.rounds,
		want->phase, mp_duration_format(left, eta));
}

static int on_sample(void *data, const struct mp_memory_report *so_far, const struct mp_want *want)
{
	struct stability_args *args = data;
	uint64_t t_ns = so_far->samples[so_far->n_samples - 1].t_ns;
	unsigned int done = mp_stability_parts_done(&args->m.h.o.pattern_options, t_ns);
	bool is_new = !args->begun || done != args->parts_done;

	args->begun = true;
	args->parts_done = done;
	if (args->on_terminal)
		draw_bar(args, t_ns, want);
	else if (is_new && !args->cli->quiet)
		print_line(args, t_ns, want);
	if (is_new)
		save_so_far(args, so_far);
	return 0;
}

/* --- the model ---------------------------------------------------------------------------- */

static int ready_with_model(struct stability_args *args, char **rest, struct mp_error *err)
{
	struct mp_model_args *m = &args->m;
	int error;

	if (m->load.passes)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--passes: they go on to the end");
	m->load.duration_ns = args->total_ns + MP_MODEL_AFTER_NS;
	error = mp_model_args_ready(args->cli, m, rest, err);
	error = error ?: mp_model_args_file(m, NULL, &args->model_file, err);
	error = error ?: mp_model_args_device(m, args->model_file.gguf.file_bytes, err);
	if (error)
		return error;
	mp_model_args_rehearsal(m, &args->model_file, &args->model_options);
	return mp_rehearsal_prepare(&args->model_options, &args->model, &m->h.o, err);
}

static int ready_without(struct stability_args *args, char **rest, struct mp_error *err)
{
	if (args->m.model_id || args->m.file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--model-id and --model: with --use-model a model is loaded");
	return mp_harness_args_ready(args->cli, &args->m.h, rest, err);
}

/* What came of it goes into the report; its sentence into the verdict. */
static int add_model(struct stability_args *args, const struct mp_harness_result *result,
		     struct mp_model_advised *advised, struct mp_memory_report *r,
		     char sentence[MP_MODEL_SENTENCE], struct mp_error *err)
{
	const struct mp_model_kept kept = {
		.id = args->m.model ? args->m.model->id : NULL,
		.file = args->model_file.path,
		.is_synthesized = args->model_file.is_synthesized,
		.runs = &args->model_run,
		.n_runs = 1,
		.advised = advised,
	};
	int error = mp_rehearsal_finish(&args->model, result, &args->model_run);

	error = error
			?: mp_model_advise(&args->m, &args->model_file.shape, &args->model_run,
					   advised, err);
	if (error)
		return error;
	mp_model_fill_report(&args->m, &kept, r);
	mp_rehearsal_sentence(&args->model, &args->model_run, sentence, MP_MODEL_SENTENCE);
	return 0;
}

/* --- the end ---------------------------------------------------------------------------- */

/* What came to its end by itself before its time was not stable for that long. */
static bool is_early(const struct stability_args *args, const struct mp_memory_report *r)
{
	const struct mp_pattern_options *o = &args->m.h.o.pattern_options;

	return r->outcome == MP_OUTCOME_OK &&
	       mp_stability_parts_done(o, r->duration_ns) < o->rounds * MP_STABILITY_PARTS;
}

static int finish(struct stability_args *args, const struct mp_harness_result *result,
		  struct mp_error *err)
{
	MP_CLEANUP(mp_model_advised_free) struct mp_model_advised advised = {0};
	struct mp_memory_report r = *mp_harness_report(result);
	bool early = is_early(args, &r);
	char verdict[2 * SENTENCE + MP_MODEL_SENTENCE], leaks[SENTENCE], time[MP_HUMAN_LEN];
	char model[MP_MODEL_SENTENCE] = "";
	unsigned int n_leaks;
	int exit_code = mp_harness_exit_code(result);
	int error = args->use_model ? add_model(args, result, &advised, &r, model, err) : 0;

	if (error)
		return error;
	describe_plan(args, &r);
	n_leaks = mp_memory_report_find_leaks(&r, leaks, sizeof(leaks));
	snprintf(verdict, sizeof(verdict), "%s; %s%u of %u rounds in %s; %s%s%s", r.verdict,
		 early ? "the program ended before its time, after " : "", r.stability.rounds_done,
		 r.stability.rounds, mp_duration_format(r.duration_ns, time),
		 n_leaks ? leaks : "no leak is seen", model[0] ? ". The model: " : "", model);
	r.verdict = verdict;
	if (early)
		r.outcome = MP_OUTCOME_INTERRUPTED;
	if (n_leaks)
		r.recommendation = "find what grows: attach with injection points on what "
				   "allocates, and look at rss_delta";
	printf("%s\n", verdict);
	error = mp_save_report(args->cli, &args->m.h.save, &r, &args->name, err);
	if (error)
		return error;
	return !exit_code && (n_leaks || early) ? MP_EXIT_CHECK : exit_code;
}

/* --- the command ------------------------------------------------------------------------- */

static int plan(struct stability_args *args, struct mp_error *err)
{
	struct mp_pattern_options *o = &args->m.h.o.pattern_options;

	o->rest_ns = args->rest_ns ?: REST_NS;
	args->rest_ns = o->rest_ns;
	args->m.h.o.pattern = &mp_pattern_stability;
	args->m.h.o.sample_ns = mp_stability_sample_ns(args->total_ns);
	args->m.h.o.progress = on_sample;
	args->m.h.o.data = args;
	return mp_stability_plan(o, args->total_ns, err);
}

static int get_ready(struct mp_cli *cli, struct stability_args *args, char **rest,
		     struct mp_error *err)
{
	int error = args->resume ? take_up(args, err) : 0;

	if (error)
		return error;
	if (!args->total_ns)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--hours is needed: how long, such as 24 or 0.02");
	args->cli = cli;
	args->on_terminal = !cli->quiet && isatty(STDERR_FILENO);
	args->m.h.save.save = true;
	if (args->m.h.save.formats)
		args->m.h.save.formats |= MP_REPORT_JSON; /* what --resume reads */
	args->m.h.save.dir = args->m.h.save.dir ? args->m.h.save.dir : MP_SAVE_DIR;
	error = args->use_model ? ready_with_model(args, rest, err)
				: ready_without(args, rest, err);
	return error ?: plan(args, err);
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct stability_args *args = state;
	struct mp_harness_result *result;
	int ret = get_ready(cli, args, rest, err);

	ret = ret ?: mp_harness_run(&args->m.h.o, &result, err);
	if (args->on_terminal && args->begun)
		fputc('\n', stderr);
	if (ret)
		return ret;
	ret = finish(args, result, err);
	mp_harness_result_free(result);
	return ret;
}

static void end(void *state)
{
	struct stability_args *args = state;

	mp_report_file_free(args->file);
	free(args->model_run.passes);
	mp_rehearsal_free(&args->model);
	mp_model_args_let_go(&args->m, &args->model_file);
	mp_model_args_free(&args->m);
}

const struct mp_command mp_cmd_stability = {
	.name = "stability",
	.usage = "stability --hours H [OPTION]... [-- COMMAND [ARG]...]",
	.summary = "hours of pressure in turn, with rests, and who leaks meanwhile",
	.details =
		"Plays staircase, burst and sawtooth, each followed by a rest, for so many hours.\n"
		"The report is on disk after each of them, whatever happens to the run: it can be\n"
		"gone on with (--resume). Exits 1 when the program, or anything else, leaks.\n"
		"With --use-model the program is a model's loader, and passes go on to the end.\n",
	.examples = "  memprobe-bpf stability --hours 24 --env 2gb-extreme -- ./server\n"
		    "  memprobe-bpf stability --hours 0.02\n"
		    "  memprobe-bpf stability --hours 8 --use-model --model-id qwen2.5-1.5b "
		    "--env 4gb\n"
		    "  memprobe-bpf stability --resume "
		    "logs/memory_tests/20260101_120000_stability_memory_test.json -- ./server\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct stability_args),
	.run = run,
	.end = end,
};
