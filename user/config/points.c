// SPDX-License-Identifier: GPL-2.0-only
#include "config/points.h"

#include <errno.h>
#include <string.h>

#include "base/level.h"
#include "config/pattern.h"
#include "config/yaml.h"

#define MAX_PATTERN 4096  /* bytes of a symbol or usdt pattern, PATH_MAX being part of it */
#define MAX_PATTERNS 1024 /* of a point */
#define MAX_CALL_ARGS 6	  /* passed in registers on x86-64, the fewest of the processors */
#define MAX_USDT_ARGS 12  /* what a note can have */
#define MAX_SITES 100000
#define MAX_THRESHOLD_MB (1 << 24) /* 16 TiB */
#define BYTES_PER_MB (1 << 20)
#define USDT_PREFIX "usdt:"

/* --- the struct ------------------------------------------------------------- */

static void point_free(struct mp_point *point)
{
	for (size_t i = 0; i < point->n_symbols; i++) {
		free(point->symbols[i].binary);
		free(point->symbols[i].symbol);
	}
	for (size_t i = 0; i < point->n_usdt; i++) {
		free(point->usdt[i].binary);
		free(point->usdt[i].provider);
		free(point->usdt[i].name);
	}
	for (size_t i = 0; i < point->n_args; i++)
		free(point->args[i].name);
	free(point->symbols);
	free(point->usdt);
	free(point->name);
	free(point->python);
	free(point->ret_name);
	free(point->origin);
	*point = (struct mp_point){0};
}
#define POINT MP_CLEANUP(point_free)

void mp_points_free(struct mp_points *points)
{
	for (size_t i = 0; i < points->n; i++)
		point_free(&points->items[i]);
	for (size_t i = 0; points->declared && i < MP_SPARE_POINTS; i++)
		point_free(&points->declared[i]);
	free(points->items);
	free(points->declared);
	*points = (struct mp_points){0};
}

const struct mp_point *mp_points_at(const struct mp_points *points, size_t index)
{
	size_t slot = index - points->n;

	if (index < points->n)
		return &points->items[index];
	if (!points->declared || slot >= MP_SPARE_POINTS || !points->declared[slot].name)
		return NULL;
	return &points->declared[slot];
}

int mp_points_declare(struct mp_points *points, size_t index, const char *name, enum mp_level level)
{
	size_t slot = index - points->n;
	struct mp_point *point;

	if (index < points->n || slot >= MP_SPARE_POINTS)
		return -ERANGE;
	if (!points->declared)
		points->declared = calloc(MP_SPARE_POINTS, sizeof(*points->declared));
	if (!points->declared)
		return -ENOMEM;
	point = &points->declared[slot];
	if (point->name)
		return 0;
	point->name = strdup(name);
	point->level = level;
	return point->name ? 1 : -ENOMEM;
}

size_t mp_point_size_arg(const struct mp_point *point)
{
	static const char *const names[] = {"size", "bytes", "n_bytes"};

	for (size_t i = 0; i < point->n_args; i++) {
		const struct mp_point_arg *arg = &point->args[i];

		if (arg->type != MP_ARG_U64 && arg->type != MP_ARG_S64)
			continue;
		for (size_t n = 0; n < MP_ARRAY_SIZE(names); n++) {
			if (strcmp(arg->name, names[n]) == 0)
				return i;
		}
	}
	return MP_NO_SIZE_ARG;
}

static const struct mp_point *find_point(const struct mp_points *points, const char *name)
{
	for (size_t i = 0; i < points->n; i++) {
		if (strcmp(points->items[i].name, name) == 0)
			return &points->items[i];
	}
	return NULL;
}

static int points_reserve(struct mp_points *points, size_t more)
{
	struct mp_point *items;

	if (more == 0)
		return 0;
	items = reallocarray(points->items, points->n + more, sizeof(*items));
	if (!items)
		return -ENOMEM;
	points->items = items;
	return 0;
}

