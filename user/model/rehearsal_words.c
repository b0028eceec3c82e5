// SPDX-License-Identifier: GPL-2.0-only
/* A user's command line with the model's path in it. */
#include <errno.h>
#include <string.h>
#include <wordexp.h>

#include "base/text.h"
#include "model/rehearsal.h"

/* Stands for the path while words are made: neither quoting nor spaces of the path matter then. */
#define MARK '\1'

static void replace(struct mp_text *out, const char *text, const char *what, const char *with)
{
	const char *at;

	while ((at = strstr(text, what))) {
		mp_text_add(out, text, (size_t)(at - text));
		mp_text_puts(out, with);
		text = at + strlen(what);
	}
	mp_text_puts(out, text);
}

static const char *reason_of(int error)
{
	switch (error) {
	case WRDE_BADCHAR:
		return "|, &, ;, <, >, (, ), { and } are a shell's: give sh -c '…' in quotes";
	case WRDE_CMDSUB:
		return "there is no command substitution: give sh -c '…' in quotes";
	case WRDE_BADVAL:
		return "a variable is not set";
	case WRDE_NOSPACE:
		return "memory ran out";
	default:
		return "a quote has no end";
	}
}

static char *word_of(const char *word, const char *path)
{
	static const char mark[] = {MARK, '\0'};
	MP_TEXT struct mp_text text = {0};

	replace(&text, word, mark, path);
	return text.failed ? NULL : MP_TAKE(text.data);
}

static int copy_words(const wordexp_t *words, const char *path, char ***ret)
{
	char **copy = calloc(words->we_wordc + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < words->we_wordc; i++) {
		copy[i] = word_of(words->we_wordv[i], path);
		if (!copy[i]) {
			mp_rehearsal_words_free(copy);
			return -ENOMEM;
		}
	}
	*ret = copy;
	return 0;
}

int mp_rehearsal_words(const char *line, const char *path, char ***ret, struct mp_error *err)
{
	static const char mark[] = {MARK, '\0'};
	MP_TEXT struct mp_text text = {0};
	wordexp_t words;
	int error;

	if (!strstr(line, MP_REHEARSAL_MODEL))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--exec %s: it does not say where the model goes: put {model} where "
			       "its path belongs",
			       line);
	replace(&text, line, MP_REHEARSAL_MODEL, mark);
	if (text.failed)
		return -ENOMEM;
	error = wordexp(text.data, &words, WRDE_NOCMD | WRDE_UNDEF);
	if (error)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--exec %s: %s", line, reason_of(error));
	error = copy_words(&words, path, ret);
	wordfree(&words);
	return error;
}

void mp_rehearsal_words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}
