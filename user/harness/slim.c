// SPDX-License-Identifier: GPL-2.0-only
#include "harness/slim.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Segments that cannot be written hold nothing that is not in the file. */
static void drop_segment(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (info->dlpi_addr + segment->p_vaddr) / page * page;
	uintptr_t end = info->dlpi_addr + segment->p_vaddr + segment->p_memsz;

	if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static int drop_object(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++)
		drop_segment(info, &info->dlpi_phdr[i]);
	return 0;
}

void mp_slim(void)
{
	dl_iterate_phdr(drop_object, NULL);
}
