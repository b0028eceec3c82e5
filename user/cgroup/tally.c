// SPDX-License-Identifier: GPL-2.0-only
/* What has become of a group since it was made, and who is in it. */
#include "cgroup/cgroup.h"

#include <unistd.h>

#include "cgroup/private.h"

/* A count of pages, in bytes; MP_UNKNOWN where there is none. */
static int take_pages(const char *stat, const char *key, uint64_t *ret)
{
	uint64_t pages;
	int err = mp_cgroup_field(stat, key, &pages);

	*ret = err ? MP_UNKNOWN : pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return err == -ENOENT ? 0 : err;
}

/* Version 1 keeps no count of what was reclaimed. */
static int read_stat(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_tally *tally)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_read(cg, path, "memory.stat", MP_CGROUP_MAX_STAT, &text);

	if (!err)
		err = take_pages(text, "pgsteal", &tally->reclaimed);
	if (!err)
		err = take_pages(text, "workingset_refault_file", &tally->refaulted);
	return err;
}

int mp_cgroup_tally(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_tally *ret)
{
	const char *peak = cg->mode == MP_CGROUP_V2 ? "memory.peak" : "memory.max_usage_in_bytes";
	struct mp_cgroup_tally tally;
	int err = mp_cgroup_read_value(cg, path, peak, &tally.peak);

	if (!err)
		err = read_stat(cg, path, &tally);
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
