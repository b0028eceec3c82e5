/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that takes memory. It lives in a group of its own, with oom_score_adj 1000, and
 * obeys a page of shared memory: a size to be, and how. It ends when its supervisor does
 * (PR_SET_PDEATHSIG), and at its hard deadline.
 */
#ifndef MP_HARNESS_FILLER_H
#define MP_HARNESS_FILLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "cgroup/group.h"

struct mp_filler_options {
	unsigned int entropy_pct; /* 0: zeros … 100: random; that share of each page's bytes */
	bool cold; /* touched once; otherwise every page is touched again each second */
	bool no_huge_pages;
	bool is_idle;	      /* it takes nothing, so that the OOM killer is not to begin with it */
	uint64_t max_bytes;   /* of address space to set aside */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC: it ends then, come what may; 0: none */
};

struct mp_filler;

/* Forks it into the group (NULL: where the caller is). */
int mp_filler_start(const struct mp_group *group, const struct mp_filler_options *options,
		    struct mp_filler **ret, struct mp_error *err);
pid_t mp_filler_pid(const struct mp_filler *filler);
int mp_filler_pidfd(const struct mp_filler *filler); /* readable when it is gone */
/* An eventfd that is readable when it has got to the size last asked for. */
int mp_filler_event(const struct mp_filler *filler);

/* Asks for a size (rounded up to pages). Does not wait. */
void mp_filler_want(struct mp_filler *filler, uint64_t bytes);
/* What it has populated by now. */
uint64_t mp_filler_size(const struct mp_filler *filler);
/* Whether it is at the size last asked for. */
bool mp_filler_is_there(const struct mp_filler *filler);

/* How it ended: wait(2) status. -EAGAIN: it has not. */
int mp_filler_reap(struct mp_filler *filler, int *ret_status);
/* Ends it (SIGKILL), waits for it, frees. NULL is fine. */
void mp_filler_free(struct mp_filler *filler);

#endif
