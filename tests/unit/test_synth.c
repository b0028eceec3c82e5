// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/fsroot.h"
#include "model/synth.h"
#include "workdir.h"
#include "shapes.h"

#define ROW 3584
#define BLOCKS 4096

static uint8_t *blocks_of(enum mp_ggml_id id, uint64_t row, uint64_t seed, uint64_t n)
{
	const struct mp_ggml_type *type = mp_ggml_type_of(id);
	uint8_t *blocks = malloc(n * type->block_bytes);

	assert_non_null(blocks);
	mp_synth_blocks(type, row, &seed, blocks, n);
	return blocks;
}

/* --- where ggml-common.h has its scales, written down once more ----------------------- */

#define NONE UINT32_MAX

static const struct {
	enum mp_ggml_id id;
	uint32_t d_at, m_at;
} layouts[] = {
	{MP_GGML_Q4_0, 0, NONE},	      /* d, qs[16] */
	{MP_GGML_Q4_1, 0, 2},		      /* d, m, qs[16] */
	{MP_GGML_Q5_0, 0, NONE},	      /* d, qh[4], qs[16] */
	{MP_GGML_Q5_1, 0, 2},		      /* d, m, qh[4], qs[16] */
	{MP_GGML_Q8_0, 0, NONE},	      /* d, qs[32] */
	{MP_GGML_Q2_K, 16 + 64, 16 + 64 + 2}, /* scales[16], qs[64], d, dmin */
	{MP_GGML_Q3_K, 32 + 64 + 12, NONE},   /* hmask[32], qs[64], scales[12], d */
	{MP_GGML_Q4_K, 0, 2},		      /* d, dmin, scales[12], qs[128] */
	{MP_GGML_Q5_K, 0, 2},		      /* d, dmin, scales[12], qh[32], qs[128] */
	{MP_GGML_Q6_K, 128 + 64 + 16, NONE},  /* ql[128], qh[64], scales[16], d */
	{MP_GGML_IQ2_XXS, 0, NONE},	      /* d, qs[32] of 16 bits */
	{MP_GGML_IQ2_XS, 0, NONE},	      /* d, qs[32] of 16 bits, scales[8] */
	{MP_GGML_IQ2_S, 0, NONE},	      /* d, qs[64], qh[8], scales[8] */
	{MP_GGML_IQ3_XXS, 0, NONE},	      /* d, qs[96] */
	{MP_GGML_IQ3_S, 0, NONE},	      /* d, qs[64], qh[8], signs[32], scales[4] */
	{MP_GGML_IQ1_S, 0, NONE},	      /* d, qs[32], qh[8] of 16 bits */
	{MP_GGML_IQ4_NL, 0, NONE},	      /* d, qs[16] */
	{MP_GGML_IQ4_XS, 0, NONE},	      /* d, scales_h, scales_l[4], qs[128] */
	{MP_GGML_TQ1_0, 48 + 4, NONE},	      /* qs[48], qh[4], d */
	{MP_GGML_TQ2_0, 64, NONE},	      /* qs[64], d */
};

static float float_of_half(const uint8_t *at)
{
	uint16_t half;
	int exponent;
	float size;

	memcpy(&half, at, sizeof(half));
	exponent = half >> 10 & 31;
	if (exponent == 31)
		return half & 0x3ff ? NAN : INFINITY;
	size = exponent ? ldexpf((float)(half & 0x3ff) + 1024, exponent - 25)
			: ldexpf((float)(half & 0x3ff), -24);
	return half & 0x8000 ? -size : size;
}

static void check_scales(size_t i, uint64_t row)
{
	const struct mp_ggml_type *type = mp_ggml_type_of(layouts[i].id);
	MP_FREE uint8_t *blocks = blocks_of(type->id, row, 1, BLOCKS);

	for (size_t b = 0; b < BLOCKS; b++) {
		const uint8_t *block = blocks + b * type->block_bytes;
		float d = float_of_half(block + layouts[i].d_at);

		if (!(d > 0 && d < 1))
			fail_msg("%s, row %llu, block %zu: d is %g", type->name,
				 (unsigned long long)row, b, d);
		if (layouts[i].m_at != NONE) {
			float ratio = float_of_half(block + layouts[i].m_at) / d;

			assert_true(fabsf(ratio) > 1.2F && fabsf(ratio) < 20);
		}
	}
}

