/* SPDX-License-Identifier: GPL-2.0-only */
/* Growing text, and making hostile bytes safe to show. */
#ifndef MP_BASE_TEXT_H
#define MP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

/* A growing string, always NUL-terminated once something was added. Zero-initialized is empty. */
struct mp_text {
	char *data;
	size_t len;
	size_t cap;
	bool failed; /* memory ran out: the text is cut, and stays so until reset */
};

void mp_text_reset(struct mp_text *t); /* empty, keeps its memory */
void mp_text_free(struct mp_text *t);
void mp_text_add(struct mp_text *t, const char *s, size_t len);
void mp_text_puts(struct mp_text *t, const char *s);
void mp_text_putc(struct mp_text *t, char c);
void mp_text_printf(struct mp_text *t, const char *fmt, ...) MP_PRINTF(2, 3);
#define MP_TEXT MP_CLEANUP(mp_text_free)

/*
 * Copies `in` to `out` so that it can be printed on a terminal and is valid
 * UTF-8: control characters (newline and ESC among them), DEL, C1 controls,
 * line separators, bidirectional overrides and bytes that are not UTF-8 become
 * \n, \t, \e, \xHH or \u{HHHH}; a backslash becomes two. Cuts at whole
 * characters when `size` (with NUL) is short. Returns the bytes written,
 * without the NUL.
 */
size_t mp_text_clean(const char *in, char *out, size_t size);

/*
 * Length (1-4) of the UTF-8 character at `s`, of which `avail` bytes can be
 * read, or 0 when it is not valid UTF-8 (overlong, surrogate, cut, > U+10FFFF).
 */
size_t mp_utf8_length(const char *s, size_t avail);

/* Columns that valid, cleaned UTF-8 takes on a terminal (East Asian wide characters are two). */
size_t mp_text_width(const char *s);

#endif
