// SPDX-License-Identifier: GPL-2.0-only
#include "action/safety.h"

#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "target/target.h"

#define MAX_NUMBER 64
#define MAX_STATUS (64U << 10)
#define OOM_SCORE_ADJ_MIN (-1000)

static int read_adj(const struct mp_cgroups *cg, pid_t pid, int *ret)
{
	MP_FREE char *text = NULL;
	char *end;
	long value;
	int err = mp_read_file_at(&cg->fs, MAX_NUMBER, &text, NULL, "/proc/%d/oom_score_adj", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || errno || (*end && *end != '\n') || value != (int)value)
		return -EBADMSG;
	*ret = (int)value;
	return 0;
}

/* A main thread that has ended is a zombie, too, while its process lives on in other threads. */
static int count_threads(const struct mp_cgroups *cg, pid_t pid, uint64_t *ret)
{
	static const char key[] = "\nThreads:\t";
	MP_FREE char *text = NULL;
	char *number;
	int err = mp_read_file_at(&cg->fs, MAX_STATUS, &text, NULL, "/proc/%d/status", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	number = strstr(text, key);
	if (!number)
		return -EBADMSG;
	number += strlen(key);
	number[strcspn(number, "\n")] = '\0';
	return mp_number_parse(number, INT32_MAX, ret) ? -EBADMSG : 0;
}

static int read_is_dead(const struct mp_cgroups *cg, const struct mp_process *process, bool *ret)
{
	uint64_t threads = 0;
	int err = 0;

	if (process->state == 'Z')
		err = count_threads(cg, process->pid, &threads);
	if (!err)
		*ret = process->state == 'X' || process->state == 'x' ||
		       (process->state == 'Z' && threads <= 1);
	return err;
}

int mp_suspect_read(const struct mp_cgroups *cg, pid_t pid, struct mp_suspect *ret)
{
	struct mp_suspect suspect = {0};
	struct mp_process process;
	int err = mp_process_read(&cg->fs, pid, &process);

	if (!err)
		err = read_is_dead(cg, &process, &suspect.is_dead);
	if (!err)
		err = read_adj(cg, process.pid, &suspect.oom_score_adj);
	if (err)
		return err;
	err = mp_cgroup_of_pid(cg, process.pid, &suspect.cgroup);
	/* Without a memory controller, or in a part of the tree that is not seen from here. */
	if (err && err != -ENOENT)
		return err;
	suspect.pid = process.pid;
	suspect.start_time = process.start_time;
	suspect.is_kernel_thread = process.is_kernel_thread;
	memcpy(suspect.comm, process.comm, sizeof(suspect.comm));
	*ret = suspect;
	return 0;
}

void mp_suspect_free(struct mp_suspect *suspect)
{
	free(suspect->cgroup);
	suspect->cgroup = NULL;
}

/* The kernel keeps the first 15 bytes of a name. */
static bool is_protected_comm(const struct mp_policy *policy, const char comm[16])
{
	for (size_t i = 0; i < policy->n_protect_comm; i++) {
		if (strncmp(policy->protect_comm[i], comm, 15) == 0)
			return true;
	}
	return false;
}

static bool is_protected_cgroup(const struct mp_policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->n_protect_cgroup; i++) {
		if (mp_cgroup_is_in(path, policy->protect_cgroup[i]))
			return true;
	}
	return false;
}

static const char *objection_by_policy(const struct mp_policy *policy,
				       const struct mp_suspect *suspect)
{
	if (is_protected_comm(policy, suspect->comm))
		return "its name is protected by the policy";
	if (!suspect->cgroup && policy->n_protect_cgroup)
		return "its cgroup is not known, and the policy protects some";
	if (suspect->cgroup && is_protected_cgroup(policy, suspect->cgroup))
		return "its cgroup is protected by the policy";
	return NULL;
}

const char *mp_safety_objection(const struct mp_policy *policy, const struct mp_suspect *suspect,
				pid_t self, pid_t guardian)
{
	if (suspect->pid <= 0)
		return "it is no process"; /* kill(2) would take it for a whole group */
	if (suspect->pid == 1)
		return "it is pid 1";
	if (suspect->pid == self)
		return "it is the monitor itself";
	if (suspect->pid == guardian)
		return "it is the guardian of the monitor";
	if (suspect->is_kernel_thread)
		return "it is a kernel thread";
	if (suspect->is_dead)
		return "it has ended already";
	if (suspect->oom_score_adj <= OOM_SCORE_ADJ_MIN)
		return "its oom_score_adj is -1000";
	return objection_by_policy(policy, suspect);
}
