// SPDX-License-Identifier: GPL-2.0-only
#include "env/lxcfs.h"

#include <errno.h>
#include <mntent.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"

static void end_mounts(FILE **mounts)
{
	if (*mounts)
		endmntent(*mounts);
}
#define MOUNTS MP_CLEANUP(end_mounts)

/* Where a process of lxcfs still answers: one that was killed leaves its mount behind. */
static bool find_mount(char out[PATH_MAX])
{
	MOUNTS FILE *mounts = setmntent("/proc/self/mounts", "re");
	char buffer[2 * PATH_MAX];
	struct mntent entry;

	while (mounts && getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		char path[PATH_MAX + 32];

		if (strcmp(entry.mnt_type, "fuse.lxcfs") != 0 || strlen(entry.mnt_dir) >= PATH_MAX)
			continue;
		snprintf(path, sizeof(path), "%s/proc/meminfo", entry.mnt_dir);
		if (access(path, R_OK) != 0)
			continue;
		snprintf(out, PATH_MAX, "%s", entry.mnt_dir);
		return true;
	}
	return false;
}

void mp_lxcfs_find(struct mp_lxcfs *lxcfs, bool off, bool cpus)
{
	*lxcfs = (struct mp_lxcfs){.cpus = cpus};
	if (off)
		return;
	if (!find_mount(lxcfs->mount)) {
		lxcfs->note = "/proc/meminfo inside is the host's: lxcfs, which would show the "
			      "device there, does not run (package lxcfs)";
	} else if (geteuid() != 0) {
		lxcfs->mount[0] = '\0';
		lxcfs->note = "/proc/meminfo inside is the host's: only root can bind that of "
			      "lxcfs over it";
	}
}

static int bind_over_proc(const struct mp_lxcfs *lxcfs, const char *name)
{
	char from[PATH_MAX + 32];
	char to[32];

	snprintf(from, sizeof(from), "%s/proc/%s", lxcfs->mount, name);
	snprintf(to, sizeof(to), "/proc/%s", name);
	return mount(from, to, NULL, MS_BIND, NULL) ? -errno : 0;
}

static int show(const struct mp_lxcfs *lxcfs)
{
	int error = 0;

	/* As a slave: what is mounted on the host later is seen, and nothing of this there. */
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL))
		return -errno;
	error = bind_over_proc(lxcfs, "meminfo");
	error = error ?: bind_over_proc(lxcfs, "swaps");
	if (lxcfs->cpus) {
		error = error ?: bind_over_proc(lxcfs, "cpuinfo");
		error = error ?: bind_over_proc(lxcfs, "stat");
	}
	return error;
}

void mp_lxcfs_show(const struct mp_lxcfs *lxcfs)
{
	int error = lxcfs->mount[0] ? show(lxcfs) : 0;

	if (error)
		fprintf(stderr,
			"memprobe-bpf: note: /proc/meminfo inside is the host's: lxcfs cannot be "
			"bound over it: %s\n",
			strerror(-error));
}
