/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of elf/ share. */
#ifndef MP_ELF_ELF_INTERNAL_H
#define MP_ELF_ELF_INTERNAL_H

#include <gelf.h>

#include "base/cleanup.h"
#include "elf/elf_file.h"

/* An ELF file held open. Read, not mapped: a mapped file that is cut short kills the reader. */
struct mp_elf_image {
	int fd;
	Elf *elf;
};

/* What the loader maps. Sums of its members do not overflow. */
struct mp_elf_segment {
	uint64_t addr;
	uint64_t offset;
	uint64_t size; /* bytes in the file */
	bool is_code;
};

/* A defined function, as one of the symbol tables has it. */
struct mp_elf_function {
	const char *name; /* lives as long as its image */
	uint64_t addr;
	uint64_t size;
	uint64_t offset;
	bool is_ifunc;
	bool is_global;
	size_t order; /* in a list */
};

struct mp_elf_functions {
	struct mp_elf_function *items;
	size_t n;
	size_t cap;
};

/* For mp_elf_symbol_at(): one function at each offset, in their order. */
struct mp_elf_range {
	struct mp_elf_function fn;
	uint64_t end;
	uint64_t reach; /* highest end so far: nothing before covers what is beyond */
};

struct mp_elf {
	struct mp_elf_image image;
	struct mp_elf_image debug; /* elf is NULL without one */
	struct mp_elf_segment *segments;
	size_t n_segments;
	unsigned int flags;
	struct mp_elf_range *ranges; /* made on first use */
	size_t n_ranges;
	char *demangled; /* of the last mp_elf_symbol_at() */
};

/* -ENOEXEC: not a 64-bit executable or shared object of this processor. */
int mp_elf_image_open(const char *path, struct mp_elf_image *ret);
void mp_elf_image_close(struct mp_elf_image *image);
#define MP_ELF_IMAGE MP_CLEANUP(mp_elf_image_close)

/* The first section of that type (SHT_NULL: any) and name (NULL: any), or NULL. */
Elf_Scn *mp_elf_section(Elf *elf, uint32_t type, const char *name);
/* Its content, or NULL: absent, empty, or too large to be sane. */
Elf_Data *mp_elf_section_data(Elf_Scn *section);

/* The symbols of `path`, which has none itself, from where distributions keep them. */
int mp_elf_debug_open(const struct mp_elf_image *image, const char *path, const char *root,
		      struct mp_elf_image *ret);

/* The file offset of `addr` in a segment, one with code if `need_code`. Returns 0 or -ENOENT. */
int mp_elf_offset_of(const struct mp_elf *elf, uint64_t addr, bool need_code, uint64_t *ret);

/* The segment whose code is at that file offset, or NULL. */
const struct mp_elf_segment *mp_elf_code_at(const struct mp_elf *elf, uint64_t offset);

/* Every function of .symtab, else of .dynsym and then the debug file's .symtab, in their order. */
typedef int (*mp_elf_function_fn)(void *data, const struct mp_elf_function *fn);
int mp_elf_for_each_function(struct mp_elf *elf, mp_elf_function_fn fn, void *data);

/* A mp_elf_function_fn that copies into the struct mp_elf_functions at `data`. */
int mp_elf_functions_add(void *data, const struct mp_elf_function *fn);
/* By offset; of aliases the global ones first, then in the order they came. */
void mp_elf_functions_sort(struct mp_elf_functions *list);
static inline void mp_elf_functions_free(struct mp_elf_functions *list)
{
	free(list->items);
}
#define MP_ELF_FUNCTIONS MP_CLEANUP(mp_elf_functions_free)

/* Bytes of a name without its @VERSION. */
size_t mp_elf_base_length(const char *name);

/* How much of a C++ or Rust name to print. */
enum mp_demangle_style {
	MP_DEMANGLE_FULL = 0,  /* int ns::f<int>(char) */
	MP_DEMANGLE_NO_RETURN, /* ns::f<int>(char) */
	MP_DEMANGLE_NAME,      /* ns::f<int> */
	MP_DEMANGLE_STYLE_COUNT
};
bool mp_is_mangled(const char *name);
/* `name` without its @VERSION. */
char *mp_demangle_as(const char *name, enum mp_demangle_style style);

#endif
