// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "cli/profile.h"
#include "cli/watch.h"
#include "env/engine.h"
#include "env/script.h"
#include "report/json.h"

#define MB (1ULL << 20)

struct env_args {
	struct mp_profiles profiles;
	enum mp_format format;
	const struct mp_engine *engine;
	struct mp_engine_job job;
	const char *output_dir;
};

static int set_format(void *args, const char *value, struct mp_error *err)
{
	return mp_format_parse(value, &((struct env_args *)args)->format, err);
}

static int set_engine(void *args, const char *value, struct mp_error *err)
{
	((struct env_args *)args)->engine = mp_engine_find(value, err);
	return ((struct env_args *)args)->engine ? 0 : -EINVAL;
}

static int set_image(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct env_args *)args)->job.image = value;
	return 0;
}

static int set_output_dir(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct env_args *)args)->output_dir = value;
	return 0;
}

static int set_force(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct env_args *)args)->job.device.force = true;
	return 0;
}

static int set_no_lxcfs(void *args, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct env_args *)args)->job.device.no_lxcfs = true;
	return 0;
}

static const struct mp_option options[] = {
	{"format", 0, "FORMAT", "list, show: text or json", set_format},
	{"engine", 0, "ENGINE",
	 "run: cgroup, docker or podman (cgroup); docker: whose command line (docker)", set_engine},
	{"image", 0, "IMAGE", "of a container (debian:stable-slim)", set_image},
	{"output-dir", 0, "DIR", "create-scripts: where they go (memory_env)", set_output_dir},
	{"force", 0, NULL, "run: also when there is less memory here than the profile allows",
	 set_force},
	{"no-lxcfs", 0, NULL, "run: leave /proc inside as it is", set_no_lxcfs},
};

/* --- list and show ------------------------------------------------------------------ */

/* In columns of a terminal: names are in any script. */
static void print_cell(const char *text, size_t width)
{
	size_t taken = mp_text_width(text);

	printf("%s%*s", text, taken < width ? (int)(width - taken) + 1 : 1, "");
}

static size_t widest(const struct mp_profiles *profiles, bool id)
{
	size_t width = id ? strlen("ID") : strlen("NAME");

	for (size_t i = 0; i < profiles->n; i++) {
		const struct mp_profile *p = &profiles->items[i];
		size_t this = mp_text_width(id ? (p->id ? p->id : "-") : p->name);

		width = this > width ? this : width;
	}
	return width;
}

static const char *size_or_none(uint64_t bytes, char out[MP_HUMAN_LEN])
{
	return bytes ? mp_size_format(bytes, out) : "none";
}

static const char *cpus_of(const struct mp_profile *p, char out[MP_HUMAN_LEN])
{
	snprintf(out, MP_HUMAN_LEN, "%g", p->cpus);
	return p->cpus > 0 ? out : "all";
}

static void print_rows(const struct mp_profiles *profiles)
{
	size_t name_width = widest(profiles, false);
	size_t id_width = widest(profiles, true);

	print_cell("NAME", name_width);
	print_cell("ID", id_width);
	printf("%9s %9s %9s %5s\n", "MEMORY", "SWAP", "LIMIT", "CPUS");
	for (size_t i = 0; i < profiles->n; i++) {
		const struct mp_profile *p = &profiles->items[i];
		char total[MP_HUMAN_LEN], swap[MP_HUMAN_LEN], limit[MP_HUMAN_LEN],
			cpus[MP_HUMAN_LEN];

		print_cell(p->name, name_width);
		print_cell(p->id ? p->id : "-", id_width);
		printf("%9s %9s %9s %5s\n", mp_size_format(p->total_bytes, total),
		       size_or_none(p->swap_bytes, swap), mp_size_format(p->limit_bytes, limit),
		       cpus_of(p, cpus));
	}
}

static void put_profile(struct mp_json *j, const struct mp_profile *p)
{
	mp_json_string(j, "name", p->name);
	mp_json_string(j, "id", p->id);
	mp_json_string(j, "description", p->description);
	mp_json_u64(j, "total_mem_mb", p->total_bytes / MB);
	mp_json_u64(j, "swap_size_mb", p->swap_bytes / MB);
	mp_json_u64(j, "memory_limit", p->limit_bytes);
	mp_json_number(j, "cpus", p->cpus > 0 ? p->cpus : NAN);
	mp_json_string(j, "origin", p->origin);
}

static int print_json(struct mp_text *text)
{
	if (text->failed)
		return -ENOMEM;
	printf("%s\n", text->data);
	return MP_EXIT_OK;
}

