// SPDX-License-Identifier: GPL-2.0-only
#include "base/fsroot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "base/size.h"

#define FIRST_READ 4096

int mp_read_file(const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	MP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	MP_FREE char *data = NULL;
	size_t cap = 0;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (len + 1 >= cap) {
			char *grown;

			cap = cap ? cap * 2 : FIRST_READ;
			grown = realloc(data, cap);
			if (!grown)
				return -ENOMEM;
			data = grown;
		}
		n = read(fd, data + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret_data = MP_TAKE(data);
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int format_path(const struct mp_fsroot *fs, char out[PATH_MAX], const char *fmt, va_list ap)
{
	size_t used = strlen(fs->root);
	int n;

	if (used >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, fs->root, used);
	n = vsnprintf(out + used, PATH_MAX - used, fmt, ap);
	return n < 0 || (size_t)n >= PATH_MAX - used ? -ENAMETOOLONG : 0;
}

int mp_fsroot_path(const struct mp_fsroot *fs, char out[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = format_path(fs, out, fmt, ap);
	va_end(ap);
	return err;
}

int mp_read_file_at(const struct mp_fsroot *fs, size_t max, char **ret_data, size_t *ret_len,
		    const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = format_path(fs, path, fmt, ap);
	va_end(ap);
	return err ? err : mp_read_file(path, max, ret_data, ret_len);
}

int mp_meminfo_field(const char *text, const char *key, uint64_t *ret_bytes)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		char *end;
		unsigned long long kb;

		line += *line == '\n';
		if (strncmp(line, key, len) != 0 || line[len] != ':')
			continue;
		errno = 0;
		kb = strtoull(line + len + 1, &end, 10);
		if (errno || strncmp(end, " kB", 3) != 0 || kb > UINT64_MAX / 1024)
			return -EINVAL;
		*ret_bytes = kb * 1024;
		return 0;
	}
	return -ENOENT;
}
