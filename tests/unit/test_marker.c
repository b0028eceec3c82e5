// SPDX-License-Identifier: GPL-2.0-only
/* Which files have markers, and which only look so. The compiler makes them here. */
#include "probe/marker.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/marker.h"
#include "workdir.h"

#if defined(__x86_64__)
#define NOP ".byte 0x0f, 0x1f, 0x44, 0, 0"
#define LEAF "mov -8(%rsp), %rax"
#define ARGS "8@%rdi 8@%rsi 8@%rdx 8@%rcx"
#define FIFTH " 8@%r8"
#else
#define NOP "nop"
#define LEAF "ldr x0, [sp, -8]"
#define ARGS "8@x0 8@x1 8@x2 8@x3"
#define FIFTH " 8@x4"
#endif

/* A note as a compiler's <sys/sdt.h> makes it; \" twice over, since this is source of source. */
#define NOTE(provider, name, code, semaphore, args)                                                \
	"__asm__(\".text\\n\"\n\"" name "_at: " code "\\nret\\n\"\n"                               \
	"\".pushsection .note.stapsdt,\\\"\\\",%note\\n.balign 4\\n.4byte 8, 2f-1f, 3\\n\"\n"      \
	"\".asciz \\\"stapsdt\\\"\\n1: .8byte " name "_at, 0, " semaphore "\\n\"\n"                \
	"\".asciz \\\"" provider "\\\"\\n.asciz \\\"" name "\\\"\\n.asciz \\\"" args "\\\"\\n\"\n" \
	"\"2: .balign 4\\n.popsection\");\n"
#define SEMAPHORE "__asm__(\".pushsection .probes,\\\"aw\\\"\\nsema: .short 0\\n.popsection\");\n"

static const char good[] = SEMAPHORE NOTE("memprobe", "enter", NOP, "sema", ARGS FIFTH)
	NOTE("memprobe", "exit", NOP, "sema", ARGS) NOTE("memprobe", "check", NOP, "sema", ARGS)
		NOTE("memprobe", "later", NOP, "sema", ARGS)
			NOTE("other", "enter2", NOP, "0", ARGS);

struct run {
	struct mp_sites sites;
};

static void run_free(struct run *run)
{
	mp_sites_free(&run->sites);
}
#define RUN MP_CLEANUP(run_free) struct run

static void compile(const struct dir *dir, const char *name, const char *source)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.c", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	shell(dir, "gcc -O1 -nostdlib -shared -fPIC -o %s %s.c", name, name);
}

/* The file NAME in the directory. */
static int find(struct run *run, const struct dir *dir, const char *name)
{
	char path[PATH_MAX];
	struct mp_binary binary = {
		.path = "/srv/app", .open_path = path, .root = "", .dev = 77, .ino = 88};

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return mp_markers_find(&run->sites, &binary);
}

static void test_library(void **state)
{
	static const enum mp_phase order[] = {MP_PHASE_EXIT, MP_PHASE_ENTER, MP_PHASE_CHECK};
	static const char *const symbols[] = {"memprobe:exit", "memprobe:enter", "memprobe:check"};
	const struct dir *dir = *state;
	RUN run = {{0}};

	compile(dir, "lib", good);
	assert_int_equal(find(&run, dir, "lib"), 3);
	assert_int_equal(run.sites.n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct mp_site *site = &run.sites.items[i];

		assert_true(site->is_marker);
		assert_int_equal(site->point, order[i]);
		assert_int_equal(site->kind, MP_SITE_USDT);
		assert_string_equal(site->symbol, symbols[i]);
		assert_int_equal(site->status, MP_SITE_ATTACHED);
		assert_int_equal(site->dev, 77);
		assert_int_equal(site->ino, 88);
		assert_true(site->offset > 0 && site->semaphore_offset > 0);
		assert_string_equal(site->binary, "/srv/app");
		assert_false(site->with_return);
	}
}

static void check_refused(const struct dir *dir, const char *source, const char *reason)
{
	RUN run = {{0}};

	compile(dir, "app", source);
	assert_int_equal(find(&run, dir, "app"), 1);
	assert_int_equal(run.sites.items[0].status, MP_SITE_FAILED);
	assert_non_null(strstr(run.sites.items[0].reason, reason));
}

