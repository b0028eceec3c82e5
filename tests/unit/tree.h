/* SPDX-License-Identifier: GPL-2.0-only */
/* A folder of a test's own, with files as they are in /proc and /sys. */
#ifndef MP_TEST_TREE_H
#define MP_TEST_TREE_H

#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree {
	char root[PATH_MAX / 2];
};

#define TREE_CHECK(ok)                                                                             \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			perror(#ok);                                                               \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline void tree_make(struct tree *tree)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX / 4];
	char real[PATH_MAX];

	snprintf(path, sizeof(path), "%s/mp_test_XXXXXX", tmp ? tmp : "/tmp");
	TREE_CHECK(mkdtemp(path) && realpath(path, real));
	TREE_CHECK(strlen(real) < sizeof(tree->root));
	strcpy(tree->root, real);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void tree_remove(struct tree *tree)
{
	nftw(tree->root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The whole path of one in the tree; its folders are made. */
static inline void tree_path(const struct tree *tree, const char *path, char out[PATH_MAX])
{
	size_t root = strlen(tree->root);

	snprintf(out, PATH_MAX, "%s%s", tree->root, path);
	for (char *slash = strchr(out + root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(out, 0755);
		*slash = '/';
	}
}

static inline void tree_write_bytes(const struct tree *tree, const char *path, const void *data,
				    size_t len)
{
	char whole[PATH_MAX];
	FILE *f;

	tree_path(tree, path, whole);
	f = fopen(whole, "w");
	TREE_CHECK(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static inline void tree_write(const struct tree *tree, const char *path, const char *text)
{
	tree_write_bytes(tree, path, text, strlen(text));
}

static inline void tree_link(const struct tree *tree, const char *path, const char *to)
{
	char whole[PATH_MAX];

	tree_path(tree, path, whole);
	unlink(whole);
	TREE_CHECK(symlink(to, whole) == 0);
}

#endif
