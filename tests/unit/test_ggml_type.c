// SPDX-License-Identifier: GPL-2.0-only
#include "model/ggml_type.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

/* By the letter of the format's own page, not by our table's. */
static void has_what_the_format_says(void **state)
{
	static const struct {
		uint32_t id;
		const char *name;
		uint64_t bytes_of_256;
	} rows[] = {
		{0, "F32", 1024},    {1, "F16", 512},	  {2, "Q4_0", 144},    {3, "Q4_1", 160},
		{6, "Q5_0", 176},    {7, "Q5_1", 192},	  {8, "Q8_0", 272},    {9, "Q8_1", 288},
		{10, "Q2_K", 84},    {11, "Q3_K", 110},	  {12, "Q4_K", 144},   {13, "Q5_K", 176},
		{14, "Q6_K", 210},   {15, "Q8_K", 292},	  {16, "IQ2_XXS", 66}, {17, "IQ2_XS", 74},
		{18, "IQ3_XXS", 98}, {19, "IQ1_S", 50},	  {20, "IQ4_NL", 144}, {21, "IQ3_S", 110},
		{22, "IQ2_S", 82},   {23, "IQ4_XS", 136}, {24, "I8", 256},     {25, "I16", 512},
		{26, "I32", 1024},   {27, "I64", 2048},	  {28, "F64", 2048},   {29, "IQ1_M", 56},
		{30, "BF16", 512},   {34, "TQ1_0", 54},	  {35, "TQ2_0", 66},   {39, "MXFP4", 136},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		const struct mp_ggml_type *type = mp_ggml_type_of(rows[i].id);
		uint64_t bytes;

		assert_non_null(type);
		assert_string_equal(type->name, rows[i].name);
		assert_ptr_equal(mp_ggml_type_find(rows[i].name), type);
		assert_int_equal(mp_ggml_bytes(type, 1, (uint64_t[]){256}, &bytes), 0);
		assert_int_equal(bytes, rows[i].bytes_of_256);
	}
}

static void lacks_what_was_removed(void **state)
{
	static const uint32_t ids[] = {4, 5, 31, 32, 33, 36, 37, 38, 40, 1000, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(ids); i++)
		assert_null(mp_ggml_type_of(ids[i]));
	assert_null(mp_ggml_type_find("Q4_2"));
	assert_null(mp_ggml_type_find("q4_0"));
	assert_null(mp_ggml_type_find(""));
}

static void counts_bytes(void **state)
{
	const struct mp_ggml_type *q4_k = mp_ggml_type_of(MP_GGML_Q4_K);
	uint64_t bytes = 77;

	(void)state;
	assert_int_equal(mp_ggml_bytes(q4_k, 2, (uint64_t[]){3584, 18944}, &bytes), 0);
	assert_int_equal(bytes, 38191104);
	assert_int_equal(mp_ggml_bytes(q4_k, 4, (uint64_t[]){256, 2, 3, 5}, &bytes), 0);
	assert_int_equal(bytes, 4320);
	assert_int_equal(mp_ggml_bytes(q4_k, 2, (uint64_t[]){896, 2}, &bytes), -EINVAL);
	assert_int_equal(mp_ggml_bytes(q4_k, 1, (uint64_t[]){0}, &bytes), -EINVAL);
	assert_int_equal(mp_ggml_bytes(q4_k, 3, (uint64_t[]){256, 1, 0}, &bytes), -EINVAL);
	assert_int_equal(mp_ggml_bytes(q4_k, 2, (uint64_t[]){1ULL << 40, 1ULL << 40}, &bytes),
			 -EOVERFLOW);
	assert_int_equal(
		mp_ggml_bytes(mp_ggml_type_of(MP_GGML_F64), 1, (uint64_t[]){1ULL << 61}, &bytes),
		-EOVERFLOW);
	assert_int_equal(bytes, 4320);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_what_the_format_says),
		cmocka_unit_test(lacks_what_was_removed),
		cmocka_unit_test(counts_bytes),
	};

	return cmocka_run_group_tests_name("ggml_type", tests, NULL, NULL);
}
