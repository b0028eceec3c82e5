/* SPDX-License-Identifier: GPL-2.0-only */
/* The names that levels, severities and phases have in files and records. */
#ifndef MP_BASE_LEVEL_H
#define MP_BASE_LEVEL_H

#include "abi.h"

const char *mp_level_name(enum mp_level level);
const char *mp_severity_name(enum mp_severity severity);
const char *mp_phase_name(enum mp_phase phase);
const char *mp_arg_type_name(enum mp_arg_type type);

/* The value with that name, or -ENOENT. */
int mp_level_parse(const char *name);
int mp_severity_parse(const char *name);
int mp_phase_parse(const char *name);
int mp_arg_type_parse(const char *name);

#endif
