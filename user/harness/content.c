// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page content of stated entropy. Compressors of memory (zram, zswap) look at one page at
 * a time, so a page is so many random bytes and then zeros, and no two pages are the same:
 * the random bytes come from a table, each page beginning elsewhere in it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "harness/content.h"

#define PAGE 4096
#define TABLE_WORDS 8192 /* 64 KiB: stays in the second-level cache beside what is written */

/* splitmix64 (Steele, Lea, Flood 2014): any seed gives a good sequence. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

struct mp_content {
	uint64_t words[TABLE_WORDS];
	uint64_t n_pages; /* so far: each gets another seed */
	unsigned int entropy_pct;
};

struct mp_content *mp_content_new(unsigned int entropy_pct, uint64_t seed)
{
	struct mp_content *content = malloc(sizeof(*content));

	if (!content)
		return NULL;
	content->n_pages = seed;
	content->entropy_pct = entropy_pct;
	for (size_t i = 0; i < TABLE_WORDS; i++)
		content->words[i] = next_random(&seed);
	return content;
}

static void fill_page(struct mp_content *content, char *page)
{
	uint64_t n = content->n_pages++;
	uint64_t mixed = n;
	size_t bytes = (size_t)PAGE * content->entropy_pct / 100 & ~7UL;
	size_t at = next_random(&mixed) % (TABLE_WORDS - PAGE / sizeof(uint64_t));

	if (bytes == 0)
		return;
	memcpy(page, content->words + at, bytes);
	memcpy(page, &mixed, sizeof(mixed));
}

void mp_content_fill(struct mp_content *content, void *at, size_t bytes)
{
	for (size_t done = 0; done < bytes; done += PAGE)
		fill_page(content, (char *)at + done);
}
