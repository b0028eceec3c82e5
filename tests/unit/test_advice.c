// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "abi.h"
#include "base/names.h"
#include "model/advice.h"
#include "model/advice_rows.h"
#include "model/gguf_write.h"
#include "shapes.h"

#define MB (1ULL << 20)
#define GB (1ULL << 30)
#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static struct mp_advice_input input_of(const struct mp_model_shape *shape, uint64_t limit)
{
	return (struct mp_advice_input){
		.shape = shape,
		.limit = limit,
		.margin = mp_advice_margin(limit),
		.context = MP_ADVICE_CONTEXT,
		.n_ubatch = MP_ADVICE_UBATCH,
		.repack = true,
		.runtime = MP_RUNTIME_LLAMA,
		.metadata = MP_UNKNOWN,
	};
}

static const struct mp_level_advice *level_in(const struct mp_advice *advice, const char *name)
{
	for (size_t i = 0; i < advice->n; i++) {
		if (strcmp(advice->levels[i].level->name, name) == 0)
			return &advice->levels[i];
	}
	fail_msg("%s is not among the levels", name);
	return NULL;
}

static struct mp_advice advise(const struct mp_advice_input *input)
{
	struct mp_advice advice = {0};

	assert_int_equal(mp_advise(input, NULL, 0, &advice, NULL), 0);
	return advice;
}

/* --- the parts ----------------------------------------------------------------------- */

static void test_cache_of_a_token(void **state)
{
	(void)state;
	assert_int_equal(mp_kv_bytes(&qwen_7b, 256, MP_KV_F16), 256 * 57344);
	assert_int_equal(mp_kv_bytes(&qwen_05b, 256, MP_KV_F16), 256 * 12288);
	assert_int_equal(mp_kv_bytes(&qwen_7b, 4096, MP_KV_F16), 224 * MB);
	assert_int_equal(mp_kv_bytes(&qwen_7b, 4096, MP_KV_F32), 448 * MB);
	assert_int_equal(mp_kv_bytes(&qwen_7b, 4096, MP_KV_Q8_0), 119 * MB);
	/* In steps of 256 cells. */
	assert_int_equal(mp_kv_bytes(&qwen_7b, 1, MP_KV_F16), 256 * 57344);
	assert_int_equal(mp_kv_bytes(&qwen_7b, 257, MP_KV_F16), 512 * 57344);
	assert_int_equal(mp_kv_bytes(&qwen_7b, 0, MP_KV_F16), 0);
}

static void test_compute_buffer(void **state)
{
	(void)state;
	assert_int_equal(mp_compute_bytes(&qwen_7b, 512), 311 * MB);
	assert_int_equal(mp_compute_bytes(&qwen_05b, 512), 314834944);
	assert_int_equal(mp_compute_bytes(&qwen_05b, 512) / MB, 300);
}

static void test_sums_that_no_memory_holds(void **state)
{
	struct mp_model_shape shape = qwen_7b;
	struct mp_advice_input input = input_of(&shape, 8 * GB);
	struct mp_advice advice = {0};
	struct mp_error err = {0};

	(void)state;
	shape.layers = UINT32_MAX;
	shape.kv_heads = UINT32_MAX;
	shape.head_dim = UINT32_MAX;
	assert_true(mp_kv_bytes(&shape, UINT32_MAX, MP_KV_F32) == UINT64_MAX);
	shape.vocab = UINT32_MAX;
	assert_int_equal(mp_compute_bytes(&shape, 1), 4ULL * (UINT32_MAX + 7168ULL));
	assert_int_equal(mp_advise(&input, NULL, 0, &advice, &err), -EOVERFLOW);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_null(advice.levels);
	/* The parts are possible, and their sum is not. */
	input.shape = &qwen_7b;
	input.runtime = UINT64_MAX - GB;
	assert_int_equal(mp_advise(&input, NULL, 0, &advice, &err), -EOVERFLOW);
	assert_non_null(strstr(err.text, "4096 tokens"));
}

