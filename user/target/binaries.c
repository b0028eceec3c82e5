// SPDX-License-Identifier: GPL-2.0-only
/* The files that a process runs code from, and how to open each of them from here. */
#include "target/target.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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
	bool shares_root; /* its paths mean the same here */
	bool has_exe;
	struct stat exe;
	char root[PATH_MAX];
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

/* The same mount namespace and no chroot: both are needed for a path to mean the same. */
static bool shares_root(const struct mp_fsroot *fs, pid_t pid)
{
	char own[PATH_MAX];
	char other[PATH_MAX];

	if (read_link(fs, 0, "ns/mnt", own) || read_link(fs, pid, "ns/mnt", other) ||
	    strcmp(own, other) != 0)
		return false;
	return !read_link(fs, pid, "root", other) && strcmp(other, "/") == 0;
}

static int view_init(struct view *view, const struct mp_fsroot *fs, pid_t pid)
{
	*view = (struct view){.fs = fs, .pid = pid, .shares_root = shares_root(fs, pid)};
	view->has_exe = !mp_process_exe(fs, pid, &view->exe);
	return view->shares_root ? 0 : mp_fsroot_path(fs, view->root, "/proc/%d/root", pid);
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

static bool opens_by_path(const struct view *view, const struct map_line *line,
			  const struct stat *mapped, char open_path[PATH_MAX], struct stat *st)
{
	int n = snprintf(open_path, PATH_MAX, "%s%s", view->root, line->path);

	return n > 0 && n < PATH_MAX && is_mapped_file(line, mapped, open_path, st);
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

/* Fills in how to open the file of `line`. `open_path` holds what binary->open_path points to. */
static int locate(const struct view *view, struct map_line *line, char open_path[PATH_MAX],
		  struct mp_binary *binary)
{
	char map_file[PATH_MAX];
	struct stat mapped;
	struct stat st;
	bool has_mapped;
	int err = mp_fsroot_path(view->fs, map_file, "/proc/%d/map_files/%llx-%llx", view->pid,
				 (unsigned long long)line->start, (unsigned long long)line->end);

	if (err)
		return err;
	has_mapped = stat(map_file, &mapped) == 0;
	/* First as it stands: a file's name may itself end in " (deleted)". */
	if (!opens_by_path(view, line, has_mapped ? &mapped : NULL, open_path, &st)) {
		binary->deleted = strip_deleted(line->path);
		strcpy(open_path, map_file);
		st = has_mapped ? mapped : (struct stat){.st_dev = line->dev, .st_ino = line->ino};
	}
	binary->path = line->path;
	binary->open_path = open_path;
	binary->root = view->root;
	binary->dev = st.st_dev;
	binary->ino = st.st_ino;
	binary->start = line->start;
	binary->end = line->end;
	binary->file_offset = line->file_offset;
	binary->is_exe =
		view->has_exe && st.st_dev == view->exe.st_dev && st.st_ino == view->exe.st_ino;
	return 0;
}

static int visit_line(const struct view *view, char *text, mp_binary_fn fn, void *data)
{
	char open_path[PATH_MAX];
	struct mp_binary binary = {0};
	struct map_line line;
	int err;

	if (parse_map_line(text, &line))
		return 0;
	err = locate(view, &line, open_path, &binary);
	return err ? err : fn(data, &binary);
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
	struct mp_binary *items; /* path and open_path are their own */
	size_t n;
	size_t cap;
	char *root;
};

static void binary_set_free(struct binary_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		free((char *)set->items[i].path);
		free((char *)set->items[i].open_path);
	}
	free(set->items);
	free(set->root);
}

static bool binary_set_has(const struct binary_set *set, const struct mp_binary *binary)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->items[i].ino == binary->ino && set->items[i].dev == binary->dev)
			return true;
	}
	return false;
}

static int binary_set_reserve(struct binary_set *set)
{
	size_t cap = set->cap ? set->cap * 2 : 32;
	struct mp_binary *items;

	if (set->n < set->cap)
		return 0;
	items = realloc(set->items, cap * sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->cap = cap;
	return 0;
}

static int binary_set_add(void *data, const struct mp_binary *binary)
{
	struct binary_set *set = data;
	MP_FREE char *path = NULL;
	MP_FREE char *open_path = NULL;
	struct mp_binary *item;

	if (binary_set_has(set, binary))
		return 0;
	if (!set->root)
		set->root = strdup(binary->root);
	path = strdup(binary->path);
	open_path = strdup(binary->open_path);
	if (!set->root || !path || !open_path || binary_set_reserve(set))
		return -ENOMEM;
	item = &set->items[set->n++];
	*item = *binary;
	item->path = MP_TAKE(path);
	item->open_path = MP_TAKE(open_path);
	item->root = set->root;
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