/* Room was reserved before. */
static void points_add(struct mp_points *points, struct mp_point *point)
{
	points->items[points->n++] = *point;
	*point = (struct mp_point){0};
}

static int add_symbol(struct mp_point *point, const char *text)
{
	struct mp_symbol_pattern *grown;

	grown = reallocarray(point->symbols, point->n_symbols + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	point->symbols = grown;
	grown += point->n_symbols++;
	*grown = (struct mp_symbol_pattern){0};
	return mp_symbol_split(text, grown);
}

static int add_usdt(struct mp_point *point, const char *text)
{
	struct mp_usdt_pattern *grown;

	grown = reallocarray(point->usdt, point->n_usdt + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	point->usdt = grown;
	grown += point->n_usdt++;
	*grown = (struct mp_usdt_pattern){0};
	return mp_usdt_split(text, grown);
}

/* --- the file --------------------------------------------------------------- */

struct points_reader {
	const struct mp_points *before; /* names that are taken */
	struct mp_points points;
};

struct point_reader {
	struct mp_point point;
	yaml_node_t *args; /* read last: their range depends on the kind of point */
};

/* What is wrong with a text, or NULL. */
typedef const char *(*problem_fn)(const char *text);

/* Borrowed text that has no problem. */
static int sound_text(struct mp_yaml *y, const char *what, yaml_node_t *node, size_t max,
		      problem_fn problem_of, const char **ret)
{
	const char *problem;
	int err = mp_yaml_text(y, what, node, max, ret);

	if (err)
		return err;
	problem = problem_of(*ret);
	return problem ? mp_yaml_fail(y, node, "%s", problem) : 0;
}

static int copy_text(struct mp_yaml *y, const char *text, char **ret)
{
	*ret = strdup(text);
	return *ret ? 0 : mp_yaml_no_memory(y);
}

static int read_name(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		     void *data)
{
	struct point_reader *reader = data;
	const char *text;
	int err = sound_text(y, field->name, value, SIZE_MAX, mp_name_problem, &text);

	return err ? err : copy_text(y, text, &reader->point.name);
}

static void level_names(const char *names[MP_LEVEL_COUNT])
{
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++)
		names[i] = mp_level_name((enum mp_level)i);
}

static int read_level(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	struct point_reader *reader = data;
	const char *names[MP_LEVEL_COUNT];
	int level;

	level_names(names);
	level = mp_yaml_choice(y, field->name, value, names, MP_LEVEL_COUNT);
	if (level < 0)
		return level;
	reader->point.level = (enum mp_level)level;
	return 0;
}

static int read_python(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	struct point_reader *reader = data;
	const char *text;
	int err = sound_text(y, field->name, value, MAX_PATTERN, mp_python_problem, &text);

	return err ? err : copy_text(y, text, &reader->point.python);
}

static int read_symbol(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct point_reader *reader = data;
	const char *text;
	int err = sound_text(y, "a symbol", item, MAX_PATTERN, mp_symbol_problem, &text);

	if (err)
		return err;
	if (reader->point.n_symbols == MAX_PATTERNS)
		return mp_yaml_fail(y, item, "a point has at most %d symbols", MAX_PATTERNS);
	return add_symbol(&reader->point, text) ? mp_yaml_no_memory(y) : 0;
}

static int read_symbols(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			void *data)
{
	return mp_yaml_each_text(y, field->name, value, read_symbol, data);
}

static int read_usdt(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct point_reader *reader = data;
	const char *text;
	int err = sound_text(y, "a usdt probe", item, MAX_PATTERN, mp_usdt_problem, &text);

	if (err)
		return err;
	if (reader->point.n_usdt == MAX_PATTERNS)
		return mp_yaml_fail(y, item, "a point has at most %d usdt probes", MAX_PATTERNS);
	return add_usdt(&reader->point, text) ? mp_yaml_no_memory(y) : 0;
}

static int read_usdts(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	return mp_yaml_each_text(y, field->name, value, read_usdt, data);
}

static int keep_args(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		     void *data)
{
	struct point_reader *reader = data;

	(void)y;
	(void)field;
	reader->args = value;
	return 0;
}

/* What stands for one value: an argument of the call, or what it returns. */
struct value_reader {
	unsigned int index;
	unsigned int max_index;
	const char *name;
	enum mp_arg_type type;
};

static int read_value_index(struct mp_yaml *y, const struct mp_yaml_field *field,
			    yaml_node_t *value, void *data)
{
	struct value_reader *reader = data;
	const struct mp_yaml_field range = {
		.name = field->name, .min = 1, .max = reader->max_index};
	uint64_t index;
	int err = mp_yaml_number(y, &range, value, &index);

	if (err)
		return err;
	reader->index = (unsigned int)index;
	return 0;
}

static int read_value_name(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			   void *data)
{
	struct value_reader *reader = data;
	int err = mp_yaml_text(y, field->name, value, MP_MAX_NAME, &reader->name);

	if (err)
		return err;
	if (!mp_is_identifier(reader->name, strlen(reader->name)))
		return mp_yaml_fail(y, value, "the name of a value is letters, digits and _");
	return 0;
}

static int read_value_type(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			   void *data)
{
	struct value_reader *reader = data;
	const char *names[MP_ARG_TYPE_COUNT];
	int type;

	for (size_t i = 0; i < MP_ARG_TYPE_COUNT; i++)
		names[i] = mp_arg_type_name((enum mp_arg_type)i);
	type = mp_yaml_choice(y, field->name, value, names, MP_ARG_TYPE_COUNT);
	if (type < 0)
		return type;
	reader->type = (enum mp_arg_type)type;
	return 0;
}

static int read_arg(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "index", .read = read_value_index, .required = true},
		{.name = "name", .read = read_value_name, .required = true},
		{.name = "type", .read = read_value_type},
	};
	struct mp_point *point = data;
	bool is_call = point->n_symbols || point->python;
	struct value_reader reader = {.max_index = is_call ? MAX_CALL_ARGS : MAX_USDT_ARGS};
	struct mp_point_arg *arg;
	int err;

	if (point->n_args == MP_MAX_ARGS)
		return mp_yaml_fail(y, item, "a point has at most %d arguments", MP_MAX_ARGS);
	err = mp_yaml_fields(y, item, "an argument", fields, MP_ARRAY_SIZE(fields), &reader);
	if (err)
		return err;
	for (size_t i = 0; i < point->n_args; i++) {
		if (strcmp(point->args[i].name, reader.name) == 0)
			return mp_yaml_fail(y, item, "a second argument with the name \"%s\"",
					    reader.name);
	}
	arg = &point->args[point->n_args++];
	arg->index = reader.index;
	arg->type = reader.type;
	return copy_text(y, reader.name, &arg->name);
}

