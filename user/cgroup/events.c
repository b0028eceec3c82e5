// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel has counted in a memory cgroup. */
#include "cgroup/control.h"

#include <errno.h>

#include "cgroup/private.h"

static int optional_field(const char *text, const char *key, uint64_t *ret)
{
	int err = mp_cgroup_field(text, key, ret);

	return err == -ENOENT ? 0 : err;
}

static int read_v2(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_events *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_read(cg, path, "memory.events", MP_CGROUP_MAX_STAT, &text);

	if (!err)
		err = optional_field(text, "low", &ret->low);
	if (!err)
		err = optional_field(text, "high", &ret->high);
	if (!err)
		err = optional_field(text, "max", &ret->max);
	if (!err)
		err = optional_field(text, "oom", &ret->oom);
	if (!err)
		err = optional_field(text, "oom_kill", &ret->oom_kill);
	return err;
}

/* Of the group alone, unlike what v2 counts. */
static int read_v1(const struct mp_cgroups *cg, const char *path, struct mp_cgroup_events *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_read(cg, path, "memory.oom_control", MP_CGROUP_MAX_STAT, &text);

	if (!err)
		err = optional_field(text, "oom_kill", &ret->oom_kill);
	return err ? err : mp_cgroup_read_value(cg, path, "memory.failcnt", &ret->max);
}

int mp_cgroup_read_events(const struct mp_cgroups *cg, const char *path,
			  struct mp_cgroup_events *ret)
{
	struct mp_cgroup_events events = {MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN,
					  MP_UNKNOWN};
	int err;

	if (cg->mode == MP_CGROUP_NONE)
		return -ENOENT;
	err = cg->mode == MP_CGROUP_V2 ? read_v2(cg, path, &events) : read_v1(cg, path, &events);
	if (!err)
		*ret = events;
	return err;
}

int mp_cgroup_oom_kills(const struct mp_cgroups *cg, const char *path, uint64_t *ret)
{
	struct mp_cgroup_events events;
	int err = mp_cgroup_read_events(cg, path, &events);

	if (!err && events.oom_kill == MP_UNKNOWN)
		err = -ENOENT;
	if (!err)
		*ret = events.oom_kill;
	return err;
}
