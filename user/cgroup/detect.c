// SPDX-License-Identifier: GPL-2.0-only
/* Which cgroup trees this system has, and where. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <string.h>

#include "base/names.h"
#include "cgroup/private.h"

#define MAX_MOUNTINFO (4U << 20)
#define MAX_CONTROLLERS 4096

const char *mp_cgroup_mode_name(enum mp_cgroup_mode mode)
{
	static const char *const names[] = {
		[MP_CGROUP_NONE] = "none",
		[MP_CGROUP_V1] = "v1",
		[MP_CGROUP_V2] = "v2",
		[MP_CGROUP_HYBRID] = "hybrid",
	};

	return mp_name_of(names, MP_ARRAY_SIZE(names), (size_t)mode);
}

bool mp_cgroup_has_word(const char *list, const char *word)
{
	static const char separators[] = ", \n";
	size_t len = strlen(word);

	while (*(list += strspn(list, separators))) {
		size_t n = strcspn(list, separators);

		if (n == len && memcmp(list, word, len) == 0)
			return true;
		list += n;
	}
	return false;
}

struct mount {
	char *root;
	char *point;
	const char *fstype;
	const char *options; /* of the file system, not of this mount */
};

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

/* "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory" */
static int parse_mount(char *line, struct mount *ret)
{
	char *tail = strstr(line, " - ");
	struct mount m;

	if (!tail)
		return -EBADMSG;
	*tail = '\0';
	tail += strlen(" - ");
	for (int skip = 0; skip < 3; skip++)
		strsep(&line, " ");
	m.root = strsep(&line, " ");
	m.point = strsep(&line, " ");
	m.fstype = strsep(&tail, " ");
	strsep(&tail, " ");
	m.options = tail;
	if (!m.point || !m.options || m.root[0] != '/' || m.point[0] != '/')
		return -EBADMSG;
	unescape(m.root);
	unescape(m.point);
	*ret = m;
	return 0;
}

/* A mount of the whole tree wins over a part of it, else the first one found. */
static void keep_mount(struct mp_cgroup_tree *tree, const struct mount *m)
{
	if (strlen(m->point) >= sizeof(tree->point) || strlen(m->root) >= sizeof(tree->root))
		return;
	if (tree->point[0] && (strcmp(tree->root, "/") == 0 || strcmp(m->root, "/") != 0))
		return;
	strcpy(tree->point, m->point);
	strcpy(tree->root, m->root);
}

static bool is_wanted(const struct mount *m, const char *controller)
{
	if (!controller)
		return strcmp(m->fstype, "cgroup2") == 0;
	return strcmp(m->fstype, "cgroup") == 0 && mp_cgroup_has_word(m->options, controller);
}

int mp_cgroup_find_tree(const struct mp_fsroot *fs, const char *controller,
			struct mp_cgroup_tree *ret)
{
	struct mp_cgroup_tree tree = {0};
	MP_FREE char *mountinfo = NULL;
	char *rest;
	char *line;
	int err = mp_read_file_at(fs, MAX_MOUNTINFO, &mountinfo, NULL, "/proc/self/mountinfo");

	if (err)
		return err;
	rest = mountinfo;
	while ((line = strsep(&rest, "\n"))) {
		struct mount m;

		if (parse_mount(line, &m) == 0 && is_wanted(&m, controller))
			keep_mount(&tree, &m);
	}
	*ret = tree;
	return 0;
}

static bool has_memory_controller(const struct mp_fsroot *fs, const struct mp_cgroup_tree *unified)
{
	MP_FREE char *controllers = NULL;

	if (!unified->point[0] || mp_read_file_at(fs, MAX_CONTROLLERS, &controllers, NULL,
						  "%s/cgroup.controllers", unified->point))
		return false;
	return mp_cgroup_has_word(controllers, "memory");
}

static void use_memory_tree(struct mp_cgroups *cg, enum mp_cgroup_mode mode,
			    const struct mp_cgroup_tree *tree)
{
	cg->mode = mode;
	strcpy(cg->memory_mount, tree->point);
	strcpy(cg->memory_root, tree->root);
}

int mp_cgroups_detect(const struct mp_fsroot *fs, struct mp_cgroups *ret)
{
	struct mp_cgroups cg = {.fs = *fs, .mode = MP_CGROUP_NONE};
	struct mp_cgroup_tree memory_v1;
	struct mp_cgroup_tree unified;
	int err = mp_cgroup_find_tree(fs, "memory", &memory_v1);

	if (!err)
		err = mp_cgroup_find_tree(fs, NULL, &unified);
	if (err)
		return err;
	strcpy(cg.unified_mount, unified.point);
	if (memory_v1.point[0])
		use_memory_tree(&cg, unified.point[0] ? MP_CGROUP_HYBRID : MP_CGROUP_V1,
				&memory_v1);
	else if (has_memory_controller(fs, &unified))
		use_memory_tree(&cg, MP_CGROUP_V2, &unified);
	*ret = cg;
	return 0;
}
