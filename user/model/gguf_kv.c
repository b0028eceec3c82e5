// SPDX-License-Identifier: GPL-2.0-only
/* The reader's metadata: keys with values, of which none is copied. */
#include "model/gguf_internal.h"

#include <inttypes.h>

#include "base/array.h"

#define MAX_KEY 65535		 /* bytes, by the format */
#define MAX_ALIGNMENT (2U << 20) /* a huge page; nobody aligns further */

static const char *const type_names[] = {
	[MP_GGUF_U8] = "u8",	   [MP_GGUF_I8] = "i8",	    [MP_GGUF_U16] = "u16",
	[MP_GGUF_I16] = "i16",	   [MP_GGUF_U32] = "u32",   [MP_GGUF_I32] = "i32",
	[MP_GGUF_F32] = "f32",	   [MP_GGUF_BOOL] = "bool", [MP_GGUF_STRING] = "string",
	[MP_GGUF_ARRAY] = "array", [MP_GGUF_U64] = "u64",   [MP_GGUF_I64] = "i64",
	[MP_GGUF_F64] = "f64",
};
_Static_assert(MP_ARRAY_SIZE(type_names) == MP_GGUF_TYPE_COUNT, "a name for every type");

static const uint8_t least_bytes[MP_GGUF_TYPE_COUNT] = {
	[MP_GGUF_U8] = 1,  [MP_GGUF_I8] = 1,	 [MP_GGUF_U16] = 2, [MP_GGUF_I16] = 2,
	[MP_GGUF_U32] = 4, [MP_GGUF_I32] = 4,	 [MP_GGUF_F32] = 4, [MP_GGUF_BOOL] = 1,
	[MP_GGUF_U64] = 8, [MP_GGUF_STRING] = 8, [MP_GGUF_I64] = 8, [MP_GGUF_F64] = 8,
};

const char *mp_gguf_type_name(enum mp_gguf_type type)
{
	return (size_t)type < MP_GGUF_TYPE_COUNT ? type_names[type] : "?";
}

uint8_t mp_gguf_least_bytes(enum mp_gguf_type type)
{
	return least_bytes[type];
}

static int take_type(struct mp_gguf_reader *r, const char *field, enum mp_gguf_type *ret)
{
	uint32_t type = 0;
	int error = mp_gguf_take_u32(r, field, &type);

	if (!error && type >= MP_GGUF_TYPE_COUNT)
		error = mp_gguf_refuse(r, "its %s, %u, is unknown", field, type);
	if (!error)
		*ret = (enum mp_gguf_type)type;
	return error;
}

static int take_array(struct mp_gguf_reader *r, struct mp_gguf_kv *kv)
{
	int error = take_type(r, "type of elements", &kv->element);

	if (!error && kv->element == MP_GGUF_ARRAY)
		error = mp_gguf_refuse(r, "an array of arrays");
	return error ?: mp_gguf_take_u64(r, "number of elements", &kv->n);
}

/* "its value", or which of its elements; `i` counts from 0. */
static const char *name_element(const struct mp_gguf_kv *kv, uint64_t i, char out[64])
{
	if (kv->type != MP_GGUF_ARRAY)
		return "its value";
	snprintf(out, 64, "element %" PRIu64 " of %" PRIu64, i + 1, kv->n);
	return out;
}

static int refuse_string(const struct mp_gguf_reader *r, const struct mp_gguf_kv *kv, uint64_t i,
			 const uint8_t *at)
{
	char buf[64];
	const char *which = name_element(kv, i, buf);

	if (r->end - at < 8)
		return mp_gguf_refuse(r, "the file ends in %s", which);
	return mp_gguf_refuse(r, "%s: a string of %" PRIu64 " bytes is more than the file can hold",
			      which, mp_gguf_load_u64(at));
}

/* A vocabulary has hundreds of thousands of these: one comparison each, and no page but theirs. */
static int skip_strings(struct mp_gguf_reader *r, const struct mp_gguf_kv *kv)
{
	const uint8_t *at = r->at;

	for (uint64_t i = 0; i < kv->n; i++) {
		uint64_t left = (uint64_t)(r->end - at);
		uint64_t len;

		if (left < 8 || (len = mp_gguf_load_u64(at)) > left - 8)
			return refuse_string(r, kv, i, at);
		at += 8 + len;
	}
	r->at = at;
	return 0;
}

