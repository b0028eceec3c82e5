// SPDX-License-Identifier: GPL-2.0-only
#include "env/shell.h"

#include <string.h>

static const char plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+:,./-_";

/* A word with '=' could be an assignment, but an option cannot. */
static bool is_plain(const char *word)
{
	const char *rest = word + strspn(word, plain);

	if (*rest == '=' && *word == '-')
		rest += 1 + strspn(rest + 1, plain);
	return *word && !*rest;
}

void mp_shell_quote(struct mp_text *out, const char *word)
{
	if (is_plain(word)) {
		mp_text_puts(out, word);
		return;
	}
	mp_text_putc(out, '\'');
	for (;;) {
		size_t n = strcspn(word, "'");

		mp_text_add(out, word, n);
		word += n;
		if (!*word)
			break;
		mp_text_puts(out, "'\\''");
		word++;
	}
	mp_text_putc(out, '\'');
}

void mp_shell_command(struct mp_text *out, char *const words[])
{
	for (size_t i = 0; words[i]; i++) {
		if (i)
			mp_text_putc(out, ' ');
		mp_shell_quote(out, words[i]);
	}
}
