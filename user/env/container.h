/* SPDX-License-Identifier: GPL-2.0-only */
/* A profile as a command line for docker or podman, which have the same options. */
#ifndef MP_ENV_CONTAINER_H
#define MP_ENV_CONTAINER_H

#include <stdbool.h>

#include "config/profiles.h"

#define MP_CONTAINER_IMAGE "debian:stable-slim"

struct mp_container {
	const char *program; /* "docker", "podman" */
	const struct mp_profile *profile;
	const char *image;    /* NULL: MP_CONTAINER_IMAGE */
	char *const *command; /* NULL or without words: what the image runs by itself */
	bool tty;	      /* of the caller's terminal */
	bool swappiness;      /* the host's cgroups have it: version 1 */
};

/* Words, NULL-terminated. */
struct mp_words {
	char **items;
	size_t n, cap;
};
void mp_words_free(struct mp_words *words);
#define MP_WORDS MP_CLEANUP(mp_words_free)

/* Exit code 2: an image that would be taken for an option. */
int mp_container_command(const struct mp_container *c, struct mp_words *ret, struct mp_error *err);

#endif