static void test_margin(void **state)
{
	struct mp_advice_input input = {.limit = 1000, .used = 300, .margin = 100};

	(void)state;
	assert_int_equal(mp_advice_margin(2 * GB), 2 * GB / 10);
	assert_int_equal(mp_advice_margin(4999 * MB), 4999 * MB / 10);
	assert_int_equal(mp_advice_margin(5000 * MB), 500 * MB);
	assert_int_equal(mp_advice_margin(64 * GB), 500 * MB);
	assert_int_equal(mp_advice_usable(&input), 600);
	input.used = 901;
	assert_int_equal(mp_advice_usable(&input), 0);
	input.used = UINT64_MAX;
	assert_int_equal(mp_advice_usable(&input), 0);
}

/* --- what comes of it ----------------------------------------------------------------- */

static void test_every_part_of_a_level(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 8 * GB);
	struct mp_advice advice = advise(&input);
	const struct mp_level_advice *a = level_in(&advice, "Q4_K_M");

	(void)state;
	assert_int_equal(a->tensor_bytes, 4677120000);
	assert_int_equal(a->kv, 224 * MB);
	assert_int_equal(a->compute, 311 * MB);
	assert_int_equal((a->repack + MB / 2) / MB, 2977);
	assert_int_equal(a->runtime, 16 * MB);
	assert_int_equal(a->metadata, 152064 * 360);
	assert_int_equal(a->must, a->kv + a->compute + a->repack + a->runtime + a->metadata);
	assert_int_equal(a->comfortable, a->must - a->repack + a->tensor_bytes);
	mp_advice_free(&advice);
}

/* What is copied must stay in memory, so that Q4_K_M dies where the larger Q6_K merely thrashes. */
static void test_repacked_needs_more_than_larger(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 3 * GB);
	struct mp_advice advice = advise(&input);

	(void)state;
	assert_true(level_in(&advice, "Q4_K_M")->must > 3500 * MB);
	assert_true(level_in(&advice, "Q6_K")->must < 700 * MB);
	assert_int_equal(level_in(&advice, "Q4_K_M")->fit, MP_FIT_OOM);
	assert_int_equal(level_in(&advice, "Q6_K")->fit, MP_FIT_THRASH);
	mp_advice_free(&advice);
	input.repack = false;
	advice = advise(&input);
	assert_int_equal(level_in(&advice, "Q4_K_M")->repack, 0);
	assert_int_equal(level_in(&advice, "Q4_K_M")->must, level_in(&advice, "Q6_K")->must);
	assert_int_equal(level_in(&advice, "Q4_K_M")->fit, MP_FIT_THRASH);
	mp_advice_free(&advice);
}

static void test_borders_of_a_fit(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 8 * GB);
	struct mp_quant_level const *q6 = mp_quant_find("Q6_K", NULL);
	const struct {
		bool of_comfortable;
		int64_t more;
		enum mp_fit fit;
	} cases[] = {
		{true, 0, MP_FIT_OK},
		{true, -1, MP_FIT_THRASH},
		{false, 0, MP_FIT_THRASH},
		{false, -1, MP_FIT_OOM},
	};
	struct mp_advice advice = {0};
	uint64_t must, comfortable;

	(void)state;
	assert_int_equal(mp_advise(&input, &q6, 1, &advice, NULL), 0);
	must = advice.levels[0].must;
	comfortable = advice.levels[0].comfortable;
	mp_advice_free(&advice);
	for (size_t i = 0; i < MP_ARRAY_SIZE(cases); i++) {
		uint64_t usable = cases[i].of_comfortable ? comfortable : must;

		input.used = 7;
		input.margin = 11;
		input.limit = usable + 18 + (uint64_t)cases[i].more;
		assert_int_equal(mp_advise(&input, &q6, 1, &advice, NULL), 0);
		assert_int_equal(advice.levels[0].fit, cases[i].fit);
		assert_true((advice.best != NULL) == (cases[i].fit == MP_FIT_OK));
		mp_advice_free(&advice);
	}
}

