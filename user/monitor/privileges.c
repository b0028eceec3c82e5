// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (1ULL << (cap))

/* Debian 12's headers name it; the kernel has it since 5.9. */
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

/*
 * Libraries and processes come while the monitor runs: what attaching needs is
 * needed to the end. CAP_CHECKPOINT_RESTORE opens /proc/PID/map_files of deleted
 * binaries, CAP_SYS_RESOURCE allows PSI windows below 2 s.
 */
#define WATCHING                                                                                   \
	(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) |        \
	 BIT(CAP_CHECKPOINT_RESTORE) | BIT(CAP_IPC_LOCK) | BIT(CAP_SYS_RESOURCE))

/* Signals; process_madvise(2); control files and sockets of other users. */
#define ACTING (BIT(CAP_KILL) | BIT(CAP_SYS_NICE) | BIT(CAP_DAC_OVERRIDE))

uint64_t mp_privileges_needed(const struct mp_features *features, bool acts, bool opens_events)
{
	uint64_t needed = WATCHING;

	if (!features->uprobe_multi || opens_events)
		needed |= BIT(CAP_SYS_ADMIN);
	return acts ? needed | ACTING : needed;
}

/*
 * CAP_SYS_ADMIN lifts a filter of system calls from a thread while it is stopped; without
 * CAP_IPC_LOCK the memory that is locked would count against a limit.
 */
#define INJECTING                                                                                  \
	(BIT(CAP_SYS_PTRACE) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |            \
	 BIT(CAP_DAC_OVERRIDE) | BIT(CAP_CHECKPOINT_RESTORE) | BIT(CAP_SYS_NICE) |                 \
	 BIT(CAP_IPC_LOCK))

uint64_t mp_privileges_injecting(void)
{
	return INJECTING;
}

int mp_privileges_keep(uint64_t needed)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) {
		uint32_t keep = (uint32_t)(needed >> (32 * i));

		data[i].permitted &= keep;
		data[i].effective &= keep;
		data[i].inheritable &= keep;
	}
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

void mp_privileges_lock_memory(void)
{
	(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}
