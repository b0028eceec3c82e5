// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/names.h"
#include "base/size.h"
#include "cli/save.h"
#include "harness/harness.h"

#define MB (1ULL << 20)
#define MAX_MB (1ULL << 24)
#define MAX_COUNT 1000000

struct simple_args {
	struct mp_harness_options o;
	struct mp_profiles profiles;
	const char *env;
	struct mp_save_args save;
};

static struct mp_pattern_options *pattern_of(void *args)
{
	return &((struct simple_args *)args)->o.pattern_options;
}

static int set_mode(void *args, const char *value, struct mp_error *err)
{
	const char *names[16];
	const char *near;
	size_t n;
	const struct mp_pattern *const *all = mp_patterns(&n);

	((struct simple_args *)args)->o.pattern = mp_pattern_find(value);
	if (((struct simple_args *)args)->o.pattern)
		return 0;
	for (size_t i = 0; i < n; i++)
		names[i] = all[i]->name;
	near = mp_name_suggest(names, n, value);
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "--mode %s: it is staircase, burst, sawtooth or allocate_full%s%s%s", value,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static int parse_mb(const char *option, const char *value, uint64_t *ret, struct mp_error *err)
{
	uint64_t mb;

	if (mp_number_parse(value, MAX_MB, &mb))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: a whole number of MB", option,
			       value);
	*ret = mb * MB;
	return 0;
}

static int parse_time(const char *option, const char *value, uint64_t *ret, struct mp_error *err)
{
	if (mp_duration_parse(value, ret) || *ret == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "%s %s: a time above zero, such as 5, 0.5 or 250ms", option, value);
	return 0;
}

static int parse_count(const char *option, const char *value, unsigned int *ret,
		       struct mp_error *err)
{
	uint64_t n;

	if (mp_number_parse(value, MAX_COUNT, &n) || n == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: a whole number above zero",
			       option, value);
	*ret = (unsigned int)n;
	return 0;
}

static int parse_pct(const char *option, const char *value, double *ret, struct mp_error *err)
{
	char *rest;
	double pct = strtod(value, &rest);

	if (rest == value || *rest || !isfinite(pct) || pct < 0 || pct > 100)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: a percentage, 0 to 100", option,
			       value);
	*ret = pct;
	return 0;
}

static int set_step_size(void *args, const char *value, struct mp_error *err)
{
	return parse_mb("--step-size", value, &pattern_of(args)->step_bytes, err);
}

static int set_interval(void *args, const char *value, struct mp_error *err)
{
	return parse_time("--interval", value, &pattern_of(args)->interval_ns, err);
}

static int set_steps(void *args, const char *value, struct mp_error *err)
{
	return parse_count("--steps", value, &pattern_of(args)->steps, err);
}

static int set_target(void *args, const char *value, struct mp_error *err)
{
	return parse_pct("--target", value, &pattern_of(args)->target_pct, err);
}

static int set_duration(void *args, const char *value, struct mp_error *err)
{
	return parse_time("--duration", value, &pattern_of(args)->duration_ns, err);
}

static int set_min(void *args, const char *value, struct mp_error *err)
{
	return parse_pct("--min", value, &pattern_of(args)->min_pct, err);
}

static int set_max(void *args, const char *value, struct mp_error *err)
{
	return parse_pct("--max", value, &pattern_of(args)->max_pct, err);
}

static int set_cycles(void *args, const char *value, struct mp_error *err)
{
	return parse_count("--cycles", value, &pattern_of(args)->cycles, err);
}

static int set_margin(void *args, const char *value, struct mp_error *err)
{
	((struct simple_args *)args)->o.margin_given = true;
	return parse_mb("--safety-margin", value, &pattern_of(args)->margin_bytes, err);
}

static int set_of(void *args, const char *value, struct mp_error *err)
{
	static const char *const names[] = {"auto", "cgroup", "host"};
	int of = mp_name_find(names, MP_ARRAY_SIZE(names), value);

	if (of < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--of %s: it is auto, cgroup or host",
			       value);
	((struct simple_args *)args)->o.of = (enum mp_harness_of)of;
	return 0;
}

static int set_entropy(void *args, const char *value, struct mp_error *err)
{
	double pct = 0;
	int error = parse_pct("--entropy", value, &pct, err);

	((struct simple_args *)args)->o.filler.entropy_pct = (unsigned int)lround(pct);
	return error;
}

static int set_cold(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct simple_args *)args)->o.filler.cold = true;
	return 0;
}

static int set_env(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct simple_args *)args)->env = value;
	return 0;
}

static int set_no_monitor(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct simple_args *)args)->o.no_monitor = true;
	return 0;
}

static int set_save(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct simple_args *)args)->save.save = true;
	return 0;
}

static int set_report_format(void *args, const char *value, struct mp_error *err)
{
	return mp_save_set_format(&((struct simple_args *)args)->save, value, err);
}

static int set_output_dir(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct simple_args *)args)->save.dir = value;
	return 0;
}