/* A program may have probes of its own with these names, anywhere and with anything in them. */
static void test_foreign_notes(void **state)
{
	const struct dir *dir = *state;

	check_refused(dir, SEMAPHORE NOTE("memprobe", "enter", NOP "\\n" LEAF, "sema", ARGS FIFTH),
		      "does nothing");
	check_refused(dir, SEMAPHORE NOTE("memprobe", "enter", LEAF, "sema", ARGS FIFTH),
		      "does nothing");
	check_refused(dir, SEMAPHORE NOTE("memprobe", "enter", NOP, "0", ARGS FIFTH), "semaphore");
	check_refused(dir, SEMAPHORE NOTE("memprobe", "enter", NOP, "sema", ARGS), "arguments");
	check_refused(dir, SEMAPHORE NOTE("memprobe", "exit", NOP, "sema", ""), "arguments");
	check_refused(dir, SEMAPHORE NOTE("memprobe", "exit", NOP, "sema", "4" ARGS), "arguments");
}

static void test_no_markers(void **state)
{
	const struct dir *dir = *state;
	RUN run = {{0}};

	compile(dir, "plain", "int f(void) { return 1; }\n");
	assert_int_equal(find(&run, dir, "plain"), 0);
	compile(dir, "other", SEMAPHORE NOTE("other", "enter", NOP, "sema", ARGS FIFTH));
	assert_int_equal(find(&run, dir, "other"), 0);
	/* Without a semaphore nobody could know that they are watched: not even looked at. */
	compile(dir, "bare", NOTE("memprobe", "enter", NOP, "0", ARGS FIFTH));
	assert_int_equal(find(&run, dir, "bare"), 0);
	shell(dir, "echo text >text");
	assert_int_equal(find(&run, dir, "text"), 0);
	assert_int_equal(find(&run, dir, "absent"), 0);
	assert_int_equal(run.sites.n, 0);
}

/* One note is whole, the next is not. */
static void test_broken_notes(void **state)
{
	const struct dir *dir = *state;
	RUN run = {{0}};

	compile(dir, "cut",
		SEMAPHORE NOTE("memprobe", "exit", NOP, "sema",
			       ARGS) "__asm__(\".pushsection .note.stapsdt,\\\"\\\",%note\\n.4byte "
				     "8, 4096, "
				     "3\\n.popsection\");\n");
	assert_int_equal(find(&run, dir, "cut"), 1);
	assert_int_equal(run.sites.items[0].status, MP_SITE_ATTACHED);
}

static void test_events(void **state)
{
	struct mp_site site = {.point = MP_PHASE_ENTER,
			       .kind = MP_SITE_USDT,
			       .is_marker = true,
			       .binary = (char *)"/lib/libmemprobe.so",
			       .symbol = (char *)"memprobe:enter",
			       .offset = 0x1200,
			       .insn = {.class = MP_INSN_NOP5}};
	const struct mp_point point = {.name = (char *)"cache.fill", .level = MP_LEVEL_HIGH};
	struct mp_event_site e;

	(void)state;
	mp_marker_event(&site, &point, &e);
	assert_string_equal(e.point, "cache.fill");
	assert_int_equal(e.level, MP_LEVEL_HIGH);
	assert_string_equal(e.symbol, "memprobe:enter");
	assert_int_equal(e.offset, 0x1200);
	assert_string_equal(e.insn, "nop5");
	assert_int_equal(e.status, MP_SITE_ATTACHED);
	site.status = MP_SITE_FAILED;
	site.reason = (char *)"why";
	mp_marker_event(&site, NULL, &e);
	assert_string_equal(e.point, MP_MARKED_POINTS);
	assert_string_equal(e.reason, "why");
}

/* Values that programs built elsewhere rely on. */
static void test_ids(void **state)
{
	(void)state;
	assert_true(memprobe_marker_id("") == 0xcbf29ce484222325ULL);
	assert_true(memprobe_marker_id("a") == 0xaf63dc4c8601ec8cULL);
	assert_true(memprobe_marker_id("foobar") == 0x85944171f73967e8ULL);
	assert_true(memprobe_marker_id("\xff") == 0xaf64724c8602eb6eULL);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_library),	 IN_DIR(test_broken_notes),	IN_DIR(test_foreign_notes),
		IN_DIR(test_no_markers), cmocka_unit_test(test_events), cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
