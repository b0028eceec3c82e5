/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of another process. What is in there is foreign, and may change while it is read. */
#ifndef MP_INJECT_MEMORY_H
#define MP_INJECT_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of it or nothing: 0, -EFAULT (not mapped), -ESRCH, -EPERM. */
int mp_memory_read(pid_t pid, uint64_t addr, void *buf, size_t len);
int mp_memory_write(pid_t pid, uint64_t addr, const void *buf, size_t len);

#endif
