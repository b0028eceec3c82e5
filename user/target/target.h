/* SPDX-License-Identifier: GPL-2.0-only */
/* --target: which processes. */
#ifndef MP_TARGET_TARGET_H
#define MP_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/fsroot.h"
#include "cgroup/cgroup.h"

enum mp_target_kind {
	MP_TARGET_PID = 0,   /* N or pid:N */
	MP_TARGET_COMM,	     /* comm:NAME, the first 15 bytes as the kernel keeps them */
	MP_TARGET_EXE,	     /* exe:PATH */
	MP_TARGET_CGROUP,    /* cgroup:PATH, below it too; relative to the mount or a path in it */
	MP_TARGET_CONTAINER, /* container:ID, a prefix of 12 or more hex digits, or a full name */
};

struct mp_target_spec {
	enum mp_target_kind kind;
	pid_t pid;
	char *text; /* behind the colon; resolved: exe's real path, cgroup's path below the mount */
	char *origin; /* as the user wrote it */
};

/*
 * Parses one --target. Unknown kinds (with the nearest known one), a pid that
 * is no positive number, an empty name: exit code 2.
 */
int mp_target_parse(const char *text, struct mp_target_spec *ret, struct mp_error *err);
void mp_target_spec_free(struct mp_target_spec *spec);

/*
 * Makes the spec concrete: the pid must be a live user process (-ESRCH gone,
 * -EINVAL kernel thread or zombie), exe must exist, cgroup and container must
 * be found (a container's id becomes its memory cgroup's path in `text`, and
 * the kind becomes MP_TARGET_CGROUP). Exit code 5.
 */
int mp_target_resolve(struct mp_target_spec *spec, const struct mp_cgroups *cg,
		      struct mp_error *err);

struct mp_process {
	pid_t pid; /* thread group */
	pid_t parent;
	char comm[16];
	char state; /* R S D T Z … */
	bool is_kernel_thread;
	bool is_exiting;     /* its main thread is on its way out, or a zombie */
	uint64_t start_time; /* ticks since boot: tells a reused pid */
};
/*
 * From /proc/PID/stat and status; any comm, also with ") (" inside. A thread's id
 * is answered with its thread group in `pid`. -ESRCH when gone, -EBADMSG.
 */
int mp_process_read(const struct mp_fsroot *fs, pid_t pid, struct mp_process *ret);

/* Bytes resident, of /proc/PID/statm; MP_UNKNOWN for pid 0, and when it is gone. */
uint64_t mp_process_rss(const struct mp_fsroot *fs, pid_t pid);

struct mp_rss_kinds {
	uint64_t anon, file, shmem;
};
/* The same by kind, of /proc/PID/status. -ESRCH when it is gone or has no memory. */
int mp_process_rss_kinds(const struct mp_fsroot *fs, pid_t pid, struct mp_rss_kinds *ret);

/* Calls `fn` for every process that matches the spec now (never self). */
typedef int (*mp_process_fn)(void *data, const struct mp_process *process);
int mp_target_scan(const struct mp_target_spec *spec, const struct mp_cgroups *cg, mp_process_fn fn,
		   void *data);
/* The same for every user process. */
int mp_process_scan(const struct mp_cgroups *cg, mp_process_fn fn, void *data);

/* A file that a process has mapped executable. */
struct mp_binary {
	const char *path;      /* as the process sees it, without " (deleted)" */
	const char *open_path; /* what opens and probes it from here: the path itself,
				* /proc/PID/root/… in another mount namespace, or
				* /proc/PID/map_files/… when it was deleted or replaced */
	const char *root;      /* "" or "/proc/PID/root": what open_path's path is below */
	uint64_t dev;	       /* of the opened file (st_dev, st_ino) */
	uint64_t ino;
	uint64_t start; /* of the executable mapping */
	uint64_t end;
	uint64_t file_offset;
	bool deleted;
	bool is_exe; /* the process's main program */
};
typedef int (*mp_binary_fn)(void *data, const struct mp_binary *binary);
/* Each file once (its first executable mapping), the main program first. -ESRCH when gone. */
int mp_process_binaries(const struct mp_fsroot *fs, pid_t pid, mp_binary_fn fn, void *data);
/* All executable file mappings in address order, for symbolizing. */
int mp_process_mappings(const struct mp_fsroot *fs, pid_t pid, mp_binary_fn fn, void *data);

/* Whether a path matches a glob: all of it when the glob has a slash, else its last part. */
bool mp_binary_matches(const char *path, const char *glob);

/*
 * Files on disk that a glob may come to mean when a process maps them later:
 * the glob's matches when it is a path, else the libraries of the loader's
 * cache with that name, and the files in $LD_LIBRARY_PATH. Calls fn with the path.
 */
typedef int (*mp_path_fn)(void *data, const char *path);
int mp_library_candidates(const char *glob, mp_path_fn fn, void *data);

#endif
