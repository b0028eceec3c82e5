/* SPDX-License-Identifier: GPL-2.0-only */
/* A PSI trigger on the host or on one v2 group, and readings of the same file. */
#ifndef MP_SOURCE_PSI_H
#define MP_SOURCE_PSI_H

#include "cgroup/psi.h"

struct mp_psi;

/*
 * `path`: the pressure file, as it is opened. The trigger asks for `some_pct` of
 * `window_ns` (clamped to the kernel's 0.5 to 10 s; where a privilege is missing for
 * that, rounded up to whole 2 s). -ENOENT without the file, -EOPNOTSUPP when PSI is off;
 * where only the trigger is refused the readings still work and mp_psi_fd() is -1.
 */
int mp_psi_new(const char *path, double some_pct, uint64_t window_ns, struct mp_psi **ret);
void mp_psi_free(struct mp_psi *psi);
/* Polls for EPOLLPRI when the trigger fires; -1: there is none. */
int mp_psi_fd(const struct mp_psi *psi);
/* The window that the trigger got, 0 without one. */
uint64_t mp_psi_window_ns(const struct mp_psi *psi);
/*
 * Shares since the call before (or the opening). Returns 1, 0 when too little time
 * has passed to say (below 10 ms), or a negative errno (the group is gone: -ENOENT).
 */
int mp_psi_read(struct mp_psi *psi, uint64_t now_ns, struct mp_psi_share *ret);
/*
 * The same for when the trigger has fired: over its window, as far as readings go back
 * in it. The stall that made it fire can be older than the call before.
 */
int mp_psi_read_window(struct mp_psi *psi, uint64_t now_ns, struct mp_psi_share *ret);

#endif
