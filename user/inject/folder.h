/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A private folder in the /tmp that a process sees. Everything in it is done with the
 * process's own user and group: whatever it, or another that can write there, does to the
 * folder meanwhile, nothing can come of it that they could not do themselves.
 */
#ifndef MP_INJECT_FOLDER_H
#define MP_INJECT_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/fsroot.h"

struct mp_folder {
	char path[64]; /* as the process sees it */
	int parent;
	int fd;
	uid_t uid;
	gid_t gid;
	struct timespec seen_time; /* of the file read last */
	ino_t seen_ino;
};

/* -EACCES with what to do; -EPERM: its user cannot be taken on; -ESRCH. */
int mp_folder_make(const struct mp_fsroot *fs, pid_t pid, struct mp_folder *ret,
		   struct mp_error *err);

/* A new file in it, readable by its owner alone. -EEXIST and the like. */
int mp_folder_write(const struct mp_folder *folder, const char *name, const char *data, size_t len);

/*
 * Makes a file that is locked (flock(2)) as long as this process lives. Returns its
 * descriptor, or a negative errno.
 */
int mp_folder_lock(const struct mp_folder *folder, const char *name);

/*
 * Reads a file that the process has written there by way of a rename. New string. -EAGAIN:
 * there is none, or it is the one of the last time; -EBADMSG: no plain file; -EFBIG.
 */
int mp_folder_read(struct mp_folder *folder, const char *name, size_t max, char **ret_data,
		   size_t *ret_len);

/* Unlinks a file, and tells whether there was one. */
bool mp_folder_take(const struct mp_folder *folder, const char *name);

/* With all that is in it. */
void mp_folder_remove(struct mp_folder *folder);

/* Unlinks the files in any folder. */
void mp_folder_empty(int fd);

#endif
