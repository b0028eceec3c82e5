/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells processes of memory pressure by systemd's $MEMORY_PRESSURE_WATCH protocol
 * (systemd.io/MEMORY_PRESSURE): the variable names a stream socket that a process
 * connects to; when bytes come, it gives memory back and throws the bytes away.
 */
#ifndef MP_ACTION_NOTIFY_H
#define MP_ACTION_NOTIFY_H

#include <stddef.h>
#include <sys/un.h>

#include "action/action.h"

#define MP_NOTIFY_CLIENTS 256
#define MP_NOTIFY_PATH sizeof(((struct sockaddr_un *)0)->sun_path)

struct mp_notify;

/*
 * Where this process's socket belongs: a folder of its own in /run for root, else in
 * $XDG_RUNTIME_DIR. -ENOENT without one, -ENAMETOOLONG.
 */
int mp_notify_default_path(char out[MP_NOTIFY_PATH]);

/*
 * For the child of `run`, before it executes its command. $MEMORY_PRESSURE_WRITE goes:
 * it would be for another file. 0 or -ENOMEM.
 */
int mp_notify_set_environment(const char *path);

/*
 * Listens at `path`; the folder that it is in is made, and must not be there. Both are
 * removed at the end, also by the guardian. `host` says who is a target. NULL: see errno.
 */
struct mp_notify *mp_notify_new(const char *path, struct mp_undo *undo,
				const struct mp_action_host *host);
void mp_notify_free(struct mp_notify *notify);

int mp_notify_fd(const struct mp_notify *notify); /* poll it for reading, then dispatch */
void mp_notify_dispatch(struct mp_notify *notify);

/* Tells all that listen, without waiting for any. Returns how many know. */
size_t mp_notify_tell(struct mp_notify *notify);

#endif
