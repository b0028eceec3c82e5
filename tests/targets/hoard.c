// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frees much memory that its allocator keeps, then takes some more from the kernel:
 *
 *   hoard [--mib 500] [--block 1000] [--grow MIB] [--hold SECONDS]
 *
 * Blocks of --block bytes are allocated and freed, but for the last one, which pins the
 * heap's end. Says "kept RSS" then, in bytes; "grown RSS" after it has mapped and filled
 * --grow; and, when SIGTERM comes or --hold is over, "left RSS".
 */
#include <getopt.h>
#include <sys/mman.h>

#include "target.h"

#define MIB (1ULL << 20)

struct options {
	uint64_t mib;
	uint64_t block;
	uint64_t grow_mib;
	uint64_t hold_s;
};

static void say_rss(const char *what)
{
	unsigned long long resident;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%*u %llu", &resident) != 1)
		target_die("/proc/self/statm");
	fclose(f);
	printf("%s %llu\n", what, resident * (unsigned long long)sysconf(_SC_PAGESIZE));
	fflush(stdout);
}

/* A list through the blocks themselves, so that there is nothing else on the heap. */
static void hoard(const struct options *o)
{
	void **last = NULL;

	for (uint64_t n = o->mib * MIB / o->block; n; n--) {
		void **block = malloc(o->block);

		if (!block)
			target_die("malloc");
		memset(block, 1, o->block);
		*block = (void *)last;
		last = block;
	}
	while (last && *last) {
		void **before = *last;

		*last = before ? *before : NULL;
		free((void *)before);
	}
}

static void grow(uint64_t bytes)
{
	char *memory;

	if (!bytes)
		return;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		target_die("mmap");
	memset(memory, 1, bytes);
}

static void wait_for_end(const struct options *o)
{
	const struct timespec hold = {.tv_sec = (time_t)o->hold_s};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigtimedwait(&set, NULL, &hold);
}

static void block_end(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"mib", required_argument, NULL, 'm'},
		{"block", required_argument, NULL, 'b'},
		{"grow", required_argument, NULL, 'g'},
		{"hold", required_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.mib = 500, .block = 1000, .hold_s = 60};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'm')
			o.mib = target_number(optarg);
		else if (c == 'b')
			o.block = target_number(optarg);
		else if (c == 'g')
			o.grow_mib = target_number(optarg);
		else if (c == 'h')
			o.hold_s = target_number(optarg);
		else
			exit(2);
	}
	if (o.block < sizeof(void *))
		o.block = sizeof(void *);
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);

	block_end();
	target_ready(false);
	hoard(&o);
	say_rss("kept");
	grow(o.grow_mib * MIB);
	say_rss("grown");
	wait_for_end(&o);
	say_rss("left");
	return 0;
}
