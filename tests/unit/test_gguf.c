// SPDX-License-Identifier: GPL-2.0-only
#include "gguf_bytes.h"

#include <errno.h>

#include "model/gguf_write.h"

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

static void parsed(const char *name, const void *file, size_t len, struct mp_gguf *ret)
{
	struct mp_error err;

	keep_in_corpus(name, file, len);
	if (mp_gguf_parse(file, len, len, "F", ret, &err))
		fail_msg("%s", err.text);
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

static void check_walks(const struct mp_gguf *gguf)
{
	struct mp_gguf_walk walk = {.kv = mp_gguf_find(gguf, "tokenizer.ggml.tokens")};
	struct mp_gguf_kv cut = *walk.kv;
	struct mp_gguf_element e;

	assert_true(mp_gguf_next(&walk, &e));
	assert_int_equal(e.type, MP_GGUF_STRING);
	assert_int_equal(e.text.len, 6);
	assert_true(mp_gguf_next(&walk, &e));
	assert_int_equal(e.text.len, 0);
	assert_true(mp_gguf_next(&walk, &e));
	assert_memory_equal(e.text.data, "a\0b", 3);
	assert_false(mp_gguf_next(&walk, &e));
	/* Of an array that is cut only whole elements, of a text what there is. */
	cut.kept_bytes = cut.value_bytes - 1;
	walk = (struct mp_gguf_walk){.kv = &cut, .i = 2, .at = 22};
	assert_false(mp_gguf_next(&walk, &e));
	cut = *mp_gguf_find(gguf, "general.architecture");
	cut.kept_bytes -= 2;
	walk = (struct mp_gguf_walk){.kv = &cut};
	assert_true(mp_gguf_next(&walk, &e));
	assert_int_equal(e.text.len, 3);
	walk = (struct mp_gguf_walk){.kv = mp_gguf_find(gguf, "tokenizer.ggml.scores")};
	assert_true(mp_gguf_next(&walk, &e));
	assert_true(e.type == MP_GGUF_F64 && e.f64 == 1.5);
	assert_true(mp_gguf_next(&walk, &e));
	assert_true(e.f64 == -2);
	assert_false(mp_gguf_next(&walk, &e));
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
	size_t len;

	(void)state;
	put_model(&w);
	file = make_file(&w, &len);
	parsed("good_model", file, len, &gguf);
	assert_int_equal(gguf.version, 3);
	assert_int_equal(gguf.alignment, 32);
	assert_int_equal(gguf.n_kv, 8);
	assert_int_equal(gguf.n_tensors, 2);
	assert_int_equal(w.data_bytes, 480);
	assert_int_equal(gguf.data_offset, len - 480);
	check_metadata(&gguf);
	check_arrays(&gguf);
	check_walks(&gguf);
	check_tensors(&gguf);
	mp_gguf_free(&gguf);
	mp_gguf_writer_free(&w);
}

/* Wherever a file ends too early, it is refused, and nothing behind its end is read. */
static void refuses_every_cut(void **state)
{
	struct mp_gguf_writer w = {.n_kv = 0};
	MP_FREE uint8_t *file = NULL;
	struct mp_gguf gguf;
	struct mp_error err;
	size_t len;

	(void)state;
	put_model(&w);
	file = make_file(&w, &len);
	/* The last tensor's padding may be missing: 20 bytes of its 32 are data. */
	for (size_t cut = 0; cut < len - 12; cut++) {
		MP_FREE uint8_t *copy = malloc(cut ?: 1);

		memcpy(copy, file, cut);
		if (mp_gguf_parse(copy, cut, cut, "F", &gguf, &err) != -EBADMSG)
			fail_msg("taken with %zu of %zu bytes", cut, len);
		assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	}
	parsed("good_no_padding", file, len - 12, &gguf);
	mp_gguf_free(&gguf);
	mp_gguf_writer_free(&w);
}

/* With no error to fill in, too. */
static void refuses_without_words(void **state)
{
	struct mp_gguf gguf;

	(void)state;
	assert_int_equal(mp_gguf_parse("GGUX", 4, 4, "F", &gguf, NULL), -EBADMSG);
}

static void reads_version_2(void **state)
{
	struct gguf_bytes f;
	struct mp_gguf gguf;

	(void)state;
	put_header(&f, 2, 1, 1);
	put_kv_text(&f, "general.name", "old");
	put_tensor(&f, "t", 4, (uint64_t[]){32, 2, 3, 4}, MP_GGML_Q8_0, 0);
	put_data(&f, 34 * 24);
	parsed("good_version_2", f.data, f.len, &gguf);
	assert_int_equal(gguf.version, 2);
	assert_int_equal(gguf.tensors[0].bytes, 816);
	assert_int_equal(gguf.tensors[0].ne[3], 4);
	assert_int_equal(gguf.data_offset, 128);
	mp_gguf_free(&gguf);
}

static void reads_nothing_at_all(void **state)
{
	struct gguf_bytes f;
	struct mp_gguf gguf;

	(void)state;
	put_header(&f, 3, 0, 0);
	parsed("good_empty", f.data, f.len, &gguf);
	assert_int_equal(gguf.n_kv, 0);
	assert_int_equal(gguf.n_tensors, 0);
	assert_int_equal(gguf.tensor_bytes, 0);
	assert_int_equal(gguf.data_offset, 32);
	assert_null(mp_gguf_find(&gguf, "general.name"));
	assert_null(mp_gguf_find(&gguf, "%s.block_count"));
	assert_null(mp_gguf_tensor(&gguf, "t"));
	mp_gguf_free(&gguf);
}

static void aligns_as_told(void **state)
{
	struct gguf_bytes f;
	struct mp_gguf gguf;

	(void)state;
	put_header(&f, 3, 2, 1);
	put_kv_u32(&f, "general.alignment", 4);
	put_tensor(&f, "a", 1, (uint64_t[]){5}, MP_GGML_I8, 0);
	put_tensor(&f, "b", 1, (uint64_t[]){1}, MP_GGML_I64, 8);
	put_data(&f, 16);
	parsed("good_alignment_4", f.data, f.len, &gguf);
	assert_int_equal(gguf.alignment, 4);
	/* 24 of the header, 33 of the key and of each tensor: 123. */
	assert_int_equal(gguf.data_offset, 124);
	assert_int_equal(gguf.tensors[1].offset, 8);
	mp_gguf_free(&gguf);
}

/* One key of each type with the largest value of it, or the most negative one. */
static void reads_every_type(void **state)
{
	static const struct {
		enum mp_gguf_type type;
		size_t bytes;
		uint64_t bits;
		int error;
		uint64_t value;
	} rows[] = {
		{MP_GGUF_U8, 1, UINT64_MAX, 0, UINT8_MAX},
		{MP_GGUF_I8, 1, INT8_MAX, 0, INT8_MAX},
		{MP_GGUF_I8, 1, 0x80, -EINVAL, 0},
		{MP_GGUF_U16, 2, UINT64_MAX, 0, UINT16_MAX},
		{MP_GGUF_I16, 2, INT16_MAX, 0, INT16_MAX},
		{MP_GGUF_I16, 2, UINT64_MAX, -EINVAL, 0},
		{MP_GGUF_U32, 4, UINT64_MAX, 0, UINT32_MAX},
		{MP_GGUF_I32, 4, INT32_MAX, 0, INT32_MAX},
		{MP_GGUF_I32, 4, 1ULL << 31, -EINVAL, 0},
		{MP_GGUF_U64, 8, UINT64_MAX, 0, UINT64_MAX},
		{MP_GGUF_I64, 8, INT64_MAX, 0, INT64_MAX},
		{MP_GGUF_I64, 8, 1ULL << 63, -EINVAL, 0},
		{MP_GGUF_BOOL, 1, 1, -EINVAL, 0},
		{MP_GGUF_F32, 4, 0, -EINVAL, 0},
		{MP_GGUF_F64, 8, 0, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct gguf_bytes f;
		struct mp_gguf gguf;
		uint64_t value = 77;

		put_header(&f, 3, 0, 1);
		put_key(&f, "k", rows[i].type);
		put(&f, &rows[i].bits, rows[i].bytes);
		parsed("good_type", f.data, f.len, &gguf);
		assert_int_equal(gguf.kv[0].value_bytes, rows[i].bytes);
		assert_int_equal(gguf.kv[0].n, 1);
		assert_int_equal(mp_gguf_u64(&gguf, "k", &value), rows[i].error);
		assert_int_equal(value, rows[i].error ? 77 : rows[i].value);
		mp_gguf_free(&gguf);
	}
}

static void finds_by_the_whole_key(void **state)
{
	struct gguf_bytes f;
	struct mp_gguf gguf;
	double real;

	(void)state;
	put_header(&f, 3, 0, 4);
	put_kv_u32(&f, "general.architecture", 5);
	put_kv_u32(&f, "5.block_count", 1);
	put_kv_u32(&f, "%s.block_count", 2);
	put_key(&f, "pi", MP_GGUF_F64);
	put(&f, &(double){3.25}, 8);
	parsed("good_keys", f.data, f.len, &gguf);
	/* An architecture that is no text names nothing. */
	assert_null(mp_gguf_find(&gguf, "%s.block_count"));
	assert_null(mp_gguf_find(&gguf, "5.block_coun"));
	assert_null(mp_gguf_find(&gguf, "5.block_count2"));
	assert_ptr_equal(mp_gguf_find(&gguf, "5.block_count"), &gguf.kv[1]);
	assert_int_equal(mp_gguf_f64(&gguf, "pi", &real), 0);
	assert_true(real == 3.25);
	assert_int_equal(mp_gguf_f64(&gguf, "none", &real), -ENOENT);
	assert_string_equal(mp_gguf_type_name(gguf.kv[3].type), "f64");
	assert_string_equal(mp_gguf_type_name(MP_GGUF_TYPE_COUNT), "?");
	mp_gguf_free(&gguf);
}

static void writes_no_tensor_that_cannot_be(void **state)
{
	const struct mp_ggml_type *f32 = mp_ggml_type_of(MP_GGML_F32);
	struct mp_gguf_writer w = {.n_kv = 0};
	char name[65];

	(void)state;
	memset(name, 'n', 64);
	name[64] = '\0';
	assert_int_equal(mp_gguf_put_tensor(&w, "", 1, (uint64_t[]){1}, f32), -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, name, 1, (uint64_t[]){1}, f32), -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 0, (uint64_t[]){1}, f32), -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 5, (uint64_t[]){1, 1, 1, 1, 1}, f32), -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 2, (uint64_t[]){1, 0}, f32), -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 2, (uint64_t[]){1ULL << 40, 1ULL << 40}, f32),
			 -EINVAL);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 1, (uint64_t[]){1ULL << 61}, f32), -EINVAL);
	assert_int_equal(w.n_tensors, 0);
	assert_int_equal(mp_gguf_put_tensor(&w, name + 1, 1, (uint64_t[]){1ULL << 60}, f32), 0);
	assert_int_equal(mp_gguf_put_tensor(&w, "t", 1, (uint64_t[]){1ULL << 60}, f32), -EINVAL);
	assert_int_equal(w.data_bytes, 1ULL << 62);
	mp_gguf_writer_free(&w);
}

