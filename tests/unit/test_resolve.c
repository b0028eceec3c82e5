// SPDX-License-Identifier: GPL-2.0-only
/* From points to sites, on files that the compiler makes here. Nothing is attached. */
#include "probe/resolve.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/text.h"
#include "probe/prober.h"
#include "workdir.h"

#define LIBRARY "-shared -fPIC"

/* --- fixtures ------------------------------------------------------------------ */

static void compile(const struct dir *dir, const char *name, const char *flags, const char *source)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.c", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(source, f);
	fclose(f);
	shell(dir, "gcc -O1 -nostdlib -fno-asynchronous-unwind-tables %s -o %s %s.c", flags, name,
	      name);
}

/* What one call to mp_resolve_binary() works on and gives. */
struct run {
	struct mp_points points;
	struct mp_sites sites;
	struct mp_error err;
	unsigned int flags;
};

static void run_free(struct run *run)
{
	mp_sites_free(&run->sites);
	mp_points_free(&run->points);
}
#define RUN MP_CLEANUP(run_free) struct run

static void parse(struct mp_points *points, const char *yaml)
{
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	if (mp_points_parse(points, "points.yaml", yaml, strlen(yaml), &err))
		fail_msg("%s", err.text);
}

/* NAME in the directory, which the target sees as SEEN. */
static int resolve(struct run *run, const struct dir *dir, const char *name, const char *seen)
{
	char path[PATH_MAX];
	struct mp_binary binary = {
		.path = seen, .open_path = path, .root = "", .dev = 77, .ino = 88};

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return mp_resolve_binary(&run->sites, &run->points, &binary, &run->flags, &run->err);
}

static const struct mp_site *find_site(const struct mp_sites *sites, size_t point,
				       const char *symbol)
{
	const struct mp_site *found = NULL;

	for (size_t i = 0; i < sites->n; i++) {
		const struct mp_site *site = &sites->items[i];

		if (site->point != point || strcmp(site->symbol, symbol) != 0)
			continue;
		assert_null(found);
		found = site;
	}
	if (!found)
		fail_msg("no site of point %zu at %s", point, symbol);
	return found;
}

static int copy_symbol(void *data, size_t pattern, const struct mp_elf_symbol *symbol)
{
	(void)pattern;
	*(struct mp_elf_symbol *)data = *symbol;
	return 0;
}

static uint64_t offset_of(const struct dir *dir, const char *name, const char *symbol)
{
	char path[PATH_MAX];
	MP_ELF struct mp_elf *elf = NULL;
	struct mp_elf_symbol found = {.name = NULL};

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	assert_int_equal(mp_elf_open(path, "", &elf, NULL), 0);
	assert_int_equal(mp_elf_match(elf, &symbol, 1, copy_symbol, &found), 0);
	assert_non_null(found.name);
	return found.offset;
}

/* --- functions ------------------------------------------------------------------- */

static const char functions[] = "int load_model(int x) { return x * 3; }\n"
				"int load_shard(int x) { return x * 5; }\n"
				"int alloc_a(int x) { return x * 7; }\n"
				"int alloc_b(int x) { return x * 11; }\n"
				"int alloc_alias(int) __attribute__((alias(\"alloc_b\")));\n"
				"static void *pick(void) { return load_model; }\n"
				"int chosen(int) __attribute__((ifunc(\"pick\")));\n";

static const char several[] =
	"version: 1\n"
	"points:\n"
	"  - {name: load, level: critical, symbol: [load_model, load_shard]}\n"
	"  - {name: alloc, level: low, symbol: 'libx.so*:alloc_?'}\n"
	"  - {name: other, level: low, symbol: 'liby.so*:alloc_?'}\n"
	"  - {name: whole, level: low, symbol: '/usr/*/libx.so.1:load_*'}\n"
	"  - {name: absent, level: low, symbol: nothing_here}\n";