static void test_scales_are_finite_and_in_their_places(void **state)
{
	static const uint64_t rows[] = {32, 256, 896, 18944, 1 << 20};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(layouts); i++) {
		for (size_t j = 0; j < MP_ARRAY_SIZE(rows); j++)
			check_scales(i, rows[j]);
	}
}

/* --- how large the weights are: as the formulas of ggml-quants.c have it ------------------ */

static double weight_f32(const uint8_t *block, size_t i)
{
	float value;

	(void)i;
	memcpy(&value, block, sizeof(value));
	return (double)value;
}

static double weight_f16(const uint8_t *block, size_t i)
{
	(void)i;
	return (double)float_of_half(block);
}

static double weight_bf16(const uint8_t *block, size_t i)
{
	const uint8_t wide[4] = {0, 0, block[0], block[1]};

	return weight_f32(wide, i);
}

static unsigned int nibble(const uint8_t *qs, size_t i, size_t half)
{
	return i < half ? qs[i] & 15U : qs[i - half] >> 4;
}

static double weight_q4_0(const uint8_t *block, size_t i)
{
	return (double)float_of_half(block) * ((int)nibble(block + 2, i, 16) - 8);
}

static double weight_q4_1(const uint8_t *block, size_t i)
{
	return (double)float_of_half(block) * nibble(block + 4, i, 16) +
	       (double)float_of_half(block + 2);
}

static double weight_q8_0(const uint8_t *block, size_t i)
{
	return (double)float_of_half(block) * (int8_t)block[2 + i];
}

static double weight_q2_k(const uint8_t *block, size_t i)
{
	unsigned int scale = block[i / 16];
	unsigned int q = block[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;

	return (double)float_of_half(block + 80) * (scale & 15) * q -
	       (double)float_of_half(block + 82) * (scale >> 4);
}

/* Eight scales and eight mins of six bits each, in twelve bytes. */
static void scale_min_k4(size_t j, const uint8_t *s, unsigned int *scale, unsigned int *min)
{
	if (j < 4) {
		*scale = s[j] & 63U;
		*min = s[j + 4] & 63U;
	} else {
		*scale = (s[j + 4] & 15U) | (s[j - 4] >> 6) << 4;
		*min = s[j + 4] >> 4 | (s[j] >> 6) << 4;
	}
}

static double weight_q4_k(const uint8_t *block, size_t i)
{
	unsigned int scale, min;

	scale_min_k4(i / 32, block + 4, &scale, &min);
	return (double)float_of_half(block) * scale * nibble(block + 16 + i / 64 * 32, i % 64, 32) -
	       (double)float_of_half(block + 2) * min;
}

static double weight_q6_k(const uint8_t *block, size_t i)
{
	size_t at = i % 128;
	unsigned int low = block[i / 128 * 64 + at % 64] >> (at / 64 * 4) & 15;
	unsigned int high = block[128 + i / 128 * 32 + at % 32] >> (at / 32 * 2) & 3;

	return (double)float_of_half(block + 208) * (int8_t)block[192 + i / 16] *
	       ((int)(low | high << 4) - 32);
}

static const struct {
	enum mp_ggml_id id;
	double (*weight)(const uint8_t *block, size_t i);
} weights[] = {
	{MP_GGML_F32, weight_f32},   {MP_GGML_F16, weight_f16},	  {MP_GGML_BF16, weight_bf16},
	{MP_GGML_Q4_0, weight_q4_0}, {MP_GGML_Q4_1, weight_q4_1}, {MP_GGML_Q8_0, weight_q8_0},
	{MP_GGML_Q2_K, weight_q2_k}, {MP_GGML_Q4_K, weight_q4_k}, {MP_GGML_Q6_K, weight_q6_k},
};

/* The sum over a row of weights times inputs then is about as large as an input. */
static void check_size(size_t i, uint64_t row)
{
	const struct mp_ggml_type *type = mp_ggml_type_of(weights[i].id);
	uint64_t n = BLOCKS * 256 / type->block_elements;
	MP_FREE uint8_t *blocks = blocks_of(type->id, row, 3, n);
	double sum = 0, squares = 0, mean, rms;

	for (uint64_t b = 0; b < n; b++) {
		for (size_t j = 0; j < type->block_elements; j++) {
			double w = weights[i].weight(blocks + b * type->block_bytes, j);

			sum += w;
			squares += w * w;
		}
	}
	mean = sum / (BLOCKS * 256) * sqrt((double)row);
	rms = sqrt(squares / (BLOCKS * 256) * (double)row);
	if (!(fabs(mean) < 0.15 && rms > 0.7 && rms < 1.4))
		fail_msg("%s, row %llu: mean %g, rms %g of 1/sqrt(row)", type->name,
			 (unsigned long long)row, mean, rms);
}

static void test_weights_are_as_large_as_those_of_models(void **state)
{
	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(weights); i++) {
		check_size(i, 896);
		check_size(i, 18944);
	}
}

