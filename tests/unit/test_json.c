// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/event.h"
#include "report/json.h"

static void commas_and_nesting(void **state)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	(void)state;
	mp_json_object(&j, NULL);
	mp_json_array(&j, "empty");
	mp_json_array_end(&j);
	mp_json_object(&j, "o");
	mp_json_bool(&j, "yes", true);
	mp_json_bool(&j, "no", false);
	mp_json_object_end(&j);
	mp_json_array(&j, "a");
	mp_json_u64(&j, NULL, 1);
	mp_json_string(&j, NULL, "x");
	mp_json_object(&j, NULL);
	mp_json_object_end(&j);
	mp_json_array_end(&j);
	mp_json_object_end(&j);
	assert_string_equal(t.data,
			    "{\"empty\":[],\"o\":{\"yes\":true,\"no\":false},\"a\":[1,\"x\",{}]}");
}

static void check_u64(uint64_t value, const char *expected)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	mp_json_u64(&j, NULL, value);
	assert_string_equal(t.data, expected);
}

static void unsigned_numbers(void **state)
{
	(void)state;
	check_u64(0, "0");
	check_u64(9, "9");
	check_u64(10, "10");
	check_u64(1234567890123456789, "1234567890123456789");
	check_u64(INT64_MAX, "9223372036854775807");
	check_u64((uint64_t)INT64_MAX + 1, "null");
	check_u64(MP_UNKNOWN, "null");
}

static void signed_numbers(void **state)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	(void)state;
	mp_json_s64(&j, NULL, 0);
	mp_json_s64(&j, NULL, -1);
	mp_json_s64(&j, NULL, INT64_MAX);
	mp_json_s64(&j, NULL, INT64_MIN + 1);
	mp_json_s64(&j, NULL, MP_UNKNOWN_DELTA);
	mp_json_int(&j, NULL, INT64_MIN);
	assert_string_equal(t.data, "0,-1,9223372036854775807,-9223372036854775807,null,"
				    "-9223372036854775808");
}

static void hex_numbers(void **state)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	(void)state;
	mp_json_hex(&j, NULL, 0);
	mp_json_hex(&j, NULL, 0xf);
	mp_json_hex(&j, NULL, 0x10);
	mp_json_hex(&j, NULL, 0x7f12ab00cd);
	mp_json_hex(&j, NULL, UINT64_MAX);
	assert_string_equal(t.data,
			    "\"0x0\",\"0xf\",\"0x10\",\"0x7f12ab00cd\",\"0xffffffffffffffff\"");
}

static void percentages(void **state)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	(void)state;
	mp_json_pct(&j, NULL, 0);
	mp_json_pct(&j, NULL, 0.004);
	mp_json_pct(&j, NULL, 0.005);
	mp_json_pct(&j, NULL, 85.37);
	mp_json_pct(&j, NULL, 99.999);
	mp_json_pct(&j, NULL, -0.001);
	mp_json_pct(&j, NULL, NAN);
	mp_json_pct(&j, NULL, INFINITY);
	assert_string_equal(t.data, "0.00,0.00,0.01,85.37,100.00,null,null,1000000000000.00");
}

static void fractions(void **state)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	(void)state;
	mp_json_number(&j, NULL, -0.0);
	mp_json_number(&j, NULL, -1.2345678);
	mp_json_number(&j, NULL, NAN);
	mp_json_fixed(&j, NULL, 1.0 / 3, 3);
	mp_json_fixed(&j, NULL, 2e15, 3);
	mp_json_seconds(&j, NULL, 1234567891);
	mp_json_seconds(&j, NULL, MP_UNKNOWN);
	assert_string_equal(t.data, "0,-1.23457,null,0.333,2e+15,1.234567891,null");
}

static void check_string(const char *value, const char *expected)
{
	MP_TEXT struct mp_text t = {0};
	struct mp_json j = {.out = &t};

	mp_json_string(&j, NULL, value);
	assert_string_equal(t.data, expected);
}

static void strings_come_out_clean(void **state)
{
	(void)state;
	check_string(NULL, "null");
	check_string("", "\"\"");
	check_string("load_model", "\"load_model\"");
	check_string("a \"b\" c", "\"a \\\"b\\\" c\"");
	check_string("two\nlines", "\"two\\\\nlines\"");
	check_string("\033[31mred", "\"\\\\e[31mred\"");
	check_string("back\\slash", "\"back\\\\\\\\slash\"");
	check_string("bad \xff\xc3(", "\"bad \\\\xff\\\\xc3(\"");
	check_string("\xe6\xa8\xa1\xe5\x9e\x8b", "\"\xe6\xa8\xa1\xe5\x9e\x8b\"");
	check_string("\xe2\x80\xae", "\"\\\\u{202e}\"");
	check_string("\x7f", "\"\\\\x7f\"");
}

/* Every byte, alone and between others, gives JSON that a strict parser takes. */
static void any_bytes_are_valid_json(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char value[] = {'a', (char)byte, 'b', (char)byte, '\0'};
		MP_TEXT struct mp_text t = {0};
		struct mp_json j = {.out = &t};
		json_t *root;

		mp_json_object(&j, NULL);
		mp_json_string(&j, value, value);
		mp_json_object_end(&j);
		root = json_loadb(t.data, t.len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(root);
		assert_int_equal(json_object_size(root), 1);
		json_decref(root);
	}
}

/* Longer than each of the buffers inside, and at their edges. */
static void long_strings_and_keys(void **state)
{
	static const size_t lengths[] = {40, 47, 48, 49, 255, 256, 1023, 1024, 5000};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(lengths); i++) {
		size_t n = lengths[i];
		MP_FREE char *plain = calloc(1, n + 1);
		MP_FREE char *hostile = calloc(1, n + 1);
		MP_TEXT struct mp_text t = {0};
		struct mp_json j = {.out = &t};

		memset(plain, 'k', n);
		memset(hostile, '\001', n);
		mp_json_string(&j, plain, hostile);
		assert_int_equal(t.len, 1 + n + 1 + 1 + 1 + n * 5 + 1);
		assert_memory_equal(t.data, "\"kkk", 4);
		assert_string_equal(t.data + t.len - 6, "\\\\x01\"");
		mp_text_reset(&t);
		j.need_comma = false;
		mp_json_u64(&j, hostile, 7);
		assert_int_equal(t.len, 1 + n * 5 + 1 + 1 + 1);
		assert_string_equal(t.data + t.len - 3, "\":7");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_nesting),
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(hex_numbers),
		cmocka_unit_test(percentages),
		cmocka_unit_test(fractions),
		cmocka_unit_test(strings_come_out_clean),
		cmocka_unit_test(any_bytes_are_valid_json),
		cmocka_unit_test(long_strings_and_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
