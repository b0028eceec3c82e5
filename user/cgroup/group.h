/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups of our own: made, limited, filled, removed. On v2, v1 and hybrid. Groups that
 * exist already are never changed, but that on v2 the memory controller may have to be turned on
 * for the children of the parent (cgroup.subtree_control), which is told.
 */
#ifndef MP_CGROUP_GROUP_H
#define MP_CGROUP_GROUP_H

#include "cgroup/cgroup.h"

#define MP_GROUP_SWAP_ANY MP_UNKNOWN /* as much as the host gives */

struct mp_group_limits {
	uint64_t limit_bytes; /* MP_UNKNOWN: none */
	uint64_t swap_bytes;  /* swap alone, whatever the version counts; MP_GROUP_SWAP_ANY */
	double cpus;	      /* 0: no limit; ignored, and told, without the cpu controller */
};

/* What of the limits holds, as read back. */
struct mp_group_held {
	uint64_t limit_bytes; /* a multiple of the page size, at most a page below what was asked */
	uint64_t swap_bytes;  /* MP_UNKNOWN: not limited here (`swap_why`) */
	bool cpus;
	char swap_why[128]; /* "this kernel does not account swap (swapaccount=1)", "the host has no
			       swap" … or "" */
};

struct mp_group {
	struct mp_cgroups cg;
	char *path;	     /* below the memory controller's mount */
	char *directory;     /* whole path of it, for the undo journal */
	char *cpu_directory; /* v1: its group of the cpu controller, or NULL */
	int dir_fd;	     /* v2: for CLONE_INTO_CGROUP; -1 on v1 */
};

/*
 * Makes `parent`/memprobe-NAME-PID-N (the path of a memory cgroup below the mount) and limits it;
 * limits are read back. On v2 a parent that has processes cannot have limited children
 * ("no internal processes"): -EBUSY with what to do; the caller may give `leaf`, the name of a
 * child that the parent's own processes are moved into first, only when all of them are the
 * caller's. -EACCES, -EROFS with exit code 4 (delegation, root); -ENODEV with exit code 6: no
 * memory controller here.
 */
int mp_group_make(const struct mp_cgroups *cg, const char *parent, const char *name,
		  const struct mp_group_limits *limits, struct mp_group *ret,
		  struct mp_group_held *ret_held, struct mp_error *err);

/*
 * fork() whose child begins inside the group: clone3(CLONE_INTO_CGROUP) on v2; on v1 the child
 * joins before it returns, and a failure to is its exit code 125. Returns like fork(), -1 never:
 * negative errno. CLOCK and signals as after fork().
 */
pid_t mp_group_fork(const struct mp_group *group);

/* Kills what is left inside (v2: cgroup.kill), waits up to `wait_ms`, removes it and the groups
 * below. -EBUSY. */
int mp_group_remove(struct mp_group *group, int wait_ms);
void mp_group_free(struct mp_group *group); /* frees memory; does not remove */

#endif
