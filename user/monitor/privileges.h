/* SPDX-License-Identifier: GPL-2.0-only */
/* What the monitor may do: it keeps what its job needs, and gives the rest up for good. */
#ifndef MP_MONITOR_PRIVILEGES_H
#define MP_MONITOR_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/features.h"

/*
 * The capabilities that are needed from here on, a bit each. CAP_SYS_ADMIN only
 * where the kernel has no uprobe_multi, or perf events are opened that it asks for; what acts on
 * processes and groups only with a policy that acts. Pure.
 */
uint64_t mp_privileges_needed(const struct mp_features *features, bool acts, bool opens_events);

/* Of the thread that puts points into Pythons: ptrace(2), and files as the user of a target. */
uint64_t mp_privileges_injecting(void);

/*
 * Drops every other capability of the calling thread: call it before threads
 * are made. A program that is executed later as root has root's again, as hooks
 * expect. Returns 0 or a negative errno.
 */
int mp_privileges_keep(uint64_t needed);

/*
 * Keeps what is in memory there, and what will be: under pressure the monitor must
 * not wait for its own pages. Pages are locked as they are first touched, so that
 * resident memory does not grow. A refusal (no privilege, RLIMIT_MEMLOCK) is no error.
 */
void mp_privileges_lock_memory(void);

#endif
