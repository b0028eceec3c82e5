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
	if (mp_gguf_text(gguf, "general.architecture", &arch))
		return NULL;
	for (size_t i = 0; i < gguf->n_kv; i++) {
		if (is_made_of(&gguf->kv[i].key, key, (size_t)(place - key), &arch, place + 2))
			return &gguf->kv[i];
	}
	return NULL;
}

/* One element of any integer type, with the sign that it has. */
static int load_integer(const struct mp_gguf_kv *kv, uint64_t *ret, bool *ret_negative)
{
	uint64_t bits = 0;
	unsigned int shift = 64 - 8 * (unsigned int)kv->value_bytes;

	switch (kv->type) {
	case MP_GGUF_U8:
	case MP_GGUF_U16:
	case MP_GGUF_U32:
	case MP_GGUF_U64:
		memcpy(&bits, kv->value, kv->value_bytes);
		*ret = le64toh(bits);
		*ret_negative = false;
		return 0;
	case MP_GGUF_I8:
	case MP_GGUF_I16:
	case MP_GGUF_I32:
	case MP_GGUF_I64:
		memcpy(&bits, kv->value, kv->value_bytes);
		*ret = (uint64_t)((int64_t)(le64toh(bits) << shift) >> shift);
		*ret_negative = (int64_t)*ret < 0;
		return 0;
	default:
		return -EINVAL;
	}
}

int mp_gguf_u64(const struct mp_gguf *gguf, const char *key, uint64_t *ret)
{
	const struct mp_gguf_kv *kv = mp_gguf_find(gguf, key);
	bool negative;
	uint64_t value;

	if (!kv)
		return -ENOENT;
	if (load_integer(kv, &value, &negative) || negative)
		return -EINVAL;
	*ret = value;
	return 0;
}

int mp_gguf_f64(const struct mp_gguf *gguf, const char *key, double *ret)
{
	const struct mp_gguf_kv *kv = mp_gguf_find(gguf, key);
	uint64_t bits;
	float single;

	if (!kv)
		return -ENOENT;
	if (kv->type == MP_GGUF_F64) {
		bits = mp_gguf_load_u64(kv->value);
		memcpy(ret, &bits, sizeof(*ret));
		return 0;
	}
	if (kv->type != MP_GGUF_F32)
		return -EINVAL;
	bits = mp_gguf_load_u32(kv->value);
	memcpy(&single, &(uint32_t){(uint32_t)bits}, sizeof(single));
	*ret = (double)single;
	return 0;
}

int mp_gguf_text(const struct mp_gguf *gguf, const char *key, struct mp_gguf_string *ret)
{
	const struct mp_gguf_kv *kv = mp_gguf_find(gguf, key);

	if (!kv)
		return -ENOENT;
	if (kv->type != MP_GGUF_STRING)
		return -EINVAL;
	*ret = (struct mp_gguf_string){(const char *)kv->value + 8, kv->value_bytes - 8};
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