static void test_without_a_mapping(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 6 * GB);
	struct mp_advice advice;
	const struct mp_level_advice *a;

	(void)state;
	input.no_mmap = true;
	input.disk_per_s = GB;
	advice = advise(&input);
	a = level_in(&advice, "Q4_K_M");
	assert_int_equal(a->repack, 0); /* straight to where it belongs */
	assert_int_equal(a->must, 4677120000 + 551 * MB + 152064 * 360);
	assert_int_equal(a->comfortable, a->must);
	assert_int_equal(a->fit, MP_FIT_OK);
	assert_int_equal(level_in(&advice, "Q6_K")->fit, MP_FIT_OOM); /* nothing can be dropped */
	mp_advice_free(&advice);
}

static void test_speed_by_the_disk(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 3 * GB);
	struct mp_advice advice;

	(void)state;
	input.disk_per_s = 1000000000;
	advice = advise(&input);
	NEAR(level_in(&advice, "Q6_K")->most_per_s, 1e9 / (0.9 * 6248245248.0));
	assert_true(isnan(level_in(&advice, "Q4_K_M")->most_per_s)); /* it does not load */
	mp_advice_free(&advice);
	/* Of what is repacked the mapping is not read again. */
	input.limit = 5 * GB;
	advice = advise(&input);
	NEAR(level_in(&advice, "Q4_K_M")->most_per_s,
	     1e9 / (0.9 * (4677120000.0 - (double)level_in(&advice, "Q4_K_M")->repack)));
	mp_advice_free(&advice);
	input.disk_per_s = 0;
	advice = advise(&input);
	assert_true(isnan(level_in(&advice, "Q6_K")->most_per_s));
	mp_advice_free(&advice);
}

static void test_tokens_that_fit(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 8 * GB);
	struct mp_quant_level const *q4 = mp_quant_find("q4_k_m", NULL);
	struct mp_advice advice = {0};
	uint64_t most;

	(void)state;
	assert_int_equal(mp_advise(&input, &q4, 1, &advice, NULL), 0);
	most = advice.levels[0].most_context;
	assert_true(most > 0 && most % 256 == 0);
	mp_advice_free(&advice);
	input.context = (uint32_t)most;
	assert_int_equal(mp_advise(&input, &q4, 1, &advice, NULL), 0);
	assert_int_equal(advice.levels[0].fit, MP_FIT_OK);
	assert_int_equal(advice.levels[0].most_context, most); /* whatever was asked for */
	mp_advice_free(&advice);
	input.context++;
	assert_int_equal(mp_advise(&input, &q4, 1, &advice, NULL), 0);
	assert_int_equal(advice.levels[0].fit, MP_FIT_THRASH);
	mp_advice_free(&advice);
	input.limit = GB;
	assert_int_equal(mp_advise(&input, &q4, 1, &advice, NULL), 0);
	assert_int_equal(advice.levels[0].most_context, 0);
	mp_advice_free(&advice);
}

/* --- a file ---------------------------------------------------------------------------- */

/* Its header alone: nothing looks at weights. */
struct fake {
	struct mp_gguf_writer writer;
	struct mp_text header;
	struct mp_gguf_part part;
	struct mp_gguf_file file;
};

static int put_tensor(void *data, const struct mp_model_tensor *tensor)
{
	return mp_gguf_put_tensor(data, tensor->name, tensor->n_dims, tensor->ne, tensor->type);
}

static void put_words(struct mp_gguf_writer *w, const char *key, size_t n)
{
	mp_gguf_begin_array(w, key, MP_GGUF_STRING, n);
	for (size_t i = 0; i < n; i++)
		mp_gguf_add_text(w, "a b", 3);
}

