// SPDX-License-Identifier: GPL-2.0-only
#include "cli/gguf_info.h"

#include <errno.h>

#include "cli/gguf.h"

const char *mp_gguf_info_string(struct mp_gguf_string s, char *out, size_t size)
{
	size_t len = 0;

	for (uint64_t i = 0; i < s.len && len + 2 < size; i++) {
		if (s.data[i]) {
			out[len++] = s.data[i];
			continue;
		}
		out[len++] = '\xc0';
		out[len++] = '\x80';
	}
	out[len] = '\0';
	return out;
}

static void add_tensor(struct mp_gguf_info *info, const struct mp_gguf_tensor *t)
{
	struct mp_gguf_type_sum *sum = &info->sums[t->type->id];

	sum->type = t->type;
	sum->n_tensors++;
	sum->bytes += t->bytes;
}

static int larger_first(const void *left, const void *right)
{
	const struct mp_gguf_type_sum *a = left;
	const struct mp_gguf_type_sum *b = right;

	return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

static int gather(const char *path, struct mp_gguf_info *info, struct mp_error *err)
{
	int error = mp_gguf_open(path, &info->file, err);

	if (error)
		return error;
	for (size_t no = 0; no < info->file.n_parts; no++) {
		const struct mp_gguf *gguf = &info->file.parts[no].gguf;

		info->header_bytes += gguf->data_offset;
		for (size_t i = 0; i < gguf->n_tensors; i++)
			add_tensor(info, &gguf->tensors[i]);
	}
	info->parameters = mp_gguf_weights(&info->file);
	qsort(info->sums, MP_ARRAY_SIZE(info->sums), sizeof(info->sums[0]), larger_first);
	info->has_shape = mp_gguf_shape(&info->file, &info->shape, &info->no_shape) == 0;
	info->level = mp_gguf_level(&info->file);
	return 0;
}

int mp_gguf_info(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	struct mp_gguf_info info = {.has_shape = false};
	struct mp_text MP_TEXT text = {0};
	int error;

	if (!args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "gguf info: a file is needed");
	error = gather(args->file, &info, err);
	if (error)
		return error;
	if (args->format == MP_FORMAT_JSON)
		mp_gguf_info_json(&info, &text);
	else
		mp_gguf_info_text(&info, cli->verbose, &text);
	mp_gguf_close(&info.file);
	if (text.failed)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "%s: out of memory", args->file);
	fputs(text.data, stdout);
	return 0;
}
