/* SPDX-License-Identifier: GPL-2.0-only */
/* What memory the process has, and what is left of its limit. */
#ifndef MP_LIB_SAMPLE_H
#define MP_LIB_SAMPLE_H

#include "lib/group.h"
#include "lib/memprobe.h"

#pragma GCC visibility push(hidden)

/* Where samples come from; a test brings its own. */
struct mp_lib_ram {
	uint64_t total;
	uint64_t free;
};
struct mp_lib_system {
	const char *root; /* put before every path; "" on a live system */
	struct mp_lib_ram (*ram)(void);
};
extern const struct mp_lib_system mp_lib_live;

/*
 * What is kept between two samples: two open files, and what is costly to read. All zero:
 * nothing yet.
 *
 * usage = raw - spare, where raw is cheap: the group's usage, or what of the host is
 * not free; and spare is kept: the group's inactive page cache, or what of the host is
 * available and not free (negative where the kernel holds back more than it could drop).
 */
struct mp_lib_sources {
	struct mp_lib_file statm;
	struct mp_lib_file group_usage; /* not open: the limit is the host's */
	uint64_t refreshed_ns;		/* 0: never */
	uint64_t limit;
	int64_t spare;
	uint64_t peak_rss;
	/* as they were then */
	uint64_t raw_then;
	uint64_t rss_then;
	struct mp_lib_tree tree;
};

/* The resident set, by one read. 0 or what /proc said. */
int mp_lib_sample_rss(const struct mp_lib_system *system, struct mp_lib_sources *sources,
		      uint64_t *ret_rss);
/*
 * A whole sample. Three or four system calls; what is kept is read anew where it is
 * MP_LIB_FRESH_NS old and could matter, and when it is MP_LIB_KEPT_NS old.
 */
int mp_lib_sample(const struct mp_lib_system *system, struct mp_lib_sources *sources,
		  uint64_t now_ns, struct memprobe_info *ret);
/* How full the limit is, without the resident set: half of the system calls. */
enum memprobe_severity mp_lib_glance(const struct mp_lib_system *system,
				     struct mp_lib_sources *sources, uint64_t now_ns);
void mp_lib_sources_close(struct mp_lib_sources *sources);

#define MP_LIB_FRESH_NS 100000000ULL
#define MP_LIB_KEPT_NS 1000000000ULL

enum memprobe_severity mp_lib_severity(double usage_ratio);

#pragma GCC visibility pop

#endif
