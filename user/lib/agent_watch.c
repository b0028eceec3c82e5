// SPDX-License-Identifier: GPL-2.0-only
#include "lib/agent_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define MAX_DATA 512
#define DISCARD_BYTES 4096
#define MAX_DISCARDS 16 /* at a time: who writes without an end must not hold up the agent */

/* --- Base64 --------------------------------------------------------------------------- */

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* Four characters are three bytes, one less for each '=' at the end. */
static int decode_group(const char *text, unsigned char out[3])
{
	int padding = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	unsigned int bits = 0;

	for (int i = 0; i < 4; i++) {
		int digit = i < 4 - padding ? digit_of(text[i]) : 0;

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned int)digit;
	}
	for (int i = 0; i < 3; i++)
		out[i] = (unsigned char)(bits >> (16 - 8 * i));
	return 3 - padding;
}

/* Returns the number of bytes, or -EINVAL. */
static int decode(const char *text, unsigned char out[MAX_DATA])
{
	size_t len = strlen(text);
	int n = 0;

	if (len % 4 != 0 || len / 4 * 3 > MAX_DATA)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		int got = decode_group(text + i, out + n);

		if (got < 0 || (got < 3 && i + 4 < len))
			return -EINVAL;
		n += got;
	}
	return n;
}

/* --- the three kinds -------------------------------------------------------------------- */

static int connect_to(const char *path)
{
	MP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return mp_take_fd(&fd);
}

/* A FIFO opened both ways never ends because a writer has gone. */
static int open_file(const char *path, mode_t type)
{
	MP_CLOSE int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	struct statfs fs;

	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type)
		return -EINVAL;
	/* PSI files are nowhere else. What is somewhere else must not be written to. */
	if (type == S_IFREG && fs.f_type != CGROUP2_SUPER_MAGIC && fs.f_type != PROC_SUPER_MAGIC)
		return -EINVAL;
	return mp_take_fd(&fd);
}

static int open_any(const char *path, short *ret_events)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	*ret_events = S_ISREG(st.st_mode) ? POLLPRI : POLLIN;
	if (S_ISSOCK(st.st_mode))
		return connect_to(path);
	if (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode))
		return open_file(path, st.st_mode & S_IFMT);
	return -EINVAL;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
	ssize_t n;

	if (len == 0)
		return 0;
	n = is_socket(fd) ? send(fd, data, len, MSG_NOSIGNAL) : write(fd, data, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int mp_lib_watch_open(const char *path, const char *data, struct mp_lib_watch *ret)
{
	unsigned char decoded[MAX_DATA];
	int len = data ? decode(data, decoded) : 0;
	MP_CLOSE int fd = -1;
	short events = 0;
	int err;

	if (!path || strcmp(path, "/dev/null") == 0)
		return -ENOENT;
	if (*path != '/' || len < 0)
		return -EINVAL;
	fd = open_any(path, &events);
	err = fd < 0 ? fd : write_all(fd, decoded, (size_t)len);
	if (err)
		return err;
	*ret = (struct mp_lib_watch){mp_take_fd(&fd), events};
	return 0;
}

/* --- hearing ------------------------------------------------------------------------------ */

/* Returns whether there was something; `ret_end` whether there will be no more. */
static bool discard(int fd, bool *ret_end)
{
	char data[DISCARD_BYTES];
	bool some = false;
	ssize_t n = 0;

	for (int i = 0; i < MAX_DISCARDS; i++) {
		n = read(fd, data, sizeof(data));
		if (n <= 0)
			break;
		some = true;
	}
	*ret_end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	return some;
}

/* POLLERR of a PSI file: there is no trigger, or its group is gone. */
bool mp_lib_watch_hear(struct mp_lib_watch *watch, short events)
{
	bool end = (events & (POLLERR | POLLNVAL)) != 0;
	bool pressure = !end && (events & POLLPRI);

	if (!end && (events & (POLLIN | POLLHUP)))
		pressure = discard(watch->fd, &end);
	if (end) {
		mp_close_p(&watch->fd);
		watch->fd = -1;
	}
	return pressure;
}
