// SPDX-License-Identifier: GPL-2.0-only
#include "inject/pycode.h"

#include <errno.h>
#include <string.h>

#define COOKIE "xdebugpy"
#define CODE_FLAGS 48 /* the same in all versions, and ob_size as in every object */
#define OBJECT_SIZE 16
#define FUNCTION_FLAGS 0x3 /* CO_OPTIMIZED | CO_NEWLOCALS: no module, no class body */
#define HEADER_BYTES 256   /* a code object in front of its bytecode */
#define MAX_UNITS (1U << 24)
#define MAX_STR_UNICODE 128

/* state of a string: interned 2 bits, kind 3, compact 1, ascii 1. */
#define STR_KIND(state) ((state) >> 2 & 7)
#define STR_COMPACT 0x20
#define STR_ASCII 0x40

/* Offsets of what a version tells of itself in _Py_DebugOffsets; all 0: nothing. */
struct told {
	uint16_t filename;
	uint16_t name;
	uint16_t qualname;
	uint16_t firstlineno;
	uint16_t bytecode;
	uint16_t type;
	uint16_t str_state;
	uint16_t str_length;
	uint16_t str_ascii;
};

struct version {
	struct mp_pycode_layout layout;
	struct told told;
};

/* From Include/cpython/{code,unicodeobject}.h and Include/internal/pycore_{runtime,debug_offsets}.h
 * of the releases. */
static const struct version versions[] = {
	{.layout = {11, 8, 72, 112, 120, 128, 184, 16, 32, 48, 72}},
	{.layout = {12, 8, 68, 112, 120, 128, 192, 16, 32, 40, 56}},
	{.layout = {13, 8, 68, 112, 120, 128, 200, 16, 32, 40, 56},
	 .told = {280, 288, 296, 312, 344, 360, 544, 552, 560}},
	{.layout = {14, 8, 68, 112, 120, 128, 208, 16, 32, 40, 56},
	 .told = {320, 328, 336, 352, 384, 408, 624, 632, 640}},
};
#define SUPPORTED "CPython 3.11 to 3.14"

static int read_memory(const struct mp_pycode_memory *memory, uint64_t addr, void *out, size_t len)
{
	return memory->read(memory->data, addr, out, len);
}

/* --- layouts ---------------------------------------------------------------------- */

static const struct version *find_version(const struct mp_python *python)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(versions); i++) {
		if (python->major == 3 && python->minor == versions[i].layout.minor)
			return &versions[i];
	}
	return NULL;
}

/* Whether the field that the interpreter tells of at `told` lies where it is known to. */
static bool agrees(const struct mp_pycode_memory *memory, uint64_t runtime, uint16_t told,
		   uint16_t known)
{
	uint64_t value;

	return read_memory(memory, runtime + told, &value, sizeof(value)) == 0 && value == known;
}

static bool agrees_with_itself(const struct mp_pycode_memory *memory, uint64_t runtime,
			       const struct version *version)
{
	const struct mp_pycode_layout *l = &version->layout;
	const struct told *t = &version->told;
	const uint16_t pairs[][2] = {
		{t->filename, l->filename},   {t->name, l->name},
		{t->qualname, l->qualname},   {t->firstlineno, l->firstlineno},
		{t->bytecode, l->bytecode},   {t->type, l->type},
		{t->str_state, l->str_state}, {t->str_length, l->str_length},
		{t->str_ascii, l->str_ascii},
	};
	char cookie[sizeof(COOKIE) - 1];

	if (read_memory(memory, runtime, cookie, sizeof(cookie)) ||
	    memcmp(cookie, COOKIE, sizeof(cookie)) != 0)
		return false;
	for (size_t i = 0; i < MP_ARRAY_SIZE(pairs); i++) {
		if (!agrees(memory, runtime, pairs[i][0], pairs[i][1]))
			return false;
	}
	return true;
}

int mp_pycode_layout(const struct mp_python *python, const struct mp_pycode_memory *memory,
		     struct mp_pycode_layout *ret, struct mp_error *err)
{
	const struct version *version = find_version(python);
	const char *why = NULL;

	if (!version)
		why = "a version whose bytecode cannot be found";
	else if (python->is_free_threaded)
		why = "free-threaded: each thread has bytecode of its own";
	else if (python->is_debug)
		why = "a debug build, with objects of another form";
	else if (version->told.type && !agrees_with_itself(memory, python->runtime, version))
		why = "its objects are of another form than those of the release";
	if (why)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "process %d is Python %u.%u, %s: watchpoints are for " SUPPORTED
			       "; use --python-mode inject",
			       (int)python->pid, python->major, python->minor, why);
	*ret = version->layout;
	return 0;
}

