/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pythons that get their points by the environment: of `run`. Whether one does, and what
 * they answer: files in a folder where every user may leave one.
 */
#ifndef MP_INJECT_ENV_H
#define MP_INJECT_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/fsroot.h"
#include "inject/result.h"
#include "inject/script.h"

struct mp_python_answers {
	char token[MP_SCRIPT_TOKEN]; /* that the configuration has */
	char config[96];	     /* path of the configuration */
	char folder[96];
	int fd; /* of the folder */
};

/*
 * Whether a process was started with that configuration in its environment, and with no option
 * (-I, -E, -S) by which Python passes it over.
 */
bool mp_env_is_used(const struct mp_fsroot *fs, pid_t pid, const struct mp_python_answers *answers);

/* The options of a Python's command line, as /proc/PID/cmdline has them. Pure. */
bool mp_env_is_ignored(const char *cmdline, size_t len);

/* Hands over each answer that has come since, and takes it away. */
typedef void (*mp_answer_fn)(void *data, struct mp_result *result);
void mp_env_read_answers(const struct mp_python_answers *answers, mp_answer_fn fn, void *data);

#endif
