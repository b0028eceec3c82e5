// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills memory once by one way and says how many bytes a second that were:
 *
 *   fill_rate zeros|random|populate|memcpy MIB
 *
 * zeros and random are the arena of the harness with such content. populate is the least that any
 * way must do, MADV_POPULATE_WRITE on huge pages; memcpy does that, too, and then copies into it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "harness/arena.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* 5.14 */
#endif

static int fill_arena(size_t bytes, unsigned int entropy_pct)
{
	struct mp_arena arena;
	int there;

	if (mp_arena_init(&arena, bytes, true, entropy_pct))
		return -1;
	do {
		there = mp_arena_step(&arena, bytes, 4UL << 20);
	} while (there == 0);
	return there > 0 ? 0 : -1;
}

/* Block by block, as any sensible program does: what was just zeroed is in the cache still. */
static int fill_plainly(size_t bytes, const char *source)
{
	char *at = mmap(NULL, bytes + MP_BLOCK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	at += -(uintptr_t)at % MP_BLOCK_BYTES;
	madvise(at, bytes, MADV_HUGEPAGE);
	for (size_t done = 0; done < bytes; done += MP_BLOCK_BYTES) {
		if (madvise(at + done, MP_BLOCK_BYTES, MADV_POPULATE_WRITE))
			return -1;
		if (source)
			memcpy(at + done, source, MP_BLOCK_BYTES);
	}
	return 0;
}

static int fill(const char *way, size_t bytes, const char *source)
{
	if (strcmp(way, "zeros") == 0)
		return fill_arena(bytes, 0);
	if (strcmp(way, "random") == 0)
		return fill_arena(bytes, 100);
	return fill_plainly(bytes, strcmp(way, "memcpy") == 0 ? source : NULL);
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 3 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	char *source = malloc(MP_BLOCK_BYTES);
	uint64_t begin;

	if (!bytes || !source)
		return 2;
	memset(source, 'x', MP_BLOCK_BYTES);
	begin = mp_clock_now_ns();
	if (fill(argv[1], bytes, source)) {
		perror("fill_rate");
		return 1;
	}
	printf("%.0f\n", (double)bytes * 1e9 / (double)(mp_clock_now_ns() - begin));
	free(source);
	return 0;
}
