/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small process that outlives the monitor. When the monitor dies, by whatever
 * signal at whatever instant, it opens the gates, lets every process go that
 * was stopped, and undoes what the journal still holds; then it ends. It has its
 * own session, so that a terminal or `kill -9 -GROUP` does not take it along.
 */
#ifndef MP_MONITOR_GUARDIAN_H
#define MP_MONITOR_GUARDIAN_H

#include "action/undo.h"
#include "base/error.h"

struct mp_guardian;

/* Forks it: before threads are made and before BPF is loaded, so that it holds no link. */
int mp_guardian_start(struct mp_undo *undo, struct mp_guardian **ret, struct mp_error *err);
pid_t mp_guardian_pid(const struct mp_guardian *guardian);
/*
 * Hands over the map of gated processes and the live page of the BPF side (map
 * fds; they keep no program attached). Returns when the guardian has them. It
 * also lets go any process that stays stopped a second beyond `deadline_ns`, should the
 * monitor hang.
 */
int mp_guardian_watch_gates(struct mp_guardian *guardian, int gated_map_fd, int live_map_fd,
			    size_t gates_open_offset, uint64_t deadline_ns);
/* The monitor has undone everything itself: the guardian checks, and ends. NULL is fine. */
void mp_guardian_end(struct mp_guardian *guardian);

#endif
