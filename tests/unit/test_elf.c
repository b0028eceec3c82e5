// SPDX-License-Identifier: GPL-2.0-only
/* On files that the compiler makes here, each with what one test is about. */
#include "elf/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "workdir.h"

#define FLAGS "-O1 -nostdlib -fcf-protection=full -fno-asynchronous-unwind-tables "

/* --- fixtures --------------------------------------------------------------- */

static void need(const char *tool)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", tool);
	if (system(command) != 0) {
		print_message("needs %s\n", tool);
		skip();
	}
}

static void write_file(const struct dir *dir, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX];
	MP_FCLOSE FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

/* Compiles `source` to NAME with the flags given, beyond FLAGS. */
static void compile(const struct dir *dir, const char *compiler, const char *name,
		    const char *flags, const char *source)
{
	char file[64];

	need(compiler);
	snprintf(file, sizeof(file), "%s.%s", name, strcmp(compiler, "gcc") == 0 ? "c" : "cc");
	write_file(dir, file, source, strlen(source));
	shell(dir, "%s " FLAGS "%s -o %s %s", compiler, flags, name, file);
}

static int try_open(const struct dir *dir, const char *name, const char *root, struct mp_elf **ret,
		    struct mp_error *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return mp_elf_open(path, root, ret, err);
}

static struct mp_elf *open_in(const struct dir *dir, const char *name, const char *root)
{
	struct mp_elf *elf = NULL;

	assert_int_equal(try_open(dir, name, root, &elf, NULL), 0);
	return elf;
}

/* What a match reports: "PATTERN=NAME" or "PATTERN=NAME<DEMANGLED>", each with a space behind it.
 */
struct hits {
	struct mp_text text;
	struct mp_elf_symbol last;
	unsigned int n;
	unsigned int stop_at;
};

static int hit(void *data, size_t pattern, const struct mp_elf_symbol *symbol)
{
	struct hits *hits = data;

	mp_text_printf(&hits->text, "%zu=%s", pattern, symbol->name);
	if (symbol->demangled)
		mp_text_printf(&hits->text, "<%s>", symbol->demangled);
	mp_text_putc(&hits->text, ' ');
	hits->last = *symbol;
	hits->last.demangled = NULL; /* ends with this call */
	return ++hits->n == hits->stop_at ? 42 : 0;
}

static void hits_free(struct hits *hits)
{
	mp_text_free(&hits->text);
}
#define HITS MP_CLEANUP(hits_free) struct hits

static void check_match(struct mp_elf *elf, const char *pattern, const char *expected)
{
	HITS hits = {.n = 0};

	assert_int_equal(mp_elf_match(elf, &pattern, 1, hit, &hits), 0);
	assert_string_equal(hits.text.data ? hits.text.data : "", expected);
}

static struct mp_elf_symbol find(struct mp_elf *elf, const char *name)
{
	HITS hits = {.n = 0};

	assert_int_equal(mp_elf_match(elf, &name, 1, hit, &hits), 0);
	assert_int_equal(hits.n, 1);
	return hits.last;
}

/* --- opening ------------------------------------------------------------------ */

static void check_refused(const struct dir *dir, const char *name, int expected)
{
	struct mp_elf *elf = NULL;
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	assert_int_equal(try_open(dir, name, "", &elf, &err), expected);
	assert_null(elf);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	assert_non_null(strstr(err.text, name));
}