static void make_fake(struct fake *fake, const struct mp_model_shape *shape, const char *level,
		      size_t n_merges)
{
	struct mp_gguf_writer *w = &fake->writer;

	*fake = (struct fake){0};
	mp_gguf_put_text(w, "general.architecture", shape->architecture);
	put_words(w, "tokenizer.ggml.tokens", 1000);
	if (n_merges)
		put_words(w, "tokenizer.ggml.merges", n_merges);
	assert_int_equal(mp_model_each_tensor(shape, mp_quant_find(level, NULL), put_tensor, w), 0);
	assert_int_equal(mp_gguf_header(w, &fake->header), 0);
	assert_int_equal(mp_gguf_parse(fake->header.data, fake->header.len,
				       fake->header.len + w->data_bytes, "m.gguf", &fake->part.gguf,
				       NULL),
			 0);
	fake->file = (struct mp_gguf_file){
		.parts = &fake->part,
		.n_parts = 1,
		.n_tensors = fake->part.gguf.n_tensors,
		.tensor_bytes = fake->part.gguf.tensor_bytes,
	};
}

static void free_fake(struct fake *fake)
{
	mp_gguf_free(&fake->part.gguf);
	mp_text_free(&fake->header);
	mp_gguf_writer_free(&fake->writer);
}

static void test_file_as_it_is(void **state)
{
	struct mp_advice_input input = input_of(&qwen_05b, 2 * GB);
	struct mp_model_size size;
	struct mp_advice advice = {0};
	struct fake fake;

	(void)state;
	make_fake(&fake, &qwen_05b, "Q4_0", 700);
	input.file = &fake.file;
	assert_int_equal(mp_model_size(&qwen_05b, mp_quant_find("Q4_0", NULL), &size), 0);
	assert_int_equal(mp_advise_file(&input, &advice, NULL), 0);
	assert_int_equal(advice.n, 1);
	assert_null(advice.levels[0].level);
	assert_ptr_equal(advice.best, advice.levels);
	assert_int_equal(advice.levels[0].tensor_bytes, size.tensor_bytes);
	assert_int_equal(advice.levels[0].repack, size.repack_bytes);
	assert_true(size.repack_bytes > 190 * MB);
	/* Its vocabulary is what is in it. */
	assert_int_equal(advice.levels[0].metadata, 1000 * 150 + 700 * 210);
	mp_advice_free(&advice);
	input.metadata = 5;
	input.limit = 300 * MB;
	assert_int_equal(mp_advise_file(&input, &advice, NULL), 0);
	assert_int_equal(advice.levels[0].metadata, 5);
	assert_null(advice.best);
	mp_advice_free(&advice);
	free_fake(&fake);
	make_fake(&fake, &qwen_05b, "Q4_0", 0);
	input.metadata = MP_UNKNOWN;
	assert_int_equal(mp_advise_file(&input, &advice, NULL), 0);
	assert_int_equal(advice.levels[0].metadata, 1000 * 150);
	mp_advice_free(&advice);
	free_fake(&fake);
}

static void test_sentences_of_a_file(void **state)
{
	struct mp_advice_input input = input_of(&qwen_05b, 2 * GB);
	struct mp_advice advice = {0};
	MP_TEXT struct mp_text text = {0};
	struct fake fake;

	(void)state;
	make_fake(&fake, &qwen_05b, "Q4_0", 0);
	input.file = &fake.file;
	assert_int_equal(mp_advise_file(&input, &advice, NULL), 0);
	mp_advice_sentence(&text, &input, &advice, NULL, NULL);
	assert_string_equal(text.data, "The file fits: it needs 695 MiB of the 1.80 GiB that it "
				       "may take.");
	mp_advice_free(&advice);
	mp_text_reset(&text);
	input.limit = 600 * MB;
	assert_int_equal(mp_advise_file(&input, &advice, NULL), 0);
	mp_advice_sentence(&text, &input, &advice, NULL, NULL);
	assert_string_equal(text.data,
			    "The file does not fit. It needs 695 MiB, and 395 MiB may be "
			    "taken; it would be OOM-killed.");
	mp_advice_free(&advice);
	free_fake(&fake);
}

