// SPDX-License-Identifier: GPL-2.0-only
#include "cli/gguf_info.h"

#include <inttypes.h>

#include "base/size.h"
#include "report/cells.h"

#define MAX_SHOWN 4096	 /* bytes of a text that are looked at */
#define SHOWN_ELEMENTS 2 /* of an array */
#define SHOWN_COLUMNS 30 /* of a text */
#define SHOWN_IN_KEYS 24 /* of one in the table of keys */
#define SHOWN_IN_ARRAY 8 /* of one in an array there */

static void put_element(struct mp_text *out, const struct mp_gguf_element *e, size_t columns)
{
	char text[MAX_SHOWN];

	switch (e->type) {
	case MP_GGUF_STRING:
		mp_text_putc(out, '"');
		mp_cell_name(out, mp_gguf_info_string(e->text, text, sizeof(text)), columns);
		mp_text_putc(out, '"');
		break;
	case MP_GGUF_BOOL:
		mp_text_puts(out, e->flag ? "true" : "false");
		break;
	case MP_GGUF_F64:
		mp_text_printf(out, "%g", e->f64);
		break;
	case MP_GGUF_I64:
		mp_text_printf(out, "%" PRId64, e->i64);
		break;
	default:
		mp_text_printf(out, "%" PRIu64, e->u64);
		break;
	}
}

static void put_array(struct mp_text *out, const struct mp_gguf_kv *kv)
{
	struct mp_gguf_walk walk = {.kv = kv};
	struct mp_gguf_element e;

	mp_text_puts(out, "[");
	while (walk.i < SHOWN_ELEMENTS && mp_gguf_next(&walk, &e)) {
		mp_text_puts(out, walk.i > 1 ? ", " : "");
		put_element(out, &e, SHOWN_IN_ARRAY);
	}
	mp_text_puts(out, walk.i < kv->n ? ", …]" : "]");
}

static void put_value(struct mp_text *out, const struct mp_gguf_kv *kv)
{
	struct mp_gguf_walk walk = {.kv = kv};
	struct mp_gguf_element e;

	if (kv->type == MP_GGUF_ARRAY)
		put_array(out, kv);
	else if (mp_gguf_next(&walk, &e))
		put_element(out, &e, SHOWN_IN_KEYS);
}

static void put_type(struct mp_text *out, const struct mp_gguf_kv *kv)
{
	char type[64];

	if (kv->type == MP_GGUF_ARRAY)
		snprintf(type, sizeof(type), "%s[%" PRIu64 "]", mp_gguf_type_name(kv->element),
			 kv->n);
	else
		snprintf(type, sizeof(type), "%s", mp_gguf_type_name(kv->type));
	mp_cell_put(out, type, (struct mp_cell){.width = 14});
}

static void put_keys(struct mp_text *out, const struct mp_gguf *gguf)
{
	mp_text_printf(out, "\n%-38s %-14s %s\n", "KEY", "TYPE", "VALUE");
	for (size_t i = 0; i < gguf->n_kv; i++) {
		const struct mp_gguf_kv *kv = &gguf->kv[i];
		char key[MAX_SHOWN];

		mp_cell_put(out, mp_gguf_info_string(kv->key, key, sizeof(key)),
			    (struct mp_cell){.width = 38});
		mp_text_putc(out, ' ');
		put_type(out, kv);
		mp_text_putc(out, ' ');
		put_value(out, kv);
		mp_text_putc(out, '\n');
	}
}

static void put_tensors(struct mp_text *out, const struct mp_gguf_part *part)
{
	mp_text_printf(out, "\n%-30s %-8s %11s %11s  %s\n", "TENSOR", "TYPE", "OFFSET", "BYTES",
		       "DIMENSIONS");
	for (size_t i = 0; i < part->gguf.n_tensors; i++) {
		const struct mp_gguf_tensor *t = &part->gguf.tensors[i];
		char name[2 * MP_GGUF_MAX_NAME];
		char dims[MP_GGUF_DIMS_LEN];

		mp_cell_put(out, mp_gguf_info_string(t->name, name, sizeof(name)),
			    (struct mp_cell){.width = 30});
		mp_text_printf(out, " %-8s %11" PRIu64 " %11" PRIu64 "  %s\n", t->type->name,
			       t->offset, t->bytes, mp_gguf_dims(t, dims));
	}
}