static int read_return(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "name", .read = read_value_name},
		{.name = "type", .read = read_value_type},
	};
	struct mp_point *point = &((struct point_reader *)data)->point;
	struct value_reader reader = {.name = "ret"};
	int err = mp_yaml_fields(y, value, field->name, fields, MP_ARRAY_SIZE(fields), &reader);

	if (err)
		return err;
	point->has_ret = true;
	point->ret_type = reader.type;
	return copy_text(y, reader.name, &point->ret_name);
}

static int read_threshold(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			  void *data)
{
	struct point_reader *reader = data;
	uint64_t mb;
	int err = mp_yaml_number(y, field, value, &mb);

	if (err)
		return err;
	reader->point.threshold_bytes = mb * BYTES_PER_MB;
	return 0;
}

static int read_max_sites(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			  void *data)
{
	struct point_reader *reader = data;
	uint64_t sites;
	int err = mp_yaml_number(y, field, value, &sites);

	if (err)
		return err;
	reader->point.max_sites = (size_t)sites;
	return 0;
}

static const struct mp_yaml_field point_fields[] = {
	{.name = "name", .read = read_name, .required = true},
	{.name = "level", .read = read_level, .required = true},
	{.name = "python", .read = read_python},
	{.name = "symbol", .read = read_symbols},
	{.name = "usdt", .read = read_usdts},
	{.name = "args", .read = keep_args},
	{.name = "return", .read = read_return},
	{.name = "threshold_mb", .read = read_threshold, .max = MAX_THRESHOLD_MB},
	{.name = "optional",
	 .read = mp_yaml_to_bool,
	 .offset = offsetof(struct point_reader, point.optional)},
	{.name = "marker",
	 .read = mp_yaml_to_bool,
	 .offset = offsetof(struct point_reader, point.marker)},
	{.name = "max_sites", .read = read_max_sites, .min = 1, .max = MAX_SITES},
};

