// SPDX-License-Identifier: GPL-2.0-only
#include "config/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A file that is there but out of reach counts: passing it over would silently use another one. */
static int try_dir(const char *dir, const char *name, char **ret_path)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
		free(path);
		return -ENOENT;
	}
	*ret_path = path;
	return 0;
}

static int take_as_it_is(const char *name, char **ret_path)
{
	char *path = strdup(name);

	if (!path)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

int mp_config_find(const char *config_dir, const char *name, char **ret_path)
{
	const char *const dirs[] = {getenv("MEMPROBE_CONFIG_DIR"), "/etc/memprobe", MP_SHARE_DIR,
				    "./configs"};
	int err = -ENOENT;

	if (strchr(name, '/'))
		return take_as_it_is(name, ret_path);
	if (config_dir)
		return try_dir(config_dir, name, ret_path);
	for (size_t i = 0; i < MP_ARRAY_SIZE(dirs) && err == -ENOENT; i++) {
		if (dirs[i] && *dirs[i])
			err = try_dir(dirs[i], name, ret_path);
	}
	return err;
}
