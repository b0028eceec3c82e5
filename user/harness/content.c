// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page content of stated entropy. Compressors of memory (zram, zswap) look at one page at
 * a time, so a page is so many random bytes and then zeros, and no two pages are the same:
 * the random bytes come from a table, each page beginning elsewhere in it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/random.h"
#include "harness/content.h"

#define PAGE 4096
#define TABLE_WORDS 8192 /* 64 KiB: stays in the second-level cache beside what is written */

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
		content->words[i] = mp_random_next(&seed);
	return content;
}

static void fill_page(struct mp_content *content, char *page)
{
	uint64_t n = content->n_pages++;
	uint64_t mixed = n;
	size_t bytes = (size_t)PAGE * content->entropy_pct / 100 & ~7UL;
	size_t at = mp_random_next(&mixed) % (TABLE_WORDS - PAGE / sizeof(uint64_t));

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