/* --- contents as bytes ---------------------------------------------------------------- */

static void test_the_seed_alone_makes_the_contents(void **state)
{
	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(layouts); i++) {
		size_t bytes = 64UL * mp_ggml_type_of(layouts[i].id)->block_bytes;
		MP_FREE uint8_t *a = blocks_of(layouts[i].id, ROW, 7, 64);
		MP_FREE uint8_t *b = blocks_of(layouts[i].id, ROW, 7, 64);
		MP_FREE uint8_t *c = blocks_of(layouts[i].id, ROW, 8, 64);

		assert_memory_equal(a, b, bytes);
		assert_memory_not_equal(a, c, bytes);
	}
}

/* The sanitizer sees what goes beyond the blocks; odd numbers of bytes are where that can be. */
static void test_exactly_the_blocks_are_written(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 64; id++) {
		for (uint64_t n = 1; n < 5 && mp_ggml_type_of(id); n++)
			free(blocks_of(id, ROW, 5, n));
	}
}

static void test_a_type_of_no_layout_is_zeros(void **state)
{
	MP_FREE uint8_t *blocks = blocks_of(MP_GGML_MXFP4, ROW, 5, 2);

	(void)state;
	for (size_t i = 0; i < 34; i++)
		assert_int_equal(blocks[i], 0);
}

static double compressed_pct(enum mp_ggml_id id)
{
	size_t bytes = (size_t)BLOCKS * mp_ggml_type_of(id)->block_bytes;
	MP_FREE uint8_t *blocks = blocks_of(id, ROW, 9, BLOCKS);
	uLongf len = compressBound(bytes);
	MP_FREE uint8_t *out = malloc(len);

	assert_non_null(out);
	assert_int_equal(compress2(out, &len, blocks, bytes, 1), Z_OK);
	return (double)len * 100 / (double)bytes;
}

/* As docs/models.md states it. */
static void test_contents_hardly_compress(void **state)
{
	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(layouts); i++) {
		double pct = compressed_pct(layouts[i].id);

		if (pct < 90)
			fail_msg("%s: %.1f %%", mp_ggml_type_of(layouts[i].id)->name, pct);
	}
	assert_true(compressed_pct(MP_GGML_F16) > 80);
	assert_true(compressed_pct(MP_GGML_BF16) > 60);
	assert_true(compressed_pct(MP_GGML_F32) > 80);
}

/* --- files ------------------------------------------------------------------------------ */

static struct mp_synth_options options_of(const struct mp_model_shape *shape, const char *level)
{
	return (struct mp_synth_options){
		.name = "tiny", .shape = shape, .level = mp_quant_find(level, NULL), .seed = 7};
}

static void write_at(const struct dir *dir, const struct mp_synth_options *o, const char *name,
		     char path[PATH_MAX])
{
	struct mp_error err = {0};

	snprintf(path, PATH_MAX, "%s/%s", dir->path, name);
	if (mp_synth(o, path, &err))
		fail_msg("%s", err.text);
}

static void open_at(const char *path, struct mp_gguf_file *ret)
{
	struct mp_error err = {0};

	if (mp_gguf_open(path, ret, &err))
		fail_msg("%s", err.text);
}

