// SPDX-License-Identifier: GPL-2.0-only
#include "cli/watch.h"

#include <errno.h>
#include <string.h>

#include "action/action.h"
#include "base/names.h"
#include "base/size.h"

int mp_watch_set_target(void *args, const char *value, struct mp_error *err)
{
	struct mp_watch_args *a = args;
	int error;

	if (a->n_targets == MP_MAX_TARGETS)
		return mp_fail(err, MP_EXIT_USAGE, E2BIG, "--target: at most %d can be given",
			       MP_MAX_TARGETS);
	error = mp_target_parse(value, &a->targets[a->n_targets], err);
	if (!error)
		a->n_targets++;
	return error;
}

int mp_watch_set_points(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_watch_args *)args)->points_file = value;
	return 0;
}

int mp_watch_set_point(void *args, const char *value, struct mp_error *err)
{
	return mp_points_add_option(&((struct mp_watch_args *)args)->points, value, err);
}

int mp_watch_set_policy(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_watch_args *)args)->policy_file = value;
	return 0;
}

int mp_watch_set_follow(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->follow = true;
	return 0;
}

int mp_watch_set_no_follow(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->no_follow = true;
	return 0;
}

int mp_watch_set_enforce(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->enforce = true;
	return 0;
}

int mp_watch_set_no_pressure(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->no_pressure = true;
	return 0;
}

int mp_watch_set_python_mode(void *args, const char *value, struct mp_error *err)
{
	int mode = mp_python_mode_parse(value);

	if (mode < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--python-mode %s: it is auto, inject, watchpoint or off", value);
	((struct mp_watch_args *)args)->python_mode = (enum mp_python_mode)mode;
	return 0;
}

int mp_watch_set_agent(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->agent = true;
	return 0;
}

int mp_watch_set_duration(void *args, const char *value, struct mp_error *err)
{
	uint64_t ns;

	if (mp_duration_parse(value, &ns) || ns == 0)
		return mp_fail(
			err, MP_EXIT_USAGE, EINVAL,
			"--duration %s: a time above zero is needed, such as 30, 1.5s, 10m or 2h",
			value);
	((struct mp_watch_args *)args)->duration_ns = ns;
	return 0;
}

int mp_watch_set_ring_size(void *args, const char *value, struct mp_error *err)
{
	uint64_t bytes;

	if (mp_size_parse(value, &bytes) || bytes == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--ring-size %s: a size is needed, such as 256K or 4M", value);
	((struct mp_watch_args *)args)->ring_bytes = bytes;
	return 0;
}

int mp_format_parse(const char *value, enum mp_format *ret, struct mp_error *err)
{
	static const char *const names[] = {"text", "json"};
	int format = mp_name_find(names, MP_ARRAY_SIZE(names), value);

	if (format < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--format %s: it is text or json",
			       value);
	*ret = (enum mp_format)format;
	return 0;
}

int mp_watch_set_format(void *args, const char *value, struct mp_error *err)
{
	return mp_format_parse(value, &((struct mp_watch_args *)args)->format, err);
}

int mp_watch_set_record(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_watch_args *)args)->record = value;
	return 0;
}

int mp_watch_set_save(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_watch_args *)args)->save.save = true;
	return 0;
}

int mp_watch_set_report_format(void *args, const char *value, struct mp_error *err)
{
	return mp_save_set_format(&((struct mp_watch_args *)args)->save, value, err);
}

int mp_watch_set_output_dir(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_watch_args *)args)->save.dir = value;
	return 0;
}

/* A file that the user named: as a path first, then by the search for config files. */
static int find_named(const struct mp_cli *cli, const char *name, char **ret_path,
		      struct mp_error *err)
{
	if (access(name, F_OK) != 0)
		return mp_cli_find_config(cli, name, ret_path, err);
	*ret_path = strdup(name);
	return *ret_path ? 0 : -ENOMEM;
}

