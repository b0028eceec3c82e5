/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of an exact size: what is in it is populated, what is not is not. Whole blocks of
 * 2 MiB are huge pages where these are allowed; the rest are small pages apart from them, since a
 * part of a huge page cannot be given back.
 */
#ifndef MP_HARNESS_ARENA_H
#define MP_HARNESS_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/content.h"

#define MP_BLOCK_BYTES (2UL << 20)

struct mp_arena {
	char *blocks; /* aligned to MP_BLOCK_BYTES */
	char *small;  /* one block of small pages */
	size_t max_bytes;
	size_t block_bytes; /* populated in blocks */
	size_t small_bytes; /* populated in small pages */
	bool huge;
	struct mp_content *content;
};

/* Sets address space aside. `huge` false: small pages all over. -ENOMEM. */
int mp_arena_init(struct mp_arena *arena, size_t max_bytes, bool huge, unsigned int entropy_pct);
size_t mp_arena_size(const struct mp_arena *arena);
/*
 * One step, of at most `step` bytes, towards a size (a multiple of the page size): so that whoever
 * asks can change their mind in between. Returns 1 when it is there, 0 when not yet, -ENOMEM when
 * the kernel gives no more.
 */
int mp_arena_step(struct mp_arena *arena, size_t want, size_t step);
/*
 * Touches each page of at most `bytes` that begin at `from` (an earlier answer, or 0). Returns
 * where to go on, 0 at the end: so that whoever touches a lot can look up in between.
 */
size_t mp_arena_touch(struct mp_arena *arena, size_t from, size_t bytes);
void mp_arena_end(struct mp_arena *arena);

#endif
