/* SPDX-License-Identifier: GPL-2.0-only */
/* Pushes memory of one process out by process_madvise(). Private to action/. */
#ifndef MP_ACTION_PAGEOUT_H
#define MP_ACTION_PAGEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/fsroot.h"

enum mp_pageout_kind {
	MP_PAGEOUT_ANON, /* private and without a file: goes to swap */
	MP_PAGEOUT_FILE, /* of a file: is dropped, or written back to it */
};

struct mp_range {
	uint64_t start;
	uint64_t end;
	uint64_t resident_bytes; /* of that kind; a mapping may be mostly empty */
};

/*
 * The mappings in /proc/PID/smaps that have pages of that kind, the one with the most
 * first, as a new array. Lines that make no sense are left out. 0 or -ENOMEM.
 */
int mp_pageout_plan(FILE *smaps, enum mp_pageout_kind kind, struct mp_range **ret, size_t *ret_n);

/*
 * Advises the mappings of that kind in steps, as long as `more` says so before each.
 * Adds to `advised` how many resident bytes the kernel was asked for, about. -ESRCH: gone; -EPERM:
 * lacks CAP_SYS_NICE or may not read the process; -ENOSYS.
 */
typedef bool (*mp_pageout_more_fn)(void *data);
int mp_pageout_process(const struct mp_fsroot *fs, pid_t pid, enum mp_pageout_kind kind,
		       mp_pageout_more_fn more, void *data, uint64_t *advised);

#endif
