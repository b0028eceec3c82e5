/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_ELF_INTERPRETER_H
#define MP_ELF_INTERPRETER_H

#include <stddef.h>

/*
 * The dynamic loader that an executable names (PT_INTERP). Returns 0, -ENOENT
 * for a static one, -ENOEXEC when it is no ELF file, -ENAMETOOLONG.
 */
int mp_elf_interpreter(const char *path, char *out, size_t size);

#endif