static int list(struct mp_cli *cli, struct env_args *args, struct mp_error *err)
{
	struct mp_text MP_TEXT text = {0};
	struct mp_json j = {.out = &text};

	(void)cli;
	(void)err;
	if (args->format == MP_FORMAT_TEXT) {
		print_rows(&args->profiles);
		return MP_EXIT_OK;
	}
	mp_json_array(&j, NULL);
	for (size_t i = 0; i < args->profiles.n; i++) {
		mp_json_object(&j, NULL);
		put_profile(&j, &args->profiles.items[i]);
		mp_json_object_end(&j);
	}
	mp_json_array_end(&j);
	return print_json(&text);
}

/* What becomes of it on this machine. */
struct here {
	enum mp_cgroup_mode mode;
	uint64_t room; /* MP_UNKNOWN */
	bool fits;
	struct mp_text docker;
};

static void here_free(struct here *here)
{
	mp_text_free(&here->docker);
}
#define HERE MP_CLEANUP(here_free)

static int look_here(const struct mp_engine_job *job, struct here *here, struct mp_error *err)
{
	const struct mp_fsroot fs = {.root = ""};
	struct mp_cgroups cg;

	mp_cgroups_detect(&fs, &cg);
	here->mode = cg.mode;
	if (mp_device_room(&cg, NULL, &here->room))
		here->room = MP_UNKNOWN;
	here->fits = here->room != MP_UNKNOWN && job->device.profile->limit_bytes <= here->room;
	return mp_engine_command(mp_engine_find("docker", err), job, &here->docker, err);
}

static void print_profile(const struct mp_profile *p, const struct here *here)
{
	char size[MP_HUMAN_LEN];

	printf("%s%s%s%s\n", p->name, p->id ? " (" : "", p->id ? p->id : "", p->id ? ")" : "");
	if (p->description) {
		char clean[4096];

		mp_text_clean(p->description, clean, sizeof(clean));
		printf("  %s\n", clean);
	}
	printf("  memory      %s\n", mp_size_format(p->total_bytes, size));
	printf("  swap        %s\n", size_or_none(p->swap_bytes, size));
	printf("  limit       %s (%llu bytes)\n", mp_size_format(p->limit_bytes, size),
	       (unsigned long long)p->limit_bytes);
	printf("  processors  %s\n", cpus_of(p, size));
	printf("  defined in  %s\n", p->origin);
	printf("  here        cgroup %s, %s: %s\n", mp_cgroup_mode_name(here->mode),
	       mp_size_format(here->room, size),
	       here->fits ? "it can be run" : "too little, it is run with --force only");
	printf("  docker      %s\n", here->docker.data);
}

static int show(struct mp_cli *cli, struct env_args *args, struct mp_error *err)
{
	const struct mp_profile *p = args->job.device.profile;
	struct here HERE here = {0};
	struct mp_text MP_TEXT text = {0};
	struct mp_json j = {.out = &text};
	int error = look_here(&args->job, &here, err);

	(void)cli;
	if (error)
		return error;
	if (args->format == MP_FORMAT_TEXT) {
		print_profile(p, &here);
		return MP_EXIT_OK;
	}
	mp_json_object(&j, NULL);
	put_profile(&j, p);
	mp_json_object(&j, "here");
	mp_json_string(&j, "cgroup_mode", mp_cgroup_mode_name(here.mode));
	mp_json_u64(&j, "available_limit", here.room);
	mp_json_bool(&j, "fits", here.fits);
	mp_json_object_end(&j);
	mp_json_string(&j, "docker", here.docker.data);
	mp_json_object_end(&j);
	return print_json(&text);
}

/* --- docker, create-scripts and run --------------------------------------------------- */

static int print_command(const struct mp_engine *engine, const struct mp_engine_job *job,
			 struct mp_error *err)
{
	struct mp_text MP_TEXT text = {0};
	int error = mp_engine_command(engine, job, &text, err);

	if (error || text.failed)
		return error ? error : -ENOMEM;
	printf("%s\n", text.data);
	return 0;
}

/* Of one profile, or of all. */
static int print_docker(struct mp_cli *cli, struct env_args *args, struct mp_error *err)
{
	const struct mp_engine *engine = args->engine ?: mp_engine_find("docker", err);
	int error = 0;

	(void)cli;
	if (!engine->is_container)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--engine %s has no command line: docker or podman", engine->name);
	if (args->job.device.profile)
		return print_command(engine, &args->job, err);
	for (size_t i = 0; i < args->profiles.n && !error; i++) {
		args->job.device.profile = &args->profiles.items[i];
		printf("# %s\n", args->profiles.items[i].name);
		error = print_command(engine, &args->job, err);
	}
	return error;
}