static void test_not_elf(void **state)
{
	const struct dir *dir = *state;
	Elf64_Ehdr header = {.e_ident = ELFMAG};

	write_file(dir, "empty", "", 0);
	write_file(dir, "text", "#!/bin/sh\n", 10);
	write_file(dir, "magic", ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	header.e_version = EV_CURRENT;
	header.e_type = ET_EXEC;
	header.e_machine = EM_S390;
	header.e_ehsize = sizeof(header);
	write_file(dir, "foreign", &header, sizeof(header));
	header.e_machine = mp_arch_elf_machine();
	write_file(dir, "no_segments", &header, sizeof(header));
	header.e_phoff = 1UL << 62;
	header.e_phnum = 0xfff0;
	header.e_phentsize = sizeof(Elf64_Phdr);
	header.e_shoff = UINT64_MAX - 8;
	header.e_shnum = 0xfff0;
	write_file(dir, "wild", &header, sizeof(header));
	shell(dir, "mkdir -p folder && mkfifo fifo");

	check_refused(dir, "absent", -ENOENT);
	check_refused(dir, "empty", -ENOEXEC);
	check_refused(dir, "text", -ENOEXEC);
	check_refused(dir, "magic", -ENOEXEC);
	check_refused(dir, "foreign", -ENOEXEC);
	check_refused(dir, "no_segments", -ENOEXEC);
	check_refused(dir, "wild", -ENOEXEC);
	check_refused(dir, "folder", -ENOEXEC);
	check_refused(dir, "fifo", -ENOEXEC);
}

static void test_cut_anywhere(void **state)
{
	const struct dir *dir = *state;
	char path[PATH_MAX];
	struct stat st;

	compile(dir, "gcc", "whole", "-shared -fPIC", "int f(int x) { return x; }");
	snprintf(path, sizeof(path), "%s/whole", dir->path);
	assert_int_equal(stat(path, &st), 0);
	for (off_t len = st.st_size; len >= 0; len -= 97) {
		MP_ELF struct mp_elf *elf = NULL;
		HITS hits = {.n = 0};
		const char *pattern = "*";

		assert_int_equal(truncate(path, len), 0);
		if (mp_elf_open(path, "", &elf, NULL) == 0)
			assert_int_equal(mp_elf_match(elf, &pattern, 1, hit, &hits), 0);
		assert_true(len < st.st_size || hits.n == 1);
	}
}

static void test_flags(void **state)
{
	const struct dir *dir = *state;
	static const char source[] = "int f(int x) { return x; } void _start(void) {}";

	compile(dir, "gcc", "exe", "-no-pie -static", source);
	compile(dir, "gcc", "lib", "-shared -fPIC", source);
	shell(dir, "strip -o bare lib && objcopy --add-section .go.buildinfo=exe.c exe goexe");
	{
		MP_ELF struct mp_elf *exe = open_in(dir, "exe", "");
		MP_ELF struct mp_elf *lib = open_in(dir, "lib", "");
		MP_ELF struct mp_elf *bare = open_in(dir, "bare", "");
		MP_ELF struct mp_elf *goexe = open_in(dir, "goexe", "");

		assert_int_equal(mp_elf_flags(exe), MP_ELF_HAS_SYMTAB);
		assert_int_equal(mp_elf_flags(lib), MP_ELF_HAS_SYMTAB | MP_ELF_IS_PIE);
		assert_int_equal(mp_elf_flags(bare), MP_ELF_IS_PIE);
		assert_int_equal(mp_elf_flags(goexe), MP_ELF_HAS_SYMTAB | MP_ELF_IS_GO);
	}
}

/* --- symbols ------------------------------------------------------------------ */

static const char names_source[] =
	"int undefined_one(int);\n"
	"int variable_load = 1;\n"
	"static __attribute__((noinline)) int local_load(int x) { return x * 3; }\n"
	"int load_model(int x) { return local_load(x) + undefined_one(x) + variable_load; }\n"
	"int load_alias(int) __attribute__((alias(\"load_model\")));\n"
	"static int hidden_alias(int) __attribute__((alias(\"load_model\"), used));\n"
	"static void *pick(void) { return load_model; }\n"
	"int chosen(int) __attribute__((ifunc(\"pick\")));\n";

static void test_match_names(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "gcc", "names", "-shared -fPIC", names_source);
	elf = open_in(dir, "names", "");
	check_match(elf, "load_model", "0=load_model ");
	check_match(elf, "local_load", "0=local_load ");
	check_match(elf, "hidden_alias", "0=hidden_alias ");
	assert_true(find(elf, "load_*").size > 0); /* both are one */
	check_match(elf, "loa?_[a-m]odel", "0=load_model ");
	check_match(elf, "hidden_*", "0=hidden_alias ");
	check_match(elf, "load_model*x", "");
	check_match(elf, "LOAD_MODEL", "");
	check_match(elf, "load_mode", "");
	check_match(elf, "", "");
	check_match(elf, "undefined_one", "");
	check_match(elf, "variable_load", "");
	assert_true(find(elf, "chosen").is_ifunc);
	assert_false(find(elf, "load_model").is_ifunc);
	assert_true(find(elf, "load_model").size > 0);
}

/* Of the aliases of one offset a global one is told, even if a local one is first in the table. */
static void test_match_aliases(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	HITS hits = {.n = 0};
	static const char *const patterns[] = {"*_alias", "load_alias", "*_alias", "local_load"};

	compile(dir, "gcc", "aliases", "-shared -fPIC", names_source);
	elf = open_in(dir, "aliases", "");
	assert_int_equal(mp_elf_match(elf, patterns, 4, hit, &hits), 0);
	assert_int_equal(hits.n, 4);
	assert_non_null(strstr(hits.text.data, "0=load_alias "));
	assert_non_null(strstr(hits.text.data, "1=load_alias "));
	assert_non_null(strstr(hits.text.data, "2=load_alias "));
	assert_non_null(strstr(hits.text.data, "3=local_load "));
}

