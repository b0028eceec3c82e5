/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --python-mode watchpoint: points on Python functions by hardware watchpoints. Nothing is
 * injected: the functions are found in the processes' memory, again and again, since they come
 * with imports and go when they are replaced.
 */
#ifndef MP_MONITOR_WATCHPOINTS_H
#define MP_MONITOR_WATCHPOINTS_H

#include "base/event.h"
#include "base/fsroot.h"
#include "config/points.h"
#include "probe/bpf.h"

struct mp_watchpoints;

struct mp_watchpoints_options {
	const struct mp_fsroot *fs;
	const struct mp_points *points;
	struct mp_bpf *bpf; /* NULL: only look, for `probes list` */
	bool follow;	    /* children of a process are watched from their fork on */
	mp_event_fn emit;   /* site events */
	void *data;
};

struct mp_watchpoints *mp_watchpoints_new(const struct mp_watchpoints_options *options);
void mp_watchpoints_free(struct mp_watchpoints *w);
/* Takes all watchpoints away. */
void mp_watchpoints_detach(struct mp_watchpoints *w);

/* A process has come under watch, or runs another program. Others than Pythons are passed over. */
void mp_watchpoints_add(struct mp_watchpoints *w, pid_t pid);
/* … or has mapped something that makes it a Python: the interpreter may be a library. */
void mp_watchpoints_mapped(struct mp_watchpoints *w, pid_t pid);
/* A process under watch has forked at that time. */
void mp_watchpoints_fork(struct mp_watchpoints *w, pid_t parent, pid_t child, uint64_t ts_ns);
void mp_watchpoints_remove(struct mp_watchpoints *w, pid_t pid);

/* What a watchpoint may do to a process here, to be said before; NULL: nothing is known of. */
const char *mp_watchpoints_warning(const struct mp_watchpoints *w);

/* How many functions of a point, by its index, are watched now, in all processes (or would be). */
size_t mp_watchpoints_point_functions(const struct mp_watchpoints *w, size_t point);

/* Does a little of what is due. Returns in how many ns it wants to be called again. */
uint64_t mp_watchpoints_run(struct mp_watchpoints *w, uint64_t now_ns);
/* Emits a `waiting` site for each point that nothing was told of. */
void mp_watchpoints_emit_waiting(struct mp_watchpoints *w);
/* Does all of it, as long as it takes no longer than that. */
void mp_watchpoints_finish_looks(struct mp_watchpoints *w, uint64_t at_most_ns);

#endif
