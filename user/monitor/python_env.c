// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/python_env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "inject/env.h"
#include "inject/folder.h"
#include "inject/script.h"

#define CONFIG_VARIABLE "MEMPROBE_PYTHON_CONFIG"
#define PATH_VARIABLE "PYTHONPATH"

struct mp_python_env {
	char folder[64];
	char marker[96];
	char *old_path; /* of PYTHONPATH; NULL: there was none */
	bool is_entered;
	struct mp_python_answers answers;
};

static void env_free_p(struct mp_python_env **env)
{
	mp_python_env_free(*env);
}

/* The command may drop its privileges, so that others must be able to read. Nothing is secret. */
static int write_file(const struct mp_python_env *env, const char *name, const char *data,
		      size_t len)
{
	char path[128];
	MP_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", env->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return fchmod(fd, 0644) ? -errno : 0;
}

static int write_blob(const struct mp_python_env *env, const char *name, struct mp_blob blob)
{
	return write_file(env, name, blob.data, blob.len);
}

static int write_config(const struct mp_python_env *env, const struct mp_points *points)
{
	MP_TEXT struct mp_text json = {0};
	char result[PATH_MAX];
	const struct mp_script_config config = {
		.points = points,
		.token = env->answers.token,
		.result = result,
		.marker = env->marker,
	};
	int err;

	snprintf(result, sizeof(result), "%s/{pid}.json", env->answers.folder);
	err = mp_script_config_json(&config, &json);
	return err ?: write_file(env, "config.json", json.data, json.len);
}

static int write_readme(const struct mp_python_env *env)
{
	static const char text[] = "memprobe-bpf run made this folder for the Pythons that its "
				   "command starts. When no\n"
				   "memprobe-bpf runs any more, it was killed before it could take "
				   "the folder away: it\n"
				   "can be deleted, and nothing else is left.\n";

	return write_file(env, "README", text, strlen(text));
}

/* Answers come from whatever user the command's processes become. */
static int make_results(struct mp_python_env *env)
{
	snprintf(env->answers.folder, sizeof(env->answers.folder), "%s/results", env->folder);
	if (mkdir(env->answers.folder, 0700) || chmod(env->answers.folder, 01733))
		return -errno;
	env->answers.fd = open(env->answers.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return env->answers.fd < 0 ? -errno : 0;
}

static int make_folder(struct mp_python_env *env, const struct mp_points *points)
{
	int err;

	strcpy(env->folder, "/tmp/memprobe-run.XXXXXX");
	if (!mkdtemp(env->folder)) {
		env->folder[0] = '\0';
		return -errno;
	}
	if (chmod(env->folder, 0755))
		return -errno;
	snprintf(env->answers.config, sizeof(env->answers.config), "%s/config.json", env->folder);
	snprintf(env->marker, sizeof(env->marker), "%s/memprobe-marker.so", env->folder);
	err = mp_script_make_token(env->answers.token);
	err = err ?: write_readme(env);
	err = err ?: make_results(env);
	err = err ?: write_config(env, points);
	err = err ?: write_blob(env, "memprobe-marker.so", mp_script_marker());
	err = err ?: write_blob(env, "_inject.py", mp_script_source());
	return err ?: write_blob(env, "sitecustomize.py", mp_script_sitecustomize());
}

static int enter(struct mp_python_env *env)
{
	const char *old_path = getenv(PATH_VARIABLE);
	MP_FREE char *path = NULL;

	if (old_path && !(env->old_path = strdup(old_path)))
		return -ENOMEM;
	if (asprintf(&path, "%s%s%s", env->folder, old_path && *old_path ? ":" : "",
		     old_path ? old_path : "") < 0)
		return -ENOMEM;
	env->is_entered = true;
	return setenv(PATH_VARIABLE, path, 1) || setenv(CONFIG_VARIABLE, env->answers.config, 1)
		       ? -errno
		       : 0;
}

int mp_python_env_new(const struct mp_points *points, struct mp_python_env **ret,
		      struct mp_error *err)
{
	MP_CLEANUP(env_free_p) struct mp_python_env *env = calloc(1, sizeof(*env));
	int error;

	if (!env)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	env->answers.fd = -1;
	error = make_folder(env, points);
	error = error ?: enter(env);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "the folder for Pythons of the command cannot be made in /tmp: %s; "
			       "--python-mode off goes without it",
			       strerror(-error));
	*ret = MP_TAKE(env);
	return 0;
}

void mp_python_env_leave(struct mp_python_env *env)
{
	if (!env || !env->is_entered)
		return;
	env->is_entered = false;
	unsetenv(CONFIG_VARIABLE);
	if (env->old_path)
		setenv(PATH_VARIABLE, env->old_path, 1);
	else
		unsetenv(PATH_VARIABLE);
}

/* Also what an interpreter has compiled there. */
static void remove_below(const struct mp_python_env *env, const char *name)
{
	char path[128];
	MP_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", env->folder, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	mp_folder_empty(fd);
	rmdir(path);
}

static void remove_folder(const struct mp_python_env *env)
{
	remove_below(env, "results");
	remove_below(env, "__pycache__");
	remove_below(env, ".");
	rmdir(env->folder);
}

void mp_python_env_free(struct mp_python_env *env)
{
	if (!env)
		return;
	mp_python_env_leave(env);
	if (env->folder[0])
		remove_folder(env);
	mp_close_p(&env->answers.fd);
	free(env->old_path);
	free(env);
}

const char *mp_python_env_marker(const struct mp_python_env *env)
{
	return env->marker;
}

const struct mp_python_answers *mp_python_env_answers(const struct mp_python_env *env)
{
	return &env->answers;
}
