/* SPDX-License-Identifier: GPL-2.0-only */
/* The markers, listened to: linked by --wrap, they are called as a monitor would see them. */
#ifndef MP_TEST_MARKERS_H
#define MP_TEST_MARKERS_H

#include <string.h>

#include "lib/private.h"

struct heard {
	unsigned int enters, exits, checks;
	/* of the last one */
	uint64_t id, level, call, size, rss;
	char name[MP_LIB_NAME_LEN];
};

static struct heard *heard(void)
{
	static struct heard the_heard;

	return &the_heard;
}

static void hear(uint64_t id, const char *name, uint64_t level)
{
	heard()->id = id;
	heard()->level = level;
	strcpy(heard()->name, name);
}

void __real_mp_lib_marker_enter(uint64_t id, const char *name, uint64_t level, uint64_t call,
				uint64_t size);
void __real_mp_lib_marker_exit(uint64_t id, const char *name, uint64_t level, uint64_t call);
void __real_mp_lib_marker_check(uint64_t id, const char *name, uint64_t level, uint64_t rss);
void __wrap_mp_lib_marker_enter(uint64_t id, const char *name, uint64_t level, uint64_t call,
				uint64_t size);
void __wrap_mp_lib_marker_exit(uint64_t id, const char *name, uint64_t level, uint64_t call);
void __wrap_mp_lib_marker_check(uint64_t id, const char *name, uint64_t level, uint64_t rss);

void __wrap_mp_lib_marker_enter(uint64_t id, const char *name, uint64_t level, uint64_t call,
				uint64_t size)
{
	hear(id, name, level);
	heard()->enters++;
	heard()->call = call;
	heard()->size = size;
	__real_mp_lib_marker_enter(id, name, level, call, size);
}

void __wrap_mp_lib_marker_exit(uint64_t id, const char *name, uint64_t level, uint64_t call)
{
	hear(id, name, level);
	heard()->exits++;
	heard()->call = call;
	__real_mp_lib_marker_exit(id, name, level, call);
}

void __wrap_mp_lib_marker_check(uint64_t id, const char *name, uint64_t level, uint64_t rss)
{
	hear(id, name, level);
	heard()->checks++;
	heard()->rss = rss;
	__real_mp_lib_marker_check(id, name, level, rss);
}

/* As a monitor does by attaching, and by ending. */
static inline void attach_markers(unsigned short probes)
{
	memprobe_enter_semaphore = probes;
	memprobe_exit_semaphore = probes;
	memprobe_check_semaphore = probes;
	memset(heard(), 0, sizeof(struct heard));
}

#endif
