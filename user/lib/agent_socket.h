/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of the agent's socket: made, and taken away when it is still the own one. */
#ifndef MP_LIB_AGENT_SOCKET_H
#define MP_LIB_AGENT_SOCKET_H

#include <sys/types.h>
#include <sys/un.h>

#include "lib/private.h"

struct mp_lib_socket {
	int fd;	    /* listens; -1: closed */
	int dir_fd; /* of its folder, which a chroot() may put out of reach */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t dev;
	ino_t inode;
	uid_t uid; /* whom SO_PEERCRED shows to those who connect */
};

/*
 * Listens at MP_RELIEF_PATH below `root`, mode 0600. What an earlier process left there is
 * removed first. -EADDRINUSE when a process of another pid namespace listens there, -EEXIST
 * when it is no socket.
 */
MP_LIB_HIDDEN int mp_lib_socket_open(const char *root, struct mp_lib_socket *ret);
MP_LIB_HIDDEN void mp_lib_socket_close(struct mp_lib_socket *sock);

/* The user may have changed since: then the others must see who listens now. */
MP_LIB_HIDDEN void mp_lib_socket_follow_user(struct mp_lib_socket *sock);

/* A peer that is of this user, or root; else a negative errno. */
MP_LIB_HIDDEN int mp_lib_socket_accept(const struct mp_lib_socket *sock);

#endif
