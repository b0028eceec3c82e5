// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/size.h"
#include "cgroup/cgroup.h"
#include "cli/advise.h"
#include "cli/profile.h"
#include "cli/watch.h"
#include "report/json.h"
#include "state/trend.h"
#include "target/target.h"

#define LOOKS 11 /* the trend is of a second */
#define BETWEEN_US 100000
#define LEAST_TREND_PCT 0.5
#define GB (1 << 30)
#define MB (1 << 20)
#define WARNING_PCT 75
#define GC_PCT 85
#define CRITICAL_PCT 90
#define NO_MODEL "not known without a model: --model-id ID, or --model FILE"

struct program {
	pid_t pid;
	char comm[16];
	uint64_t rss;
};

struct status_args {
	struct mp_target_spec target;
	bool has_target;
	const char *env;
	const char *model_id, *model; /* one of both, or none */
	uint32_t context;
	enum mp_format format;

	struct mp_profiles profiles;
	const struct mp_profile *profile;
	struct mp_cgroups cg;
	char *domain; /* whose limit it is; NULL: the host's */
	uint64_t limit;
	struct mp_domain_sample now;
	double pct;
	enum mp_trend trend;
	struct program *programs;
	size_t n_programs, programs_cap;
	struct mp_advising advising; /* with a model */
};

/* --- options ------------------------------------------------------------------------- */

static int set_target(void *state, const char *value, struct mp_error *err)
{
	struct status_args *args = state;

	if (args->has_target)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--target %s: status is of one target",
			       value);
	args->has_target = true;
	return mp_target_parse(value, &args->target, err);
}

static int set_env(void *state, const char *value, struct mp_error *err)
{
	(void)err;
	((struct status_args *)state)->env = value;
	return 0;
}

static int set_model_id(void *state, const char *value, struct mp_error *err)
{
	(void)err;
	((struct status_args *)state)->model_id = value;
	return 0;
}

static int set_model(void *state, const char *value, struct mp_error *err)
{
	(void)err;
	((struct status_args *)state)->model = value;
	return 0;
}

static int set_context(void *state, const char *value, struct mp_error *err)
{
	return mp_advising_parse_context(value, &((struct status_args *)state)->context, err);
}

static int set_format(void *state, const char *value, struct mp_error *err)
{
	return mp_format_parse(value, &((struct status_args *)state)->format, err);
}

static const struct mp_option options[] = {
	{"target", 't', "SPEC",
	 "of these processes: PID, comm:, exe:, cgroup:, container:", set_target},
	{"env", 0, "PROFILE", "beside a device profile: see env list", set_env},
	{"model-id", 0, "ID", "which level of this model fits: see models.yaml", set_model_id},
	{"model", 'm', "FILE", "the same of a GGUF file", set_model},
	{"context", 'c', "TOKENS", "of its KV cache (4096)", set_context},
	{"format", 0, "FORMAT", "text or json", set_format},
};

/* --- looking -------------------------------------------------------------------------- */

static int keep_program(void *state, const struct mp_process *process)
{
	struct status_args *args = state;
	struct program *p;

	if (MP_RESERVE_ONE(args->programs, args->n_programs, args->programs_cap))
		return -ENOMEM;
	p = &args->programs[args->n_programs++];
	*p = (struct program){.pid = process->pid,
			      .rss = mp_process_rss(&args->cg.fs, process->pid)};
	memcpy(p->comm, process->comm, sizeof(p->comm));
	return 0;
}

static int find_programs(struct status_args *args, struct mp_error *err)
{
	int error = mp_target_resolve(&args->target, &args->cg, err);

	error = error ?: mp_target_scan(&args->target, &args->cg, keep_program, args);
	if (error)
		return error;
	return args->n_programs ? 0
				: mp_fail(err, MP_EXIT_TARGET, ESRCH,
					  "--target %s: no such process", args->target.origin);
}

/* Where the target stands, or else who asks. */
static int find_domain(struct status_args *args)
{
	pid_t pid = args->n_programs ? args->programs[0].pid : getpid();

	return mp_domain_of_pid(&args->cg, pid, &args->limit, &args->domain);
}

