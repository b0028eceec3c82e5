// SPDX-License-Identifier: GPL-2.0-only
/* The files that a process runs code from, and how to open each of them from here. */
#include "target/target.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/array.h"
#include "target/private.h"

#define MAX_MAPS (64U << 20)
#define DELETED " (deleted)"

/* One line of /proc/PID/maps. */
struct map_line {
	uint64_t start;
	uint64_t end;
	uint64_t file_offset;
	dev_t dev;
	uint64_t ino;
	char *path; /* with the kernel's " (deleted)" */
};

/* Hexadecimal digits up to `stop`; nothing else, no sign, no 0x. */
static int parse_hex(const char **s, char stop, uint64_t *ret)
{
	size_t digits = strspn(*s, "0123456789abcdef");

	if (digits == 0 || digits > 16 || (*s)[digits] != stop)
		return -EBADMSG;
	*ret = strtoull(*s, NULL, 16);
	*s += digits + (stop != '\0');
	return 0;
}

static int parse_range(const char *s, struct map_line *line)
{
	return parse_hex(&s, '-', &line->start) || parse_hex(&s, '\0', &line->end) ||
			       line->start >= line->end
		       ? -EBADMSG
		       : 0;
}

static int parse_dev(const char *s, dev_t *ret)
{
	uint64_t dev_major;
	uint64_t dev_minor;

	if (parse_hex(&s, ':', &dev_major) || parse_hex(&s, '\0', &dev_minor))
		return -EBADMSG;
	*ret = makedev((unsigned int)dev_major, (unsigned int)dev_minor);
	return 0;
}

/* The kernel escapes newlines in maps, and nothing else. */
static void unescape_newlines(char *s)
{
	static const char escaped[] = "\\012";

	while ((s = strstr(s, escaped))) {
		*s++ = '\n';
		memmove(s, s + strlen(escaped) - 1, strlen(s + strlen(escaped) - 1) + 1);
	}
}

/* 0 for an executable mapping of a file, -ENOENT for any other, -EBADMSG for no mapping. */
static int parse_map_line(char *text, struct map_line *ret)
{
	const char *range = strsep(&text, " ");
	const char *perms = strsep(&text, " ");
	const char *offset = strsep(&text, " ");
	const char *dev = strsep(&text, " ");
	char *end;

	if (!text || strlen(perms) != 4 || parse_range(range, ret) ||
	    parse_hex(&offset, '\0', &ret->file_offset) || parse_dev(dev, &ret->dev))
		return -EBADMSG;
	errno = 0;
	ret->ino = strtoull(text, &end, 10);
	if (errno || end == text)
		return -EBADMSG;
	ret->path = end + strspn(end, " ");
	if (perms[2] != 'x' || ret->ino == 0 || ret->path[0] != '/')
		return -ENOENT;
	unescape_newlines(ret->path);
	return 0;
}

/* What is the same for all mappings of a process. */
struct view {
	const struct mp_fsroot *fs;
	pid_t pid;
	bool same_mounts; /* as ours: its files have paths here */
	bool has_exe;
	struct stat exe;
	char own_root[PATH_MAX]; /* its root folder as we see it, "" for "/" */
	char root[PATH_MAX];	 /* "" or /proc/PID/root */
};

