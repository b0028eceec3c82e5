/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of cgroup/ share. */
#ifndef MP_CGROUP_PRIVATE_H
#define MP_CGROUP_PRIVATE_H

#include <errno.h>
#include <stdbool.h>

#include "cgroup/cgroup.h"

/* Whether a list ("cpu,memory", "cpu memory\n") holds a word. */
bool mp_cgroup_has_word(const char *list, const char *word);

/* Makes "/a/b" into "/a", "/a" into "/"; false at "/". */
bool mp_cgroup_go_up(char *path);

struct mp_cgroup_tree {
	char point[256]; /* where it is mounted; "": nowhere */
	char root[256];	 /* the group seen there */
};
/* The tree of a v1 controller, or with NULL the one of v2, from /proc/self/mountinfo. */
int mp_cgroup_find_tree(const struct mp_fsroot *fs, const char *controller,
			struct mp_cgroup_tree *ret);
/*
 * Path of a process's group in such a tree, below the mount whose root is `root`; new
 * string. -ESRCH when the process is gone, -ENOENT when its group is not in there.
 */
int mp_cgroup_path_of_pid(const struct mp_fsroot *fs, pid_t pid, const char *controller,
			  const char *root, char **ret_path);

/* mp_cgroup_walk() over the folders below a full path, which is "/" to `fn`. */
int mp_cgroup_walk_folder(const char *folder, mp_cgroup_fn fn, void *data);

/* The process ids in the group of a full path; new array. -EOPNOTSUPP: a group of threads (v2). */
int mp_cgroup_pids_in(const char *folder, pid_t **ret, size_t *ret_n);

/* 0 when the group is there, else -ENOENT or why that cannot be told. */
int mp_cgroup_check(const struct mp_cgroups *cg, const char *path);

/* A group that is removed while its file is used answers ENODEV: it is gone like any other. */
static inline int mp_cgroup_gone(int err)
{
	return err == -ENODEV ? -ENOENT : err;
}

/* Reads a file of a memory cgroup into a new string. */
int mp_cgroup_read(const struct mp_cgroups *cg, const char *path, const char *file, size_t max,
		   char **ret_text);
/* The same for a file of one number; "max" and a file that the group lacks are MP_UNKNOWN. */
int mp_cgroup_read_value(const struct mp_cgroups *cg, const char *path, const char *file,
			 uint64_t *ret);
/* What stands behind a key and a blank at the beginning of a line, or NULL. */
const char *mp_cgroup_line(const char *text, const char *key);
/* A number that goes on to the line's end. -EBADMSG. */
int mp_cgroup_number(const char *text, uint64_t *ret);
/* The number behind a key: 0, -ENOENT or -EBADMSG. */
int mp_cgroup_field(const char *text, const char *key, uint64_t *ret);
#define MP_CGROUP_MAX_STAT (256U << 10)

#endif