static int look(struct status_args *args)
{
	double t[LOOKS], pct[LOOKS];
	struct mp_series series = {.t = t, .y = pct, .n = LOOKS};

	for (size_t i = 0; i < LOOKS; i++) {
		int error;

		if (i)
			usleep(BETWEEN_US);
		error = mp_domain_sample(&args->cg, args->domain, &args->now);
		if (error)
			return error;
		t[i] = (double)mp_clock_now_ns() / 1e9;
		pct[i] = (double)args->now.working_set * 100 / (double)args->limit;
	}
	args->pct = pct[LOOKS - 1];
	args->trend = mp_trend_of(&series, LEAST_TREND_PCT);
	return 0;
}

static bool has_model(const struct status_args *args)
{
	return args->model_id || args->model;
}

/* On the device of the profile nothing else runs; here it is beside all that is in use. */
static int find_level(const struct mp_cli *cli, struct status_args *args, struct mp_error *err)
{
	struct mp_advising *a = &args->advising;
	struct mp_advice_input *input = &a->input;
	int error;

	if (!has_model(args))
		return args->context ? mp_fail(err, MP_EXIT_USAGE, EINVAL,
					       "--context is of a model: --model-id or --model")
				     : 0;
	error = mp_advising_find(cli, "status", args->model_id, args->model, a, err);
	if (error)
		return error;
	input->limit = args->profile ? args->profile->limit_bytes : args->limit;
	input->used = args->profile ? 0 : args->now.working_set;
	input->margin = mp_advice_margin(input->limit);
	input->context = args->context ?: input->context;
	return mp_advising_work_out(a, NULL, 0, err);
}

/* --- telling -------------------------------------------------------------------------- */

static uint64_t available(const struct status_args *args)
{
	return args->limit > args->now.working_set ? args->limit - args->now.working_set : 0;
}

static uint64_t programs_rss(const struct status_args *args)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < args->n_programs; i++)
		sum += args->programs[i].rss == MP_UNKNOWN ? 0 : args->programs[i].rss;
	return args->n_programs ? sum : MP_UNKNOWN;
}

/* What of a device the programs would take; -1 without either. */
static double percent_of_profile(const struct status_args *args)
{
	if (!args->profile || !args->n_programs)
		return -1;
	return (double)programs_rss(args) * 100 / (double)args->profile->limit_bytes;
}

static const char *recommend(const struct status_args *args)
{
	double share = percent_of_profile(args);
	double pct = share > args->pct ? share : args->pct;

	if (pct >= CRITICAL_PCT)
		return "memory is critical: release models now, or choose the smallest "
		       "quantization level";
	if (pct >= GC_PCT)
		return "memory is short: free caches, or choose a smaller quantization level";
	if (pct >= WARNING_PCT)
		return "memory becomes scarce: load nothing large now";
	if (args->trend == MP_TREND_INCREASING)
		return "memory suffices, and usage rises: watch it with attach";
	return "memory suffices";
}

static void print_profile(const struct mp_profile *p)
{
	char total[MP_HUMAN_LEN], swap[MP_HUMAN_LEN], limit[MP_HUMAN_LEN];

	printf("profile     %s: %s, swap %s, limit %s\n", p->name,
	       mp_size_format(p->total_bytes, total), mp_size_format(p->swap_bytes, swap),
	       mp_size_format(p->limit_bytes, limit));
}

static void print_level(const struct status_args *args)
{
	MP_TEXT struct mp_text words = {0};

	if (has_model(args))
		mp_advising_say(&words, &args->advising);
	else
		mp_text_puts(&words, NO_MODEL);
	printf("level       %s\n", words.data);
}

static void print_text(const struct status_args *args)
{
	char a[MP_HUMAN_LEN], b[MP_HUMAN_LEN];
	double share = percent_of_profile(args);

	printf("memory      %.1f %% of %s in use, %s available (%s)\n", args->pct,
	       mp_size_format(args->limit, a), mp_size_format(available(args), b),
	       args->domain ? args->domain : "the host");
	for (size_t i = 0; i < args->n_programs; i++) {
		char comm[64];

		mp_text_clean(args->programs[i].comm, comm, sizeof(comm));
		printf("program     %d %s: %s resident\n", args->programs[i].pid, comm,
		       mp_size_format(args->programs[i].rss, a));
	}
	printf("trend       %s\n", mp_trend_name(args->trend));
	if (args->profile)
		print_profile(args->profile);
	if (share >= 0)
		printf("there       %.1f %% of its limit\n", share);
	printf("advice      %s\n", recommend(args));
	print_level(args);
}

