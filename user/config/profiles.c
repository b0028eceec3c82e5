// SPDX-License-Identifier: GPL-2.0-only
#include "config/profiles.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/names.h"
#include "base/size.h"
#include "base/text.h"
#include "config/yaml.h"

#define MAX_PROFILES 256
#define MAX_NAME 128
#define MAX_DESCRIPTION 1024
#define MAX_MB (1 << 24) /* 16 TiB */
#define MAX_CPUS 4096
#define BYTES_PER_MB (1ULL << 20)
#define LEAST_LIMIT (1ULL << 20) /* the kernel itself needs some to start a process in */

static void profile_free(struct mp_profile *p)
{
	free(p->name);
	free(p->id);
	free(p->description);
	free(p->origin);
	*p = (struct mp_profile){0};
}
#define PROFILE MP_CLEANUP(profile_free)

void mp_profiles_free(struct mp_profiles *profiles)
{
	for (size_t i = 0; i < profiles->n; i++)
		profile_free(&profiles->items[i]);
	free(profiles->items);
	*profiles = (struct mp_profiles){0};
}

/* --- one profile ------------------------------------------------------------- */

static bool is_name(const char *text)
{
	char clean[4 * MAX_NAME + 1];

	mp_text_clean(text, clean, sizeof(clean));
	return text[0] != '-' && !strchr(text, '/') && strcmp(clean, text) == 0;
}

/* Names are arguments of commands, and parts of file names. */
static int read_name(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		     void *data)
{
	const char *text;
	int error = mp_yaml_text(y, field->name, value, MAX_NAME, &text);

	if (error)
		return error;
	if (!is_name(text))
		return mp_yaml_fail(y, value,
				    "%s \"%s\": a name begins with no dash and has no slash, "
				    "backslash or control character",
				    field->name, text);
	return mp_yaml_copy_text(y, field->name, value, MAX_NAME,
				 (char **)((char *)data + field->offset));
}

static int read_description(struct mp_yaml *y, const struct mp_yaml_field *field,
			    yaml_node_t *value, void *data)
{
	return mp_yaml_copy_text(y, field->name, value, MAX_DESCRIPTION,
				 (char **)((char *)data + field->offset));
}

static int read_mb(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		   void *data)
{
	uint64_t mb;
	int error = mp_yaml_number(y, field, value, &mb);

	if (!error)
		*(uint64_t *)((char *)data + field->offset) = mb * BYTES_PER_MB;
	return error;
}

static int read_limit(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	uint64_t *limit = (uint64_t *)((char *)data + field->offset);
	const char *text;
	int error = mp_yaml_text(y, field->name, value, MAX_NAME, &text);

	if (error)
		return error;
	if (mp_size_parse(text, limit) || *limit < LEAST_LIMIT)
		return mp_yaml_fail(y, value,
				    "%s \"%s\": a size of at least 1M, such as 1.96G or 512M",
				    field->name, text);
	return 0;
}

static int read_cgroups(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			void *data)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "memory.limit_in_bytes",
		 .read = read_limit,
		 .offset = offsetof(struct mp_profile, limit_bytes),
		 .required = true},
	};

	(void)field;
	return mp_yaml_fields(y, value, "cgroups", fields, MP_ARRAY_SIZE(fields), data);
}

static const struct mp_yaml_field profile_fields[] = {
	{.name = "name",
	 .read = read_name,
	 .offset = offsetof(struct mp_profile, name),
	 .required = true},
	{.name = "id", .read = read_name, .offset = offsetof(struct mp_profile, id)},
	{.name = "description",
	 .read = read_description,
	 .offset = offsetof(struct mp_profile, description)},
	{.name = "total_mem",
	 .read = read_mb,
	 .offset = offsetof(struct mp_profile, total_bytes),
	 .min = 1,
	 .max = MAX_MB,
	 .required = true},
	{.name = "swap_size",
	 .read = read_mb,
	 .offset = offsetof(struct mp_profile, swap_bytes),
	 .min = 0,
	 .max = MAX_MB,
	 .required = true},
	{.name = "cpus",
	 .read = mp_yaml_to_double,
	 .offset = offsetof(struct mp_profile, cpus),
	 .min = 0.01,
	 .max = MAX_CPUS},
	{.name = "cgroups", .read = read_cgroups, .required = true},
};