/* --- choosing ------------------------------------------------------------------------- */

static size_t n_known_levels(void)
{
	size_t n, known = 0;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	for (size_t i = 0; i < n; i++)
		known += isnan(levels[i].perplexity) ? 0 : 1;
	return known;
}

static void test_best_is_of_quality(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 8 * GB);
	struct mp_advice advice = advise(&input);

	(void)state;
	assert_int_equal(advice.n, n_known_levels());
	assert_string_equal(advice.best->level->name, "Q6_K");
	mp_advice_free(&advice);
	input = input_of(&qwen_7b, 32 * GB);
	advice = advise(&input);
	assert_string_equal(advice.best->level->name, "F16");
	mp_advice_free(&advice);
	input = input_of(&qwen_7b, 2 * GB);
	advice = advise(&input);
	assert_null(advice.best);
	mp_advice_free(&advice);
}

/* Q4_0 of a small model is smaller than Q4_K_S, and worse; Q4_K_M is smaller than Q4_1, and better.
 */
static void test_best_of_those_that_were_asked_for(void **state)
{
	struct mp_advice_input input = input_of(&qwen_05b, 2 * GB);
	const struct mp_quant_level *levels[] = {
		mp_quant_find("Q4_1", NULL),
		mp_quant_find("Q4_K_M", NULL),
		mp_quant_find("Q2_K", NULL),
	};
	struct mp_advice advice = {0};

	(void)state;
	assert_int_equal(mp_advise(&input, levels, 3, &advice, NULL), 0);
	assert_int_equal(advice.n, 3);
	assert_string_equal(advice.levels[0].level->name, "Q4_1"); /* as they were given */
	assert_string_equal(advice.best->level->name, "Q4_K_M");
	mp_advice_free(&advice);
	/* A quality that is not known does not beat by being small. */
	levels[2] = mp_quant_find("IQ4_XS", NULL);
	assert_int_equal(mp_advise(&input, levels + 1, 2, &advice, NULL), 0);
	assert_string_equal(advice.best->level->name, "Q4_K_M");
	mp_advice_free(&advice);
	assert_int_equal(mp_advise(&input, levels + 2, 1, &advice, NULL), 0);
	assert_string_equal(advice.best->level->name, "IQ4_XS");
	mp_advice_free(&advice);
}

static void test_poor(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 0);
	struct mp_advice advice;

	(void)state;
	input.margin = 0;
	input.repack = false;
	for (uint64_t mb = 3000; mb < 4500; mb += 10) {
		input.limit = mb * MB;
		advice = advise(&input);
		assert_true(mp_advice_is_poor(&advice) ==
			    (advice.best && advice.best->level->perplexity > 1));
		mp_advice_free(&advice);
	}
}

/* --- another model -------------------------------------------------------------------- */

static struct mp_model_shape shape_of(const char *architecture, uint32_t layers)
{
	struct mp_model_shape shape = qwen_05b;

	strcpy(shape.architecture, architecture);
	shape.layers = layers;
	return shape;
}

