// SPDX-License-Identifier: GPL-2.0-only
/* Functions in the memory of interpreters: recorded ones, hostile ones, and this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/array.h"
#include "elf/elf_lookup.h"
#include "inject/pycode_search.h"
#include "target/target.h"

#define IMAGES "tests/fixtures/pycode/"
static const unsigned int minors[] = {11, 12, 13, 14};

/* --- memory images ------------------------------------------------------------------- */

struct piece {
	uint64_t addr;
	uint8_t *data;
	size_t len;
};

struct expected {
	uint64_t addr;
	uint64_t bytecode;
	uint32_t line;
	char qualname[64];
	char filename[64];
};

struct image {
	struct mp_python python;
	struct mp_pycode_target target;
	struct piece *pieces;
	size_t n_pieces;
	size_t cap_pieces;
	struct expected functions[16];
	size_t n_functions;
	uint64_t nothing[8];
	size_t n_nothing;
};

static struct piece *piece_at(const struct image *image, uint64_t addr)
{
	for (size_t i = 0; i < image->n_pieces; i++) {
		if (addr >= image->pieces[i].addr &&
		    addr - image->pieces[i].addr < image->pieces[i].len)
			return &image->pieces[i];
	}
	return NULL;
}

static int read_image(void *data, uint64_t addr, void *out, size_t len)
{
	const struct piece *piece = piece_at(data, addr);

	if (!piece || len > piece->len - (addr - piece->addr))
		return -EFAULT;
	memcpy(out, piece->data + (addr - piece->addr), len);
	return 0;
}

static void add_piece(struct image *image, uint64_t addr, const char *hex)
{
	size_t len = strlen(hex) / 2;
	struct piece piece = {addr, malloc(len), len};

	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		piece.data[i] = (uint8_t)byte;
	}
	assert_int_equal(MP_RESERVE_ONE(image->pieces, image->n_pieces, image->cap_pieces), 0);
	image->pieces[image->n_pieces++] = piece;
}

static void parse_line(struct image *image, char *line)
{
	struct expected *f = &image->functions[image->n_functions];
	uint64_t addr;
	int at = 0;

	sscanf(line, "version %u.%u", &image->python.major, &image->python.minor);
	sscanf(line, "code_type %" SCNx64, &image->target.code_type);
	sscanf(line, "runtime %" SCNx64, &image->python.runtime);
	if (sscanf(line, "memory %" SCNx64 " %n", &addr, &at) == 1 && at)
		add_piece(image, addr, line + at);
	if (sscanf(line, "nothing %" SCNx64, &addr) == 1)
		image->nothing[image->n_nothing++] = addr;
	if (sscanf(line, "function %" SCNx64 " %" SCNx64 " %u %63s %63s", &f->addr, &f->bytecode,
		   &f->line, f->qualname, f->filename) == 5)
		image->n_functions++;
}

static void load_image(struct image *image, unsigned int minor)
{
	MP_FREE char *text = NULL;
	char path[64];
	char *rest;
	char *line;

	*image = (struct image){0};
	snprintf(path, sizeof(path), IMAGES "3.%u.image", minor);
	assert_int_equal(mp_read_file(path, 1 << 20, &text, NULL), 0);
	rest = text;
	while ((line = strsep(&rest, "\n")))
		parse_line(image, line);
	assert_int_equal(image->python.minor, minor);
	image->target.memory = (struct mp_pycode_memory){read_image, image};
	assert_int_equal(mp_pycode_layout(&image->python, &image->target.memory,
					  &image->target.layout, NULL),
			 0);
}

static void free_image(struct image *image)
{
	for (size_t i = 0; i < image->n_pieces; i++)
		free(image->pieces[i].data);
	free(image->pieces);
}
#define IMAGE MP_CLEANUP(free_image) struct image

static uint8_t *byte_at(const struct image *image, uint64_t addr)
{
	const struct piece *piece = piece_at(image, addr);

	assert_non_null(piece);
	return piece->data + (addr - piece->addr);
}

static void put_word(const struct image *image, uint64_t addr, uint64_t value)
{
	memcpy(byte_at(image, addr), &value, sizeof(value));
}

static const struct expected *function_named(const struct image *image, const char *qualname)
{
	for (size_t i = 0; i < image->n_functions; i++) {
		if (strcmp(image->functions[i].qualname, qualname) == 0)
			return &image->functions[i];
	}
	fail_msg("no %s in the image", qualname);
	return NULL;
}