/* --- the list ---------------------------------------------------------------- */

static bool is_called(const struct mp_profile *p, const char *name)
{
	return strcmp(p->name, name) == 0 || (p->id && strcmp(p->id, name) == 0);
}

static const struct mp_profile *find(const struct mp_profiles *profiles, const char *name)
{
	for (size_t i = 0; i < profiles->n; i++) {
		if (is_called(&profiles->items[i], name))
			return &profiles->items[i];
	}
	return NULL;
}

static int check_profile(struct mp_yaml *y, yaml_node_t *node, const struct mp_profiles *profiles,
			 const struct mp_profile *p)
{
	const struct mp_profile *other = find(profiles, p->name);

	if (!other && p->id)
		other = find(profiles, p->id);
	if (other)
		return mp_yaml_fail(y, node, "profile \"%s\": its name or id is that of %s",
				    p->name, other->origin);
	if (p->limit_bytes > p->total_bytes)
		return mp_yaml_fail(y, node,
				    "profile \"%s\": memory.limit_in_bytes is above total_mem",
				    p->name);
	return 0;
}

static int read_profile(struct mp_yaml *y, yaml_node_t *node, void *data)
{
	struct mp_profiles *profiles = data;
	struct mp_profile PROFILE p = {0};
	struct mp_profile *items;
	int error = mp_yaml_fields(y, node, "a profile", profile_fields,
				   MP_ARRAY_SIZE(profile_fields), &p);

	error = error ?: check_profile(y, node, profiles, &p);
	error = error ?: mp_yaml_origin(y, node, &p.origin);
	if (error)
		return error;
	if (profiles->n == MAX_PROFILES)
		return mp_yaml_fail(y, node, "more than %d profiles", MAX_PROFILES);
	items = reallocarray(profiles->items, profiles->n + 1, sizeof(*items));
	if (!items)
		return mp_yaml_no_memory(y);
	profiles->items = items;
	items[profiles->n++] = p;
	p = (struct mp_profile){0};
	return 0;
}

static int read_profiles(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			 void *data)
{
	return mp_yaml_each_item(y, field->name, value, read_profile, data);
}

int mp_profiles_parse(struct mp_profiles *profiles, const char *name, const char *text, size_t len,
		      struct mp_error *err)
{
	/* The documented system's files have no version. */
	static const struct mp_yaml_field fields[] = {
		{.name = "version", .read = mp_yaml_version},
		{.name = "simulation_profiles", .read = read_profiles, .required = true},
	};
	struct mp_profiles MP_PROFILES read = {0};
	int error = mp_yaml_parse(name, text, len, fields, MP_ARRAY_SIZE(fields), &read, err);

	if (error)
		return error;
	mp_profiles_free(profiles);
	*profiles = read;
	read = (struct mp_profiles){0};
	return 0;
}

int mp_profiles_load(struct mp_profiles *profiles, const char *path, struct mp_error *err)
{
	MP_FREE char *text = NULL;
	size_t len;
	int error = mp_yaml_read_file(path, &text, &len, err);

	return error ? error : mp_profiles_parse(profiles, path, text, len, err);
}

static int names_of(const struct mp_profiles *profiles, const char **names)
{
	size_t n = 0;

	for (size_t i = 0; i < profiles->n; i++) {
		names[n++] = profiles->items[i].name;
		if (profiles->items[i].id)
			names[n++] = profiles->items[i].id;
	}
	return (int)n;
}

const struct mp_profile *mp_profile_find(const struct mp_profiles *profiles, const char *name,
					 struct mp_error *err)
{
	const struct mp_profile *found = find(profiles, name);
	struct mp_text MP_TEXT list = {0};
	const char *names[2 * MAX_PROFILES];
	const char *near;

	if (found)
		return found;
	near = mp_name_suggest(names, (size_t)names_of(profiles, names), name);
	for (size_t i = 0; i < profiles->n; i++) {
		const struct mp_profile *p = &profiles->items[i];

		mp_text_printf(&list, "%s%s%s%s%s", i ? ", " : "", p->name, p->id ? " (" : "",
			       p->id ? p->id : "", p->id ? ")" : "");
	}
	mp_fail(err, MP_EXIT_USAGE, ENOENT, "there is no profile %s%s%s%s; there are %s", name,
		near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
		list.data ? list.data : "none");
	return NULL;
}
