// SPDX-License-Identifier: GPL-2.0-only
#include "model/gguf_write.h"

#include <errno.h>
#include <string.h>

#include "model/gguf_internal.h"

#define VERSION 3

static void add_u32(struct mp_text *out, uint32_t value)
{
	uint32_t bytes = htole32(value);

	mp_text_add(out, (const char *)&bytes, sizeof(bytes));
}

static void add_u64(struct mp_text *out, uint64_t value)
{
	uint64_t bytes = htole64(value);

	mp_text_add(out, (const char *)&bytes, sizeof(bytes));
}

static void add_string(struct mp_text *out, const char *data, size_t len)
{
	add_u64(out, len);
	mp_text_add(out, data, len);
}

static void add_text(struct mp_text *out, const struct mp_text *more)
{
	if (more->len)
		mp_text_add(out, more->data, more->len);
	out->failed |= more->failed;
}

static void begin_kv(struct mp_gguf_writer *w, const char *key, enum mp_gguf_type type)
{
	add_string(&w->kv, key, strlen(key));
	add_u32(&w->kv, type);
	w->n_kv++;
}

void mp_gguf_put_u32(struct mp_gguf_writer *w, const char *key, uint32_t value)
{
	begin_kv(w, key, MP_GGUF_U32);
	add_u32(&w->kv, value);
}

void mp_gguf_put_u64(struct mp_gguf_writer *w, const char *key, uint64_t value)
{
	begin_kv(w, key, MP_GGUF_U64);
	add_u64(&w->kv, value);
}

void mp_gguf_put_f32(struct mp_gguf_writer *w, const char *key, float value)
{
	begin_kv(w, key, MP_GGUF_F32);
	mp_gguf_add_f32(w, value);
}

void mp_gguf_put_bool(struct mp_gguf_writer *w, const char *key, bool value)
{
	begin_kv(w, key, MP_GGUF_BOOL);
	mp_text_putc(&w->kv, value ? 1 : 0);
}

void mp_gguf_put_text(struct mp_gguf_writer *w, const char *key, const char *value)
{
	begin_kv(w, key, MP_GGUF_STRING);
	add_string(&w->kv, value, strlen(value));
}

void mp_gguf_begin_array(struct mp_gguf_writer *w, const char *key, enum mp_gguf_type element,
			 uint64_t n)
{
	begin_kv(w, key, MP_GGUF_ARRAY);
	add_u32(&w->kv, element);
	add_u64(&w->kv, n);
}

void mp_gguf_add_u32(struct mp_gguf_writer *w, uint32_t value)
{
	add_u32(&w->kv, value);
}

void mp_gguf_add_f32(struct mp_gguf_writer *w, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	add_u32(&w->kv, bits);
}

void mp_gguf_add_text(struct mp_gguf_writer *w, const char *value, size_t len)
{
	add_string(&w->kv, value, len);
}

void mp_gguf_put_kv(struct mp_gguf_writer *w, const struct mp_gguf_kv *kv)
{
	add_string(&w->kv, kv->key.data, kv->key.len);
	add_u32(&w->kv, kv->type);
	if (kv->type == MP_GGUF_ARRAY) {
		add_u32(&w->kv, kv->element);
		add_u64(&w->kv, kv->n);
	}
	mp_text_add(&w->kv, (const char *)kv->value, kv->value_bytes);
	w->n_kv++;
	if (mp_gguf_same(&kv->key, MP_GGUF_KEY_ALIGNMENT, strlen(MP_GGUF_KEY_ALIGNMENT)))
		w->alignment = mp_gguf_load_u32(kv->value);
}

static uint64_t alignment_of(const struct mp_gguf_writer *w)
{
	return w->alignment ?: MP_GGUF_ALIGNMENT;
}

int mp_gguf_put_tensor(struct mp_gguf_writer *w, const char *name, uint32_t n_dims,
		       const uint64_t *ne, const struct mp_ggml_type *type)
{
	size_t len = strlen(name);
	uint64_t bytes;

	if (len == 0 || len >= MP_GGUF_MAX_NAME || n_dims == 0 || n_dims > MP_GGML_MAX_DIMS ||
	    mp_ggml_bytes(type, n_dims, ne, &bytes) ||
	    bytes > INT64_MAX - alignment_of(w) - w->data_bytes)
		return -EINVAL;
	add_string(&w->tensors, name, len);
	add_u32(&w->tensors, n_dims);
	for (uint32_t i = 0; i < n_dims; i++)
		add_u64(&w->tensors, ne[i]);
	add_u32(&w->tensors, type->id);
	add_u64(&w->tensors, w->data_bytes);
	w->n_tensors++;
	w->data_bytes += mp_gguf_padded(bytes, alignment_of(w));
	return 0;
}

int mp_gguf_header(const struct mp_gguf_writer *w, struct mp_text *ret)
{
	struct mp_text out = {.data = NULL};
	uint64_t padded;

	mp_text_puts(&out, MP_GGUF_MAGIC);
	add_u32(&out, VERSION);
	add_u64(&out, w->n_tensors);
	add_u64(&out, w->n_kv);
	add_text(&out, &w->kv);
	add_text(&out, &w->tensors);
	padded = mp_gguf_padded(out.len, alignment_of(w));
	while (out.len < padded && !out.failed)
		mp_text_putc(&out, '\0');
	if (out.failed) {
		mp_text_free(&out);
		return -ENOMEM;
	}
	*ret = out;
	return 0;
}

void mp_gguf_writer_free(struct mp_gguf_writer *w)
{
	mp_text_free(&w->kv);
	mp_text_free(&w->tensors);
	*w = (struct mp_gguf_writer){.n_kv = 0};
}