static unsigned int files_in(const struct dir *dir)
{
	MP_CLOSEDIR DIR *d = opendir(dir->path);
	unsigned int n = 0;

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

static uint64_t u64_of(const struct mp_gguf *gguf, const char *key)
{
	uint64_t value = UINT64_MAX;

	if (mp_gguf_u64(gguf, key, &value))
		fail_msg("%s is not there", key);
	return value;
}

static void test_the_header_says_what_the_model_is(void **state)
{
	struct mp_synth_options o = options_of(&tiny, "Q4_K_M");
	struct mp_gguf_file file;
	const struct mp_gguf *g;
	struct mp_gguf_string name;
	char path[PATH_MAX];
	double eps;

	write_at(*state, &o, "m.gguf", path);
	open_at(path, &file);
	g = &file.parts[0].gguf;
	assert_int_equal(mp_gguf_text(g, "general.architecture", &name), 0);
	assert_int_equal(name.len, 5);
	assert_memory_equal(name.data, "qwen2", 5);
	assert_int_equal(mp_gguf_text(g, "general.name", &name), 0);
	assert_memory_equal(name.data, "tiny", 4);
	assert_int_equal(u64_of(g, "general.file_type"), 15);
	assert_int_equal(u64_of(g, "general.quantization_version"), 2);
	assert_int_equal(u64_of(g, "qwen2.block_count"), 2);
	assert_int_equal(u64_of(g, "qwen2.context_length"), 2048);
	assert_int_equal(u64_of(g, "qwen2.embedding_length"), 256);
	assert_int_equal(u64_of(g, "qwen2.feed_forward_length"), 512);
	assert_int_equal(u64_of(g, "qwen2.attention.head_count"), 4);
	assert_int_equal(u64_of(g, "qwen2.attention.head_count_kv"), 2);
	assert_int_equal(u64_of(g, MP_SYNTH_SEED), 7);
	assert_int_equal(mp_gguf_f64(g, "qwen2.attention.layer_norm_rms_epsilon", &eps), 0);
	assert_true(fabs(eps - 1e-6) < 1e-12);
	/* Heads of hidden / heads elements need no key. */
	assert_null(mp_gguf_find(g, "qwen2.attention.key_length"));
	mp_gguf_close(&file);
}

static void test_heads_of_another_size_are_told(void **state)
{
	struct mp_model_shape shape = tiny;
	struct mp_synth_options o = options_of(&shape, "Q8_0");
	struct mp_gguf_file file;
	char path[PATH_MAX];

	shape.head_dim = 128;
	write_at(*state, &o, "m.gguf", path);
	open_at(path, &file);
	assert_int_equal(u64_of(&file.parts[0].gguf, "qwen2.attention.key_length"), 128);
	assert_int_equal(u64_of(&file.parts[0].gguf, "qwen2.attention.value_length"), 128);
	mp_gguf_close(&file);
}

static uint64_t string_at(const uint8_t **at, char out[64])
{
	uint64_t len;

	memcpy(&len, *at, sizeof(len));
	assert_in_range(len, 1, 63);
	memcpy(out, *at + 8, len);
	out[len] = '\0';
	*at += 8 + len;
	return len;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void check_vocabulary(const char *path, uint32_t vocab)
{
	char(*tokens)[64] = calloc(vocab, sizeof(*tokens));
	const struct mp_gguf_kv *kv;
	MP_FREE char *data = NULL;
	struct mp_gguf gguf;
	const uint8_t *at;
	uint32_t type;
	size_t len;

	assert_int_equal(mp_read_file(path, 1 << 26, &data, &len), 0);
	assert_int_equal(mp_gguf_parse(data, len, len, "m", &gguf, NULL), 0);
	kv = mp_gguf_find(&gguf, "tokenizer.ggml.tokens");
	assert_non_null(kv);
	assert_int_equal(kv->n, vocab);
	at = kv->value;
	for (uint32_t i = 0; i < vocab; i++)
		string_at(&at, tokens[i]);
	assert_string_equal(tokens[0], "<unk>");
	assert_string_equal(tokens[2], "</s>");
	assert_string_equal(tokens[3], "<0x00>");
	assert_string_equal(tokens[258], "<0xFF>");
	assert_string_equal(tokens[259], "\xe2\x96\x81"
					 "a");
	assert_string_equal(tokens[260], "a");
	assert_string_equal(tokens[259 + 2 * 26], "\xe2\x96\x81"
						  "aa");
	qsort(tokens, vocab, sizeof(*tokens), compare_texts);
	for (uint32_t i = 1; i < vocab; i++)
		assert_string_not_equal(tokens[i - 1], tokens[i]);
	free(tokens);

	kv = mp_gguf_find(&gguf, "tokenizer.ggml.scores");
	assert_int_equal(kv->n, vocab);
	assert_int_equal(kv->element, MP_GGUF_F32);
	kv = mp_gguf_find(&gguf, "tokenizer.ggml.token_type");
	assert_int_equal(kv->n, vocab);
	assert_int_equal(kv->element, MP_GGUF_I32);
	memcpy(&type, kv->value + 3 * sizeof(type), sizeof(type));
	assert_int_equal(type, 6);
	mp_gguf_free(&gguf);
}

static void test_tokens_are_as_many_as_asked_and_distinct(void **state)
{
	struct mp_model_shape shape = tiny;
	struct mp_synth_options o = options_of(&shape, "Q4_0");
	char path[PATH_MAX];

	shape.vocab = 152064;
	shape.hidden = shape.ff = 32;
	shape.head_dim = 8;
	o.sparse = true;
	write_at(*state, &o, "m.gguf", path);
	check_vocabulary(path, 152064);
}

/* Every tensor of the model, in its place, and not a byte more. */
static void check_layout(const struct dir *dir, const struct mp_quant_level *level)
{
	struct mp_synth_options o = options_of(&tiny, level->name);
	struct mp_model_size size;
	struct mp_gguf_file file;
	char path[PATH_MAX];
	uint64_t bytes;
	struct stat st;

	write_at(dir, &o, "m.gguf", path);
	assert_int_equal(mp_synth_bytes(&o, &bytes), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, bytes);
	assert_int_equal(mp_model_size(&tiny, level, &size), 0);
	open_at(path, &file);
	assert_int_equal(file.n_tensors, size.n_tensors);
	assert_int_equal(file.tensor_bytes, size.tensor_bytes);
	assert_ptr_equal(mp_gguf_level(&file), level);
	mp_gguf_close(&file);
}

static void test_files_of_all_levels_have_the_model_s_sizes(void **state)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	for (size_t i = 0; i < n; i++)
		check_layout(*state, &levels[i]);
}

static void test_norms_are_about_one_and_biases_small(void **state)
{
	struct mp_synth_options o = options_of(&tiny, "Q4_K_M");
	const struct mp_gguf_tensor *norm, *bias;
	struct mp_gguf_file file;
	MP_FREE char *data = NULL;
	char path[PATH_MAX];
	uint64_t at;
	size_t len;

	write_at(*state, &o, "m.gguf", path);
	assert_int_equal(mp_read_file(path, 1 << 24, &data, &len), 0);
	open_at(path, &file);
	at = file.parts[0].gguf.data_offset;
	norm = mp_gguf_tensor(&file.parts[0].gguf, "blk.1.attn_norm.weight");
	bias = mp_gguf_tensor(&file.parts[0].gguf, "blk.1.attn_q.bias");
	assert_non_null(norm);
	assert_non_null(bias);
	for (size_t i = 0; i < 256; i++) {
		float gain, shift;

		memcpy(&gain, data + at + norm->offset + i * sizeof(gain), sizeof(gain));
		memcpy(&shift, data + at + bias->offset + i * sizeof(shift), sizeof(shift));
		assert_true(gain >= 1 && gain < 1.126F);
		assert_true(fabsf(shift) < 0.25F && fabsf(shift) > 0);
	}
	mp_gguf_close(&file);
}

static void test_the_seed_alone_makes_the_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_synth_options o = options_of(&tiny, "Q5_K_M");
	char path[PATH_MAX];

	write_at(dir, &o, "a.gguf", path);
	write_at(dir, &o, "b.gguf", path);
	o.seed = 8;
	write_at(dir, &o, "c.gguf", path);
	shell(dir, "cmp a.gguf b.gguf");
	shell(dir, "! cmp -s a.gguf c.gguf");
}