static void test_match_stops(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	HITS hits = {.stop_at = 2};
	const char *pattern = "*";

	compile(dir, "gcc", "stops", "-shared -fPIC", names_source);
	elf = open_in(dir, "stops", "");
	assert_int_equal(mp_elf_match(elf, &pattern, 1, hit, &hits), 42);
	assert_int_equal(hits.n, 2);
	assert_int_equal(mp_elf_match(elf, &pattern, 0, hit, &hits), 0);
	assert_int_equal(hits.n, 2);
}

#define PART(name)                                                                                 \
	"__asm__(\".type " name ",@function\\n" name ": nop; ret\\n.size " name ", 2\");\n"

/* They are jumped to: a return probe there would overwrite whatever is on the stack. */
static void test_cold_parts_are_no_functions(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "gcc", "cold", "-shared -fPIC",
		"int load(int x) { return x; } int load_cold(int x) { return x + 1; }\n"
		"int _ZN2ns4loadEi(int x) { return x + 2; }\n" PART("load.cold") PART("load.cold.7")
			PART("load.part.0.cold") PART("load.colder.cold") PART("_ZN2ns4loadEi.cold")
				PART("_ZN2ns4loadEi.isra.0.cold") PART("load.colder")
					PART("load.part.0"));
	elf = open_in(dir, "cold", "");
	check_match(elf, "load", "0=load ");
	check_match(elf, "ns::load", "0=_ZN2ns4loadEi<ns::load(int)> ");
	check_match(elf, "ns::*", "0=_ZN2ns4loadEi<ns::load(int)> ");
	check_match(elf, "load.cold", "");
	check_match(elf, "load.p*", "0=load.part.0 ");
	check_match(elf, "load.c*", "0=load.colder ");
	check_match(elf, "load_c*", "0=load_cold ");
}

/* The address space of a program that is not PIE differs from the file's. */
static void test_offsets(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	struct mp_elf_symbol symbol;
	uint8_t code[3];

	compile(dir, "gcc", "fixed", "-no-pie -static",
		"void _start(void) {} __asm__(\".globl mark\\n.type mark,@function\\n"
		"mark: .byte 0xc3, 0x11, 0x22\\n.size mark, 3\");");
	elf = open_in(dir, "fixed", "");
	symbol = find(elf, "mark");
	assert_int_not_equal(symbol.addr, symbol.offset);
	assert_int_equal(symbol.size, 3);
	assert_int_equal(mp_elf_code(elf, symbol.offset, code, sizeof(code)), 3);
	assert_memory_equal(code, "\xc3\x11\x22", 3);
	assert_int_equal(mp_elf_code(elf, 1UL << 40, code, sizeof(code)), -ERANGE);
	assert_int_equal(mp_elf_code(elf, UINT64_MAX, code, sizeof(code)), -ERANGE);
}

static void test_versions(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	write_file(dir, "map", "V1 { };\nV2 { } V1;\n", 19);
	compile(dir, "gcc", "versions", "-shared -fPIC -Wl,--version-script=map",
		"__asm__(\".symver old_load,load@V1\"); __asm__(\".symver new_load,load@@V2\");\n"
		"int old_load(int x) { return x; } int new_load(int x) { return x + 1; }");
	elf = open_in(dir, "versions", "");
	check_match(elf, "load", "0=load@V1 0=load@@V2 ");
	check_match(elf, "load@@V2", "0=load@@V2 ");
	check_match(elf, "load@V1", "0=load@V1 ");
	check_match(elf, "*@V1", "0=load@V1 ");
	check_match(elf, "loa[d]", "0=load@V1 0=load@@V2 ");
	check_match(elf, "load@V3", "");
}

/* Names are shown by others; here they only have to be kept apart and in bounds. */
static void test_hostile_names(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "gcc", "hostile", "-shared -fPIC",
		"int aNb(void) { return 1; } int xE_31m(void) { return 2; } int FE(void) { return "
		"3; }");
	shell(dir, "LC_ALL=C sed -i 's/aNb/a\\nb/g; s/xE_31m/x\\x1b[31m/g; "
		   "s/\\x00FE\\x00/\\x00\\xff\\xfe\\x00/g' "
		   "hostile");
	elf = open_in(dir, "hostile", "");
	check_match(elf, "a\nb", "0=a\nb ");
	check_match(elf, "a?b", "0=a\nb ");
	check_match(elf, "x\033*", "0=x\033[31m ");
	check_match(elf, "\377\376", "0=\377\376 ");
}

