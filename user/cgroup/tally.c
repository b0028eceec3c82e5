// SPDX-License-Identifier: GPL-2.0-only
/* What has become of a group since it was made, and who is in it. */
#include "cgroup/cgroup.h"

#include <unistd.h>

#include "cgroup/private.h"

/* Version 1 keeps no count of what was reclaimed. */
static int read_reclaimed(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	uint64_t pages;
	int err = mp_cgroup_read(cg, path, "memory.stat", MP_CGROUP_MAX_STAT, &text);

	*ret = MP_UNKNOWN;
	if (err)
		return err;
	err = mp_cgroup_field(text, "pgsteal", &pages);
	if (!err)
		*ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return err == -ENOENT ? 0 : err;
}

int mp_cgroup_tally(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_tally *ret)
{
	const char *peak = cg->mode == MP_CGROUP_V2 ? "memory.peak" : "memory.max_usage_in_bytes";
	struct mp_cgroup_tally tally;
	int err = mp_cgroup_read_value(cg, path, peak, &tally.peak);

	if (!err)
		err = read_reclaimed(cg, path, &tally.reclaimed);
	if (!err)
		*ret = tally;
	return err;
}

int mp_cgroup_pids(const struct mp_cgroups *cg, const char *path, pid_t **ret, size_t *ret_n)
{
	char folder[PATH_MAX];
	int err = mp_fsroot_path(&cg->fs, folder, "%s%s", cg->memory_mount, path);

	return err ? err : mp_cgroup_pids_in(folder, ret, ret_n);
}