/* --- recorded interpreters ------------------------------------------------------------- */

static void test_recorded_functions(void **state)
{
	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		IMAGE image;

		load_image(&image, minors[v]);
		assert_int_equal(image.n_functions, 9);
		for (size_t i = 0; i < image.n_functions; i++) {
			const struct expected *f = &image.functions[i];
			char text[MP_PYCODE_NAME];
			struct mp_pycode code;

			assert_int_equal(mp_pycode_read(&image.target, f->addr, &code), 0);
			assert_int_equal(code.addr + image.target.layout.bytecode, f->bytecode);
			assert_int_equal(code.firstlineno, f->line);
			assert_int_equal(
				mp_pycode_string(&image.target, code.qualname, text, sizeof(text)),
				0);
			assert_string_equal(text, f->qualname);
			assert_int_equal(
				mp_pycode_string(&image.target, code.filename, text, sizeof(text)),
				0);
			assert_string_equal(text, f->filename);
			assert_int_equal(mp_pycode_check(&image.target, &code), 0);
		}
	}
}

static void test_modules_and_classes_are_no_functions(void **state)
{
	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		struct mp_pycode code = {.addr = 7};
		IMAGE image;

		load_image(&image, minors[v]);
		assert_int_equal(image.n_nothing, 3);
		for (size_t i = 0; i < image.n_nothing; i++)
			assert_int_equal(mp_pycode_read(&image.target, image.nothing[i], &code),
					 -ENOENT);
		assert_int_equal(code.addr, 7);
	}
}

/* What an allocator leaves behind: no references, or a link to the next free block. */
static void test_freed_functions_are_gone(void **state)
{
	static const uint64_t freed[] = {0, 0x7f12d9b25f30, 0x7f1200000000, 0x123456789abc};

	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		const struct expected *f;
		struct mp_pycode code;
		IMAGE image;

		load_image(&image, minors[v]);
		f = function_named(&image, "load");
		assert_int_equal(mp_pycode_read(&image.target, f->addr, &code), 0);
		for (size_t i = 0; i < MP_ARRAY_SIZE(freed); i++) {
			put_word(&image, f->addr, freed[i]);
			assert_int_equal(mp_pycode_check(&image.target, &code), -ENOENT);
			assert_int_equal(mp_pycode_read(&image.target, f->addr, &code), -ENOENT);
		}
		put_word(&image, f->addr, 0xffffffff); /* for ever */
		assert_int_equal(mp_pycode_check(&image.target, &code), 0);
	}
}

static void test_another_object_at_the_place(void **state)
{
	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		const struct expected *f;
		struct mp_pycode code;
		struct mp_pycode other;
		IMAGE image;

		load_image(&image, minors[v]);
		f = function_named(&image, "outer");
		assert_int_equal(mp_pycode_read(&image.target, f->addr, &code), 0);
		assert_int_equal(mp_pycode_read(&image.target,
						function_named(&image, "A.load")->addr, &other),
				 0);
		/* Another function's code at the very place. */
		put_word(&image, f->addr + image.target.layout.qualname, other.qualname);
		assert_int_equal(mp_pycode_check(&image.target, &code), -ENOENT);
		put_word(&image, f->addr + image.target.layout.qualname, code.qualname);
		assert_int_equal(mp_pycode_check(&image.target, &code), 0);
		put_word(&image, f->addr + image.target.layout.type, image.target.code_type + 8);
		assert_int_equal(mp_pycode_check(&image.target, &code), -ENOENT);
	}
}

/* Every byte of a code object's header and of its name, changed: no crash, and no other answer
 * than a function, none, or what cannot be read. */
static void test_changed_bytes(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		const struct expected *f;
		struct mp_pycode code;
		IMAGE image;

		load_image(&image, minors[v]);
		f = function_named(&image, "größe");
		assert_int_equal(mp_pycode_read(&image.target, f->addr, &code), 0);
		for (size_t i = 0; i < 5 * 80; i++) {
			uint8_t *byte = byte_at(&image, code.name + i / 5);
			uint8_t was = *byte;
			char text[MP_PYCODE_NAME];
			int err;

			*byte = values[i % 5];
			err = mp_pycode_string(&image.target, code.name, text, sizeof(text));
			if (!err)
				assert_true(strlen(text) < sizeof(text));
			else
				assert_true(err == -EINVAL || err == -EFAULT);
			*byte = was;
			if (i / 5 + 1 >= piece_at(&image, code.name)->len)
				break;
		}
	}
}

