// SPDX-License-Identifier: GPL-2.0-only
/* What a --target stands for on this machine, or why it stands for nothing. */
#include "target/target.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "target/private.h"

static int fail_process_read(struct mp_error *err, const struct mp_target_spec *spec, int cause)
{
	if (cause == -ESRCH)
		return mp_fail(err, MP_EXIT_TARGET, ESRCH,
			       "--target %s: no process %d; it has ended, or the number comes from "
			       "inside a container: see ps -e",
			       spec->origin, spec->pid);
	if (cause == -EACCES || cause == -EPERM)
		return mp_fail(err, MP_EXIT_PRIVILEGE, -cause,
			       "--target %s: /proc/%d may not be read; run as root or with "
			       "CAP_SYS_PTRACE",
			       spec->origin, spec->pid);
	return mp_fail(err, MP_EXIT_TARGET, -cause, "--target %s: reading /proc/%d: %s",
		       spec->origin, spec->pid, strerror(-cause));
}

static int resolve_pid(const struct mp_target_spec *spec, const struct mp_fsroot *fs,
		       struct mp_error *err)
{
	struct mp_process process;
	int failed = mp_process_read(fs, spec->pid, &process);

	if (failed)
		return fail_process_read(err, spec, failed);
	if (process.is_kernel_thread)
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: %d (%s) is a kernel thread and has no memory of its "
			       "own; give a user process",
			       spec->origin, spec->pid, process.comm);
	if (mp_process_has_ended(&process))
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: %d (%s) has ended and waits for its parent %d "
			       "(zombie); give a running process",
			       spec->origin, spec->pid, process.comm, process.parent);
	if (process.pid != spec->pid)
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: %d is a thread of %d; use --target %d", spec->origin,
			       spec->pid, process.pid, process.pid);
	if (spec->pid == getpid())
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: that is memprobe-bpf itself; give another process",
			       spec->origin);
	return 0;
}

static int resolve_exe(struct mp_target_spec *spec, struct mp_error *err)
{
	MP_FREE char *path = realpath(spec->text, NULL);
	struct stat st;

	if (!path || stat(path, &st) < 0) {
		int cause = errno;
		const char *hint = strchr(spec->text, '/') ? "check the path"
							   : "give the whole path, or comm:NAME";

		return mp_fail(err, MP_EXIT_TARGET, cause, "--target %s: %s; %s", spec->origin,
			       strerror(cause), hint);
	}
	if (!S_ISREG(st.st_mode))
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: not a regular file; give the path of a program",
			       spec->origin);
	free(spec->text);
	spec->text = MP_TAKE(path);
	return 0;
}

/* What lies below a mount point of a path in it, or NULL. */
static const char *below(const char *path, const char *mount)
{
	size_t len = strlen(mount);

	if (!len || strncmp(path, mount, len) != 0)
		return NULL;
	return path[len] == '/' || !path[len] ? path + len : NULL;
}

/*
 * "/a//b/", "a/b" and "/sys/fs/cgroup/memory/a/b" are all "/a/b". -EINVAL for
 * "..", which could lead out of the tree.
 */
static int normalize_cgroup(const struct mp_cgroups *cg, const char *text, char **ret_path)
{
	const char *inside = below(text, cg->memory_mount);
	MP_FREE char *copy = NULL;
	MP_FREE char *path = NULL;
	char *state = NULL;
	char *out;

	if (!inside)
		inside = below(text, cg->unified_mount);
	copy = strdup(inside ? inside : text);
	path = malloc(strlen(text) + 2);
	if (!copy || !path)
		return -ENOMEM;
	out = path;
	for (char *part = strtok_r(copy, "/", &state); part; part = strtok_r(NULL, "/", &state)) {
		if (strcmp(part, "..") == 0)
			return -EINVAL;
		if (strcmp(part, ".") == 0)
			continue;
		*out++ = '/';
		out = stpcpy(out, part);
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
	*ret_path = MP_TAKE(path);
	return 0;
}

/* On v2 a group may lack the memory controller: nobody is ever charged to it. */
static int check_has_memory(const struct mp_target_spec *spec, const struct mp_cgroups *cg,
			    const char *path, struct mp_error *err)
{
	char file[PATH_MAX];

	if (cg->mode != MP_CGROUP_V2 || strcmp(path, "/") == 0)
		return 0;
	if (!mp_fsroot_path(&cg->fs, file, "%s%s/memory.current", cg->memory_mount, path) &&
	    access(file, F_OK) == 0)
		return 0;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, EOPNOTSUPP,
		       "--target %s: the memory controller is off in %s%s; write +memory to its "
		       "parent's cgroup.subtree_control, or give pids",
		       spec->origin, cg->memory_mount, path);
}

static int resolve_cgroup(struct mp_target_spec *spec, const struct mp_cgroups *cg,
			  struct mp_error *err)
{
	MP_FREE char *path = NULL;
	uint64_t id;
	int failed = normalize_cgroup(cg, spec->text, &path);

	if (failed == -EINVAL)
		return mp_fail(err, MP_EXIT_TARGET, EINVAL,
			       "--target %s: \"..\" is not taken; give the path from %s",
			       spec->origin, cg->memory_mount);
	if (failed)
		return mp_fail_memory(err);
	failed = mp_cgroup_id(cg, path, &id);
	if (failed)
		return mp_fail(err, MP_EXIT_TARGET, -failed,
			       "--target %s: no memory cgroup %s below %s (%s); list them with: "
			       "find %s -type d",
			       spec->origin, path, cg->memory_mount, strerror(-failed),
			       cg->memory_mount);
	failed = check_has_memory(spec, cg, path, err);
	if (failed)
		return failed;
	free(spec->text);
	spec->text = MP_TAKE(path);
	return 0;
}

static int resolve_container(struct mp_target_spec *spec, const struct mp_cgroups *cg,
			     struct mp_error *err)
{
	char *path;
	int failed = mp_container_find(cg, spec->text, &path, err);

	if (failed)
		return failed;
	free(spec->text);
	spec->text = path;
	spec->kind = MP_TARGET_CGROUP;
	return check_has_memory(spec, cg, path, err);
}

static int check_memory_tree(const struct mp_target_spec *spec, const struct mp_cgroups *cg,
			     struct mp_error *err)
{
	if (cg->mode != MP_CGROUP_NONE)
		return 0;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, EOPNOTSUPP,
		       "--target %s: no cgroup tree with the memory controller is mounted; give "
		       "pid, comm or exe instead",
		       spec->origin);
}

int mp_target_resolve(struct mp_target_spec *spec, const struct mp_cgroups *cg,
		      struct mp_error *err)
{
	int failed;

	switch (spec->kind) {
	case MP_TARGET_PID:
		return resolve_pid(spec, &cg->fs, err);
	case MP_TARGET_COMM:
		return 0;
	case MP_TARGET_EXE:
		return resolve_exe(spec, err);
	case MP_TARGET_CGROUP:
		failed = check_memory_tree(spec, cg, err);
		return failed ? failed : resolve_cgroup(spec, cg, err);
	case MP_TARGET_CONTAINER:
		failed = check_memory_tree(spec, cg, err);
		return failed ? failed : resolve_container(spec, cg, err);
	}
	return -EINVAL;
}
