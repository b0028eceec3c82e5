/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may be acted on at all. */
#ifndef MP_ACTION_SAFETY_H
#define MP_ACTION_SAFETY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fsroot.h"
#include "cgroup/cgroup.h"
#include "config/policy_file.h"

/* What is known of a process that is about to be stopped, frozen or killed. */
struct mp_suspect {
	pid_t pid;
	uint64_t start_time; /* ticks since boot */
	char comm[16];
	bool is_kernel_thread;
	bool is_dead; /* a zombie: there is nothing to act on */
	int oom_score_adj;
	char *cgroup; /* memory cgroup; NULL: not known */
};
/* From /proc. -ESRCH when it is gone. */
int mp_suspect_read(const struct mp_cgroups *cg, pid_t pid, struct mp_suspect *ret);
void mp_suspect_free(struct mp_suspect *suspect);

/*
 * Why it must not be touched, as a phrase for `detail`, or NULL when it may: pid 1,
 * this program (monitor and guardian), kernel threads, oom_score_adj -1000, names and
 * groups that the policy protects (a group protects all below it). Pure.
 */
const char *mp_safety_objection(const struct mp_policy *policy, const struct mp_suspect *suspect,
				pid_t self, pid_t guardian);

#endif
