/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `run`: Pythons that are started by the command find their points in the environment, and have
 * them before their program begins. For that while there is a folder with a sitecustomize.py.
 */
#ifndef MP_MONITOR_PYTHON_ENV_H
#define MP_MONITOR_PYTHON_ENV_H

#include "base/error.h"
#include "config/points.h"
#include "inject/env.h"

struct mp_python_env;

/* Makes the folder, and the environment for what is started before mp_python_env_leave(). */
int mp_python_env_new(const struct mp_points *points, struct mp_python_env **ret,
		      struct mp_error *err);
/* Puts this process's own environment back. */
void mp_python_env_leave(struct mp_python_env *env);
/* Takes the folder away. */
void mp_python_env_free(struct mp_python_env *env);

/* The file that the interpreters load their markers from: to be probed before they do. */
const char *mp_python_env_marker(const struct mp_python_env *env);
/* Where they answer. */
const struct mp_python_answers *mp_python_env_answers(const struct mp_python_env *env);

#endif
