/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where /proc, /sys and the cgroup mounts are. A parameter, so that tests run
 * on recorded trees of other machines.
 */
#ifndef MP_BASE_FSROOT_H
#define MP_BASE_FSROOT_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct mp_fsroot {
	const char *root; /* put before every absolute path; "" on a live system */
};

/*
 * Reads a whole small file (up to `max` bytes) into a new NUL-terminated
 * string. Returns 0, or -ENOENT, -EACCES, -EFBIG, -ESRCH … as the system says.
 */
int mp_read_file(const char *path, size_t max, char **ret_data, size_t *ret_len);

/* printf of a path, put below the root. Returns 0 or -ENAMETOOLONG. */
int mp_fsroot_path(const struct mp_fsroot *fs, char out[PATH_MAX], const char *fmt, ...)
	MP_PRINTF(3, 4);

/* mp_read_file() of a path as mp_fsroot_path() makes it. */
int mp_read_file_at(const struct mp_fsroot *fs, size_t max, char **ret_data, size_t *ret_len,
		    const char *fmt, ...) MP_PRINTF(5, 6);

/* "Key:   123 kB" in a /proc file's text, in bytes. Returns 0, -ENOENT or -EINVAL. */
int mp_meminfo_field(const char *text, const char *key, uint64_t *ret_bytes);

#endif
