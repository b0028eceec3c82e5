/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The journal of what must be undone. It lies in memory that the monitor shares
 * with its guardian process: an entry is complete before what it undoes is done,
 * and is cleared after that is undone, so that at whatever instant the monitor
 * is killed, the guardian finds all that is left and undoes it. Undoing twice
 * does no harm.
 */
#ifndef MP_ACTION_UNDO_H
#define MP_ACTION_UNDO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MP_UNDO_SLOTS 256
#define MP_UNDO_PATH 1024

enum mp_undo_kind {
	MP_UNDO_NONE = 0,
	MP_UNDO_CONTINUE,    /* SIGCONT to a process that was stopped */
	MP_UNDO_WRITE,	     /* text into a control file: thaw, memory.high */
	MP_UNDO_KILL_GROUP,  /* a process group that was started here: SIGTERM, then SIGKILL */
	MP_UNDO_UNLINK,	     /* a file or socket that was made here */
	MP_UNDO_RMDIR,	     /* a folder or cgroup that was made here, when it is empty */
	MP_UNDO_RMDIR_LATER, /* a cgroup that others live in, who may outlive the monitor: when the
				last of them has left, however long that takes */
	MP_UNDO_KIND_COUNT
};

struct mp_undo_what {
	enum mp_undo_kind kind;
	pid_t pid;	     /* CONTINUE: process; KILL_GROUP: process group id */
	uint64_t start_time; /* of that process, ticks since boot: tells a reused pid. For a group
				of its leader, 0: not known */
	const char *path;
	const char *text;
};

struct mp_undo; /* the shared memory */

struct mp_undo *mp_undo_new(void); /* shared with children forked later; NULL: see errno */
void mp_undo_free(struct mp_undo *undo);

/* Returns a slot; -ENOSPC when all are taken, -ENAMETOOLONG: then the action must not be done. */
int mp_undo_arm(struct mp_undo *undo, const struct mp_undo_what *what);
/* What the slot was for has been undone, or was not done after all. A negative slot is ignored. */
void mp_undo_disarm(struct mp_undo *undo, int slot);
/*
 * Undoes an armed slot and disarms it. Returns 0 or a negative errno (it is disarmed all the same;
 * but RMDIR_LATER stays armed, and the guardian will see to it).
 */
int mp_undo_run(struct mp_undo *undo, int slot);
/*
 * Undoes all that is armed, latest first; what holds somebody up (CONTINUE, WRITE)
 * before what only lies around and may take a second. What may take longer (RMDIR_LATER) stays
 * armed. Returns how many there were.
 */
size_t mp_undo_run_all(struct mp_undo *undo);

/* Whether mp_undo_run_later() has something to wait for. */
bool mp_undo_has_later(struct mp_undo *undo);
/* Waits for what takes its time, and undoes it. */
void mp_undo_run_later(struct mp_undo *undo);

/* SIGCONT, if the pid is still the process with that start time. -ESRCH: it is not. */
int mp_undo_continue(pid_t pid, uint64_t start_time);

#endif
