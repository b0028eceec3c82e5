// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a command with a page for results of a load, and tells what is in the page when the command
 * is gone, however it went: page_keeper COMMAND…
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/load.h"

static int run(char **command, int fd)
{
	char number[16];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", fd);
	setenv(MP_LOAD_PAGE_ENV, number, 1);
	pid = fork();
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int main(int argc, char **argv)
{
	static struct mp_load_pass passes[MP_LOAD_PASSES_KEPT];
	struct mp_load_page *page;
	uint32_t stride;
	int fd, status;
	size_t kept;

	if (argc < 2 || mp_load_page_new(&page, &fd))
		return 2;
	status = run(argv + 1, fd);
	kept = mp_load_page_passes(page, passes, &stride);
	printf("{\"signal\": %d, \"state\": %u, \"weights\": %lu, \"cold_begin_ns\": %lu, "
	       "\"cold_ns\": %lu, \"n_passes\": %lu, \"passed\": %lu, \"kept\": %zu, "
	       "\"stride\": %u}\n",
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0, atomic_load(&page->state), page->weights,
	       page->cold_begin_ns, page->cold_ns, atomic_load(&page->n_passes),
	       atomic_load(&page->passed), kept, stride);
	return 0;
}
