// SPDX-License-Identifier: GPL-2.0-only
#include "env/container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/array.h"

void mp_words_free(struct mp_words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->items[i]);
	free(words->items);
	*words = (struct mp_words){0};
}

/* A word, or with NULL the end. What found no memory is told by mp_container_command(). */
static int add(struct mp_words *words, const char *word)
{
	char *copy = word ? strdup(word) : NULL;

	if ((word && !copy) || MP_RESERVE_ONE(words->items, words->n, words->cap)) {
		free(copy);
		return -ENOMEM;
	}
	words->items[words->n] = copy;
	words->n += word != NULL;
	return 0;
}

static int MP_PRINTF(2, 3) add_option(struct mp_words *words, const char *fmt, ...)
{
	char word[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	return add(words, word);
}

static int check_image(const char *image, struct mp_error *err)
{
	if (*image && *image != '-')
		return 0;
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "--image %s: the name of an image, such as " MP_CONTAINER_IMAGE, image);
}

/*
 * --memory-swap counts both, so it says of swap what the profile does, none included. Where swap
 * is not accounted it is ignored; swappiness 0 then does what can be done, on version 1 alone.
 */
static int add_limits(struct mp_words *words, const struct mp_container *c)
{
	const struct mp_profile *p = c->profile;
	int error = add_option(words, "--memory=%" PRIu64, p->limit_bytes);

	error = error
			?: add_option(words, "--memory-swap=%" PRIu64,
				      p->limit_bytes + p->swap_bytes);
	if (c->swappiness && p->swap_bytes == 0)
		error = error ?: add(words, "--memory-swappiness=0");
	if (p->cpus > 0)
		error = error ?: add_option(words, "--cpus=%g", p->cpus);
	return error;
}

int mp_container_command(const struct mp_container *c, struct mp_words *ret, struct mp_error *err)
{
	const char *image = c->image ? c->image : MP_CONTAINER_IMAGE;
	struct mp_words MP_WORDS words = {0};
	int error = check_image(image, err);

	error = error ?: add(&words, c->program);
	error = error ?: add(&words, "run");
	error = error ?: add(&words, "--rm");
	error = error ?: add(&words, c->tty ? "-it" : "-i");
	error = error ?: add_limits(&words, c);
	error = error ?: add(&words, image);
	for (size_t i = 0; c->command && c->command[i]; i++)
		error = error ?: add(&words, c->command[i]);
	error = error ?: add(&words, NULL);
	if (error)
		return error;
	*ret = words;
	words = (struct mp_words){0};
	return 0;
}
