/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory cgroup whose limit this process will hit first. */
#ifndef MP_LIB_GROUP_H
#define MP_LIB_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/file.h"

#pragma GCC visibility push(hidden)

enum mp_lib_tree_kind {
	MP_LIB_TREE_UNKNOWN = 0, /* not looked for */
	MP_LIB_TREE_NONE,
	MP_LIB_TREE_V1, /* also the v1 half of a hybrid */
	MP_LIB_TREE_V2,
};

/* Where memory cgroups are mounted; does not change while a process lives, as a rule. */
struct mp_lib_tree {
	enum mp_lib_tree_kind kind;
	char mount[256];
	char root[256]; /* the group seen there: "/", in a container often its own */
};

/* From mountinfo. `fs_root` is put before every path: "", or a tree made by a test. */
void mp_lib_tree_find(const char *fs_root, struct mp_lib_tree *ret);

struct mp_lib_group {
	uint64_t limit;
	char folder[MP_LIB_PATH_MAX];
};
/*
 * The group with the smallest limit from the process's own up to the root. False when none
 * has one.
 */
bool mp_lib_group_find(const char *fs_root, const struct mp_lib_tree *tree,
		       struct mp_lib_group *ret);

/* The name of the file with a group's usage. */
const char *mp_lib_group_usage_file(const struct mp_lib_tree *tree);
/* Page cache that the kernel drops by itself, of the group and all below; 0 when not known. */
uint64_t mp_lib_group_inactive_file(const struct mp_lib_tree *tree,
				    const struct mp_lib_group *group);

#pragma GCC visibility pop

#endif
