/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of cgroup/ share. */
#ifndef MP_CGROUP_PRIVATE_H
#define MP_CGROUP_PRIVATE_H

#include <stdbool.h>

#include "cgroup/cgroup.h"

/* Whether a list ("cpu,memory", "cpu memory\n") holds a word. */
bool mp_cgroup_has_word(const char *list, const char *word);

/* Makes "/a/b" into "/a", "/a" into "/"; false at "/". */
bool mp_cgroup_go_up(char *path);

#endif
