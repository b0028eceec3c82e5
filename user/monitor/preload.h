/* SPDX-License-Identifier: GPL-2.0-only */
/* libmemprobe's agent in the command of `run`, by LD_PRELOAD. */
#ifndef MP_MONITOR_PRELOAD_H
#define MP_MONITOR_PRELOAD_H

#include <limits.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Where libmemprobe.so is: in the folder of `program`, or in lib beside that. Exit code 6
 * when it is nowhere, or where LD_PRELOAD cannot name it.
 */
int mp_preload_find(const char *program, char out[PATH_MAX], struct mp_error *err);

enum mp_preload_fit {
	MP_PRELOAD_FITS = 0,
	MP_PRELOAD_STATIC, /* loads no library; its children may */
	MP_PRELOAD_OTHER,  /* has another loader than `own`: it would not start */
};

/* Whether an executable, or the interpreter of a script, can load what `own` can. */
enum mp_preload_fit mp_preload_fit(const char *path, const char *own);

/*
 * For the child of `run`, before it executes its command. What LD_PRELOAD holds stays,
 * behind the library. 0 or -ENOMEM.
 */
int mp_preload_set_environment(const char *library);

/* Takes away the socket of a process that ended without doing so, as shells do. */
void mp_preload_tidy(pid_t pid);

#endif