/* "4.36 GiB (4677120000 bytes)" */
static void put_bytes(struct mp_text *out, uint64_t bytes)
{
	char human[MP_HUMAN_LEN];

	if (bytes < 1024)
		mp_text_printf(out, "%" PRIu64 " bytes", bytes);
	else
		mp_text_printf(out, "%s (%" PRIu64 " bytes)", mp_size_format(bytes, human), bytes);
}

static void put_text_of(struct mp_text *out, const struct mp_gguf *gguf, const char *key)
{
	struct mp_gguf_string s;
	char text[MAX_SHOWN];

	if (mp_gguf_text(gguf, key, &s))
		mp_text_putc(out, '-');
	else
		mp_cell_name(out, mp_gguf_info_string(s, text, sizeof(text)), SHOWN_COLUMNS);
}

static void put_shape(struct mp_text *out, const struct mp_gguf_info *info)
{
	const struct mp_model_shape *s = &info->shape;
	char parameters[MP_HUMAN_LEN];

	mp_text_puts(out, "  shape       ");
	if (info->has_shape)
		mp_text_printf(out,
			       "%u layers, hidden %u, ff %u, heads %u/%u of %u\n"
			       "  vocabulary  %u%s\n"
			       "  context     %u tokens\n",
			       s->layers, s->hidden, s->ff, s->heads, s->kv_heads, s->head_dim,
			       s->vocab, s->tied ? ", tied" : "", s->context_length);
	else
		mp_text_printf(out, "not known: %s\n", info->no_shape.text);
	mp_text_printf(out, "  level       %s\n", info->level ? info->level->name : "of its own");
	mp_text_printf(out, "  parameters  %s (%" PRIu64 ")\n",
		       mp_count_format(info->parameters, parameters), info->parameters);
}

static void put_tokenizer(struct mp_text *out, const struct mp_gguf *gguf)
{
	const struct mp_gguf_kv *tokens = mp_gguf_find(gguf, "tokenizer.ggml.tokens");

	mp_text_puts(out, "  tokenizer   ");
	put_text_of(out, gguf, "tokenizer.ggml.model");
	if (tokens)
		mp_text_printf(out, ", %" PRIu64 " tokens", tokens->n);
	mp_text_putc(out, '\n');
}

static void put_sums(struct mp_text *out, const struct mp_gguf_info *info)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(info->sums) && info->sums[i].bytes; i++) {
		const struct mp_gguf_type_sum *sum = &info->sums[i];
		char human[MP_HUMAN_LEN];

		mp_text_printf(out, "  %-10s  %-8s %10s in %" PRIu64 "\n", i ? "" : "types",
			       sum->type->name, mp_size_format(sum->bytes, human), sum->n_tensors);
	}
}

static void put_summary(struct mp_text *out, const struct mp_gguf_info *info)
{
	const struct mp_gguf_file *file = &info->file;
	const struct mp_gguf *gguf = &file->parts[0].gguf;

	mp_cell_name(out, file->parts[0].path, SIZE_MAX);
	mp_text_printf(out, ": GGUF version %u", gguf->version);
	if (file->n_parts > 1)
		mp_text_printf(out, ", %zu parts", file->n_parts);
	mp_text_puts(out, "\n  model       ");
	put_text_of(out, gguf, MP_GGUF_KEY_ARCHITECTURE);
	mp_text_puts(out, ", ");
	put_text_of(out, gguf, "general.name");
	mp_text_putc(out, '\n');
	put_shape(out, info);
	mp_text_puts(out, "  file        ");
	put_bytes(out, file->file_bytes);
	mp_text_puts(out, "\n  header      ");
	put_bytes(out, info->header_bytes);
	mp_text_printf(out, ", alignment %" PRIu64 "\n  tensors     %zu, ", gguf->alignment,
		       file->n_tensors);
	put_bytes(out, file->tensor_bytes);
	mp_text_putc(out, '\n');
	put_sums(out, info);
	put_tokenizer(out, gguf);
}

void mp_gguf_info_text(const struct mp_gguf_info *info, bool verbose, struct mp_text *out)
{
	put_summary(out, info);
	for (size_t no = 0; no < info->file.n_parts; no++) {
		const struct mp_gguf_part *part = &info->file.parts[no];

		if (info->file.n_parts > 1) {
			mp_text_printf(out, "\nPART %zu: ", no + 1);
			mp_cell_name(out, part->path, SIZE_MAX);
			mp_text_printf(out, ", %zu tensors, ", part->gguf.n_tensors);
			put_bytes(out, part->gguf.tensor_bytes);
			mp_text_putc(out, '\n');
		}
		put_keys(out, &part->gguf);
		if (verbose)
			put_tensors(out, part);
	}
}