static void test_smaller(void **state)
{
	struct mp_model items[] = {
		{.id = (char *)"other-large", .shape = shape_of("llama", 60)},
		{.id = (char *)"small", .shape = shape_of("qwen2", 6)},
		{.id = (char *)"fits", .shape = shape_of("qwen2", 24)},
		{.id = (char *)"itself", .shape = qwen_7b},
		{.id = (char *)"larger", .shape = shape_of("qwen2", 4000)},
	};
	struct mp_models models = {items, MP_ARRAY_SIZE(items)};
	struct mp_advice_input input = input_of(&qwen_7b, 2 * GB);
	const struct mp_quant_level *level = NULL;
	const struct mp_model *model = mp_advise_smaller(&input, &models, &level);

	(void)state;
	assert_non_null(model);
	assert_string_equal(model->id, "fits"); /* the largest of its architecture */
	assert_string_equal(level->name, "F16");
	models.n = 1; /* any other is better than none */
	model = mp_advise_smaller(&input, &models, &level);
	assert_string_equal(model->id, "other-large");
	input.limit = 100 * MB;
	level = NULL;
	models.n = MP_ARRAY_SIZE(items);
	assert_null(mp_advise_smaller(&input, &models, &level));
	assert_null(level);
	models.n = 0;
	assert_null(mp_advise_smaller(&input, &models, &level));
}

/* --- words ---------------------------------------------------------------------------- */

static void expect_sentence(const struct mp_advice_input *input, const struct mp_model *smaller,
			    const char *expected)
{
	struct mp_advice MP_CLEANUP(mp_advice_free) advice = advise(input);
	const struct mp_quant_level *level = mp_quant_find("Q4_K_M", NULL);
	MP_TEXT struct mp_text text = {0};

	mp_advice_sentence(&text, input, &advice, smaller, smaller ? level : NULL);
	assert_string_equal(text.data, expected);
}

static void test_sentences(void **state)
{
	struct mp_model smaller = {.id = (char *)"small-1b"};
	struct mp_advice_input input = input_of(&qwen_7b, 8 * GB);

	(void)state;
	expect_sentence(&input, NULL,
			"Take Q6_K: it needs 6.41 GiB of the 7.51 GiB that it may take, and its "
			"perplexity is about 0.022 above that of F16.");
	input = input_of(&qwen_7b, 32 * GB);
	expect_sentence(&input, NULL,
			"Take F16: it needs 14.8 GiB of the 31.5 GiB that it may take.");
	input = input_of(&qwen_7b, 2 * GB);
	input.disk_per_s = 1000000000;
	expect_sentence(
		&input, &smaller,
		"None fits: use a smaller model, for example small-1b at Q4_K_M. The least, "
		"Q2_K, needs 3.39 GiB, and 1.80 GiB may be taken; Q3_K_S would load and "
		"thrash, with at most 0.32 tokens a second.");
	input.limit = 512 * MB;
	expect_sentence(&input, NULL,
			"None fits. The least, Q2_K, needs 3.39 GiB, and 307 MiB may be taken; it "
			"would be OOM-killed.");
	input = input_of(&qwen_7b, 4 * GB);
	input.context = 32768;
	expect_sentence(
		&input, &smaller,
		"None fits: use a smaller model, for example small-1b at Q4_K_M. The least, "
		"Q2_K, needs 4.92 GiB, and 3.60 GiB may be taken; Q2_K would load and "
		"thrash. With a context of at most 7936 tokens Q2_K fits.");
	/* What fits is poor. */
	input.context = 7936;
	expect_sentence(&input, &smaller,
			"Take Q2_K: it needs 3.60 GiB of the 3.60 GiB that it may take, and its "
			"perplexity is about 3.5 above that of F16; a smaller model may answer "
			"better, such as small-1b at Q4_K_M.");
}