static int set_origin(const struct mp_yaml *y, const yaml_node_t *node, struct mp_point *point)
{
	if (asprintf(&point->origin, "%s:%zu:%zu", y->name, node->start_mark.line + 1,
		     node->start_mark.column + 1) >= 0)
		return 0;
	point->origin = NULL;
	return mp_yaml_no_memory(y);
}

static int fill_point(struct mp_yaml *y, yaml_node_t *item, struct point_reader *reader)
{
	struct mp_point *point = &reader->point;
	int err;

	point->max_sites = MP_DEFAULT_MAX_SITES;
	err = mp_yaml_fields(y, item, "a point", point_fields, MP_ARRAY_SIZE(point_fields), reader);
	if (err)
		return err;
	if (reader->args) {
		err = mp_yaml_each_item(y, "args", reader->args, read_arg, point);
		if (err)
			return err;
	}
	if (!point->n_symbols && !point->n_usdt && !point->python && !point->marker)
		return mp_yaml_fail(y, item,
				    "point \"%s\" needs a symbol, a usdt probe, a python path or "
				    "\"marker: true\"",
				    point->name);
	return set_origin(y, item, point);
}

static const struct mp_point *find_taken(const struct points_reader *reader, const char *name)
{
	const struct mp_point *taken = find_point(reader->before, name);

	return taken ? taken : find_point(&reader->points, name);
}

static void point_reader_free(struct point_reader *reader)
{
	point_free(&reader->point);
}

static int read_point(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct points_reader *reader = data;
	MP_CLEANUP(point_reader_free) struct point_reader one = {0};
	const struct mp_point *taken;
	int err;

	if (reader->before->n + reader->points.n == MP_MAX_POINTS)
		return mp_yaml_fail(y, item, "there are at most %d points", MP_MAX_POINTS);
	err = fill_point(y, item, &one);
	if (err)
		return err;
	taken = find_taken(reader, one.point.name);
	if (taken)
		return mp_yaml_fail(y, item, "a second point \"%s\": the first is at %s",
				    one.point.name, taken->origin);
	if (points_reserve(&reader->points, 1))
		return mp_yaml_no_memory(y);
	points_add(&reader->points, &one.point);
	return 0;
}

static int read_points(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	return mp_yaml_each_item(y, field->name, value, read_point, data);
}

static void points_reader_free(struct points_reader *reader)
{
	mp_points_free(&reader->points);
}

int mp_points_parse(struct mp_points *points, const char *name, const char *text, size_t len,
		    struct mp_error *err)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "version", .read = mp_yaml_version, .required = true},
		{.name = "points", .read = read_points, .required = true},
	};
	MP_CLEANUP(points_reader_free) struct points_reader reader = {.before = points};
	MP_YAML struct mp_yaml y = {0};
	int ret = mp_yaml_open(&y, name, text, len, err);

	if (ret)
		return ret;
	ret = mp_yaml_fields(&y, mp_yaml_root(&y), "the file", fields, MP_ARRAY_SIZE(fields),
			     &reader);
	if (ret)
		return ret;
	if (points_reserve(points, reader.points.n))
		return mp_yaml_no_memory(&y);
	for (size_t i = 0; i < reader.points.n; i++)
		points_add(points, &reader.points.items[i]);
	reader.points.n = 0;
	return 0;
}

