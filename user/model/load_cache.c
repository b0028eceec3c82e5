// SPDX-License-Identifier: GPL-2.0-only
/* A cold start: files out of the page cache, as far as their file systems let them go. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "model/loader.h"

#define LOOK_PAGES 16384UL /* at a time */

static uint64_t count_resident(uint8_t *map, uint64_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned char resident[LOOK_PAGES];
	uint64_t count = 0;

	for (uint64_t at = 0; at < bytes; at += LOOK_PAGES * page) {
		uint64_t left = bytes - at;
		uint64_t pages = left < LOOK_PAGES * page ? (left + page - 1) / page : LOOK_PAGES;

		if (mincore(map + at, pages * page, resident) < 0)
			return bytes;
		for (uint64_t i = 0; i < pages; i++)
			count += resident[i] & 1;
	}
	return count * page < bytes ? count * page : bytes;
}

/* Only clean pages go, so they are written first. */
static int drop_part(const struct mp_load_part *part, uint64_t *kept)
{
	MP_CLOSE int fd = open(part->path, O_RDONLY | O_CLOEXEC);
	void *map;

	if (fd < 0)
		return -errno;
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	map = mmap(NULL, part->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*kept += count_resident(map, part->bytes);
	munmap(map, part->bytes);
	return 0;
}

int mp_load_drop_cache(const struct mp_load_plan *plan, uint64_t *ret_kept, struct mp_error *err)
{
	uint64_t kept = 0;

	for (size_t i = 0; i < plan->n_parts; i++) {
		int error = drop_part(&plan->parts[i], &kept);

		if (error)
			return mp_fail(err, MP_EXIT_TARGET, -error, "%s: %s", plan->parts[i].path,
				       strerror(-error));
	}
	*ret_kept = kept;
	return 0;
}
