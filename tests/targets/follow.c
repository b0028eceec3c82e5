// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process with children: every child calls probe_push --calls times, itself
 * or, with --exec PROGRAM, every second one by running PROGRAM --calls N.
 * Children have a child of their own when --depth is above one.
 *
 *   follow --children 4 --calls 1009 [--depth 2] [--exec PATH] [--wait]
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sys/wait.h>

#include "probed.h"

struct options {
	uint64_t children;
	uint64_t calls;
	uint64_t depth;
	char *exec;
	bool wait;
};

static void call(uint64_t calls)
{
	uint64_t n = 0;

	while (n < calls)
		n = probe_push(n);
}

static void exec_program(const struct options *o)
{
	char calls[32];
	char *argv[] = {o->exec, "--calls", calls, NULL};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
	snprintf(calls, sizeof(calls), "%llu", (unsigned long long)o->calls);
	execv(o->exec, argv);
	_exit(1);
}

static bool spawn(const struct options *o, uint64_t index, uint64_t depth);

static void child(const struct options *o, uint64_t index, uint64_t depth)
{
	int status;

	if (depth > 1 && (!spawn(o, index, depth - 1) || wait(&status) < 0 || status))
		_exit(1);
	if (o->exec && index % 2)
		exec_program(o);
	call(o->calls);
	_exit(0);
}

static bool spawn(const struct options *o, uint64_t index, uint64_t depth)
{
	pid_t pid = fork();

	if (pid == 0)
		child(o, index, depth);
	return pid > 0;
}

static bool reap(uint64_t children)
{
	int status;
	bool ok = true;

	while (children--)
		ok = wait(&status) > 0 && status == 0 && ok;
	return ok;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"children", required_argument, NULL, 'n'}, {"calls", required_argument, NULL, 'c'},
		{"depth", required_argument, NULL, 'd'},    {"exec", required_argument, NULL, 'e'},
		{"wait", no_argument, NULL, 'w'},	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'n')
			o->children = target_number(optarg);
		else if (c == 'c')
			o->calls = target_number(optarg);
		else if (c == 'd')
			o->depth = target_number(optarg);
		else if (c == 'e')
			o->exec = optarg;
		else if (c == 'w')
			o->wait = true;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.children = 4, .calls = 1009, .depth = 1};
	uint64_t execs;
	uint64_t processes;

	parse(&o, argc, argv);
	target_ready(o.wait);
	call(o.calls);
	for (uint64_t i = 0; i < o.children; i++)
		if (!spawn(&o, i, o.depth))
			target_die("fork");
	if (!reap(o.children))
		return 1;
	execs = o.exec ? o.children / 2 * o.depth : 0;
	processes = o.children * o.depth + 1;
	printf("{\"calls\": %" PRIu64 ", \"parent_calls\": %" PRIu64 ", \"exec_calls\": %" PRIu64
	       ", \"processes\": %" PRIu64 "}\n",
	       processes * o.calls, o.calls, execs * o.calls, processes);
	return 0;
}
