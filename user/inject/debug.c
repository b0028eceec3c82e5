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
#include "inject/threads.h"
#include "inject/trace.h"

#define WORDS 95
#define MAX_STATE_BYTES (16U << 20) /* an interpreter's state has some 300 KB */
#define MAX_INTERPRETERS 4096
#define MAX_STOPPED 64
#define PLEASE_STOP (1ULL << 5) /* _PY_EVAL_PLEASE_STOP_BIT */

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
	err = mp_python_is_up(python);
	err = err ?: find_main_interpreter(python, places);
	err = err
		      ?: read_word(python, places->interpreter + places->table[THREADS_MAIN],
				   &places->thread);
	return err ? err : places->thread ? 0 : -EAGAIN;
}

static int check_enabled(const struct mp_python *python, const struct places *places)
{
	int32_t enabled = 0;
	int err = mp_memory_read(python->pid, places->interpreter + places->table[ENABLED],
				 &enabled, sizeof(enabled));

	return err ? err : enabled == 1 ? 0 : -EACCES;
}

static int fail_to_request(int error, struct mp_error *err)
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
	case -EBUSY:
		return mp_fail(err, MP_EXIT_TARGET, EBUSY,
			       "an earlier script still waits to be run there");
	case -ENAMETOOLONG:
		return mp_fail(err, MP_EXIT_TARGET, ENAMETOOLONG,
			       "the path of the script is too long");
	case -EPERM:
		return mp_fail(
			err, MP_EXIT_PRIVILEGE, EPERM,
			"its memory cannot be written: CAP_SYS_PTRACE is needed, run with sudo");
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
	return error ? fail_to_request(error, err) : 0;
}

/* --- asking for a script to be run ------------------------------------------------------ */

struct stopped {
	struct mp_tracee threads[MAX_STOPPED];
	size_t n;
};

/*
 * The flag is one of a word of flags, which other threads set bits of. Those that sleep are left
 * alone: being stopped would end some of their system calls early.
 */
static int stop_running(const struct mp_fsroot *fs, const struct mp_python *python,
			struct stopped *stopped, struct mp_error *err)
{
	pid_t tids[MAX_STOPPED];
	int n = mp_threads_running(fs, python->pid, tids, MAX_STOPPED);
	int error = n < 0 ? n : 0;

	for (int i = 0; i < n && !error; i++) {
		error = mp_tracee_stop(python->pid, tids[i], &stopped->threads[stopped->n], err);
		if (!error)
			stopped->n++;
		if (error == -ESRCH)
			error = 0; /* that thread has ended */
	}
	return error;
}

static uint64_t release_all(struct stopped *stopped)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < stopped->n; i++) {
		uint64_t ns = mp_tracee_release(&stopped->threads[i]);

		longest = ns > longest ? ns : longest;
	}
	return longest;
}

/* The flag last: up to then nothing has changed for the interpreter. */
static int write_request(const struct mp_python *python, const struct places *places,
			 const char *script)
{
	const uint64_t support = places->thread + places->table[SUPPORT];
	const uint64_t breaker_at = places->thread + places->table[EVAL_BREAKER];
	int32_t pending = 0;
	uint64_t breaker = 0;
	int err = mp_memory_read(python->pid, support + places->table[PENDING], &pending,
				 sizeof(pending));

	if (err || pending)
		return err ? err : -EBUSY;
	pending = 1;
	err = mp_memory_write(python->pid, support + places->table[SCRIPT_PATH], script,
			      strlen(script) + 1);
	err = err
		      ?: mp_memory_write(python->pid, support + places->table[PENDING], &pending,
					 sizeof(pending));
	err = err ?: read_word(python, breaker_at, &breaker);
	breaker |= PLEASE_STOP;
	return err ?: mp_memory_write(python->pid, breaker_at, &breaker, sizeof(breaker));
}

static int request(const struct mp_fsroot *fs, const struct mp_python *python, const char *script)
{
	struct places places = {0};
	int err = mp_python_still_there(fs, python);

	err = err ?: find_places(python, &places);
	err = err ?: check_enabled(python, &places);
	if (!err && strlen(script) >= places.table[SCRIPT_PATH_SIZE])
		return -ENAMETOOLONG;
	return err ?: write_request(python, &places, script);
}

int mp_debug_run(const struct mp_fsroot *fs, const struct mp_python *python, const char *script,
		 uint64_t *ret_stopped_ns, struct mp_error *err)
{
	struct stopped stopped = {.n = 0};
	uint64_t stopped_ns;
	int error = stop_running(fs, python, &stopped, err);

	if (!error) {
		error = request(fs, python, script);
		error = error ? fail_to_request(error, err) : 0;
	}
	stopped_ns = release_all(&stopped);
	if (!error)
		*ret_stopped_ns = stopped_ns;
	return error;
}
