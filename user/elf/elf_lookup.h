/* SPDX-License-Identifier: GPL-2.0-only */
/* Where an ELF file has a few things that are asked for by name. Nothing in it is trusted. */
#ifndef MP_ELF_ELF_LOOKUP_H
#define MP_ELF_ELF_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

struct mp_elf_wanted {
	const char *name;
	uint64_t addr; /* virtual address in the ELF file; 0: not defined there */
	uint64_t size;
};

/*
 * Fills in functions and data of `symbols` by their exact names: from .dynsym, and from
 * .symtab what is not in there. `section` is filled in the same way. Returns 0, or
 * -ENOENT, -EACCES …, -ENOEXEC when it is not an ELF file of this processor.
 */
int mp_elf_lookup(const char *path, struct mp_elf_wanted *symbols, size_t n,
		  struct mp_elf_wanted *section);

/*
 * What to add to addresses of the file, of which a mapping with code begins at
 * `map_start` with what is at `file_offset`. -ENOENT: no such code in it.
 */
int mp_elf_bias(const char *path, uint64_t map_start, uint64_t file_offset, uint64_t *ret);

#endif