static const char cxx_source[] =
	"#define KEEP __attribute__((noinline, used))\n"
	"KEEP int load_model(int x) { return x; }\n"
	"namespace ns { KEEP int load_model(int x) { return x + 1; }\n"
	"KEEP int f(const char *p, int x) { return *p + x; }\n"
	"struct S { int v; KEEP bool operator==(const S &o) const { return v == o.v; }\n"
	"KEEP int operator[](int i) { return i + v; } KEEP int operator()(int i) { return i; } };\n"
	"template <typename T> KEEP T pass(T x) { return x; } template int pass<int>(int); }\n"
	"namespace { KEEP int inner(int x) { return x * 7; } }\n"
	"KEEP int alloc(int x) { return inner(x); }\n"
	"typedef __SIZE_TYPE__ size; KEEP void *operator new(size n) { return (void *)n; }\n";

static void test_cxx(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "g++", "cxx", "-shared -fPIC -fno-exceptions", cxx_source);
	elf = open_in(dir, "cxx", "");
	check_match(elf, "load_model", "0=_Z10load_modeli<load_model(int)> ");
	check_match(elf, "load_model(int)", "0=_Z10load_modeli<load_model(int)> ");
	check_match(elf, "_Z10load_modeli", "0=_Z10load_modeli<load_model(int)> ");
	check_match(elf, "ns::load_model", "0=_ZN2ns10load_modelEi<ns::load_model(int)> ");
	check_match(elf, "ns::load_model(long)", "");
	check_match(elf, "*load_model*",
		    "0=_Z10load_modeli<load_model(int)> "
		    "0=_ZN2ns10load_modelEi<ns::load_model(int)> ");
	check_match(elf, "*::load_mod?l", "0=_ZN2ns10load_modelEi<ns::load_model(int)> ");
	check_match(elf, "ns::f(char const*, int)", "0=_ZN2ns1fEPKci<ns::f(char const*, int)> ");
	check_match(elf, "ns::f", "0=_ZN2ns1fEPKci<ns::f(char const*, int)> ");
	check_match(elf, "f", "");
	check_match(elf, "alloc", "0=_Z5alloci<alloc(int)> ");
	check_match(elf, "al*c(int)", "0=_Z5alloci<alloc(int)> ");
}

static void test_cxx_special_names(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "g++", "special", "-shared -fPIC -fno-exceptions", cxx_source);
	elf = open_in(dir, "special", "");
	check_match(elf, "ns::S::operator==",
		    "0=_ZNK2ns1SeqERKS0_<ns::S::operator==(ns::S const&) const> ");
	check_match(elf, "ns::S::operator==(ns::S const&) const",
		    "0=_ZNK2ns1SeqERKS0_<ns::S::operator==(ns::S const&) const> ");
	check_match(elf, "ns::S::operator[]", "0=_ZN2ns1SixEi<ns::S::operator[](int)> ");
	check_match(elf, "ns::S::operator()", "0=_ZN2ns1SclEi<ns::S::operator()(int)> ");
	check_match(elf, "ns::pass<int>", "0=_ZN2ns4passIiEET_S1_<int ns::pass<int>(int)> ");
	check_match(elf, "ns::pass<int>(int)", "0=_ZN2ns4passIiEET_S1_<int ns::pass<int>(int)> ");
	check_match(elf, "int ns::pass<int>(int)",
		    "0=_ZN2ns4passIiEET_S1_<int ns::pass<int>(int)> ");
	check_match(elf, "ns::pass<*", "0=_ZN2ns4passIiEET_S1_<int ns::pass<int>(int)> ");
	check_match(elf, "(anonymous namespace)::inner",
		    "0=_ZN12_GLOBAL__N_15innerEi<(anonymous namespace)::inner(int)> ");
	check_match(elf, "operator new(unsigned long)", "0=_Znwm<operator new(unsigned long)> ");
	check_match(elf, "operator new*", "0=_Znwm<operator new(unsigned long)> ");
	check_match(elf, "*signed l*", "0=_Znwm<operator new(unsigned long)> ");
}

#define OLD_RUST "_ZN51_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$my..Tr$GT$3run17h0123456789abcdefE"

