/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a group can be told, and where. Only these files of a group are ever
 * written; sample.c and the rest of cgroup/ read.
 */
#ifndef MP_CGROUP_CONTROL_H
#define MP_CGROUP_CONTROL_H

#include <limits.h>
#include <stdbool.h>

#include "base/event.h"
#include "cgroup/cgroup.h"

/*
 * A file to write and the two texts for it: the action, and its undoing. The path
 * is whole, with the fs root, so that a process that knows nothing else can undo it.
 */
struct mp_cgroup_knob {
	char path[PATH_MAX];
	char set[32];
	char restore[32];
};

/*
 * memory.high of `path`, now as it stands, to become `bytes`. -EOPNOTSUPP on v1 and
 * for the root; -ENOENT.
 */
int mp_cgroup_high_knob(const struct mp_cgroups *cg, const char *path, uint64_t bytes,
			struct mp_cgroup_knob *ret);
/*
 * The freezer of the group that a process is in: cgroup.freeze on v2, freezer.state
 * of its freezer group on v1; a hybrid may have both. Freezing takes the groups below
 * with it. -EBUSY when the group is the root, which cannot be frozen, or one of the
 * processes is one that `may_freeze` says no to, or that this pid namespace does not
 * show; -EALREADY when somebody else has frozen it, who is to thaw it; -EOPNOTSUPP
 * without a freezer; -ESRCH when the process is gone. `ret_others`: further processes
 * that would be frozen.
 */
typedef bool (*mp_may_freeze_fn)(void *data, pid_t pid);
int mp_cgroup_freeze_knob(const struct mp_cgroups *cg, pid_t pid, mp_may_freeze_fn may_freeze,
			  void *data, struct mp_cgroup_knob *ret, size_t *ret_others);
/* Whether the group of the knob is frozen: 1, 0 (still freezing), or a negative errno. */
int mp_cgroup_is_frozen(const struct mp_cgroups *cg, const struct mp_cgroup_knob *knob);

/*
 * Thaws the group that a process is in, whoever froze it. 1 when it was frozen, 0 when
 * not, or a negative errno. (A killed process stays in version 1's freezer until then.)
 */
int mp_cgroup_thaw(const struct mp_cgroups *cg, pid_t pid);

/* Writes a control file. Negative errno as the kernel says it; -ENOENT when the group is gone. */
int mp_cgroup_write(const char *path, const char *text);

/*
 * memory.reclaim (v2, 5.19): 0 when all was reclaimed, -EAGAIN when less,
 * -EOPNOTSUPP where there is no such file. Blocks until the kernel is through.
 */
int mp_cgroup_reclaim(const struct mp_cgroups *cg, const char *path, uint64_t bytes);

/* memory.events (v2) or what v1 has of it (oom_kill, failcnt as max); unknown fields are
 * MP_UNKNOWN. */
int mp_cgroup_read_events(const struct mp_cgroups *cg, const char *path,
			  struct mp_cgroup_events *ret);

/* "memory.pressure" of a v2 group, also of a hybrid's unified tree; -EOPNOTSUPP when there is none.
 */
int mp_cgroup_psi_path(const struct mp_cgroups *cg, const char *path, char out[PATH_MAX]);

#endif