static const struct mp_option options[] = {
	{"mode", 'm', "MODE", "staircase, burst, sawtooth or allocate_full", set_mode},
	{"step-size", 0, "MB", "staircase: of a step (100)", set_step_size},
	{"interval", 0, "TIME", "staircase: from a step to the next (1)", set_interval},
	{"steps", 0, "N", "staircase: how many (20)", set_steps},
	{"target", 0, "PCT", "burst: how full (70)", set_target},
	{"min", 0, "PCT", "sawtooth: its lowest (30)", set_min},
	{"max", 0, "PCT", "sawtooth: its highest (70)", set_max},
	{"cycles", 0, "N", "sawtooth: how many (3)", set_cycles},
	{"duration", 'd', "TIME", "of the hold; sawtooth: of a cycle with both ramps (5)",
	 set_duration},
	{"safety-margin", 0, "MB", "never filled (500, and at most a tenth of a limit under 5 GB)",
	 set_margin},
	{"of", 0, "WHAT", "what percentages are of: auto, cgroup or host (auto)", set_of},
	{"entropy", 0, "PCT", "of the content: 0 zeros to 100 random (0)", set_entropy},
	{"cold", 0, NULL, "do not touch memory again once it is filled", set_cold},
	{"env", 0, "PROFILE", "in a device profile: see env list", set_env},
	{"save-report", 0, NULL, "keep a report of the run", set_save},
	{"report-format", 0, "FORMAT", "json, csv, html or all (all)", set_report_format},
	{"output-dir", 0, "DIR", "where reports go (logs/memory_tests)", set_output_dir},
	{"no-monitor", 0, NULL, "do not watch meanwhile", set_no_monitor},
};

static void set_defaults(struct simple_args *args)
{
	struct mp_pattern_options *p = &args->o.pattern_options;

	p->step_bytes = p->step_bytes ?: 100 * MB;
	p->interval_ns = p->interval_ns ?: 1000000000;
	p->steps = p->steps ?: 20;
	p->target_pct = p->target_pct > 0 ? p->target_pct : 70;
	p->min_pct = p->min_pct > 0 ? p->min_pct : 30;
	p->max_pct = p->max_pct > 0 ? p->max_pct : 70;
	p->cycles = p->cycles ?: 3;
	p->duration_ns = p->duration_ns ?: 5000000000;
}

static int find_profile(const struct mp_cli *cli, struct simple_args *args, struct mp_error *err)
{
	MP_FREE char *path = NULL;
	int error;

	if (!args->env)
		return 0;
	error = mp_cli_find_config(cli, "low_mem_env.yaml", &path, err);
	error = error ?: mp_profiles_load(&args->profiles, path, err);
	if (error)
		return error;
	args->o.profile = mp_profile_find(&args->profiles, args->env, err);
	return args->o.profile ? 0 : -ENOENT;
}

static void print_phases(const struct mp_memory_report *r)
{
	char duration[MP_HUMAN_LEN];

	printf("%-12s %9s %11s %11s %9s\n", "phase", "from", "requested", "achieved", "off");
	for (size_t i = 0; i < r->n_phases; i++) {
		const struct mp_memory_phase *p = &r->phases[i];

		printf("%-12s %9s %9.2f %% %9.2f %% %+7.2f %%\n", p->name,
		       mp_duration_format(p->start_ns, duration), p->requested_pct, p->achieved_pct,
		       p->error_pct);
	}
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct simple_args *args = state;
	struct mp_harness_result *result;
	struct mp_report_name name = {0};
	int exit_code;
	int error;

	if (!args->o.pattern)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--mode is needed: staircase, burst, sawtooth or allocate_full");
	set_defaults(args);
	args->o.command = rest[0] ? rest : NULL;
	error = find_profile(cli, args, err);
	error = error ?: mp_save_prepare(&args->save, err);
	error = error ?: mp_harness_run(&args->o, &result, err);
	if (error)
		return error;
	if (!cli->quiet)
		print_phases(mp_harness_report(result));
	printf("%s\n", mp_harness_report(result)->verdict);
	error = mp_save_report(cli, &args->save, mp_harness_report(result), &name, err);
	exit_code = mp_harness_exit_code(result);
	mp_harness_result_free(result);
	return error ? error : exit_code;
}

static void end(void *state)
{
	mp_profiles_free(&((struct simple_args *)state)->profiles);
}

const struct mp_command mp_cmd_simple = {
	.name = "simple",
	.usage = "simple --mode MODE [OPTION]... [-- COMMAND [ARG]...]",
	.summary = "memory pressure by a pattern, with a verdict",
	.details = "Takes memory as the pattern says, in a group below the one that this runs in\n"
		   "(below the profile's with --env), watches what becomes of it, and tells what\n"
		   "was reached. Nothing outside that group runs out of memory by it.\n",
	.examples =
		"  memprobe-bpf simple --mode staircase --step-size 50 --steps 10\n"
		"  memprobe-bpf simple --mode burst --target 80 --duration 10 --env 2gb-extreme\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct simple_args),
	.run = run,
	.end = end,
};