static void test_rust(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;

	compile(dir, "gcc", "rust", "-shared -fPIC",
		"int a(void) __asm__(\"_ZN4core3fmt5write17h0123456789abcdefE\");\n"
		"int a(void) { return 1; }\n"
		"int b(void) __asm__(\"_RNvCs1234_7mycrate3foo\"); int b(void) { return 2; }\n"
		"int c(void) __asm__(\"" OLD_RUST "\"); int c(void) { return 3; }\n");
	elf = open_in(dir, "rust", "");
	check_match(elf, "core::fmt::write",
		    "0=_ZN4core3fmt5write17h0123456789abcdefE<core::fmt::write> ");
	check_match(elf, "*::foo", "0=_RNvCs1234_7mycrate3foo<mycrate::foo> ");
	check_match(elf, "mycrate::foo", "0=_RNvCs1234_7mycrate3foo<mycrate::foo> ");
	check_match(elf, "<alloc::vec::Vec<T> as my::Tr>::run",
		    "0=" OLD_RUST "<<alloc::vec::Vec<T> as my::Tr>::run> ");
	check_match(elf, "<alloc::*::run", "0=" OLD_RUST "<<alloc::vec::Vec<T> as my::Tr>::run> ");
}

/* Every kind of pattern at once, among names that differ in one character. */
static void test_many_patterns(void **state)
{
	const struct dir *dir = *state;
	MP_TEXT struct mp_text source = {0};
	MP_ELF struct mp_elf *elf = NULL;
	char names[1000][24];
	const char *patterns[1000];
	HITS hits = {.n = 0};

	for (unsigned int i = 0; i < 700; i++)
		mp_text_printf(&source, "int %s%u(int x) { return x + %u; }\n",
			       i % 2 ? "plain_" : "_Z6mangle", i, i);
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof(names[i]), "%s%u", i % 2 ? "plain_" : "mangle(", i);
		patterns[i] = names[i];
	}
	patterns[0] = "plain_69*";
	patterns[2] = "plain_1";
	compile(dir, "gcc", "many", "-shared -fPIC", source.data);
	elf = open_in(dir, "many", "");
	assert_int_equal(mp_elf_match(elf, patterns, MP_ARRAY_SIZE(patterns), hit, &hits), 0);
	/* 350 by their names, plain_1 once more, and plain_69, 691, 693, 695, 697, 699 by the glob
	 */
	assert_int_equal(hits.n, 350 + 1 + 6);
	for (unsigned int i = 1; i < 700; i += 2) {
		char expected[64];

		snprintf(expected, sizeof(expected), "%u=plain_%u ", i, i);
		assert_non_null(strstr(hits.text.data, expected));
	}
	assert_non_null(strstr(hits.text.data, "0=plain_699 "));
	assert_non_null(strstr(hits.text.data, "2=plain_1 "));
}

/* --- debug files ---------------------------------------------------------------- */

static const char debug_source[] =
	"static __attribute__((noinline, used)) int only_debug(int x) { return x * 5; }\n"
	"int exported(int x) { return only_debug(x); }\n";

static void make_stripped(const struct dir *dir, const char *name, const char *flags)
{
	compile(dir, "gcc", name, flags, debug_source);
	shell(dir,
	      "objcopy --only-keep-debug %s %s.debug && strip --strip-all %s && "
	      "objcopy --add-gnu-debuglink=%s.debug %s",
	      name, name, name, name, name);
}

static void check_debug(const struct dir *dir, const char *name, const char *root, bool found)
{
	MP_ELF struct mp_elf *elf = open_in(dir, name, root);

	assert_int_equal(mp_elf_flags(elf), MP_ELF_IS_PIE | (found ? MP_ELF_HAS_DEBUGFILE : 0));
	check_match(elf, "only_debug", found ? "0=only_debug " : "");
	check_match(elf, "expo*", "0=exported ");
}

static void test_debuglink(void **state)
{
	const struct dir *dir = *state;
	char root[128];

	make_stripped(dir, "linked", "-shared -fPIC -Wl,--build-id=none");
	snprintf(root, sizeof(root), "%s/root", dir->path);
	check_debug(dir, "linked", "", true);
	shell(dir, "mkdir -p .debug && mv linked.debug .debug/");
	check_debug(dir, "linked", "", true);
	shell(dir, "mkdir -p root/usr/lib/debug/%s && mv .debug/linked.debug root/usr/lib/debug/%s",
	      dir->path, dir->path);
	check_debug(dir, "linked", "", false);
	check_debug(dir, "linked", root, true);
	/* the same file inside the root is found below its path there */
	shell(dir,
	      "mkdir -p root/opt root/usr/lib/debug/opt && cp linked root/opt/ && "
	      "mv root/usr/lib/debug/%s/linked.debug root/usr/lib/debug/opt/",
	      dir->path);
	check_debug(dir, "root/opt/linked", root, true);
	check_debug(dir, "linked", root, false);
}

