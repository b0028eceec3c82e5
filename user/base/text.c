// SPDX-License-Identifier: GPL-2.0-only
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

void mp_text_reset(struct mp_text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->data)
		t->data[0] = '\0';
}

void mp_text_free(struct mp_text *t)
{
	free(t->data);
	*t = (struct mp_text){0};
}

static bool text_reserve(struct mp_text *t, size_t more)
{
	size_t need = t->len + more + 1;
	size_t cap = t->cap ? t->cap : 128;
	char *data;

	if (t->failed)
		return false;
	if (need <= t->cap)
		return true;
	while (cap < need)
		cap *= 2;
	data = realloc(t->data, cap);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->cap = cap;
	return true;
}

void mp_text_add(struct mp_text *t, const char *s, size_t len)
{
	if (!text_reserve(t, len))
		return;
	memcpy(t->data + t->len, s, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void mp_text_puts(struct mp_text *t, const char *s)
{
	mp_text_add(t, s, strlen(s));
}

void mp_text_putc(struct mp_text *t, char c)
{
	mp_text_add(t, &c, 1);
}

void mp_text_printf(struct mp_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !text_reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Length by the first byte, and the code point's bits in it. */
static size_t utf8_lead(unsigned char c, uint32_t *ret_bits)
{
	if (c < 0x80) {
		*ret_bits = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		*ret_bits = c & 0x1f;
		return 2;
	}
	if (c >= 0xe0 && c <= 0xef) {
		*ret_bits = c & 0x0f;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		*ret_bits = c & 0x07;
		return 4;
	}
	return 0;
}

static size_t utf8_decode(const char *s, size_t avail, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t cp = 0;
	size_t n = avail ? utf8_lead((unsigned char)s[0], &cp) : 0;

	if (n == 0 || n > avail)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (!is_continuation(s[i]))
			return 0;
		cp = cp << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret = cp;
	return n;
}

size_t mp_utf8_length(const char *s, size_t avail)
{
	uint32_t cp;

	return utf8_decode(s, avail, &cp);
}

/* Characters that are valid but move the cursor, reorder the line or hide. */
static bool is_unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x61c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) ||
	       (cp >= 0xe0000 && cp <= 0xe0fff);
}

static size_t escape(uint32_t cp, char out[16])
{
	static const struct {
		char c;
		const char *text;
	} named[] = {{'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}, {'\033', "\\e"}, {'\\', "\\\\"}};

	for (size_t i = 0; i < MP_ARRAY_SIZE(named); i++) {
		if (cp == (unsigned char)named[i].c) {
			strcpy(out, named[i].text);
			return 2;
		}
	}
	return (size_t)snprintf(out, 16, cp < 0x100 ? "\\x%02x" : "\\u{%x}", cp);
}

size_t mp_text_clean(const char *in, char *out, size_t size)
{
	size_t left = strlen(in);
	size_t used = 0;

	while (left) {
		char esc[16];
		const char *piece = in;
		uint32_t cp = (unsigned char)*in;
		size_t n = utf8_decode(in, left, &cp);
		size_t len = n;

		if (n == 0 || is_unsafe(cp) || cp == '\\') {
			len = escape(cp, esc);
			piece = esc;
		}
		if (used + len + 1 > size)
			break;
		memcpy(out + used, piece, len);
		used += len;
		in += n ? n : 1;
		left -= n ? n : 1;
	}
	if (size)
		out[used] = '\0';
	return used;
}

/*
 * wcwidth() answers by the locale, and the monitor runs in any: so the wide
 * blocks of East Asian text are named here (Unicode EastAsianWidth W and F).
 */
static unsigned int codepoint_width(uint32_t cp)
{
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0xfe00 && cp <= 0xfe0f))
		return 0;
	if ((cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
	    (cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0xf900 && cp <= 0xfaff) ||
	    (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
	    (cp >= 0xffe0 && cp <= 0xffe6) || (cp >= 0x1f300 && cp <= 0x1faff) ||
	    (cp >= 0x20000 && cp <= 0x3fffd))
		return 2;
	return 1;
}

size_t mp_text_width(const char *s)
{
	size_t left = strlen(s);
	size_t width = 0;

	while (left) {
		uint32_t cp = 0;
		size_t n = utf8_decode(s, left, &cp);

		width += n ? codepoint_width(cp) : 1;
		s += n ? n : 1;
		left -= n ? n : 1;
	}
	return width;
}
