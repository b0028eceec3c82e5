// SPDX-License-Identifier: GPL-2.0-only
#include "config/models.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"
#include "base/size.h"
#include "base/text.h"
#include "config/yaml.h"

#define MAX_MODELS 1024
#define MAX_ALIASES 16
#define MAX_ID 128
#define MAX_TEXT 1024
#define MAX_PATH 4096
#define MAX_COUNT UINT32_MAX
#define DEFAULT_ROPE_BASE 10000.0 /* as llama.cpp takes it where a file has none */
#define DEFAULT_RMS_EPS 1e-5

/* What `files` may name: the levels of model/quant.c, which is above this module. */
static const char *const level_names[] = {
	"Q2_K",	  "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "IQ4_NL", "Q4_0",
	"Q4_K_S", "Q4_K_M", "Q4_1",   "Q5_0",	"Q5_K_S", "Q5_K_M", "Q5_1",
	"Q6_K",	  "Q8_0",   "F16",    "BF16",	"F32",
};

static void model_free(struct mp_model *m)
{
	for (size_t i = 0; i < m->n_aliases; i++)
		free(m->aliases[i]);
	for (size_t i = 0; i < m->n_paths; i++) {
		free(m->paths[i].level);
		free(m->paths[i].path);
	}
	free(m->aliases);
	free(m->paths);
	free(m->id);
	free(m->description);
	free(m->source);
	free(m->origin);
	*m = (struct mp_model){0};
}
#define MODEL MP_CLEANUP(model_free)

void mp_models_free(struct mp_models *models)
{
	for (size_t i = 0; i < models->n; i++)
		model_free(&models->items[i]);
	free(models->items);
	*models = (struct mp_models){0};
}

/* --- shapes ------------------------------------------------------------------ */

static const char *wrong_heads(const struct mp_model_shape *s)
{
	if (s->heads == 0 || s->head_dim == 0 || (uint64_t)s->heads * s->head_dim > MP_MAX_WIDTH)
		return "heads x head_dim is from 1 to 16777216";
	if (s->kv_heads == 0 || s->kv_heads > s->heads)
		return "kv_heads are from 1 to heads";
	if (s->heads % s->kv_heads)
		return "heads are no multiple of kv_heads";
	return NULL;
}

const char *mp_model_shape_wrong(const struct mp_model_shape *s)
{
	if (s->layers == 0 || s->layers > MP_MAX_LAYERS)
		return "layers are from 1 to 4096";
	if (s->hidden == 0 || s->hidden > MP_MAX_WIDTH)
		return "hidden is from 1 to 16777216";
	if (s->ff == 0 || s->ff > MP_MAX_WIDTH)
		return "ff is from 1 to 16777216";
	if (s->vocab == 0 || s->vocab > MP_MAX_WIDTH)
		return "vocab is from 1 to 16777216";
	return wrong_heads(s);
}

uint64_t mp_model_parameters(const struct mp_model_shape *s)
{
	uint64_t q = (uint64_t)s->heads * s->head_dim;
	uint64_t kv = (uint64_t)s->kv_heads * s->head_dim;
	uint64_t norms = 2 * (uint64_t)s->hidden + (s->qk_norm ? 2 * (uint64_t)s->head_dim : 0);
	uint64_t biases = s->qkv_bias ? q + 2 * kv : 0;
	uint64_t attention = 2 * (uint64_t)s->hidden * (q + kv);
	uint64_t layer = norms + biases + attention + 3 * (uint64_t)s->hidden * s->ff;
	uint64_t tables = (uint64_t)s->vocab * s->hidden * (s->tied ? 1 : 2);

	return tables + s->hidden + (uint64_t)s->layers * layer;
}

/* --- one model --------------------------------------------------------------- */

static int read_line(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		     void *data)
{
	return mp_yaml_copy_text(y, field->name, value, MAX_TEXT,
				 (char **)((char *)data + field->offset));
}

static bool is_id(const char *text)
{
	return text[0] != '-' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-")] == '\0';
}

/* Ids are arguments of commands, and parts of file names. */
static int read_id_text(struct mp_yaml *y, const char *what, yaml_node_t *value, char **ret)
{
	const char *text;
	int error = mp_yaml_text(y, what, value, MAX_ID, &text);

	if (error)
		return error;
	if (!is_id(text))
		return mp_yaml_fail(y, value,
				    "%s \"%s\": letters, digits, dots, dashes and underscores, "
				    "no dash at the start",
				    what, text);
	return mp_yaml_copy_text(y, what, value, MAX_ID, ret);
}

