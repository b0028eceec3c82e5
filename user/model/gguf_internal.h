/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the reader share. */
#ifndef MP_MODEL_GGUF_INTERNAL_H
#define MP_MODEL_GGUF_INTERNAL_H

#include <endian.h>
#include <string.h>

#include "model/gguf.h"

/* A header on its way through the reader, and where it is, for the sentence that refuses it. */
struct mp_gguf_reader {
	const uint8_t *begin;
	const uint8_t *at;
	const uint8_t *end;
	uint64_t file_bytes;
	const char *file;
	const char *what;	  /* "key", "tensor"; NULL: the header's beginning */
	size_t index;		  /* of it, from 1 */
	struct mp_gguf_string id; /* its name; no data: not yet known */
	struct mp_error *err;
};

/* -EBADMSG, with a sentence that says where. */
int mp_gguf_refuse(const struct mp_gguf_reader *r, const char *fmt, ...) MP_PRINTF(2, 3);
int mp_gguf_no_memory(const struct mp_gguf_reader *r);

/* `field` is what the bytes are: "type", "number of dimensions". */
int mp_gguf_take_u32(struct mp_gguf_reader *r, const char *field, uint32_t *ret);
int mp_gguf_take_u64(struct mp_gguf_reader *r, const char *field, uint64_t *ret);
int mp_gguf_take_string(struct mp_gguf_reader *r, const char *field, struct mp_gguf_string *ret);

int mp_gguf_read_kv(struct mp_gguf_reader *r, uint64_t n, struct mp_gguf *gguf);
int mp_gguf_read_tensors(struct mp_gguf_reader *r, uint64_t n, struct mp_gguf *gguf);

/* Bytes of an element; of a string, of its length alone. */
uint8_t mp_gguf_least_bytes(enum mp_gguf_type type);

/*
 * Whether two of `n` names are the same, each of which is `stride` bytes behind the one before.
 * 1: yes, and which; -ENOMEM.
 */
int mp_gguf_find_twins(const struct mp_gguf_string *names, size_t stride, size_t n,
		       size_t *ret_first, size_t *ret_second);
int mp_gguf_check_twins(struct mp_gguf_reader *r, const struct mp_gguf_string *names, size_t stride,
			size_t n);

/*
 * Has a header point into memory of its own instead of where it was read: free(). Of long values
 * just the beginning. -ENOMEM.
 */
int mp_gguf_detach(struct mp_gguf *gguf, char **ret);

static inline uint64_t mp_gguf_left(const struct mp_gguf_reader *r)
{
	return (uint64_t)(r->end - r->at);
}

static inline uint32_t mp_gguf_load_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint64_t mp_gguf_load_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static inline bool mp_gguf_same(const struct mp_gguf_string *s, const char *data, uint64_t len)
{
	return s->len == len && memcmp(s->data, data, len) == 0;
}

#endif
