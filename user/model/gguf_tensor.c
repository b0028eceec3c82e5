// SPDX-License-Identifier: GPL-2.0-only
/* The reader's tensors: each must be one that can be, and follow the one before. */
#include "model/gguf_internal.h"

#include <errno.h>
#include <inttypes.h>

#include "base/array.h"
#include "model/gguf_write.h"

static int read_name(struct mp_gguf_reader *r, struct mp_gguf_string *ret)
{
	int error = mp_gguf_take_string(r, "name", ret);

	if (error)
		return error;
	if (ret->len == 0)
		return mp_gguf_refuse(r, "its name is empty");
	if (ret->len >= MP_GGUF_MAX_NAME)
		return mp_gguf_refuse(r, "its name has %" PRIu64 " bytes: %u are possible",
				      ret->len, MP_GGUF_MAX_NAME - 1);
	r->id = *ret;
	return memchr(ret->data, '\0', ret->len) ? mp_gguf_refuse(r, "its name holds a NUL") : 0;
}

const char *mp_gguf_dims(const struct mp_gguf_tensor *t, char out[MP_GGUF_DIMS_LEN])
{
	int len = 0;

	for (uint32_t i = 0; i < t->n_dims; i++)
		len += snprintf(out + len, MP_GGUF_DIMS_LEN - (size_t)len, "%s%" PRIu64,
				i ? " x " : "", t->ne[i]);
	return out;
}

/* Elements are counted in 63 bits, as ggml does. */
static int check_dims(const struct mp_gguf_reader *r, const struct mp_gguf_tensor *t)
{
	char dims[MP_GGUF_DIMS_LEN];
	int64_t elements = 1;

	for (uint32_t i = 0; i < t->n_dims; i++) {
		int64_t ne = (int64_t)t->ne[i];

		if (ne <= 0)
			return mp_gguf_refuse(r, "its dimension %u is %" PRId64, i + 1, ne);
		if (__builtin_mul_overflow(elements, ne, &elements))
			return mp_gguf_refuse(r, "its %s elements are too many",
					      mp_gguf_dims(t, dims));
	}
	return 0;
}

static int read_dims(struct mp_gguf_reader *r, struct mp_gguf_tensor *t)
{
	int error = mp_gguf_take_u32(r, "number of dimensions", &t->n_dims);

	if (!error && (t->n_dims == 0 || t->n_dims > MP_GGML_MAX_DIMS))
		error = mp_gguf_refuse(r, "it has %u dimensions: 1 to %u are possible", t->n_dims,
				       MP_GGML_MAX_DIMS);
	for (uint32_t i = 0; !error && i < MP_GGML_MAX_DIMS; i++) {
		t->ne[i] = 1;
		if (i < t->n_dims)
			error = mp_gguf_take_u64(r, "dimensions", &t->ne[i]);
	}
	return error ?: check_dims(r, t);
}

static int read_type(struct mp_gguf_reader *r, struct mp_gguf_tensor *t)
{
	uint32_t id = 0;
	int error = mp_gguf_take_u32(r, "type", &id);

	if (error)
		return error;
	t->type = mp_ggml_type_of(id);
	if (t->type)
		return 0;
	if (id == 4 || id == 5 || (id >= 31 && id <= 33) || (id >= 36 && id <= 38))
		return mp_gguf_refuse(r, "its type, %u, was removed from ggml", id);
	return mp_gguf_refuse(r, "its type, %" PRId32 ", is unknown", (int32_t)id);
}

static int check_bytes(const struct mp_gguf_reader *r, struct mp_gguf_tensor *t)
{
	char dims[MP_GGUF_DIMS_LEN];
	int error = mp_ggml_bytes(t->type, t->n_dims, t->ne, &t->bytes);

	if (error == -EINVAL)
		return mp_gguf_refuse(r,
				      "a row of %" PRIu64
				      " elements is no whole number of blocks of %s, which have %u",
				      t->ne[0], t->type->name, t->type->block_elements);
	if (error || t->bytes > r->file_bytes)
		return mp_gguf_refuse(r, "its %s %s are more than the file's %" PRIu64 " bytes",
				      mp_gguf_dims(t, dims), t->type->name, r->file_bytes);
	return 0;
}

/* `expected` is where the tensor before it ends, padded: as llama.cpp has it, the only place. */
static int check_offset(const struct mp_gguf_reader *r, const struct mp_gguf *gguf,
			const struct mp_gguf_tensor *t, uint64_t expected)
{
	if (t->offset % gguf->alignment)
		return mp_gguf_refuse(r, "its offset, %" PRIu64 ", is no multiple of %" PRIu64,
				      t->offset, gguf->alignment);
	if (t->offset > r->file_bytes - t->bytes)
		return mp_gguf_refuse(
			r, "its %" PRIu64 " bytes at offset %" PRIu64 " go beyond the file's end",
			t->bytes, t->offset);
	if (t->offset < expected)
		return mp_gguf_refuse(r,
				      "its offset, %" PRIu64
				      ", is inside of what is before it: it should be %" PRIu64,
				      t->offset, expected);
	if (t->offset > expected)
		return mp_gguf_refuse(
			r, "its offset, %" PRIu64 ", leaves a gap: it should be %" PRIu64,
			t->offset, expected);
	return 0;
}

static int read_one(struct mp_gguf_reader *r, const struct mp_gguf *gguf, uint64_t expected,
		    struct mp_gguf_tensor *t)
{
	int error = read_name(r, &t->name);

	error = error ?: read_dims(r, t);
	error = error ?: read_type(r, t);
	error = error ?: mp_gguf_take_u64(r, "offset", &t->offset);
	error = error ?: check_bytes(r, t);
	return error ?: check_offset(r, gguf, t, expected);
}

/* Where data begins is known once the last tensor is read. */
static int check_ends(struct mp_gguf_reader *r, const struct mp_gguf *gguf)
{
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		const struct mp_gguf_tensor *t = &gguf->tensors[i];
		uint64_t end = gguf->data_offset + t->offset + t->bytes;

		if (end <= r->file_bytes)
			continue;
		r->index = i + 1;
		r->id = t->name;
		return mp_gguf_refuse(r,
				      "the file ends in its data: it has %" PRIu64
				      " bytes, and %" PRIu64 " are needed",
				      r->file_bytes, end);
	}
	return 0;
}

int mp_gguf_read_tensors(struct mp_gguf_reader *r, uint64_t n, struct mp_gguf *gguf)
{
	uint64_t expected = 0;
	size_t cap = 0;
	int error;

	r->what = "tensor";
	for (uint64_t i = 0; i < n; i++) {
		struct mp_gguf_tensor t = {.n_dims = 0};

		r->index = i + 1;
		r->id.data = NULL;
		error = read_one(r, gguf, expected, &t);
		if (error)
			return error;
		if (MP_RESERVE_ONE(gguf->tensors, gguf->n_tensors, cap))
			return mp_gguf_no_memory(r);
		gguf->tensors[gguf->n_tensors++] = t;
		gguf->tensor_bytes += t.bytes;
		expected += mp_gguf_padded(t.bytes, gguf->alignment);
	}
	gguf->data_offset = mp_gguf_padded((uint64_t)(r->at - r->begin), gguf->alignment);
	if (gguf->n_tensors == 0)
		return 0;
	error = mp_gguf_check_twins(r, &gguf->tensors->name, sizeof(*gguf->tensors),
				    gguf->n_tensors);
	return error ?: check_ends(r, gguf);
}
