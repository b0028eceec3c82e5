// SPDX-License-Identifier: GPL-2.0-only
/* Programs that have not started: scripts, linked programs, and files that are neither. */
#include "monitor/programs.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tree.h"

struct fixture {
	struct tree tree;
	struct mp_fsroot fs;
	struct mp_points points;
	struct mp_features features;
	struct mp_prober *prober;
	struct mp_error err;
};

static int ignore_event(void *data, const struct mp_event *event)
{
	(void)data;
	(void)event;
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	f->fs = (struct mp_fsroot){""};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	mp_prober_free(f->prober);
	mp_points_free(&f->points);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static void watch_for(struct fixture *f, const char *point)
{
	struct mp_prober_options o = {
		.fs = &f->fs, .points = &f->points, .features = &f->features, .emit = ignore_event};

	assert_int_equal(mp_points_add_option(&f->points, point, NULL), 0);
	f->prober = mp_prober_new(&o);
	assert_non_null(f->prober);
}

static int add(struct fixture *f, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->tree.root, name);
	return mp_programs_add(f->prober, path, &f->err);
}

static void write_script(const struct fixture *f, const char *name, const char *text)
{
	char path[PATH_MAX];

	tree_write(&f->tree, name, text);
	tree_path(&f->tree, name, path);
	assert_int_equal(chmod(path, 0755), 0);
}

static void MP_PRINTF(2, 3) shell(const struct fixture *f, const char *fmt, ...)
{
	char command[1024];
	char whole[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "cd %s && %s", f->tree.root, command);
	if (system(whole) != 0)
		fail_msg("failed: %s", whole);
}

/* A program that is linked with a library of its own. */
static void make_program(const struct fixture *f)
{
	tree_write(&f->tree, "/lib.c", "int own_library_function(int x) { return x + 1; }\n");
	tree_write(&f->tree, "/main.c",
		   "int own_library_function(int);\n"
		   "int own_program_function(int x) { return own_library_function(x); }\n"
		   "int main(void) { __builtin_trap(); return own_program_function(1); }\n");
	shell(f, "gcc -shared -fPIC -o libown.so lib.c && "
		 "gcc -o program main.c -L. -lown -Wl,-rpath,'$ORIGIN'");
}

static bool knows(const struct fixture *f, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && mp_prober_knows(f->prober, st.st_dev, st.st_ino);
}

static bool knows_own(const struct fixture *f, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->tree.root, name);
	return knows(f, path);
}