static void test_several_points(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;
	char path[PATH_MAX];

	compile(dir, "lib", LIBRARY, functions);
	snprintf(path, sizeof(path), "%s/lib", dir->path);
	parse(&run.points, several);
	assert_int_equal(resolve(&run, dir, "lib", "/usr/lib/libx.so.1"), 6);
	assert_int_equal(run.sites.n, 6);
	assert_int_equal(run.flags, MP_ELF_HAS_SYMTAB | MP_ELF_IS_PIE);
	site = find_site(&run.sites, 0, "load_model");
	assert_int_equal(site->kind, MP_SITE_UPROBE);
	assert_int_equal(site->status, MP_SITE_ATTACHED);
	assert_int_equal(site->offset, offset_of(dir, "lib", "load_model"));
	assert_string_equal(site->binary, "/usr/lib/libx.so.1");
	assert_string_equal(site->open_path, path);
	assert_int_equal(site->dev, 77);
	assert_int_equal(site->ino, 88);
	assert_true(site->with_return);
	assert_null(site->reason);
	assert_null(site->risk);
	find_site(&run.sites, 0, "load_shard");
	find_site(&run.sites, 1, "alloc_a");
	find_site(&run.sites, 1, "alloc_b");
	find_site(&run.sites, 3, "load_model");
	find_site(&run.sites, 3, "load_shard");
}

static void test_binary_globs(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "lib", LIBRARY, functions);
	parse(&run.points, several);
	assert_int_equal(resolve(&run, dir, "lib", "/opt/a/b/liby.so"), 4);
	find_site(&run.sites, 2, "alloc_a");
	find_site(&run.sites, 2, "alloc_b");
	/* What is there already stays. */
	assert_int_equal(resolve(&run, dir, "lib", "/opt/libz.so"), 2);
	assert_int_equal(run.sites.n, 6);
}

/* A file that no point can be in is not even opened. */
static void test_no_point_for_the_file(void **state)
{
	RUN run = {.flags = 0xffff};

	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: a, level: low, symbol: 'liba.so:f'}\n"
			   "  - {name: b, level: low, usdt: 'liba.so:p:n'}\n"
			   "  - {name: c, level: low, python: a.b.c}\n");
	assert_int_equal(resolve(&run, *state, "absent", "/usr/lib/libb.so"), 0);
	assert_int_equal(run.sites.n, 0);
	assert_int_equal(run.flags, 0xffff);
	assert_int_equal(resolve(&run, *state, "absent", "/usr/lib/liba.so"), -ENOENT);
	assert_int_equal(run.err.exit_code, MP_EXIT_TARGET);
}

static void test_not_elf(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	shell(dir, "echo text >text");
	parse(&run.points, "version: 1\npoints:\n  - {name: a, level: low, symbol: f}\n");
	assert_int_equal(resolve(&run, dir, "text", "text"), -ENOEXEC);
	assert_int_equal(run.sites.n, 0);
}

/* Two probes on one function would count every call twice. */
static void check_named_twice(const struct dir *dir, const char *flags)
{
	RUN run = {.flags = 0};

	compile(dir, "twice", flags, functions);
	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: a, level: low, symbol: [load_model, 'load_*', 'l*_model']}\n"
			   "  - {name: b, level: low, symbol: [alloc_b, alloc_alias]}\n"
			   "  - {name: c, level: low, symbol: load_model}\n");
	assert_int_equal(resolve(&run, dir, "twice", "twice"), 4);
	find_site(&run.sites, 0, "load_model");
	find_site(&run.sites, 0, "load_shard");
	find_site(&run.sites, 2, "load_model");
}

static void test_named_twice(void **state)
{
	check_named_twice(*state, LIBRARY " -fcf-protection=none");
	check_named_twice(*state, LIBRARY " -fcf-protection=full");
}