static void test_debuglink_of_another_build(void **state)
{
	const struct dir *dir = *state;

	make_stripped(dir, "other", "-shared -fPIC -Wl,--build-id=none");
	shell(dir, "printf x >>other.debug");
	check_debug(dir, "other", "", false);
}

static void test_debuglink_stays_in_its_folders(void **state)
{
	const struct dir *dir = *state;

	make_stripped(dir, "escape", "-shared -fPIC -Wl,--build-id=none");
	/* the same length, so that the section keeps its shape */
	shell(dir,
	      "mkdir -p sub && mv escape sub/ && mv escape.debug /%s/../mp_e.debug 2>/dev/null;"
	      "rm -f %s/../mp_e.debug; sed -i 's|escape.debug|../../mp_e.x|' sub/escape",
	      dir->path, dir->path);
	check_debug(dir, "sub/escape", "", false);
}

static void test_build_id(void **state)
{
	const struct dir *dir = *state;
	char root[128];

	make_stripped(dir, "ident", "-shared -fPIC -Wl,--build-id=0xabcdef0123456789");
	shell(dir, "mkdir -p idroot/usr/lib/debug/.build-id/ab && "
		   "mv ident.debug idroot/usr/lib/debug/.build-id/ab/cdef0123456789.debug");
	snprintf(root, sizeof(root), "%s/idroot", dir->path);
	check_debug(dir, "ident", "", false);
	check_debug(dir, "ident", root, true);
	/* a file with another build-id at that place is not the one */
	make_stripped(dir, "ident2", "-shared -fPIC -Wl,--build-id=0xabcdef0123456780");
	shell(dir, "mv ident2.debug idroot/usr/lib/debug/.build-id/ab/cdef0123456789.debug");
	check_debug(dir, "ident", root, false);
}

/* --- symbolizing ------------------------------------------------------------------ */

static const char ranges_source[] =
	"__asm__(\".text\\n"
	".globl outer\\n.type outer,@function\\nouter: .skip 16, 0x90\\n"
	".globl nested\\n.type nested,@function\\nnested: .skip 16, 0x90\\n.size nested, 16\\n"
	".skip 16, 0x90\\n.size outer, 48\\n"
	".skip 16, 0x90\\n"
	".globl sizeless\\n.type sizeless,@function\\nsizeless: .skip 16, 0x90\\n"
	".globl _Z4lasti\\n.type _Z4lasti,@function\\n_Z4lasti: .skip 16, 0x90\\n"
	".size _Z4lasti, 8\\n\");";

static const char *name_at(struct mp_elf *elf, uint64_t offset)
{
	struct mp_elf_symbol symbol = {.name = "unchanged"};
	int r = mp_elf_symbol_at(elf, offset, &symbol);

	if (r == -ENOENT)
		assert_string_equal(symbol.name, "unchanged");
	return r == 0 ? symbol.name : r == -ENOENT ? "none" : "error";
}

static void test_symbol_at(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	struct mp_elf_symbol symbol;
	uint64_t start;

	compile(dir, "gcc", "ranges", "-shared -fPIC", ranges_source);
	elf = open_in(dir, "ranges", "");
	start = find(elf, "outer").offset;
	assert_string_equal(name_at(elf, start), "outer");
	assert_string_equal(name_at(elf, start + 15), "outer");
	assert_string_equal(name_at(elf, start + 16), "nested");
	assert_string_equal(name_at(elf, start + 31), "nested");
	assert_string_equal(name_at(elf, start + 32), "outer");
	assert_string_equal(name_at(elf, start + 47), "outer");
	assert_string_equal(name_at(elf, start + 48), "none");
	assert_string_equal(name_at(elf, start + 64), "sizeless");
	assert_string_equal(name_at(elf, start + 79), "sizeless");
	assert_string_equal(name_at(elf, start + 80), "_Z4lasti");
	assert_string_equal(name_at(elf, start + 88), "none");
	assert_string_equal(name_at(elf, 0), "none");
	assert_string_equal(name_at(elf, UINT64_MAX), "none");
	assert_int_equal(mp_elf_symbol_at(elf, start + 81, &symbol), 0);
	assert_string_equal(symbol.demangled, "last(int)");
	assert_int_equal(symbol.offset, start + 80);
	assert_int_equal(symbol.size, 8);
}

/* --- demangling --------------------------------------------------------------------- */

