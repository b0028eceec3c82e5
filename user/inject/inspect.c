// SPDX-License-Identifier: GPL-2.0-only
/* Whether a process is a CPython, which one, and how a script would get into it. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "elf/elf_lookup.h"
#include "inject/memory.h"
#include "inject/private.h"
#include "target/target.h"

#define COOKIE "xdebugpy"
#define FINALIZING_AT (4 * sizeof(uint64_t)) /* in the table for debuggers */

enum symbol {
	SYM_RUNTIME = 0,
	SYM_VERSION,
	SYM_PENDING_CALL,
	SYM_RUN_STRING,
	SYM_SINCE_3_10,
	SYM_SINCE_3_9,
	SYM_SINCE_3_8,
	SYM_DEBUG,
	SYM_COUNT
};

/* Of what is asked for, by what the releases brought. */
static const char *const symbol_names[SYM_COUNT] = {
	[SYM_RUNTIME] = "_PyRuntime",
	[SYM_VERSION] = "Py_Version", /* data, 3.11 */
	[SYM_PENDING_CALL] = "Py_AddPendingCall",
	[SYM_RUN_STRING] = "PyRun_SimpleString",
	[SYM_SINCE_3_10] = "PyModule_AddObjectRef",
	[SYM_SINCE_3_9] = "PyModule_AddType",
	[SYM_SINCE_3_8] = "Py_BytesMain",
	[SYM_DEBUG] = "_Py_NegativeRefcount", /* with Py_REF_DEBUG alone */
};

/* An interpreter as its file has it. */
struct image {
	struct mp_elf_wanted symbols[SYM_COUNT];
	struct mp_elf_wanted section;
};

struct search {
	struct mp_python *python;
	struct image image;
};

bool mp_debug_head_valid(const struct mp_debug_head *head)
{
	return memcmp(head->cookie, COOKIE, sizeof(head->cookie)) == 0;
}

static bool is_interpreter(const struct image *image)
{
	return image->symbols[SYM_RUNTIME].addr || image->section.addr ||
	       (image->symbols[SYM_PENDING_CALL].addr && image->symbols[SYM_RUN_STRING].addr);
}

/* A program may have the interpreter in itself; as a library it is called by its name. */
static bool may_be_interpreter(const struct mp_binary *binary)
{
	const char *name = strrchr(binary->path, '/');

	return binary->is_exe || strstr(name ? name : binary->path, "python");
}

static int look_at(void *data, const struct mp_binary *binary)
{
	struct search *s = data;
	struct mp_python *python = s->python;
	struct image image = {.section = {.name = ".PyRuntime"}};

	if (!may_be_interpreter(binary))
		return 0;
	for (size_t i = 0; i < SYM_COUNT; i++)
		image.symbols[i].name = symbol_names[i];
	if (mp_elf_lookup(binary->open_path, image.symbols, SYM_COUNT, &image.section) ||
	    !is_interpreter(&image) || strlen(binary->open_path) >= sizeof(python->binary) ||
	    mp_elf_bias(binary->open_path, binary->start, binary->file_offset, &python->bias))
		return 0;
	strcpy(python->binary, binary->open_path);
	s->image = image;
	return 1;
}

static void set_version(struct mp_python *python, uint64_t hex)
{
	python->major = (unsigned int)(hex >> 24) & 0xff;
	python->minor = (unsigned int)(hex >> 16) & 0xff;
}

/* Before 3.11 nothing says the version that is safe to call: each release exports more. */
static void guess_version(struct mp_python *python, const struct image *image)
{
	python->major = 3;
	if (image->symbols[SYM_SINCE_3_10].addr)
		python->minor = 10;
	else if (image->symbols[SYM_SINCE_3_9].addr)
		python->minor = 9;
	else if (image->symbols[SYM_SINCE_3_8].addr)
		python->minor = 8;
}

static int read_version(struct mp_python *python, const struct image *image)
{
	const struct mp_elf_wanted *version = &image->symbols[SYM_VERSION];
	struct mp_debug_head head = {0};
	uint64_t hex;
	int err = 0;

	if (python->runtime)
		err = mp_memory_read(python->pid, python->runtime, &head, sizeof(head));
	if (err)
		return err;
	if (mp_debug_head_valid(&head)) {
		python->is_free_threaded = head.free_threaded != 0;
		set_version(python, head.version);
		return 0;
	}
	if (!version->addr) {
		guess_version(python, image);
		return 0;
	}
	err = mp_memory_read(python->pid, python->bias + version->addr, &hex, sizeof(hex));
	if (!err)
		set_version(python, hex);
	return err;
}

static void MP_PRINTF(2, 3) no_way(struct mp_python *python, const char *fmt, ...)
{
	va_list ap;

	python->way = MP_PYTHON_NO_WAY;
	va_start(ap, fmt);
	vsnprintf(python->why, sizeof(python->why), fmt, ap);
	va_end(ap);
}

