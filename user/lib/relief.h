/* SPDX-License-Identifier: GPL-2.0-only */
/* What gives memory back, and what it gave: for memprobe_relieve() and for the agent. */
#ifndef MP_LIB_RELIEF_H
#define MP_LIB_RELIEF_H

#include "lib/private.h"

struct mp_lib_relief {
	uint32_t called;     /* callbacks so far; another thread may look meanwhile */
	uint64_t said_bytes; /* that the callbacks claim */
};

/*
 * Asks the callbacks, the last registered first, and then the allocators. One thread at a
 * time does. -EDEADLK from within a callback; -ETIMEDOUT when another one's went on until
 * the deadline.
 */
MP_LIB_HIDDEN int mp_lib_relieve(const struct memprobe_pressure *pressure,
				 struct mp_lib_relief *relief);

/* Has every allocator that is linked into the process return what it keeps. */
MP_LIB_HIDDEN void mp_lib_purge(void);

#endif
