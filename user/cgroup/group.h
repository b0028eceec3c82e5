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
#define MP_GROUP_TREES 3

struct mp_group_limits {
	uint64_t limit_bytes; /* MP_UNKNOWN: none */
	uint64_t swap_bytes;  /* swap alone, whatever the version counts; MP_GROUP_SWAP_ANY */
	double cpus;	      /* 0: no limit */
};

/* What of the limits holds, as read back, and what does not. */
struct mp_group_held {
	uint64_t limit_bytes; /* a multiple of the page size, less than a page below what was asked
			       */
	uint64_t swap_bytes;  /* MP_UNKNOWN: not limited */
	double cpus;	      /* 0: not limited */
	char notes[512];      /* sentences about what does not hold here, or "" */
};

/* A group has a folder in the tree of the memory controller, and where these are others, in
 * that of the cpu controller (v1) and of v2 (hybrid: for its stall figures). */
struct mp_group {
	struct mp_cgroups cg;
	char *path;		       /* in the tree of the memory controller, as in cgroup.h */
	char *folders[MP_GROUP_TREES]; /* whole paths; the memory controller's first */
	size_t n_folders;
	const char *unified; /* the folder of v2's tree on a hybrid; NULL: there is none */
	int fd;		     /* of the first, when it is of v2: to clone into; else -1 */
};

/* For who wants to know of a folder before it is there, so that it goes when he is killed. */
struct mp_group_hook {
	int (*before)(void *data, const char *folder); /* a negative errno: it is not made */
	void (*not_made)(void *data);		       /* the last one was not, after all */
	void *data;
};

/*
 * Below which memory cgroup one of our own can be made: the caller's; on v2, where a group with
 * processes has no limited children, the nearest one above that may have some (new string).
 * `limited` false: without limits any will do. -EACCES with exit code 4; -ENODEV with exit code 6:
 * no memory controller.
 */
int mp_group_place(const struct mp_cgroups *cg, bool limited, char **ret_parent,
		   struct mp_error *err);

/*
 * Makes PARENT/memprobe-NAME-PID-N with its limits. What of these the system does not have is
 * noted; that the limit of memory does not hold is an error, and nothing stays. `hook` may be NULL.
 * -EACCES, -EPERM, -EROFS with exit code 4.
 */
int mp_group_make(const struct mp_cgroups *cg, const char *parent, const char *name,
		  const struct mp_group_limits *limits, const struct mp_group_hook *hook,
		  struct mp_group *ret, struct mp_group_held *ret_held, struct mp_error *err);

/* Its stall figures on a hybrid, in v2's tree. -EOPNOTSUPP: there are none. */
int mp_group_psi_path(const struct mp_group *group, char out[PATH_MAX]);

/*
 * fork() whose child begins inside the group: by clone3(CLONE_INTO_CGROUP) on v2; on v1 the child
 * joins before it returns, and leaves with 125 when it cannot. A negative errno instead of -1.
 */
pid_t mp_group_fork(const struct mp_group *group);

/*
 * Ends what is left inside, waits for it up to `wait_ms`, and removes the group. -EBUSY: something
 * is still there.
 */
int mp_group_remove(struct mp_group *group, int wait_ms);
/* Frees memory, and leaves the group as it is. */
void mp_group_free(struct mp_group *group);
#define MP_GROUP MP_CLEANUP(mp_group_free)

#endif
