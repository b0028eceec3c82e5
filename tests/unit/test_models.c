// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/models.h"

#define HEAD "version: 1\nmodels:\n"
#define NAMES                                                                                      \
	"  - id: one\n"                                                                            \
	"    source: a test\n"                                                                     \
	"    architecture: llama\n"
#define SIZES                                                                                      \
	"    layers: 2\n"                                                                          \
	"    hidden: 64\n"                                                                         \
	"    ff: 128\n"                                                                            \
	"    vocab: 256\n"                                                                         \
	"    context_length: 512\n"
#define HEADS "    heads: 4\n    kv_heads: 2\n"
#define MODEL NAMES SIZES HEADS

static int parse(struct mp_models *models, const char *text, struct mp_error *err)
{
	return mp_models_parse(models, "m.yaml", text, strlen(text), err);
}

/* What was loaded before stays. */
static void assert_fails(const char *text, const char *message)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	assert_int_equal(parse(&models, HEAD MODEL, &err), 0);
	assert_int_equal(parse(&models, text, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(models.n, 1);
}

/* Weights as the models' own pages count them. */
static void test_the_shipped_file(void **state)
{
	static const struct {
		const char *id;
		uint64_t parameters;
	} expected[] = {
		{"qwen2.5-0.5b", 494032768},	 {"qwen2.5-1.5b", 1543714304},
		{"qwen2.5-3b", 3085938688},	 {"qwen2.5-7b", 7615616512},
		{"qwen2.5-14b", 14770033664},	 {"qwen2.5-32b", 32763876352},
		{"qwen3-0.6b", 596049920},	 {"qwen3-1.7b", 1720574976},
		{"qwen3-4b", 4022468096},	 {"qwen3-8b", 8190735360},
		{"qwen3-14b", 14768307200},	 {"llama-3.2-1b", 1235814400},
		{"llama-3.2-3b", 3212749824},	 {"llama-3.1-8b", 8030261248},
		{"mistral-7b-v0.3", 7248023552}, {"tinyllama-1.1b", 1100048384},
		{"smollm2-135m", 134515008},	 {"smollm2-360m", 361821120},
		{"smollm2-1.7b", 1711376384},
	};
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	(void)state;
	if (mp_models_load(&models, "configs/models.yaml", &err))
		fail_msg("%s", err.text);
	assert_int_equal(models.n, MP_ARRAY_SIZE(expected));
	for (size_t i = 0; i < models.n; i++) {
		const struct mp_model *model = mp_models_find(&models, expected[i].id, &err);

		assert_ptr_equal(model, &models.items[i]);
		assert_int_equal(mp_model_parameters(&model->shape), expected[i].parameters);
		assert_memory_equal(model->source, "https://", 8);
	}
}

static void test_documented_id(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};
	const struct mp_model *model;

	(void)state;
	assert_int_equal(mp_models_load(&models, "configs/models.yaml", &err), 0);
	model = mp_models_find(&models, "qwen2.5-7b-zh", &err);
	assert_non_null(model);
	assert_string_equal(model->id, "qwen2.5-7b");
	assert_ptr_equal(mp_models_find(&models, "Qwen2.5-7B-ZH", &err), model);
	assert_string_equal(model->shape.architecture, "qwen2");
	assert_int_equal(model->shape.head_dim, 128);
	assert_true(model->shape.qkv_bias && !model->shape.tied && !model->shape.qk_norm);
	assert_true(model->shape.rope_base == 1e6 && model->shape.rms_eps == 1e-6);
}

static void test_every_key(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};
	const struct mp_model *m;

	(void)state;
	if (parse(&models,
		  HEAD MODEL "    aliases: [uno, Eins]\n    description: small\n    head_dim: 32\n"
			     "    tied: true\n    qkv_bias: true\n    qk_norm: true\n"
			     "    rope_factors: true\n    rope_base: 5e5\n    rms_eps: 1e-6\n"
			     "    files: {Q4_K_M: /a b/x.gguf, F16: y.gguf}\n",
		  &err))
		fail_msg("%s", err.text);
	m = mp_models_find(&models, "EINS", &err);
	assert_non_null(m);
	assert_string_equal(m->id, "one");
	assert_string_equal(m->origin, "m.yaml:3:5");
	assert_string_equal(m->description, "small");
	assert_int_equal(m->shape.head_dim, 32);
	assert_true(m->shape.tied && m->shape.qkv_bias && m->shape.qk_norm &&
		    m->shape.rope_factors);
	assert_true(m->shape.rope_base == 5e5 && m->shape.rms_eps == 1e-6);
	assert_int_equal(m->n_paths, 2);
	assert_string_equal(m->paths[0].level, "Q4_K_M");
	assert_string_equal(m->paths[0].path, "/a b/x.gguf");
	assert_string_equal(m->paths[1].level, "F16");
}

static void test_defaults(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(parse(&models, HEAD MODEL, &err), 0);
	assert_int_equal(models.items[0].shape.head_dim, 16);
	assert_true(models.items[0].shape.rope_base == 10000);
	assert_true(models.items[0].shape.rms_eps == 1e-5);
	assert_false(models.items[0].shape.tied);
	assert_int_equal(models.items[0].n_paths, 0);
}

