// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The search that execvp(3) does, done before so that the file can be probed. */
char *mp_child_find(const char *name)
{
	const char *part = getenv("PATH");
	char full[PATH_MAX];

	if (strchr(name, '/'))
		return is_program(name) ? strdup(name) : NULL;
	part = part ? part : "/usr/bin:/bin";
	for (;;) {
		int len = (int)strcspn(part, ":");

		/* An empty part is the current directory. */
		snprintf(full, sizeof(full), "%.*s/%s", len ? len : 1, len ? part : ".", name);
		if (is_program(full))
			return strdup(full);
		if (!part[len])
			return NULL;
		part += len + 1;
	}
}

static int fail_to_find(const char *name, struct mp_error *err)
{
	if (strchr(name, '/') && access(name, F_OK) == 0)
		return mp_fail(err, MP_EXIT_TARGET, EACCES,
			       "%s: it is not a file that can be executed", name);
	return mp_fail(err, MP_EXIT_TARGET, ENOENT,
		       "%s: command not found: give a path, or a program that is in $PATH", name);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static _Noreturn void child_main(const char *path, char *const argv[], int go, int failed)
{
	char byte;
	int error;

	if (read(go, &byte, 1) != 1)
		_exit(127);
	reset_signals();
	execv(path, argv);
	error = errno;
	if (write(failed, &error, sizeof(error)) != sizeof(error))
		_exit(126);
	_exit(127);
}

static int make_pipes(int go[2], int failed[2])
{
	int error;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC) == 0)
		return 0;
	error = -errno;
	close(go[0]);
	close(go[1]);
	return error;
}

static void fork_child(struct mp_child *child, char *const argv[],
		       const struct mp_child_place *place, const int go[2], const int failed[2])
{
	child->pid = place->group ? mp_group_fork(place->group) : fork();
	if (child->pid == 0) {
		close(go[1]);
		if (place->prepare)
			place->prepare(place->data);
		child_main(child->path, argv, go[0], failed[1]);
	}
	if (child->pid > 0)
		child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
}

int mp_child_start(char *const argv[], struct mp_child *ret, struct mp_error *err)
{
	return mp_child_start_in(argv, NULL, ret, err);
}

int mp_child_start_in(char *const argv[], const struct mp_child_place *place, struct mp_child *ret,
		      struct mp_error *err)
{
	static const struct mp_child_place here = {0};
	struct mp_child child = {.pid = -1, .go = -1, .failed = -1, .pidfd = -1};
	int go[2] = {-1, -1};
	int failed[2] = {-1, -1};
	int error;

	child.path = mp_child_find(argv[0]);
	if (!child.path)
		return fail_to_find(argv[0], err);
	error = make_pipes(go, failed);
	if (!error) {
		fork_child(&child, argv, place ? place : &here, go, failed);
		error = child.pidfd < 0 ? -errno : 0;
		close(go[0]);
		close(failed[1]);
		child.go = go[1];
		child.failed = failed[0];
	}
	if (error) {
		mp_child_free(&child);
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error, "cannot start a process: %s",
			       strerror(-error));
	}
	*ret = child;
	return 0;
}

int mp_child_release(struct mp_child *child, const char *name, struct mp_error *err)
{
	int error = 0;
	ssize_t n;

	if (write(child->go, "g", 1) != 1)
		return mp_fail(err, MP_EXIT_TARGET, ESRCH, "%s: the process is gone", name);
	/* Closed by a successful exec; otherwise it brings the reason. */
	do {
		n = read(child->failed, &error, sizeof(error));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(error))
		return mp_fail(err, MP_EXIT_TARGET, error, "%s: cannot be executed: %s", name,
			       strerror(error));
	return 0;
}

bool mp_child_reap(struct mp_child *child)
{
	if (!child->ended &&
	    wait4(child->pid, &child->status, WNOHANG, &child->usage) == child->pid)
		child->ended = true;
	return child->ended;
}

int mp_child_exit_code(const struct mp_child *child)
{
	if (WIFSIGNALED(child->status))
		return 128 + WTERMSIG(child->status);
	return WEXITSTATUS(child->status);
}

void mp_child_free(struct mp_child *child)
{
	mp_close_p(&child->go);
	mp_close_p(&child->failed);
	mp_close_p(&child->pidfd);
	free(child->path);
}
