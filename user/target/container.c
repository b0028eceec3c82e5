// SPDX-License-Identifier: GPL-2.0-only
/* A container is known by the memory cgroup that its engine made for it. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "target/private.h"

/* From this many hex digits on, a beginning is as good as the whole id. */
#define MIN_ID_PREFIX 12

enum match {
	MATCH_NONE = 0,
	MATCH_PREFIX,
	MATCH_WHOLE,
};

struct search {
	const char *id;
	size_t id_len;
	bool may_be_prefix;
	enum match best;
	char *path;  /* the first group that matches as well as `best` */
	char *other; /* a second one: the id is ambiguous */
};

static size_t hex_digits(const char *s)
{
	return strspn(s, "0123456789abcdef");
}

/* "docker-ID.scope" and its kin hold the id at a place of their own. */
static const char *id_in_name(const char *name, size_t *ret_len)
{
	static const struct {
		const char *prefix;
		const char *suffix;
	} forms[] = {
		{"docker-", ".scope"}, {"cri-containerd-", ".scope"}, {"crio-", ".scope"},
		{"libpod-", ".scope"}, {"nerdctl-", ".scope"},	      {"lxc.payload.", ""},
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < MP_ARRAY_SIZE(forms); i++) {
		size_t before = strlen(forms[i].prefix);
		size_t after = strlen(forms[i].suffix);

		if (len <= before + after || strncmp(name, forms[i].prefix, before) != 0 ||
		    strcmp(name + len - after, forms[i].suffix) != 0)
			continue;
		*ret_len = len - before - after;
		return name + before;
	}
	*ret_len = len;
	return name;
}

static enum match match_id(const struct search *search, const char *id, size_t len)
{
	if (len < search->id_len || strncmp(id, search->id, search->id_len) != 0)
		return MATCH_NONE;
	if (len == search->id_len)
		return MATCH_WHOLE;
	return search->may_be_prefix && hex_digits(id) >= len ? MATCH_PREFIX : MATCH_NONE;
}

static enum match match_group(const struct search *search, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t len;
	const char *id = id_in_name(name, &len);
	enum match match = match_id(search, id, len);

	return match || id == name ? match : match_id(search, name, strlen(name));
}

static int visit_group(void *data, const char *path)
{
	struct search *search = data;
	enum match match = match_group(search, path);
	char *copy;

	if (match == MATCH_NONE || match < search->best)
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	if (match > search->best) {
		free(search->path);
		free(search->other);
		search->other = NULL;
		search->path = copy;
		search->best = match;
	} else {
		free(search->other);
		search->other = copy;
	}
	return 0;
}

static int fail_not_found(struct mp_error *err, const struct mp_cgroups *cg, const char *id)
{
	size_t len = strlen(id);

	if (hex_digits(id) == len && len < MIN_ID_PREFIX)
		return mp_fail(err, MP_EXIT_TARGET, ENOENT,
			       "--target container:%s: no such container; an id takes %d or more "
			       "hex digits: docker ps --no-trunc",
			       id, MIN_ID_PREFIX);
	return mp_fail(err, MP_EXIT_TARGET, ENOENT,
		       "--target container:%s: no memory cgroup below %s bears that id; a running "
		       "container's id: docker inspect -f '{{.Id}}' NAME",
		       id, cg->memory_mount);
}

int mp_container_find(const struct mp_cgroups *cg, const char *id, char **ret_path,
		      struct mp_error *err)
{
	struct search search = {.id = id, .id_len = strlen(id)};
	MP_FREE char *path = NULL;
	MP_FREE char *other = NULL;
	int failed;

	search.may_be_prefix = search.id_len >= MIN_ID_PREFIX && hex_digits(id) == search.id_len;
	failed = mp_cgroup_walk(cg, visit_group, &search);
	path = search.path;
	other = search.other;
	if (failed)
		return mp_fail(err, MP_EXIT_TARGET, -failed,
			       "--target container:%s: searching %s: %s", id, cg->memory_mount,
			       strerror(-failed));
	if (!path)
		return fail_not_found(err, cg, id);
	if (other)
		return mp_fail(err, MP_EXIT_TARGET, EEXIST,
			       "--target container:%s: ambiguous: %s and %s; give more of the id, "
			       "or cgroup:PATH",
			       id, path, other);
	*ret_path = MP_TAKE(path);
	return 0;
}
