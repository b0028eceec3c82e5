// SPDX-License-Identifier: GPL-2.0-only
/* Which memory cgroup a process is in. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/private.h"

#define MAX_PROC_CGROUP (1U << 20)

bool mp_cgroup_go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

/* The path in "4:cpu,memory:/path" or, of v2, "0::/path" when that is the tree's line. */
static char *path_of_line(const char *controller, char *line)
{
	const char *hierarchy = strsep(&line, ":");
	const char *controllers = strsep(&line, ":");

	if (!line || line[0] != '/')
		return NULL;
	if (!controller)
		return strcmp(hierarchy, "0") == 0 && !*controllers ? line : NULL;
	return mp_cgroup_has_word(controllers, controller) ? line : NULL;
}

/*
 * The kernel gives paths from the top of the tree (or of the reader's cgroup
 * namespace, with "/.." for what lies above), while only a part of the tree may
 * be mounted: in a container the mount's root is the container's own group.
 */
static const char *path_below_mount(const char *root, const char *path)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	const char *rest = path + len;

	if (strncmp(path, root, len) != 0 || (*rest && *rest != '/'))
		return NULL;
	if (strncmp(rest, "/..", 3) == 0 && (rest[3] == '/' || !rest[3]))
		return NULL;
	return *rest ? rest : "/";
}

/*
 * On v2 a group without the memory controller is charged to its nearest
 * ancestor that has it, which is also the one the kernel side sees.
 */
static void go_to_charged_group(const struct mp_cgroups *cg, char *path)
{
	char file[PATH_MAX];

	do {
		if (!mp_fsroot_path(&cg->fs, file, "%s%s/memory.current", cg->memory_mount, path) &&
		    access(file, F_OK) == 0)
			return;
	} while (mp_cgroup_go_up(path));
}

int mp_cgroup_path_of_pid(const struct mp_fsroot *fs, pid_t pid, const char *controller,
			  const char *root, char **ret_path)
{
	MP_FREE char *text = NULL;
	const char *path = NULL;
	char *rest;
	char *line;
	char *own;
	int err = mp_read_file_at(fs, MAX_PROC_CGROUP, &text, NULL, "/proc/%d/cgroup", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	rest = text;
	while (!path && (line = strsep(&rest, "\n")))
		path = path_of_line(controller, line);
	if (path)
		path = path_below_mount(root, path);
	if (!path)
		return -ENOENT;
	own = strdup(path);
	if (!own)
		return -ENOMEM;
	*ret_path = own;
	return 0;
}

int mp_cgroup_of_pid(const struct mp_cgroups *cg, pid_t pid, char **ret_path)
{
	const char *controller = cg->mode == MP_CGROUP_V2 ? NULL : "memory";
	char *path;
	int err;

	if (cg->mode == MP_CGROUP_NONE)
		return -ENOENT;
	err = mp_cgroup_path_of_pid(&cg->fs, pid, controller, cg->memory_root, &path);
	if (err)
		return err;
	if (cg->mode == MP_CGROUP_V2)
		go_to_charged_group(cg, path);
	*ret_path = path;
	return 0;
}

bool mp_cgroup_is_in(const char *path, const char *group)
{
	size_t len;

	path += strspn(path, "/");
	group += strspn(group, "/");
	len = strlen(group);
	while (len && group[len - 1] == '/')
		len--;
	return strncmp(path, group, len) == 0 && (!len || !path[len] || path[len] == '/');
}