static int create_scripts(struct mp_cli *cli, struct env_args *args, struct mp_error *err)
{
	const char *dir = args->output_dir ? args->output_dir : "memory_env";
	int error = mp_scripts_create(dir, &args->profiles, err);

	(void)cli;
	for (size_t i = 0; i < args->profiles.n && !error; i++) {
		char path[PATH_MAX];

		mp_script_path(dir, &args->profiles.items[i], path);
		printf("%s\n", path);
	}
	return error ? error : MP_EXIT_OK;
}

static int run_in(struct mp_cli *cli, struct env_args *args, struct mp_error *err)
{
	const struct mp_engine *engine = args->engine ?: mp_engine_find("cgroup", err);

	args->job.tell = mp_cli_note;
	args->job.data = cli;
	return engine->run(engine, &args->job, err);
}

/* --- the words ---------------------------------------------------------------------- */

enum {
	VERB_LIST = 0,
	VERB_SHOW,
	VERB_DOCKER,
	VERB_CREATE_SCRIPTS,
	VERB_RUN,
	VERB_COUNT
};
static const char *const verbs[] = {
	[VERB_LIST] = "list",	  [VERB_SHOW] = "show",
	[VERB_DOCKER] = "docker", [VERB_CREATE_SCRIPTS] = "create-scripts",
	[VERB_RUN] = "run",	  NULL,
};

static const struct {
	enum {
		NO_NAME,
		A_NAME,
		A_NAME_OR_ALL
	} name;
	bool takes_command;
	int (*run)(struct mp_cli *cli, struct env_args *args, struct mp_error *err);
} verb_rows[VERB_COUNT] = {
	[VERB_LIST] = {NO_NAME, false, list},
	[VERB_SHOW] = {A_NAME, false, show},
	[VERB_DOCKER] = {A_NAME_OR_ALL, true, print_docker},
	[VERB_CREATE_SCRIPTS] = {NO_NAME, false, create_scripts},
	[VERB_RUN] = {A_NAME, true, run_in},
};

static int take_words(struct mp_cli *cli, struct env_args *args, char **rest, struct mp_error *err)
{
	const char *verb = verbs[cli->verb];
	int error;

	if (verb_rows[cli->verb].name == A_NAME && !rest[0])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "env %s: the name of a profile is needed: see memprobe-bpf env list",
			       verb);
	if (verb_rows[cli->verb].name != NO_NAME && rest[0])
		error = mp_cli_find_profile(cli, *rest++, &args->profiles,
					    &args->job.device.profile, err);
	else
		error = mp_cli_load_profiles(cli, &args->profiles, err);
	if (error)
		return error;
	args->job.command = rest;
	if (rest[0] && !verb_rows[cli->verb].takes_command)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "env %s: unexpected argument %s: see memprobe-bpf env --help", verb,
			       rest[0]);
	return 0;
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	int error = take_words(cli, state, rest, err);

	return error ?: verb_rows[cli->verb].run(cli, state, err);
}

static void end(void *state)
{
	mp_profiles_free(&((struct env_args *)state)->profiles);
}

const struct mp_command mp_cmd_env = {
	.name = "env",
	.usage = "env list|show|docker|run|create-scripts [NAME] [OPTION]...\n"
		 "                            [-- COMMAND [ARG]...]",
	.summary = "devices with little memory: list them, run a program in one",
	.details =
		"Profiles are in low_mem_env.yaml; NAME is the name of one or its id. run makes a\n"
		"cgroup with the profile's limits, or a container with --engine docker or podman,\n"
		"and exits with the command's exit code, 128 + N when signal N ended it, or 7 "
		"when\n"
		"it was OOM-killed. docker prints the command line of a container, or of all.\n"
		"create-scripts writes a shell script for each profile, which needs nothing "
		"else.\n",
	.examples = "  memprobe-bpf env list\n"
		    "  sudo memprobe-bpf env run 2gb-extreme -- python3 app.py\n"
		    "  memprobe-bpf env docker phone --image python:3.12 -- python3 app.py\n"
		    "  sudo memprobe-bpf run --env 2gb-extreme -- ./server    # and watch it\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.verbs = verbs,
	.takes_rest = true,
	.mixes_rest = true,
	.size = sizeof(struct env_args),
	.run = run,
	.end = end,
};
