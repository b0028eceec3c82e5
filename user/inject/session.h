/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Points put into one live Python: a script goes in, what became of the points comes out, and
 * in the end they are taken out again. Files are the way between the two, in a folder of the
 * target's own /tmp. To be used by one thread.
 */
#ifndef MP_INJECT_SESSION_H
#define MP_INJECT_SESSION_H

#include "config/points.h"
#include "inject/python.h"
#include "inject/result.h"
#include "inject/script.h"

struct mp_session;

/* The same for all sessions of a monitor: points that are put in twice are then put in once. */
struct mp_session_options {
	const struct mp_fsroot *fs;
	const struct mp_points *points;
	char token[MP_SCRIPT_TOKEN];
};

/*
 * Makes the folder, and has the interpreter asked to run the script. Errors as of
 * mp_python_run(), and of the folder; nothing is left then.
 */
int mp_session_begin(const struct mp_session_options *options, const struct mp_python *python,
		     struct mp_session **ret, struct mp_error *err);

/*
 * What the points are now: when the script has run, and again whenever that changes. -EAGAIN:
 * nothing new; -EBADMSG and the like: what is there makes no sense. A script that came too early is
 * asked for once more.
 */
int mp_session_read(struct mp_session *session, struct mp_result *ret, struct mp_error *err);

/* Asks the interpreter to take the points out; as mp_session_begin(). */
int mp_session_remove(struct mp_session *session, struct mp_error *err);
/* Whether it has. */
bool mp_session_removed(struct mp_session *session);

/* How long the target was stopped in all. */
uint64_t mp_session_stopped_ns(const struct mp_session *session);

/* Takes the folder away. The points stay, if they were not removed, until they find that nobody
 * watches them. */
void mp_session_free(struct mp_session *session);

#endif
