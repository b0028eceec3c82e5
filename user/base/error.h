/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why something did not work, for a person. Modules below monitor/ fill one in
 * and return a negative errno; the command line says it once and exits with
 * the code that CONTRACT documents.
 */
#ifndef MP_BASE_ERROR_H
#define MP_BASE_ERROR_H

#include "base/cleanup.h"

/* Exit codes of every command; documented in README.md, stable. */
enum mp_exit {
	MP_EXIT_OK = 0,
	MP_EXIT_CHECK = 1,	 /* ran, and what it checked does not hold */
	MP_EXIT_USAGE = 2,	 /* the command line */
	MP_EXIT_CONFIG = 3,	 /* a config file is wrong */
	MP_EXIT_PRIVILEGE = 4,	 /* a capability is missing; the text names it */
	MP_EXIT_TARGET = 5,	 /* not found, gone before attach, not a user process */
	MP_EXIT_UNSUPPORTED = 6, /* the kernel or host lacks it; the text names the fallback */
	MP_EXIT_OOM = 7,	 /* the workload was OOM-killed, or memory ran out */
	MP_EXIT_INTERRUPTED = 130,
};

struct mp_error {
	enum mp_exit exit_code;
	char text[1024]; /* one line of valid UTF-8, no newline at its end */
};

/*
 * Fills in `err` (may be NULL) and returns `-errnum`, so that a failing
 * function can `return mp_fail(...)`. Foreign bytes in the arguments are
 * escaped: the text is always one printable line.
 */
int mp_fail(struct mp_error *err, enum mp_exit exit_code, int errnum, const char *fmt, ...)
	MP_PRINTF(4, 5);

#endif
