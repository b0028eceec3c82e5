// SPDX-License-Identifier: GPL-2.0-only
/* --target: what the user wrote. */
#include "target/target.h"

#include <errno.h>
#include <string.h>

#include "base/names.h"
#include "base/size.h"
#include "target/private.h"

#define KNOWN_KINDS "pid:N, comm:NAME, exe:PATH, cgroup:PATH or container:ID"

static const char *const kind_names[] = {
	[MP_TARGET_PID] = "pid",       [MP_TARGET_COMM] = "comm",	    [MP_TARGET_EXE] = "exe",
	[MP_TARGET_CGROUP] = "cgroup", [MP_TARGET_CONTAINER] = "container",
};

static int fail_parse(struct mp_error *err, const char *spec, const char *problem)
{
	return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--target %s: %s", spec, problem);
}

/* A word without a kind: say which one was most likely meant. */
static int fail_bare_word(struct mp_error *err, const char *word)
{
	const char *kind = "comm";

	if (!*word)
		return fail_parse(err, "''", "empty; give a pid, " KNOWN_KINDS);
	if (strncmp(word, "/sys/fs/cgroup", strlen("/sys/fs/cgroup")) == 0)
		kind = "cgroup";
	else if (strchr(word, '/'))
		kind = "exe";
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "--target %s: not a pid; did you mean --target %s:%s?", word, kind, word);
}

static int fail_kind(struct mp_error *err, const char *spec, const char *kind)
{
	const char *near = mp_name_suggest(kind_names, MP_ARRAY_SIZE(kind_names), kind);

	if (!near)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--target %s: no kind \"%s\"; give " KNOWN_KINDS, spec, kind);
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "--target %s: no kind \"%s\"; did you mean --target %s%s?", spec, kind, near,
		       spec + strlen(kind));
}

static int parse_pid(const char *spec, const char *text, pid_t *ret, struct mp_error *err)
{
	uint64_t pid;

	if (mp_number_parse(text, INT32_MAX, &pid) || pid == 0)
		return fail_parse(err, spec, "a pid is a positive number; see: ps -e");
	*ret = (pid_t)pid;
	return 0;
}

/* Splits KIND:TEXT; a bare number is a pid. */
static int parse_kind(const char *spec, enum mp_target_kind *ret_kind, const char **ret_text,
		      struct mp_error *err)
{
	const char *colon = strchr(spec, ':');
	MP_FREE char *kind = NULL;
	int found;

	if (!colon) {
		*ret_kind = MP_TARGET_PID;
		*ret_text = spec;
		return *spec && spec[strspn(spec, "-0123456789")] == '\0'
			       ? 0
			       : fail_bare_word(err, spec);
	}
	kind = strndup(spec, (size_t)(colon - spec));
	if (!kind)
		return mp_fail_memory(err);
	found = mp_name_find(kind_names, MP_ARRAY_SIZE(kind_names), kind);
	if (found < 0)
		return fail_kind(err, spec, kind);
	*ret_kind = (enum mp_target_kind)found;
	*ret_text = colon + 1;
	return 0;
}

static char *copy_text(enum mp_target_kind kind, const char *text)
{
	const size_t comm_max = sizeof(((struct mp_process *)NULL)->comm) - 1;

	return kind == MP_TARGET_COMM ? strndup(text, comm_max) : strdup(text);
}

int mp_target_parse(const char *text, struct mp_target_spec *ret, struct mp_error *err)
{
	MP_CLEANUP(mp_target_spec_free) struct mp_target_spec spec = {0};
	const char *rest = "";
	int failed = parse_kind(text, &spec.kind, &rest, err);

	if (failed)
		return failed;
	if (!*rest)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--target %s: nothing behind \"%s:\"",
			       text, kind_names[spec.kind]);
	if (spec.kind == MP_TARGET_PID) {
		failed = parse_pid(text, rest, &spec.pid, err);
		if (failed)
			return failed;
	}
	spec.text = copy_text(spec.kind, rest);
	spec.origin = strdup(text);
	if (!spec.text || !spec.origin)
		return mp_fail_memory(err);
	*ret = spec;
	spec = (struct mp_target_spec){0};
	return 0;
}

void mp_target_spec_free(struct mp_target_spec *spec)
{
	free(spec->text);
	free(spec->origin);
	*spec = (struct mp_target_spec){0};
}
