// SPDX-License-Identifier: GPL-2.0-only
#include "lib/agent_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/relief.h"

#define BACKLOG 4

static const char *name_of(const struct mp_lib_socket *sock)
{
	return strrchr(sock->path, '/') + 1;
}

static int open_dir(const struct mp_lib_socket *sock)
{
	char dir[sizeof(sock->path)];
	int fd;

	*stpncpy(dir, sock->path, (size_t)(name_of(sock) - sock->path)) = '\0';
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static struct sockaddr_un address_of(const struct mp_lib_socket *sock)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, sock->path, sizeof(address.sun_path));
	return address;
}

static bool is_listened_at(const struct mp_lib_socket *sock)
{
	MP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = address_of(sock);

	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
	       errno == EAGAIN;
}

/*
 * The number is this process's, so that a socket of that name is of an earlier one; or of
 * one in another pid namespace that shares the folder.
 */
static int remove_earlier(const struct mp_lib_socket *sock)
{
	struct stat st;

	if (fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (st.st_uid == geteuid() && is_listened_at(sock))
		return -EADDRINUSE;
	return unlinkat(sock->dir_fd, name_of(sock), 0) < 0 ? -errno : 0;
}

/* A socket's file has the mode that the socket has by then, so that it is never wider. */
static int bind_there(struct mp_lib_socket *sock)
{
	struct sockaddr_un address = address_of(sock);
	struct stat st;

	if (fchmod(sock->fd, 0600) < 0 ||
	    bind(sock->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	sock->dev = st.st_dev;
	sock->inode = st.st_ino;
	return 0;
}

static int listen_there(struct mp_lib_socket *sock)
{
	sock->uid = geteuid();
	return listen(sock->fd, BACKLOG) < 0 ? -errno : 0;
}

static int open_there(struct mp_lib_socket *sock)
{
	int err;

	sock->dir_fd = open_dir(sock);
	if (sock->dir_fd < 0)
		return sock->dir_fd;
	err = remove_earlier(sock);
	if (err)
		return err;
	sock->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0)
		return -errno;
	return bind_there(sock) ?: listen_there(sock);
}

int mp_lib_socket_open(const char *root, struct mp_lib_socket *ret)
{
	struct mp_lib_socket sock = {.fd = -1, .dir_fd = -1};
	int n = snprintf(sock.path, sizeof(sock.path), "%s" MP_RELIEF_PATH, root, (int)getpid());
	int err = n < 0 || (size_t)n >= sizeof(sock.path) ? -ENAMETOOLONG : open_there(&sock);

	if (err) {
		mp_lib_socket_close(&sock);
		return err;
	}
	*ret = sock;
	return 0;
}

/* Somebody may have put another file there. */
static void remove_own(const struct mp_lib_socket *sock)
{
	struct stat st;

	if (sock->inode && fstatat(sock->dir_fd, name_of(sock), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == sock->dev && st.st_ino == sock->inode)
		unlinkat(sock->dir_fd, name_of(sock), 0);
}

void mp_lib_socket_close(struct mp_lib_socket *sock)
{
	remove_own(sock);
	mp_close_p(&sock->fd);
	mp_close_p(&sock->dir_fd);
	sock->fd = -1;
	sock->dir_fd = -1;
}

void mp_lib_socket_follow_user(struct mp_lib_socket *sock)
{
	if (geteuid() != sock->uid)
		(void)listen_there(sock);
}

static bool is_allowed(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

int mp_lib_socket_accept(const struct mp_lib_socket *sock)
{
	MP_CLOSE int fd = accept4(sock->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	return is_allowed(fd) ? mp_take_fd(&fd) : -EPERM;
}
