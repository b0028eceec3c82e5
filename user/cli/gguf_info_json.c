// SPDX-License-Identifier: GPL-2.0-only
#include "cli/gguf_info.h"

#include "report/json.h"

#define MAX_ELEMENTS 1024		/* of an array; those of all layers are fewer */
#define MAX_TEXT (MP_GGUF_MAX_KEPT + 1) /* with its NUL */

/* `text` has room for MAX_TEXT. */
static void put_element(struct mp_json *j, const char *key, const struct mp_gguf_element *e,
			char *text)
{
	switch (e->type) {
	case MP_GGUF_STRING:
		mp_json_string(j, key, mp_gguf_info_string(e->text, text, MAX_TEXT));
		break;
	case MP_GGUF_BOOL:
		mp_json_bool(j, key, e->flag);
		break;
	case MP_GGUF_F64:
		mp_json_number(j, key, e->f64);
		break;
	case MP_GGUF_I64:
		mp_json_int(j, key, e->i64);
		break;
	default:
		mp_json_u64(j, key, e->u64);
		break;
	}
}

static void put_value(struct mp_json *j, const struct mp_gguf_kv *kv, char *text)
{
	struct mp_gguf_walk walk = {.kv = kv};
	struct mp_gguf_element e;

	if (kv->type != MP_GGUF_ARRAY) {
		if (mp_gguf_next(&walk, &e))
			put_element(j, "value", &e, text);
		return;
	}
	mp_json_string(j, "element", mp_gguf_type_name(kv->element));
	mp_json_u64(j, "count", kv->n);
	mp_json_array(j, "first");
	while (walk.i < MAX_ELEMENTS && mp_gguf_next(&walk, &e))
		put_element(j, NULL, &e, text);
	mp_json_array_end(j);
}

static void put_keys(struct mp_json *j, const struct mp_gguf *gguf, char *text)
{
	mp_json_array(j, "keys");
	for (size_t i = 0; i < gguf->n_kv; i++) {
		const struct mp_gguf_kv *kv = &gguf->kv[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "key", mp_gguf_info_string(kv->key, text, MAX_TEXT));
		mp_json_string(j, "type", mp_gguf_type_name(kv->type));
		put_value(j, kv, text);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void put_tensors(struct mp_json *j, const struct mp_gguf *gguf, char *text)
{
	mp_json_array(j, "tensors");
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		const struct mp_gguf_tensor *t = &gguf->tensors[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "name", mp_gguf_info_string(t->name, text, MAX_TEXT));
		mp_json_string(j, "type", t->type->name);
		mp_json_array(j, "ne");
		for (uint32_t d = 0; d < t->n_dims; d++)
			mp_json_u64(j, NULL, t->ne[d]);
		mp_json_array_end(j);
		mp_json_u64(j, "offset", t->offset);
		mp_json_u64(j, "bytes", t->bytes);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void put_parts(struct mp_json *j, const struct mp_gguf_file *file, char *text)
{
	mp_json_array(j, "parts");
	for (size_t no = 0; no < file->n_parts; no++) {
		const struct mp_gguf_part *part = &file->parts[no];

		mp_json_object(j, NULL);
		mp_json_string(j, "path", part->path);
		mp_json_u64(j, "version", part->gguf.version);
		mp_json_u64(j, "file_bytes", part->file_bytes);
		mp_json_u64(j, "header_bytes", part->gguf.data_offset);
		mp_json_u64(j, "tensor_bytes", part->gguf.tensor_bytes);
		mp_json_u64(j, "alignment", part->gguf.alignment);
		put_keys(j, &part->gguf, text);
		put_tensors(j, &part->gguf, text);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void put_shape(struct mp_json *j, const struct mp_gguf_info *info)
{
	const struct mp_model_shape *s = &info->shape;

	if (!info->has_shape) {
		mp_json_string(j, "shape", NULL);
		return;
	}
	mp_json_object(j, "shape");
	mp_json_u64(j, "layers", s->layers);
	mp_json_u64(j, "hidden", s->hidden);
	mp_json_u64(j, "ff", s->ff);
	mp_json_u64(j, "heads", s->heads);
	mp_json_u64(j, "kv_heads", s->kv_heads);
	mp_json_u64(j, "head_dim", s->head_dim);
	mp_json_u64(j, "vocab", s->vocab);
	mp_json_bool(j, "tied", s->tied);
	mp_json_u64(j, "context_length", s->context_length);
	mp_json_object_end(j);
}

static void put_types(struct mp_json *j, const struct mp_gguf_info *info)
{
	mp_json_array(j, "types");
	for (size_t i = 0; i < MP_ARRAY_SIZE(info->sums) && info->sums[i].bytes; i++) {
		mp_json_object(j, NULL);
		mp_json_string(j, "type", info->sums[i].type->name);
		mp_json_u64(j, "tensors", info->sums[i].n_tensors);
		mp_json_u64(j, "bytes", info->sums[i].bytes);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void put_text_of(struct mp_json *j, const char *name, const struct mp_gguf *gguf,
			const char *key, char *text)
{
	struct mp_gguf_string s;

	mp_json_string(j, name,
		       mp_gguf_text(gguf, key, &s) ? NULL : mp_gguf_info_string(s, text, MAX_TEXT));
}

static void put_summary(struct mp_json *j, const struct mp_gguf_info *info, char *text)
{
	const struct mp_gguf_file *file = &info->file;
	const struct mp_gguf *gguf = &file->parts[0].gguf;
	const struct mp_gguf_kv *tokens = mp_gguf_find(gguf, "tokenizer.ggml.tokens");

	mp_json_string(j, "path", file->parts[0].path);
	mp_json_u64(j, "version", gguf->version);
	put_text_of(j, "architecture", gguf, MP_GGUF_KEY_ARCHITECTURE, text);
	put_text_of(j, "name", gguf, "general.name", text);
	put_shape(j, info);
	mp_json_string(j, "level", info->level ? info->level->name : NULL);
	mp_json_u64(j, "parameters", info->parameters);
	mp_json_u64(j, "file_bytes", file->file_bytes);
	mp_json_u64(j, "header_bytes", info->header_bytes);
	mp_json_u64(j, "alignment", gguf->alignment);
	mp_json_u64(j, "n_tensors", file->n_tensors);
	mp_json_u64(j, "tensor_bytes", file->tensor_bytes);
	put_types(j, info);
	put_text_of(j, "tokenizer", gguf, "tokenizer.ggml.model", text);
	mp_json_u64(j, "tokens", tokens ? tokens->n : UINT64_MAX);
}

void mp_gguf_info_json(const struct mp_gguf_info *info, struct mp_text *out)
{
	MP_FREE char *text = malloc(MAX_TEXT);
	struct mp_json j = {.out = out};

	if (!text) {
		out->failed = true;
		return;
	}
	mp_json_object(&j, NULL);
	put_summary(&j, info, text);
	put_parts(&j, &info->file, text);
	mp_json_object_end(&j);
	mp_text_putc(out, '\n');
}