static const char pads[] =
	"__asm__(\".globl quick, slow\\n.type quick,@function\\n.type slow,@function\\n"
	"quick: endbr64\\npush %rbp\\npop %rbp\\nret\\n.size quick, .-quick\\n"
	"slow: endbr64\\nmov %edi, %eax\\nret\\n.size slow, .-slow\");";

static void test_landing_pad(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;

	compile(dir, "pad", LIBRARY " -fcf-protection=full", pads);
	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: a, level: low, symbol: quick}\n"
			   "  - {name: b, level: low, symbol: slow}\n");
	assert_int_equal(resolve(&run, dir, "pad", "pad"), 2);
	site = find_site(&run.sites, 0, "quick");
	assert_int_equal(site->offset, offset_of(dir, "pad", "quick") + 4);
	assert_int_equal(site->insn.class, MP_INSN_EMULATED);
	assert_null(site->risk);
	site = find_site(&run.sites, 1, "slow");
	assert_int_equal(site->offset, offset_of(dir, "pad", "slow"));
	assert_int_equal(site->insn.class, MP_INSN_LANDING);
	assert_non_null(strstr(site->risk, "landing pad"));
	assert_int_equal(site->status, MP_SITE_ATTACHED);
}

/* The site of a function behind its landing pad is not where the function is. */
static void test_landing_pad_named_twice(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "pad", LIBRARY " -fcf-protection=full", pads);
	parse(&run.points,
	      "version: 1\npoints:\n  - {name: a, level: low, symbol: [quick, 'qu*', slow]}\n");
	assert_int_equal(resolve(&run, dir, "pad", "pad"), 2);
	find_site(&run.sites, 0, "quick");
	find_site(&run.sites, 0, "slow");
}

static void test_cxx_names(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "cxx", LIBRARY, "int _ZN2ns4loadEi(int x) { return x; }");
	parse(&run.points, "version: 1\npoints:\n  - {name: a, level: low, symbol: 'ns::load'}\n");
	assert_int_equal(resolve(&run, dir, "cxx", "cxx"), 1);
	assert_string_equal(run.sites.items[0].symbol, "ns::load(int)");
}

/* --- what is refused -------------------------------------------------------------- */

static void test_too_many(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "many", LIBRARY,
		"#define F(n) int f##n(int x) { return x + n; }\n"
		"F(1) F(2) F(3) F(4) F(5) F(6) F(7) int g(int x) { return x; }");
	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: one, level: low, symbol: g}\n"
			   "  - {name: many, level: low, symbol: 'f*', max_sites: 6}\n");
	assert_int_equal(resolve(&run, dir, "many", "/lib/many"), -E2BIG);
	assert_int_equal(run.err.exit_code, MP_EXIT_CONFIG);
	assert_string_equal(run.err.text,
			    "points.yaml:4:5: point \"many\" matches 7 functions of /lib/many, "
			    "and its max_sites is 6: narrow the pattern, or raise max_sites");
	/* Those of other points neither. */
	assert_int_equal(run.sites.n, 0);
	run.points.items[1].max_sites = 7;
	assert_int_equal(resolve(&run, dir, "many", "/lib/many"), 8);
	run.points.items[1].max_sites = 1;
	assert_int_equal(resolve(&run, dir, "many", "/lib/many"), -E2BIG);
	assert_int_equal(run.sites.n, 8);
}

static void test_ifunc(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;

	compile(dir, "lib", LIBRARY, functions);
	parse(&run.points, "version: 1\npoints:\n  - {name: a, level: low, symbol: chosen}\n");
	assert_int_equal(resolve(&run, dir, "lib", "lib"), 1);
	site = find_site(&run.sites, 0, "chosen");
	assert_int_equal(site->status, MP_SITE_FAILED);
	assert_non_null(strstr(site->reason, "IFUNC"));
	assert_false(site->with_return);
}