static int check_bools(const struct mp_gguf_reader *r, const struct mp_gguf_kv *kv)
{
	char which[64];

	for (uint64_t i = 0; i < kv->n; i++) {
		if (kv->value[i] > 1)
			return mp_gguf_refuse(r, "%s: a bool of %u: 0 and 1 are possible",
					      name_element(kv, i, which), kv->value[i]);
	}
	return 0;
}

static int refuse_value(const struct mp_gguf_reader *r, const struct mp_gguf_kv *kv)
{
	if (kv->type == MP_GGUF_ARRAY)
		return mp_gguf_refuse(r,
				      "an array of %" PRIu64 " %s is more than the file can hold",
				      kv->n, mp_gguf_type_name(kv->element));
	return mp_gguf_refuse(r, "the file ends in its value");
}

static int read_value(struct mp_gguf_reader *r, struct mp_gguf_kv *kv)
{
	uint64_t left = mp_gguf_left(r);
	uint64_t each = least_bytes[kv->element];

	if (kv->n > left / each)
		return refuse_value(r, kv);
	kv->value = r->at;
	if (kv->element == MP_GGUF_STRING) {
		int error = skip_strings(r, kv);

		if (error)
			return error;
	} else {
		r->at += kv->n * each;
	}
	kv->value_bytes = left - mp_gguf_left(r);
	kv->kept_bytes = kv->value_bytes;
	return kv->element == MP_GGUF_BOOL ? check_bools(r, kv) : 0;
}

static int read_key(struct mp_gguf_reader *r, struct mp_gguf_string *ret)
{
	int error = mp_gguf_take_string(r, "name", ret);

	if (error)
		return error;
	if (ret->len == 0)
		return mp_gguf_refuse(r, "its name is empty");
	if (ret->len > MAX_KEY)
		return mp_gguf_refuse(r, "its name has %" PRIu64 " bytes: %u are possible",
				      ret->len, MAX_KEY);
	r->id = *ret;
	return 0;
}

static int read_one(struct mp_gguf_reader *r, struct mp_gguf_kv *kv)
{
	int error = read_key(r, &kv->key);

	error = error ?: take_type(r, "type", &kv->type);
	if (error)
		return error;
	kv->element = kv->type;
	kv->n = 1;
	if (kv->type == MP_GGUF_ARRAY)
		error = take_array(r, kv);
	return error ?: read_value(r, kv);
}

static int read_alignment(struct mp_gguf_reader *r, struct mp_gguf *gguf)
{
	const struct mp_gguf_kv *kv = mp_gguf_find(gguf, MP_GGUF_KEY_ALIGNMENT);
	uint32_t alignment;

	if (!kv)
		return 0;
	r->index = (size_t)(kv - gguf->kv) + 1;
	r->id = kv->key;
	if (kv->type != MP_GGUF_U32)
		return mp_gguf_refuse(r, "its type is %s: an alignment is u32",
				      mp_gguf_type_name(kv->type));
	alignment = mp_gguf_load_u32(kv->value);
	if (alignment == 0 || (alignment & (alignment - 1)))
		return mp_gguf_refuse(r, "%u is not a power of two", alignment);
	if (alignment > MAX_ALIGNMENT)
		return mp_gguf_refuse(r, "%u is more than %u, which no file needs", alignment,
				      MAX_ALIGNMENT);
	gguf->alignment = alignment;
	return 0;
}

int mp_gguf_read_kv(struct mp_gguf_reader *r, uint64_t n, struct mp_gguf *gguf)
{
	size_t cap = 0;
	int error;

	r->what = "key";
	for (uint64_t i = 0; i < n; i++) {
		struct mp_gguf_kv kv = {.n = 0};

		r->index = i + 1;
		r->id.data = NULL;
		error = read_one(r, &kv);
		if (error)
			return error;
		if (MP_RESERVE_ONE(gguf->kv, gguf->n_kv, cap))
			return mp_gguf_no_memory(r);
		gguf->kv[gguf->n_kv++] = kv;
	}
	if (gguf->n_kv == 0)
		return 0;
	error = mp_gguf_check_twins(r, &gguf->kv->key, sizeof(*gguf->kv), gguf->n_kv);
	return error ?: read_alignment(r, gguf);
}