static void test_strings_of_hostile_sizes(void **state)
{
	static const uint64_t lengths[] = {255,	       256,	   4095,       1ULL << 31,
					   1ULL << 32, 1ULL << 61, UINT64_MAX, 1ULL << 63};

	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		char text[MP_PYCODE_NAME];
		struct mp_pycode code;
		IMAGE image;

		load_image(&image, minors[v]);
		mp_pycode_read(&image.target, function_named(&image, "load")->addr, &code);
		for (size_t i = 0; i < MP_ARRAY_SIZE(lengths); i++) {
			put_word(&image, code.name + image.target.layout.str_length, lengths[i]);
			assert_int_equal(
				mp_pycode_string(&image.target, code.name, text, sizeof(text)),
				i == 0 ? -EFAULT : -EINVAL);
		}
		/* What just fits, and what does not. */
		put_word(&image, code.name + image.target.layout.str_length, 4);
		assert_int_equal(mp_pycode_string(&image.target, code.name, text, 5), 0);
		assert_string_equal(text, "load");
		assert_int_equal(mp_pycode_string(&image.target, code.name, text, 4), -EINVAL);
		assert_int_equal(mp_pycode_string(&image.target, code.name, text, 0), -EINVAL);
	}
}

/* A surrogate, a code point beyond the last, a NUL. */
static void test_strings_that_are_no_text(void **state)
{
	static const uint32_t chars[] = {0xd800, 0xdfff, 0x110000, 0xffffffff, 0};

	(void)state;
	for (size_t v = 0; v < MP_ARRAY_SIZE(minors); v++) {
		char text[MP_PYCODE_NAME];
		struct mp_pycode code;
		uint64_t first;
		IMAGE image;

		load_image(&image, minors[v]);
		mp_pycode_read(&image.target, function_named(&image, "\U00020000x")->addr, &code);
		first = code.name + image.target.layout.str_unicode;
		for (size_t i = 0; i < MP_ARRAY_SIZE(chars); i++) {
			memcpy(byte_at(&image, first), &chars[i], sizeof(chars[i]));
			assert_int_equal(
				mp_pycode_string(&image.target, code.name, text, sizeof(text)),
				-EINVAL);
		}
	}
}

static void test_addresses_that_are_none(void **state)
{
	static const uint64_t addrs[] = {0, 8, 4095, 4097, UINT64_MAX - 7, 1ULL << 63, 0x10000};
	char text[MP_PYCODE_NAME];
	struct mp_pycode code;
	IMAGE image;

	(void)state;
	load_image(&image, 11);
	for (size_t i = 0; i < MP_ARRAY_SIZE(addrs); i++) {
		int err = mp_pycode_read(&image.target, addrs[i], &code);

		assert_int_equal(err, addrs[i] == 0x10000 ? -EFAULT : -ENOENT);
		err = mp_pycode_string(&image.target, addrs[i], text, sizeof(text));
		assert_int_equal(err, addrs[i] == 0x10000 ? -EFAULT : -EINVAL);
	}
}

/* --- which interpreters ------------------------------------------------------------------ */

static void expect_refused(const struct mp_python *python, const struct mp_pycode_memory *memory,
			   const char *why)
{
	struct mp_pycode_layout layout = {.minor = 7};
	struct mp_error err = {0};

	assert_int_equal(mp_pycode_layout(python, memory, &layout, &err), -ENOTSUP);
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_non_null(strstr(err.text, why));
	assert_non_null(strstr(err.text, "CPython 3.11 to 3.14"));
	assert_int_equal(layout.minor, 7);
}

static void test_versions_that_are_refused(void **state)
{
	struct mp_python python;
	IMAGE image;

	(void)state;
	load_image(&image, 14);
	python = image.python;
	python.minor = 10;
	expect_refused(&python, &image.target.memory, "Python 3.10, a version");
	python.minor = 15;
	expect_refused(&python, &image.target.memory, "Python 3.15, a version");
	python = image.python;
	python.major = 2;
	expect_refused(&python, &image.target.memory, "Python 2.14, a version");
	python = image.python;
	python.is_free_threaded = true;
	expect_refused(&python, &image.target.memory, "free-threaded");
	python = image.python;
	python.is_debug = true;
	expect_refused(&python, &image.target.memory, "debug build");
	python = image.python;
	python.minor = 13; /* 3.14 has its table elsewhere */
	expect_refused(&python, &image.target.memory, "of another form");
}

