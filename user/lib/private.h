/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the library share. All of it is hidden in libmemprobe.so. */
#ifndef MP_LIB_PRIVATE_H
#define MP_LIB_PRIVATE_H

#include <stdint.h>

#include "lib/marker.h"
#include "lib/memprobe.h"

#define MP_LIB_HIDDEN __attribute__((visibility("hidden")))
#define mp_lib_likely(x) __builtin_expect(!!(x), 1)

#define MP_LIB_MAX_POINTS 1024
#define MP_LIB_NAME_LEN 128 /* with its NUL */

/* The markers of marker.h by the names that nobody can come in between. */
MP_LIB_HIDDEN void mp_lib_marker_enter(uint64_t id, const char *name, uint64_t level, uint64_t call,
				       uint64_t size);
MP_LIB_HIDDEN void mp_lib_marker_exit(uint64_t id, const char *name, uint64_t level, uint64_t call);
MP_LIB_HIDDEN void mp_lib_marker_check(uint64_t id, const char *name, uint64_t level, uint64_t rss);
MP_LIB_HIDDEN extern volatile unsigned short mp_lib_enter_semaphore;
MP_LIB_HIDDEN extern volatile unsigned short mp_lib_exit_semaphore;
MP_LIB_HIDDEN extern volatile unsigned short mp_lib_check_semaphore;

/* Never changes once others can see it. */
struct memprobe_point {
	uint64_t id;   /* what markers are told */
	uint64_t hash; /* where it is looked for */
	enum memprobe_level level;
	uint32_t len;
	char name[MP_LIB_NAME_LEN];
};

/* memprobe_point(), which returns 0, -EINVAL or -ENOSPC and leaves errno alone. */
MP_LIB_HIDDEN int mp_lib_point(const char *name, enum memprobe_level level,
			       struct memprobe_point **ret);

#endif
