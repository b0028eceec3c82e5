// SPDX-License-Identifier: GPL-2.0-only
/*
 * What reaches into a live Python, from the command line, for the tests.
 *
 *   inject inspect PID
 *   inject run PID SCRIPT    prints how long the process was stopped, in microseconds
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject/python.h"

static const struct mp_fsroot live = {""};

static int fail(int error, const struct mp_error *err)
{
	fprintf(stderr, "%s: %s\n", strerrorname_np(-error), err->text);
	return 1;
}

static int inspect(pid_t pid, struct mp_python *python)
{
	struct mp_error err = {0};
	int error = mp_python_inspect(&live, pid, python, &err);

	return error ? fail(error, &err) : 0;
}

static int print_inspected(pid_t pid)
{
	static const char *const ways[] = {"no way", "pending call", "remote debug"};
	struct mp_python python;

	if (inspect(pid, &python))
		return 1;
	printf("%u.%u%s%s %s%s%s\n", python.major, python.minor,
	       python.is_free_threaded ? " free-threaded" : "", python.is_debug ? " debug" : "",
	       ways[python.way], python.way ? "" : ": ", python.way ? "" : python.why);
	return 0;
}

static int run(pid_t pid, const char *script)
{
	struct mp_error err = {0};
	struct mp_python python;
	uint64_t stopped_ns = 0;
	int error;

	if (inspect(pid, &python))
		return 1;
	error = mp_python_run(&python, script, &stopped_ns, &err);
	if (error)
		return fail(error, &err);
	printf("%" PRIu64 "\n", stopped_ns / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "inspect") == 0)
		return print_inspected(atoi(argv[2]));
	if (argc == 4 && strcmp(argv[1], "run") == 0)
		return run(atoi(argv[2]), argv[3]);
	fprintf(stderr, "usage: inject inspect PID | inject run PID SCRIPT\n");
	return 2;
}