static void test_a_sparse_file_is_all_hole(void **state)
{
	struct mp_model_shape shape = tiny;
	struct mp_synth_options o = options_of(&shape, "Q8_0");
	char path[PATH_MAX];
	uint64_t bytes;
	struct stat st;

	shape.layers = 64;
	o.sparse = true;
	write_at(*state, &o, "m.gguf", path);
	assert_int_equal(mp_synth_bytes(&o, &bytes), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, bytes);
	assert_true(bytes > 30 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
}

/* --- errors ------------------------------------------------------------------------------- */

static int end_at_once(void *data, uint64_t done, uint64_t total)
{
	unsigned int *calls = data;

	assert_true(done <= total);
	return ++*calls == 1;
}

static void test_what_is_ended_leaves_nothing(void **state)
{
	const struct dir *dir = *state;
	struct mp_synth_options o = options_of(&tiny, "F32");
	struct mp_error err = {0};
	unsigned int calls = 0;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/m.gguf", dir->path);
	o.progress = end_at_once;
	o.data = &calls;
	assert_int_equal(mp_synth(&o, path, &err), -EINTR);
	assert_int_equal(err.exit_code, MP_EXIT_INTERRUPTED);
	assert_int_equal(calls, 1);
	assert_int_equal(files_in(dir), 0);
}

static int interrupt(void *data, uint64_t done, uint64_t total)
{
	(void)data;
	(void)done;
	(void)total;
	kill(getpid(), SIGINT);
	return 0;
}

static void count_signal(int signal)
{
	(void)signal;
}

/* It comes through when all is cleaned up: at once when mp_synth() is over. */
static void test_a_signal_ends_it_and_is_not_lost(void **state)
{
	const struct dir *dir = *state;
	struct mp_synth_options o = options_of(&tiny, "F32");
	struct sigaction action = {.sa_handler = count_signal};
	sigset_t held, pending;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/m.gguf", dir->path);
	o.progress = interrupt;
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_BLOCK, &held, NULL);
	assert_int_equal(mp_synth(&o, path, NULL), -EINTR);
	sigpending(&pending);
	assert_true(sigismember(&pending, SIGINT));
	sigprocmask(SIG_UNBLOCK, &held, NULL);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGINT));
	assert_int_equal(files_in(dir), 0);
}

