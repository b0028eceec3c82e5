/* SPDX-License-Identifier: GPL-2.0-only */
/* Which threads of a process to stop. */
#ifndef MP_INJECT_THREADS_H
#define MP_INJECT_THREADS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/fsroot.h"

/*
 * The thread that is least disturbed by being stopped: one that sleeps in a system call that
 * the kernel restarts by itself, then one that runs, then one in a call that fails with EINTR
 * when it is interrupted (epoll_wait(2) and the few others of signal(7)), then one that
 * cannot be interrupted now. Of equals the main thread. -ESRCH.
 */
int mp_thread_to_call(const struct mp_fsroot *fs, pid_t pid, pid_t *ret);

/* The threads that run now, at most `max` of them. Returns how many, or -ESRCH. */
int mp_threads_running(const struct mp_fsroot *fs, pid_t pid, pid_t *ret, size_t max);

#endif
