// SPDX-License-Identifier: GPL-2.0-only
/* gguf sizes: what a model takes at each level, by its shape or by a file's own tensors. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/gguf.h"
#include "report/json.h"

#define BITS 8.0

struct row {
	const struct mp_quant_level *level; /* NULL: the file as it is */
	struct mp_model_size size;
	const struct mp_quant_level *better; /* no larger and of better quality, or NULL */
};

struct sizes {
	const struct mp_model *model; /* or NULL: of the file */
	struct mp_gguf_file file;
	struct mp_model_shape shape;
	uint64_t weights;
	const struct mp_quant_level *own; /* of the file */
	struct row *rows;
	size_t n_rows;
};

static void sizes_free(struct sizes *s)
{
	if (s->file.parts)
		mp_gguf_close(&s->file);
	free(s->rows);
}
#define SIZES MP_CLEANUP(sizes_free)

/* --- rows -------------------------------------------------------------------- */

static int size_at(const struct sizes *s, const struct mp_quant_level *level,
		   struct mp_model_size *ret, struct mp_error *err)
{
	int error;

	if (!s->model)
		return mp_gguf_size(&s->file, level, ret, err);
	error = mp_model_size(&s->shape, level, ret);
	if (error)
		return mp_fail(err, MP_EXIT_CONFIG, -error, "%s: its bytes do not fit 64 bits",
			       s->model->origin);
	return 0;
}

/* Of the levels whose quality is known, the best one that is no larger: why not that one? */
static int find_better(const struct sizes *s, struct row *row, struct mp_error *err)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);
	double best = row->level->perplexity;

	for (size_t i = 0; i < n; i++) {
		struct mp_model_size size;
		int error;

		if (!(levels[i].perplexity < best))
			continue;
		error = size_at(s, &levels[i], &size, err);
		if (error)
			return error;
		if (size.tensor_bytes > row->size.tensor_bytes)
			continue;
		best = levels[i].perplexity;
		row->better = &levels[i];
	}
	return 0;
}

static int add_row(struct sizes *s, const struct mp_quant_level *level, struct mp_error *err)
{
	struct row row = {.level = level};
	int error = size_at(s, level, &row.size, err);

	if (!error && level)
		error = find_better(s, &row, err);
	if (!error)
		s->rows[s->n_rows++] = row;
	return error;
}

static int add_rows(struct sizes *s, const struct mp_gguf_args *args, struct mp_error *err)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);
	int error = 0;

	n = args->levels ? args->n_levels : n;
	s->rows = calloc(n + 1, sizeof(*s->rows));
	if (!s->rows)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	if (!s->model && !s->own)
		error = add_row(s, NULL, err);
	for (size_t i = 0; i < n && !error; i++)
		error = add_row(s, args->levels ? args->levels[i] : &levels[i], err);
	return error;
}

/* --- what it is about -------------------------------------------------------- */

static int open_file(struct sizes *s, const char *path, struct mp_error *err)
{
	int error = mp_gguf_open(path, &s->file, err);

	error = error ?: mp_gguf_shape(&s->file, &s->shape, err);
	if (error)
		return error;
	s->own = mp_gguf_level(&s->file);
	s->weights = mp_gguf_weights(&s->file);
	return 0;
}

static int take_model(struct sizes *s, struct mp_cli *cli, struct mp_gguf_args *args,
		      struct mp_error *err)
{
	int error = mp_gguf_args_model(cli, args, &s->model, err);

	if (error)
		return error;
	s->shape = s->model->shape;
	s->weights = mp_model_parameters(&s->shape);
	return 0;
}

