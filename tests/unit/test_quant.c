// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "model/quant.h"

static const struct mp_model_shape qwen_7b = {
	.architecture = "qwen2",
	.layers = 28,
	.hidden = 3584,
	.ff = 18944,
	.heads = 28,
	.kv_heads = 4,
	.head_dim = 128,
	.vocab = 152064,
	.qkv_bias = true,
};
static const struct mp_model_shape qwen_05b = {
	.architecture = "qwen2",
	.layers = 24,
	.hidden = 896,
	.ff = 4864,
	.heads = 14,
	.kv_heads = 2,
	.head_dim = 64,
	.vocab = 151936,
	.tied = true,
	.qkv_bias = true,
};

static struct mp_model_size size_of(const struct mp_model_shape *shape, const char *level)
{
	struct mp_model_size size;

	assert_int_equal(mp_model_size(shape, mp_quant_find(level, NULL), &size), 0);
	return size;
}

/* GGUF files of Qwen2.5-7B-Instruct as they are published, less their header of 5,954,240 bytes. */
static void test_bytes_of_published_files(void **state)
{
	static const struct {
		const char *level;
		uint64_t bytes;
	} rows[] = {
		{"Q2_K", 3009986560},	{"Q3_K_M", 3802437632}, {"Q4_K_M", 4677120000},
		{"Q5_K_M", 5438877696}, {"Q6_K", 6248245248},	{"Q8_0", 8092571648},
		{"F16", 15231899648},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct mp_model_size size = size_of(&qwen_7b, rows[i].level);

		assert_int_equal(size.tensor_bytes, rows[i].bytes);
		assert_int_equal(size.n_tensors, 339);
	}
	assert_int_equal(size_of(&qwen_05b, "Q4_K_M").n_tensors, 290);
}

static void test_bytes_of_repacking(void **state)
{
	static const struct {
		const char *level;
		uint64_t mib;
	} rows[] = {
		{"Q2_K", 1346}, {"Q3_K_M", 1202}, {"Q4_0", 3500}, {"Q4_K_M", 2977},
		{"Q5_K_M", 0},	{"Q6_K", 0},	  {"Q8_0", 0},	  {"F16", 0},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++)
		assert_int_equal((size_of(&qwen_7b, rows[i].level).repack_bytes + (1 << 19)) >> 20,
				 rows[i].mib);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_of_published_files),
		cmocka_unit_test(test_bytes_of_repacking),
	};

	return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
