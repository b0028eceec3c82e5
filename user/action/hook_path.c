// SPDX-License-Identifier: GPL-2.0-only
/* Whether a hook may be run: nobody but root may have a say in what root runs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "action/hook.h"

const char *mp_hook_weakness(const struct stat *st)
{
	if (st->st_uid != 0)
		return "does not belong to root";
	/* A sticky bit keeps others from replacing files, not from adding them first. */
	if (st->st_mode & S_IWOTH)
		return "can be written by everyone";
	/* With an ACL, the group bits are the most that it grants to anyone. */
	if (st->st_mode & S_IWGRP)
		return "can be written by its group";
	return NULL;
}

static int fail_link(const char *path, const char *part, struct mp_error *err)
{
	MP_FREE char *real = realpath(path, NULL);

	return mp_fail(err, MP_EXIT_CONFIG, ELOOP,
		       "hook:%s: %s is a symbolic link: name the real path%s%s", path, part,
		       real ? ", hook:" : "", real ? real : "");
}

/* One step of the way, whose attributes are judged on the opened file itself. */
static int check_part(int fd, const char *path, const char *part, struct mp_error *err)
{
	const char *weakness;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return mp_fail(err, MP_EXIT_CONFIG, errno, "hook:%s: %s: %m", path, part);
	if (S_ISLNK(st.st_mode))
		return fail_link(path, part, err);
	weakness = mp_hook_weakness(&st);
	if (weakness)
		return mp_fail(err, MP_EXIT_CONFIG, EPERM,
			       "hook:%s: %s %s: what runs as root must be changeable by root only",
			       path, part, weakness);
	return 0;
}

/* Walks from the root folder to the file without following a link. */
static int check_way(const char *path, struct mp_error *err)
{
	MP_CLOSE int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *end = path;
	int ret = check_part(fd, path, "/", err);

	while (ret == 0) {
		const char *name = end + strspn(end, "/");
		char part[PATH_MAX];
		int next;

		end = name + strcspn(name, "/");
		if (end == name)
			break;
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		next = openat(fd, strrchr(part, '/') + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return mp_fail(err, MP_EXIT_CONFIG, errno, "hook:%s: %s: %m", path, part);
		close(fd);
		fd = next;
		ret = check_part(fd, path, part, err);
	}
	return ret;
}

static int check_file(const char *path, struct mp_error *err)
{
	MP_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return mp_fail(err, MP_EXIT_CONFIG, errno, "hook:%s: %m", path);
	if (!S_ISREG(st.st_mode))
		return mp_fail(err, MP_EXIT_CONFIG, EINVAL, "hook:%s is not a regular file", path);
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return mp_fail(err, MP_EXIT_CONFIG, errno,
			       "hook:%s cannot be executed: %m (chmod +x?)", path);
	return 0;
}

int mp_hook_check_path(const char *path, bool as_root, struct mp_error *err)
{
	int ret = 0;

	if (path[0] != '/')
		return mp_fail(err, MP_EXIT_CONFIG, EINVAL,
			       "hook:%s is not an absolute path: it must start with /", path);
	if (strlen(path) >= PATH_MAX)
		return mp_fail(err, MP_EXIT_CONFIG, ENAMETOOLONG, "hook:%s: %s", path,
			       strerror(ENAMETOOLONG));
	if (as_root)
		ret = check_way(path, err);
	return ret ? ret : check_file(path, err);
}
