// SPDX-License-Identifier: GPL-2.0-only
#include "lib/group.h"

#include <errno.h>
#include <string.h>

#include "lib/memprobe.h"

/*
 * v1 has no "max": without a limit it says the largest whole number of pages
 * below 2^63 bytes, which depends on the page size (up to 256 KiB).
 */
#define V1_NO_LIMIT (INT64_MAX - (256LL << 10) + 1)

struct file_names {
	const char *usage;
	const char *limit;
	const char *inactive_file; /* of memory.stat, with the blank behind it */
};

static const struct file_names *names_of(const struct mp_lib_tree *tree)
{
	static const struct file_names v1 = {"/memory.usage_in_bytes", "/memory.limit_in_bytes",
					     "total_inactive_file "};
	static const struct file_names v2 = {"/memory.current", "/memory.max", "inactive_file "};

	return tree->kind == MP_LIB_TREE_V2 ? &v2 : &v1;
}

/* --- where the tree is ---------------------------------------------------------- */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* mountinfo writes blanks, newlines and backslashes as \ooo. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* Whether a list ("rw,cpu,memory") holds a word. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;; list++) {
		size_t n = strcspn(list, ",");

		if (n == len && memcmp(list, word, len) == 0)
			return true;
		list += n;
		if (!*list)
			return false;
	}
}

struct mount {
	enum mp_lib_tree_kind kind;
	char *root;
	char *point;
};

/* "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory" */
static bool parse_mount(char *line, struct mount *ret)
{
	char *tail = strstr(line, " - ");
	struct mount m = {.kind = MP_LIB_TREE_NONE};
	const char *type;

	if (!tail)
		return false;
	*tail = '\0';
	tail += strlen(" - ");
	for (int skip = 0; skip < 3; skip++)
		strsep(&line, " ");
	m.root = strsep(&line, " ");
	m.point = strsep(&line, " ");
	type = strsep(&tail, " ");
	strsep(&tail, " ");
	if (!m.point || !tail)
		return false;
	if (strcmp(type, "cgroup2") == 0)
		m.kind = MP_LIB_TREE_V2;
	else if (strcmp(type, "cgroup") == 0 && has_word(tail, "memory"))
		m.kind = MP_LIB_TREE_V1;
	unescape(m.root);
	unescape(m.point);
	*ret = m;
	return m.kind != MP_LIB_TREE_NONE;
}

/*
 * v1 with the memory controller wins over v2, which then has none; of several mounts
 * of a tree that of the whole, else the first.
 */
static bool is_better(const struct mount *m, const struct mp_lib_tree *tree)
{
	if (m->kind != tree->kind)
		return tree->kind != MP_LIB_TREE_V1;
	return strcmp(tree->root, "/") != 0 && strcmp(m->root, "/") == 0;
}

void mp_lib_tree_find(const char *fs_root, struct mp_lib_tree *ret)
{
	char path[MP_LIB_PATH_MAX];
	struct mp_lib_lines lines;
	struct mount m;
	char *line;

	ret->kind = MP_LIB_TREE_NONE;
	if (mp_lib_join(path, sizeof(path), fs_root, "/proc/self/mountinfo", "") ||
	    mp_lib_lines_open(&lines, path))
		return;
	while ((line = mp_lib_lines_next(&lines))) {
		if (!parse_mount(line, &m) || !is_better(&m, ret) ||
		    strlen(m.point) >= sizeof(ret->mount) || strlen(m.root) >= sizeof(ret->root))
			continue;
		ret->kind = m.kind;
		strcpy(ret->mount, m.point);
		strcpy(ret->root, m.root);
	}
	mp_lib_lines_close(&lines);
}

/* --- the process's own group ------------------------------------------------------- */

/* The path in "4:cpu,memory:/path", or in "0::/path" of v2, when it is the tree's line. */
static const char *path_of_line(const struct mp_lib_tree *tree, char *line)
{
	const char *hierarchy = strsep(&line, ":");
	const char *controllers = strsep(&line, ":");

	if (!line || line[0] != '/')
		return NULL;
	if (tree->kind == MP_LIB_TREE_V2)
		return strcmp(hierarchy, "0") == 0 && !*controllers ? line : NULL;
	return has_word(controllers, "memory") ? line : NULL;
}

