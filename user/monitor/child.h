/* SPDX-License-Identifier: GPL-2.0-only */
/* The command of `run`: started, held before its first instruction, let go, waited for. */
#ifndef MP_MONITOR_CHILD_H
#define MP_MONITOR_CHILD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"
#include "cgroup/group.h"

struct mp_child {
	pid_t pid;
	char *path; /* of the program, as found in $PATH */
	int go;	    /* closing it without a byte makes the child leave */
	int failed; /* tells errno when exec fails */
	int pidfd;
	bool ended;
	int status;	     /* of wait(2) */
	struct rusage usage; /* of it and those that it has waited for, once it has ended */
};

/* The program that execvp(3) would run, to be freed; NULL when there is none. */
char *mp_child_find(const char *name);

/* Where a command begins. */
struct mp_child_place {
	const struct mp_group *group; /* it is born inside; NULL: where the caller is */
	void (*prepare)(void *data);  /* called in the child, before it waits; or NULL */
	void *data;
};

/*
 * Forks. The child waits until mp_child_release(); if this process dies before
 * that, it leaves without having run anything. Not found: exit code 5. `ret` is
 * untouched on failure. Call it before any thread is made.
 */
int mp_child_start(char *const argv[], struct mp_child *ret, struct mp_error *err);
/* The same, in a place (NULL: where the caller is). */
int mp_child_start_in(char *const argv[], const struct mp_child_place *place, struct mp_child *ret,
		      struct mp_error *err);
/* Lets it exec. An exec that fails is an error with exit code 5. */
int mp_child_release(struct mp_child *child, const char *name, struct mp_error *err);
/* Takes the exit status if it has ended. Returns whether it has. */
bool mp_child_reap(struct mp_child *child);
/* What a shell would return: the exit code, or 128 + signal. */
int mp_child_exit_code(const struct mp_child *child);
void mp_child_free(struct mp_child *child);

#endif