static void check_demangle(const char *name, bool with_params, const char *expected)
{
	MP_FREE char *demangled = mp_demangle(name, with_params);

	if (!expected) {
		assert_null(demangled);
		return;
	}
	assert_non_null(demangled);
	assert_string_equal(demangled, expected);
}

static void test_demangle(void **state)
{
	(void)state;
	check_demangle("_ZN2ns1fEi", true, "ns::f(int)");
	check_demangle("_ZN2ns1fEi", false, "ns::f");
	check_demangle("_ZN2ns1fEi@@V1", true, "ns::f(int)");
	check_demangle("_Z1fIiEvT_", true, "void f<int>(int)");
	check_demangle("_Z1fIiEvT_", false, "f<int>");
	check_demangle("_ZN4core3fmt5write17h0123456789abcdefE", true, "core::fmt::write");
	check_demangle("_RNvCs1234_7mycrate3foo", true, "mycrate::foo");
	check_demangle("main", true, NULL);
	check_demangle("", true, NULL);
	check_demangle("_Z", true, NULL);
	check_demangle("_ZN", true, NULL);
	check_demangle("_Zqq", true, NULL);
	check_demangle("_Z99999999999999999999f", true, NULL);
}

/* Each S_ISn_Sn_E is twice as long as the one before: this one would be 2^19 as long. */
static void test_demangle_explosion(void **state)
{
	MP_TEXT struct mp_text name = {0};
	MP_FREE char *long_name = calloc(1, 100001);

	(void)state;
	mp_text_puts(&name, "_Z1f1aIiiE");
	for (unsigned int i = 0; i < 36; i++) {
		char digit = (char)(i < 10 ? '0' + i : 'A' + i - 10);

		mp_text_printf(&name, "S_IS%c_S%c_E", digit, digit);
		if (i == 3)
			check_demangle(name.data, false, "f");
	}
	check_demangle(name.data, true, NULL);
	memset(long_name, 'a', 100000);
	memcpy(long_name, "_Z99990", 7);
	check_demangle(long_name, true, NULL);
}

/* --- USDT ------------------------------------------------------------------------------ */

/* A note as <sys/sdt.h> writes it, whose base says that the file was moved by 0x100 since. */
static const char usdt_source[] =
	"void work(void) { __asm__(\"nop\"); }\n"
	"__asm__(\".pushsection .probes,\\\"aw\\\"\\nsema: .short 0\\n.popsection\\n"
	".pushsection .stapsdt.base,\\\"a\\\"\\nbase: .space 1\\n.popsection\\n"
	".pushsection .note.stapsdt,\\\"\\\",@note\\n.balign 4\\n"
	".4byte 8, 2f-1f, 3\\n.asciz \\\"stapsdt\\\"\\n"
	"1: .8byte work-0x100, base-0x100, sema-0x100\\n"
	".asciz \\\"app\\\"\\n.asciz \\\"load\\\"\\n.asciz \\\"8@%rdi\\\"\\n2: .balign 4\\n"
	".4byte 8, 4f-3f, 3\\n.asciz \\\"stapsdt\\\"\\n"
	"3: .8byte 0x7fffffff0000, base-0x100, 0\\n"
	".asciz \\\"app\\\"\\n.asciz \\\"nowhere\\\"\\n.asciz \\\"\\\"\\n4: .balign 4\\n"
	".popsection\");\nvoid _start(void) { work(); }\n";

struct note_copy {
	unsigned int n;
	struct mp_usdt_note note;
	char text[64];
};

static int copy_note(void *data, const struct mp_usdt_note *note)
{
	struct note_copy *copy = data;

	copy->n++;
	copy->note = *note;
	snprintf(copy->text, sizeof(copy->text), "%s:%s %s", note->provider, note->name,
		 note->args);
	return 0;
}

static void test_usdt(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	struct note_copy copy = {.n = 0};

	compile(dir, "gcc", "usdt", "-no-pie -static", usdt_source);
	elf = open_in(dir, "usdt", "");
	assert_int_equal(mp_elf_for_each_usdt(elf, copy_note, &copy), 0);
	assert_int_equal(copy.n, 1);
	assert_string_equal(copy.text, "app:load 8@%rdi");
	assert_int_equal(copy.note.offset, find(elf, "work").offset);
	assert_int_equal(copy.note.addr, find(elf, "work").addr);
	assert_int_not_equal(copy.note.semaphore_offset, 0);
	assert_int_not_equal(copy.note.semaphore_offset, copy.note.offset);
}

