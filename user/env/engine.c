// SPDX-License-Identifier: GPL-2.0-only
#include "env/engine.h"

#include <errno.h>
#include <string.h>

#include "base/names.h"
#include "env/container.h"
#include "env/shell.h"

#define MAX_ENGINES 8

/* --- cgroup ------------------------------------------------------------------------ */

static int run_native(const struct mp_engine *engine, const struct mp_engine_job *job,
		      struct mp_error *err)
{
	struct mp_session session;
	int result;

	(void)engine;
	if (!job->command || !job->command[0])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "a command is needed: memprobe-bpf env run NAME -- COMMAND...");
	result = mp_session_open(&job->device, &session, err);
	if (result)
		return result;
	mp_session_tell(&session, job->tell, job->data);
	result = mp_session_run(&session, job->command, job->tell, job->data, err);
	mp_session_close(&session, job->tell, job->data);
	return result;
}

/* --- docker and podman --------------------------------------------------------------- */

static int make_command(const struct mp_engine *engine, const struct mp_engine_job *job, bool tty,
			struct mp_words *ret, struct mp_error *err)
{
	const struct mp_fsroot fs = {.root = ""};
	struct mp_cgroups cg;
	struct mp_container c = {.program = engine->name,
				 .profile = job->device.profile,
				 .image = job->image,
				 .command = job->command,
				 .tty = tty};

	c.swappiness = mp_cgroups_detect(&fs, &cg) == 0 &&
		       (cg.mode == MP_CGROUP_V1 || cg.mode == MP_CGROUP_HYBRID);
	return mp_container_command(&c, ret, err);
}

int mp_engine_command(const struct mp_engine *engine, const struct mp_engine_job *job,
		      struct mp_text *out, struct mp_error *err)
{
	struct mp_words MP_WORDS words = {0};
	int error = make_command(engine, job, false, &words, err);

	if (!error)
		mp_shell_command(out, words.items);
	return error;
}

static int run_container(const struct mp_engine *engine, const struct mp_engine_job *job,
			 struct mp_error *err)
{
	const struct mp_fsroot fs = {.root = ""};
	bool tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	struct mp_words MP_WORDS words = {0};
	uint64_t total, available;
	int error = mp_host_memory(&fs, &total, &available);

	if (!error)
		error = mp_device_check(&job->device, total, err);
	error = error ?: make_command(engine, job, tty, &words, err);
	if (error)
		return error;
	execvp(words.items[0], words.items);
	error = errno;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, error,
		       "%s cannot be run: %s: install it, or take --engine cgroup, which needs "
		       "nothing but root",
		       engine->name, error == ENOENT ? "it is not in $PATH" : strerror(error));
}

/* --- all of them --------------------------------------------------------------------- */

static const struct mp_engine engines[] = {
	{"cgroup", false, run_native},
	{"docker", true, run_container},
	{"podman", true, run_container},
};
_Static_assert(MP_ARRAY_SIZE(engines) <= MAX_ENGINES, "room for their names");

const struct mp_engine *mp_engines(size_t *ret_n)
{
	*ret_n = MP_ARRAY_SIZE(engines);
	return engines;
}

const struct mp_engine *mp_engine_find(const char *name, struct mp_error *err)
{
	const char *names[MAX_ENGINES];
	const char *near;

	for (size_t i = 0; i < MP_ARRAY_SIZE(engines); i++) {
		if (strcmp(engines[i].name, name) == 0)
			return &engines[i];
		names[i] = engines[i].name;
	}
	near = mp_name_suggest(names, MP_ARRAY_SIZE(engines), name);
	mp_fail(err, MP_EXIT_USAGE, EINVAL, "--engine %s: it is cgroup, docker or podman%s%s%s",
		name, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	return NULL;
}
