// SPDX-License-Identifier: GPL-2.0-only
/*
 * The presets against the names that versions of their programs have: tests/fixtures/llama/ holds a
 * function a line, the point that is to find it before all of its names ("-": none is). See
 * tests/llama/names.
 */
#include "config/points.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "probe/prober.h"
#include "probe/resolve.h"
#include "workdir.h"

#define PRESET "configs/presets/llama_cpp.yaml"
#define FIXTURES "tests/fixtures/llama/*"
#define MAX_LINE 4096

/* --- a library with these names ------------------------------------------------- */

/* One function with all of the names of a line behind its point; how the last one is shown. */
static void add_function(struct mp_text *source, struct mp_text *expected, char *line)
{
	char *rest = NULL;
	const char *point = strtok_r(line, " \n", &rest);
	const char *first = NULL;

	for (char *name; (name = strtok_r(NULL, " \n", &rest));) {
		mp_text_printf(source, ".globl %s\n.type %s,@function\n%s:\n", name, name, name);
		first = first ? first : name;
	}
	assert_non_null(first);
	mp_text_puts(source, "nop\nret\n");
	if (strcmp(point, "-") != 0)
		mp_text_printf(expected, "%s %s\n", point, first);
}

static void read_fixture(const char *path, struct mp_text *source, struct mp_text *expected)
{
	MP_FCLOSE FILE *f = fopen(path, "r");
	char line[MAX_LINE];

	assert_non_null(f);
	mp_text_puts(source, ".text\n");
	while (fgets(line, sizeof(line), f)) {
		assert_non_null(strchr(line, '\n'));
		add_function(source, expected, line);
	}
	assert_true(expected->len > 0);
}

static void assemble(const struct dir *dir, const struct mp_text *source)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/library.s", dir->path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(source->data, 1, source->len, f), source->len);
	fclose(f);
	shell(dir, "gcc -shared -nostdlib -o library library.s");
}

/* --- what is found in it ---------------------------------------------------------- */

struct run {
	struct mp_points points;
	struct mp_sites sites;
};

static void run_free(struct run *run)
{
	mp_sites_free(&run->sites);
	mp_points_free(&run->points);
}

static void load_preset(struct mp_points *points)
{
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	if (mp_points_load(points, PRESET, &err))
		fail_msg("%s", err.text);
}

static void resolve(struct run *run, const struct dir *dir)
{
	char path[PATH_MAX];
	struct mp_binary binary = {
		.path = "/usr/lib/libllama.so.0", .open_path = path, .root = "", .ino = 1};
	struct mp_error err;
	unsigned int flags;

	snprintf(path, sizeof(path), "%s/library", dir->path);
	assert_true(mp_resolve_binary(&run->sites, &run->points, &binary, &flags, &err) > 0);
}

/* Whether the line "POINT NAME" is there for a site, whose name may be shown demangled. */
static bool is_expected(const struct mp_text *expected, const char *point, const char *symbol)
{
	MP_FREE char *text = strdup(expected->data);
	char *rest = NULL;

	assert_non_null(text);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *name = strchr(line, ' ');
		MP_FREE char *shown = NULL;

		*name++ = '\0';
		shown = mp_demangle(name, true);
		if (strcmp(line, point) == 0 && strcmp(shown ? shown : name, symbol) == 0)
			return true;
	}
	return false;
}

static size_t count_lines(const struct mp_text *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

static void check_version(const struct dir *dir, const char *fixture)
{
	MP_TEXT struct mp_text source = {0};
	MP_TEXT struct mp_text expected = {0};
	struct run MP_CLEANUP(run_free) run = {.sites.n = 0};

	read_fixture(fixture, &source, &expected);
	assemble(dir, &source);
	load_preset(&run.points);
	resolve(&run, dir);
	for (size_t i = 0; i < run.sites.n; i++) {
		const struct mp_site *site = &run.sites.items[i];
		const char *point = run.points.items[site->point].name;

		assert_int_not_equal(site->status, MP_SITE_FAILED);
		if (!is_expected(&expected, point, site->symbol))
			fail_msg("%s: %s must not be at %s", fixture, point, site->symbol);
	}
	/* Each one once: no two sites are of one function. */
	assert_int_equal(run.sites.n, count_lines(&expected));
}

static void test_llama_cpp_in_every_version(void **state)
{
	const struct dir *dir = *state;
	glob_t found;

	assert_int_equal(glob(FIXTURES, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 7);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_version(dir, found.gl_pathv[i]);
	globfree(&found);
}

/* None is missed in a version that does not have it. */
static void test_llama_cpp_is_optional(void **state)
{
	struct run MP_CLEANUP(run_free) run = {.sites.n = 0};

	(void)state;
	load_preset(&run.points);
	assert_int_equal(run.points.n, 14);
	for (size_t i = 0; i < run.points.n; i++) {
		assert_true(run.points.items[i].optional);
		assert_memory_equal(run.points.items[i].name, "llama_cpp.", 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_llama_cpp_in_every_version),
		cmocka_unit_test(test_llama_cpp_is_optional),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
