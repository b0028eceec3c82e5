/* SPDX-License-Identifier: GPL-2.0-only */
/* Going through the memory of a CPython for the functions that points name. */
#ifndef MP_INJECT_PYCODE_SEARCH_H
#define MP_INJECT_PYCODE_SEARCH_H

#include "base/fsroot.h"
#include "inject/pycode.h"

struct mp_pycode_search;

/*
 * Gets ready to search the process for functions of `paths`, which stay the caller's. -ENOTSUP:
 * see mp_pycode_layout(), or the interpreter does not show where its types are; -ESRCH, -EACCES,
 * -EPERM.
 */
int mp_pycode_search_new(const struct mp_fsroot *fs, const struct mp_python *python,
			 const char *const *paths, size_t n_paths, struct mp_pycode_search **ret,
			 struct mp_error *err);
void mp_pycode_search_free(struct mp_pycode_search *search);

/* Begins (again) at the first page, with the memory as it is mapped now. -ESRCH and the like. */
int mp_pycode_search_begin(struct mp_pycode_search *search);

/* One live function of a path, with texts that end with the call. */
typedef void (*mp_pycode_fn)(void *data, size_t path, const struct mp_pycode *code,
			     const char *qualname, const char *filename);

/*
 * Looks at up to about `bytes` more. Only pages that are in memory are read: nothing is swapped in
 * or allocated for it. Returns 1 when all was seen, 0 when there is more, or a negative errno.
 */
int mp_pycode_search_step(struct mp_pycode_search *search, uint64_t bytes, mp_pycode_fn found,
			  void *data);

/* Whether a function that was found is still there: 0; -ENOENT: it is not; -ESRCH and the like. */
int mp_pycode_search_check(const struct mp_pycode_search *search, const struct mp_pycode *code);

/* Address of the type of all code objects. */
uint64_t mp_pycode_search_type(const struct mp_pycode_search *search);
/* Address of a function's first instruction. */
uint64_t mp_pycode_search_bytecode(const struct mp_pycode_search *search,
				   const struct mp_pycode *code);

#endif