static int read_id(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		   void *data)
{
	return read_id_text(y, field->name, value, &((struct mp_model *)data)->id);
}

static int read_alias(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct mp_model *m = data;
	char **aliases;
	int error;

	if (m->n_aliases == MAX_ALIASES)
		return mp_yaml_fail(y, item, "more than %d aliases", MAX_ALIASES);
	aliases = reallocarray(m->aliases, m->n_aliases + 1, sizeof(*aliases));
	if (!aliases)
		return mp_yaml_no_memory(y);
	m->aliases = aliases;
	error = read_id_text(y, "an alias", item, &aliases[m->n_aliases]);
	if (!error)
		m->n_aliases++;
	return error;
}

static int read_aliases(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			void *data)
{
	return mp_yaml_each_text(y, field->name, value, read_alias, data);
}

static int read_architecture(struct mp_yaml *y, const struct mp_yaml_field *field,
			     yaml_node_t *value, void *data)
{
	struct mp_model *m = data;
	const char *text;
	int error = mp_yaml_text(y, field->name, value, sizeof(m->shape.architecture) - 1, &text);

	if (error)
		return error;
	if (!is_id(text))
		return mp_yaml_fail(y, value,
				    "architecture \"%s\": as llama.cpp calls it, "
				    "such as llama or qwen2",
				    text);
	memcpy(m->shape.architecture, text, strlen(text) + 1);
	return 0;
}

static int read_count(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	uint64_t count;
	int error = mp_yaml_number(y, field, value, &count);

	if (!error)
		*(uint32_t *)((char *)data + field->offset) = (uint32_t)count;
	return error;
}

static int read_file(struct mp_yaml *y, size_t index, yaml_node_t *value, void *data)
{
	struct mp_model *m = data;
	struct mp_model_path *paths = reallocarray(m->paths, m->n_paths + 1, sizeof(*paths));
	struct mp_model_path *path;

	if (!paths)
		return mp_yaml_no_memory(y);
	m->paths = paths;
	path = &paths[m->n_paths++];
	*path = (struct mp_model_path){.level = strdup(level_names[index])};
	if (!path->level)
		return mp_yaml_no_memory(y);
	return mp_yaml_copy_text(y, path->level, value, MAX_PATH, &path->path);
}

static int read_files(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	return mp_yaml_each_key(y, value, field->name, level_names, MP_ARRAY_SIZE(level_names),
				read_file, data);
}

#define SHAPE(member) offsetof(struct mp_model, shape.member)
#define COUNT(key, most, needed)                                                                   \
	{                                                                                          \
		.name = #key, .read = read_count, .offset = SHAPE(key), .min = 1, .max = (most),   \
		.required = (needed)                                                               \
	}
#define FLAG(key)                                                                                  \
	{                                                                                          \
		.name = #key, .read = mp_yaml_to_bool, .offset = SHAPE(key)                        \
	}

static const struct mp_yaml_field model_fields[] = {
	{.name = "id", .read = read_id, .required = true},
	{.name = "aliases", .read = read_aliases},
	{.name = "description",
	 .read = read_line,
	 .offset = offsetof(struct mp_model, description)},
	{.name = "source",
	 .read = read_line,
	 .offset = offsetof(struct mp_model, source),
	 .required = true},
	{.name = "architecture", .read = read_architecture, .required = true},
	COUNT(layers, MP_MAX_LAYERS, true),
	COUNT(hidden, MP_MAX_WIDTH, true),
	COUNT(ff, MP_MAX_WIDTH, true),
	COUNT(heads, MP_MAX_WIDTH, true),
	COUNT(kv_heads, MP_MAX_WIDTH, true),
	COUNT(head_dim, MP_MAX_WIDTH, false),
	COUNT(vocab, MP_MAX_WIDTH, true),
	FLAG(tied),
	FLAG(qkv_bias),
	FLAG(qk_norm),
	FLAG(rope_factors),
	COUNT(context_length, MAX_COUNT, true),
	{.name = "rope_base",
	 .read = mp_yaml_to_double,
	 .offset = SHAPE(rope_base),
	 .min = 1,
	 .max = 1e12},
	{.name = "rms_eps",
	 .read = mp_yaml_to_double,
	 .offset = SHAPE(rms_eps),
	 .min = 1e-12,
	 .max = 1},
	{.name = "files", .read = read_files},
};

static int finish_shape(struct mp_yaml *y, yaml_node_t *node, const char *id,
			struct mp_model_shape *s)
{
	const char *wrong;

