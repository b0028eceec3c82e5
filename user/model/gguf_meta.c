// SPDX-License-Identifier: GPL-2.0-only
/* Looking up keys and tensors. Both are few: one after the other is fast enough. */
#include "model/gguf_internal.h"

#include <errno.h>

static const struct mp_gguf_kv *find(const struct mp_gguf *gguf, const char *key, size_t len)
{
	for (size_t i = 0; i < gguf->n_kv; i++) {
		if (mp_gguf_same(&gguf->kv[i].key, key, len))
			return &gguf->kv[i];
	}
	return NULL;
}

/* Whether a key is `begin`, the architecture and `behind`. */
static bool is_made_of(const struct mp_gguf_string *key, const char *begin, size_t begin_len,
		       const struct mp_gguf_string *arch, const char *behind)
{
	size_t behind_len = strlen(behind);

	return key->len == begin_len + arch->len + behind_len &&
	       memcmp(key->data, begin, begin_len) == 0 &&
	       memcmp(key->data + begin_len, arch->data, arch->len) == 0 &&
	       memcmp(key->data + begin_len + arch->len, behind, behind_len) == 0;
}

const struct mp_gguf_kv *mp_gguf_find(const struct mp_gguf *gguf, const char *key)
{
	const char *place = strstr(key, "%s");
	struct mp_gguf_string arch;

	if (!place)
		return find(gguf, key, strlen(key));
	if (mp_gguf_text(gguf, MP_GGUF_KEY_ARCHITECTURE, &arch))
		return NULL;
	for (size_t i = 0; i < gguf->n_kv; i++) {
		if (is_made_of(&gguf->kv[i].key, key, (size_t)(place - key), &arch, place + 2))
			return &gguf->kv[i];
	}
	return NULL;
}

static struct mp_gguf_element unsigned_of(uint64_t bits)
{
	return (struct mp_gguf_element){.type = MP_GGUF_U64, .u64 = bits};
}

/* `bits` are those of a type of `bytes` with a sign. */
static struct mp_gguf_element signed_of(uint64_t bits, unsigned int bytes)
{
	unsigned int shift = 64 - 8 * bytes;

	return (struct mp_gguf_element){.type = MP_GGUF_I64,
					.i64 = (int64_t)(bits << shift) >> shift};
}

static struct mp_gguf_element real_of(uint64_t bits, bool is_single)
{
	struct mp_gguf_element element = {.type = MP_GGUF_F64};
	uint32_t single_bits = (uint32_t)bits;
	float single;

	memcpy(&element.f64, &bits, sizeof(bits));
	memcpy(&single, &single_bits, sizeof(single));
	if (is_single)
		element.f64 = (double)single;
	return element;
}

static struct mp_gguf_element element_of(enum mp_gguf_type type, uint64_t bits)
{
	switch (type) {
	case MP_GGUF_I8:
	case MP_GGUF_I16:
	case MP_GGUF_I32:
	case MP_GGUF_I64:
		return signed_of(bits, mp_gguf_least_bytes(type));
	case MP_GGUF_F32:
	case MP_GGUF_F64:
		return real_of(bits, type == MP_GGUF_F32);
	case MP_GGUF_BOOL:
		return (struct mp_gguf_element){.type = MP_GGUF_BOOL, .flag = bits};
	default:
		return unsigned_of(bits);
	}
}

static bool next_text(struct mp_gguf_walk *walk, uint64_t len, struct mp_gguf_element *ret)
{
	const struct mp_gguf_kv *kv = walk->kv;
	uint64_t left = kv->kept_bytes - walk->at;

	if (len > left && kv->type == MP_GGUF_ARRAY) {
		walk->i = kv->n;
		return false;
	}
	len = len < left ? len : left;
	*ret = (struct mp_gguf_element){
		.type = MP_GGUF_STRING,
		.text = {(const char *)kv->value + walk->at, len},
	};
	walk->at += len;
	return true;
}

bool mp_gguf_next(struct mp_gguf_walk *walk, struct mp_gguf_element *ret)
{
	const struct mp_gguf_kv *kv = walk->kv;
	size_t bytes = mp_gguf_least_bytes(kv->element);
	uint64_t bits = 0;

	if (walk->i == kv->n || kv->kept_bytes - walk->at < bytes)
		return false;
	memcpy(&bits, kv->value + walk->at, bytes);
	bits = le64toh(bits);
	walk->i++;
	walk->at += bytes;
	if (kv->element == MP_GGUF_STRING)
		return next_text(walk, bits, ret);
	*ret = element_of(kv->element, bits);
	return true;
}

/* The one element of a key that is no array. */
static int load(const struct mp_gguf *gguf, const char *key, struct mp_gguf_element *ret)
{
	struct mp_gguf_walk walk = {.kv = mp_gguf_find(gguf, key)};

	if (!walk.kv)
		return -ENOENT;
	return walk.kv->type == MP_GGUF_ARRAY || !mp_gguf_next(&walk, ret) ? -EINVAL : 0;
}

int mp_gguf_u64(const struct mp_gguf *gguf, const char *key, uint64_t *ret)
{
	struct mp_gguf_element element;
	int error = load(gguf, key, &element);

	if (error)
		return error;
	if (element.type != MP_GGUF_U64 && (element.type != MP_GGUF_I64 || element.i64 < 0))
		return -EINVAL;
	*ret = element.u64;
	return 0;
}

int mp_gguf_f64(const struct mp_gguf *gguf, const char *key, double *ret)
{
	struct mp_gguf_element element;
	int error = load(gguf, key, &element);

	if (error)
		return error;
	if (element.type != MP_GGUF_F64)
		return -EINVAL;
	*ret = element.f64;
	return 0;
}

int mp_gguf_text(const struct mp_gguf *gguf, const char *key, struct mp_gguf_string *ret)
{
	struct mp_gguf_element element;
	int error = load(gguf, key, &element);

	if (error)
		return error;
	if (element.type != MP_GGUF_STRING)
		return -EINVAL;
	*ret = element.text;
	return 0;
}

const struct mp_gguf_tensor *mp_gguf_tensor(const struct mp_gguf *gguf, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < gguf->n_tensors; i++) {
		if (mp_gguf_same(&gguf->tensors[i].name, name, len))
			return &gguf->tensors[i];
	}
	return NULL;
}

const struct mp_gguf_tensor *mp_gguf_file_tensor(const struct mp_gguf_file *file, const char *name)
{
	const struct mp_gguf_tensor *tensor = NULL;

	for (size_t i = 0; i < file->n_parts && !tensor; i++)
		tensor = mp_gguf_tensor(&file->parts[i].gguf, name);
	return tensor;
}

uint64_t mp_gguf_weights(const struct mp_gguf_file *file)
{
	uint64_t weights = 0;

	for (size_t i = 0; i < file->n_parts; i++) {
		const struct mp_gguf *gguf = &file->parts[i].gguf;

		for (size_t j = 0; j < gguf->n_tensors; j++) {
			const struct mp_gguf_tensor *t = &gguf->tensors[j];

			weights += t->bytes / t->type->block_bytes * t->type->block_elements;
		}
	}
	return weights;
}
