// SPDX-License-Identifier: GPL-2.0-only
#include "model/gguf_write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A header with its data of zeros, at its exact length on the heap. */
static uint8_t *make_file(const struct mp_gguf_writer *w, size_t *ret_len)
{
	struct mp_text header = {.data = NULL};
	uint8_t *file;

	assert_int_equal(mp_gguf_header(w, &header), 0);
	*ret_len = header.len + w->data_bytes;
	file = calloc(1, *ret_len);
	memcpy(file, header.data, header.len);
	mp_text_free(&header);
	return file;
}

static void put_model(struct mp_gguf_writer *w)
{
	mp_gguf_put_text(w, "general.architecture", "qwen2");
	mp_gguf_put_u32(w, "qwen2.block_count", 28);
	mp_gguf_put_u64(w, "qwen2.context_length", 1ULL << 40);
	mp_gguf_put_f32(w, "qwen2.rope.freq_base", 1e6F);
	mp_gguf_put_bool(w, "general.flag", true);
	mp_gguf_begin_array(w, "tokenizer.ggml.tokens", MP_GGUF_STRING, 3);
	mp_gguf_add_text(w, "<0x00>", 6);
	mp_gguf_add_text(w, "", 0);
	mp_gguf_add_text(w, "a\0b", 3);
	mp_gguf_begin_array(w, "tokenizer.ggml.scores", MP_GGUF_F32, 2);
	mp_gguf_add_f32(w, 1.5F);
	mp_gguf_add_f32(w, -2);
	mp_gguf_begin_array(w, "tokenizer.ggml.token_type", MP_GGUF_U32, 0);
	assert_int_equal(mp_gguf_put_tensor(w, "token_embd.weight", 2, (uint64_t[]){256, 3},
					    mp_ggml_type_of(MP_GGML_Q4_K)),
			 0);
	assert_int_equal(mp_gguf_put_tensor(w, "output_norm.weight", 1, (uint64_t[]){5},
					    mp_ggml_type_of(MP_GGML_F32)),
			 0);
}

static void check_metadata(const struct mp_gguf *gguf)
{
	struct mp_gguf_string text;
	uint64_t value;
	double real;

	assert_int_equal(mp_gguf_text(gguf, "general.architecture", &text), 0);
	assert_int_equal(text.len, 5);
	assert_memory_equal(text.data, "qwen2", 5);
	assert_int_equal(mp_gguf_u64(gguf, "%s.block_count", &value), 0);
	assert_int_equal(value, 28);
	assert_int_equal(mp_gguf_u64(gguf, "%s.context_length", &value), 0);
	assert_int_equal(value, 1ULL << 40);
	assert_int_equal(mp_gguf_f64(gguf, "%s.rope.freq_base", &real), 0);
	assert_true(real == 1e6);
	assert_int_equal(mp_gguf_u64(gguf, "%s.rope.freq_base", &value), -EINVAL);
	assert_int_equal(mp_gguf_f64(gguf, "%s.block_count", &real), -EINVAL);
	assert_int_equal(mp_gguf_u64(gguf, "%s.block", &value), -ENOENT);
}

static void check_arrays(const struct mp_gguf *gguf)
{
	const struct mp_gguf_kv *kv = mp_gguf_find(gguf, "tokenizer.ggml.tokens");

	assert_int_equal(kv->type, MP_GGUF_ARRAY);
	assert_int_equal(kv->element, MP_GGUF_STRING);
	assert_int_equal(kv->n, 3);
	assert_int_equal(kv->value_bytes, 3 * 8 + 6 + 0 + 3);
	assert_memory_equal(kv->value + 8, "<0x00>", 6);
	kv = mp_gguf_find(gguf, "tokenizer.ggml.scores");
	assert_int_equal(kv->element, MP_GGUF_F32);
	assert_int_equal(kv->value_bytes, 8);
	kv = mp_gguf_find(gguf, "tokenizer.ggml.token_type");
	assert_int_equal(kv->n, 0);
	assert_int_equal(kv->value_bytes, 0);
}

static void check_tensors(const struct mp_gguf *gguf)
{
	const struct mp_gguf_tensor *t = mp_gguf_tensor(gguf, "token_embd.weight");

	assert_ptr_equal(t, &gguf->tensors[0]);
	assert_int_equal(t->n_dims, 2);
	assert_int_equal(t->ne[0], 256);
	assert_int_equal(t->ne[1], 3);
	assert_int_equal(t->ne[2], 1);
	assert_string_equal(t->type->name, "Q4_K");
	assert_int_equal(t->offset, 0);
	assert_int_equal(t->bytes, 432);
	t = mp_gguf_tensor(gguf, "output_norm.weight");
	assert_int_equal(t->offset, 448);
	assert_int_equal(t->bytes, 20);
	assert_null(mp_gguf_tensor(gguf, "output_norm"));
	assert_int_equal(gguf->tensor_bytes, 452);
}

static void reads_what_was_written(void **state)
{
	struct mp_gguf_writer w = {.n_kv = 0};
	MP_FREE uint8_t *file = NULL;
	struct mp_gguf gguf;
	struct mp_error err;
	size_t len;

	(void)state;
	put_model(&w);
	file = make_file(&w, &len);
	if (mp_gguf_parse(file, len, len, "F", &gguf, &err))
		fail_msg("%s", err.text);
	assert_int_equal(gguf.version, 3);
	assert_int_equal(gguf.alignment, 32);
	assert_int_equal(gguf.n_kv, 8);
	assert_int_equal(gguf.n_tensors, 2);
	assert_int_equal(w.data_bytes, 480);
	assert_int_equal(gguf.data_offset, len - 480);
	check_metadata(&gguf);
	check_arrays(&gguf);
	check_tensors(&gguf);
	mp_gguf_free(&gguf);
	mp_gguf_writer_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
	};

	return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
