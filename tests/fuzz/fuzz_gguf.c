// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a GGUF file. What is taken must hold: keys and tensors lie in the file, and what the
 * writer makes of it is read as the same.
 */
#include "model/gguf_write.h"

#include <string.h>

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_inside(const struct mp_gguf *gguf, const uint8_t *data, size_t size)
{
	uint64_t next = 0;

	for (size_t i = 0; i < gguf->n_kv; i++) {
		const struct mp_gguf_kv *kv = &gguf->kv[i];

		must(kv->value >= data && kv->value <= data + size);
		must(kv->value_bytes <= (size_t)(data + size - kv->value));
	}
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		const struct mp_gguf_tensor *t = &gguf->tensors[i];

		must(t->offset == next && t->bytes > 0 && t->name.len < MP_GGUF_MAX_NAME);
		must(gguf->data_offset + t->offset + t->bytes <= size);
		next += mp_gguf_padded(t->bytes, gguf->alignment);
	}
}

/* All elements of a value, of which `kept` bytes are there. */
static void walk(const struct mp_gguf_kv *from, uint64_t kept)
{
	struct mp_gguf_kv kv = *from;
	struct mp_gguf_walk walk = {.kv = &kv};
	struct mp_gguf_element e;

	kv.kept_bytes = kept;
	while (mp_gguf_next(&walk, &e)) {
		must(walk.at <= kept && walk.i <= kv.n);
		if (e.type == MP_GGUF_STRING)
			must((const uint8_t *)e.text.data + e.text.len == kv.value + walk.at);
	}
	must(kept < kv.value_bytes || (walk.i == kv.n && walk.at == kept));
}

/* Every way to ask, whatever is there. */
static void look_up(const struct mp_gguf *gguf, size_t size)
{
	struct mp_gguf_string text;
	uint64_t number;
	double real;

	mp_gguf_u64(gguf, "%s.block_count", &number);
	mp_gguf_f64(gguf, "%s.rope.freq_base", &real);
	if (mp_gguf_text(gguf, "general.name", &text) == 0)
		must(text.len <= size);
	mp_gguf_tensor(gguf, "output.weight");
	for (size_t i = 0; i < gguf->n_kv; i++) {
		const struct mp_gguf_kv *kv = &gguf->kv[i];

		walk(kv, kv->value_bytes);
		if (kv->value_bytes)
			walk(kv, kv->value_bytes - 1);
	}
}

static bool is_same_kv(const struct mp_gguf_kv *a, const struct mp_gguf_kv *b)
{
	return a->type == b->type && a->element == b->element && a->n == b->n &&
	       a->key.len == b->key.len && memcmp(a->key.data, b->key.data, a->key.len) == 0 &&
	       a->value_bytes == b->value_bytes && memcmp(a->value, b->value, a->value_bytes) == 0;
}

static bool is_same_tensor(const struct mp_gguf_tensor *a, const struct mp_gguf_tensor *b)
{
	return a->type == b->type && a->n_dims == b->n_dims && a->offset == b->offset &&
	       a->bytes == b->bytes && memcmp(a->ne, b->ne, sizeof(a->ne)) == 0 &&
	       a->name.len == b->name.len && memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

static void check_same(const struct mp_gguf *a, const struct mp_gguf *b)
{
	must(a->n_kv == b->n_kv && a->n_tensors == b->n_tensors && a->alignment == b->alignment &&
	     a->data_offset == b->data_offset && a->tensor_bytes == b->tensor_bytes);
	for (size_t i = 0; i < a->n_kv; i++)
		must(is_same_kv(&a->kv[i], &b->kv[i]));
	for (size_t i = 0; i < a->n_tensors; i++)
		must(is_same_tensor(&a->tensors[i], &b->tensors[i]));
}

static void check_written(const struct mp_gguf *gguf)
{
	struct mp_gguf_writer w = {.n_kv = 0};
	struct mp_text header = {.data = NULL};
	struct mp_gguf again;

	for (size_t i = 0; i < gguf->n_kv; i++)
		mp_gguf_put_kv(&w, &gguf->kv[i]);
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		const struct mp_gguf_tensor *t = &gguf->tensors[i];
		char name[MP_GGUF_MAX_NAME] = "";

		memcpy(name, t->name.data, t->name.len);
		must(mp_gguf_put_tensor(&w, name, t->n_dims, t->ne, t->type) == 0);
	}
	must(mp_gguf_header(&w, &header) == 0);
	must(mp_gguf_parse(header.data, header.len, header.len + w.data_bytes, "F", &again, NULL) ==
	     0);
	check_same(gguf, &again);
	mp_gguf_free(&again);
	mp_text_free(&header);
	mp_gguf_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mp_error err = {.text = ""};
	struct mp_gguf gguf;

	if (mp_gguf_parse(data, size, size, "F", &gguf, &err)) {
		must(err.exit_code == MP_EXIT_CONFIG && strncmp(err.text, "F: ", 3) == 0);
		return 0;
	}
	check_inside(&gguf, data, size);
	look_up(&gguf, size);
	check_written(&gguf);
	mp_gguf_free(&gguf);
	return 0;
}