static const char throwers[] =
	"__asm__(\".type _Z4leftv,@function\\n.type plain,@function\\n.type "
	"_Z5nevers,@function\\n\"\n"
	"\"_Z4leftv: push %rbx\\ntest %rdi, %rdi\\nje 1f\\npop %rbx\\nret\\n\"\n"
	"\"1: pop %rbx\\njmp plain\\n.size _Z4leftv, .-_Z4leftv\\n\"\n"
	"\"plain: push %rbx\\npop %rbx\\nret\\n.size plain, .-plain\\n\"\n"
	"\"_Z5nevers: push %rbx\\ncall plain\\nud2\\n.size _Z5nevers, .-_Z5nevers\");";

/* A return address that is replaced would be in the way of an exception. */
static void test_functions_that_may_throw(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;

	compile(dir, "throwers", LIBRARY, throwers);
	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: a, level: low, symbol: left}\n"
			   "  - {name: b, level: low, symbol: plain}\n"
			   "  - {name: c, level: low, symbol: never}\n");
	assert_int_equal(resolve(&run, dir, "throwers", "throwers"), 3);
	site = find_site(&run.sites, 0, "left()");
	assert_true(site->with_return);
	assert_int_equal(site->n_exits, 2);
	assert_int_equal(site->exits[0], site->offset + 7); /* push 1, test 3, je 2, pop 1 */
	assert_int_equal(site->exits[1], site->offset + 9); /* ret 1, pop 1 */
	assert_null(site->risk);
	site = find_site(&run.sites, 1, "plain");
	assert_true(site->with_return);
	assert_int_equal(site->n_exits, 0);
	site = find_site(&run.sites, 2, "never(short)");
	assert_false(site->with_return);
	assert_int_equal(site->n_exits, 0);
	assert_non_null(strstr(site->risk, "returns are not probed"));
	assert_int_equal(site->status, MP_SITE_ATTACHED);
}

static void test_no_instruction(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;

	compile(dir, "odd", LIBRARY,
		"__asm__(\".globl broken, trap\\n.type broken,@function\\n.type trap,@function\\n"
		"trap: int3\\nret\\n.size trap, 2\\nbroken: .byte 0x06, 0x06\\n.size broken, "
		"2\");");
	parse(&run.points,
	      "version: 1\npoints:\n  - {name: a, level: low, symbol: [broken, trap]}\n");
	assert_int_equal(resolve(&run, dir, "odd", "odd"), 2);
	site = find_site(&run.sites, 0, "broken");
	assert_int_equal(site->status, MP_SITE_FAILED);
	assert_string_equal(site->reason, "there is no instruction at its start");
	site = find_site(&run.sites, 0, "trap");
	assert_int_equal(site->status, MP_SITE_FAILED);
	assert_string_equal(site->reason, "the kernel does not probe its first instruction");
}

static void test_go(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;

	compile(dir, "lib", LIBRARY, functions);
	shell(dir, "objcopy --add-section .go.buildinfo=lib.c lib golib");
	parse(&run.points, "version: 1\npoints:\n  - {name: a, level: low, symbol: load_model}\n");
	assert_int_equal(resolve(&run, dir, "golib", "golib"), 1);
	assert_true(run.flags & MP_ELF_IS_GO);
	site = find_site(&run.sites, 0, "load_model");
	assert_int_equal(site->status, MP_SITE_ATTACHED);
	assert_false(site->with_return);
	assert_non_null(strstr(site->risk, "Go"));
}

/* --- USDT -------------------------------------------------------------------------- */

