// SPDX-License-Identifier: GPL-2.0-only
/* Telling a group what to do, and finding what can be told. */
#include "cgroup/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/size.h"
#include "cgroup/private.h"

#define MAX_PROCS (4U << 20)
#define MAX_NUMBER 32

int mp_cgroup_write(const char *path, const char *text)
{
	MP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return mp_cgroup_gone(-errno);
	n = write(fd, text, len);
	if (n < 0)
		return mp_cgroup_gone(-errno);
	return (size_t)n == len ? 0 : -EIO;
}

/* A file of a group that is there: that it lacks the file is another thing than being gone. */
static int file_of(const struct mp_cgroups *cg, const char *path, const char *file,
		   char out[PATH_MAX])
{
	int err = mp_cgroup_check(cg, path);

	if (!err)
		err = mp_fsroot_path(&cg->fs, out, "%s%s/%s", cg->memory_mount, path, file);
	if (!err && access(out, F_OK) < 0)
		err = errno == ENOENT ? -EOPNOTSUPP : -errno;
	return err;
}

int mp_cgroup_high_knob(const struct mp_cgroups *cg, const char *path, uint64_t bytes,
			struct mp_cgroup_knob *ret)
{
	struct mp_cgroup_knob knob;
	uint64_t now;
	int err;

	if (cg->mode != MP_CGROUP_V2)
		return -EOPNOTSUPP;
	err = file_of(cg, path, "memory.high", knob.path);
	if (!err)
		err = mp_cgroup_read_value(cg, path, "memory.high", &now);
	if (err)
		return err;
	snprintf(knob.set, sizeof(knob.set), "%llu", (unsigned long long)bytes);
	if (now == MP_UNKNOWN)
		strcpy(knob.restore, "max");
	else
		snprintf(knob.restore, sizeof(knob.restore), "%llu", (unsigned long long)now);
	*ret = knob;
	return 0;
}

int mp_cgroup_reclaim(const struct mp_cgroups *cg, const char *path, uint64_t bytes)
{
	char file[PATH_MAX];
	char number[MAX_NUMBER];
	int err;

	if (cg->mode != MP_CGROUP_V2)
		return -EOPNOTSUPP;
	err = file_of(cg, path, "memory.reclaim", file);
	if (err)
		return err;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)bytes);
	return mp_cgroup_write(file, number);
}

int mp_cgroup_psi_path(const struct mp_cgroups *cg, const char *path, char out[PATH_MAX])
{
	int err;

	if (!cg->unified_mount[0])
		return -EOPNOTSUPP;
	err = mp_fsroot_path(&cg->fs, out, "%s%s/memory.pressure", cg->unified_mount, path);
	if (!err && access(out, F_OK) < 0)
		err = errno == ENOENT ? -EOPNOTSUPP : -errno;
	return err;
}

static int parse_pids(char *text, pid_t **ret, size_t *ret_n)
{
	MP_FREE pid_t *pids = NULL;
	size_t cap = 0;
	size_t n = 0;
	char *line;

	while ((line = strsep(&text, "\n")) && *line) {
		uint64_t pid;

		if (mp_number_parse(line, INT32_MAX, &pid))
			return -EBADMSG;
		if (MP_RESERVE_ONE(pids, n, cap))
			return -ENOMEM;
		pids[n++] = (pid_t)pid;
	}
	*ret = MP_TAKE(pids);
	*ret_n = n;
	return 0;
}

int mp_cgroup_pids_in(const char *folder, pid_t **ret, size_t *ret_n)
{
	MP_FREE char *text = NULL;
	char path[PATH_MAX];
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", folder) >= sizeof(path))
		return -ENAMETOOLONG;
	err = mp_cgroup_gone(mp_read_file(path, MAX_PROCS, &text, NULL));
	return err ? err : parse_pids(text, ret, ret_n);
}
