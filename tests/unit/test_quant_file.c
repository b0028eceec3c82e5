// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/gguf_write.h"
#include "model/quant.h"
#include "shapes.h"

/* The header of a model's file, and the file as if its data were there. */
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

static void put_keys(struct mp_gguf_writer *w, const struct mp_model_shape *shape)
{
	mp_gguf_put_text(w, "general.architecture", "qwen2");
	mp_gguf_put_u32(w, "qwen2.block_count", shape->layers);
	mp_gguf_put_u32(w, "qwen2.embedding_length", shape->hidden);
	mp_gguf_put_u64(w, "qwen2.feed_forward_length", shape->ff);
	mp_gguf_put_u32(w, "qwen2.attention.head_count", shape->heads);
	mp_gguf_put_u32(w, "qwen2.attention.head_count_kv", shape->kv_heads);
	mp_gguf_put_u32(w, "qwen2.context_length", 32768);
	mp_gguf_put_f32(w, "qwen2.rope.freq_base", 1e6F);
}

static void put_tensors(struct mp_gguf_writer *w, const struct mp_model_shape *shape,
			const char *level)
{
	assert_int_equal(mp_model_each_tensor(shape, mp_quant_find(level, NULL), put_tensor, w), 0);
}

static void finish_fake(struct fake *fake)
{
	struct mp_error err = {0};

	assert_int_equal(mp_gguf_header(&fake->writer, &fake->header), 0);
	fake->part.path = (char *)"m.gguf";
	fake->file = (struct mp_gguf_file){.parts = &fake->part, .n_parts = 1};
	if (mp_gguf_parse(fake->header.data, fake->header.len,
			  fake->header.len + fake->writer.data_bytes, "m.gguf", &fake->part.gguf,
			  &err))
		fail_msg("%s", err.text);
}

static void make_fake(struct fake *fake, const struct mp_model_shape *shape, const char *level)
{
	put_keys(&fake->writer, shape);
	put_tensors(&fake->writer, shape, level);
	finish_fake(fake);
}

static void fake_free(struct fake *fake)
{
	mp_gguf_free(&fake->part.gguf);
	mp_gguf_writer_free(&fake->writer);
	mp_text_free(&fake->header);
}
#define FAKE MP_CLEANUP(fake_free)

static void test_shape_of_a_file(void **state)
{
	struct mp_model_shape shape = {.layers = 0};
	struct fake FAKE fake = {.file = {.n_parts = 0}};
	struct mp_error err = {0};

	(void)state;
	make_fake(&fake, &qwen_05b, "Q4_K_M");
	if (mp_gguf_shape(&fake.file, &shape, &err))
		fail_msg("%s", err.text);
	assert_string_equal(shape.architecture, "qwen2");
	assert_int_equal(shape.layers, 24);
	assert_int_equal(shape.hidden, 896);
	assert_int_equal(shape.ff, 4864);
	assert_int_equal(shape.heads, 14);
	assert_int_equal(shape.kv_heads, 2);
	assert_int_equal(shape.head_dim, 64);
	assert_int_equal(shape.vocab, 151936);
	assert_int_equal(shape.context_length, 32768);
	assert_true(shape.tied && shape.qkv_bias && !shape.qk_norm && !shape.rope_factors);
	assert_true(shape.rope_base == 1e6 && shape.rms_eps == 1e-5);
}

static void test_sizes_and_level_of_a_file(void **state)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);
	const struct mp_model_shape *shapes[] = {&qwen_7b, &qwen_05b};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(shapes) * n; i++) {
		const struct mp_model_shape *shape = shapes[i / n];
		const struct mp_quant_level *other = &levels[(i + 7) % n];
		struct fake FAKE fake = {.file = {.n_parts = 0}};
		struct mp_model_size expected = size_of(shape, levels[i % n].name);
		struct mp_model_size size;

		mp_gguf_put_u32(&fake.writer, "general.file_type", levels[i % n].file_type);
		make_fake(&fake, shape, levels[i % n].name);
		assert_int_equal(mp_gguf_size(&fake.file, NULL, &size, NULL), 0);
		assert_memory_equal(&size, &expected, sizeof(size));
		expected = size_of(shape, other->name);
		assert_int_equal(mp_gguf_size(&fake.file, other, &size, NULL), 0);
		assert_memory_equal(&size, &expected, sizeof(size));
		assert_ptr_equal(mp_gguf_level(&fake.file), &levels[i % n]);
	}
}

static void test_level_whatever_the_file_says(void **state)
{
	struct fake FAKE fake = {.file = {.n_parts = 0}};
	struct fake FAKE mixed = {.file = {.n_parts = 0}};
	const uint64_t ne[] = {896, 32};

	(void)state;
	mp_gguf_put_u32(&fake.writer, "general.file_type", 10);
	make_fake(&fake, &qwen_05b, "Q8_0");
	assert_string_equal(mp_gguf_level(&fake.file)->name, "Q8_0");
	put_keys(&mixed.writer, &qwen_05b);
	put_tensors(&mixed.writer, &qwen_05b, "Q8_0");
	assert_int_equal(mp_gguf_put_tensor(&mixed.writer, "other.weight", 2, ne,
					    mp_ggml_type_of(MP_GGML_Q4_1)),
			 0);
	finish_fake(&mixed);
	assert_null(mp_gguf_level(&mixed.file));
}