static void choose_remote_debug(struct mp_python *python)
{
	struct mp_error err = {0};
	int error = mp_debug_support(python, &err);

	/* One that is just starting will take scripts, or say then why not. */
	if (error && error != -EAGAIN)
		no_way(python, "%.*s", (int)sizeof(python->why) - 1, err.text);
	else
		python->way = MP_PYTHON_REMOTE_DEBUG;
}

static void choose_way(struct mp_python *python, const struct image *image)
{
	bool has_calls =
		image->symbols[SYM_PENDING_CALL].addr && image->symbols[SYM_RUN_STRING].addr;

	if (!python->minor && !has_calls)
		no_way(python, "the interpreter is linked statically and stripped: its functions "
			       "cannot be found; start the program by `memprobe-bpf run`");
	else if (python->minor < MP_PYTHON_MIN_MINOR)
		no_way(python, "a Python older than 3.%u, which is the oldest supported",
		       MP_PYTHON_MIN_MINOR);
	else if (python->major != 3 || python->minor > MP_PYTHON_MAX_MINOR)
		no_way(python, "Python %u.%u is not known yet: 3.%u to 3.%u are supported",
		       python->major, python->minor, MP_PYTHON_MIN_MINOR, MP_PYTHON_MAX_MINOR);
	else if (python->is_free_threaded)
		no_way(python,
		       "a free-threaded build of Python %u.%u: functions cannot be exchanged "
		       "while other threads run them",
		       python->major, python->minor);
	else if (python->minor >= 14)
		choose_remote_debug(python);
	else if (!has_calls)
		no_way(python,
		       "the interpreter is stripped of Py_AddPendingCall: start the program "
		       "by `memprobe-bpf run`");
	else
		python->way = MP_PYTHON_PENDING_CALL;
}

/*
 * Where _PyRuntime has "int preinitializing, preinitialized, core_initialized, initialized": at its
 * beginning, behind one more from 3.11 on; from 3.13 on just before what its table calls
 * `finalizing`.
 */
static int find_flags(const struct mp_python *python, uint64_t *ret)
{
	uint64_t finalizing;
	int err = 0;

	if (python->minor < 11) {
		*ret = 0;
	} else if (python->minor < 13) {
		*ret = sizeof(int32_t);
	} else {
		err = mp_memory_read(python->pid, python->runtime + FINALIZING_AT, &finalizing,
				     sizeof(finalizing));
		*ret = finalizing - sizeof(uint64_t) - 3 * sizeof(int32_t);
	}
	return err;
}

int mp_python_is_up(const struct mp_python *python)
{
	static const int32_t up[] = {0, 1, 1, 1};
	int32_t flags[MP_ARRAY_SIZE(up)];
	uint64_t at = 0;
	int err = find_flags(python, &at);

	err = err ?: mp_memory_read(python->pid, python->runtime + at, flags, sizeof(flags));
	return err ? err : memcmp(flags, up, sizeof(up)) == 0 ? 0 : -EAGAIN;
}

static int find_interpreter(const struct mp_fsroot *fs, struct search *s)
{
	int r = mp_process_binaries(fs, s->python->pid, look_at, s);

	return r > 0 ? 0 : r ? r : -ENOENT;
}

static int describe(struct mp_python *python, const struct image *image)
{
	uint64_t runtime = image->symbols[SYM_RUNTIME].addr;
	int err;

	if (!runtime)
		runtime = image->section.addr;
	python->runtime = runtime ? python->bias + runtime : 0;
	python->is_debug = image->symbols[SYM_DEBUG].addr;
	err = read_version(python, image);
	if (!err)
		choose_way(python, image);
	return err;
}

int mp_python_inspect(const struct mp_fsroot *fs, pid_t pid, struct mp_python *ret,
		      struct mp_error *err)
{
	struct mp_python python = {.pid = pid};
	struct search s = {.python = &python};
	struct mp_process process = {0};
	int error = mp_process_read(fs, pid, &process);

	python.start_time = process.start_time;
	error = error ?: find_interpreter(fs, &s);
	error = error ?: describe(&python, &s.image);
	/* What was read is of that process only if it is still there. */
	error = error ?: mp_python_still_there(fs, &python);
	if (error == -EACCES || error == -EPERM)
		return mp_fail(
			err, MP_EXIT_PRIVILEGE, -error,
			"its memory cannot be read: CAP_SYS_PTRACE is needed, run with sudo");
	if (error)
		return mp_fail(err, MP_EXIT_TARGET, -error, "%s",
			       error == -ENOENT ? "it is no CPython" : strerror(-error));
	*ret = python;
	return 0;
}

int mp_python_still_there(const struct mp_fsroot *fs, const struct mp_python *python)
{
	struct mp_process process;
	int err = mp_process_read(fs, python->pid, &process);

	if (err)
		return err;
	return process.start_time == python->start_time ? 0 : -ESRCH;
}
