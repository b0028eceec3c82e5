// SPDX-License-Identifier: GPL-2.0-only
/* Paths to ids and back. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup/private.h"

/* FILEID_KERNFS of include/linux/exportfs.h: the handle is the node's 64-bit id. */
#define HANDLE_TYPE_KERNFS 0xfe

/* Room for the largest handle, so that a file system other than kernfs is told by its type. */
union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int id_of_directory(const char *path, uint64_t *ret_id)
{
	union handle handle = {.h.handle_bytes = MAX_HANDLE_SZ};
	struct stat st;
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, path, &handle.h, &mount_id, 0) == 0 &&
	    handle.h.handle_type == HANDLE_TYPE_KERNFS &&
	    handle.h.handle_bytes == sizeof(*ret_id)) {
		memcpy(ret_id, handle.h.f_handle, sizeof(*ret_id));
		return 0;
	}
	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	*ret_id = st.st_ino;
	return 0;
}

int mp_cgroup_id(const struct mp_cgroups *cg, const char *path, uint64_t *ret_id)
{
	char directory[PATH_MAX];
	int err;

	if (cg->mode == MP_CGROUP_NONE)
		return -ENOENT;
	err = mp_fsroot_path(&cg->fs, directory, "%s%s", cg->memory_mount, path);
	return err ? err : id_of_directory(directory, ret_id);
}

struct walk {
	char path[PATH_MAX]; /* of the directory visited; the group's path stands at `prefix` */
	size_t prefix;
	mp_cgroup_fn fn;
	void *data;
};

static int visit(struct walk *walk, size_t len);

static int visit_entry(struct walk *walk, size_t len, const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);
	int ret;

	if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
		return 0;
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	if (len + 1 + n >= sizeof(walk->path))
		return 0;
	walk->path[len] = '/';
	memcpy(walk->path + len + 1, entry->d_name, n + 1);
	ret = visit(walk, len + 1 + n);
	walk->path[len] = '\0';
	return ret;
}

/* Groups come and go during the walk: what cannot be opened any more is passed over. */
static int visit(struct walk *walk, size_t len)
{
	const char *path = walk->path + walk->prefix;
	MP_CLOSEDIR DIR *dir = opendir(walk->path);
	const struct dirent *entry;
	int ret;

	if (!dir)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
	ret = walk->fn(walk->data, *path ? path : "/");
	while (!ret && (entry = readdir(dir)))
		ret = visit_entry(walk, len, entry);
	return ret;
}

int mp_cgroup_walk_folder(const char *folder, mp_cgroup_fn fn, void *data)
{
	struct walk walk = {.prefix = strlen(folder), .fn = fn, .data = data};

	if (walk.prefix >= sizeof(walk.path))
		return -ENAMETOOLONG;
	memcpy(walk.path, folder, walk.prefix + 1);
	return visit(&walk, walk.prefix);
}

int mp_cgroup_walk(const struct mp_cgroups *cg, mp_cgroup_fn fn, void *data)
{
	char folder[PATH_MAX];
	int err;

	if (cg->mode == MP_CGROUP_NONE)
		return -ENOENT;
	err = mp_fsroot_path(&cg->fs, folder, "%s", cg->memory_mount);
	return err ? err : mp_cgroup_walk_folder(folder, fn, data);
}

struct id_search {
	const struct mp_cgroups *cg;
	uint64_t id;
	char *path;
};

static int compare_id(void *data, const char *path)
{
	struct id_search *search = data;
	uint64_t id = 0;

	if (mp_cgroup_id(search->cg, path, &id) || id != search->id)
		return 0;
	search->path = strdup(path);
	return search->path ? 1 : -ENOMEM;
}

int mp_cgroup_by_id(const struct mp_cgroups *cg, uint64_t id, char **ret_path)
{
	struct id_search search = {.cg = cg, .id = id};
	int ret = mp_cgroup_walk(cg, compare_id, &search);

	if (ret < 0)
		return ret;
	if (!search.path)
		return -ENOENT;
	*ret_path = search.path;
	return 0;
}
