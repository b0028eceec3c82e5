/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small files of /proc and of cgroups, read without stdio and without memory of the heap:
 * this may run in a signal handler. System calls are made such that no thread can be
 * cancelled in them. Negative errno is failure; errno itself may be changed.
 */
#ifndef MP_LIB_FILE_H
#define MP_LIB_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

#define MP_LIB_PATH_MAX 1024
#define MP_LIB_LINE_MAX 1024

/* The texts one behind the other. 0 or -ENAMETOOLONG. */
int mp_lib_join(char *out, size_t size, const char *a, const char *b, const char *c);

/* A decimal number at `*at`, which is moved behind it. 0, or -EBADMSG: none, or above 64 bits. */
int mp_lib_number(const char **at, uint64_t *ret);
/* The number in "Key:  123 kB", in bytes; `key` with its colon. 0, -ENOENT (another key) or
 * -EBADMSG.
 */
int mp_lib_kib_field(const char *line, const char *key, uint64_t *ret_bytes);

/* --- a file that is kept open ----------------------------------------------- */

/*
 * All zero: not open. The program may close any number and get another file by it, so what
 * a number stands for is remembered, and looked at after each read.
 */
struct mp_lib_file {
	int is_open;
	int fd;
	dev_t dev;
	ino_t ino;
};

int mp_lib_file_open(struct mp_lib_file *file, const char *path);
/*
 * From the beginning, into a NUL-terminated text. Returns its length. After any failure the
 * file is not open (-EBADF: the number was not ours any more, and is left to whom it belongs).
 */
ssize_t mp_lib_file_read(struct mp_lib_file *file, char *text, size_t size);
/* Whether the open file is the one at that path. */
bool mp_lib_file_is_at(const struct mp_lib_file *file, const char *path);
void mp_lib_file_close(struct mp_lib_file *file);

/* Opens, reads and closes one. */
ssize_t mp_lib_read_once(const char *path, char *text, size_t size);
/* A file that holds one number, or "max", which is MEMPROBE_UNKNOWN. */
int mp_lib_read_number(const char *path, uint64_t *ret);

/* --- a file line by line ----------------------------------------------------- */

struct mp_lib_lines {
	int fd;
	bool is_cut; /* the line that has begun was longer than the buffer: its rest is skipped */
	size_t begin;
	size_t end;
	char text[MP_LIB_LINE_MAX];
};

int mp_lib_lines_open(struct mp_lib_lines *lines, const char *path);
/* The next line without its newline, cut where it is too long; NULL at the end. */
char *mp_lib_lines_next(struct mp_lib_lines *lines);
void mp_lib_lines_close(struct mp_lib_lines *lines);

#pragma GCC visibility pop

#endif
