/* SPDX-License-Identifier: GPL-2.0-only */
/* The monitor's side of base/relief.h: one request to one process. Private to action/. */
#ifndef MP_ACTION_RELIEF_CLIENT_H
#define MP_ACTION_RELIEF_CLIENT_H

#include <stddef.h>
#include <sys/types.h>

#include "base/fsroot.h"
#include "base/relief.h"

struct mp_relief_peer {
	pid_t pid;     /* as we see it */
	pid_t own_pid; /* as it sees itself: names its socket */
	uid_t uid;     /* whose it is */
};

/*
 * Asks and waits until `deadline_ns` (CLOCK_MONOTONIC). -ENOENT when no agent listens
 * there; any other negative errno with why, a phrase, in `ret_why`. `request` has its
 * magic, version and deadline filled in.
 */
int mp_relief_ask(const struct mp_fsroot *fs, const struct mp_relief_peer *peer,
		  struct mp_relief_request *request, uint64_t deadline_ns,
		  struct mp_relief_reply *ret, const char **ret_why);

/* What is wrong with `len` bytes as the answer to a request, or NULL. Pure. */
const char *mp_relief_check(const struct mp_relief_request *request, const void *data, size_t len);

#endif
