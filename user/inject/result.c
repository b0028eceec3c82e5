// SPDX-License-Identifier: GPL-2.0-only
#include "inject/result.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "config/points.h"

#define VERSION 1
#define MAX_FUNCTIONS 1000
#define MAX_STRING 1024

static void json_decref_p(json_t **json)
{
	json_decref(*json);
}
#define MP_JSON MP_CLEANUP(json_decref_p)

void mp_result_free(struct mp_result *result)
{
	for (size_t i = 0; i < result->n_points; i++) {
		struct mp_result_point *point = &result->points[i];

		for (size_t j = 0; j < point->n_functions; j++)
			free(point->functions[j]);
		free(point->functions);
		free(point->name);
		free(point->reason);
	}
	free(result->points);
	free(result->python);
	free(result->error);
	*result = (struct mp_result){0};
}

/* What is long is cut: it is shown, and nothing else. */
static int take_string(const json_t *value, char **ret)
{
	const char *text = json_string_value(value);

	if (!text || json_string_length(value) != strlen(text))
		return -EBADMSG;
	*ret = strndup(text, MAX_STRING);
	return *ret ? 0 : -ENOMEM;
}

/* null and "" are none. */
static int take_optional(const json_t *value, char **ret)
{
	if (!value || json_is_null(value) ||
	    (json_is_string(value) && json_string_length(value) == 0))
		return 0;
	return take_string(value, ret);
}

static int take_status(const json_t *value, enum mp_site_status *ret)
{
	static const struct {
		const char *name;
		enum mp_site_status status;
	} known[] = {{"attached", MP_SITE_ATTACHED},
		     {"waiting", MP_SITE_WAITING},
		     {"failed", MP_SITE_FAILED},
		     {"removed", MP_SITE_WAITING}};
	const char *name = json_string_value(value);

	for (size_t i = 0; name && i < MP_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0) {
			*ret = known[i].status;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_functions(const json_t *list, struct mp_result_point *point)
{
	size_t n = json_array_size(list);
	int err = 0;

	if (!json_is_array(list) || n > MAX_FUNCTIONS)
		return -EBADMSG;
	point->functions = calloc(n + 1, sizeof(*point->functions));
	if (!point->functions)
		return -ENOMEM;
	for (; point->n_functions < n && !err; point->n_functions++)
		err = take_string(json_array_get(list, point->n_functions),
				  &point->functions[point->n_functions]);
	return err;
}

static int take_point(const json_t *entry, struct mp_result_point *point)
{
	int err = take_string(json_object_get(entry, "name"), &point->name);

	err = err ?: take_status(json_object_get(entry, "status"), &point->status);
	err = err ?: take_functions(json_object_get(entry, "functions"), point);
	return err ?: take_optional(json_object_get(entry, "reason"), &point->reason);
}

static int take_points(const json_t *list, struct mp_result *result)
{
	size_t n = json_array_size(list);
	int err = 0;

	if (!json_is_array(list) || n > MP_MAX_POINTS)
		return -EBADMSG;
	result->points = calloc(n + 1, sizeof(*result->points));
	if (!result->points)
		return -ENOMEM;
	for (; result->n_points < n && !err; result->n_points++)
		err = take_point(json_array_get(list, result->n_points),
				 &result->points[result->n_points]);
	return err;
}

static int take_result(const json_t *root, const char *token, struct mp_result *result)
{
	const char *own = json_string_value(json_object_get(root, "token"));
	int err;

	if (json_integer_value(json_object_get(root, "version")) != VERSION || !own ||
	    strcmp(own, token) != 0)
		return -EBADMSG;
	err = take_string(json_object_get(root, "python"), &result->python);
	err = err ?: take_optional(json_object_get(root, "error"), &result->error);
	return err ?: take_points(json_object_get(root, "points"), result);
}

int mp_result_parse(const char *text, size_t len, const char *token, struct mp_result *ret,
		    struct mp_error *err)
{
	MP_RESULT struct mp_result result = {0};
	json_error_t problem;
	MP_JSON json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
	int error = root ? take_result(root, token, &result) : -EBADMSG;

	if (error == -EBADMSG)
		return mp_fail(err, MP_EXIT_TARGET, EBADMSG,
			       "what the script answered makes no sense%s%s", root ? "" : ": ",
			       root ? "" : problem.text);
	if (error)
		return mp_fail(err, MP_EXIT_OOM, -error, "no memory for what the script answered");
	*ret = result;
	result = (struct mp_result){0};
	return 0;
}
