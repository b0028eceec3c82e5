// SPDX-License-Identifier: GPL-2.0-only
#include "harness/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* 5.14 */
#endif

#define SMALL_PAGE 4096

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char *reserve(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Address space for whole blocks: what lies before the first boundary is given back. */
static char *reserve_blocks(size_t bytes)
{
	char *at = reserve(bytes + MP_BLOCK_BYTES);
	size_t before;

	if (!at)
		return NULL;
	before = -(uintptr_t)at % MP_BLOCK_BYTES;
	if (before)
		munmap(at, before);
	if (before < MP_BLOCK_BYTES)
		munmap(at + before + bytes, MP_BLOCK_BYTES - before);
	return at + before;
}

int mp_arena_init(struct mp_arena *arena, size_t max_bytes, bool huge, unsigned int entropy_pct)
{
	size_t bytes = (max_bytes + MP_BLOCK_BYTES - 1) / MP_BLOCK_BYTES * MP_BLOCK_BYTES;

	*arena = (struct mp_arena){.max_bytes = bytes, .huge = huge};
	arena->content = mp_content_new(entropy_pct, (uint64_t)getpid() << 32);
	arena->blocks = reserve_blocks(bytes);
	arena->small = reserve(MP_BLOCK_BYTES);
	if (!arena->content || !arena->blocks || !arena->small) {
		mp_arena_end(arena);
		return -ENOMEM;
	}
	madvise(arena->blocks, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	madvise(arena->small, MP_BLOCK_BYTES, MADV_NOHUGEPAGE);
	return 0;
}

void mp_arena_end(struct mp_arena *arena)
{
	if (arena->blocks)
		munmap(arena->blocks, arena->max_bytes);
	if (arena->small)
		munmap(arena->small, MP_BLOCK_BYTES);
	free(arena->content);
	*arena = (struct mp_arena){0};
}

size_t mp_arena_size(const struct mp_arena *arena)
{
	return arena->block_bytes + arena->small_bytes;
}

/* Before 5.14 by writing: a byte of each page is what it already is. */
static int populate_by_touching(volatile char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += SMALL_PAGE)
		at[i] = 0;
	return 0;
}

static int populate(struct mp_arena *arena, char *at, size_t bytes)
{
	if (madvise(at, bytes, MADV_POPULATE_WRITE)) {
		if (errno != EINVAL)
			return -errno;
		populate_by_touching(at, bytes);
	}
	mp_content_fill(arena->content, at, bytes);
	return 0;
}

static void drop(char *at, size_t bytes)
{
	madvise(at, bytes, MADV_DONTNEED);
}

/* What a size is made of. */
static size_t blocks_of(const struct mp_arena *arena, size_t want)
{
	return arena->huge ? want / MP_BLOCK_BYTES * MP_BLOCK_BYTES : want;
}

/* Content goes in block by block, while what was just zeroed is still in the cache. */
static int grow(struct mp_arena *arena, char *base, size_t *has, size_t want, size_t step)
{
	size_t end = smaller(want, *has + step);

	while (*has < end) {
		size_t bytes = smaller(end - *has, MP_BLOCK_BYTES);
		int error = populate(arena, base + *has, bytes);

		if (error) {
			/* What came of it is not counted, so nobody would give it back. */
			drop(base + *has, bytes);
			return error;
		}
		*has += bytes;
	}
	return 0;
}

static void shrink(char *base, size_t *has, size_t want)
{
	if (*has <= want)
		return;
	drop(base + want, *has - want);
	*has = want;
}

/* Gives back first, so that no step on the way is larger than both ends. */
int mp_arena_step(struct mp_arena *arena, size_t want, size_t step)
{
	size_t goal = smaller(want, arena->max_bytes);
	size_t blocks = blocks_of(arena, goal);
	size_t small = goal - blocks;
	int error = 0;

	shrink(arena->blocks, &arena->block_bytes, blocks);
	if (arena->block_bytes < blocks || arena->small_bytes > small)
		shrink(arena->small, &arena->small_bytes, small);
	if (arena->block_bytes < blocks)
		error = grow(arena, arena->blocks, &arena->block_bytes, blocks, step);
	else if (arena->small_bytes < small)
		error = grow(arena, arena->small, &arena->small_bytes, small, step);
	if (error)
		return error;
	return mp_arena_size(arena) == goal;
}

static void touch(volatile char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += SMALL_PAGE) {
		char byte = at[i];

		at[i] = byte;
	}
}

size_t mp_arena_touch(struct mp_arena *arena, size_t from, size_t bytes)
{
	size_t size = mp_arena_size(arena);
	size_t end = from < size ? from + smaller(bytes, size - from) : size;
	size_t in_blocks = smaller(end, arena->block_bytes);

	if (from < in_blocks)
		touch(arena->blocks + from, in_blocks - from);
	from = from > arena->block_bytes ? from - arena->block_bytes : 0;
	if (end > arena->block_bytes + from)
		touch(arena->small + from, end - arena->block_bytes - from);
	return end < size ? end : 0;
}