/* As when the disk becomes full in the middle: what was there before stays. */
static void test_a_write_that_fails_leaves_what_was_there(void **state)
{
	const struct dir *dir = *state;
	struct mp_synth_options o = options_of(&tiny, "F16");
	struct rlimit before, little = {3 << 20, RLIM_INFINITY};
	struct mp_error err = {0};
	char path[PATH_MAX];

	shell(dir, "echo before >m.gguf");
	snprintf(path, sizeof(path), "%s/m.gguf", dir->path);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	assert_int_equal(mp_synth(&o, path, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(err.exit_code, MP_EXIT_CHECK);
	assert_non_null(strstr(err.text, "writing it failed: File too large"));
	shell(dir, "[ \"$(cat m.gguf)\" = before ]");
	assert_int_equal(files_in(dir), 1);
}

static void test_a_disk_too_small_is_told_before(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_shape shape = tiny;
	struct mp_synth_options o = options_of(&shape, "F32");
	struct mp_error err = {0};
	char path[PATH_MAX];

	shape.layers = 4096;
	shape.hidden = shape.ff = 1 << 20;
	snprintf(path, sizeof(path), "%s/m.gguf", dir->path);
	assert_int_equal(mp_synth(&o, path, &err), -ENOSPC);
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_non_null(strstr(err.text, "are missing"));
	assert_int_equal(files_in(dir), 0);
}

static bool is_old_system;
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	if (is_old_system && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_open(path, flags, 0666);
}

static void test_without_nameless_files_it_is_the_same(void **state)
{
	const struct dir *dir = *state;
	struct mp_synth_options o = options_of(&tiny, "Q8_0");
	unsigned int calls = 0;
	char path[PATH_MAX];

	write_at(dir, &o, "a.gguf", path);
	is_old_system = true;
	write_at(dir, &o, "b.gguf", path);
	shell(dir, "cmp a.gguf b.gguf && [ $(stat -c %%a a.gguf) = $(stat -c %%a b.gguf) ]");
	snprintf(path, sizeof(path), "%s/c.gguf", dir->path);
	o.progress = end_at_once;
	o.data = &calls;
	assert_int_equal(mp_synth(&o, path, NULL), -EINTR);
	is_old_system = false;
	assert_int_equal(files_in(dir), 2);
}

static void check_refused(const struct dir *dir, const char *name, int error,
			  enum mp_exit exit_code)
{
	struct mp_synth_options o = options_of(&tiny, "Q4_0");
	struct mp_error err = {0};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	assert_int_equal(mp_synth(&o, path, &err), error);
	assert_int_equal(err.exit_code, exit_code);
}

static void test_names_that_can_be_no_file_are_refused(void **state)
{
	const struct dir *dir = *state;

	shell(dir, "mkdir folder && mkfifo pipe && touch file");
	check_refused(dir, "folder", -EINVAL, MP_EXIT_USAGE);
	check_refused(dir, "pipe", -EINVAL, MP_EXIT_USAGE);
	check_refused(dir, "none/m.gguf", -ENOENT, MP_EXIT_USAGE);
	check_refused(dir, "file/m.gguf", -ENOTDIR, MP_EXIT_USAGE);
	assert_int_equal(files_in(dir), 3);
}

static void test_a_file_is_replaced(void **state)
{
	struct mp_synth_options o = options_of(&tiny, "Q4_0");
	struct mp_gguf_file file;
	char path[PATH_MAX];

	shell(*state, "echo before >m.gguf");
	write_at(*state, &o, "m.gguf", path);
	open_at(path, &file);
	mp_gguf_close(&file);
	assert_int_equal(files_in(*state), 1);
}

/* --- scale -------------------------------------------------------------------------------- */

static void check_scale(uint32_t num, uint32_t den, uint32_t layers, uint32_t vocab)
{
	double whole = (double)mp_model_parameters(&qwen_7b);
	struct mp_model_shape s;
	double part;

	assert_int_equal(mp_model_scale(&qwen_7b, num, den, &s), 0);
	assert_int_equal(s.layers, layers);
	assert_int_equal(s.vocab, vocab);
	assert_int_equal(s.hidden, qwen_7b.hidden);
	assert_int_equal(s.ff, qwen_7b.ff);
	part = (double)mp_model_parameters(&s) / whole * den / num;
	if (fabs(part - 1) > 0.01)
		fail_msg("%u/%u: %g of what was asked", num, den, part);
}

static void test_a_scaled_model_has_that_part_of_the_weights(void **state)
{
	(void)state;
	check_scale(1, 1, 28, 152064);
	check_scale(1, 2, 12, 141056);
	check_scale(1, 4, 4, 135552);
	check_scale(1, 16, 1, 33856);
}

static void test_nothing_is_smaller_than_a_layer(void **state)
{
	struct mp_model_shape s = tiny;

	(void)state;
	assert_int_equal(mp_model_scale(&qwen_7b, 1, 64, &s), -ERANGE);
	assert_int_equal(mp_model_scale(&qwen_7b, 0, 1, &s), -ERANGE);
	assert_int_equal(s.layers, tiny.layers);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scales_are_finite_and_in_their_places),
		cmocka_unit_test(test_weights_are_as_large_as_those_of_models),
		cmocka_unit_test(test_the_seed_alone_makes_the_contents),
		cmocka_unit_test(test_exactly_the_blocks_are_written),
		cmocka_unit_test(test_a_type_of_no_layout_is_zeros),
		cmocka_unit_test(test_contents_hardly_compress),
		IN_DIR(test_the_header_says_what_the_model_is),
		IN_DIR(test_heads_of_another_size_are_told),
		IN_DIR(test_tokens_are_as_many_as_asked_and_distinct),
		IN_DIR(test_files_of_all_levels_have_the_model_s_sizes),
		IN_DIR(test_norms_are_about_one_and_biases_small),
		IN_DIR(test_the_seed_alone_makes_the_file),
		IN_DIR(test_a_sparse_file_is_all_hole),
		IN_DIR(test_what_is_ended_leaves_nothing),
		IN_DIR(test_a_signal_ends_it_and_is_not_lost),
		IN_DIR(test_a_write_that_fails_leaves_what_was_there),
		IN_DIR(test_a_disk_too_small_is_told_before),
		IN_DIR(test_without_nameless_files_it_is_the_same),
		IN_DIR(test_names_that_can_be_no_file_are_refused),
		IN_DIR(test_a_file_is_replaced),
		cmocka_unit_test(test_a_scaled_model_has_that_part_of_the_weights),
		cmocka_unit_test(test_nothing_is_smaller_than_a_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
