// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/quant.h"
#include "shapes.h"

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
	  {"Q8_0", 8540775840},
	  {"IQ4_XS", 4447667616},
	  {"IQ4_NL", 4677993888}}},
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

/* --- mixes ------------------------------------------------------------------- */

static const char *type_of(const char *level, const struct mp_model_shape *shape, const char *name,
			   uint64_t row)
{
	const uint64_t ne[MP_GGML_MAX_DIMS] = {row, 64, 1, 1};

	return mp_quant_type_of(mp_quant_find(level, NULL), shape, name, 2, ne)->name;
}

/* By layer, a letter each: the last of the type's name, such as 4 of Q4_K, twice as many bits. */
static void assert_layers(const char *level, const struct mp_model_shape *shape, const char *tensor,
			  const char *expected)
{
	char name[64];

	assert_int_equal(strlen(expected), shape->layers);
	for (uint32_t i = 0; i < shape->layers; i++) {
		snprintf(name, sizeof(name), "blk.%u.%s", i, tensor);
		if (type_of(level, shape, name, 3584)[1] != expected[i])
			fail_msg("%s %s: %s", level, name, type_of(level, shape, name, 3584));
	}
}

static void test_mixes_by_layer(void **state)
{
	(void)state;
	assert_layers("Q4_K_M", &qwen_7b, "attn_v.weight",
		      "6664464464464464464464466666"
		      "" /* 28 / 8 = 3, 7 * 28 / 8 = 24 */);
	assert_layers("Q4_K_M", &qwen_7b, "ffn_down.weight", "6664464464464464464464466666");
	assert_layers("Q5_K_M", &qwen_7b, "ffn_down.weight", "6665565565565565565565566666");
	assert_layers("Q4_K_S", &qwen_7b, "attn_v.weight", "5555444444444444444444444444");
	assert_layers("Q4_K_S", &qwen_7b, "ffn_down.weight", "5554444444444444444444444444");
	assert_layers("Q3_K_M", &qwen_7b, "attn_v.weight", "5544444444444444444444444444");
	assert_layers("Q3_K_M", &qwen_7b, "ffn_down.weight", "5444444444444444444444444444");
	assert_layers("Q3_K_M", &qwen_7b, "attn_output.weight", "4444444444444444444444444444");
	assert_layers("Q3_K_L", &qwen_7b, "ffn_down.weight", "5555555555555555555555555555");
	assert_layers("Q3_K_S", &qwen_7b, "attn_v.weight", "3333333333333333333333333333");
	assert_layers("Q2_K", &qwen_7b, "attn_v.weight", "4444444444444444444444444444");
	assert_layers("Q2_K", &qwen_7b, "attn_q.weight", "2222222222222222222222222222");
}

static void test_mixes_by_model(void **state)
{
	struct mp_model_shape shape = qwen_7b;

	(void)state;
	shape.kv_heads = 14; /* only two heads share a value */
	assert_string_equal(type_of("Q2_K", &shape, "blk.3.attn_v.weight", 3584), "Q3_K");
	assert_string_equal(type_of("IQ4_XS", &shape, "blk.9.attn_v.weight", 3584), "IQ4_XS");
	shape.layers = 80; /* llama.cpp takes it for 70B */
	assert_string_equal(type_of("Q4_K_M", &shape, "blk.11.attn_v.weight", 3584), "Q5_K");
	assert_string_equal(type_of("Q4_K_M", &shape, "blk.12.attn_v.weight", 3584), "Q6_K");
	assert_string_equal(type_of("Q2_K", &shape, "blk.11.attn_v.weight", 3584), "Q5_K");
	assert_string_equal(type_of("Q4_0", &shape, "blk.11.attn_v.weight", 3584), "Q4_0");
	assert_string_equal(type_of("Q4_K_M", &shape, "blk.11.attn_k.weight", 3584), "Q4_K");
	shape.kv_heads = shape.heads; /* and this for 65B */
	assert_string_equal(type_of("Q4_K_M", &shape, "blk.11.attn_v.weight", 3584), "Q4_K");
}

static void test_output_and_embedding(void **state)
{
	struct mp_model_shape tied = qwen_7b;

	(void)state;
	tied.tied = true;
	assert_string_equal(type_of("Q2_K", &qwen_7b, "output.weight", 3584), "Q6_K");
	assert_string_equal(type_of("Q4_0", &qwen_7b, "output.weight", 3584), "Q6_K");
	assert_string_equal(type_of("Q8_0", &qwen_7b, "output.weight", 3584), "Q8_0");
	assert_string_equal(type_of("F16", &qwen_7b, "output.weight", 3584), "F16");
	assert_string_equal(type_of("Q2_K", &qwen_7b, "output.weight", 896), "Q8_0");
	assert_string_equal(type_of("Q5_0", &qwen_7b, "output.weight", 896), "Q8_0");
	assert_string_equal(type_of("Q2_K", &qwen_7b, "token_embd.weight", 3584), "Q2_K");
	assert_string_equal(type_of("Q2_K", &tied, "token_embd.weight", 3584), "Q6_K");
	assert_string_equal(type_of("Q4_K_M", &qwen_7b, "output_norm.weight", 3584), "F32");
}

