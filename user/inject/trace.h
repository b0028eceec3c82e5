/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread of another process, held by ptrace(2). The tracer is the calling thread, and
 * should be one that ends soon: only that takes back the seizing of a thread that does not
 * stop. A tracer that is killed leaves the other thread running with the registers that it
 * has at that moment.
 */
#ifndef MP_INJECT_TRACE_H
#define MP_INJECT_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include "base/error.h"

struct mp_tracee {
	pid_t tid;
	bool stopped;
	/*
	 * Stopped where the kernel is about to look whether an interrupted system call is to
	 * be restarted: registers that are put back here have that done to them, too.
	 */
	bool at_restart;
	uint64_t stopped_since_ns;
	int mem; /* /proc/PID/task/TID/mem */
};

/*
 * Seizes and stops it. -ESRCH; -EBUSY: traced by another; -EPERM with what denies it;
 * -ETIMEDOUT: it sleeps in the kernel and cannot be interrupted.
 */
int mp_tracee_stop(pid_t pid, pid_t tid, struct mp_tracee *ret, struct mp_error *err);

/*
 * Lets it run up to its next system call, or out of it. Signals that may not wait reach
 * it meanwhile; one that tells of a fault does not, and is -EFAULT. -ETIMEDOUT: it runs on.
 */
int mp_tracee_to_syscall(struct mp_tracee *tracee, struct __ptrace_syscall_info *ret);

/*
 * Gets it to a stop that is `at_restart`, out of any other without a further instruction
 * of the program.
 */
int mp_tracee_park(struct mp_tracee *tracee);

/* Writes where the program itself could not, too. 0 or -EFAULT. */
int mp_tracee_write(const struct mp_tracee *tracee, uint64_t addr, const void *buf, size_t len);
int mp_tracee_read(const struct mp_tracee *tracee, uint64_t addr, void *buf, size_t len);

/* A set of registers by its ELF note type; `len` is what there is room for, and then what there is.
 */
int mp_tracee_get(const struct mp_tracee *tracee, unsigned int type, void *data, size_t *len);
int mp_tracee_put(const struct mp_tracee *tracee, unsigned int type, const void *data, size_t len);
/* The signals that it has blocked. */
int mp_tracee_get_mask(const struct mp_tracee *tracee, uint64_t *ret);
int mp_tracee_set_mask(const struct mp_tracee *tracee, uint64_t mask);

/* Lets it go. Returns how long it was stopped, in nanoseconds. */
uint64_t mp_tracee_release(struct mp_tracee *tracee);

#endif
