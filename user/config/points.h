/* SPDX-License-Identifier: GPL-2.0-only */
/* injection_points.yaml and --point as typed structs; described in docs/injection_points.md. */
#ifndef MP_CONFIG_POINTS_H
#define MP_CONFIG_POINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "base/error.h"

#define MP_DEFAULT_MAX_SITES 1000
#define MP_MAX_POINTS 4096

/* [binary-glob:]symbol-glob */
struct mp_symbol_pattern {
	char *binary; /* NULL: any. With a slash: the whole path; else its last part */
	char *symbol;
};

/* binary-glob:provider:name */
struct mp_usdt_pattern {
	char *binary; /* NULL: any */
	char *provider;
	char *name;
};

struct mp_point_arg {
	unsigned int index; /* 1-based position: to 6 in a call, to 12 in a usdt note */
	char *name;
	enum mp_arg_type type; /* u64, s64, str, ptr */
};

struct mp_point {
	char *name;
	enum mp_level level;
	char *python; /* module[.Class].function, or NULL */
	struct mp_symbol_pattern *symbols;
	size_t n_symbols;
	struct mp_usdt_pattern *usdt;
	size_t n_usdt;
	struct mp_point_arg args[MP_MAX_ARGS];
	size_t n_args;
	bool has_ret;
	char *ret_name;
	enum mp_arg_type ret_type;
	uint64_t threshold_bytes;
	bool optional;
	bool marker;	  /* told of by libmemprobe in the program: its name is enough */
	size_t max_sites; /* more matches than this are refused */
	char *origin;	  /* "file:line:column" or "--point", for messages */
};

/*
 * Which of a point's arguments says how many bytes the call asks for: the
 * first number that is named size, bytes or n_bytes. MP_MAX_ARGS: none does.
 */
size_t mp_point_size_arg(const struct mp_point *point);

/*
 * The configured points, and behind them those that programs under watch have
 * declared meanwhile by libmemprobe: name and level alone.
 */
struct mp_points {
	struct mp_point *items;
	size_t n;		   /* configured */
	struct mp_point *declared; /* by index - n, MP_SPARE_POINTS; without a name: none there.
				      NULL: none yet */
};

/* A point by its index in the kernel side's maps, or NULL. It stays where it is. */
const struct mp_point *mp_points_at(const struct mp_points *points, size_t index);
/*
 * Makes the declared point with that index known. Returns 1; 0 when there is one already;
 * -ERANGE when the index is none of a declared point; -ENOMEM.
 */
int mp_points_declare(struct mp_points *points, size_t index, const char *name,
		      enum mp_level level);

/*
 * Adds the points of a file: all of them, or none on failure. Duplicate names,
 * unknown keys (with the nearest known one), wrong types, values out of range,
 * empty patterns and more than MP_MAX_ARGS arguments are errors with
 * file:line:column and exit code 3.
 */
int mp_points_load(struct mp_points *points, const char *path, struct mp_error *err);
/* The same from memory; `name` stands for the file in messages. */
int mp_points_parse(struct mp_points *points, const char *name, const char *text, size_t len,
		    struct mp_error *err);
/*
 * NAME=LEVEL@[BINARY:]SYMBOL or NAME=LEVEL@usdt:[BINARY:]PROVIDER:NAME; errors
 * have exit code 2.
 */
int mp_points_add_option(struct mp_points *points, const char *spec, struct mp_error *err);
void mp_points_free(struct mp_points *points);
#define MP_POINTS MP_CLEANUP(mp_points_free)

#endif