static const char usdt_source[] =
	"#define NOTE(site, sema, name, args) __asm__( \\\n"
	"\".pushsection .note.stapsdt,\\\"\\\",@note\\n.balign 4\\n\" \\\n"
	"\".4byte 8, 2f-1f, 3\\n.asciz \\\"stapsdt\\\"\\n\" \\\n"
	"\"1: .8byte \" #site \", 0, \" #sema \"\\n.asciz \\\"app\\\"\\n\" \\\n"
	"\".asciz \\\"\" name \"\\\"\\n.asciz \\\"\" args \"\\\"\\n2: .balign 4\\n.popsection\")\n"
	"__asm__(\".globl first, second, long_nop\\nfirst: nop\\nsecond: nop\\n\"\n"
	"\"long_nop: .byte 0x0f, 0x1f, 0x44, 0, 0\\nmov -8(%rsp), %rax\\nret\\n\"\n"
	"\"bare_nop: .byte 0x0f, 0x1f, 0x44, 0, 0\\nret\\n\"\n"
	"\".pushsection .probes,\\\"aw\\\"\\nsema: .short 0\\n.popsection\");\n"
	"NOTE(first, sema, \"load\", \"8@%rdi -4@-20(%rbp) 4@$-7\");\n"
	"NOTE(second, 0, \"load\", \"8@%rsi 8@8(%rsp) 1@$1\");\n"
	"NOTE(second, 0, \"few\", \"8@%rdi\");\n"
	"NOTE(second, 0, \"sse\", \"8@%xmm0\");\n"
	"NOTE(long_nop, 0, \"nop5\", \"8@%rdi\");\n"
	"NOTE(bare_nop, 0, \"bare\", \"8@%rdi\");\n"
	"void _start(void) {}\n";

static void check_usdt_arg(const struct mp_usdt_arg *arg, enum mp_usdt_arg_kind kind, int bytes,
			   bool is_signed, int64_t value)
{
	assert_int_equal(arg->kind, kind);
	assert_int_equal(arg->bytes, bytes);
	assert_int_equal(arg->is_signed, is_signed);
	assert_int_equal(arg->value, value);
}

static void test_usdt(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};
	const struct mp_site *site;
	uint64_t first;

	compile(dir, "app", "-no-pie -static", usdt_source);
	parse(&run.points,
	      "version: 1\npoints:\n"
	      "  - name: a\n    level: low\n    usdt: 'app:load'\n"
	      "    args: [{index: 3, name: c, type: s64}, {index: 2, name: b, type: s64},"
	      " {index: 1, name: a, type: u64}]\n");
	first = offset_of(dir, "app", "_start"); /* any: both are in .text */
	assert_int_equal(resolve(&run, dir, "app", "app"), 2);
	site = &run.sites.items[0];
	assert_int_equal(site->kind, MP_SITE_USDT);
	assert_int_equal(site->status, MP_SITE_ATTACHED);
	assert_string_equal(site->symbol, "app:load");
	assert_true(site->offset >= first - 64 && site->offset <= first + 64);
	assert_int_not_equal(site->semaphore_offset, 0);
	assert_false(site->with_return);
	assert_int_equal(site->insn.class, MP_INSN_EMULATED);
	check_usdt_arg(&site->usdt.args[0], MP_USDT_CONST, 4, false, -7);
	check_usdt_arg(&site->usdt.args[1], MP_USDT_DEREF, 4, true, -20);
	check_usdt_arg(&site->usdt.args[2], MP_USDT_REG, 8, false, 0);
	assert_int_equal(site->usdt.args[3].kind, MP_USDT_NONE);
	site = &run.sites.items[1];
	assert_int_equal(site->offset, run.sites.items[0].offset + 1);
	assert_int_equal(site->semaphore_offset, 0);
	check_usdt_arg(&site->usdt.args[0], MP_USDT_CONST, 1, false, 1);
	check_usdt_arg(&site->usdt.args[1], MP_USDT_DEREF, 8, false, 8);
	assert_int_not_equal(site->usdt.args[2].reg, run.sites.items[0].usdt.args[2].reg);
}

