// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eleven children, one after the other, with an oom_score_adj of 1000, 900 … 0.
 * Each fills 1 MiB a millisecond, one a call of probe_fill(), until it is killed. A
 * line for each says how it ended; exit code 0 when all were killed by a signal.
 *
 *   ladder [--bytes LIMIT] [--wait]
 */
#include <getopt.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fill.h"

#define LADDER_TOP 1000
#define LADDER_STEP 100
#define LADDER_MIB_PER_S 1000

PROBED void probe_fill(char *memory, uint64_t bytes)
{
	fill_touch(memory, bytes);
}

/* A child that nobody kills gives up at `bytes`. */
static void climb(int adj, uint64_t bytes)
{
	uint64_t begin_ns;
	char *memory;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fill_set_oom_score_adj(adj);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		target_die("mmap");
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	begin_ns = target_now_ns();
	for (uint64_t done = 0; done + FILL_MIB <= bytes; done += FILL_MIB) {
		fill_pace(begin_ns, done, LADDER_MIB_PER_S);
		probe_fill(memory + done, FILL_MIB);
	}
	_exit(EXIT_FAILURE);
}

/* True when a signal has ended the child. */
static bool run_child(int adj, uint64_t bytes)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		target_die("fork");
	if (!pid)
		climb(adj, bytes);
	if (waitpid(pid, &status, 0) < 0)
		target_die("waitpid");
	printf("child %d adj %d %s %d\n", (int)pid, adj, WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	fflush(stdout);
	return WIFSIGNALED(status);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"bytes", required_argument, NULL, 'b'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	uint64_t bytes = 1024ull * FILL_MIB;
	bool all_killed = true;
	bool wait = false;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'b')
			bytes = target_number(optarg);
		else if (c == 'w')
			wait = true;
		else
			return 2;
	}
	target_ready(wait);
	for (int adj = LADDER_TOP; adj >= 0; adj -= LADDER_STEP)
		all_killed = run_child(adj, bytes) && all_killed;
	return all_killed ? 0 : 1;
}
