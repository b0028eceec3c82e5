/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc/PID/status tells of a process that is to be acted on. Private to action/. */
#ifndef MP_ACTION_STATUS_H
#define MP_ACTION_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fsroot.h"

struct mp_status {
	char state;	   /* R S D T t Z … */
	uid_t uid;	   /* effective */
	pid_t own_pid;	   /* as the process itself sees it, in the innermost pid namespace */
	bool kill_pending; /* SIGKILL has been sent already */
	bool has_memory;   /* false: a zombie, or its memory is given back already */
	uint64_t rss;	   /* bytes; these are 0 without memory */
	uint64_t swap;
	uint64_t page_tables;
};

/* From the text of the file. -EBADMSG when something is missing. Pure. */
int mp_status_parse(const char *text, struct mp_status *ret);

/*
 * Of a process. One whose main thread has ended while others go on is described by
 * one of those: the kernel shows no memory for the main thread any more. -ESRCH when gone.
 */
int mp_status_read(const struct mp_fsroot *fs, pid_t pid, struct mp_status *ret);

#endif
