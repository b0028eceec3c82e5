// SPDX-License-Identifier: GPL-2.0-only
/* What a memory cgroup holds and may hold. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "cgroup/private.h"

#define MAX_VALUE 256
#define MAX_NUMBER 32
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

int mp_cgroup_read(const struct mp_cgroups *cg, const char *path, const char *file, size_t max,
		   char **ret_text)
{
	return mp_cgroup_gone(mp_read_file_at(&cg->fs, max, ret_text, NULL, "%s%s/%s",
					      cg->memory_mount, path, file));
}

int mp_cgroup_read_value(const struct mp_cgroups *cg, const char *path, const char *file,
			 uint64_t *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_read(cg, path, file, MAX_VALUE, &text);

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
	int err = mp_cgroup_read_value(cg, path, file_names(cg)->limit, ret);

	if (!err && cg->mode != MP_CGROUP_V2 && *ret >= V1_NO_LIMIT)
		*ret = MP_UNKNOWN;
	return err;
}

const char *mp_cgroup_line(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (strncmp(text, key, len) != 0 || text[len] != ' ') {
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
	return text + len + 1;
}

int mp_cgroup_number(const char *text, uint64_t *ret)
{
	size_t len = strcspn(text, "\n");
	char number[MAX_NUMBER];

	if (len >= sizeof(number))
		return -EBADMSG;
	memcpy(number, text, len);
	number[len] = '\0';
	return mp_number_parse(number, UINT64_MAX, ret) ? -EBADMSG : 0;
}

int mp_cgroup_field(const char *text, const char *key, uint64_t *ret)
{
	const char *value = mp_cgroup_line(text, key);

	return value ? mp_cgroup_number(value, ret) : -ENOENT;
}

static int read_inactive_file(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_read(cg, path, "memory.stat", MP_CGROUP_MAX_STAT, &text);

	if (!err)
		err = mp_cgroup_field(text, file_names(cg)->inactive_file, ret);
	if (err != -ENOENT)
		return err;
	*ret = MP_UNKNOWN;
	return 0;
}

/*
 * Asked after the files were read: those of a group that went away meanwhile look
 * like files that it never had.
 */
int mp_cgroup_check(const struct mp_cgroups *cg, const char *path)
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
	int err = mp_cgroup_read_value(cg, path, file_names(cg)->usage, &sample.usage);

	if (!err)
		err = read_inactive_file(cg, path, &sample.inactive_file);
	if (!err)
		err = read_limit(cg, path, &sample.limit);
	if (!err)
		err = mp_cgroup_check(cg, path);
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
	int err;

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
	err = mp_cgroup_check(cg, path);
	if (err)
		return err;
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

int mp_domain_of_pid(const struct mp_cgroups *cg, pid_t pid, uint64_t *ret_limit, char **ret_domain)
{
	MP_FREE char *path = NULL;
	char *domain = NULL;
	uint64_t limit, available;
	int err;

	if (cg->mode == MP_CGROUP_NONE || mp_cgroup_of_pid(cg, pid, &path) ||
	    mp_cgroup_effective_limit(cg, path, &limit, &domain))
		domain = NULL;
	err = domain ? 0 : mp_host_memory(&cg->fs, &limit, &available);
	if (err)
		return err;
	*ret_limit = limit;
	*ret_domain = domain;
	return 0;
}

int mp_domain_glance(const struct mp_cgroups *cg, const char *path, struct mp_domain_sample *ret)
{
	struct mp_domain_sample sample = {.working_set = MP_UNKNOWN};
	int err;

	if (!path)
		return mp_domain_sample(cg, NULL, ret);
	err = mp_cgroup_read_value(cg, path, file_names(cg)->usage, &sample.usage);
	if (!err)
		err = read_limit(cg, path, &sample.limit);
	if (!err && (sample.usage == MP_UNKNOWN || sample.limit == MP_UNKNOWN))
		err = mp_cgroup_check(cg, path);
	if (err)
		return err;
	sample.usage_pct = mp_percent(sample.usage, sample.limit);
	*ret = sample;
	return 0;
}

static int sample_host(const struct mp_fsroot *fs, struct mp_domain_sample *ret)
{
	uint64_t available;
	uint64_t total;
	uint64_t used;
	int err = mp_host_memory(fs, &total, &available);

	if (err)
		return err;
	used = total > available ? total - available : 0;
	*ret = (struct mp_domain_sample){used, used, total, mp_percent(used, total)};
	return 0;
}

int mp_domain_sample(const struct mp_cgroups *cg, const char *path, struct mp_domain_sample *ret)
{
	struct mp_cgroup_sample group;
	int err;

	if (!path)
		return sample_host(&cg->fs, ret);
	err = mp_cgroup_sample(cg, path, &group);
	if (err)
		return err;
	*ret = (struct mp_domain_sample){group.usage, group.working_set, group.limit,
					 mp_percent(group.working_set, group.limit)};
	return 0;
}