int mp_watch_load_points(const struct mp_cli *cli, struct mp_watch_args *args, struct mp_error *err)
{
	const char *name = args->points_file ? args->points_file : "injection_points.yaml";
	MP_FREE char *path = NULL;
	int error;

	if (!args->points_file && args->points.n)
		return 0;
	error = args->points_file ? find_named(cli, name, &path, err)
				  : mp_cli_find_config(cli, name, &path, err);
	return error ? error : mp_points_load(&args->points, path, err);
}

/* Without a policy file anywhere, the built-in one. */
int mp_watch_load_policy(const struct mp_cli *cli, const struct mp_watch_args *args,
			 struct mp_policy *ret, struct mp_error *err)
{
	const char *name = args->policy_file ? args->policy_file : "policy.yaml";
	const struct mp_action_kind *kinds;
	MP_FREE char *path = NULL;
	size_t n_kinds;
	int error = args->policy_file ? find_named(cli, name, &path, err)
				      : mp_cli_find_config(cli, name, &path, err);

	if (error == -ENOENT && !args->policy_file)
		return mp_policy_default(ret);
	kinds = mp_action_kinds(&n_kinds);
	error = error ?: mp_policy_load(ret, path, kinds, n_kinds, err);
	return error ? error : mp_actions_check(ret, err);
}

void mp_watch_args_free(void *state)
{
	struct mp_watch_args *args = state;

	mp_points_free(&args->points);
	for (size_t i = 0; i < args->n_targets; i++)
		mp_target_spec_free(&args->targets[i]);
}

/* What was gathered before an error is worth a report, too. */
static int save_gathered(const struct mp_cli *cli, struct mp_watch_args *args,
			 struct mp_gather *gather, struct mp_error *err)
{
	const struct mp_memory_report *r = gather ? mp_gather_report(gather) : NULL;
	struct mp_report_name name = {0};

	if (!gather)
		return 0;
	if (!r)
		return -ENOMEM;
	args->save.keep_stdout = args->format == MP_FORMAT_JSON;
	return r->duration_ns ? mp_save_report(cli, &args->save, r, &name, err) : 0;
}

static int watch(const struct mp_cli *cli, struct mp_watch_args *args, struct mp_monitor_options *o,
		 struct mp_error *err)
{
	int exit_code = MP_EXIT_OK;
	int error = mp_watch_load_points(cli, args, err);
	int saved;

	error = error ?: mp_save_prepare(&args->save, err);
	if (!error && args->save.save) {
		o->gather = mp_gather_new();
		error = o->gather ? 0 : -ENOMEM;
	}
	if (error)
		return error;
	error = mp_monitor_run(o, &exit_code, err);
	saved = save_gathered(cli, args, o->gather, error ? NULL : err);
	mp_gather_free(o->gather);
	if (error || saved)
		return error ? error : saved;
	return exit_code;
}

int mp_watch(const struct mp_cli *cli, struct mp_watch_args *args, char *const *command,
	     struct mp_error *err)
{
	MP_POLICY struct mp_policy policy = {0};
	struct mp_monitor_options o = {
		.targets = args->targets,
		.n_targets = args->n_targets,
		.points = &args->points,
		.policy = &policy,
		.follow = command ? !args->no_follow : args->follow,
		.enforce = args->enforce,
		.no_pressure = args->no_pressure,
		.python_mode = args->python_mode,
		.agent = args->agent,
		.duration_ns = args->duration_ns,
		.ring_bytes = args->ring_bytes,
		.output = {.format = args->format,
			   .color = mp_cli_color(cli),
			   .quiet = cli->quiet,
			   .verbose = cli->verbose,
			   .record_path = args->record},
		.command = command,
	};
	int error = mp_watch_load_policy(cli, args, &policy, err);

	if (error)
		return error;
	if (args->replay)
		return mp_monitor_replay(args->replay, &policy, &o.output, err);
	return watch(cli, args, &o, err);
}
