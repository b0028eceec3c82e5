/* SPDX-License-Identifier: GPL-2.0-only */
/* Filling memory at a given pace, for the programs that are to run out of it. */
#ifndef MP_TESTS_FILL_H
#define MP_TESTS_FILL_H

#include "target.h"

#define FILL_MIB (1024u * 1024u)
#define FILL_NS_PER_S 1000000000u

static inline void fill_sleep_until(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / FILL_NS_PER_S),
		.tv_nsec = (long)(ns % FILL_NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* Touches every page: no two have the same content, so that none can be shared or packed away. */
static inline void fill_touch(char *memory, uint64_t bytes)
{
	static const uint64_t page = 4096;

	for (uint64_t at = 0; at < bytes; at += page)
		*(volatile uint64_t *)(memory + at) = (uint64_t)(uintptr_t)memory + at + 1;
}

/* What was filled `bytes` at this rate (MiB a second, 0: no limit) is not there before its time. */
static inline void fill_pace(uint64_t begin_ns, uint64_t bytes, uint64_t rate)
{
	if (rate)
		fill_sleep_until(begin_ns + bytes / FILL_MIB * FILL_NS_PER_S / rate);
}

/* Written to the process itself; lowering it needs CAP_SYS_RESOURCE. */
static inline void fill_set_oom_score_adj(int adj)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "we");

	if (!f || fprintf(f, "%d", adj) < 0 || fclose(f))
		target_die("/proc/self/oom_score_adj");
}

#endif
