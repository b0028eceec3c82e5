/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A live CPython from outside: what it is, and how to have it run a script. Its memory is
 * read with process_vm_readv(); nothing in it is trusted.
 */
#ifndef MP_INJECT_PYTHON_H
#define MP_INJECT_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/fsroot.h"

/* How a script gets in. */
enum mp_python_way {
	MP_PYTHON_NO_WAY = 0,	/* `why` says why not */
	MP_PYTHON_PENDING_CALL, /* 3.8 to 3.13: ptrace, one call of Py_AddPendingCall() */
	MP_PYTHON_REMOTE_DEBUG, /* 3.14 on: PEP 768, the target's memory is written */
};

struct mp_python {
	pid_t pid;
	uint64_t start_time; /* ticks, as in /proc/PID/stat: tells a reused pid */
	unsigned int major, minor;
	bool is_free_threaded;
	bool is_debug;	   /* Py_REF_DEBUG and the like: objects are laid out otherwise */
	char binary[4096]; /* that has the interpreter: python3.11, libpython3.11.so.1.0; to open */
	uint64_t bias;	   /* what is added to its ELF addresses in the process */
	uint64_t runtime;  /* address of _PyRuntime in the process */
	enum mp_python_way way;
	char why[256];
};

/*
 * Looks whether a process is a CPython, and which. Returns 0; -ENOENT: it is none; -ESRCH:
 * gone; -EACCES, -EPERM: not ours to read. A version that is known and not supported is no
 * failure: `way` is MP_PYTHON_NO_WAY then.
 */
int mp_python_inspect(const struct mp_fsroot *fs, pid_t pid, struct mp_python *ret,
		      struct mp_error *err);

/*
 * Has the interpreter run the file at `script`, as it sees that path itself, in its main
 * thread at the next safe point, soon or never. Returns 0 when it was asked to; -ESRCH; -EPERM
 * with what denies it and what to do (yama, another user namespace, seccomp); -EBUSY when it is
 * being traced, or an earlier script still waits; -ENOTSUP with `why`. The target is as before
 * after any failure. `ret_stopped_ns`: how long it was stopped.
 */
int mp_python_run(const struct mp_python *python, const char *script, uint64_t *ret_stopped_ns,
		  struct mp_error *err);

#endif