static void test_malformed_files(void **state)
{
	(void)state;
	assert_fails("", "m.yaml:1:1: the file is empty");
	assert_fails("models: []\n", "m.yaml:1:1: the file has no \"version\"");
	assert_fails(HEAD NAMES SIZES "    heads: 4\n", "m.yaml:3:5: a model has no \"kv_heads\"");
	assert_fails(HEAD MODEL "    layer: 2\n",
		     "m.yaml:13:5: unknown key \"layer\" (did you mean \"layers\"?)");
	assert_fails(HEAD MODEL "    id: two\n", "m.yaml:13:5: \"id\" is given twice");
	assert_fails(HEAD MODEL "    files: {Q4_K_N: x}\n",
		     "m.yaml:13:13: unknown key \"Q4_K_N\" (did you mean \"Q4_K_S\"?)");
	assert_fails(HEAD MODEL "    files: [x]\n",
		     "m.yaml:13:12: files must be a mapping, not a list");
	assert_fails(HEAD MODEL MODEL, "m.yaml:13:5: model \"one\": its id or an alias is that of "
				       "m.yaml:3:5");
	assert_fails(HEAD MODEL
		     "  - {id: two, aliases: ONE, source: s, architecture: a, layers: 1, "
		     "hidden: 1, ff: 1, heads: 1, kv_heads: 1, vocab: 1, "
		     "context_length: 1}\n",
		     "m.yaml:13:5: model \"two\": its id or an alias is that of m.yaml:3:5");
}

#define ID_RULE "letters, digits, dots, dashes and underscores, no dash at the start"

static void test_names_that_are_no_arguments(void **state)
{
	(void)state;
	assert_fails(HEAD MODEL "    aliases: [a/b]\n", "m.yaml:13:15: an alias \"a/b\": " ID_RULE);
	assert_fails(HEAD MODEL "    aliases: -a\n", "m.yaml:13:14: an alias \"-a\": " ID_RULE);
	assert_fails(HEAD "  - id: a b\n", "m.yaml:3:9: id \"a b\": " ID_RULE);
	assert_fails(HEAD "  - architecture: ../x\n",
		     "m.yaml:3:19: architecture \"../x\": as llama.cpp calls it, such as llama or "
		     "qwen2");
}

static void test_shapes_that_cannot_be(void **state)
{
	(void)state;
	assert_fails(HEAD NAMES SIZES "    heads: 3\n    kv_heads: 1\n",
		     "m.yaml:3:5: model \"one\": hidden is no multiple of heads, and there is no "
		     "head_dim");
	assert_fails(HEAD NAMES SIZES "    heads: 4\n    kv_heads: 8\n",
		     "m.yaml:3:5: model \"one\": kv_heads are from 1 to heads");
	assert_fails(HEAD NAMES SIZES "    heads: 4\n    kv_heads: 3\n",
		     "m.yaml:3:5: model \"one\": heads are no multiple of kv_heads");
	assert_fails(HEAD MODEL "    head_dim: 16777216\n",
		     "m.yaml:3:5: model \"one\": heads x head_dim is from 1 to 16777216");
	assert_fails(HEAD NAMES SIZES "    heads: 0\n    kv_heads: 0\n",
		     "m.yaml:11:12: heads 0 is out of range: 1 to 16777216");
	assert_fails(HEAD MODEL "    rms_eps: 0\n",
		     "m.yaml:13:14: rms_eps 0 is out of range: 1e-12 to 1");
	assert_fails(HEAD "  - layers: 0\n", "m.yaml:3:13: layers 0 is out of range: 1 to 4096");
	assert_fails(HEAD "  - layers: 4294967296\n",
		     "m.yaml:3:13: layers 4294967296 is out of range: 1 to 4096");
	assert_fails(HEAD "  - ff: 18446744073709551616\n",
		     "m.yaml:3:9: ff 18446744073709551616 is out of range: 1 to 16777216");
	assert_fails(HEAD "  - hidden: -1\n",
		     "m.yaml:3:13: hidden -1 is out of range: 1 to 16777216");
	assert_fails(HEAD "  - vocab: many\n", "m.yaml:3:12: vocab \"many\" is not a whole number");
}

static void test_largest_shape_fits_64_bits(void **state)
{
	const struct mp_model_shape largest = {
		.layers = MP_MAX_LAYERS,
		.hidden = MP_MAX_WIDTH,
		.ff = MP_MAX_WIDTH,
		.heads = 1U << 12,
		.kv_heads = 1U << 12,
		.head_dim = MP_MAX_WIDTH >> 12,
		.vocab = MP_MAX_WIDTH,
	};

	(void)state;
	assert_null(mp_model_shape_wrong(&largest));
	/* 4096 layers of four square matrices for attention and three for the network */
	assert_int_equal(mp_model_parameters(&largest) >> 48, 4096 * 7 + 2);
}

static void test_unknown_model(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(parse(&models, HEAD MODEL "    aliases: uno\n", &err), 0);
	assert_null(mp_models_find(&models, "unno", &err));
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_string_equal(err.text, "there is no model unno (did you mean uno?); there are one");
	assert_null(mp_models_find(&models, "\x1b[2J", &err));
	assert_string_equal(err.text, "there is no model \\e[2J; there are one");
	mp_models_free(&models);
	assert_null(mp_models_find(&models, "one", &err));
	assert_string_equal(err.text, "there is no model one; there are none");
}

static void test_missing_file(void **state)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_models_load(&models, "/nonexistent/models.yaml", &err), -ENOENT);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shipped_file),
		cmocka_unit_test(test_documented_id),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_malformed_files),
		cmocka_unit_test(test_names_that_are_no_arguments),
		cmocka_unit_test(test_shapes_that_cannot_be),
		cmocka_unit_test(test_largest_shape_fits_64_bits),
		cmocka_unit_test(test_unknown_model),
		cmocka_unit_test(test_missing_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
