/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that are written. */
#ifndef MP_BASE_FILE_H
#define MP_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Writes a file under another name and renames it: whoever reads sees the old one or the new one,
 * whole. A negative errno, and nothing is left of the new one.
 */
int mp_file_replace(const char *path, const char *data, size_t len, mode_t mode);

/* The same for a name that nobody has: -EEXIST otherwise. */
int mp_file_create(const char *path, const char *data, size_t len, mode_t mode);

/* All of it, however many calls that takes. A negative errno. */
int mp_write_all(int fd, const void *data, size_t len);

/* mkdir -p */
int mp_make_dirs(const char *dir);

/* The bytes of a file, as they were when this was built: mp_NAME_begin[] to mp_NAME_end[]. */
#define MP_INCLUDE_BYTES(name, file)                                                               \
	__asm__(".pushsection .rodata\n"                                                           \
		"mp_" #name "_begin: .incbin \"" file "\"\n"                                       \
		"mp_" #name "_end: .byte 0\n"                                                      \
		".popsection\n");                                                                  \
	extern const char mp_##name##_begin[] __attribute__((visibility("hidden")));               \
	extern const char mp_##name##_end[] __attribute__((visibility("hidden")))

#endif
