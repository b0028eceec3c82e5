// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds --base bytes, then calls a function that asks for --bytes more, and says
 * at its first statement that it runs:
 *
 *   gated --base 62914560 --bytes 1048576 --calls 1 [--pause 1000]
 *         [--neighbour 20971520 --leave 300] [--wait]
 *
 * What a call took is given back when it has returned; --pause waits so many
 * microseconds after each. --neighbour makes a child that holds so many bytes of its own, and
 * leaves
 * --leave milliseconds after the first call is about to be made.
 */
#include <getopt.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "target.h"

struct options {
	uint64_t base;
	uint64_t bytes;
	uint64_t calls;
	uint64_t neighbour;
	uint64_t leave_ms;
	uint64_t pause_us;
	bool wait;
};

static char *touch(uint64_t bytes)
{
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	memset(memory, 0x5a, bytes);
	return memory;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

PROBED char *gated_load(uint64_t size)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "entered %" PRIu64 "\n", now_ns());

	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		target_die("write");
	return touch(size);
}

/* Returns the end of a pair of sockets: the neighbour has touched its memory, and awaits a byte. */
static int start_neighbour(const struct options *o)
{
	int ends[2];
	char byte = 'r';

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		target_die("socketpair");
	if (fork() == 0) {
		close(ends[0]);
		touch(o->neighbour);
		if (write(ends[1], &byte, 1) != 1 || read(ends[1], &byte, 1) < 0)
			_exit(1);
		usleep((useconds_t)(o->leave_ms * 1000));
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		target_die("the neighbour");
	return ends[0];
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"base", required_argument, NULL, 'b'},
		{"bytes", required_argument, NULL, 's'},
		{"calls", required_argument, NULL, 'c'},
		{"neighbour", required_argument, NULL, 'n'},
		{"leave", required_argument, NULL, 'l'},
		{"pause", required_argument, NULL, 'p'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'b')
			o->base = target_number(optarg);
		else if (c == 's')
			o->bytes = target_number(optarg);
		else if (c == 'c')
			o->calls = target_number(optarg);
		else if (c == 'n')
			o->neighbour = target_number(optarg);
		else if (c == 'l')
			o->leave_ms = target_number(optarg);
		else if (c == 'p')
			o->pause_us = target_number(optarg);
		else if (c == 'w')
			o->wait = true;
		else
			exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.calls = 1, .bytes = 1 << 20};
	int neighbour = -1;

	parse(&o, argc, argv);
	if (o.neighbour)
		neighbour = start_neighbour(&o);
	if (o.base)
		touch(o.base);
	target_ready(o.wait);
	if (neighbour >= 0 && write(neighbour, "g", 1) != 1)
		target_die("write");
	for (uint64_t i = 0; i < o.calls; i++) {
		munmap(gated_load(o.bytes), o.bytes);
		usleep((useconds_t)o.pause_us);
	}
	printf("returned %" PRIu64 "\n", now_ns());
	while (wait(NULL) > 0)
		;
	return 0;
}