/* A file with one key replaced, or left out where there is none. */
static void assert_shape_fails(const char *key, uint64_t value, const char *message)
{
	struct fake FAKE full = {.file = {.n_parts = 0}};
	struct fake FAKE fake = {.file = {.n_parts = 0}};
	struct mp_model_shape shape = {.layers = 77};
	struct mp_error err = {0};

	make_fake(&full, &qwen_05b, "F16");
	for (size_t i = 0; i < full.part.gguf.n_kv; i++) {
		const struct mp_gguf_kv *kv = &full.part.gguf.kv[i];

		if (kv->key.len != strlen(key) || memcmp(kv->key.data, key, kv->key.len) != 0)
			mp_gguf_put_kv(&fake.writer, kv);
	}
	if (value != UINT64_MAX)
		mp_gguf_put_u64(&fake.writer, key, value);
	put_tensors(&fake.writer, &qwen_05b, "F16");
	finish_fake(&fake);
	assert_int_equal(mp_gguf_shape(&fake.file, &shape, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(shape.layers, 77);
	assert_null(mp_gguf_level(&fake.file));
}

static void test_keys_that_are_missing_or_wrong(void **state)
{
	(void)state;
	assert_shape_fails("general.architecture", UINT64_MAX,
			   "m.gguf: key general.architecture: missing");
	assert_shape_fails("general.architecture", 1,
			   "m.gguf: key general.architecture: not a name such as llama");
	assert_shape_fails("qwen2.block_count", UINT64_MAX,
			   "m.gguf: key qwen2.block_count: missing");
	assert_shape_fails("qwen2.embedding_length", UINT64_MAX,
			   "m.gguf: key qwen2.embedding_length: missing");
	assert_shape_fails("qwen2.feed_forward_length", UINT64_MAX,
			   "m.gguf: key qwen2.feed_forward_length: missing");
	assert_shape_fails("qwen2.attention.head_count", UINT64_MAX,
			   "m.gguf: key qwen2.attention.head_count: missing");
	assert_shape_fails("qwen2.context_length", UINT64_MAX,
			   "m.gguf: key qwen2.context_length: missing");
	assert_shape_fails("qwen2.block_count", 0, "m.gguf: key qwen2.block_count: out of range");
	assert_shape_fails("qwen2.block_count", 1ULL << 32,
			   "m.gguf: key qwen2.block_count: out of range");
	assert_shape_fails("qwen2.rope.freq_base", 10,
			   "m.gguf: key qwen2.rope.freq_base: a number above 0 is needed");
}

static void test_metadata_of_no_model(void **state)
{
	(void)state;
	assert_shape_fails("qwen2.block_count", UINT32_MAX,
			   "m.gguf: keys of qwen2: no such model can be: layers are from 1 to "
			   "4096");
	assert_shape_fails("qwen2.attention.head_count_kv", 28,
			   "m.gguf: keys of qwen2: no such model can be: kv_heads are from 1 to "
			   "heads");
	assert_shape_fails("qwen2.attention.head_count_kv", 3,
			   "m.gguf: keys of qwen2: no such model can be: heads are no multiple of "
			   "kv_heads");
	assert_shape_fails("qwen2.attention.head_count", 897,
			   "m.gguf: keys of qwen2: no such model can be: heads x head_dim is from "
			   "1 to 16777216");
	assert_shape_fails("qwen2.embedding_length", 1024,
			   "m.gguf: tensor token_embd.weight: its rows are not of "
			   "embedding_length, or too many");
}

static void test_files_whose_sizes_are_not_known(void **state)
{
	struct fake FAKE experts = {.file = {.n_parts = 0}};
	struct fake FAKE bare = {.file = {.n_parts = 0}};
	const uint64_t ne[] = {32, 45};
	struct mp_model_size size = {.n_tensors = 77};
	struct mp_error err = {0};

	(void)state;
	mp_gguf_put_u32(&experts.writer, "qwen2.expert_count", 8);
	make_fake(&experts, &qwen_05b, "F16");
	assert_int_equal(mp_gguf_size(&experts.file, mp_quant_find("Q4_0", NULL), &size, &err),
			 -ENOTSUP);
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_int_equal(mp_gguf_size(&experts.file, NULL, &size, &err), 0);
	assert_int_equal(size.n_tensors, 290);
	mp_gguf_put_text(&bare.writer, "general.name", "bare");
	assert_int_equal(
		mp_gguf_put_tensor(&bare.writer, "x.weight", 2, ne, mp_ggml_type_of(MP_GGML_Q4_1)),
		0);
	finish_fake(&bare);
	assert_int_equal(mp_gguf_size(&bare.file, NULL, &size, &err), 0);
	assert_int_equal(size.tensor_bytes, 900);
	assert_int_equal(mp_gguf_size(&bare.file, mp_quant_find("Q4_0", NULL), &size, &err),
			 -EINVAL);
	assert_string_equal(err.text, "m.gguf: key general.architecture: missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape_of_a_file),
		cmocka_unit_test(test_sizes_and_level_of_a_file),
		cmocka_unit_test(test_level_whatever_the_file_says),
		cmocka_unit_test(test_keys_that_are_missing_or_wrong),
		cmocka_unit_test(test_metadata_of_no_model),
		cmocka_unit_test(test_files_whose_sizes_are_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
