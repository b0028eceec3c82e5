// SPDX-License-Identifier: GPL-2.0-only
#include "inject/threads.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/size.h"

#define MAX_PROC_FILE 4096

enum rank {
	RANK_RESTARTED = 0,
	RANK_RUNS,
	RANK_ENDS_EARLY,
	RANK_NOT_NOW,
	RANK_COUNT
};

static bool ends_early(long nr)
{
	static const long calls[] = {
		SYS_epoll_pwait, SYS_epoll_pwait2, SYS_semop, SYS_semtimedop, SYS_rt_sigtimedwait,
#ifdef SYS_epoll_wait
		SYS_epoll_wait,
#endif
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(calls); i++) {
		if (calls[i] == nr)
			return true;
	}
	return false;
}

/* The letter behind the name, which may itself hold anything. 0: gone. */
static char state_of(const struct mp_fsroot *fs, pid_t pid, pid_t tid)
{
	MP_FREE char *text = NULL;
	const char *close;

	if (mp_read_file_at(fs, MAX_PROC_FILE, &text, NULL, "/proc/%d/task/%d/stat", pid, tid))
		return 0;
	close = strrchr(text, ')');
	if (!close || close[1] != ' ')
		return '\0';
	return close[2];
}

/* Number of the system call that it sleeps in; negative: none. */
static long syscall_of(const struct mp_fsroot *fs, pid_t pid, pid_t tid)
{
	MP_FREE char *text = NULL;

	if (mp_read_file_at(fs, MAX_PROC_FILE, &text, NULL, "/proc/%d/task/%d/syscall", pid, tid) ||
	    strncmp(text, "running", strlen("running")) == 0)
		return -1;
	return strtol(text, NULL, 10);
}

static enum rank rank_of(const struct mp_fsroot *fs, pid_t pid, pid_t tid)
{
	switch (state_of(fs, pid, tid)) {
	case 'R':
	case 'T': /* stopped, or traced: who stopped it in the kernel cannot be told from here */
		return RANK_RUNS;
	case 'S':
		return ends_early(syscall_of(fs, pid, tid)) ? RANK_ENDS_EARLY : RANK_RESTARTED;
	case 'D':
		return RANK_NOT_NOW;
	default: /* ended */
		return RANK_COUNT;
	}
}

typedef bool (*thread_fn)(void *data, pid_t tid); /* false: enough */

static int for_each_thread(const struct mp_fsroot *fs, pid_t pid, thread_fn fn, void *data)
{
	MP_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];
	uint64_t tid;
	int err = mp_fsroot_path(fs, path, "/proc/%d/task", pid);

	if (err)
		return err;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(dir))) {
		if (mp_number_parse(entry->d_name, INT32_MAX, &tid) == 0 && !fn(data, (pid_t)tid))
			break;
	}
	return 0;
}

struct choice {
	const struct mp_fsroot *fs;
	pid_t pid;
	pid_t tid;
	enum rank rank;
};

static bool consider(void *data, pid_t tid)
{
	struct choice *c = data;
	enum rank rank = rank_of(c->fs, c->pid, tid);

	if (rank < c->rank || (rank == c->rank && tid == c->pid)) {
		c->rank = rank;
		c->tid = tid;
	}
	return true;
}

int mp_thread_to_call(const struct mp_fsroot *fs, pid_t pid, pid_t *ret)
{
	struct choice choice = {.fs = fs, .pid = pid, .rank = RANK_COUNT};
	int err = for_each_thread(fs, pid, consider, &choice);

	if (err)
		return err;
	if (choice.rank == RANK_COUNT)
		return -ESRCH;
	*ret = choice.tid;
	return 0;
}

struct running {
	const struct mp_fsroot *fs;
	pid_t pid;
	pid_t *tids;
	size_t n;
	size_t max;
};

static bool add_running(void *data, pid_t tid)
{
	struct running *r = data;

	if (state_of(r->fs, r->pid, tid) == 'R')
		r->tids[r->n++] = tid;
	return r->n < r->max;
}

int mp_threads_running(const struct mp_fsroot *fs, pid_t pid, pid_t *ret, size_t max)
{
	struct running running = {fs, pid, ret, 0, max};
	int err = for_each_thread(fs, pid, add_running, &running);

	return err ? err : (int)running.n;
}
