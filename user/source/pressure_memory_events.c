// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pressure by memory.events of v2, which counts the group and all below it. The
 * file itself can be polled, so that no inotify instance is needed, of which a
 * user has few; it is quiet again once it was read.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cgroup/control.h"
#include "source/pressure_kind.h"

#define MAX_EVENTS 4096

/* Through the file that is polled, since only that makes it quiet. */
static int acknowledge(int fd)
{
	char text[MAX_EVENTS];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	if (n >= 0)
		return 0;
	return errno == ENODEV ? -ENOENT : -errno;
}

static int events_open(struct mp_pressure_watch *watch, const struct mp_cgroups *cg,
		       const struct mp_policy *policy)
{
	const char *group = watch->domain->path;
	char path[PATH_MAX];
	int err;
	int fd;

	(void)policy;
	if (cg->mode != MP_CGROUP_V2 || !group)
		return -EOPNOTSUPP;
	err = mp_fsroot_path(&cg->fs, path, "%s%s/memory.events", cg->memory_mount, group);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	watch->fds[watch->n_fds++] = fd;
	err = acknowledge(fd);
	return err ? err : mp_cgroup_read_events(cg, group, &watch->seen);
}

static int events_take(struct mp_pressure_watch *watch, const struct mp_cgroups *cg,
		       uint64_t now_ns, struct mp_event_pressure *event, size_t *ret_quiet)
{
	struct mp_cgroup_events now;
	int err = acknowledge(watch->fds[0]);

	(void)now_ns;
	if (!err)
		err = mp_cgroup_read_events(cg, watch->domain->path, &now);
	if (err)
		return err;
	*ret_quiet = 1;
	return mp_pressure_count(watch, &now, event);
}

const struct mp_pressure_kind mp_pressure_memory_events = {
	.source = MP_PRESSURE_MEMORY_EVENTS,
	.is_urgent = true,
	.open = events_open,
	.close = mp_pressure_close_fds,
	.take = events_take,
};
