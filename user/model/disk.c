// SPDX-License-Identifier: GPL-2.0-only
#include "model/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/size.h"

#define CHUNK (1UL << 20)
#define MAX_CHUNKS (MP_DISK_BYTES / CHUNK)
#define LEAST_CHUNKS 2
#define SECTOR 512
#define ALIGNMENT 4096
#define NS_PER_SEC 1000000000ULL
#define READAHEAD_KB 128 /* the kernel's own */
#define MAX_NUMBER 64

/* Not every file system can: those that cannot say so when it is opened. */
static int open_past_cache(const char *path, bool *ret_direct)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	*ret_direct = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What is no disk at all is opened as if it were one (tmpfs since 6.6), and holes are no data. */
static int check(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC)
		return -EOPNOTSUPP;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_size < LEAST_CHUNKS * (off_t)CHUNK || st.st_blocks * SECTOR < st.st_size
		       ? -ENODATA
		       : 0;
}

static int read_chunk(int fd, bool direct, size_t i, void *buffer, uint64_t *ret_ns)
{
	off_t at = (off_t)(i * CHUNK);
	uint64_t begin;
	ssize_t got;

	if (!direct)
		posix_fadvise(fd, at, CHUNK, POSIX_FADV_DONTNEED);
	begin = mp_clock_now_ns();
	got = pread(fd, buffer, CHUNK, at);
	if (got < 0)
		return -errno;
	*ret_ns = mp_clock_now_ns() - begin;
	return got == (ssize_t)CHUNK ? 0 : -ENODATA; /* the end */
}

int mp_disk_measure(const char *path, struct mp_disk_speed *ret)
{
	MP_FREE void *buffer = NULL;
	uint64_t ns[MAX_CHUNKS], begin = mp_clock_now_ns();
	bool direct;
	MP_CLOSE int fd = open_past_cache(path, &direct);
	int error = fd < 0 ? fd : check(fd);
	size_t n = 0;

	if (!error && posix_memalign(&buffer, ALIGNMENT, CHUNK))
		error = -ENOMEM;
	if (!error && !direct)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* a chunk, and no more */
	while (!error && n < MAX_CHUNKS && mp_clock_now_ns() - begin < MP_DISK_NS) {
		error = read_chunk(fd, direct, n, buffer, &ns[n]);
		n += !error;
	}
	if (error && error != -ENODATA)
		return error;
	if (n < LEAST_CHUNKS)
		return -ENODATA;
	qsort(ns, n, sizeof(*ns), mp_compare_u64);
	*ret = (struct mp_disk_speed){
		.per_s = CHUNK * NS_PER_SEC / (ns[n / 2] ? ns[n / 2] : 1),
		.read_bytes = n * CHUNK,
		.is_direct = direct,
	};
	return 0;
}

/* --- reading ahead ------------------------------------------------------------------------ */

static int read_kb(const struct mp_fsroot *fs, const char *format, dev_t dev, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	char path[128];
	int error;

	snprintf(path, sizeof(path), format, major(dev), minor(dev));
	error = mp_read_file_at(fs, MAX_NUMBER, &text, NULL, "%s", path);
	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	return mp_number_parse(text, UINT64_MAX >> 12, ret);
}

/* A partition has its disk's. */
uint64_t mp_disk_readahead(const struct mp_fsroot *fs, dev_t dev)
{
	uint64_t kb = READAHEAD_KB;

	if (read_kb(fs, "/sys/class/bdi/%u:%u/read_ahead_kb", dev, &kb))
		read_kb(fs, "/sys/dev/block/%u:%u/../queue/read_ahead_kb", dev, &kb);
	return kb * 1024;
}