static void test_usdt_absent(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	struct note_copy copy = {.n = 0};

	compile(dir, "gcc", "nousdt", "-shared -fPIC", "int f(int x) { return x; }");
	elf = open_in(dir, "nousdt", "");
	assert_int_equal(mp_elf_for_each_usdt(elf, copy_note, &copy), 0);
	assert_int_equal(copy.n, 0);
}

/* --- sites ------------------------------------------------------------------------------ */

#ifdef __x86_64__

#define ASM_FUNCTION(name, body)                                                                   \
	"__asm__(\".globl " name "\\n.type " name ",@function\\n" name ": " body "\\n.size " name  \
	", .-" name "\");\n"

static const char sites_source[] = ASM_FUNCTION(
	"pad_push",
	"endbr64; push %rbp; pop %rbp; ret") ASM_FUNCTION("pad_nop5",
							  "endbr64; .byte 0x0f,0x1f,0x44,0,0; ret")
	ASM_FUNCTION("pad_mov", "endbr64; mov %rsp, %rax; ret") ASM_FUNCTION(
		"pad_loop", "endbr64; 1: push %rbp; pop %rbp; jne 1b; ret")
		ASM_FUNCTION("pad_data", "endbr64; push %rbp; pop %rbp; ret; .byte 0x06, 0x06")
			ASM_FUNCTION("pad_long", "endbr64; push %rbp; .skip 70000, 0x90; ret")
				ASM_FUNCTION("pad_only", "endbr64") ASM_FUNCTION(
					"plain_push", "push %rbp; pop %rbp; ret")
					ASM_FUNCTION("trap", "hlt") ASM_FUNCTION(
						"bad",
						".byte 0x06, 0x06") "__asm__(\".globl "
								    "unsized\\n.type "
								    "unsized,@function\\nunsized: "
								    "endbr64; push %rbp; ret\");\n";

/* Checks how far behind the function's start the site is. */
static void check_site(struct mp_elf *elf, const char *name, uint64_t skipped,
		       enum mp_insn_class class)
{
	struct mp_elf_symbol symbol = find(elf, name);
	struct mp_insn insn;
	uint64_t offset;

	assert_int_equal(mp_elf_probe_site(elf, symbol.offset, symbol.size, &offset, &insn), 0);
	assert_int_equal(offset - symbol.offset, skipped);
	assert_int_equal(insn.class, class);
}

static void test_probe_site(void **state)
{
	const struct dir *dir = *state;
	MP_ELF struct mp_elf *elf = NULL;
	struct mp_insn insn = {.len = 99};
	uint64_t offset = 5;

	compile(dir, "gcc", "sites", "-shared -fPIC", sites_source);
	elf = open_in(dir, "sites", "");
	check_site(elf, "pad_push", 4, MP_INSN_EMULATED);
	check_site(elf, "pad_nop5", 4, MP_INSN_NOP5);
	check_site(elf, "pad_mov", 0, MP_INSN_LANDING);
	check_site(elf, "pad_loop", 0, MP_INSN_LANDING);
	check_site(elf, "pad_data", 0, MP_INSN_LANDING);
	check_site(elf, "pad_long", 0, MP_INSN_LANDING);
	check_site(elf, "pad_only", 0, MP_INSN_LANDING);
	check_site(elf, "plain_push", 0, MP_INSN_EMULATED);
	check_site(elf, "unsized", 0, MP_INSN_LANDING);
	check_site(elf, "trap", 0, MP_INSN_REFUSED);
	assert_int_equal(mp_elf_probe_site(elf, find(elf, "bad").offset, 2, &offset, &insn),
			 -EINVAL);
	assert_int_equal(mp_elf_probe_site(elf, 1UL << 50, 2, &offset, &insn), -EINVAL);
	assert_int_equal(offset, 5);
	assert_int_equal(insn.len, 99);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_match_names),
		cmocka_unit_test(test_match_aliases),
		cmocka_unit_test(test_match_stops),
		cmocka_unit_test(test_cold_parts_are_no_functions),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_cxx),
		cmocka_unit_test(test_cxx_special_names),
		cmocka_unit_test(test_rust),
		cmocka_unit_test(test_many_patterns),
		cmocka_unit_test(test_debuglink),
		cmocka_unit_test(test_debuglink_of_another_build),
		cmocka_unit_test(test_debuglink_stays_in_its_folders),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_symbol_at),
		cmocka_unit_test(test_demangle),
		cmocka_unit_test(test_demangle_explosion),
		cmocka_unit_test(test_usdt),
		cmocka_unit_test(test_usdt_absent),
#ifdef __x86_64__
		cmocka_unit_test(test_probe_site),
#endif
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
