/* SPDX-License-Identifier: GPL-2.0-only */
/* Words for a POSIX shell. */
#ifndef MP_ENV_SHELL_H
#define MP_ENV_SHELL_H

#include "base/text.h"

/* Adds a word so that a shell reads just that: as it is, or in single quotes. */
void mp_shell_quote(struct mp_text *out, const char *word);
/* The words of a command, NULL-terminated, with blanks between them. */
void mp_shell_command(struct mp_text *out, char *const words[]);

#endif