static int read_link(const struct mp_fsroot *fs, pid_t pid, const char *name, char out[PATH_MAX])
{
	char path[PATH_MAX];
	ssize_t n;
	int err = pid ? mp_fsroot_path(fs, path, "/proc/%d/%s", pid, name)
		      : mp_fsroot_path(fs, path, "/proc/self/%s", name);

	if (err)
		return err;
	n = readlink(path, out, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static bool same_mounts(const struct mp_fsroot *fs, pid_t pid)
{
	char own[PATH_MAX];
	char other[PATH_MAX];

	return !read_link(fs, 0, "ns/mnt", own) && !read_link(fs, pid, "ns/mnt", other) &&
	       strcmp(own, other) == 0;
}

/* Paths mean the same to the process when it has our mounts and no chroot of its own. */
static int view_init(struct view *view, const struct mp_fsroot *fs, pid_t pid)
{
	*view = (struct view){.fs = fs, .pid = pid, .same_mounts = same_mounts(fs, pid)};
	view->has_exe = !mp_process_exe(fs, pid, &view->exe);
	if (read_link(fs, pid, "root", view->own_root))
		return mp_fsroot_path(fs, view->root, "/proc/%d/root", pid);
	if (strcmp(view->own_root, "/") == 0)
		view->own_root[0] = '\0';
	if (view->same_mounts && !view->own_root[0])
		return 0;
	return mp_fsroot_path(fs, view->root, "/proc/%d/root", pid);
}

/*
 * Whether `path` leads to the mapped file. map_files is the kernel's own word
 * on which file that is; without the capability for it, the inode in maps is
 * what there is (its device can differ from st_dev on overlayfs and btrfs).
 */
static bool is_mapped_file(const struct map_line *line, const struct stat *mapped, const char *path,
			   struct stat *st)
{
	if (stat(path, st) < 0)
		return false;
	if (mapped)
		return st->st_dev == mapped->st_dev && st->st_ino == mapped->st_ino;
	return st->st_ino == line->ino;
}

/* maps shows paths as the reader sees them: from outside a chroot, not from inside. */
static const char *path_inside(const struct view *view, const char *path)
{
	size_t len = strlen(view->own_root);

	return strncmp(path, view->own_root, len) == 0 && path[len] == '/' ? path + len : path;
}

/* Cuts the kernel's " (deleted)" off. Returns whether it was there. */
static bool strip_deleted(char *path)
{
	size_t len = strlen(path);
	size_t tail = strlen(DELETED);

	if (len <= tail || strcmp(path + len - tail, DELETED) != 0)
		return false;
	path[len - tail] = '\0';
	return true;
}

/* Where a mapped file was found. */
struct place {
	const char *path;
	const char *root;
	struct stat st;
	bool deleted;
	char open_path[PATH_MAX];
};

static bool opens_as(struct place *place, const struct map_line *line, const struct stat *mapped,
		     const char *root, const char *path)
{
	int n = snprintf(place->open_path, PATH_MAX, "%s%s", root, path);

	if (n < 0 || n >= PATH_MAX || !is_mapped_file(line, mapped, place->open_path, &place->st))
		return false;
	place->path = path;
	place->root = root;
	return true;
}

/*
 * By its path through the process's root, by its path from here (mapped from
 * outside a chroot), or by the mapping itself. The path is tried as it stands
 * before " (deleted)" is cut off, since a file's name may end so.
 */
static int find_place(const struct view *view, struct map_line *line, struct place *place)
{
	const char *inside = path_inside(view, line->path);
	char map_file[PATH_MAX];
	struct stat st = {.st_dev = line->dev, .st_ino = line->ino};
	const struct stat *mapped;
	int err = mp_fsroot_path(view->fs, map_file, "/proc/%d/map_files/%llx-%llx", view->pid,
				 (unsigned long long)line->start, (unsigned long long)line->end);

	if (err)
		return err;
	mapped = stat(map_file, &st) == 0 ? &st : NULL;
	if (opens_as(place, line, mapped, view->root, inside) ||
	    (view->same_mounts && opens_as(place, line, mapped, "", line->path)))
		return 0;
	place->deleted = strip_deleted(line->path);
	place->path = inside;
	place->root = view->root;
	place->st = st;
	strcpy(place->open_path, map_file);
	return 0;
}

static int visit_line(const struct view *view, char *text, mp_binary_fn fn, void *data)
{
	struct place place = {0};
	struct map_line line;
	struct mp_binary binary;
	int err;

	if (parse_map_line(text, &line))
		return 0;
	err = find_place(view, &line, &place);
	if (err)
		return err;
	binary = (struct mp_binary){
		.path = place.path,
		.open_path = place.open_path,
		.root = place.root,
		.dev = place.st.st_dev,
		.ino = place.st.st_ino,
		.start = line.start,
		.end = line.end,
		.file_offset = line.file_offset,
		.deleted = place.deleted,
		.is_exe = view->has_exe && place.st.st_dev == view->exe.st_dev &&
			  place.st.st_ino == view->exe.st_ino,
	};
	return fn(data, &binary);
}

int mp_process_mappings(const struct mp_fsroot *fs, pid_t pid, mp_binary_fn fn, void *data)
{
	MP_FREE char *maps = NULL;
	struct view view;
	char *rest;
	char *line;
	size_t len;
	int ret = mp_read_file_at(fs, MAX_MAPS, &maps, &len, "/proc/%d/maps", pid);

	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	if (len == 0)
		return -ESRCH; /* ended, and its memory is given back already */
	ret = view_init(&view, fs, pid);
	rest = maps;
	while (!ret && (line = strsep(&rest, "\n")))
		ret = visit_line(&view, line, fn, data);
	return ret;
}

struct binary_set {
	struct mp_binary *items; /* their strings are their own */
	size_t n;
	size_t cap;
};

static void binary_set_free(struct binary_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		free((char *)set->items[i].path);
		free((char *)set->items[i].open_path);
		free((char *)set->items[i].root);
	}
	free(set->items);
}

static bool binary_set_has(const struct binary_set *set, const struct mp_binary *binary)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->items[i].ino == binary->ino && set->items[i].dev == binary->dev)
			return true;
	}
	return false;
}

static int binary_set_add(void *data, const struct mp_binary *binary)
{
	struct binary_set *set = data;
	MP_FREE char *path = NULL;
	MP_FREE char *open_path = NULL;
	MP_FREE char *root = NULL;
	struct mp_binary *item;

	if (binary_set_has(set, binary))
		return 0;
	path = strdup(binary->path);
	open_path = strdup(binary->open_path);
	root = strdup(binary->root);
	if (!root || !path || !open_path || MP_RESERVE_ONE(set->items, set->n, set->cap))
		return -ENOMEM;
	item = &set->items[set->n++];
	*item = *binary;
	item->path = MP_TAKE(path);
	item->open_path = MP_TAKE(open_path);
	item->root = MP_TAKE(root);
	return 0;
}

int mp_process_binaries(const struct mp_fsroot *fs, pid_t pid, mp_binary_fn fn, void *data)
{
	MP_CLEANUP(binary_set_free) struct binary_set set = {0};
	int ret = mp_process_mappings(fs, pid, binary_set_add, &set);

	for (size_t i = 0; !ret && i < set.n; i++) {
		if (set.items[i].is_exe)
			ret = fn(data, &set.items[i]);
	}
	for (size_t i = 0; !ret && i < set.n; i++) {
		if (!set.items[i].is_exe)
			ret = fn(data, &set.items[i]);
	}
	return ret;
}

bool mp_binary_matches(const char *path, const char *glob)
{
	const char *slash = strrchr(path, '/');

	if (slash && !strchr(glob, '/'))
		path = slash + 1;
	return fnmatch(glob, path, 0) == 0;
}
