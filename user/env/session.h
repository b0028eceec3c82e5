/* SPDX-License-Identifier: GPL-2.0-only */
/* A device with a guardian of its own: for one command, from its start to its end. */
#ifndef MP_ENV_SESSION_H
#define MP_ENV_SESSION_H

#include "env/device.h"
#include "monitor/guardian.h"

struct mp_session {
	struct mp_cgroups cg;
	struct mp_undo *undo; /* NULL: there is none */
	struct mp_guardian *guardian;
	struct mp_device device;
};

/* Call it before any thread is made. The session must stay where it is. */
int mp_session_open(const struct mp_device_options *o, struct mp_session *session,
		    struct mp_error *err);
/* Tells what does not hold here. */
typedef void (*mp_tell_fn)(void *data, const char *note);
void mp_session_tell(const struct mp_session *session, mp_tell_fn tell, void *data);
/*
 * When processes still run in the device it is told; they go on, and the guardian removes the group
 * after the last of them.
 */
void mp_session_close(struct mp_session *session, mp_tell_fn tell, void *data);

/*
 * Runs a command inside, to its end. Returns its exit code, 128 + N when signal N ended it, 7 when
 * it was OOM-killed, or a negative errno. That memory ran out is told, whatever became of the
 * command.
 */
int mp_session_run(struct mp_session *session, char *const argv[], mp_tell_fn tell, void *data,
		   struct mp_error *err);

#endif
