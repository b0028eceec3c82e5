/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that is about to start: what it will have mapped by its first instruction. */
#ifndef MP_MONITOR_PROGRAMS_H
#define MP_MONITOR_PROGRAMS_H

#include <limits.h>

#include "base/error.h"
#include "probe/prober.h"

/* What the kernel executes for a path: itself, or the interpreter of a script. */
void mp_programs_executed(const char *path, char out[PATH_MAX]);

/*
 * Adds the program and the libraries that it is linked with, as its dynamic
 * loader lists them; for a script, those of its interpreter. Nothing of the
 * program itself is run. -ENOENT, -EACCES … when there is no such program, and
 * errors as mp_resolve_binary().
 */
int mp_programs_add(struct mp_prober *prober, const char *path, struct mp_error *err);

#endif