static void test_libraries(void **state)
{
	struct fixture *f = *state;
	const struct mp_sites *sites;

	make_program(f);
	watch_for(f, "own=low@own_*_function");
	assert_int_equal(add(f, "program"), 0);
	sites = mp_prober_sites(f->prober);
	assert_int_equal(sites->n, 2);
	assert_string_equal(sites->items[0].symbol, "own_program_function");
	assert_string_equal(sites->items[1].symbol, "own_library_function");
	assert_true(knows_own(f, "program"));
	assert_true(knows_own(f, "libown.so"));
	/* Once more changes nothing. */
	assert_int_equal(add(f, "program"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 2);
}

/* What the loader prints of a library that is not there is no path. */
static void test_missing_library(void **state)
{
	struct fixture *f = *state;

	make_program(f);
	shell(f, "rm libown.so");
	watch_for(f, "own=low@own_*_function");
	assert_int_equal(add(f, "program"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 1);
}

static void test_too_many_in_library(void **state)
{
	struct fixture *f = *state;

	make_program(f);
	watch_for(f, "own=low@libown.so:own_library_function");
	f->points.items[0].max_sites = 0;
	assert_int_equal(add(f, "program"), -E2BIG);
	assert_int_equal(f->err.exit_code, MP_EXIT_CONFIG);
}

static void test_static_program(void **state)
{
	struct fixture *f = *state;

	tree_write(&f->tree, "/bare.c", "void own_program_function(void) {} void _start(void) {}");
	shell(f, "gcc -static -nostdlib -o bare bare.c");
	watch_for(f, "own=low@own_*_function");
	assert_int_equal(add(f, "bare"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 1);
}

static void test_script(void **state)
{
	struct fixture *f = *state;
	char text[PATH_MAX];

	make_program(f);
	watch_for(f, "own=low@own_*_function");
	snprintf(text, sizeof(text), "#! \t%s/program -x y\nthe rest\n", f->tree.root);
	write_script(f, "/script", text);
	assert_int_equal(add(f, "script"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 2);
}

/* An interpreter may be a script itself. */
static void test_script_of_a_script(void **state)
{
	struct fixture *f = *state;
	char text[PATH_MAX];

	make_program(f);
	watch_for(f, "own=low@own_*_function");
	snprintf(text, sizeof(text), "#!%s/program\n", f->tree.root);
	write_script(f, "/inner", text);
	snprintf(text, sizeof(text), "#!%s/inner", f->tree.root);
	write_script(f, "/outer", text);
	assert_int_equal(add(f, "outer"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 2);
}

static void test_endless_script(void **state)
{
	struct fixture *f = *state;
	char text[PATH_MAX];

	watch_for(f, "own=low@own_*_function");
	snprintf(text, sizeof(text), "#!%s/a\n", f->tree.root);
	write_script(f, "/a", text);
	assert_int_equal(add(f, "a"), 0);
	assert_int_equal(mp_prober_sites(f->prober)->n, 0);
}

static void test_odd_scripts(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *endless = malloc(4097);

	watch_for(f, "own=low@own_*_function");
	memset(endless, 'x', 4096);
	memcpy(endless, "#!/", 3);
	endless[4096] = '\0';
	write_script(f, "/empty", "");
	write_script(f, "/short", "#!");
	write_script(f, "/blank", "#! \n");
	write_script(f, "/relative", "#!program\n");
	write_script(f, "/text", "text\n");
	write_script(f, "/endless", endless);
	assert_int_equal(add(f, "empty"), 0);
	assert_int_equal(add(f, "short"), 0);
	assert_int_equal(add(f, "blank"), 0);
	assert_int_equal(add(f, "relative"), 0);
	assert_int_equal(add(f, "text"), 0);
	add(f, "endless");
	assert_int_equal(mp_prober_sites(f->prober)->n, 0);
}

static void test_absent(void **state)
{
	struct fixture *f = *state;

	watch_for(f, "own=low@own_*_function");
	assert_int_equal(add(f, "nothing"), -ENOENT);
	assert_int_equal(f->err.exit_code, MP_EXIT_TARGET);
	assert_non_null(strstr(f->err.text, "/nothing: No such file"));
	/* The kernel tells of this one when it is to be executed. */
	write_script(f, "/orphan", "#!/no/such/interpreter\n");
	assert_int_equal(add(f, "orphan"), 0);
}

/* Builds a program with a loader of its own, and looks at it. Returns whether the loader ran. */
static bool runs_loader(struct fixture *f, const char *loader)
{
	char path[PATH_MAX];

	make_program(f);
	snprintf(path, sizeof(path), "%s%s", f->tree.root, loader);
	shell(f, "rm -f was_run && gcc -o odd main.c -L. -lown -Wl,--dynamic-linker=%s", path);
	assert_int_equal(add(f, "odd"), 0);
	tree_path(&f->tree, "/was_run", path);
	return access(path, F_OK) == 0;
}

/* Looking at a program must not execute what its author chose. */
static void test_foreign_loader(void **state)
{
	struct fixture *f = *state;
	char text[PATH_MAX];
	char path[PATH_MAX];

	watch_for(f, "own=low@own_*_function");
	snprintf(text, sizeof(text), "#!/bin/sh\ntouch %s/was_run\n", f->tree.root);
	write_script(f, "/ld-own.so", text);
	write_script(f, "/loader", text);
	shell(f, "ln -s loader ld-link.so && cp ld-own.so ld-open.so && chmod 775 ld-open.so");
	assert_true(runs_loader(f, "/ld-own.so")); /* so that the others mean something */
	assert_false(runs_loader(f, "/loader"));
	assert_false(runs_loader(f, "/ld-link.so"));
	assert_false(runs_loader(f, "/ld-open.so"));
	assert_false(runs_loader(f, "/ld-absent.so"));
	tree_path(&f->tree, "/ld-own.so", path);
	if (chown(path, 65534, 65534) == 0)
		assert_false(runs_loader(f, "/ld-own.so"));
	/* The program itself is looked at all the same. */
	assert_true(mp_prober_sites(f->prober)->n > 0);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(test_libraries),
		WITH_TREE(test_missing_library),
		WITH_TREE(test_too_many_in_library),
		WITH_TREE(test_static_program),
		WITH_TREE(test_script),
		WITH_TREE(test_script_of_a_script),
		WITH_TREE(test_endless_script),
		WITH_TREE(test_odd_scripts),
		WITH_TREE(test_absent),
		WITH_TREE(test_foreign_loader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