/* Rows of 896 are 28 blocks of 32, and no whole number of blocks of 256. */
static void test_rows_that_do_not_fit(void **state)
{
	(void)state;
	assert_string_equal(type_of("Q2_K", &qwen_05b, "blk.1.attn_q.weight", 896), "Q4_0");
	assert_string_equal(type_of("Q3_K_S", &qwen_05b, "blk.1.attn_q.weight", 896), "Q4_0");
	assert_string_equal(type_of("Q4_K_M", &qwen_05b, "blk.3.attn_q.weight", 896), "Q5_0");
	assert_string_equal(type_of("Q4_K_M", &qwen_05b, "blk.0.attn_v.weight", 896), "Q8_0");
	assert_string_equal(type_of("Q5_K_M", &qwen_05b, "blk.3.attn_q.weight", 896), "Q5_1");
	assert_string_equal(type_of("Q6_K", &qwen_05b, "blk.3.attn_q.weight", 896), "Q8_0");
	assert_string_equal(type_of("IQ4_XS", &qwen_05b, "blk.9.attn_q.weight", 896), "IQ4_NL");
	assert_string_equal(type_of("Q4_K_M", &qwen_05b, "blk.3.ffn_down.weight", 4864), "Q4_K");
	assert_string_equal(type_of("Q4_K_M", &qwen_05b, "blk.3.attn_q.weight", 100), "F16");
	assert_string_equal(type_of("Q8_0", &qwen_05b, "blk.3.attn_q.weight", 33), "F16");
}

static void test_what_is_not_quantized(void **state)
{
	const struct mp_quant_level *level = mp_quant_find("Q4_K_M", NULL);
	const uint64_t vector[MP_GGML_MAX_DIMS] = {3584, 1, 1, 1};

	(void)state;
	assert_string_equal(
		mp_quant_type_of(level, &qwen_7b, "blk.0.attn_q.weight", 1, vector)->name, "F32");
	assert_string_equal(
		mp_quant_type_of(level, &qwen_7b, "blk.0.attn_q.weight", 2, vector)->name, "F32");
	assert_string_equal(type_of("Q4_K_M", &qwen_7b, "blk.0.attn_q.bias", 3584), "F32");
	assert_string_equal(type_of("F16", &qwen_7b, "blk.0.attn_norm.weight", 3584), "F32");
	assert_string_equal(type_of("Q4_K_M", &qwen_7b, "blk.0.ffn_gate_inp.weight", 3584), "F32");
	assert_string_equal(type_of("Q4_K_M", &qwen_7b, "weight", 3584), "F32");
	assert_string_equal(type_of("Q4_K_M", &qwen_7b, "", 3584), "F32");
}

static void test_smaller_levels_that_are_larger(void **state)
{
	(void)state;
	assert_true(size_of(&qwen_05b, "Q3_K_S").tensor_bytes <
		    size_of(&qwen_05b, "Q2_K").tensor_bytes);
	assert_true(size_of(&qwen_05b, "Q4_0").tensor_bytes <
		    size_of(&qwen_05b, "Q3_K_M").tensor_bytes);
}

static void test_levels_are_in_order(void **state)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);
	uint64_t last = 0;

	(void)state;
	assert_int_equal(n, 19);
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes = size_of(&qwen_7b, levels[i].name).tensor_bytes;

		assert_true(bytes >= last);
		last = bytes;
	}
}

static void test_finding_levels(void **state)
{
	struct mp_error err = {0};

	(void)state;
	assert_string_equal(mp_quant_find("q4_k_m", &err)->name, "Q4_K_M");
	assert_int_equal(mp_quant_find("Q4_K_M", &err)->file_type, 15);
	assert_null(mp_quant_find("Q4_K_X", &err));
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_string_equal(err.text,
			    "there is no quantization level Q4_K_X (did you mean Q4_K_S?); there "
			    "are Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, IQ4_XS, Q4_0, IQ4_NL, "
			    "Q4_K_S, Q4_K_M, Q4_1, Q5_0, Q5_K_S, Q5_K_M, Q5_1, Q6_K, Q8_0, F16, "
			    "BF16, F32");
	assert_null(mp_quant_find("", &err));
}

static void test_lists_of_levels(void **state)
{
	MP_FREE const struct mp_quant_level **list = NULL;
	struct mp_error err = {0};
	size_t n = 0;

	(void)state;
	assert_int_equal(mp_quant_parse_list("Q6_K,q2_k,Q6_K", &list, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0]->name, "Q6_K");
	assert_string_equal(list[1]->name, "Q2_K");
	assert_int_equal(mp_quant_parse_list("Q6_K,,Q2_K", &list, &n, &err), -EINVAL);
	assert_int_equal(mp_quant_parse_list("", &list, &n, &err), -EINVAL);
	assert_int_equal(mp_quant_parse_list("Q6_K, Q2_K", &list, &n, &err), -EINVAL);
	assert_int_equal(n, 2);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
}

/* --- the tensors ------------------------------------------------------------- */

struct order {
	char last[MP_GGUF_MAX_NAME];
	int last_layer;
	uint64_t weights;
	size_t n;
};

