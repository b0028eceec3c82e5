/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells which processes have mapped an executable file: how libraries that are
 * loaded later come to be known. The kernel writes these records for perf; the
 * monitor polls nothing and touches no process.
 */
#ifndef MP_SOURCE_MMAP_WATCH_H
#define MP_SOURCE_MMAP_WATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"

struct mp_mmap_watch;

/* `pid` mapped a file; pid 0: records were lost, any process may have. */
typedef void (*mp_mmap_fn)(void *data, pid_t pid);

/* One perf event a CPU, read by the loop. -EACCES without CAP_PERFMON. */
int mp_mmap_watch_new(struct mp_loop *loop, mp_mmap_fn fn, void *data, struct mp_mmap_watch **ret);
void mp_mmap_watch_free(struct mp_mmap_watch *watch);

#endif