/*
 * Paths count from the top of the tree (or of the cgroup namespace, with "/.." for what
 * lies above), while in a container only its own group may be mounted.
 */
static const char *path_below_mount(const char *root, const char *path)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	const char *rest = path + len;

	if (strncmp(path, root, len) != 0 || (*rest && *rest != '/'))
		return NULL;
	if (strncmp(rest, "/..", 3) == 0 && (rest[3] == '/' || !rest[3]))
		return NULL;
	return strcmp(rest, "/") == 0 ? "" : rest;
}

static int own_folder(const char *fs_root, const struct mp_lib_tree *tree, char *folder,
		      size_t size)
{
	struct mp_lib_lines lines;
	const char *path = NULL;
	char *line;
	int err = mp_lib_join(folder, size, fs_root, "/proc/self/cgroup", "");

	if (!err)
		err = mp_lib_lines_open(&lines, folder);
	if (err)
		return err;
	while (!path && (line = mp_lib_lines_next(&lines)))
		path = path_of_line(tree, line);
	if (path && lines.is_cut)
		path = NULL;
	if (path)
		path = path_below_mount(tree->root, path);
	err = path ? mp_lib_join(folder, size, fs_root, tree->mount, path) : -ENOENT;
	mp_lib_lines_close(&lines);
	return err;
}

/* --- its limits ----------------------------------------------------------------------- */

/* A group without the file has no limit of its own. */
static uint64_t limit_at(const struct mp_lib_tree *tree, const char *folder)
{
	char path[MP_LIB_PATH_MAX];
	uint64_t limit;

	if (mp_lib_join(path, sizeof(path), folder, names_of(tree)->limit, "") ||
	    mp_lib_read_number(path, &limit))
		return MEMPROBE_UNKNOWN;
	if (tree->kind == MP_LIB_TREE_V1 && limit >= V1_NO_LIMIT)
		return MEMPROBE_UNKNOWN;
	return limit;
}

bool mp_lib_group_find(const char *fs_root, const struct mp_lib_tree *tree,
		       struct mp_lib_group *ret)
{
	size_t top = strlen(fs_root) + strlen(tree->mount);
	uint64_t least = MEMPROBE_UNKNOWN;
	size_t least_len = 0;

	if (tree->kind <= MP_LIB_TREE_NONE ||
	    own_folder(fs_root, tree, ret->folder, sizeof(ret->folder)))
		return false;
	for (size_t len = strlen(ret->folder);;) {
		char cut = ret->folder[len];
		uint64_t limit;

		ret->folder[len] = '\0';
		limit = limit_at(tree, ret->folder);
		ret->folder[len] = cut;
		if (limit < least) {
			least = limit;
			least_len = len;
		}
		if (len <= top)
			break;
		while (len > top && ret->folder[--len] != '/')
			;
	}
	ret->folder[least_len] = '\0';
	ret->limit = least;
	return least != MEMPROBE_UNKNOWN;
}

const char *mp_lib_group_usage_file(const struct mp_lib_tree *tree)
{
	return names_of(tree)->usage;
}

uint64_t mp_lib_group_inactive_file(const struct mp_lib_tree *tree,
				    const struct mp_lib_group *group)
{
	const char *key = names_of(tree)->inactive_file;
	char path[MP_LIB_PATH_MAX];
	struct mp_lib_lines lines;
	uint64_t bytes = 0;
	const char *line;

	if (mp_lib_join(path, sizeof(path), group->folder, "/memory.stat", "") ||
	    mp_lib_lines_open(&lines, path))
		return 0;
	while ((line = mp_lib_lines_next(&lines))) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line += strlen(key);
		if (mp_lib_number(&line, &bytes) || *line)
			bytes = 0;
		break;
	}
	mp_lib_lines_close(&lines);
	return bytes;
}