/* --- objects ---------------------------------------------------------------------- */

static uint64_t word_at(const uint8_t *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, object + offset, sizeof(value));
	return value;
}

static uint32_t half_at(const uint8_t *object, size_t offset)
{
	uint32_t value;

	memcpy(&value, object + offset, sizeof(value));
	return value;
}

/*
 * Whether the first word of an object is a count of references. In freed memory it is 0, or an
 * allocator's link to the next free block. The count has 32 bits, with flags in the upper quarter
 * of the word from 3.14 on. mp_watch_is_alive() in bpf/watchpoint.bpf.h asks the same.
 */
static bool is_alive(uint64_t word)
{
	return (uint32_t)word != 0 && (word >> 32 & 0xffff) == 0;
}

/* Objects are at least aligned to words, and never in the first page. */
static bool is_object(uint64_t addr)
{
	return addr >= 4096 && addr % 8 == 0 && addr < 1ULL << 63;
}

static int parse_code(const struct mp_pycode_target *target, uint64_t addr,
		      const uint8_t object[HEADER_BYTES], struct mp_pycode *ret)
{
	const struct mp_pycode_layout *l = &target->layout;
	struct mp_pycode code = {
		.addr = addr,
		.n_units = word_at(object, OBJECT_SIZE),
		.filename = word_at(object, l->filename),
		.name = word_at(object, l->name),
		.qualname = word_at(object, l->qualname),
		.firstlineno = half_at(object, l->firstlineno),
	};

	if (!is_alive(word_at(object, 0)) || word_at(object, l->type) != target->code_type ||
	    (half_at(object, CODE_FLAGS) & FUNCTION_FLAGS) != FUNCTION_FLAGS || code.n_units == 0 ||
	    code.n_units > MAX_UNITS || !is_object(code.filename) || !is_object(code.name) ||
	    !is_object(code.qualname))
		return -ENOENT;
	*ret = code;
	return 0;
}

int mp_pycode_read(const struct mp_pycode_target *target, uint64_t addr, struct mp_pycode *ret)
{
	uint8_t object[HEADER_BYTES];
	int err;

	if (!is_object(addr))
		return -ENOENT;
	err = read_memory(&target->memory, addr, object, target->layout.bytecode);
	return err ? err : parse_code(target, addr, object, ret);
}

int mp_pycode_check(const struct mp_pycode_target *target, const struct mp_pycode *code)
{
	struct mp_pycode now;
	int err = mp_pycode_read(target, code->addr, &now);

	if (err)
		return err;
	return now.n_units == code->n_units && now.filename == code->filename &&
			       now.name == code->name && now.qualname == code->qualname &&
			       now.firstlineno == code->firstlineno
		       ? 0
		       : -ENOENT;
}

/* Appends a code point. Returns the bytes used, 0 when it does not fit or is no text. */
static size_t put_utf8(uint32_t c, char *out, size_t room)
{
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || n > room)
		return 0;
	for (size_t i = n; i > 1; i--) {
		out[i - 1] = (char)(0x80 | (c & 0x3f));
		c >>= 6;
	}
	out[0] = (char)(lead[n] | c);
	return n;
}

static uint32_t char_at(const uint8_t *data, size_t i, unsigned int kind)
{
	uint16_t two;
	uint32_t four;

	if (kind == 1)
		return data[i];
	if (kind == 2) {
		memcpy(&two, data + 2 * i, sizeof(two));
		return two;
	}
	memcpy(&four, data + 4 * i, sizeof(four));
	return four;
}

static int put_characters(const uint8_t *data, size_t n, unsigned int kind, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t bytes = put_utf8(char_at(data, i, kind), out + used, size - used - 1);

		if (!bytes)
			return -EINVAL;
		used += bytes;
	}
	out[used] = '\0';
	return 0;
}

int mp_pycode_string(const struct mp_pycode_target *target, uint64_t addr, char *out, size_t size)
{
	const struct mp_pycode_layout *l = &target->layout;
	uint8_t header[MAX_STR_UNICODE];
	uint8_t data[4 * MP_PYCODE_FILE];
	uint64_t length;
	uint32_t state;
	unsigned int kind;
	int err;

	if (!is_object(addr) || size == 0)
		return -EINVAL;
	err = read_memory(&target->memory, addr, header, l->str_ascii);
	if (err)
		return err;
	length = word_at(header, l->str_length);
	state = half_at(header, l->str_state);
	kind = STR_KIND(state);
	if (!is_alive(word_at(header, 0)) || !(state & STR_COMPACT) ||
	    (kind != 1 && kind != 2 && kind != 4) || (state & STR_ASCII && kind != 1) ||
	    length >= size || length >= MP_PYCODE_FILE)
		return -EINVAL;
	err = read_memory(&target->memory,
			  addr + (state & STR_ASCII ? l->str_ascii : l->str_unicode), data,
			  length * kind);
	return err ? err : put_characters(data, length, kind, out, size);
}

