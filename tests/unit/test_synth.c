// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "model/synth.h"

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
		for (uint64_t n = 0; n < 4 && mp_ggml_type_of(id); n++)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scales_are_finite_and_in_their_places),
		cmocka_unit_test(test_weights_are_as_large_as_those_of_models),
		cmocka_unit_test(test_the_seed_alone_makes_the_contents),
		cmocka_unit_test(test_exactly_the_blocks_are_written),
		cmocka_unit_test(test_a_type_of_no_layout_is_zeros),
		cmocka_unit_test(test_contents_hardly_compress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
