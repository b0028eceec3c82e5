// SPDX-License-Identifier: GPL-2.0-only
/* How a hook starts: what it gets to know, and what it does not inherit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>

#include "action/hook.h"
#include "action/report.h"
#include "base/level.h"
#include "base/text.h"

#define MAX_ENV 16

struct env {
	char *vars[MAX_ENV + 1]; /* NULL at the end */
	size_t n;
	bool failed;
};

static void env_free(struct env *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
}

#define ENV MP_CLEANUP(env_free)

static void MP_PRINTF(2, 3) env_add(struct env *env, const char *fmt, ...)
{
	va_list ap;

	if (env->n == MAX_ENV || env->failed)
		return;
	va_start(ap, fmt);
	env->failed = vasprintf(&env->vars[env->n], fmt, ap) < 0;
	va_end(ap);
	if (env->failed)
		env->vars[env->n] = NULL;
	else
		env->n++;
}

/* Names come from the process under watch: a script must not trip over them. */
static void env_add_clean(struct env *env, const char *name, const char *value)
{
	size_t size = value ? 4 * strlen(value) + 1 : 1; /* an escape is at most 4 bytes a byte */
	MP_FREE char *clean = calloc(1, size);

	if (!clean) {
		env->failed = true;
		return;
	}
	if (value)
		mp_text_clean(value, clean, size);
	env_add(env, "%s=%s", name, clean);
}

static void env_add_size(struct env *env, const char *name, uint64_t bytes)
{
	if (bytes == MP_UNKNOWN)
		env_add(env, "%s=", name);
	else
		env_add(env, "%s=%" PRIu64, name, bytes);
}

static const char *comm_of(const struct mp_event *cause)
{
	if (cause->type == MP_EVENT_PROBE)
		return cause->probe.comm;
	return cause->type == MP_EVENT_PRESSURE ? cause->pressure.comm : NULL;
}

static uint64_t rss_of(const struct mp_event *cause)
{
	return cause->type == MP_EVENT_PROBE ? cause->probe.rss : MP_UNKNOWN;
}

static void env_fill(struct env *env, const struct mp_action_request *request)
{
	const struct mp_event_decision *decision = request->decision;

	env_add(env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	env_add(env, "LANG=C");
	env_add_clean(env, "MEMPROBE_POINT", decision->point);
	env_add(env, "MEMPROBE_LEVEL=%s", mp_level_name(decision->level));
	env_add(env, "MEMPROBE_SEVERITY=%s", mp_severity_name(decision->severity));
	env_add(env, "MEMPROBE_PREVIOUS=%s", mp_severity_name(decision->previous));
	env_add(env, "MEMPROBE_PID=%" PRIu32, decision->pid);
	env_add_clean(env, "MEMPROBE_COMM", comm_of(request->cause));
	env_add_clean(env, "MEMPROBE_CGROUP", decision->cgroup);
	if (decision->usage_pct >= 0)
		env_add(env, "MEMPROBE_USAGE_PCT=%.1f", decision->usage_pct);
	else
		env_add(env, "MEMPROBE_USAGE_PCT=");
	env_add_size(env, "MEMPROBE_WORKING_SET", decision->working_set);
	env_add_size(env, "MEMPROBE_LIMIT", decision->limit);
	env_add_size(env, "MEMPROBE_RSS", rss_of(request->cause));
	env_add_clean(env, "MEMPROBE_REASON", decision->reason);
}

static void actions_destroy(posix_spawn_file_actions_t *actions)
{
	posix_spawn_file_actions_destroy(actions);
}

static void attr_destroy(posix_spawnattr_t *attr)
{
	posix_spawnattr_destroy(attr);
}

/*
 * stderr first: the pipe may be any number, 0 and 1 too when the monitor was
 * started without them.
 */
static int set_files(posix_spawn_file_actions_t *files, int err_fd)
{
	int err = posix_spawn_file_actions_adddup2(files, err_fd, STDERR_FILENO);

	if (!err)
		err = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY,
						       0);
	if (!err)
		err = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY,
						       0);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
	if (!err)
		err = posix_spawn_file_actions_addchdir_np(files, "/");
	return -err;
}

/* A session of its own, no signal blocked or ignored. */
static int set_attr(posix_spawnattr_t *attr)
{
	sigset_t none;
	sigset_t all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
							     POSIX_SPAWN_SETSIGDEF);
	return -err;
}

/* posix_spawn because the monitor has threads: nothing of ours runs between fork and exec. */
int mp_hook_spawn(const struct mp_action_request *request, int err_fd, pid_t *ret_pid)
{
	MP_CLEANUP(actions_destroy) posix_spawn_file_actions_t files;
	MP_CLEANUP(attr_destroy) posix_spawnattr_t attr;
	char *argv[] = {(char *)request->arg, NULL};
	struct env ENV env = {0};
	int err;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	env_fill(&env, request);
	err = env.failed ? -ENOMEM : set_files(&files, err_fd);
	if (!err)
		err = set_attr(&attr);
	return err ? err : -posix_spawn(ret_pid, argv[0], &files, &attr, argv, env.vars);
}
