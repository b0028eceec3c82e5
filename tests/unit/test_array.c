// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/cleanup.h"

struct odd {
	uint8_t bytes[7];
};

static void test_grows_from_nothing(void **state)
{
	MP_FREE struct odd *items = NULL;
	size_t n = 0;
	size_t cap = 0;

	(void)state;
	for (; n < 1000; n++) {
		assert_int_equal(MP_RESERVE_ONE(items, n, cap), 0);
		assert_true(cap > n);
		items[n] = (struct odd){{(uint8_t)n, [6] = (uint8_t)(n >> 8)}};
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(items[i].bytes[0] | items[i].bytes[6] << 8, i);
}

static void test_doubles_when_full_only(void **state)
{
	MP_FREE int *items = malloc(3 * sizeof(*items));
	const int *before = items;
	size_t cap = 3;

	(void)state;
	assert_int_equal(MP_RESERVE_ONE(items, 2, cap), 0);
	assert_ptr_equal(items, before);
	assert_int_equal(cap, 3);
	assert_int_equal(MP_RESERVE_ONE(items, 3, cap), 0);
	assert_int_equal(cap, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_from_nothing),
		cmocka_unit_test(test_doubles_when_full_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
