// SPDX-License-Identifier: GPL-2.0-only
/* Which processes a target means right now. */
#include "target/target.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "target/private.h"

struct scan {
	const struct mp_target_spec *spec; /* NULL: every process */
	const struct mp_cgroups *cg;
	struct stat exe; /* kind exe: the file asked for */
	mp_process_fn fn;
	void *data;
};

static bool runs_exe(const struct scan *scan, pid_t pid)
{
	struct stat st;

	return !mp_process_exe(&scan->cg->fs, pid, &st) && st.st_dev == scan->exe.st_dev &&
	       st.st_ino == scan->exe.st_ino;
}

static bool is_in_cgroup(const struct scan *scan, pid_t pid)
{
	const char *group = scan->spec->text;
	size_t len = strcmp(group, "/") == 0 ? 0 : strlen(group);
	MP_FREE char *path = NULL;

	if (mp_cgroup_of_pid(scan->cg, pid, &path))
		return false;
	return strncmp(path, group, len) == 0 && (path[len] == '/' || !path[len]);
}

static bool is_meant(const struct scan *scan, const struct mp_process *process)
{
	const struct mp_target_spec *spec = scan->spec;

	if (!spec)
		return true;
	switch (spec->kind) {
	case MP_TARGET_PID:
		return process->pid == spec->pid;
	case MP_TARGET_COMM:
		return strncmp(process->comm, spec->text, sizeof(process->comm) - 1) == 0;
	case MP_TARGET_EXE:
		return runs_exe(scan, process->pid);
	case MP_TARGET_CGROUP:
		return is_in_cgroup(scan, process->pid);
	case MP_TARGET_CONTAINER:
		break;
	}
	return false;
}

/* A process that ends meanwhile, or that may not be looked at, is simply not among them. */
static int visit(const struct scan *scan, pid_t pid)
{
	const struct mp_fsroot *fs = &scan->cg->fs;
	struct mp_process process;
	int err = pid == getpid() ? -ESRCH : mp_process_read_stat(fs, pid, &process);

	if (err)
		return err == -ENOMEM ? err : 0;
	if (process.is_kernel_thread || mp_process_has_ended(&process) || !is_meant(scan, &process))
		return 0;
	if (mp_process_thread_group(fs, pid, &process.pid) || process.pid != pid)
		return 0;
	return scan->fn(scan->data, &process);
}

static int visit_all(const struct scan *scan)
{
	char path[PATH_MAX];
	MP_CLOSEDIR DIR *proc = NULL;
	const struct dirent *entry;
	int ret = mp_fsroot_path(&scan->cg->fs, path, "/proc");

	if (ret)
		return ret;
	proc = opendir(path);
	if (!proc)
		return -errno;
	while (!ret && (entry = readdir(proc))) {
		uint64_t pid;

		if (!mp_number_parse(entry->d_name, INT32_MAX, &pid))
			ret = visit(scan, (pid_t)pid);
	}
	return ret;
}

int mp_target_scan(const struct mp_target_spec *spec, const struct mp_cgroups *cg, mp_process_fn fn,
		   void *data)
{
	struct scan scan = {.spec = spec, .cg = cg, .fn = fn, .data = data};

	if (spec->kind == MP_TARGET_PID)
		return visit(&scan, spec->pid);
	if (spec->kind == MP_TARGET_EXE && stat(spec->text, &scan.exe) < 0)
		return -errno;
	return visit_all(&scan);
}

int mp_process_scan(const struct mp_cgroups *cg, mp_process_fn fn, void *data)
{
	const struct scan scan = {.cg = cg, .fn = fn, .data = data};

	return visit_all(&scan);
}
