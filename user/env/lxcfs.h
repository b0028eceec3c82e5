/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lxcfs, where it runs, has files like those of /proc that show the limits of the group that the
 * reader is in. Bound over /proc, in a mount namespace of its own, they make a program see the
 * device.
 */
#ifndef MP_ENV_LXCFS_H
#define MP_ENV_LXCFS_H

#include <limits.h>
#include <stdbool.h>

struct mp_lxcfs {
	char mount[PATH_MAX]; /* "": it is not used */
	bool cpus;	      /* the processors are limited, too */
	const char *note;     /* why it is not used, or NULL */
};

/* Looks for it among the mounts. `off`: it is not wanted. */
void mp_lxcfs_find(struct mp_lxcfs *lxcfs, bool off, bool cpus);

/*
 * In the process that is to see them, and no other: it gets a mount namespace of its own. What
 * cannot be done is told on stderr; the process goes on.
 */
void mp_lxcfs_show(const struct mp_lxcfs *lxcfs);

#endif
