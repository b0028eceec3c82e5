// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of tensors: every bit is random but those that say how large the weights are. Layouts
 * are those of ggml-common.h. Random quants do not compress (zlib keeps 99 to 100 percent), those
 * of float types about as little as trained ones do: docs/models.md has the figures.
 */
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/random.h"
#include "model/synth.h"

/* --- blocks of quants under scales -------------------------------------------------- */

#define NO_MIN UINT32_MAX
#define N_SCALES 256 /* that are drawn from, so that blocks differ in theirs */

/*
 * An f16 scale `d` in each block, in some types a second one for the offset of its elements, and
 * all else random: quants, and small scales within the block. With d = 1, elements then have the
 * root mean square `rms`, and the offset `min` brings their mean to 0.
 */
struct block_layout {
	enum mp_ggml_id id;
	uint32_t d_at, min_at;
	float rms, min;
};

static const struct block_layout block_layouts[] = {
	{MP_GGML_Q4_0, 0, NO_MIN, 4.64F, 0},   {MP_GGML_Q4_1, 0, 2, 4.61F, -7.5F},
	{MP_GGML_Q5_0, 0, NO_MIN, 9.25F, 0},   {MP_GGML_Q5_1, 0, 2, 9.23F, -15.5F},
	{MP_GGML_Q8_0, 0, NO_MIN, 73.9F, 0},   {MP_GGML_Q2_K, 80, 82, 13.9F, 1.5F},
	{MP_GGML_Q3_K, 108, NO_MIN, 43.3F, 0}, {MP_GGML_Q4_K, 0, 2, 258, 7.5F},
	{MP_GGML_Q5_K, 0, 2, 527, 15.5F},      {MP_GGML_Q6_K, 208, NO_MIN, 1366, 0},
	{MP_GGML_IQ2_XXS, 0, NO_MIN, 46, 0},   {MP_GGML_IQ2_XS, 0, NO_MIN, 46, 0},
	{MP_GGML_IQ2_S, 0, NO_MIN, 46, 0},     {MP_GGML_IQ3_XXS, 0, NO_MIN, 115, 0},
	{MP_GGML_IQ3_S, 0, NO_MIN, 148, 0},    {MP_GGML_IQ1_S, 0, NO_MIN, 7.4F, 0},
	{MP_GGML_IQ4_NL, 0, NO_MIN, 67.4F, 0}, {MP_GGML_IQ4_XS, 0, NO_MIN, 1246, 0},
	{MP_GGML_TQ1_0, 52, NO_MIN, 0.82F, 0}, {MP_GGML_TQ2_0, 64, NO_MIN, 1.22F, 0},
};

/* Of less than 65504. What is too small for a normal number is a subnormal one, and never 0. */
static uint16_t half_of(float value)
{
	uint32_t sign = signbit(value) ? 0x8000 : 0;
	float size = fabsf(value);
	uint32_t bits;

	if (size < 0x1p-14F)
		return (uint16_t)(sign | ((uint32_t)lrintf(size * 0x1p24F) ?: 1));
	memcpy(&bits, &size, sizeof(bits));
	return (uint16_t)(sign | (bits - ((127 - 15) << 23)) >> 13);
}

struct scale {
	uint16_t d, min;
};

/* From three quarters to five quarters of what makes the rms 1/sqrt(row). */
static void draw_scales(const struct block_layout *layout, uint64_t row, uint64_t *state,
			struct scale scales[N_SCALES])
{
	float d = 1 / (layout->rms * sqrtf((float)row));

	for (size_t i = 0; i < N_SCALES; i++) {
		float factor = 0.75F + (float)(mp_random_next(state) >> 40) * 0x1p-25F;

		scales[i].d = half_of(d * factor);
		scales[i].min = half_of(d * factor * layout->min);
	}
}

static void fill_random(uint64_t *state, uint8_t *at, size_t bytes)
{
	uint64_t word;

	for (; bytes >= sizeof(word); at += sizeof(word), bytes -= sizeof(word)) {
		word = mp_random_next(state);
		memcpy(at, &word, sizeof(word));
	}
	word = mp_random_next(state);
	memcpy(at, &word, bytes);
}

static void fill_blocks(const struct block_layout *layout, uint32_t block_bytes, uint64_t row,
			uint64_t *state, uint8_t *at, uint64_t n)
{
	struct scale scales[N_SCALES];

	draw_scales(layout, row, state, scales);
	fill_random(state, at, n * block_bytes);
	for (; n; n--, at += block_bytes) {
		/* The random byte that is overwritten says by what. */
		const struct scale *s = &scales[at[layout->d_at]];

		memcpy(at + layout->d_at, &s->d, sizeof(s->d));
		if (layout->min_at != NO_MIN)
			memcpy(at + layout->min_at, &s->min, sizeof(s->min));
	}
}

/* --- floats --------------------------------------------------------------------------- */

struct float_layout {
	enum mp_ggml_id id;
	uint32_t bits, mantissa_bits;
	int bias;
};

static const struct float_layout float_layouts[] = {
	{MP_GGML_F32, 32, 23, 127},
	{MP_GGML_F16, 16, 10, 15},
	{MP_GGML_BF16, 16, 7, 127},
};

/*
 * Sign, mantissa and the two lower bits of the exponent are random, so that sizes spread over four
 * octaves, [2^(e-3), 2^(e+1)), whose root mean square is 0.88 x 2^e.
 */
static void fill_floats(const struct float_layout *layout, uint64_t row, uint64_t *state,
			uint8_t *at, uint64_t n)
{
	uint64_t lanes = layout->bits == 32 ? 0x0000000100000001 : 0x0001000100010001;
	uint64_t keep = 1ULL << (layout->bits - 1) | ((4ULL << layout->mantissa_bits) - 1);
	int top = (int)lrintf(log2f(1 / (0.88F * sqrtf((float)row)))) + layout->bias;
	uint64_t lowest = (uint64_t)(top > 3 ? top - 3 : 1) << layout->mantissa_bits;
	uint64_t bytes = n * (layout->bits / 8);

	for (uint64_t done = 0; done < bytes; done += sizeof(uint64_t)) {
		uint64_t word = (mp_random_next(state) & keep * lanes) + lowest * lanes;
		uint64_t left = bytes - done;

		memcpy(at + done, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

void mp_synth_blocks(const struct mp_ggml_type *type, uint64_t row, uint64_t *state, void *blocks,
		     uint64_t n_blocks)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(float_layouts); i++) {
		if (float_layouts[i].id == type->id) {
			fill_floats(&float_layouts[i], row, state, blocks, n_blocks);
			return;
		}
	}
	for (size_t i = 0; i < MP_ARRAY_SIZE(block_layouts); i++) {
		if (block_layouts[i].id == type->id) {
			fill_blocks(&block_layouts[i], type->block_bytes, row, state, blocks,
				    n_blocks);
			return;
		}
	}
	memset(blocks, 0, n_blocks * type->block_bytes);
}
