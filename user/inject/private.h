/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of inject/ share. */
#ifndef MP_INJECT_PRIVATE_H
#define MP_INJECT_PRIVATE_H

#include "inject/python.h"

/* The least and the greatest minor version of Python 3 that a script is had into. */
#define MP_PYTHON_MIN_MINOR 8
#define MP_PYTHON_MAX_MINOR 14

/* What the interpreter tells of itself at the start of _PyRuntime, from 3.13 on. */
struct mp_debug_head {
	char cookie[8];
	uint64_t version; /* as Py_Version: 0x030d00f0 */
	uint64_t free_threaded;
};
/* Whether the bytes are of an interpreter that does so. */
bool mp_debug_head_valid(const struct mp_debug_head *head);

/* Whether the pid is still of the process that was inspected: 0, or -ESRCH. */
int mp_python_still_there(const struct mp_fsroot *fs, const struct mp_python *python);

/*
 * Whether the interpreter has been initialized, and not finalized: before and afterwards nothing of
 * it may be called. Nothing is called to learn that. 0; -EAGAIN; -ESRCH, -EPERM …
 */
int mp_python_is_up(const struct mp_python *python);

/*
 * PEP 768: whether the target takes scripts. 0; -EACCES: that is switched off there; -ENOTSUP:
 * its table is not as it should be; -EAGAIN: it is just starting; -ESRCH, -EPERM, -EFAULT.
 */
int mp_debug_support(const struct mp_python *python, struct mp_error *err);

/* The two ways of mp_python_run(), to be called in a thread that ends after it. */
int mp_pending_run(const struct mp_fsroot *fs, const struct mp_python *python, const char *script,
		   uint64_t *ret_stopped_ns, struct mp_error *err);
int mp_debug_run(const struct mp_fsroot *fs, const struct mp_python *python, const char *script,
		 uint64_t *ret_stopped_ns, struct mp_error *err);

#endif