static void copies_keys_of_another(void **state)
{
	struct mp_gguf_writer w = {.n_kv = 0};
	struct mp_gguf_writer copy = {.n_kv = 0};
	struct mp_text made = {.data = NULL};
	struct mp_text again = {.data = NULL};
	struct mp_gguf gguf;

	(void)state;
	put_model(&w);
	w.n_tensors = 0;
	mp_text_reset(&w.tensors);
	assert_int_equal(mp_gguf_header(&w, &made), 0);
	parsed("good_header", made.data, made.len, &gguf);
	for (size_t i = 0; i < gguf.n_kv; i++)
		mp_gguf_put_kv(&copy, &gguf.kv[i]);
	assert_int_equal(mp_gguf_header(&copy, &again), 0);
	assert_int_equal(made.len, again.len);
	assert_memory_equal(made.data, again.data, made.len);
	mp_gguf_free(&gguf);
	mp_gguf_writer_free(&w);
	mp_gguf_writer_free(&copy);
	mp_text_free(&made);
	mp_text_free(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(refuses_every_cut),
		cmocka_unit_test(refuses_without_words),
		cmocka_unit_test(reads_version_2),
		cmocka_unit_test(reads_nothing_at_all),
		cmocka_unit_test(aligns_as_told),
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(finds_by_the_whole_key),
		cmocka_unit_test(writes_no_tensor_that_cannot_be),
		cmocka_unit_test(copies_keys_of_another),
	};

	return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
