// SPDX-License-Identifier: GPL-2.0-only
/* What a memory cgroup holds and may hold. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "cgroup/private.h"

#define MAX_VALUE 256
#define MAX_STAT (256U << 10)
#define MAX_MEMINFO (64U << 10)

/*
 * v1 has no "max": without a limit it says the largest whole number of pages
 * below 2^63 bytes, which depends on the page size (up to 256 KiB).
 */
#define V1_NO_LIMIT (INT64_MAX - (256LL << 10) + 1)

struct file_names {
	const char *usage;
	const char *limit;
	const char *inactive_file; /* key in memory.stat, of the group and all below */
};

static const struct file_names *file_names(const struct mp_cgroups *cg)
{
	static const struct file_names v1 = {"memory.usage_in_bytes", "memory.limit_in_bytes",
					     "total_inactive_file"};
	static const struct file_names v2 = {"memory.current", "memory.max", "inactive_file"};

	return cg->mode == MP_CGROUP_V2 ? &v2 : &v1;
}

/* A group that is removed while its file is read answers ENODEV. */
static int read_group_file(const struct mp_cgroups *cg, const char *path, const char *file,
			   size_t max, char **ret_text)
{
	int err = mp_read_file_at(&cg->fs, max, ret_text, NULL, "%s%s/%s", cg->memory_mount, path,
				  file);

	return err == -ENODEV ? -ENOENT : err;
}

/* Bytes in a file of one number; "max" and a file that the group lacks are MP_UNKNOWN. */
static int read_value(const struct mp_cgroups *cg, const char *path, const char *file,
		      uint64_t *ret)
{
	MP_FREE char *text = NULL;
	int err = read_group_file(cg, path, file, MAX_VALUE, &text);

	if (err && err != -ENOENT)
		return err;
	if (!err)
		text[strcspn(text, "\n")] = '\0';
	if (err || strcmp(text, "max") == 0) {
		*ret = MP_UNKNOWN;
		return 0;
	}
	return mp_number_parse(text, UINT64_MAX, ret) ? -EBADMSG : 0;
}

static int read_limit(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	int err = read_value(cg, path, file_names(cg)->limit, ret);

	if (!err && cg->mode != MP_CGROUP_V2 && *ret >= V1_NO_LIMIT)
		*ret = MP_UNKNOWN;
	return err;
}

static int stat_field(char *text, const char *key, uint64_t *ret)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *name = strsep(&line, " ");

		if (strcmp(name, key) == 0 && line)
			return mp_number_parse(line, UINT64_MAX, ret) ? -EBADMSG : 0;
	}
	return -ENOENT;
}

static int read_inactive_file(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	int err = read_group_file(cg, path, "memory.stat", MAX_STAT, &text);

	if (!err)
		err = stat_field(text, file_names(cg)->inactive_file, ret);
	if (err != -ENOENT)
		return err;
	*ret = MP_UNKNOWN;
	return 0;
}

static int check_group(const struct mp_cgroups *cg, const char *path)
{
	char directory[PATH_MAX];
	int err;

	if (cg->mode == MP_CGROUP_NONE)
		return -ENOENT;
	err = mp_fsroot_path(&cg->fs, directory, "%s%s", cg->memory_mount, path);
	if (err)
		return err;
	return access(directory, F_OK) < 0 ? -errno : 0;
}

static uint64_t working_set(uint64_t usage, uint64_t inactive_file)
{
	if (usage == MP_UNKNOWN || inactive_file == MP_UNKNOWN)
		return MP_UNKNOWN;
	return usage > inactive_file ? usage - inactive_file : 0;
}

int mp_cgroup_sample(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_sample *ret)
{
	struct mp_cgroup_sample sample;
	int err = check_group(cg, path);

	if (!err)
		err = read_value(cg, path, file_names(cg)->usage, &sample.usage);
	if (!err)
		err = read_inactive_file(cg, path, &sample.inactive_file);
	if (!err)
		err = read_limit(cg, path, &sample.limit);
	if (err)
		return err;
	sample.working_set = working_set(sample.usage, sample.inactive_file);
	*ret = sample;
	return 0;
}

int mp_cgroup_effective_limit(const struct mp_cgroups *cg, const char *path, uint64_t *ret_limit,
			      char **ret_owner)
{
	MP_FREE char *group = strdup(path);
	MP_FREE char *owner = NULL;
	uint64_t least = MP_UNKNOWN;
	int err = check_group(cg, path);

	if (err)
		return err;
	if (!group)
		return -ENOMEM;
	do {
		uint64_t limit;

		err = read_limit(cg, group, &limit);
		if (err)
			return err;
		if (limit >= least)
			continue;
		least = limit;
		free(owner);
		owner = strdup(group);
		if (!owner)
			return -ENOMEM;
	} while (mp_cgroup_go_up(group));
	*ret_limit = least;
	*ret_owner = MP_TAKE(owner);
	return 0;
}

int mp_host_memory(const struct mp_fsroot *fs, uint64_t *ret_total, uint64_t *ret_available)
{
	MP_FREE char *text = NULL;
	uint64_t total;
	uint64_t available;
	int err = mp_read_file_at(fs, MAX_MEMINFO, &text, NULL, "/proc/meminfo");

	if (!err)
		err = mp_meminfo_field(text, "MemTotal", &total);
	if (!err)
		err = mp_meminfo_field(text, "MemAvailable", &available);
	if (err)
		return err;
	*ret_total = total;
	*ret_available = available;
	return 0;
}

int mp_cgroup_oom_kills(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	int err = read_group_file(cg, path,
				  cg->mode == MP_CGROUP_V2 ? "memory.events" : "memory.oom_control",
				  MAX_STAT, &text);

	return err ? err : stat_field(text, "oom_kill", ret);
}