/* Each word that says where a field lies, off by one; and no cookie. */
static void test_tables_that_disagree(void **state)
{
	(void)state;
	for (size_t v = 0; v < 2; v++) {
		size_t refused = 0;
		IMAGE image;

		load_image(&image, v ? 14 : 13);
		for (uint64_t word = 0; word < 1024 / 8; word++) {
			struct mp_pycode_layout layout;

			*byte_at(&image, image.python.runtime + 8 * word) ^= 1;
			refused += mp_pycode_layout(&image.python, &image.target.memory, &layout,
						    NULL) == -ENOTSUP;
			*byte_at(&image, image.python.runtime + 8 * word) ^= 1;
		}
		assert_int_equal(refused, 10);
		image.python.runtime = 0;
		expect_refused(&image.python, &image.target.memory, "of another form");
	}
}

/* --- names ---------------------------------------------------------------------------------- */

static void test_matches(void **state)
{
	static const struct {
		const char *path, *qualname, *filename, *main_file;
		bool matches;
	} all[] = {
		{"pkg.mod.load", "load", "/srv/pkg/mod.py", "", true},
		{"pkg.mod.load", "A.load", "/srv/pkg/mod.py", "", true},
		{"pkg.mod.load", "A.In.load", "/srv/pkg/mod.py", "", true},
		{"pkg.mod.A.load", "A.load", "/srv/pkg/mod.py", "", true},
		{"pkg.mod.A.In.load", "A.In.load", "/srv/pkg/mod.py", "", true},
		{"pkg.mod.A.load", "B.load", "/srv/pkg/mod.py", "", false},
		{"pkg.mod.A.load", "A.In.load", "/srv/pkg/mod.py", "", false},
		{"pkg.mod.A.load", "load", "/srv/pkg/mod.py", "", false},
		/* A module that is called as a class is. */
		{"pkg.mod.A.load", "load", "/srv/pkg/mod/A.py", "", true},
		{"pkg.mod.load", "unload", "/srv/pkg/mod.py", "", false},
		{"pkg.mod.load", "load", "/srv/notpkg/mod.py", "", false},
		{"pkg.mod.load", "load", "/srv/pkg/mod.pyc", "", false},
		{"pkg.mod.load", "load", "/srv/pkg/mod", "", false},
		{"pkg.mod.load", "load", "pkg/mod.py", "", true},
		{"mod.load", "load", "mod.py", "", true},
		{"mod.load", "load", "/srv/pkg/mod.py", "", true},
		{"pkg.load", "load", "/srv/pkg/__init__.py", "", true},
		{"pkg.load", "load", "/srv/pkg/__init__x.py", "", false},
		{"pkg.load", "load", "__init__.py", "", false},
		{"os.makedirs", "makedirs", "<frozen os>", "", true},
		{"os.path.join", "join", "<frozen os>", "", false},
		{"pkg.mod.load", "outer.<locals>.load", "/srv/pkg/mod.py", "", false},
		{"pkg.mod.load", "", "", "", false},
		{"__main__.f", "f", "/srv/app.py", "app.py", true},
		{"__main__.C.f", "C.f", "app.py", "app.py", true},
		{"__main__.f", "f", "/srv/other.py", "app.py", false},
		{"__main__.f", "f", "/srv/app.py", "", false},
		{"__main__.f", "f", "<string>", "<string>", true},
		{"__main__.f", "f", "/srv/pkg/__main__.py", "", true},
		{"app.f", "f", "/srv/app.py", "app.py", true},
		{"läden.öffne", "öffne", "/srv/läden.py", "", true},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(all); i++) {
		if (mp_pycode_matches(all[i].path, all[i].qualname, all[i].filename,
				      all[i].main_file) != all[i].matches)
			fail_msg("%s, %s in %s: not %d", all[i].path, all[i].qualname,
				 all[i].filename, all[i].matches);
	}
}

#define ROW(cmdline, expected)                                                                     \
	{                                                                                          \
		cmdline, sizeof(cmdline) - 1, expected                                             \
	}