	if (s->head_dim == 0 && s->hidden % s->heads)
		return mp_yaml_fail(y, node,
				    "model \"%s\": hidden is no multiple of heads, and there is no "
				    "head_dim",
				    id);
	s->head_dim = s->head_dim ?: s->hidden / s->heads;
	wrong = mp_model_shape_wrong(s);
	return wrong ? mp_yaml_fail(y, node, "model \"%s\": %s", id, wrong) : 0;
}

/* --- the list ---------------------------------------------------------------- */

static bool is_called(const struct mp_model *m, const char *name)
{
	if (strcasecmp(m->id, name) == 0)
		return true;
	for (size_t i = 0; i < m->n_aliases; i++) {
		if (strcasecmp(m->aliases[i], name) == 0)
			return true;
	}
	return false;
}

/* The number of models: none of them. */
static size_t find(const struct mp_models *models, const char *name)
{
	size_t i = 0;

	while (i < models->n && !is_called(&models->items[i], name))
		i++;
	return i;
}

static int check_names(struct mp_yaml *y, yaml_node_t *node, const struct mp_models *models,
		       const struct mp_model *m)
{
	size_t other = find(models, m->id);

	for (size_t i = 0; i < m->n_aliases && other == models->n; i++)
		other = find(models, m->aliases[i]);
	if (other == models->n)
		return 0;
	return mp_yaml_fail(y, node, "model \"%s\": its id or an alias is that of %s", m->id,
			    models->items[other].origin);
}

static int read_model(struct mp_yaml *y, yaml_node_t *node, void *data)
{
	struct mp_models *models = data;
	struct mp_model MODEL m = {
		.shape = {.rope_base = DEFAULT_ROPE_BASE, .rms_eps = DEFAULT_RMS_EPS}};
	struct mp_model *items;
	int error =
		mp_yaml_fields(y, node, "a model", model_fields, MP_ARRAY_SIZE(model_fields), &m);

	error = error ?: finish_shape(y, node, m.id, &m.shape);
	error = error ?: check_names(y, node, models, &m);
	error = error ?: mp_yaml_origin(y, node, &m.origin);
	if (error)
		return error;
	if (models->n == MAX_MODELS)
		return mp_yaml_fail(y, node, "more than %d models", MAX_MODELS);
	items = reallocarray(models->items, models->n + 1, sizeof(*items));
	if (!items)
		return mp_yaml_no_memory(y);
	models->items = items;
	items[models->n++] = m;
	m = (struct mp_model){0};
	return 0;
}

static int read_models(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	return mp_yaml_each_item(y, field->name, value, read_model, data);
}

int mp_models_parse(struct mp_models *models, const char *name, const char *text, size_t len,
		    struct mp_error *err)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "version", .read = mp_yaml_version, .required = true},
		{.name = "models", .read = read_models, .required = true},
	};
	struct mp_models MP_MODELS read = {0};
	int error = mp_yaml_parse(name, text, len, fields, MP_ARRAY_SIZE(fields), &read, err);

	if (error)
		return error;
	mp_models_free(models);
	*models = read;
	read = (struct mp_models){0};
	return 0;
}

int mp_models_load(struct mp_models *ret, const char *path, struct mp_error *err)
{
	MP_FREE char *text = NULL;
	size_t len;
	int error = mp_yaml_read_file(path, &text, &len, err);

	return error ? error : mp_models_parse(ret, path, text, len, err);
}

static size_t names_of(const struct mp_models *models, const char **names)
{
	size_t n = 0;

	for (size_t i = 0; i < models->n; i++) {
		names[n++] = models->items[i].id;
		for (size_t j = 0; j < models->items[i].n_aliases; j++)
			names[n++] = models->items[i].aliases[j];
	}
	return n;
}

static const char *near_name(const struct mp_models *models, const char *id)
{
	MP_FREE const char **names = calloc(models->n * (1 + MAX_ALIASES) + 1, sizeof(*names));

	return names ? mp_name_suggest(names, names_of(models, names), id) : NULL;
}

static void fail_unknown(const struct mp_models *models, const char *id, struct mp_error *err)
{
	const char *near = near_name(models, id);
	struct mp_text MP_TEXT list = {0};

	for (size_t i = 0; i < models->n; i++)
		mp_text_printf(&list, "%s%s", i ? ", " : "", models->items[i].id);
	mp_fail(err, MP_EXIT_USAGE, ENOENT, "there is no model %s%s%s%s; there are %s", id,
		near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
		list.data ? list.data : "none");
}

const struct mp_model *mp_models_find(const struct mp_models *models, const char *id,
				      struct mp_error *err)
{
	size_t found = find(models, id);

	if (found < models->n)
		return &models->items[found];
	fail_unknown(models, id, err);
	return NULL;
}
