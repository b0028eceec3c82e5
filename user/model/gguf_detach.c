// SPDX-License-Identifier: GPL-2.0-only
#include "model/gguf_internal.h"

#include <errno.h>

static uint64_t kept_of(const struct mp_gguf_kv *kv)
{
	return kv->kept_bytes < MP_GGUF_MAX_KEPT ? kv->kept_bytes : MP_GGUF_MAX_KEPT;
}

static size_t bytes_to_keep(const struct mp_gguf *gguf)
{
	size_t bytes = 0;

	for (size_t i = 0; i < gguf->n_kv; i++)
		bytes += gguf->kv[i].key.len + kept_of(&gguf->kv[i]);
	for (size_t i = 0; i < gguf->n_tensors; i++)
		bytes += gguf->tensors[i].name.len;
	return bytes;
}

/* Copies to `*at`, behind which the next goes. */
static void *keep(char **at, const void *data, uint64_t len)
{
	void *kept = memcpy(*at, data, len);

	*at += len;
	return kept;
}

int mp_gguf_detach(struct mp_gguf *gguf, char **ret)
{
	char *kept = malloc(bytes_to_keep(gguf) + 1);
	char *at = kept;

	if (!kept)
		return -ENOMEM;
	for (size_t i = 0; i < gguf->n_kv; i++) {
		struct mp_gguf_kv *kv = &gguf->kv[i];

		kv->kept_bytes = kept_of(kv);
		kv->key.data = keep(&at, kv->key.data, kv->key.len);
		kv->value = keep(&at, kv->value, kv->kept_bytes);
	}
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		struct mp_gguf_string *name = &gguf->tensors[i].name;

		name->data = keep(&at, name->data, name->len);
	}
	*ret = kept;
	return 0;
}
