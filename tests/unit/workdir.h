/* SPDX-License-Identifier: GPL-2.0-only */
/* A folder of a test's own, and commands in it: for tests on files that tools make. */
#ifndef MP_TEST_WORKDIR_H
#define MP_TEST_WORKDIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

struct dir {
	char path[64];
};

static inline int make_dir(void **state)
{
	struct dir *dir = calloc(1, sizeof(*dir));

	strcpy(dir->path, "/tmp/mp_test.XXXXXX");
	if (!mkdtemp(dir->path))
		return -1;
	*state = dir;
	return 0;
}

static inline void MP_PRINTF(2, 3) shell(const struct dir *dir, const char *fmt, ...)
{
	char command[2048];
	char whole[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "cd %s && %s", dir->path, command);
	if (system(whole) != 0)
		fail_msg("failed: %s", whole);
}

static inline int remove_dir(void **state)
{
	struct dir *dir = *state;

	shell(dir, "rm -rf %s", dir->path);
	free(dir);
	return 0;
}

#endif
