// SPDX-License-Identifier: GPL-2.0-only
#include "cli/advise.h"

#include <errno.h>
#include <string.h>

#include "abi.h"
#include "base/size.h"
#include "cli/profile.h"
#include "model/advice_rows.h"
#include "report/report_model.h"

#define MAX_CONTEXT (1U << 24) /* tokens */

int mp_advising_parse_context(const char *value, uint32_t *ret, struct mp_error *err)
{
	uint64_t tokens;

	if (mp_number_parse(value, MAX_CONTEXT, &tokens) || tokens == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--context %s: tokens, a whole number from 1 to %u", value,
			       MAX_CONTEXT);
	*ret = (uint32_t)tokens;
	return 0;
}

int mp_advising_parse_context_or_none(const char *value, uint32_t *ret, struct mp_error *err)
{
	if (strcmp(value, "0") != 0)
		return mp_advising_parse_context(value, ret, err);
	*ret = 0;
	return 0;
}

/* --- the model ------------------------------------------------------------------------------- */

static int open_file(struct mp_advising *a, const char *path, struct mp_error *err)
{
	int error = mp_gguf_open(path, &a->file, err);

	error = error ?: mp_gguf_shape(&a->file, &a->shape, err);
	if (error)
		return error;
	a->path = path;
	a->own = mp_gguf_level(&a->file);
	a->input.file = &a->file;
	return 0;
}

static int take_model(struct mp_advising *a, const char *model_id, struct mp_error *err)
{
	a->model = mp_models_find(&a->models, model_id, err);
	if (!a->model)
		return -EINVAL;
	a->shape = a->model->shape;
	return 0;
}

/* No more than the model was trained for. */
static uint32_t default_context(const struct mp_model_shape *shape)
{
	uint32_t trained = shape->context_length;

	return trained && trained < MP_ADVICE_CONTEXT ? trained : MP_ADVICE_CONTEXT;
}

int mp_advising_find(const struct mp_cli *cli, const char *what, const char *model_id,
		     const char *path, struct mp_advising *a, struct mp_error *err)
{
	int error;

	if (!model_id == !path)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "%s: of which model? Either --model-id ID of models.yaml, or a "
			       "GGUF file by --model",
			       what);
	error = mp_cli_load_models(cli, &a->models, err);
	if (error)
		return error;
	a->input = (struct mp_advice_input){
		.shape = &a->shape,
		.n_ubatch = MP_ADVICE_UBATCH,
		.repack = true,
		.runtime = MP_RUNTIME_LLAMA,
		.metadata = MP_UNKNOWN,
	};
	error = model_id ? take_model(a, model_id, err) : open_file(a, path, err);
	a->input.context = default_context(&a->shape);
	return error;
}

/* Of all levels, when those that were asked for do not fit. */
static int find_other(struct mp_advising *a, struct mp_error *err)
{
	struct mp_advice MP_CLEANUP(mp_advice_free) all = {0};
	int error = mp_advise(&a->input, NULL, 0, &all, err);

	if (!error && all.best)
		a->other = all.best->level;
	return error;
}

static bool needs_smaller(const struct mp_advising *a)
{
	const struct mp_advice *advice = a->advice.n ? &a->advice : &a->as_it_is;

	return !a->other && (!advice->best || mp_advice_is_poor(advice));
}

int mp_advising_work_out(struct mp_advising *a, const struct mp_quant_level *const *levels,
			 size_t n, struct mp_error *err)
{
	int error = a->path ? mp_advise_file(&a->input, &a->as_it_is, err) : 0;

	error = error ?: mp_advise(&a->input, levels, n, &a->advice, err);
	if (error == -ENOTSUP && a->path && !levels)
		error = 0; /* of a mix that only itself has: it is about the file as it is */
	if (!error && levels && !a->advice.best)
		error = find_other(a, err);
	if (!error && needs_smaller(a))
		a->smaller = mp_advise_smaller(&a->input, &a->models, &a->smaller_level);
	return error;
}

void mp_advising_free(struct mp_advising *a)
{
	mp_advice_free(&a->advice);
	mp_advice_free(&a->as_it_is);
	if (a->path)
		mp_gguf_close(&a->file);
	mp_models_free(&a->models);
	*a = (struct mp_advising){0};
}

/* --- what came of it ------------------------------------------------------------------------- */

const char *mp_advising_optimal(const struct mp_advising *a)
{
	return a->advice.best ? a->advice.best->level->name : NULL;
}

bool mp_advising_fits(const struct mp_advising *a)
{
	return a->advice.best || a->as_it_is.best;
}

void mp_advising_say(struct mp_text *out, const struct mp_advising *a)
{
	bool has_levels = a->advice.n > 0;

	if (a->path)
		mp_advice_sentence(out, &a->input, &a->as_it_is, has_levels ? NULL : a->smaller,
				   a->smaller_level);
	if (a->path && has_levels)
		mp_text_putc(out, ' ');
	if (has_levels)
		mp_advice_sentence(out, &a->input, &a->advice, a->smaller, a->smaller_level);
	if (a->other)
		mp_text_printf(out, " Of the other levels %s fits.", a->other->name);
}

static void put_level(struct mp_json *j, const char *key, const char *name,
		      const struct mp_level_advice *a)
{
	struct mp_quantization_row row = mp_advice_row(a);

	row.level = name;
	mp_json_object(j, key);
	mp_report_put_level(j, &row);
	mp_json_u64(j, "most_context", a->most_context);
	mp_json_object_end(j);
}

static void put_smaller(struct mp_json *j, const struct mp_advising *a)
{
	if (!a->smaller) {
		mp_json_string(j, "smaller", NULL);
		return;
	}
	mp_json_object(j, "smaller");
	mp_json_string(j, "model_id", a->smaller->id);
	mp_json_string(j, "level", a->smaller_level->name);
	mp_json_object_end(j);
}

void mp_advising_put(struct mp_json *j, const struct mp_advising *a)
{
	MP_TEXT struct mp_text words = {0};

	mp_advising_say(&words, a);
	mp_json_string(j, "current_optimal", mp_advising_optimal(a));
	mp_json_string(j, "advice", words.data);
	mp_json_u64(j, "usable", mp_advice_usable(&a->input));
	mp_json_string(j, "model_id", a->model ? a->model->id : NULL);
	mp_json_string(j, "file", a->path);
	mp_json_u64(j, "context", a->input.context);
	put_smaller(j, a);
	if (a->path)
		put_level(j, "as_it_is", a->own ? a->own->name : NULL, &a->as_it_is.levels[0]);
	else
		mp_json_string(j, "as_it_is", NULL);
	mp_json_array(j, "levels");
	for (size_t i = 0; i < a->advice.n; i++)
		put_level(j, NULL, a->advice.levels[i].level->name, &a->advice.levels[i]);
	mp_json_array_end(j);
}
