// SPDX-License-Identifier: GPL-2.0-only
/* Files on disk that a library's name may come to mean. */
#include "target/target.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "target/private.h"

#define LD_CACHE "/etc/ld.so.cache"
#define MAX_LD_CACHE (64U << 20)

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#endif

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct search {
	const char *glob;
	mp_path_fn fn;
	void *data;
	struct file_id *seen;
	size_t n_seen;
	size_t cap_seen;
};

static void search_free(struct search *search)
{
	free(search->seen);
}

/* 1 for a file that was not there before, 0 for one that was. */
static int remember(struct search *search, const struct stat *st)
{
	for (size_t i = 0; i < search->n_seen; i++) {
		if (search->seen[i].ino == st->st_ino && search->seen[i].dev == st->st_dev)
			return 0;
	}
	if (MP_RESERVE_ONE(search->seen, search->n_seen, search->cap_seen))
		return -ENOMEM;
	search->seen[search->n_seen++] = (struct file_id){st->st_dev, st->st_ino};
	return 1;
}

/* Hands out the file behind `path` under its real name, which is the one in a process's maps. */
static int offer(struct search *search, const char *path)
{
	MP_FREE char *real = realpath(path, NULL);
	struct stat st;
	int ret;

	if (!real || stat(real, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	ret = remember(search, &st);
	return ret > 0 ? search->fn(search->data, real) : ret;
}

static int search_directory(struct search *search, const char *directory)
{
	MP_CLOSEDIR DIR *dir = opendir(directory);
	const struct dirent *entry;
	int ret = 0;

	while (dir && !ret && (entry = readdir(dir))) {
		char path[PATH_MAX];
		int n;

		if (!mp_binary_matches(entry->d_name, search->glob))
			continue;
		n = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (n > 0 && (size_t)n < sizeof(path))
			ret = offer(search, path);
	}
	return ret;
}

/* As ld.so reads it: ':' or ';' between folders, an empty one is the current folder. */
static int search_library_path(struct search *search)
{
	const char *value = getenv("LD_LIBRARY_PATH");
	MP_FREE char *folders = value && *value ? strdup(value) : NULL;
	char *rest = folders;
	char *folder;
	int ret = 0;

	while (!ret && (folder = strsep(&rest, ":;")))
		ret = search_directory(search, *folder ? folder : ".");
	return ret;
}

static int visit_cached(void *data, const char *soname, const char *path)
{
	struct search *search = data;

	if (!mp_binary_matches(soname, search->glob) && !mp_binary_matches(path, search->glob))
		return 0;
	return offer(search, path);
}

static int search_default_folders(struct search *search)
{
	static const char *const folders[] = {
		"/lib/" MULTIARCH,
		"/usr/lib/" MULTIARCH,
		"/lib64",
		"/usr/lib64",
		"/lib",
		"/usr/lib",
		"/usr/local/lib/" MULTIARCH,
		"/usr/local/lib",
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < MP_ARRAY_SIZE(folders); i++)
		ret = search_directory(search, folders[i]);
	return ret;
}

/* Without a cache that can be read (musl, Android) the usual folders are searched. */
static int search_loader(struct search *search)
{
	MP_FREE char *cache = NULL;
	size_t len;
	int ret = mp_read_file(LD_CACHE, MAX_LD_CACHE, &cache, &len);

	if (!ret)
		ret = mp_ldcache_walk(cache, len, visit_cached, search);
	return ret == -EBADMSG || !cache ? search_default_folders(search) : ret;
}

static int search_paths(struct search *search)
{
	glob_t found = {0};
	int ret = 0;

	switch (glob(search->glob, 0, NULL, &found)) {
	case 0:
		for (size_t i = 0; !ret && i < found.gl_pathc; i++)
			ret = offer(search, found.gl_pathv[i]);
		break;
	case GLOB_NOSPACE:
		ret = -ENOMEM;
		break;
	default:
		break;
	}
	globfree(&found);
	return ret;
}

int mp_library_candidates(const char *glob, mp_path_fn fn, void *data)
{
	MP_CLEANUP(search_free) struct search search = {.glob = glob, .fn = fn, .data = data};
	int ret;

	if (strchr(glob, '/'))
		return search_paths(&search);
	ret = search_library_path(&search);
	return ret ? ret : search_loader(&search);
}
