// SPDX-License-Identifier: GPL-2.0-only
#include "report/cells.h"

#include <string.h>

#define ELLIPSIS "\u2026"
/* A name longer than this, cleaned, is taken for one that ends here. */
#define NAME_LEN 1024
#define SHOWN_LEN (NAME_LEN + sizeof(ELLIPSIS))

static const char *const color_on[] = {
	[MP_COLOR_NONE] = "",
	[MP_COLOR_DIM] = "\033[2m",
	[MP_COLOR_BOLD] = "\033[1m",
	[MP_COLOR_RED] = "\033[31m",
	[MP_COLOR_ALARM] = "\033[1;31m",
	[MP_COLOR_GREEN] = "\033[32m",
	[MP_COLOR_YELLOW] = "\033[33m",
	[MP_COLOR_MAGENTA] = "\033[35m",
};
_Static_assert(MP_ARRAY_SIZE(color_on) == MP_COLOR_COUNT, "a sequence for every color");

static void put_blanks(struct mp_text *out, size_t n)
{
	while (n--)
		mp_text_putc(out, ' ');
}

static void put_colored(struct mp_text *out, const char *s, size_t len, enum mp_color color)
{
	mp_text_puts(out, color_on[color]);
	mp_text_add(out, s, len);
	if (color != MP_COLOR_NONE)
		mp_text_puts(out, "\033[0m");
}

/* Bytes of the character at `s`, which is valid UTF-8, and the columns it takes. */
static size_t next_char(const char *s, size_t *ret_width)
{
	char one[8] = "";
	size_t n = mp_utf8_length(s, strnlen(s, 4));

	n = n ? n : 1;
	memcpy(one, s, n);
	*ret_width = mp_text_width(one);
	return n;
}

/* Bytes of the longest start of `s` that fits `width` columns. */
static size_t fitting(const char *s, size_t width)
{
	size_t used = 0;

	while (s[used]) {
		size_t columns;
		size_t n = next_char(s + used, &columns);

		if (columns > width)
			break;
		width -= columns;
		used += n;
	}
	return used;
}

/* The end of a name tells more than its start: it gets the odd column. */
static void shorten(const char *s, size_t width, char out[SHOWN_LEN])
{
	size_t left = mp_text_width(s);
	size_t head, skip;

	if (left <= width || width == 0) {
		strcpy(out, width ? s : "");
		return;
	}
	head = fitting(s, (width - 1) / 2);
	for (skip = 0; skip < head || left > width / 2;) {
		size_t columns;

		skip += next_char(s + skip, &columns);
		left -= columns;
	}
	out = mempcpy(out, s, head);
	strcpy(stpcpy(out, ELLIPSIS), s + skip);
}

void mp_cell_put(struct mp_text *out, const char *s, struct mp_cell cell)
{
	char clean[NAME_LEN];
	char shown[SHOWN_LEN];
	size_t width, pad;

	mp_text_clean(s, clean, sizeof(clean));
	shorten(clean, cell.width, shown);
	width = mp_text_width(shown);
	pad = width < cell.width ? cell.width - width : 0;
	if (cell.right)
		put_blanks(out, pad);
	put_colored(out, shown, strlen(shown), cell.color);
	if (!cell.right && !cell.last)
		put_blanks(out, pad);
}

size_t mp_cell_width(const char *s)
{
	char clean[NAME_LEN];

	mp_text_clean(s, clean, sizeof(clean));
	return mp_text_width(clean);
}

void mp_cell_name(struct mp_text *out, const char *s, size_t max)
{
	mp_cell_put(out, s ? s : "-", (struct mp_cell){.width = max, .last = true});
}

/* Bytes of the next line: up to a space, or inside a word that is longer than a line. */
static size_t line_length(const char *text, size_t width)
{
	size_t fits = fitting(text, width);
	size_t len = fits;

	if (text[fits])
		while (len > 0 && text[len] != ' ')
			len--;
	while (len > 0 && text[len - 1] == ' ')
		len--;
	return len ? len : fits;
}

void mp_paragraph_put(struct mp_text *out, const char *text, struct mp_paragraph p)
{
	size_t indent = mp_text_width(p.lead);
	size_t width = p.width > indent + 1 ? p.width - indent : 2;

	mp_text_puts(out, p.lead);
	for (;;) {
		size_t len = line_length(text, width);

		put_colored(out, text, len, p.color);
		mp_text_putc(out, '\n');
		text += len;
		text += strspn(text, " ");
		if (!*text)
			return;
		put_blanks(out, indent);
	}
}
