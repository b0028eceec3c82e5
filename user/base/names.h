/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables of names for enums: one lookup each way. */
#ifndef MP_BASE_NAMES_H
#define MP_BASE_NAMES_H

#include <stddef.h>

/* The name of a value, or "?" when it lies outside the table. */
const char *mp_name_of(const char *const *names, size_t n, size_t value);
/* The value of a name, or -ENOENT. */
int mp_name_find(const char *const *names, size_t n, const char *name);
/*
 * The name that was most likely meant: the nearest by optimal string alignment
 * distance (insert, delete, replace, swap of neighbours), at most a third of
 * its length away. NULL when none is near.
 */
const char *mp_name_suggest(const char *const *names, size_t n, const char *name);

/*
 * Defines mp_<prefix>_name() and mp_<prefix>_parse() over a table that must
 * have one name for each value.
 */
#define MP_NAMES(prefix, type, count, ...)                                                         \
	static const char *const prefix##_names[] = {__VA_ARGS__};                                 \
	_Static_assert(sizeof(prefix##_names) / sizeof(prefix##_names[0]) == (count),              \
		       "a name for every value of " #type);                                        \
	const char *mp_##prefix##_name(type value)                                                 \
	{                                                                                          \
		return mp_name_of(prefix##_names, (count), (size_t)value);                         \
	}                                                                                          \
	int mp_##prefix##_parse(const char *name)                                                  \
	{                                                                                          \
		return mp_name_find(prefix##_names, (count), name);                                \
	}

#endif
