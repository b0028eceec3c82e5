/* SPDX-License-Identifier: GPL-2.0-only */
/* What a device can be made with: a row each. */
#ifndef MP_ENV_ENGINE_H
#define MP_ENV_ENGINE_H

#include "base/text.h"
#include "env/session.h"

struct mp_engine_job {
	struct mp_device_options device;
	const char *image;    /* of a container; NULL: the default */
	char *const *command; /* without words: a container runs what its image does by itself */
	mp_tell_fn tell;      /* what does not hold here */
	void *data;
};

struct mp_engine {
	const char *name;
	bool is_container;
	/*
	 * Runs the command to its end. Returns its exit code, 7 when it was OOM-killed, or a
	 * negative errno. A container's program takes the place of this one, and its exit codes are
	 * its own; where it is not installed: exit code 6.
	 */
	int (*run)(const struct mp_engine *engine, const struct mp_engine_job *job,
		   struct mp_error *err);
};

const struct mp_engine *mp_engines(size_t *ret_n);
/* NULL with exit code 2. */
const struct mp_engine *mp_engine_find(const char *name, struct mp_error *err);

/* The command line of a container, as a shell takes it. */
int mp_engine_command(const struct mp_engine *engine, const struct mp_engine_job *job,
		      struct mp_text *out, struct mp_error *err);

#endif
