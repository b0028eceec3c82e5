/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A large file in the making: without a name where the file system can do that, so that nothing is
 * left of it however its writer ends.
 */
#ifndef MP_MODEL_NEW_FILE_H
#define MP_MODEL_NEW_FILE_H

#include <limits.h>

#include "base/error.h"

struct mp_new_file {
	int fd;
	char name[PATH_MAX]; /* "": it has none */
};
#define MP_NEW_FILE_NONE                                                                           \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* In the folder of `path`, to be read by whom the umask lets. A negative errno. */
int mp_new_file_open(struct mp_new_file *file, const char *path);
/* In a folder, and never with a name: -EOPNOTSUPP where that cannot be. */
int mp_new_file_open_nameless(const char *dir, int *ret_fd);
/* On the disk, and then under its name, whoever had that before. */
int mp_new_file_publish(struct mp_new_file *file, const char *path);
/* Closes it, and removes it unless it was published. */
void mp_new_file_end(struct mp_new_file *file);
#define MP_NEW_FILE MP_CLEANUP(mp_new_file_end)

#endif
