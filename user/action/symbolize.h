/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses in a live process as text: "function+0x12 (libfoo.so)". */
#ifndef MP_ACTION_SYMBOLIZE_H
#define MP_ACTION_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "base/cleanup.h"

struct mp_symbolizer; /* the binaries opened last, with their symbols */

struct mp_symbolizer *mp_symbolizer_new(void); /* NULL: no memory */
void mp_symbolizer_free(struct mp_symbolizer *symbolizer);

struct mp_frames {
	char *text[MP_STACK_DEPTH];
	size_t n;
	size_t n_named; /* those with a function's name */
};
void mp_frames_free(struct mp_frames *frames);
#define MP_FRAMES MP_CLEANUP(mp_frames_free)

/*
 * Names the addresses of a stack, innermost first; those beyond MP_STACK_DEPTH
 * are left out. All but the first are return addresses, so their function is
 * that of the call before; `first_is_return` says it of the first too.
 * Returns 0, -ENOMEM, or what kept the process's mappings from being read
 * (-ESRCH when it is gone): then the frames are bare addresses.
 */
int mp_symbolize(struct mp_symbolizer *symbolizer, pid_t pid, const uint64_t *addrs, size_t n,
		 bool first_is_return, struct mp_frames *ret);

/* Where an address lies, as far as it is known. */
struct mp_place {
	uint64_t addr;
	const char *path;	  /* of the file mapped there; NULL: none */
	uint64_t offset;	  /* in that file */
	const char *function;	  /* NULL: not known */
	uint64_t function_offset; /* of the function in the file */
};
/* The pure part. New string, NULL: no memory. */
char *mp_frame_format(const struct mp_place *place);

#endif
