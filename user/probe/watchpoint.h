/* SPDX-License-Identifier: GPL-2.0-only */
/* Hardware watchpoints: an address in a process at which MP_PROGRAM_WATCH runs. */
#ifndef MP_PROBE_WATCHPOINT_H
#define MP_PROBE_WATCHPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fsroot.h"
#include "probe/bpf.h"

#define MP_MAX_WATCHPOINTS 4 /* of one process: x86 has as many registers for them */
#define MP_WATCHPOINT_COST "10 us"

/* Which point's function has its first bytecode at `addr`. -EEXIST: another's has. */
int mp_bpf_watch_code(struct mp_bpf *bpf, uint64_t addr, const struct mp_watched *watched);
void mp_bpf_forget_code(struct mp_bpf *bpf, uint64_t addr);

struct mp_watchpoint;

/*
 * Watches the byte at `addr` in all threads of a process and in those that it will start; with
 * `children` also in processes that it forks from now on. Takes some milliseconds, since no thread
 * may be missed, and none watched twice. -ENOSPC: the registers are in use; -EAGAIN: threads start
 * faster than they can be watched; -EMFILE; -ESRCH; -EACCES, -EPERM; what else the kernel says.
 */
int mp_watchpoint_attach(const struct mp_bpf *bpf, const struct mp_fsroot *fs, pid_t pid,
			 uint64_t addr, bool children, struct mp_watchpoint **ret);
void mp_watchpoint_free(struct mp_watchpoint *watchpoint);

#endif