static void test_main_file(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
	} all[] = {
		ROW("python3\0app.py\0", "app.py"),
		ROW("python3\0/srv/tool\0--x\0", "tool"),
		ROW("python3\0-u\0-W\0error\0-Xdev\0app.py\0", "app.py"),
		ROW("python3\0-uB\0-c\0print()\0", "<string>"),
		ROW("python3\0-cprint()\0x.py\0", "<string>"),
		ROW("python3\0-m\0pkg.tool\0x.py\0", "tool.py"),
		ROW("python3\0-Im\0tool\0", "tool.py"),
		ROW("python3\0-mtool\0", "tool.py"),
		ROW("python3\0-m\0", ".py"),
		ROW("python3\0--check-hash-based-pycs\0never\0app.py\0", "app.py"),
		ROW("python3\0-\0", "<stdin>"),
		ROW("python3\0dir/\0", "__main__.py"),
		ROW("python3\0", ""),
		ROW("python3", ""),
		ROW("python3\0app.py", ""),
		ROW("", ""),
		ROW("\0\0\0", ""),
		ROW("python3\0-W\0", ""),
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(all); i++) {
		char out[64] = "x";

		mp_pycode_main_file(all[i].text, all[i].len, out, sizeof(out));
		assert_string_equal(out, all[i].expected);
	}
}

/* --- a search through this process ------------------------------------------------------------ */

/* Found by its name in the symbol table, as in an interpreter. */
extern uint8_t PyCode_Type[416];
uint8_t PyCode_Type[416];

/* A code object of Python 3.11 and its strings, in memory of the test's own. */
struct own_function {
	uint8_t object[192];
	uint8_t strings[3][128];
};

static void make_string(uint8_t *at, const char *text)
{
	const uint64_t references = 1;
	const uint64_t length = strlen(text);
	const uint32_t state = 0xe4;

	memcpy(at, &references, 8);
	memcpy(at + 16, &length, 8);
	memcpy(at + 32, &state, 4);
	memcpy(at + 48, text, length);
}

static void put_pointer(uint8_t *at, const void *pointer)
{
	memcpy(at, &pointer, sizeof(pointer));
}

static void make_function(struct own_function *f, const char *name, const char *qualname,
			  const char *filename)
{
	const uint64_t references = 1;
	const uint64_t n_units = 4;
	const uint32_t flags = 3;

	make_string(f->strings[0], filename);
	make_string(f->strings[1], name);
	make_string(f->strings[2], qualname);
	memcpy(f->object, &references, 8);
	put_pointer(f->object + 8, PyCode_Type);
	memcpy(f->object + 16, &n_units, 8);
	memcpy(f->object + 48, &flags, 4);
	for (size_t i = 0; i < 3; i++)
		put_pointer(f->object + 112 + 8 * i, f->strings[i]);
}

static void own_process(struct mp_python *python)
{
	struct mp_elf_wanted type = {.name = "PyCode_Type"};
	const struct mp_fsroot fs = {""};
	struct mp_process process;

	assert_int_equal(mp_process_read(&fs, getpid(), &process), 0);
	assert_int_equal(mp_elf_lookup("/proc/self/exe", &type, 1, NULL), 0);
	assert_int_not_equal(type.addr, 0);
	*python = (struct mp_python){
		.pid = getpid(),
		.start_time = process.start_time,
		.major = 3,
		.minor = 11,
		.binary = "/proc/self/exe",
		.bias = (uint64_t)(uintptr_t)PyCode_Type - type.addr,
	};
}

struct found {
	uint64_t addrs[8];
	size_t paths[8];
	size_t n;
	char qualname[64];
};

static void on_found(void *data, size_t path, const struct mp_pycode *code, const char *qualname,
		     const char *filename)
{
	struct found *found = data;

	assert_string_equal(filename, "/srv/pkg/mod.py");
	if (found->n < MP_ARRAY_SIZE(found->addrs)) {
		found->addrs[found->n] = code->addr;
		found->paths[found->n] = path;
	}
	found->n++;
	snprintf(found->qualname, sizeof(found->qualname), "%s", qualname);
}

static void search_all(struct mp_pycode_search *search, struct found *found)
{
	int r = mp_pycode_search_begin(search);

	*found = (struct found){0};
	assert_int_equal(r, 0);
	while (r == 0)
		r = mp_pycode_search_step(search, 1 << 20, on_found, found);
	assert_int_equal(r, 1);
}

static bool has_found(const struct found *found, const void *object)
{
	for (size_t i = 0; i < found->n && i < MP_ARRAY_SIZE(found->addrs); i++) {
		if (found->addrs[i] == (uint64_t)(uintptr_t)object)
			return true;
	}
	return false;
}

