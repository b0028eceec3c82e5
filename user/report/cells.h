/* SPDX-License-Identifier: GPL-2.0-only */
/* Text of a fixed number of columns. All strings may hold foreign bytes: they are cleaned here. */
#ifndef MP_REPORT_CELLS_H
#define MP_REPORT_CELLS_H

#include <stdbool.h>

#include "base/text.h"

enum mp_color {
	MP_COLOR_NONE = 0,
	MP_COLOR_DIM,
	MP_COLOR_BOLD,
	MP_COLOR_RED,
	MP_COLOR_ALARM, /* bold red */
	MP_COLOR_GREEN,
	MP_COLOR_YELLOW,
	MP_COLOR_MAGENTA,
	MP_COLOR_COUNT
};

/* Appends `s` padded to `width` columns; a longer one loses its middle to "…". */
struct mp_cell {
	size_t width;
	bool right;	     /* aligned to the right */
	bool last;	     /* no padding behind it */
	enum mp_color color; /* NONE: no escape sequences */
};
void mp_cell_put(struct mp_text *out, const char *s, struct mp_cell cell);
/* Columns that `s` takes once cleaned. */
size_t mp_cell_width(const char *s);

/* Appends `s` cleaned; NULL is "-". More than `max` columns lose their middle. */
void mp_cell_name(struct mp_text *out, const char *s, size_t max);

/*
 * Appends `text` (clean already) broken at spaces into lines of at most `width`
 * columns. `lead` stands before the first line, and as many blanks before the
 * others.
 */
struct mp_paragraph {
	size_t width;
	const char *lead;
	enum mp_color color; /* of the text */
};
void mp_paragraph_put(struct mp_text *out, const char *text, struct mp_paragraph paragraph);

#endif