static int find_model(struct sizes *s, struct mp_cli *cli, struct mp_gguf_args *args,
		      struct mp_error *err)
{
	if (args->model_id && args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf sizes: a --model-id or a file, not both");
	if (!args->model_id && !args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf sizes: of which model? --model-id ID of models.yaml, or a "
			       "GGUF file");
	return args->model_id ? take_model(s, cli, args, err) : open_file(s, args->file, err);
}

/* --- output ------------------------------------------------------------------ */

static double bits_per_weight(const struct sizes *s, const struct row *row)
{
	return s->weights ? BITS * (double)row->size.tensor_bytes / (double)s->weights : NAN;
}

static const char *format_perplexity(const struct row *row, char out[MP_HUMAN_LEN])
{
	double rise = row->level ? row->level->perplexity : NAN;

	if (isnan(rise))
		return "-";
	snprintf(out, MP_HUMAN_LEN, "+%.4f", rise);
	return out;
}

static void print_row(const struct sizes *s, const struct row *row)
{
	char size[MP_HUMAN_LEN], repack[MP_HUMAN_LEN], perplexity[MP_HUMAN_LEN];

	printf("%-8s %15lu %9s %7.3f %9s %9s%s%s%s\n", row->level ? row->level->name : "as it is",
	       row->size.tensor_bytes, mp_size_format(row->size.tensor_bytes, size),
	       bits_per_weight(s, row),
	       row->size.repack_bytes ? mp_size_format(row->size.repack_bytes, repack) : "none",
	       format_perplexity(row, perplexity), row->better ? "  " : "",
	       row->better ? row->better->name : "",
	       row->level && row->level == s->own ? "  (as it is)" : "");
}

static const char legend[] =
	"\n"
	"BYTES   of all tensors; a file has its vocabulary besides\n"
	"REPACK  of them llama.cpp copies on x86-64, on top, unless --no-repack\n"
	"PPL+    rise of perplexity over F16, by llama.cpp's table of Llama-3-8B\n"
	"BETTER  a level that is no larger, and better by that table\n";

static void print_text(const struct sizes *s, const struct mp_gguf_args *args)
{
	char name[1024], weights[MP_HUMAN_LEN];

	mp_text_clean(s->model ? s->model->id : args->file, name, sizeof(name));
	printf("%s: %s, %u layers, %s weights\n\n", name, s->shape.architecture, s->shape.layers,
	       mp_count_format(s->weights, weights));
	printf("%-8s %15s %9s %7s %9s %9s  %s\n", "LEVEL", "BYTES", "SIZE", "BITS/W", "REPACK",
	       "PPL+", "BETTER");
	for (size_t i = 0; i < s->n_rows; i++)
		print_row(s, &s->rows[i]);
	fputs(legend, stdout);
}

static void put_row(struct mp_json *j, const struct sizes *s, const struct row *row)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "level", row->level ? row->level->name : NULL);
	mp_json_u64(j, "tensor_bytes", row->size.tensor_bytes);
	mp_json_u64(j, "n_tensors", row->size.n_tensors);
	mp_json_fixed(j, "bits_per_weight", bits_per_weight(s, row), 3);
	mp_json_u64(j, "repack_bytes", row->size.repack_bytes);
	mp_json_number(j, "perplexity_rise", row->level ? row->level->perplexity : NAN);
	mp_json_bool(j, "as_it_is", !s->model && row->level == s->own);
	mp_json_string(j, "no_larger_and_better", row->better ? row->better->name : NULL);
	mp_json_object_end(j);
}

static int print_json(const struct sizes *s, struct mp_error *err)
{
	struct mp_text MP_TEXT text = {0};
	struct mp_json j = {.out = &text};

	mp_json_object(&j, NULL);
	mp_json_string(&j, "model_id", s->model ? s->model->id : NULL);
	mp_json_array(&j, "levels");
	for (size_t i = 0; i < s->n_rows; i++)
		put_row(&j, s, &s->rows[i]);
	mp_json_array_end(&j);
	mp_json_object_end(&j);
	if (text.failed)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	printf("%s\n", text.data);
	return 0;
}

int mp_gguf_sizes(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	struct sizes SIZES s = {.model = NULL};
	int error = find_model(&s, cli, args, err);

	error = error ?: add_rows(&s, args, err);
	if (error)
		return error;
	if (args->format == MP_FORMAT_JSON)
		return print_json(&s, err);
	print_text(&s, args);
	return MP_EXIT_OK;
}
