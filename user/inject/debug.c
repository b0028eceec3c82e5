// SPDX-License-Identifier: GPL-2.0-only
/*
 * PEP 768, from Python 3.14 on: a thread's state has room for the path of a script, which the
 * interpreter runs at its next safe point. A table at the start of _PyRuntime tells where.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "inject/memory.h"
#include "inject/private.h"

#define WORDS 95
#define MAX_STATE_BYTES (16U << 20) /* an interpreter's state has some 300 KB */
#define MAX_INTERPRETERS 4096

/* Words of the table that matter, as struct _Py_DebugOffsets of 3.14 has them. */
enum word {
	INTERPRETERS_HEAD = 5, /* in _PyRuntime */
	INTERPRETER_ID = 7,    /* in an interpreter's state */
	INTERPRETER_NEXT = 8,
	THREADS_MAIN = 10,
	EVAL_BREAKER = 89, /* in a thread's state */
	SUPPORT = 90,	   /* the same: what the last three are counted from */
	ENABLED = 91,	   /* in an interpreter's state */
	PENDING = 92,
	SCRIPT_PATH = 93,
	SCRIPT_PATH_SIZE = 94,
};

/* Where things are in the process. */
struct places {
	uint64_t interpreter; /* the main one */
	uint64_t thread;      /* its main thread's state */
	uint64_t table[WORDS];
};

static int read_word(const struct mp_python *python, uint64_t addr, uint64_t *ret)
{
	return mp_memory_read(python->pid, addr, ret, sizeof(*ret));
}

/* A table that was misread must not become an address to write to. */
static bool is_sane(const uint64_t table[WORDS])
{
	static const enum word offsets[] = {
		INTERPRETERS_HEAD, INTERPRETER_ID, INTERPRETER_NEXT, THREADS_MAIN,
		EVAL_BREAKER,	   SUPPORT,	   ENABLED};

	for (size_t i = 0; i < MP_ARRAY_SIZE(offsets); i++) {
		if (table[offsets[i]] > MAX_STATE_BYTES)
			return false;
	}
	return table[SCRIPT_PATH_SIZE] >= 64 && table[SCRIPT_PATH_SIZE] <= PATH_MAX &&
	       table[PENDING] == 0 && table[SCRIPT_PATH] == sizeof(int32_t);
}

/* The newest interpreter is the first of the list; the main one has the number 0. */
static int find_main_interpreter(const struct mp_python *python, struct places *places)
{
	uint64_t at;
	uint64_t id;
	int err = read_word(python, python->runtime + places->table[INTERPRETERS_HEAD], &at);

	for (int i = 0; i < MAX_INTERPRETERS && !err && at; i++) {
		err = read_word(python, at + places->table[INTERPRETER_ID], &id);
		if (!err && id == 0) {
			places->interpreter = at;
			return 0;
		}
		err = err ?: read_word(python, at + places->table[INTERPRETER_NEXT], &at);
	}
	return err ? err : -EAGAIN; /* it has not got that far yet, or ends */
}

static int find_places(const struct mp_python *python, struct places *places)
{
	struct mp_debug_head head;
	int err =
		mp_memory_read(python->pid, python->runtime, places->table, sizeof(places->table));

	if (err)
		return err;
	memcpy(&head, places->table, sizeof(head));
	if (!mp_debug_head_valid(&head) || !is_sane(places->table))
		return -ENOTSUP;
	err = find_main_interpreter(python, places);
	err = err
		      ?: read_word(python, places->interpreter + places->table[THREADS_MAIN],
				   &places->thread);
	return err ? err : places->thread ? 0 : -EAGAIN;
}

static int check_enabled(const struct mp_python *python, const struct places *places)
{
	int32_t enabled;
	int err = mp_memory_read(python->pid, places->interpreter + places->table[ENABLED],
				 &enabled, sizeof(enabled));

	return err ? err : enabled == 1 ? 0 : -EACCES;
}

static int fail_to_find(int error, struct mp_error *err)
{
	switch (error) {
	case -EACCES:
		return mp_fail(err, MP_EXIT_TARGET, EACCES,
			       "remote debugging is switched off there: start the program without "
			       "PYTHON_DISABLE_REMOTE_DEBUG and -X disable-remote-debug");
	case -ENOTSUP:
		return mp_fail(
			err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			"the interpreter's table for debuggers is not the one of Python 3.14");
	case -EAGAIN:
		return mp_fail(err, MP_EXIT_TARGET, EAGAIN,
			       "the interpreter is just starting or ending");
	default:
		return mp_fail(err, MP_EXIT_TARGET, -error, "the interpreter's memory: %s",
			       strerror(-error));
	}
}

int mp_debug_support(const struct mp_python *python, struct mp_error *err)
{
	struct places places = {0};
	int error = find_places(python, &places);

	error = error ?: check_enabled(python, &places);
	return error ? fail_to_find(error, err) : 0;
}
