/* SPDX-License-Identifier: GPL-2.0-only */
/* GGUF files byte by byte: those that the writer would never make. */
#ifndef MP_TEST_GGUF_BYTES_H
#define MP_TEST_GGUF_BYTES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/gguf.h"

struct gguf_bytes {
	uint8_t data[8192];
	size_t len;
};

static inline void put(struct gguf_bytes *f, const void *data, size_t len)
{
	assert_true(f->len + len <= sizeof(f->data));
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static inline void put_u8(struct gguf_bytes *f, uint8_t value)
{
	put(f, &value, sizeof(value));
}

static inline void put_u32(struct gguf_bytes *f, uint32_t value)
{
	put(f, &value, sizeof(value));
}

static inline void put_u64(struct gguf_bytes *f, uint64_t value)
{
	put(f, &value, sizeof(value));
}

static inline void put_string(struct gguf_bytes *f, const char *s)
{
	put_u64(f, strlen(s));
	put(f, s, strlen(s));
}

static inline void put_header(struct gguf_bytes *f, uint32_t version, uint64_t n_tensors,
			      uint64_t n_kv)
{
	f->len = 0;
	put(f, "GGUF", 4);
	put_u32(f, version);
	put_u64(f, n_tensors);
	put_u64(f, n_kv);
}

static inline void put_key(struct gguf_bytes *f, const char *key, uint32_t type)
{
	put_string(f, key);
	put_u32(f, type);
}

static inline void put_array(struct gguf_bytes *f, const char *key, uint32_t element, uint64_t n)
{
	put_key(f, key, MP_GGUF_ARRAY);
	put_u32(f, element);
	put_u64(f, n);
}

static inline void put_kv_u32(struct gguf_bytes *f, const char *key, uint32_t value)
{
	put_key(f, key, MP_GGUF_U32);
	put_u32(f, value);
}

static inline void put_kv_text(struct gguf_bytes *f, const char *key, const char *value)
{
	put_key(f, key, MP_GGUF_STRING);
	put_string(f, value);
}

static inline void put_tensor(struct gguf_bytes *f, const char *name, uint32_t n_dims,
			      const uint64_t *ne, uint32_t type, uint64_t offset)
{
	put_string(f, name);
	put_u32(f, n_dims);
	for (uint32_t i = 0; i < n_dims; i++)
		put_u64(f, ne[i]);
	put_u32(f, type);
	put_u64(f, offset);
}

/* To where data begins, and `len` bytes of it. */
static inline void put_data(struct gguf_bytes *f, size_t len)
{
	static const uint8_t zero[4096];

	put(f, zero, (32 - f->len % 32) % 32);
	assert_true(len <= sizeof(zero));
	put(f, zero, len);
}

/*
 * With MP_GGUF_CORPUS=DIR what is tested is written there, too: that is how the fuzzer's corpus is
 * made.
 */
static inline void keep_in_corpus(const char *name, const void *data, size_t len)
{
	const char *dir = getenv("MP_GGUF_CORPUS");
	char path[512];

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mp_file_replace(path, data, len, 0644), 0);
}

#endif
