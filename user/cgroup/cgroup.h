/* SPDX-License-Identifier: GPL-2.0-only */
/* One view over cgroup v2, v1 and hybrid. Reads only. */
#ifndef MP_CGROUP_CGROUP_H
#define MP_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "base/error.h"
#include "base/fsroot.h"

enum mp_cgroup_mode {
	MP_CGROUP_NONE = 0, /* no memory controller */
	MP_CGROUP_V1,
	MP_CGROUP_V2,
	MP_CGROUP_HYBRID, /* memory on v1, a v2 tree beside it */
};
const char *mp_cgroup_mode_name(enum mp_cgroup_mode mode);

struct mp_cgroups {
	struct mp_fsroot fs;
	enum mp_cgroup_mode mode;
	char memory_mount[256];	 /* where the memory controller's tree is mounted */
	char memory_root[256];	 /* the group seen there: "/", in a container often its own */
	char unified_mount[256]; /* the v2 tree, or "" */
};

/* From /proc/self/mountinfo (mounts below the fs root) and the controllers they have. */
int mp_cgroups_detect(const struct mp_fsroot *fs, struct mp_cgroups *ret);

/*
 * Path of a process's memory cgroup below the mount, "/" for its root, new
 * string. On v2 the group that is charged: the nearest one on the way up that
 * has the memory controller. -ESRCH when the process is gone, -ENOENT without a
 * memory controller or when the group lies outside the part that is mounted.
 */
int mp_cgroup_of_pid(const struct mp_cgroups *cg, pid_t pid, char **ret_path);

/*
 * Whether a group is `group` or lies below it: "/a", "a" and "/a/" are the same, and
 * above "/a/b", not above "/ab". Pure.
 */
bool mp_cgroup_is_in(const char *path, const char *group);

/* The id that the kernel side reports (kernfs node id) of a path. */
int mp_cgroup_id(const struct mp_cgroups *cg, const char *path, uint64_t *ret_id);
/* The path of an id, by walking the tree. New string, -ENOENT when there is none (any more). */
int mp_cgroup_by_id(const struct mp_cgroups *cg, uint64_t id, char **ret_path);

/* Calls fn for every memory cgroup, parents first; what it returns other than 0 ends the walk. */
typedef int (*mp_cgroup_fn)(void *data, const char *path);
int mp_cgroup_walk(const struct mp_cgroups *cg, mp_cgroup_fn fn, void *data);

/* Bytes; MP_UNKNOWN where the kernel does not say (the root of v2, no limit). */
struct mp_cgroup_sample {
	uint64_t usage;
	uint64_t inactive_file; /* hierarchical */
	uint64_t working_set;	/* usage - inactive_file, at least 0 */
	uint64_t limit;		/* of this group alone; MP_UNKNOWN: none */
};
int mp_cgroup_sample(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_sample *ret);

/*
 * A domain: a limiting group, or the host (path NULL: memory in use, MemTotal).
 * usage_pct is of the working set in the limit, two decimals; -1 when not known.
 */
struct mp_domain_sample {
	uint64_t usage;
	uint64_t working_set;
	uint64_t limit;
	double usage_pct;
};
int mp_domain_sample(const struct mp_cgroups *cg, const char *path, struct mp_domain_sample *ret);
/*
 * The same without what is costly to read: working_set is not known, and usage_pct
 * is of the usage, which the working set never exceeds. (Of the host all is cheap, and known.)
 */
int mp_domain_glance(const struct mp_cgroups *cg, const char *path, struct mp_domain_sample *ret);

/*
 * How many processes the OOM killer has ended in the group (v2: and below).
 * -ENOENT where the kernel does not say: the root, or v1 before 4.13.
 */
int mp_cgroup_oom_kills(const struct mp_cgroups *cg, const char *path, uint64_t *ret);

/* Of a group since it was made; MP_UNKNOWN where the kernel does not say. */
struct mp_cgroup_tally {
	uint64_t peak;	    /* of usage, with page cache; v2: from 5.19 on */
	uint64_t reclaimed; /* bytes that were taken from it; v2 only */
	uint64_t refaulted; /* of them of files, and read again; 5.9 on */
};
int mp_cgroup_tally(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_tally *ret);

/* The processes in a group itself, not below it; new array. -ENOENT. */
int mp_cgroup_pids(const struct mp_cgroups *cg, const char *path, pid_t **ret, size_t *ret_n);

/*
 * The smallest limit from `path` up to the root and the group it belongs to
 * (new string; NULL when no group has one: then the host's memory is the limit).
 */
int mp_cgroup_effective_limit(const struct mp_cgroups *cg, const char *path, uint64_t *ret_limit,
			      char **ret_owner);

/*
 * Whose limit a process will hit first, and that limit: `*ret_domain` is a new string, or NULL
 * where no group has one, and it is the host's memory.
 */
int mp_domain_of_pid(const struct mp_cgroups *cg, pid_t pid, uint64_t *ret_limit,
		     char **ret_domain);

/* MemTotal and MemAvailable, bytes. */
int mp_host_memory(const struct mp_fsroot *fs, uint64_t *ret_total, uint64_t *ret_available);

#endif