static void add_current(struct mp_json *j, const struct status_args *args)
{
	char time[MP_TIME_LEN];
	int64_t now = (int64_t)mp_clock_now_ns() + mp_clock_realtime_offset_ns();

	mp_json_object(j, "current");
	mp_json_string(j, "time", mp_clock_format((uint64_t)now, time));
	mp_json_pct(j, "memory_percent", args->pct);
	mp_json_fixed(j, "available_gb", (double)available(args) / GB, 3);
	mp_json_fixed(j, "total_gb", (double)args->limit / GB, 3);
	mp_json_u64(j, "usage", args->now.usage);
	mp_json_u64(j, "working_set", args->now.working_set);
	mp_json_u64(j, "available", available(args));
	mp_json_u64(j, "limit", args->limit);
	mp_json_string(j, "cgroup", args->domain);
	mp_json_array(j, "targets");
	for (size_t i = 0; i < args->n_programs; i++) {
		mp_json_object(j, NULL);
		mp_json_int(j, "pid", args->programs[i].pid);
		mp_json_string(j, "comm", args->programs[i].comm);
		mp_json_u64(j, "rss", args->programs[i].rss);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
	mp_json_u64(j, "targets_rss", programs_rss(args));
	mp_json_pct(j, "percent_of_profile", percent_of_profile(args));
	mp_json_object_end(j);
}

static void add_no_model(struct mp_json *j)
{
	mp_json_string(j, "current_optimal", NULL);
	mp_json_string(j, "advice", NO_MODEL);
	mp_json_array(j, "levels");
	mp_json_array_end(j);
}

static void add_environment(struct mp_json *j, const struct status_args *args)
{
	const struct mp_profile *p = args->profile;

	mp_json_object(j, "quantization");
	if (has_model(args))
		mp_advising_put(j, &args->advising);
	else
		add_no_model(j);
	mp_json_object_end(j);
	mp_json_object(j, "environment");
	mp_json_string(j, "profile_name", p ? p->name : NULL);
	mp_json_u64(j, "total_mem_mb", p ? p->total_bytes / MB : MP_UNKNOWN);
	mp_json_u64(j, "swap_size_mb", p ? p->swap_bytes / MB : MP_UNKNOWN);
	mp_json_u64(j, "memory_limit", p ? p->limit_bytes : args->limit);
	mp_json_object_end(j);
}

static void print_json(const struct status_args *args)
{
	MP_TEXT struct mp_text text = {0};
	struct mp_json j = {.out = &text};

	mp_json_object(&j, NULL);
	add_current(&j, args);
	mp_json_string(&j, "trend", mp_trend_name(args->trend));
	mp_json_string(&j, "recommendation", recommend(args));
	add_environment(&j, args);
	mp_json_object_end(&j);
	printf("%s\n", text.data);
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	const struct mp_fsroot fs = {""};
	struct status_args *args = state;
	int error = mp_cli_find_profile(cli, args->env, &args->profiles, &args->profile, err);

	(void)rest;
	if (error)
		return error;
	if (mp_cgroups_detect(&fs, &args->cg))
		args->cg = (struct mp_cgroups){.fs = fs};
	error = args->has_target ? find_programs(args, err) : 0;
	error = error ?: find_domain(args);
	error = error ?: look(args);
	error = error ?: find_level(cli, args, err);
	if (error)
		return error;
	if (args->format == MP_FORMAT_JSON)
		print_json(args);
	else
		print_text(args);
	return MP_EXIT_OK;
}

static void end(void *state)
{
	struct status_args *args = state;

	mp_profiles_free(&args->profiles);
	mp_target_spec_free(&args->target);
	free(args->programs);
	free(args->domain);
	mp_advising_free(&args->advising);
}

const struct mp_command mp_cmd_status = {
	.name = "status",
	.usage = "status [--target SPEC] [--env PROFILE] [--model-id ID] [--format json]",
	.summary = "memory as it is: how full, which way it goes, and what to do",
	.details = "Of the group whose limit holds for the target (or for who asks), or of the\n"
		   "host when none has one. The trend is of one second: rising or falling by at\n"
		   "least half a percent of the limit. With --env, what the target would take\n"
		   "of that device, too. With a model, which level of quantization fits there,\n"
		   "or else beside what is in use here: see gguf advise.\n",
	.examples = "  memprobe-bpf status\n"
		    "  memprobe-bpf status --model-id qwen2.5-7b --env 4gb\n"
		    "  memprobe-bpf status --target comm:redis-server --env 2gb-extreme\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.size = sizeof(struct status_args),
	.run = run,
	.end = end,
};
