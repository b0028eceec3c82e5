/* SPDX-License-Identifier: GPL-2.0-only */
/* Which program a process runs, through fork and exec. */
#ifndef MP_INJECT_PROGRAM_H
#define MP_INJECT_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fsroot.h"

struct mp_program_id {
	uint64_t start_time; /* of the process, ticks since boot */
	uint8_t random[16]; /* that the kernel gives to a program when it is executed (AT_RANDOM) */
};

/* 0; -ESRCH; -EACCES, -EPERM: not ours to read. */
int mp_program_id_read(const struct mp_fsroot *fs, pid_t pid, struct mp_program_id *ret);
/* The same process, that has executed nothing since. */
bool mp_program_is_same(const struct mp_program_id *a, const struct mp_program_id *b);
/* One was forked from the other, or both from a third. */
bool mp_program_is_copy(const struct mp_program_id *a, const struct mp_program_id *b);

/* The time now, as start times are counted. */
uint64_t mp_program_ticks_now(void);

/* Where the kernel's own code for the process lies (the vDSO); 0: there is none. */
uint64_t mp_program_vdso(const struct mp_fsroot *fs, pid_t pid);

/* Whether it has the markers of injected points mapped. */
bool mp_program_has_markers(const struct mp_fsroot *fs, pid_t pid);

#endif
