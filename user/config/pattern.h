/* SPDX-License-Identifier: GPL-2.0-only */
/* The small languages inside points: names, symbol and usdt patterns, Python paths. Private to
 * config/. */
#ifndef MP_CONFIG_PATTERN_H
#define MP_CONFIG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "config/points.h"

#define MP_MAX_NAME 64 /* bytes of a point's name */

/* What is wrong with a text, or NULL. */
const char *mp_name_problem(const char *text);
const char *mp_symbol_problem(const char *text);
const char *mp_usdt_problem(const char *text);
const char *mp_python_problem(const char *text);
bool mp_is_identifier(const char *s, size_t len);

/*
 * Fill in a zeroed pattern from a text that has no problem. Return 0 or
 * -ENOMEM; the caller frees the strings in either case.
 */
int mp_symbol_split(const char *text, struct mp_symbol_pattern *ret);
int mp_usdt_split(const char *text, struct mp_usdt_pattern *ret);

#endif