static void test_usdt_refused(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "app", "-no-pie -static", usdt_source);
	parse(&run.points, "version: 1\npoints:\n"
			   "  - {name: few, level: low, usdt: 'app:few',"
			   " args: [{index: 2, name: x, type: u64}]}\n"
			   "  - {name: sse, level: low, usdt: 'app:sse',"
			   " args: [{index: 1, name: x, type: u64}]}\n"
			   "  - {name: unasked, level: low, usdt: 'app:sse'}\n"
			   "  - {name: nop5, level: low, usdt: 'app:nop5'}\n"
			   "  - {name: other, level: low, usdt: 'app:loa'}\n"
			   "  - {name: provider, level: low, usdt: 'ap:load'}\n"
			   "  - {name: binary, level: low, usdt: 'lib*:app:load'}\n"
			   "  - {name: bare, level: low, usdt: 'app:bare'}\n");
	assert_int_equal(resolve(&run, dir, "app", "app"), 5);
	assert_non_null(strstr(find_site(&run.sites, 0, "app:few")->reason, "argument"));
	assert_non_null(strstr(find_site(&run.sites, 1, "app:sse")->reason, "argument"));
	assert_int_equal(find_site(&run.sites, 1, "app:sse")->status, MP_SITE_FAILED);
	assert_int_equal(find_site(&run.sites, 2, "app:sse")->status, MP_SITE_ATTACHED);
	assert_int_equal(find_site(&run.sites, 3, "app:nop5")->status, MP_SITE_FAILED);
	assert_non_null(strstr(find_site(&run.sites, 3, "app:nop5")->reason, "red zone"));
	/* Nothing that it keeps is needed any more. */
	assert_int_equal(find_site(&run.sites, 7, "app:bare")->status, MP_SITE_ATTACHED);
}

static void test_usdt_too_many(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "app", "-no-pie -static", usdt_source);
	parse(&run.points,
	      "version: 1\npoints:\n  - {name: a, level: low, usdt: 'app:load', max_sites: 1}\n");
	assert_int_equal(resolve(&run, dir, "app", "app"), -E2BIG);
	assert_int_equal(run.err.exit_code, MP_EXIT_CONFIG);
	assert_non_null(strstr(run.err.text, "point \"a\" matches 2 "));
	assert_int_equal(run.sites.n, 0);
}

/* Two patterns may name the same note: one probe. */
static void test_usdt_named_twice(void **state)
{
	const struct dir *dir = *state;
	RUN run = {.flags = 0};

	compile(dir, "app", "-no-pie -static", usdt_source);
	parse(&run.points,
	      "version: 1\npoints:\n  - {name: a, level: low, usdt: ['app:few', 'a*:app:few']}\n");
	assert_int_equal(resolve(&run, dir, "app", "app"), 1);
}

/* --- the prober --------------------------------------------------------------------- */

struct probing {
	struct mp_fsroot fs;
	struct mp_points points;
	struct mp_features features;
	struct mp_prober *prober;
	struct mp_text events; /* "POINT STATUS SYMBOL[ (REASON)]", one a line */
	struct mp_error err;
};

static int on_event(void *data, const struct mp_event *event)
{
	struct probing *p = data;
	const struct mp_event_site *s = &event->site;

	assert_int_equal(event->type, MP_EVENT_SITE);
	mp_text_printf(&p->events, "%s %s %s", s->point, mp_site_status_name(s->status),
		       s->symbol ? s->symbol : "-");
	if (s->reason)
		mp_text_printf(&p->events, " (%s)", s->reason);
	mp_text_putc(&p->events, '\n');
	return 0;
}

static void start_probing(struct probing *p, const char *yaml)
{
	struct mp_prober_options o = {.emit = on_event, .data = p};

	*p = (struct probing){.fs = {""}};
	parse(&p->points, yaml);
	o.fs = &p->fs;
	o.points = &p->points;
	o.features = &p->features;
	p->prober = mp_prober_new(&o);
	assert_non_null(p->prober);
}

static void end_probing(struct probing *p)
{
	mp_prober_free(p->prober);
	mp_points_free(&p->points);
	mp_text_free(&p->events);
}
#define PROBING MP_CLEANUP(end_probing) struct probing

