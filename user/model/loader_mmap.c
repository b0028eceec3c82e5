// SPDX-License-Identifier: GPL-2.0-only
/* llama.cpp's way unless told otherwise: the file is mapped, and its pages are the page cache's. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "model/loader.h"

/* The very calls of llama_mmap, in their order. */
static MP_LOAD_POINT int read_large_file(const struct mp_load_part *part, int fd, void **ret)
{
	void *map;

	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	map = mmap(NULL, part->bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	posix_madvise(map, part->bytes, POSIX_MADV_WILLNEED);
	*ret = map;
	return 0;
}

int mp_loader_mmap(struct mp_loaded *m, const struct mp_load_part *part, int fd,
		   struct mp_error *err)
{
	void *map = NULL;
	int error = read_large_file(part, fd, &map);

	if (error)
		return mp_fail(err, error == -ENOMEM ? MP_EXIT_OOM : MP_EXIT_CONFIG, -error,
			       "%s: cannot be mapped: %s", part->path, strerror(-error));
	for (size_t i = part->first; i < part->first + part->n; i++) {
		m->weights[i].data = (uint8_t *)map + m->plan.tensors[i].offset;
		m->weights[i].bytes = m->plan.tensors[i].bytes;
	}
	return mp_loaded_keep(m, map, part->bytes, err);
}
