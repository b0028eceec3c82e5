// SPDX-License-Identifier: GPL-2.0-only
#include "model/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

#define MODE 0666

int mp_new_file_open_nameless(const char *dir, int *ret_fd)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);

	/* What a kernel or file system without it says about a folder that is opened for writing.
	 */
	if (fd < 0)
		return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
	*ret_fd = fd;
	return 0;
}

static int dir_of(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (!slash)
		strcpy(out, ".");
	else if (len == 0)
		strcpy(out, "/");
	else
		*(char *)mempcpy(out, path, len) = '\0';
	return 0;
}

/* Beside `path`, and nobody's so far. */
static int spare_name(const char *path, char out[PATH_MAX])
{
	unsigned long long now = mp_clock_now_ns();
	int len = snprintf(out, PATH_MAX, "%s.%d-%llx", path, getpid(), now);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int mp_new_file_open(struct mp_new_file *file, const char *path)
{
	char dir[PATH_MAX];
	int error = dir_of(path, dir);

	error = error ?: mp_new_file_open_nameless(dir, &file->fd);
	if (error != -EOPNOTSUPP)
		return error;
	error = spare_name(path, file->name);
	if (error)
		return error;
	file->fd = open(file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
	return file->fd < 0 ? -errno : 0;
}

static int give_name(struct mp_new_file *file, const char *path)
{
	char self[64];
	int error = spare_name(path, file->name);

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	if (!error && linkat(AT_FDCWD, self, AT_FDCWD, file->name, AT_SYMLINK_FOLLOW))
		error = -errno;
	if (error)
		file->name[0] = '\0';
	return error;
}

int mp_new_file_publish(struct mp_new_file *file, const char *path)
{
	int error = fsync(file->fd) ? -errno : 0;

	/* No link replaces what is there: it needs a name to be renamed. */
	if (!error && !file->name[0])
		error = give_name(file, path);
	if (!error && rename(file->name, path))
		error = -errno;
	if (!error)
		file->name[0] = '\0';
	return error;
}

void mp_new_file_end(struct mp_new_file *file)
{
	if (file->name[0])
		unlink(file->name);
	mp_close_p(&file->fd);
	file->fd = -1;
	file->name[0] = '\0';
}