static int add_path(struct probing *p, const struct dir *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return mp_prober_add_path(p->prober, path, false, &p->err);
}

static void check_events(struct probing *p, const char *expected)
{
	assert_int_equal(mp_prober_attach(p->prober), 0);
	mp_prober_emit(p->prober);
	mp_prober_emit_waiting(p->prober);
	assert_string_equal(p->events.data ? p->events.data : "", expected);
	mp_text_reset(&p->events);
}

static void test_seen_twice(void **state)
{
	const struct dir *dir = *state;
	PROBING p;
	struct stat st;
	char path[PATH_MAX];

	compile(dir, "lib", LIBRARY, functions);
	shell(dir, "ln lib hard && ln -s lib soft && cp lib copy");
	start_probing(&p, "version: 1\npoints:\n  - {name: a, level: low, symbol: load_model}\n");
	snprintf(path, sizeof(path), "%s/lib", dir->path);
	assert_int_equal(stat(path, &st), 0);
	assert_false(mp_prober_knows(p.prober, st.st_dev, st.st_ino));
	assert_int_equal(add_path(&p, dir, "lib"), 0);
	assert_true(mp_prober_knows(p.prober, st.st_dev, st.st_ino));
	assert_false(mp_prober_knows(p.prober, st.st_dev + 1, st.st_ino));
	assert_int_equal(add_path(&p, dir, "lib"), 0);
	assert_int_equal(add_path(&p, dir, "hard"), 0);
	assert_int_equal(add_path(&p, dir, "soft"), 0);
	assert_int_equal(mp_prober_sites(p.prober)->n, 1);
	assert_int_equal(mp_prober_sites(p.prober)->items[0].dev, st.st_dev);
	assert_int_equal(mp_prober_sites(p.prober)->items[0].ino, st.st_ino);
	/* Told once, when attached. */
	mp_prober_emit(p.prober);
	assert_int_equal(p.events.len, 0);
	check_events(&p, "a attached load_model\n");
	check_events(&p, "");
	/* Another file with the same content is another place. */
	assert_int_equal(add_path(&p, dir, "copy"), 0);
	check_events(&p, "a attached load_model\n");
	assert_int_equal(mp_prober_point_sites(p.prober, 0), 2);
}

static void test_nothing_there(void **state)
{
	const struct dir *dir = *state;
	PROBING p;

	shell(dir, "echo text >text");
	start_probing(&p, "version: 1\npoints:\n"
			  "  - {name: a, level: low, symbol: load_model}\n"
			  "  - {name: b, level: low, python: a.b.c}\n");
	assert_int_equal(add_path(&p, dir, "absent"), -ENOENT);
	/* What is no ELF file has no functions: no error. */
	assert_int_equal(add_path(&p, dir, "text"), 0);
	check_events(&p,
		     "a waiting - (not in the 1 files mapped so far)\n"
		     "b waiting - (a Python function: native symbols and USDT are probed, give it "
		     "a symbol)\n");
}

static void test_stripped(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];
	struct mp_binary binary = {
		.path = "/srv/server", .open_path = path, .root = "", .dev = 1, .ino = 2};
	PROBING p;

	compile(dir, "exe", "-no-pie -static -Wl,--build-id=none",
		"int load_model(int x) { return x; } void _start(void) {}");
	shell(dir, "strip -o bare exe");
	snprintf(path, sizeof(path), "%s/bare", dir->path);
	start_probing(&p, "version: 1\npoints:\n  - {name: a, level: low, symbol: load_model}\n");
	binary.is_exe = true;
	assert_int_equal(mp_prober_add_binary(p.prober, &binary, &p.err), 0);
	check_events(&p, "a waiting - (not in the 1 files mapped; /srv/server is stripped: its "
			 "debug symbols may help)\n");
}

