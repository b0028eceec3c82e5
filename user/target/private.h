/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of target/ share. */
#ifndef MP_TARGET_PRIVATE_H
#define MP_TARGET_PRIVATE_H

#include <errno.h>

#include "target/target.h"

static inline int mp_fail_memory(struct mp_error *err)
{
	return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
}

/* The memory cgroup of a container, by its id or name. New string. Exit code 5. */
int mp_container_find(const struct mp_cgroups *cg, const char *id, char **ret_path,
		      struct mp_error *err);

/*
 * The two halves of mp_process_read(): without the thread group, which takes
 * several times as long to learn, `pid` is the number asked for.
 */
int mp_process_read_stat(const struct mp_fsroot *fs, pid_t pid, struct mp_process *ret);
int mp_process_thread_group(const struct mp_fsroot *fs, pid_t pid, pid_t *ret);

/* Whether a process has ended and only waits to be collected. */
bool mp_process_has_ended(const struct mp_process *process);

/* stat() of /proc/PID/exe: the program itself, also when its file was deleted. */
struct stat;
int mp_process_exe(const struct mp_fsroot *fs, pid_t pid, struct stat *ret);

/*
 * Calls fn with the soname and the path of each library for this processor in
 * the bytes of an ld.so.cache. -EBADMSG when it is none, or an offset in it
 * leads outside; libraries before that have been handed out.
 */
typedef int (*mp_ldcache_fn)(void *data, const char *soname, const char *path);
int mp_ldcache_walk(const char *cache, size_t len, mp_ldcache_fn fn, void *data);

#endif
