// SPDX-License-Identifier: GPL-2.0-only
#include "env/script.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "env/shell.h"

#define CPU_PERIOD_US 100000
#define MAX_CLEAN 4097

/* By this line such a script is known again. */
#define FIRST_LINES                                                                                \
	"#!/bin/sh\n"                                                                              \
	"# Made by memprobe-bpf env create-scripts, which writes it anew when it is called "       \
	"again.\n"

MP_INCLUDE_BYTES(run_in_profile, "user/env/run_in_profile.sh");

static const char body_begin[] = "# --- the profile ends here\n";

static void put_body(struct mp_text *out)
{
	const char *body = strstr(mp_run_in_profile_begin, body_begin) + strlen(body_begin);

	mp_text_add(out, body, (size_t)((uintptr_t)mp_run_in_profile_end - (uintptr_t)body));
}

void mp_script_write(struct mp_text *out, const struct mp_profile *profile)
{
	char description[MAX_CLEAN] = "";

	if (profile->description)
		mp_text_clean(profile->description, description, sizeof(description));
	mp_text_puts(out, FIRST_LINES "#\n");
	mp_text_printf(out, "# Runs a command in the device \"%s\"%s%s:\n", profile->name,
		       *description ? ", " : "", description);
	mp_text_puts(out, "#   sudo SCRIPT COMMAND [ARG]...\nset -u\n\nname=");
	mp_shell_quote(out, profile->name);
	mp_text_printf(out,
		       "\nlimit=%" PRIu64 "\nswap=%" PRIu64 "\ncpu_quota=", profile->limit_bytes,
		       profile->swap_bytes);
	if (profile->cpus > 0)
		mp_text_printf(out, "%ld", lround(profile->cpus * CPU_PERIOD_US));
	mp_text_putc(out, '\n');
	put_body(out);
}

int mp_script_path(const char *dir, const struct mp_profile *profile, char out[PATH_MAX])
{
	const char *name = profile->id ? profile->id : profile->name;
	size_t len = (size_t)snprintf(out, PATH_MAX, "%s/run_in_%s.sh", dir, name);

	return len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Whether a file can be written without harm: it is not there, or one of ours. */
static int check_place(const char *path)
{
	char first[sizeof(FIRST_LINES)] = "";
	MP_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : errno == ELOOP ? -EEXIST : -errno;
	if (read(fd, first, sizeof(first) - 1) < 0 || strcmp(first, FIRST_LINES) != 0)
		return -EEXIST;
	return 0;
}

static int fail(struct mp_error *err, int error, const char *path)
{
	bool denied = error == -EACCES || error == -EPERM || error == -EROFS;

	if (error == -EEXIST)
		return mp_fail(err, MP_EXIT_USAGE, EEXIST,
			       "%s is there and was not made by this command: move it away, or "
			       "give another --output-dir",
			       path);
	return mp_fail(err, denied ? MP_EXIT_PRIVILEGE : MP_EXIT_CHECK, -error,
		       "cannot write %s: %s: give another --output-dir", path, strerror(-error));
}

static int create(const char *path, const struct mp_profile *profile)
{
	struct mp_text MP_TEXT text = {0};

	mp_script_write(&text, profile);
	return text.failed ? -ENOMEM : mp_file_replace(path, text.data, text.len, 0755);
}

int mp_scripts_create(const char *dir, const struct mp_profiles *profiles, struct mp_error *err)
{
	char path[PATH_MAX];
	int error = mp_make_dirs(dir);

	if (error)
		return fail(err, error, dir);
	for (size_t i = 0; i < profiles->n; i++) {
		error = mp_script_path(dir, &profiles->items[i], path) ?: check_place(path);
		if (error)
			return fail(err, error, path);
	}
	for (size_t i = 0; i < profiles->n; i++) {
		mp_script_path(dir, &profiles->items[i], path);
		error = create(path, &profiles->items[i]);
		if (error)
			return fail(err, error, path);
	}
	return 0;
}
