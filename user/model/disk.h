/* SPDX-License-Identifier: GPL-2.0-only */
/* How fast the disk below a file is, past the page cache. */
#ifndef MP_MODEL_DISK_H
#define MP_MODEL_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fsroot.h"

/* At most so much is read, for at most so long. */
#define MP_DISK_BYTES (256ULL << 20)
#define MP_DISK_NS 500000000ULL

struct mp_disk_speed {
	uint64_t per_s;	     /* bytes a second: the median over chunks of 1 MiB */
	uint64_t read_bytes; /* that it is measured on */
	bool is_direct;	     /* O_DIRECT; else read into a page cache that was emptied of them */
};

/*
 * Reads the file from its beginning, one chunk at a time, as whoever waits for its pages does.
 * -EOPNOTSUPP: it lies in memory. -ENODATA: it has holes, or is too small to tell. Others as
 * open() and read() have them.
 */
int mp_disk_measure(const char *path, struct mp_disk_speed *ret);

/* Bytes that the kernel reads ahead of files on that device; its default where the disk tells none.
 */
uint64_t mp_disk_readahead(const struct mp_fsroot *fs, dev_t dev);

#endif
