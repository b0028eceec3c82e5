/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that has points put into Python processes, and looks what becomes of them. Stopping
 * threads, reading executables and waiting for answers take their time; nobody else waits for it.
 */
#ifndef MP_INJECT_INJECTOR_H
#define MP_INJECT_INJECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fsroot.h"
#include "config/points.h"
#include "inject/env.h"
#include "inject/result.h"

struct mp_injector;

/*
 * What has become of the points in a process, or of one of them. Strings live as long as the call
 * that hands it over.
 */
struct mp_injected {
	pid_t pid;
	const char *binary; /* that has the interpreter, as it is opened here; may be NULL */
	const char *python; /* "3.11.2"; NULL: not known yet */
	size_t point;	    /* index; SIZE_MAX: all that are Python functions */
	enum mp_site_status status;
	const char *const *functions; /* of an attached point */
	size_t n_functions;
	const char *
		reason; /* of waiting or failed, and of functions of an attached one that are not */
	bool denied;	/* failed for want of a privilege */
	uint64_t stopped_ns;
};
typedef void (*mp_injected_fn)(void *data, const struct mp_injected *injected);

struct mp_injector_options {
	const struct mp_fsroot *fs;
	const struct mp_points *points; /* those that are configured stay as they are */
	const struct mp_python_answers
		*answers;	/* of Pythons that have them by the environment, or NULL */
	void (*on_start)(void); /* called by the thread, at its start */
};

/* NULL: see errno. Call it while this process still has all of its privileges. */
struct mp_injector *mp_injector_new(const struct mp_injector_options *options);

/* Readable when there is something to collect. */
int mp_injector_fd(const struct mp_injector *injector);
void mp_injector_collect(struct mp_injector *injector, mp_injected_fn fn, void *data);

/*
 * A process to look at: nothing happens to one that is no Python, or that has the points from the
 * process that it was forked from. May be called again, as after it executed a program. -ENOMEM.
 */
int mp_injector_add(struct mp_injector *injector, pid_t pid);
void mp_injector_remove(struct mp_injector *injector, pid_t pid);

/*
 * Has the points taken out everywhere, and waits for it at most that long: an interpreter
 * that is busy in native code takes them out by itself. Nothing can be added after it.
 */
void mp_injector_end(struct mp_injector *injector, uint64_t timeout_ns);
void mp_injector_free(struct mp_injector *injector);

#endif