static void test_arithmetic_in_lines(void **state)
{
	static const char *const lines[] = {
		"Q6_K\n",
		"weights           6248245248  5.82 GiB  sum of the tensors",
		"kv                 234881024  224 MiB   28 layers x 4096 tokens (up to 256s)",
		" x 2 x 4 kv heads x 128 x f16",
		"compute            326107136  311 MiB   512 x 4 B x (152064 + 2 x 3584)",
		"repack                     0  0 B ",
		"runtime             16777216  16.0 MiB",
		"metadata            54743040  52.2 MiB  152064 tokens x 150 B + 152064 merges",
		"must-have          632508416  603 MiB ",
		"comfortable       6880753664  6.41 GiB",
		"limit             3221225472  3.00 GiB",
		"in use                     0  0 B ",
		"margin             322122547  307 MiB ",
		"usable            2899102925  2.70 GiB",
		"fit                   thrash  must-have <= usable < comfortable",
		"speed                  0.178  tokens a second at most: disk 954 MiB/s / ",
		"(0.9 x 6248245248 mapped bytes)",
		"quality               0.0217  rise of perplexity",
	};
	struct mp_advice_input input = input_of(&qwen_7b, 3 * GB);
	struct mp_advice MP_CLEANUP(mp_advice_free) advice = {0};
	MP_TEXT struct mp_text text = {0};

	(void)state;
	input.disk_per_s = 1000000000;
	advice = advise(&input);
	mp_advice_explain(&text, &input, level_in(&advice, "Q6_K"));
	for (size_t i = 0; i < MP_ARRAY_SIZE(lines); i++) {
		if (!strstr(text.data, lines[i]))
			fail_msg("no \"%s\" in\n%s", lines[i], text.data);
	}
}

/* --- for reports ---------------------------------------------------------------------- */

static void test_rows_of_a_report(void **state)
{
	struct mp_advice_input input = input_of(&qwen_7b, 3 * GB);
	struct mp_advice MP_CLEANUP(mp_advice_free) advice = advise(&input);
	MP_FREE struct mp_quantization_row *rows = NULL;
	const struct mp_level_advice *a = level_in(&advice, "Q4_K_M");
	size_t n = 0;

	(void)state;
	assert_int_equal(mp_advice_rows(&advice, &rows, &n), 0);
	assert_int_equal(n, advice.n);
	for (size_t i = 0; i < n; i++) {
		const struct mp_quantization_row *row = &rows[i];

		if (strcmp(row->level, "Q4_K_M") != 0)
			continue;
		assert_int_equal(row->tensor_bytes, 4677120000);
		assert_int_equal(row->kv, a->kv);
		assert_int_equal(row->compute, a->compute);
		assert_int_equal(row->repack, a->repack);
		assert_int_equal(row->runtime, a->runtime);
		assert_int_equal(row->metadata, a->metadata);
		assert_int_equal(row->must, a->must);
		assert_int_equal(row->comfortable, a->comfortable);
		assert_int_equal(row->fit, MP_OUTCOME_OOM_KILLED);
		NEAR(row->perplexity, 0.1754);
		assert_true(isnan(row->most_per_s));
		return;
	}
	fail_msg("Q4_K_M is not among the rows");
}

static void test_outcomes_by_fit(void **state)
{
	(void)state;
	for (enum mp_fit fit = 0; fit < MP_FIT_COUNT; fit++)
		assert_string_equal(mp_outcome_name(mp_outcome_of_fit(fit)), mp_fit_name(fit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache_of_a_token),
		cmocka_unit_test(test_compute_buffer),
		cmocka_unit_test(test_sums_that_no_memory_holds),
		cmocka_unit_test(test_margin),
		cmocka_unit_test(test_every_part_of_a_level),
		cmocka_unit_test(test_repacked_needs_more_than_larger),
		cmocka_unit_test(test_borders_of_a_fit),
		cmocka_unit_test(test_without_a_mapping),
		cmocka_unit_test(test_speed_by_the_disk),
		cmocka_unit_test(test_tokens_that_fit),
		cmocka_unit_test(test_file_as_it_is),
		cmocka_unit_test(test_sentences_of_a_file),
		cmocka_unit_test(test_best_is_of_quality),
		cmocka_unit_test(test_best_of_those_that_were_asked_for),
		cmocka_unit_test(test_poor),
		cmocka_unit_test(test_smaller),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_arithmetic_in_lines),
		cmocka_unit_test(test_rows_of_a_report),
		cmocka_unit_test(test_outcomes_by_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
