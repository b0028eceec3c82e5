// SPDX-License-Identifier: GPL-2.0-only
/* The reader's frame: the header's first fields, and what refuses the rest. */
#include "model/gguf_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#define SHOWN_ID 128 /* bytes of a name in a sentence */

/* What the shortest of each takes; no count may promise more than the file can hold of them. */
#define MIN_KV_BYTES (8 + 1 + 4 + 1)
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 8 + 4 + 8)

int mp_gguf_refuse(const struct mp_gguf_reader *r, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (!r->what)
		return mp_fail(r->err, MP_EXIT_CONFIG, EBADMSG, "%s: %s", r->file, why);
	if (!r->id.data)
		return mp_fail(r->err, MP_EXIT_CONFIG, EBADMSG, "%s: %s %zu: %s", r->file, r->what,
			       r->index, why);
	return mp_fail(r->err, MP_EXIT_CONFIG, EBADMSG, "%s: %s %zu \"%.*s\": %s", r->file, r->what,
		       r->index, (int)(r->id.len < SHOWN_ID ? r->id.len : SHOWN_ID), r->id.data,
		       why);
}

int mp_gguf_no_memory(const struct mp_gguf_reader *r)
{
	return mp_fail(r->err, MP_EXIT_OOM, ENOMEM, "%s: out of memory", r->file);
}

static int need(const struct mp_gguf_reader *r, size_t bytes, const char *field)
{
	return mp_gguf_left(r) < bytes ? mp_gguf_refuse(r, "the file ends in its %s", field) : 0;
}

int mp_gguf_take_u32(struct mp_gguf_reader *r, const char *field, uint32_t *ret)
{
	int error = need(r, sizeof(*ret), field);

	if (error)
		return error;
	*ret = mp_gguf_load_u32(r->at);
	r->at += sizeof(*ret);
	return 0;
}

int mp_gguf_take_u64(struct mp_gguf_reader *r, const char *field, uint64_t *ret)
{
	int error = need(r, sizeof(*ret), field);

	if (error)
		return error;
	*ret = mp_gguf_load_u64(r->at);
	r->at += sizeof(*ret);
	return 0;
}

int mp_gguf_take_string(struct mp_gguf_reader *r, const char *field, struct mp_gguf_string *ret)
{
	uint64_t len;
	int error = mp_gguf_take_u64(r, field, &len);

	if (error)
		return error;
	if (len > mp_gguf_left(r))
		return mp_gguf_refuse(r,
				      "its %s of %" PRIu64 " bytes is more than the file can hold",
				      field, len);
	*ret = (struct mp_gguf_string){(const char *)r->at, len};
	r->at += len;
	return 0;
}

/* By their bytes, not their order in a language: length first is cheapest. */
static int compare_strings(const void *left, const void *right)
{
	const struct mp_gguf_string *a = *(const struct mp_gguf_string *const *)left;
	const struct mp_gguf_string *b = *(const struct mp_gguf_string *const *)right;
	int order;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	order = memcmp(a->data, b->data, a->len);
	return order ?: (a > b) - (a < b);
}

int mp_gguf_find_twins(const struct mp_gguf_string *names, size_t stride, size_t n,
		       size_t *ret_first, size_t *ret_second)
{
	const char *base = (const char *)names;
	MP_FREE const struct mp_gguf_string **sorted = NULL;

	if (n < 2)
		return 0;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = (const void *)(base + i * stride);
	qsort(sorted, n, sizeof(*sorted), compare_strings);
	for (size_t i = 1; i < n; i++) {
		const struct mp_gguf_string *first = sorted[i - 1];

		if (!mp_gguf_same(sorted[i], first->data, first->len))
			continue;
		*ret_first = (size_t)((const char *)first - base) / stride;
		*ret_second = (size_t)((const char *)sorted[i] - base) / stride;
		return 1;
	}
	return 0;
}

int mp_gguf_check_twins(struct mp_gguf_reader *r, const struct mp_gguf_string *names, size_t stride,
			size_t n)
{
	size_t first;
	size_t second;
	int found = mp_gguf_find_twins(names, stride, n, &first, &second);

	if (found <= 0)
		return found < 0 ? mp_gguf_no_memory(r) : 0;
	r->index = second + 1;
	r->id = *(const struct mp_gguf_string *)((const char *)names + second * stride);
	return mp_gguf_refuse(r, "%s %zu has the same name", r->what, first + 1);
}

static int read_magic(struct mp_gguf_reader *r)
{
	size_t len = strlen(MP_GGUF_MAGIC);

	if (mp_gguf_left(r) < len)
		return mp_gguf_refuse(r, "not a GGUF file: it has %" PRIu64 " bytes",
				      mp_gguf_left(r));
	if (memcmp(r->at, MP_GGUF_MAGIC, len) != 0)
		return mp_gguf_refuse(r, "not a GGUF file: it begins with %02x %02x %02x %02x",
				      r->at[0], r->at[1], r->at[2], r->at[3]);
	r->at += len;
	return 0;
}

static int read_version(struct mp_gguf_reader *r, uint32_t *ret)
{
	uint32_t version = 0;
	int error = mp_gguf_take_u32(r, "version", &version);

	if (error)
		return error;
	if (version == 2 || version == 3) {
		*ret = version;
		return 0;
	}
	if (__builtin_bswap32(version) == 2 || __builtin_bswap32(version) == 3)
		return mp_gguf_refuse(r, "a big-endian file: only little-endian ones are read");
	return mp_gguf_refuse(r, "version %u is not known: 2 and 3 are read", version);
}

static int read_count(struct mp_gguf_reader *r, const char *field, size_t min_bytes, uint64_t *ret)
{
	int error = mp_gguf_take_u64(r, field, ret);

	if (!error && *ret > mp_gguf_left(r) / min_bytes)
		error = mp_gguf_refuse(r, "its %s, %" PRIu64 ", is more than the file can hold",
				       field, *ret);
	return error;
}

static int read_header(struct mp_gguf_reader *r, struct mp_gguf *gguf)
{
	uint64_t n_tensors = 0;
	uint64_t n_kv = 0;
	int error = read_magic(r);

	error = error ?: read_version(r, &gguf->version);
	error = error ?: read_count(r, "number of tensors", MIN_TENSOR_BYTES, &n_tensors);
	error = error ?: read_count(r, "number of keys", MIN_KV_BYTES, &n_kv);
	error = error ?: mp_gguf_read_kv(r, n_kv, gguf);
	return error ?: mp_gguf_read_tensors(r, n_tensors, gguf);
}

int mp_gguf_parse(const void *data, size_t len, uint64_t file_bytes, const char *name,
		  struct mp_gguf *ret, struct mp_error *err)
{
	const uint8_t *bytes = data;
	struct mp_gguf_reader r = {
		.begin = bytes,
		.at = bytes,
		.end = bytes + len,
		.file_bytes = file_bytes,
		.file = name,
		.err = err,
	};
	struct mp_gguf gguf = {.alignment = MP_GGUF_ALIGNMENT, .data_offset = 0};
	int error = read_header(&r, &gguf);

	if (error) {
		mp_gguf_free(&gguf);
		return error;
	}
	*ret = gguf;
	return 0;
}

void mp_gguf_free(struct mp_gguf *gguf)
{
	free(gguf->kv);
	free(gguf->tensors);
	*gguf = (struct mp_gguf){.version = 0};
}
