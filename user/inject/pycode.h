/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bytecode of a Python function in the memory of the interpreter that runs it, as seen from
 * outside. That memory is a stranger's and changes while it is read: nothing in it is trusted.
 */
#ifndef MP_INJECT_PYCODE_H
#define MP_INJECT_PYCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inject/python.h"

#define MP_PYCODE_NAME                                                                             \
	256		    /* bytes of a qualified name, with its NUL; longer ones match nothing  \
			     */
#define MP_PYCODE_FILE 4096 /* bytes of a source file's path, with its NUL */

/* Where the memory comes from. `read` gives all of it and returns 0, or a negative errno. */
struct mp_pycode_memory {
	int (*read)(void *data, uint64_t addr, void *out, size_t len);
	void *data;
};

/* Where things lie in the objects of one version, in bytes. */
struct mp_pycode_layout {
	unsigned int minor;
	uint16_t type; /* of any object */
	uint16_t firstlineno;
	uint16_t filename;
	uint16_t name;
	uint16_t qualname;
	uint16_t bytecode; /* co_code_adaptive: its first instruction */
	uint16_t str_length;
	uint16_t str_state;
	uint16_t str_ascii;   /* the characters of an ASCII string */
	uint16_t str_unicode; /* … and of any other */
};

/* What the pure functions below work on. */
struct mp_pycode_target {
	struct mp_pycode_layout layout;
	struct mp_pycode_memory memory;
	uint64_t code_type;  /* address of PyCode_Type */
	char main_file[256]; /* last part of the path of what runs as __main__; "": not known */
};

/*
 * The layout of an interpreter. From 3.13 on it says itself where the fields lie, and has to agree
 * with what is known of its version. -ENOTSUP: with the versions that are supported.
 */
int mp_pycode_layout(const struct mp_python *python, const struct mp_pycode_memory *memory,
		     struct mp_pycode_layout *ret, struct mp_error *err);

/* A code object; as long as it is that same one, none of these changes. */
struct mp_pycode {
	uint64_t addr;
	uint64_t n_units;  /* instructions and their caches, 2 bytes each */
	uint64_t filename; /* addresses of strings */
	uint64_t name;
	uint64_t qualname;
	uint32_t firstlineno;
};

/*
 * The code object of a function at `addr`. -ENOENT: there is none, or one that is dead; or what
 * the memory says.
 */
int mp_pycode_read(const struct mp_pycode_target *target, uint64_t addr, struct mp_pycode *ret);
/* Whether it is still there and alive: 0, -ENOENT, or what the memory says. */
int mp_pycode_check(const struct mp_pycode_target *target, const struct mp_pycode *code);

/*
 * A string object as UTF-8. -EINVAL: it is none, or longer than `size` allows, or holds what is no
 * text; or what the memory says.
 */
int mp_pycode_string(const struct mp_pycode_target *target, uint64_t addr, char *out, size_t size);

/*
 * Whether a function belongs to a point's path, module[.Class].function: which parts are the
 * module is told by the file. Without a class, any class of the module does. Functions inside of
 * functions never match.
 */
bool mp_pycode_matches(const char *path, const char *qualname, const char *filename,
		       const char *main_file);

/*
 * The last part of the path of what an interpreter's command line (/proc/PID/cmdline, `len` bytes)
 * runs as __main__: "app.py", "__main__.py", "<string>" of -c. "" when it cannot be told.
 */
void mp_pycode_main_file(const char *cmdline, size_t len, char *out, size_t size);

#endif
