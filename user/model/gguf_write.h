/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the header of a GGUF file (version 3); the tensors' data follows it in their order. */
#ifndef MP_MODEL_GGUF_WRITE_H
#define MP_MODEL_GGUF_WRITE_H

#include "base/text.h"
#include "model/gguf.h"

/* Zero-initialized is empty, with the default alignment. Memory that ran out is told at the end. */
struct mp_gguf_writer {
	struct mp_text kv, tensors;
	uint64_t n_kv, n_tensors;
	uint64_t data_bytes; /* of the tensors so far, each padded */
	uint64_t alignment;  /* 0: the default; set by mp_gguf_put_kv() before any tensor */
};

void mp_gguf_put_u32(struct mp_gguf_writer *w, const char *key, uint32_t value);
void mp_gguf_put_u64(struct mp_gguf_writer *w, const char *key, uint64_t value);
void mp_gguf_put_f32(struct mp_gguf_writer *w, const char *key, float value);
void mp_gguf_put_bool(struct mp_gguf_writer *w, const char *key, bool value);
void mp_gguf_put_text(struct mp_gguf_writer *w, const char *key, const char *value);
/* An array whose elements follow, each by the function of its type, exactly `n` of them. */
void mp_gguf_begin_array(struct mp_gguf_writer *w, const char *key, enum mp_gguf_type element,
			 uint64_t n);
void mp_gguf_add_u32(struct mp_gguf_writer *w, uint32_t value);
void mp_gguf_add_f32(struct mp_gguf_writer *w, float value);
void mp_gguf_add_text(struct mp_gguf_writer *w, const char *value, size_t len);

/* As it is in another header that was parsed, whose values are all there. */
void mp_gguf_put_kv(struct mp_gguf_writer *w, const struct mp_gguf_kv *kv);

/* -EINVAL: no such tensor can be (name, dimensions). */
int mp_gguf_put_tensor(struct mp_gguf_writer *w, const char *name, uint32_t n_dims,
		       const uint64_t *ne, const struct mp_ggml_type *type);

/* The whole header with its padding; what follows it is w->data_bytes. -ENOMEM. */
int mp_gguf_header(const struct mp_gguf_writer *w, struct mp_text *ret);
void mp_gguf_writer_free(struct mp_gguf_writer *w);

/* Where a tensor's data ends and the next one's begins. */
static inline uint64_t mp_gguf_padded(uint64_t bytes, uint64_t alignment)
{
	return (bytes + alignment - 1) / alignment * alignment;
}

#endif
