// SPDX-License-Identifier: GPL-2.0-only
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

int mp_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The link fails where the rename would replace. */
static int publish_new(const char *temporary, const char *path)
{
	if (link(temporary, path) == 0)
		return unlink(temporary) ? -errno : 0;
	if (errno == EEXIST)
		return -EEXIST;
	/* No links on this file system. */
	return rename(temporary, path) ? -errno : 0;
}

static int put(const char *path, const char *data, size_t len, mode_t mode, bool is_new)
{
	char temporary[PATH_MAX];
	MP_CLOSE int fd = -1;
	int error;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = mp_write_all(fd, data, len);
	if (!error && (fchmod(fd, mode) || fsync(fd)))
		error = -errno;
	if (!error && is_new)
		error = publish_new(temporary, path);
	else if (!error && rename(temporary, path))
		error = -errno;
	if (error)
		unlink(temporary);
	return error;
}

int mp_file_replace(const char *path, const char *data, size_t len, mode_t mode)
{
	return put(path, data, len, mode, false);
}

int mp_file_create(const char *path, const char *data, size_t len, mode_t mode)
{
	return put(path, data, len, mode, true);
}

int mp_make_dirs(const char *dir)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(path))
		return len ? -ENAMETOOLONG : -ENOENT;
	memcpy(path, dir, len + 1);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}
