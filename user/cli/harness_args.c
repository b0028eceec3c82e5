// SPDX-License-Identifier: GPL-2.0-only
#include "cli/harness_args.h"

#include <errno.h>
#include <math.h>

#include "base/names.h"
#include "base/size.h"
#include "cli/profile.h"

#define MB (1ULL << 20)
#define MAX_MB (1ULL << 24)
#define MAX_COUNT 1000000

static struct mp_pattern_options *pattern_of(void *args)
{
	return &((struct mp_harness_args *)args)->o.pattern_options;
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

int mp_harness_parse_time(const char *option, const char *value, uint64_t *ret,
			  struct mp_error *err)
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

static int parse_step(const char *value, uint64_t *ret, struct mp_error *err)
{
	uint64_t bytes = 0;
	int error = parse_mb("--step-size", value, &bytes, err);

	if (!error && bytes == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--step-size 0: a step is above zero");
	*ret = bytes;
	return error;
}

/* Of a pattern: zero is not a share that can be asked for, and must not become the default. */
static int parse_share(const char *option, const char *value, double *ret, struct mp_error *err)
{
	double pct = 0;
	int error = parse_pct(option, value, &pct, err);

	if (!error && pct == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: a percentage above 0, up to 100",
			       option, value);
	if (!error)
		*ret = pct;
	return error;
}

int mp_harness_set_mode(void *args, const char *value, struct mp_error *err)
{
	const char *names[16];
	const char *near;
	size_t n;
	const struct mp_pattern *const *all = mp_patterns(&n);

	((struct mp_harness_args *)args)->o.pattern = mp_pattern_find(value);
	if (((struct mp_harness_args *)args)->o.pattern)
		return 0;
	for (size_t i = 0; i < n; i++)
		names[i] = all[i]->name;
	near = mp_name_suggest(names, n, value);
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "--mode %s: it is staircase, burst, sawtooth or allocate_full%s%s%s", value,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

int mp_harness_set_step_size(void *args, const char *value, struct mp_error *err)
{
	return parse_step(value, &pattern_of(args)->step_bytes, err);
}

int mp_harness_set_interval(void *args, const char *value, struct mp_error *err)
{
	return mp_harness_parse_time("--interval", value, &pattern_of(args)->interval_ns, err);
}

int mp_harness_set_steps(void *args, const char *value, struct mp_error *err)
{
	return parse_count("--steps", value, &pattern_of(args)->steps, err);
}

int mp_harness_set_target(void *args, const char *value, struct mp_error *err)
{
	return parse_share("--target", value, &pattern_of(args)->target_pct, err);
}

int mp_harness_set_duration(void *args, const char *value, struct mp_error *err)
{
	return mp_harness_parse_time("--duration", value, &pattern_of(args)->duration_ns, err);
}

int mp_harness_set_min(void *args, const char *value, struct mp_error *err)
{
	return parse_share("--min", value, &pattern_of(args)->min_pct, err);
}

int mp_harness_set_max(void *args, const char *value, struct mp_error *err)
{
	return parse_share("--max", value, &pattern_of(args)->max_pct, err);
}

int mp_harness_set_cycles(void *args, const char *value, struct mp_error *err)
{
	return parse_count("--cycles", value, &pattern_of(args)->cycles, err);
}

int mp_harness_set_margin(void *args, const char *value, struct mp_error *err)
{
	((struct mp_harness_args *)args)->o.margin_given = true;
	return parse_mb("--safety-margin", value, &pattern_of(args)->margin_bytes, err);
}

int mp_harness_set_of(void *args, const char *value, struct mp_error *err)
{
	static const char *const names[] = {"auto", "cgroup", "host"};
	int of = mp_name_find(names, MP_ARRAY_SIZE(names), value);

	if (of < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--of %s: it is auto, cgroup or host",
			       value);
	((struct mp_harness_args *)args)->o.of = (enum mp_harness_of)of;
	return 0;
}

int mp_harness_set_entropy(void *args, const char *value, struct mp_error *err)
{
	double pct = 0;
	int error = parse_pct("--entropy", value, &pct, err);

	((struct mp_harness_args *)args)->o.filler.entropy_pct = (unsigned int)lround(pct);
	return error;
}

int mp_harness_set_cold(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_harness_args *)args)->o.filler.cold = true;
	return 0;
}

int mp_harness_set_env(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_harness_args *)args)->env = value;
	return 0;
}

int mp_harness_set_force(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_harness_args *)args)->o.force = true;
	return 0;
}

int mp_harness_set_no_monitor(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_harness_args *)args)->o.no_monitor = true;
	return 0;
}

int mp_harness_set_save(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_harness_args *)args)->save.save = true;
	return 0;
}

int mp_harness_set_report_format(void *args, const char *value, struct mp_error *err)
{
	return mp_save_set_format(&((struct mp_harness_args *)args)->save, value, err);
}

int mp_harness_set_output_dir(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_harness_args *)args)->save.dir = value;
	return 0;
}

static void set_defaults(struct mp_harness_args *args)
{
	struct mp_pattern_options *p = &args->o.pattern_options;

	p->step_bytes = p->step_bytes ?: 100 * MB;
	p->interval_ns = p->interval_ns ?: 1000000000;
	p->steps = p->steps ?: MP_HARNESS_STEPS;
	p->target_pct = p->target_pct > 0 ? p->target_pct : 70;
	p->min_pct = p->min_pct > 0 ? p->min_pct : 30;
	p->max_pct = p->max_pct > 0 ? p->max_pct : 70;
	p->cycles = p->cycles ?: MP_HARNESS_CYCLES;
	p->duration_ns = p->duration_ns ?: 5000000000;
}

int mp_harness_args_ready(const struct mp_cli *cli, struct mp_harness_args *args, char **rest,
			  struct mp_error *err)
{
	int error;

	set_defaults(args);
	args->o.command = rest[0] ? rest : NULL;
	error = mp_cli_find_profile(cli, args->env, &args->profiles, &args->o.profile, err);
	return error ?: mp_save_prepare(&args->save, err);
}

void mp_harness_args_free(void *args)
{
	mp_profiles_free(&((struct mp_harness_args *)args)->profiles);
}
