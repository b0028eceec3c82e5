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

/*
 * Files as they are published, whole: within a repository the header is the same but for a few
 * keys (of splitting, of the importance matrix).
 */
#define KEYS 1024
static const struct repository {
	const char *name, *model;
	uint64_t header;
	bool untied; /* the output matrix was written although it is the embedding's */
	struct {
		const char *level;
		uint64_t bytes;
	} files[16];
} repositories[] = {
	{"Qwen/Qwen2.5-0.5B-Instruct-GGUF",
	 "qwen2.5-0.5b",
	 5947744,
	 true,
	 {{"Q2_K", 415182688},
	  {"Q3_K_M", 432041824},
	  {"Q4_0", 428730208},
	  {"Q4_K_M", 491400032},
	  {"Q5_0", 490475360},
	  {"Q5_K_M", 522186592},
	  {"Q6_K", 650379104},
	  {"Q8_0", 675710816},
	  {"F16", 1266425696}}},
	{"Qwen/Qwen2.5-1.5B-Instruct-GGUF",
	 "qwen2.5-1.5b",
	 5950496,
	 true,
	 {{"Q2_K", 752880160},
	  {"Q3_K_M", 924455968},
	  {"Q4_0", 1066227232},
	  {"Q4_K_M", 1117320736},
	  {"Q5_0", 1259173408},
	  {"Q5_K_M", 1285494304},
	  {"Q6_K", 1464178720},
	  {"Q8_0", 1894532128},
	  {"F16", 3560416288}}},
	{"Qwen/Qwen2.5-3B-Instruct-GGUF",
	 "qwen2.5-3b",
	 5956000,
	 true,
	 {{"Q2_K", 1376856480},
	  {"Q3_K_M", 1724178848},
	  {"Q4_0", 1997879712},
	  {"Q4_K_M", 2104932768},
	  {"Q5_0", 2383591840},
	  {"Q5_K_M", 2438740384},
	  {"Q6_K", 2793410976},
	  {"Q8_0", 3616088480}}},
	{"Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
	 "qwen2.5-7b",
	 5953472,
	 false,
	 {{"Q2_K", 3015940032},
	  {"Q3_K_M", 3808391104},
	  {"Q4_0", 4431390720},
	  {"Q5_0", 5315176576}}},
	{"Qwen/Qwen2.5-Coder-32B-Instruct-GGUF",
	 "qwen2.5-32b",
	 5978304,
	 false,
	 {{"Q2_K", 12313098432},
	  {"Q3_K_M", 15935047872},
	  {"Q4_0", 18640230592},
	  {"Q4_K_M", 19851335872},
	  {"Q5_0", 22638254272},
	  {"Q5_K_M", 23262156992},
	  {"Q6_K", 26886154432},
	  {"Q8_0", 34820884672},
	  {"F16", 65535970464}}},
	{"bartowski/Qwen2.5-0.5B-Instruct-GGUF",
	 "qwen2.5-0.5b",
	 5948480,
	 false,
	 {{"Q4_K_M", 397808192}}},
	{"unsloth/Qwen3-0.6B-GGUF",
	 "qwen3-0.6b",
	 5951936,
	 false,
	 {{"Q2_K", 296238784},
	  {"Q3_K_S", 323075776},
	  {"Q3_K_M", 347127488},
	  {"Q4_K_S", 383270592},
	  {"Q4_K_M", 396705472},
	  {"Q5_K_S", 436616896},
	  {"Q5_K_M", 444415680},
	  {"Q6_K", 495107776},
	  {"Q8_0", 639447744},
	  {"BF16", 1198182848}}},
	{"unsloth/Qwen3-1.7B-GGUF",
	 "qwen3-1.7b",
	 5951808,
	 false,
	 {{"Q2_K", 777796160},
	  {"Q3_K_S", 867252800},
	  {"Q4_K_M", 1107409472},
	  {"Q8_0", 1834426944},
	  {"BF16", 3447349568}}},
	{"Qwen/Qwen3-4B-GGUF",
	 "qwen3-4b",
	 5956320,
	 false,
	 {{"Q4_K_M", 2497280256},
	  {"Q5_0", 2823710976},
	  {"Q5_K_M", 2889513184},
	  {"Q6_K", 3306260704},
	  {"Q8_0", 4280404704}}},
	{"Qwen/Qwen3-8B-GGUF",
	 "qwen3-8b",
	 5956384,
	 false,
	 {{"Q4_K_M", 5027783488},
	  {"Q5_0", 5720761152},
	  {"Q5_K_M", 5851112224},
	  {"Q6_K", 6725899040},
	  {"Q8_0", 8709518112}}},
	{"Qwen/Qwen3-14B-GGUF",
	 "qwen3-14b",
	 5959008,
	 false,
	 {{"Q4_K_M", 9001752960},
	  {"Q5_K_M", 10514569568},
	  {"Q6_K", 12121937248},
	  {"Q8_0", 15698533728}}},
	{"bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
	 "llama-3.1-8b",
	 7840928,
	 false,
	 {{"Q2_K", 3179136416},
	  {"Q3_K_S", 3664504224},
	  {"Q3_K_M", 4018922912},
	  {"Q3_K_L", 4321961376},
	  {"Q4_K_S", 4692673952},
	  {"Q4_K_M", 4920739232},
	  {"Q5_K_S", 5599298976},
	  {"Q5_K_M", 5732992416},
	  {"Q6_K", 6596011424},
	  {"Q8_0", 8540775840}}},
	{"bartowski/Llama-3.2-1B-Instruct-GGUF",
	 "llama-3.2-1b",
	 7831264,
	 false,
	 {{"Q3_K_L", 732524672},
	  {"Q4_K_S", 775647360},
	  {"Q4_K_M", 807694464},
	  {"Q5_K_S", 892563584},
	  {"Q5_K_M", 911503488},
	  {"Q6_K", 1021800576},
	  {"Q8_0", 1321083008},
	  {"F16", 2479595360}}},
	{"unsloth/Llama-3.2-3B-Instruct-GGUF",
	 "llama-3.2-3b",
	 7837504,
	 false,
	 {{"Q2_K", 1363935680},
	  {"Q3_K_S", 1542848960},
	  {"Q3_K_M", 1687159232},
	  {"Q4_1", 2093351360},
	  {"Q4_K_S", 1928200640},
	  {"Q4_K_M", 2019377600},
	  {"Q5_K_S", 2269512128},
	  {"Q5_K_M", 2322153920},
	  {"Q6_K", 2643853760},
	  {"Q8_0", 3421898816},
	  {"F16", 6433687616}}},
	{"bartowski/SmolLM2-1.7B-Instruct-GGUF",
	 "smollm2-1.7b",
	 1782752,
	 false,
	 {{"Q4_K_M", 1055609824}}},
};

static void check_repository(const struct mp_models *models, const struct repository *r)
{
	struct mp_model_shape shape = mp_models_find(models, r->model, NULL)->shape;

	shape.tied = shape.tied && !r->untied;
	for (size_t i = 0; i < MP_ARRAY_SIZE(r->files) && r->files[i].level; i++) {
		uint64_t bytes = size_of(&shape, r->files[i].level).tensor_bytes + r->header;

		if (bytes > r->files[i].bytes || bytes + KEYS < r->files[i].bytes)
			fail_msg("%s %s: %lu bytes, not %lu", r->name, r->files[i].level,
				 r->files[i].bytes, bytes);
	}
}

static void test_shipped_models_against_published_files(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	(void)state;
	if (mp_models_load(&models, "configs/models.yaml", &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < MP_ARRAY_SIZE(repositories); i++)
		check_repository(&models, &repositories[i]);
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
		cmocka_unit_test(test_shipped_models_against_published_files),
		cmocka_unit_test(test_bytes_of_repacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