static void test_refused_sites_do_not_count(void **state)
{
	const struct dir *dir = *state;
	PROBING p;

	compile(dir, "lib", LIBRARY, functions);
	start_probing(&p, "version: 1\npoints:\n  - {name: a, level: low, symbol: chosen}\n");
	assert_int_equal(add_path(&p, dir, "lib"), 0);
	check_events(&p, "a failed chosen (an IFUNC resolver that runs once at load: name the "
			 "implementation instead)\n");
	assert_int_equal(mp_prober_point_sites(p.prober, 0), 0);
}

static void test_prober_too_many(void **state)
{
	const struct dir *dir = *state;
	PROBING p;

	compile(dir, "lib", LIBRARY, functions);
	start_probing(&p, "version: 1\npoints:\n"
			  "  - {name: a, level: low, symbol: 'alloc_?', max_sites: 1}\n");
	assert_int_equal(add_path(&p, dir, "lib"), -E2BIG);
	assert_int_equal(p.err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(mp_prober_sites(p.prober)->n, 0);
}

/* A file that a glob names with its whole path is looked at before anyone maps it. */
static void test_candidates(void **state)
{
	const struct dir *dir = *state;
	char yaml[512];
	PROBING p;

	compile(dir, "libone.so", LIBRARY, functions);
	compile(dir, "libtwo.so", LIBRARY, functions);
	shell(dir, "echo text >libthree.so && ln -s nowhere libfour.so");
	snprintf(yaml, sizeof(yaml),
		 "version: 1\npoints:\n"
		 "  - {name: a, level: low, symbol: '%s/lib*.so:load_model'}\n"
		 "  - {name: b, level: low, symbol: 'no-such-library.so:f'}\n",
		 dir->path);
	start_probing(&p, yaml);
	assert_int_equal(mp_prober_add_candidates(p.prober, &p.err), 0);
	check_events(&p, "a attached load_model\na attached load_model\n"
			 "b waiting - (not in the 3 files mapped so far)\n");
	assert_int_equal(mp_prober_add_candidates(p.prober, &p.err), 0);
	check_events(&p, "b waiting - (not in the 3 files mapped so far)\n");
}

__attribute__((noinline, used)) static int own_function_of_test_resolve(int x)
{
	return x + 1;
}

static void test_own_process(void **state)
{
	PROBING p;
	char path[PATH_MAX] = "";

	(void)state;
	start_probing(&p, "version: 1\npoints:\n"
			  "  - {name: a, level: low, symbol: own_function_of_test_resolve}\n");
	assert_int_equal(mp_prober_add_process(p.prober, getpid(), &p.err), 0);
	assert_int_equal(mp_prober_add_process(p.prober, getpid(), &p.err), 0);
	assert_int_equal(mp_prober_point_sites(p.prober, 0), 1);
	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	assert_string_equal(mp_prober_sites(p.prober)->items[0].binary, path);
	/* No process has the last number that a pid can have. */
	assert_int_equal(mp_prober_add_process(p.prober, INT_MAX, &p.err), -ESRCH);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_several_points),
		IN_DIR(test_binary_globs),
		IN_DIR(test_no_point_for_the_file),
		IN_DIR(test_not_elf),
		IN_DIR(test_named_twice),
		IN_DIR(test_landing_pad),
		IN_DIR(test_landing_pad_named_twice),
		IN_DIR(test_cxx_names),
		IN_DIR(test_too_many),
		IN_DIR(test_ifunc),
		IN_DIR(test_functions_that_may_throw),
		IN_DIR(test_no_instruction),
		IN_DIR(test_go),
		IN_DIR(test_usdt),
		IN_DIR(test_usdt_refused),
		IN_DIR(test_usdt_too_many),
		IN_DIR(test_usdt_named_twice),
		IN_DIR(test_seen_twice),
		IN_DIR(test_nothing_there),
		IN_DIR(test_stripped),
		IN_DIR(test_refused_sites_do_not_count),
		IN_DIR(test_prober_too_many),
		IN_DIR(test_candidates),
		cmocka_unit_test(test_own_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
