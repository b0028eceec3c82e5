// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "elf/interpreter.h"

#define MAX_SHEBANGS 4 /* as deep as the kernel goes */

/* The first word behind #! of a script, or -ENOEXEC. */
static int script_interpreter(const char *path, char out[PATH_MAX])
{
	MP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char line[512];
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	const char *word;

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return -ENOEXEC;
	line[n] = '\0';
	word = line + 2 + strspn(line + 2, " \t");
	snprintf(out, PATH_MAX, "%.*s", (int)strcspn(word, " \t\n"), word);
	return out[0] == '/' ? 0 : -ENOEXEC;
}

/* "\tlibz.so.1 => /lib/libz.so.1 (0x7f…)" and "\t/lib64/ld.so (0x7f…)" */
static char *listed_path(char *line)
{
	char *arrow = strstr(line, "=> ");
	char *path = arrow ? arrow + 3 : line + strspn(line, " \t");
	char *end = strstr(path, " (0x");

	if (*path != '/' || !end)
		return NULL;
	*end = '\0';
	return path;
}

static int add_listed(struct mp_prober *prober, FILE *list, struct mp_error *err)
{
	MP_FREE char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, list) > 0) {
		const char *path = listed_path(line);
		int error = path ? mp_prober_add_path(prober, path, false, err) : 0;

		if (error == -E2BIG || error == -ENOMEM)
			return error;
	}
	return 0;
}

/*
 * The real path of a loader, or NULL when it should not be run. A file names its
 * loader itself, and looking at a file must not execute what its author chose:
 * it has to be a loader (musl's is its libc), and one that root or this user put there.
 */
static char *trusted_loader(const char *interpreter)
{
	MP_FREE char *real = realpath(interpreter, NULL);
	const char *name = real ? strrchr(real, '/') + 1 : "";
	struct stat st;

	if (strncmp(name, "ld", 2) != 0 && strncmp(name, "libc.so", 7) != 0)
		return NULL;
	if (stat(real, &st) || !S_ISREG(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    (st.st_uid != 0 && st.st_uid != geteuid()))
		return NULL;
	return MP_TAKE(real);
}

/* Starts `loader --list path` with its output in a pipe. Returns the pipe's end. */
static int start_loader(const char *loader, const char *path, pid_t *ret_pid)
{
	char *argv[] = {(char *)loader, (char *)"--list", (char *)path, NULL};
	posix_spawn_file_actions_t actions;
	int pipe_fds[2];
	int error;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawn(ret_pid, loader, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	if (error) {
		close(pipe_fds[0]);
		return -error;
	}
	return pipe_fds[0];
}

static int add_libraries(struct mp_prober *prober, const char *interpreter, const char *path,
			 struct mp_error *err)
{
	MP_FREE char *loader = trusted_loader(interpreter);
	MP_FCLOSE FILE *list = NULL;
	pid_t pid = -1;
	int fd = loader ? start_loader(loader, path, &pid) : -EPERM;
	int error;

	/* Without the list, libraries are found when they are mapped. */
	if (fd < 0)
		return 0;
	list = fdopen(fd, "r");
	error = list ? add_listed(prober, list, err) : -ENOMEM;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error;
}

void mp_programs_executed(const char *path, char out[PATH_MAX])
{
	char interpreter[PATH_MAX];

	snprintf(out, PATH_MAX, "%s", path);
	for (int i = 0; i < MAX_SHEBANGS && script_interpreter(out, interpreter) == 0; i++)
		memcpy(out, interpreter, PATH_MAX);
}

int mp_programs_add(struct mp_prober *prober, const char *path, struct mp_error *err)
{
	char program[PATH_MAX];
	char interpreter[PATH_MAX];
	int error;

	if (access(path, F_OK))
		return mp_fail(err, MP_EXIT_TARGET, errno, "%s: %s", path, strerror(errno));
	mp_programs_executed(path, program);
	error = mp_prober_add_path(prober, program, true, err);
	if (error == -E2BIG || error == -ENOMEM)
		return error;
	if (mp_elf_interpreter(program, interpreter, sizeof(interpreter)))
		return 0;
	return add_libraries(prober, interpreter, program, err);
}
