/* SPDX-License-Identifier: GPL-2.0-only */
/* What a script says that ran in a target: JSON from a process that is not trusted. */
#ifndef MP_INJECT_RESULT_H
#define MP_INJECT_RESULT_H

#include <stddef.h>

#include "base/error.h"
#include "base/event.h"

#define MP_RESULT_MAX_BYTES (1U << 20)

struct mp_result_point {
	char *name;
	enum mp_site_status status;
	char **functions; /* "module.Class.function" */
	size_t n_functions;
	char *reason; /* NULL: none */
};

struct mp_result {
	char *python; /* "3.11.2" */
	char *error;  /* of the whole; NULL: none */
	struct mp_result_point *points;
	size_t n_points;
};

/*
 * `token` is what the script was given: another one's result is -EBADMSG, as is what is
 * malformed, has no end of points, or names with control characters.
 */
int mp_result_parse(const char *text, size_t len, const char *token, struct mp_result *ret,
		    struct mp_error *err);
void mp_result_free(struct mp_result *result);
#define MP_RESULT MP_CLEANUP(mp_result_free)

#endif