/* --- which function ---------------------------------------------------------------- */

/* Whether `path`, dots for slashes, is what the file's path ends with, in whole parts. */
static bool ends_with_module(const char *file, size_t file_len, const char *module, size_t len)
{
	const char *tail = file + file_len - len;

	if (file_len < len || (file_len > len && tail[-1] != '/'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (tail[i] != (module[i] == '.' ? '/' : module[i]))
			return false;
	}
	return true;
}

static bool cut_suffix(const char *text, size_t *len, const char *suffix)
{
	size_t n = strlen(suffix);

	if (*len < n || memcmp(text + *len - n, suffix, n) != 0)
		return false;
	*len -= n;
	return true;
}

/* <frozen os>: a module of the library that is part of the interpreter. */
static bool is_frozen_module(const char *file, const char *module, size_t len)
{
	static const char frozen[] = "<frozen ";
	size_t n = sizeof(frozen) - 1;

	return strncmp(file, frozen, n) == 0 && strncmp(file + n, module, len) == 0 &&
	       strcmp(file + n + len, ">") == 0;
}

static bool is_main_module(const char *module, size_t len)
{
	static const char name[] = "__main__";

	return len == sizeof(name) - 1 && memcmp(module, name, len) == 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_module_file(const char *module, size_t len, const char *file, const char *main_file)
{
	size_t stem = strlen(file);

	if (is_main_module(module, len) && main_file[0] && strcmp(last_part(file), main_file) == 0)
		return true;
	if (!cut_suffix(file, &stem, ".py"))
		return is_frozen_module(file, module, len);
	if (ends_with_module(file, stem, module, len))
		return true;
	return cut_suffix(file, &stem, "/__init__") && ends_with_module(file, stem, module, len);
}

/* A method of that name, of whatever class. */
static bool is_in_any_class(const char *qualname, const char *function)
{
	const char *dot = strrchr(qualname, '.');

	return dot && strcmp(dot + 1, function) == 0;
}

bool mp_pycode_matches(const char *path, const char *qualname, const char *filename,
		       const char *main_file)
{
	if (strchr(qualname, '<'))
		return false;
	for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
		const char *rest = dot + 1;
		bool is_function = !strchr(rest, '.');

		if (strcmp(qualname, rest) != 0 &&
		    !(is_function && is_in_any_class(qualname, rest)))
			continue;
		if (is_module_file(path, (size_t)(dot - path), filename, main_file))
			return true;
	}
	return false;
}

/* --- what runs as __main__ ---------------------------------------------------------- */

/* The argument behind `arg`, or NULL at the end of the command line. */
static const char *next_arg(const char *arg, const char *end)
{
	arg += strlen(arg) + 1;
	return arg < end ? arg : NULL;
}

/* Among the short options of one argument, the one that says what to run or takes a value. */
static const char *deciding_option(const char *arg)
{
	return arg[1] == '-' ? NULL : strpbrk(arg + 1, "cmWX");
}

static void put_module_file(const char *module, char *out, size_t size)
{
	const char *dot = strrchr(module, '.');

	snprintf(out, size, "%s.py", dot ? dot + 1 : module);
}

static void put_script(const char *arg, char *out, size_t size)
{
	size_t len = strlen(arg);

	if (strcmp(arg, "-") == 0)
		snprintf(out, size, "<stdin>");
	else if (len && arg[len - 1] == '/')
		snprintf(out, size, "__main__.py");
	else
		snprintf(out, size, "%s", last_part(arg));
}

void mp_pycode_main_file(const char *cmdline, size_t len, char *out, size_t size)
{
	const char *end = cmdline + len;
	const char *arg = len && end[-1] == '\0' ? next_arg(cmdline, end) : NULL;

	out[0] = '\0';
	for (; arg && arg[0] == '-' && arg[1]; arg = next_arg(arg, end)) {
		const char *option = deciding_option(arg);
		const char *value = option && option[1] ? option + 1 : NULL;

		if (option && *option == 'c') {
			snprintf(out, size, "<string>");
			return;
		}
		if (!value && (option || strcmp(arg, "--check-hash-based-pycs") == 0))
			value = arg = next_arg(arg, end);
		if (option && *option == 'm') {
			put_module_file(value ? value : "", out, size);
			return;
		}
		if (!arg)
			return;
	}
	if (arg)
		put_script(arg, out, size);
}