int mp_points_load(struct mp_points *points, const char *path, struct mp_error *err)
{
	MP_FREE char *text = NULL;
	size_t len;
	int ret = mp_yaml_read_file(path, &text, &len, err);

	if (ret)
		return ret;
	return mp_points_parse(points, path, text, len, err);
}

/* --- --point ---------------------------------------------------------------- */

struct option {
	const char *spec;
	struct mp_error *err;
};

static int fail_option(const struct option *option, const char *problem)
{
	mp_fail(option->err, MP_EXIT_USAGE, EINVAL, "--point '%.200s': %s", option->spec, problem);
	return -EINVAL;
}

static int parse_option_level(const struct option *option, const char *level,
			      enum mp_level *ret_level)
{
	const char *names[MP_LEVEL_COUNT];
	char problem[MP_CHOICE_LEN];
	int found = mp_level_parse(level);

	if (found >= 0) {
		*ret_level = (enum mp_level)found;
		return 0;
	}
	level_names(names);
	return fail_option(option,
			   mp_yaml_not_one_of("level", level, names, MP_LEVEL_COUNT, problem));
}

static int parse_option_place(const struct option *option, const char *place,
			      struct mp_point *point)
{
	bool is_usdt = strncmp(place, USDT_PREFIX, strlen(USDT_PREFIX)) == 0;
	const char *text = is_usdt ? place + strlen(USDT_PREFIX) : place;
	const char *problem = is_usdt ? mp_usdt_problem(text) : mp_symbol_problem(text);

	if (problem)
		return fail_option(option, problem);
	return is_usdt ? add_usdt(point, text) : add_symbol(point, text);
}

/* NAME=LEVEL@PLACE, cut into three in place. */
static int split_option(const struct option *option, char *copy, char **ret_level, char **ret_place)
{
	char *level = strchr(copy, '=');
	char *place = level ? strchr(level, '@') : NULL;

	if (!place)
		return fail_option(option, "it is written NAME=LEVEL@[BINARY:]SYMBOL, or "
					   "NAME=LEVEL@usdt:[BINARY:]PROVIDER:NAME");
	*level = '\0';
	*place = '\0';
	*ret_level = level + 1;
	*ret_place = place + 1;
	return 0;
}

static int parse_option(const struct option *option, char *copy, struct mp_point *point)
{
	const char *problem;
	char *level = NULL;
	char *place = NULL;
	int err = split_option(option, copy, &level, &place);

	if (err)
		return err;
	problem = mp_name_problem(copy);
	if (problem)
		return fail_option(option, problem);
	err = parse_option_level(option, level, &point->level);
	if (err)
		return err;
	point->max_sites = MP_DEFAULT_MAX_SITES;
	point->name = strdup(copy);
	point->origin = strdup("--point");
	if (!point->name || !point->origin)
		return -ENOMEM;
	return parse_option_place(option, place, point);
}

int mp_points_add_option(struct mp_points *points, const char *spec, struct mp_error *err)
{
	const struct option option = {.spec = spec, .err = err};
	MP_FREE char *copy = strdup(spec);
	POINT struct mp_point point = {0};
	const struct mp_point *taken;
	int ret = copy ? parse_option(&option, copy, &point) : -ENOMEM;

	if (!ret)
		ret = points_reserve(points, 1);
	if (ret == -ENOMEM)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "memory ran out while reading --point");
	if (ret)
		return ret;
	if (points->n == MP_MAX_POINTS)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--point '%.200s': there are at most %d points", spec,
			       MP_MAX_POINTS);
	taken = find_point(points, point.name);
	if (taken)
		return mp_fail(err, MP_EXIT_USAGE, EEXIST,
			       "--point '%.200s': a second point \"%s\": the first is at %s", spec,
			       point.name, taken->origin);
	points_add(points, &point);
	return 0;
}
