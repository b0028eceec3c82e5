/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --python-mode inject: points on Python functions by wrappers in the interpreters, which call
 * the markers. Here is what the loop has of it: it is told of processes, and tells of sites.
 */
#ifndef MP_MONITOR_PYTHON_H
#define MP_MONITOR_PYTHON_H

#include "base/event.h"
#include "base/fsroot.h"
#include "base/loop.h"
#include "config/points.h"
#include "monitor/python_env.h"

struct mp_pythons;

#define MP_PYTHON_COST "2-5 us" /* docs/python_injection.md has the figures */

struct mp_pythons_options {
	const struct mp_fsroot *fs;
	const struct mp_points *points;
	struct mp_loop *loop;
	const struct mp_python_env *env; /* of `run`; NULL: none */
	mp_event_fn emit;		 /* site events */
	/* A process has points in it: to be looked at before it is told. */
	void (*look_at)(void *data, pid_t pid);
	/* A process cannot be injected for want of a privilege, which the text names. */
	void (*on_denied)(void *data, pid_t pid, const char *reason);
	void *data; /* of these */
};

/*
 * Starts the thread that does the work, with the privileges that this one has now. NULL: see
 * errno.
 */
struct mp_pythons *mp_pythons_new(const struct mp_pythons_options *options);

/* A process that has come under watch, has mapped something, or runs another program. */
void mp_pythons_add(struct mp_pythons *pythons, pid_t pid);
void mp_pythons_remove(struct mp_pythons *pythons, pid_t pid);

/*
 * Tells of the points that are Python functions: what is known already, and of the others that they
 * wait for a process that has them.
 */
void mp_pythons_emit_waiting(struct mp_pythons *pythons);
/* Has the points taken out of all processes, for at most that long. */
void mp_pythons_end(struct mp_pythons *pythons, uint64_t timeout_ns);
void mp_pythons_free(struct mp_pythons *pythons);

/* Whether any point, or each of them, is a Python function. */
bool mp_points_any_python(const struct mp_points *points);
bool mp_points_only_python(const struct mp_points *points);

#endif
