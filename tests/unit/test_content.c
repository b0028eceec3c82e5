// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "harness/arena.h"
#include "harness/content.h"

#define PAGE 4096UL
#define PAGES 512UL

static unsigned char *pages_of(unsigned int entropy_pct)
{
	struct mp_content *content = mp_content_new(entropy_pct, 7);
	unsigned char *pages = calloc(PAGES, PAGE);

	assert_non_null(content);
	assert_non_null(pages);
	mp_content_fill(content, pages, PAGES * PAGE);
	free(content);
	return pages;
}

/* Page by page, as zram and zswap do: percent of the size that is left. */
static double compressed_pct(const unsigned char *pages)
{
	unsigned char out[2 * PAGE];
	size_t total = 0;

	for (size_t i = 0; i < PAGES; i++) {
		uLongf len = sizeof(out);

		assert_int_equal(compress2(out, &len, pages + i * PAGE, PAGE, 6), Z_OK);
		total += len;
	}
	return (double)total * 100 / (double)(PAGES * PAGE);
}

static void check_entropy(unsigned int entropy_pct, double least, double most)
{
	unsigned char *pages = pages_of(entropy_pct);
	double pct = compressed_pct(pages);

	free(pages);
	if (pct < least || pct > most)
		fail_msg("entropy %u: compressed to %.2f %%", entropy_pct, pct);
}

static void test_compressors_see_the_entropy(void **state)
{
	(void)state;
	check_entropy(0, 0, 1);
	check_entropy(25, 25, 28);
	check_entropy(50, 50, 53);
	check_entropy(100, 100, 101);
}

static int compare_pages(const void *a, const void *b)
{
	return memcmp(a, b, PAGE);
}

/* Else the kernel could merge them (KSM), and a compressor with a cache of its own would. */
static void test_no_two_pages_are_equal(void **state)
{
	static const unsigned int entropies[] = {1, 50, 100};

	(void)state;
	for (size_t i = 0; i < sizeof(entropies) / sizeof(*entropies); i++) {
		unsigned char *pages = pages_of(entropies[i]);

		qsort(pages, PAGES, PAGE, compare_pages);
		for (size_t j = 1; j < PAGES; j++)
			assert_memory_not_equal(pages + (j - 1) * PAGE, pages + j * PAGE, PAGE);
		free(pages);
	}
}

static void go_to(struct mp_arena *arena, size_t want)
{
	int there = 0;

	while (there == 0) {
		size_t before = mp_arena_size(arena);

		there = mp_arena_step(arena, want, 3 * PAGE);
		assert_true(mp_arena_size(arena) <= (want > before ? want : before));
	}
	assert_int_equal(there, 1);
	assert_int_equal(mp_arena_size(arena), want);
}

static void walk(bool huge)
{
	static const size_t sizes[] = {PAGE,
				       5 * PAGE,
				       MP_BLOCK_BYTES + PAGE,
				       MP_BLOCK_BYTES,
				       2 * MP_BLOCK_BYTES - PAGE,
				       0,
				       2 * MP_BLOCK_BYTES};
	struct mp_arena arena;

	assert_int_equal(mp_arena_init(&arena, 2 * MP_BLOCK_BYTES, huge, 0), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		go_to(&arena, sizes[i]);
	/* More than was set aside is as much as there is. */
	assert_int_equal(mp_arena_step(&arena, 3 * MP_BLOCK_BYTES, PAGE), 1);
	assert_int_equal(mp_arena_size(&arena), 2 * MP_BLOCK_BYTES);
	mp_arena_end(&arena);
}

static void test_arena_has_exactly_what_is_asked(void **state)
{
	(void)state;
	walk(false);
	walk(true);
}

/* Both parts of it, in pieces that end where they may, and no byte changes. */
static void test_touching_goes_over_all_and_changes_nothing(void **state)
{
	struct mp_arena arena;
	size_t at = 0;
	unsigned int rounds = 0;

	(void)state;
	assert_int_equal(mp_arena_init(&arena, 2 * MP_BLOCK_BYTES, true, 100), 0);
	assert_int_equal(mp_arena_touch(&arena, 0, PAGE), 0);
	go_to(&arena, MP_BLOCK_BYTES + 3 * PAGE);
	arena.blocks[0] = 'b';
	arena.small[2 * PAGE] = 's';
	do {
		at = mp_arena_touch(&arena, at, MP_BLOCK_BYTES - PAGE);
		assert_true(at < mp_arena_size(&arena));
		rounds++;
	} while (at && rounds < 100);
	assert_int_equal(rounds, 2);
	assert_int_equal(arena.blocks[0], 'b');
	assert_int_equal(arena.small[2 * PAGE], 's');
	/* It shrank meanwhile. */
	go_to(&arena, PAGE);
	assert_int_equal(mp_arena_touch(&arena, MP_BLOCK_BYTES, PAGE), 0);
	mp_arena_end(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compressors_see_the_entropy),
		cmocka_unit_test(test_no_two_pages_are_equal),
		cmocka_unit_test(test_arena_has_exactly_what_is_asked),
		cmocka_unit_test(test_touching_goes_over_all_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
