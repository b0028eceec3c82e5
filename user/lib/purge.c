// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes that were freed are the allocator's until it gives them back. Which allocators
 * there are the dynamic loader has found out when the process began: a name below that
 * nobody defines is NULL. That needs no look-up, and no memory, when memory is short.
 */
#include "lib/relief.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>

typedef int mallctl_fn(const char *name, void *old, size_t *old_len, void *new, size_t new_len);

extern mallctl_fn mallctl __attribute__((weak));    /* jemalloc … */
extern mallctl_fn je_mallctl __attribute__((weak)); /* … that was built with a prefix */
extern void mi_collect(bool force) __attribute__((weak));
extern void MallocExtension_ReleaseFreeMemory(void) __attribute__((weak)); /* tcmalloc */

/* Since version 5 a number stands for all arenas; before it was the number of arenas. */
static void purge_jemalloc(mallctl_fn *ctl)
{
	unsigned int arenas;
	size_t len = sizeof(arenas);
	char name[32];

	if (ctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0 ||
	    ctl("arenas.narenas", &arenas, &len, NULL, 0) != 0)
		return;
	snprintf(name, sizeof(name), "arena.%u.purge", arenas);
	ctl(name, NULL, NULL, NULL, 0);
}

void mp_lib_purge(void)
{
	if (mallctl)
		purge_jemalloc(mallctl);
	if (je_mallctl)
		purge_jemalloc(je_mallctl);
	if (mi_collect)
		mi_collect(true);
	if (MallocExtension_ReleaseFreeMemory)
		MallocExtension_ReleaseFreeMemory();
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
