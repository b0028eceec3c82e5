// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pressure by the eventfds of v1: memory.pressure_level at each of its levels,
 * and memory.oom_control.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cgroup/control.h"
#include "source/pressure_kind.h"

/* The order is that of rising urgency: a level takes those before it along. */
static const struct signal {
	const char *name;
	const char *file;
	const char *arg;
} signals[] = {
	{"low", "memory.pressure_level", "low"},
	{"medium", "memory.pressure_level", "medium"},
	{"critical", "memory.pressure_level", "critical"},
	{"oom", "memory.oom_control", ""},
};
_Static_assert(MP_ARRAY_SIZE(signals) <= MP_PRESSURE_MAX_FDS, "room for every eventfd");

/* The root of the tree stands for the host, where the whole tree is mounted. */
static const char *group_of(const struct mp_pressure_watch *watch, const struct mp_cgroups *cg)
{
	if (watch->domain->path)
		return watch->domain->path;
	return strcmp(cg->memory_root, "/") == 0 ? "/" : NULL;
}

static int register_fd(const struct mp_cgroups *cg, const char *group, const struct signal *signal,
		       int fd)
{
	static const char *const modes[] = {",local", ""};
	char path[PATH_MAX];
	char text[64];
	MP_CLOSE int file = -1;
	int err = mp_fsroot_path(&cg->fs, path, "%s%s/%s", cg->memory_mount, group, signal->file);

	if (err)
		return err;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	err = mp_fsroot_path(&cg->fs, path, "%s%s/cgroup.event_control", cg->memory_mount, group);
	if (err)
		return err;
	/*
	 * Local: only when this group's own limit is what reclaims. A group below that is at
	 * its limit is another domain's pressure. Before 4.13 there was no such choice.
	 */
	for (size_t i = *signal->arg ? 0 : 1; i < MP_ARRAY_SIZE(modes); i++) {
		snprintf(text, sizeof(text), "%d %d %s%s", fd, file, signal->arg, modes[i]);
		err = mp_cgroup_write(path, text);
		if (err != -EINVAL)
			break;
	}
	return err;
}

static int v1_open(struct mp_pressure_watch *watch, const struct mp_cgroups *cg,
		   const struct mp_policy *policy)
{
	const char *group = group_of(watch, cg);

	(void)policy;
	if ((cg->mode != MP_CGROUP_V1 && cg->mode != MP_CGROUP_HYBRID) || !group)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < MP_ARRAY_SIZE(signals); i++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		int err;

		if (fd < 0)
			return -errno;
		watch->fds[watch->n_fds++] = fd;
		err = register_fd(cg, group, &signals[i], fd);
		if (err)
			return err;
	}
	return mp_cgroup_read_events(cg, group, &watch->seen);
}

/* The most urgent of those that have come, or NULL. */
static const struct signal *drain(const struct mp_pressure_watch *watch)
{
	const struct signal *found = NULL;

	for (size_t i = 0; i < watch->n_fds; i++) {
		eventfd_t count;

		if (eventfd_read(watch->fds[i], &count) == 0)
			found = &signals[i];
	}
	return found;
}

static int v1_take(struct mp_pressure_watch *watch, const struct mp_cgroups *cg, uint64_t now_ns,
		   struct mp_event_pressure *event, size_t *ret_quiet)
{
	const struct signal *signal = drain(watch);
	struct mp_cgroup_events now;
	int err = mp_cgroup_read_events(cg, group_of(watch, cg), &now);

	(void)now_ns;
	if (err)
		return err;
	/* A kill is counted after its OOM was told: without a signal it still is news. */
	if (!signal && now.oom_kill == watch->seen.oom_kill) {
		*ret_quiet = 0;
		return 0;
	}
	if (!signal)
		signal = &signals[MP_ARRAY_SIZE(signals) - 1];
	mp_pressure_count(watch, &now, event);
	event->v1_level = signal->name;
	*ret_quiet = (size_t)(signal - signals) + 1;
	return 1;
}

const struct mp_pressure_kind mp_pressure_memcg_v1 = {
	.source = MP_PRESSURE_MEMCG_V1,
	.open = v1_open,
	.close = mp_pressure_close_fds,
	.take = v1_take,
};
