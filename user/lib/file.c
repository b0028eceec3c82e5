// SPDX-License-Identifier: GPL-2.0-only
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/memprobe.h"

#define NUMBER_TEXT 64
#define STDERR 2

int mp_lib_join(char *out, size_t size, const char *a, const char *b, const char *c)
{
	const char *const parts[] = {a, b, c};
	size_t used = 0;

	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(parts[i]);

		if (len >= size - used)
			return -ENAMETOOLONG;
		memcpy(out + used, parts[i], len + 1);
		used += len;
	}
	return 0;
}

int mp_lib_number(const char **at, uint64_t *ret)
{
	const char *s = *at;
	uint64_t value = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return -EBADMSG;
	if (s == *at)
		return -EBADMSG;
	*at = s;
	*ret = value;
	return 0;
}

int mp_lib_kib_field(const char *line, const char *key, uint64_t *ret_bytes)
{
	size_t len = strlen(key);
	uint64_t bytes;
	uint64_t kib;

	if (strncmp(line, key, len) != 0)
		return -ENOENT;
	line += len;
	line += strspn(line, " \t");
	if (mp_lib_number(&line, &kib) || strcmp(line, " kB") != 0 ||
	    __builtin_mul_overflow(kib, 1024, &bytes))
		return -EBADMSG;
	*ret_bytes = bytes;
	return 0;
}

/* --- system calls at which a thread cannot be cancelled ------------------------ */

static void close_fd(int fd)
{
	syscall(SYS_close, fd);
}

/* The numbers 0 to 2 are never ours, also in a program that has closed them. */
static int open_fd(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	int moved;

	if (fd < 0)
		return -errno;
	if (fd > STDERR)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR + 1);
	if (moved < 0)
		moved = -errno;
	close_fd(fd);
	return moved;
}

/* --- a file that is kept open --------------------------------------------------- */

int mp_lib_file_open(struct mp_lib_file *file, const char *path)
{
	int fd = open_fd(path);
	struct stat st;
	int err;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		err = -errno;
		close_fd(fd);
		return err;
	}
	*file = (struct mp_lib_file){1, fd, st.st_dev, st.st_ino};
	return 0;
}

static bool is_same(const struct mp_lib_file *file, const struct stat *st)
{
	return st->st_dev == file->dev && st->st_ino == file->ino;
}

static bool is_ours(const struct mp_lib_file *file)
{
	struct stat st;

	return fstat(file->fd, &st) == 0 && is_same(file, &st);
}

/*
 * Looked at after the read, so that no file that came in between is taken for ours. A pread()
 * of somebody else's takes nothing from them: it leaves the position where it is, and what has
 * none refuses it.
 */
ssize_t mp_lib_file_read(struct mp_lib_file *file, char *text, size_t size)
{
	ssize_t n;

	if (!file->is_open)
		return -EBADF;
	n = syscall(SYS_pread64, file->fd, text, size - 1, 0L);
	if (n < 0)
		n = -errno;
	if (!is_ours(file)) {
		file->is_open = 0;
		return -EBADF;
	}
	if (n < 0) {
		mp_lib_file_close(file);
		return n;
	}
	text[n] = '\0';
	return n;
}

bool mp_lib_file_is_at(const struct mp_lib_file *file, const char *path)
{
	struct stat st;

	return file->is_open && stat(path, &st) == 0 && is_same(file, &st);
}

void mp_lib_file_close(struct mp_lib_file *file)
{
	if (file->is_open && is_ours(file))
		close_fd(file->fd);
	file->is_open = 0;
}

ssize_t mp_lib_read_once(const char *path, char *text, size_t size)
{
	int fd = open_fd(path);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = syscall(SYS_read, fd, text, size - 1);
	if (n < 0)
		n = -errno;
	else
		text[n] = '\0';
	close_fd(fd);
	return n;
}

int mp_lib_read_number(const char *path, uint64_t *ret)
{
	char text[NUMBER_TEXT];
	const char *at = text;
	ssize_t n = mp_lib_read_once(path, text, sizeof(text));
	uint64_t value;

	if (n < 0)
		return (int)n;
	if (strcmp(text, "max\n") == 0) {
		*ret = MEMPROBE_UNKNOWN;
		return 0;
	}
	if (mp_lib_number(&at, &value) || (*at && *at != '\n'))
		return -EBADMSG;
	*ret = value;
	return 0;
}

/* --- a file line by line ----------------------------------------------------------- */

int mp_lib_lines_open(struct mp_lib_lines *lines, const char *path)
{
	int fd = open_fd(path);

	if (fd < 0)
		return fd;
	lines->fd = fd;
	lines->is_cut = false;
	lines->begin = 0;
	lines->end = 0;
	return 0;
}

/* Room for one NUL is kept. False at the end of the file. */
static bool fill(struct mp_lib_lines *l)
{
	ssize_t n;

	memmove(l->text, l->text + l->begin, l->end - l->begin);
	l->end -= l->begin;
	l->begin = 0;
	n = syscall(SYS_read, l->fd, l->text + l->end, sizeof(l->text) - 1 - l->end);
	if (n <= 0)
		return false;
	l->end += (size_t)n;
	return true;
}

/* All that there is of a line: what comes is more of it, or nothing. */
static char *take_rest(struct mp_lib_lines *l)
{
	char *line = l->text + l->begin;

	if (l->begin == l->end)
		return NULL;
	l->text[l->end] = '\0';
	l->begin = l->end;
	return line;
}

char *mp_lib_lines_next(struct mp_lib_lines *l)
{
	for (;;) {
		char *line = l->text + l->begin;
		char *newline = memchr(line, '\n', l->end - l->begin);
		bool was_cut = l->is_cut;

		if (newline) {
			*newline = '\0';
			l->begin = (size_t)(newline + 1 - l->text);
			l->is_cut = false;
			if (!was_cut)
				return line;
		} else if (l->end - l->begin == sizeof(l->text) - 1) {
			l->is_cut = true;
			line = take_rest(l);
			if (!was_cut)
				return line;
		} else if (!fill(l)) {
			line = take_rest(l);
			return was_cut ? NULL : line;
		}
	}
}

void mp_lib_lines_close(struct mp_lib_lines *lines)
{
	close_fd(lines->fd);
}
