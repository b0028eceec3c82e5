/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the threads of this process share: the open files, the last sample, and how fast
 * the quick check is called. No function waits for another thread, so each may be called in a
 * signal handler that interrupts any of them. errno may be changed.
 */
#ifndef MP_LIB_PROCESS_H
#define MP_LIB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lib/memprobe.h"
#include "lib/sample.h"

#pragma GCC visibility push(hidden)

#define MP_LIB_BURSTS 64 /* a power of two */
#define MP_LIB_CACHE_LINE __attribute__((aligned(64)))

/* How fast a thread calls the quick check. */
struct mp_lib_burst {
	uint32_t left;	  /* calls that need not look at the clock */
	uint32_t same;	  /* looks in a row that found the clock as it was */
	uint64_t tick_ns; /* what the last look found */
} MP_LIB_CACHE_LINE;

/*
 * In a new child the kernel makes all of this zero, which is its first state: the files
 * are the parent's, and so is the sample.
 */
struct mp_lib_process {
	uint32_t armed; /* enum in process.c */
	int32_t pid;
	/* the last resident set; the time is written last and read first */
	uint64_t rss;
	uint64_t rss_ts_ns; /* 0: none */
	/* the last sample: even when it is whole, 0 when there is none */
	uint32_t sample_seq MP_LIB_CACHE_LINE;
	uint64_t sample[sizeof(struct memprobe_info) / sizeof(uint64_t)];
	/* held by who reads the sources */
	uint32_t is_busy MP_LIB_CACHE_LINE;
	struct mp_lib_sources sources;
	struct mp_lib_burst bursts[MP_LIB_BURSTS];
};

#if defined(__aarch64__)
#define MP_LIB_PAGE 65536 /* the largest there is */
#else
#define MP_LIB_PAGE 4096
#endif

/* Whole pages of .bss, which are anonymous memory: the kernel wipes no other. */
union mp_lib_pages {
	struct mp_lib_process process;
	char pages[(sizeof(struct mp_lib_process) + MP_LIB_PAGE - 1) / MP_LIB_PAGE * MP_LIB_PAGE];
} __attribute__((aligned(MP_LIB_PAGE)));

/* A process has one. Known to all, since the quick check has no time to call for it. */
extern union mp_lib_pages mp_lib_pages;

static inline struct mp_lib_process *mp_lib_process(void)
{
	return &mp_lib_pages.process;
}

/* CLOCK_MONOTONIC at the last tick of the kernel: a quarter of the cost of the time itself. */
static inline uint64_t mp_lib_tick_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* Also what another thread has taken after this one looked at the clock. */
static inline bool mp_lib_is_younger(uint64_t ts_ns, uint64_t now_ns, uint64_t age_ns)
{
	return (int64_t)(now_ns - ts_ns) < (int64_t)age_ns;
}

/* The last sample, when it is less than `max_age_ns` old. */
bool mp_lib_last_sample(const struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
			struct memprobe_info *ret);
/*
 * A sample now. While another thread is taking one, or was interrupted in it, the last
 * one, with MEMPROBE_REUSED, when it is less than `max_age_ns` old. 0 or negative errno.
 */
int mp_lib_take_sample(struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
		       struct memprobe_info *ret);
/* How full the limit is now; while another thread looks, as it was at the last sample. */
enum memprobe_severity mp_lib_take_severity(struct mp_lib_process *p, uint64_t now_ns,
					    uint64_t max_age_ns);
/* The same for the resident set alone, which is kept in `rss`. */
int mp_lib_take_rss(struct mp_lib_process *p, uint64_t now_ns, uint64_t max_age_ns,
		    uint64_t *ret_rss);

#pragma GCC visibility pop

#endif