static void test_search_of_own_memory(void **state)
{
	static const char *const paths[] = {"pkg.mod.load_it", "pkg.mod.B.load_it"};
	struct own_function *a = calloc(1, sizeof(*a));
	struct own_function *b = calloc(1, sizeof(*b));
	const struct mp_fsroot fs = {""};
	struct mp_pycode_search *search = NULL;
	struct mp_python python;
	struct mp_pycode code;
	struct found found;

	(void)state;
	own_process(&python);
	make_function(a, "load_it", "load_it", "/srv/pkg/mod.py");
	make_function(b, "load_it", "B.load_it", "/srv/pkg/mod.py");
	assert_int_equal(mp_pycode_search_new(&fs, &python, paths, 2, &search, NULL), 0);
	search_all(search, &found);
	assert_int_equal(found.n, 3); /* b is of both */
	assert_true(has_found(&found, a->object));
	assert_true(has_found(&found, b->object));

	/* One dies. */
	code = (struct mp_pycode){.addr = (uint64_t)(uintptr_t)b->object,
				  .n_units = 4,
				  .filename = (uint64_t)(uintptr_t)b->strings[0],
				  .name = (uint64_t)(uintptr_t)b->strings[1],
				  .qualname = (uint64_t)(uintptr_t)b->strings[2]};
	assert_int_equal(mp_pycode_search_check(search, &code), 0);
	assert_int_equal(mp_pycode_search_bytecode(search, &code), code.addr + 184);
	memset(b->object, 0, 8);
	assert_int_equal(mp_pycode_search_check(search, &code), -ENOENT);
	search_all(search, &found);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.qualname, "load_it");
	mp_pycode_search_free(search);
	free(a);
	free(b);
}

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*s %lu", &pages), 1);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Memory that was never touched stays so: a look at a process must not make it grow. */
static void test_search_touches_nothing(void **state)
{
	static const char *const paths[] = {"pkg.mod.nowhere"};
	const size_t reserved = 256U << 20;
	uint8_t *memory = mmap(NULL, reserved, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const struct mp_fsroot fs = {""};
	struct mp_pycode_search *search = NULL;
	struct mp_python python;
	struct found found;
	uint64_t before;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	own_process(&python);
	assert_int_equal(mp_pycode_search_new(&fs, &python, paths, 1, &search, NULL), 0);
	search_all(search, &found);
	before = resident_bytes();
	search_all(search, &found);
	assert_true(resident_bytes() < before + (16U << 20));
	assert_int_equal(found.n, 0);
	mp_pycode_search_free(search);
	munmap(memory, reserved);
}

static void test_search_of_another_process(void **state)
{
	static const char *const paths[] = {"pkg.mod.load_it"};
	const struct mp_fsroot fs = {""};
	struct mp_pycode_search *search = NULL;
	struct mp_error err = {0};
	struct mp_python python;

	(void)state;
	own_process(&python);
	python.start_time++; /* the pid is another's by now */
	assert_int_equal(mp_pycode_search_new(&fs, &python, paths, 1, &search, NULL), 0);
	assert_int_equal(mp_pycode_search_begin(search), -ESRCH);
	mp_pycode_search_free(search);

	search = NULL;
	strcpy(python.binary, "/bin/sh");
	assert_int_equal(mp_pycode_search_new(&fs, &python, paths, 1, &search, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "no symbol PyCode_Type"));
	assert_null(search);
	python.pid = 0x3ffffff;
	own_process(&python);
	python.pid = 0x3ffffff;
	assert_int_equal(mp_pycode_search_new(&fs, &python, paths, 1, &search, &err), -ESRCH);
	assert_null(search);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_functions),
		cmocka_unit_test(test_modules_and_classes_are_no_functions),
		cmocka_unit_test(test_freed_functions_are_gone),
		cmocka_unit_test(test_another_object_at_the_place),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_strings_of_hostile_sizes),
		cmocka_unit_test(test_strings_that_are_no_text),
		cmocka_unit_test(test_addresses_that_are_none),
		cmocka_unit_test(test_versions_that_are_refused),
		cmocka_unit_test(test_tables_that_disagree),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_main_file),
		cmocka_unit_test(test_search_of_own_memory),
		cmocka_unit_test(test_search_touches_nothing),
		cmocka_unit_test(test_search_of_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