/* As llama.cpp sorts them: by layer, those of none first, and by name. */
static int check_order(void *data, const struct mp_model_tensor *tensor)
{
	struct order *order = data;
	uint64_t weights = 1;
	int layer = -1;

	sscanf(tensor->name, "blk.%d.", &layer);
	assert_true(layer > order->last_layer ||
		    (layer == order->last_layer && strcmp(tensor->name, order->last) > 0));
	for (size_t i = 0; i < MP_GGML_MAX_DIMS; i++)
		weights *= tensor->ne[i];
	order->last_layer = layer;
	order->weights += weights;
	order->n++;
	snprintf(order->last, sizeof(order->last), "%s", tensor->name);
	return 0;
}

static void test_order_and_number_of_weights(void **state)
{
	struct mp_model_shape shape = qwen_7b;
	struct order order = {.last_layer = -1};

	(void)state;
	assert_int_equal(
		mp_model_each_tensor(&shape, mp_quant_find("F32", NULL), check_order, &order), 0);
	assert_int_equal(order.n, 339);
	assert_int_equal(order.weights, mp_model_parameters(&shape));
	order = (struct order){.last_layer = -1};
	shape.qk_norm = true;
	shape.tied = true;
	assert_int_equal(
		mp_model_each_tensor(&shape, mp_quant_find("F32", NULL), check_order, &order), 0);
	assert_int_equal(order.n, 338 + 2 * 28);
	assert_int_equal(order.weights, mp_model_parameters(&shape));
	/* Rope factors are a table, and are not counted among the weights. */
	order = (struct order){.last_layer = -1};
	shape.rope_factors = true;
	assert_int_equal(
		mp_model_each_tensor(&shape, mp_quant_find("F32", NULL), check_order, &order), 0);
	assert_int_equal(order.weights, mp_model_parameters(&shape) + 64);
}

static int stop_at_third(void *data, const struct mp_model_tensor *tensor)
{
	int *n = data;

	(void)tensor;
	return ++*n == 3 ? 77 : 0;
}

static void test_walk_can_be_ended(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(
		mp_model_each_tensor(&qwen_7b, mp_quant_find("F16", NULL), stop_at_third, &n), 77);
	assert_int_equal(n, 3);
}

static void test_models_that_cannot_be(void **state)
{
	const struct mp_quant_level *level = mp_quant_find("F32", NULL);
	struct mp_model_size size = {.n_tensors = 7};
	struct mp_model_shape shape = qwen_7b;

	(void)state;
	shape.layers = UINT32_MAX; /* would take for ever, too */
	assert_int_equal(mp_model_size(&shape, level, &size), -EOVERFLOW);
	shape = qwen_7b;
	shape.kv_heads = 0;
	assert_int_equal(mp_model_size(&shape, level, &size), -EOVERFLOW);
	shape = (struct mp_model_shape){
		.layers = MP_MAX_LAYERS,
		.hidden = MP_MAX_WIDTH,
		.ff = MP_MAX_WIDTH,
		.heads = MP_MAX_WIDTH,
		.kv_heads = MP_MAX_WIDTH,
		.head_dim = 1,
		.vocab = MP_MAX_WIDTH,
	};
	assert_int_equal(mp_model_size(&shape, level, &size), -EOVERFLOW);
	assert_int_equal(size.n_tensors, 7);
	assert_int_equal(mp_model_size(&shape, mp_quant_find("Q4_0", NULL), &size), 0);
}

/* What models.yaml may name, and what there is. */
static void test_levels_of_models_yaml(void **state)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		MP_MODELS struct mp_models models = {0};
		struct mp_text MP_TEXT text = {0};
		struct mp_error err = {0};

		mp_text_printf(&text,
			       "version: 1\nmodels:\n"
			       "- {id: a, source: b, architecture: llama, layers: 1, hidden: 64, "
			       "ff: 64, heads: 1, kv_heads: 1, vocab: 64, context_length: 64, "
			       "files: {%s: x}}\n",
			       levels[i].name);
		if (mp_models_parse(&models, "m.yaml", text.data, text.len, &err))
			fail_msg("%s", err.text);
		assert_string_equal(models.items[0].paths[0].level, levels[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_of_published_files),
		cmocka_unit_test(test_shipped_models_against_published_files),
		cmocka_unit_test(test_bytes_of_repacking),
		cmocka_unit_test(test_mixes_by_layer),
		cmocka_unit_test(test_mixes_by_model),
		cmocka_unit_test(test_output_and_embedding),
		cmocka_unit_test(test_rows_that_do_not_fit),
		cmocka_unit_test(test_what_is_not_quantized),
		cmocka_unit_test(test_smaller_levels_that_are_larger),
		cmocka_unit_test(test_levels_are_in_order),
		cmocka_unit_test(test_finding_levels),
		cmocka_unit_test(test_lists_of_levels),
		cmocka_unit_test(test_order_and_number_of_weights),
		cmocka_unit_test(test_walk_can_be_ended),
		cmocka_unit_test(test_models_that_cannot_be),
		cmocka_unit_test(test_levels_of_models_yaml),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
