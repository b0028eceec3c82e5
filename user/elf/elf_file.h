/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An executable or shared object as probes need it: which functions and USDT
 * notes it has, and where they lie in the file. Uses libelf; nothing in the
 * file is trusted.
 */
#ifndef MP_ELF_ELF_FILE_H
#define MP_ELF_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "base/arch.h"
#include "base/error.h"

struct mp_elf;

/*
 * Opens `path`. `root` is put before the debug directories that are searched
 * for symbols ("/proc/PID/root" for a process in another mount namespace, else
 * ""). Returns 0; -ENOENT, -EACCES …; -ENOEXEC when it is not an ELF file, or
 * not one of this processor's, or is malformed.
 */
int mp_elf_open(const char *path, const char *root, struct mp_elf **ret, struct mp_error *err);
void mp_elf_free(struct mp_elf *elf);
static inline void mp_elf_free_p(struct mp_elf **elf)
{
	mp_elf_free(*elf);
}
#define MP_ELF MP_CLEANUP(mp_elf_free_p)

/*
 * Whether the file has a section of that name: 1 or 0, or what mp_elf_open() returns, which
 * costs several times as much.
 */
int mp_elf_has_section(const char *path, const char *name);

enum mp_elf_flags {
	MP_ELF_HAS_SYMTAB = 1 << 0,    /* .symtab in the file itself */
	MP_ELF_HAS_DEBUGFILE = 1 << 1, /* symbols from .gnu_debuglink or build-id */
	MP_ELF_IS_GO = 1 << 2,	       /* return probes break goroutine stacks */
	MP_ELF_IS_PIE = 1 << 3,
};
unsigned int mp_elf_flags(const struct mp_elf *elf);

struct mp_elf_symbol {
	const char *name;      /* as in the file */
	const char *demangled; /* with parameters, or NULL when not mangled */
	uint64_t addr;	       /* virtual address in the ELF file */
	uint64_t size;	       /* bytes; 0 when the file does not say */
	uint64_t offset;       /* in the file */
	bool is_ifunc;	       /* a resolver, not the function itself */
};

/*
 * Return 0 to go on, anything else stops the walk and is returned. `demangled`
 * ends with the call, `name` with the struct mp_elf.
 */
typedef int (*mp_elf_symbol_fn)(void *data, size_t pattern, const struct mp_elf_symbol *symbol);

/*
 * Calls `fn` for every defined function symbol that one of the glob patterns
 * (fnmatch(3): * ? [...]) matches: by its name as it is in the file, by the
 * name without its @VERSION, by the demangled name, or by the demangled name
 * without parameters. Symbols come from .symtab, else .dynsym plus the debug
 * file's .symtab. Matches come by rising offset. Each (pattern, file offset) is reported once; of
 * aliases the first global one in the symbol table. Parts of functions that gcc has moved away
 * ("f.cold") are no functions, and match nothing. One pass over the symbols, whatever the number
 * of patterns: exact names cost a lookup, only globs and possible demangled matches are tried in
 * turn.
 */
int mp_elf_match(struct mp_elf *elf, const char *const *patterns, size_t n_patterns,
		 mp_elf_symbol_fn fn, void *data);

/*
 * The innermost function that covers a file offset, for symbolizing; one
 * without a size reaches up to the next. `demangled` lives until the next call.
 * Returns 0 or -ENOENT.
 */
int mp_elf_symbol_at(struct mp_elf *elf, uint64_t offset, struct mp_elf_symbol *ret);

struct mp_usdt_note {
	const char *provider;
	const char *name;
	const char *args;	   /* as in the note: "-4@%eax 8@-16(%rbp)" */
	uint64_t addr;		   /* adjusted for prelink by .stapsdt.base */
	uint64_t offset;	   /* in the file */
	uint64_t semaphore_offset; /* in the file, or 0 */
};
typedef int (*mp_elf_usdt_fn)(void *data, const struct mp_usdt_note *note);

/* Every well-formed SystemTap note (.note.stapsdt). A malformed section is -EBADMSG. */
int mp_elf_for_each_usdt(struct mp_elf *elf, mp_elf_usdt_fn fn, void *data);

/* The pure part, for tests and fuzzing: `data` is the section's content. */
int mp_usdt_parse_notes(const void *data, size_t len, bool is_64bit, mp_elf_usdt_fn fn,
			void *fn_data);

/*
 * Argument number `index` (1-based) of a note's argument string. Returns 0,
 * -ENOENT when there are fewer, -EINVAL when it cannot be parsed, -ENOTSUP for
 * a form that BPF cannot read (with the form in `err`).
 */
int mp_usdt_parse_arg(const char *args, unsigned int index, struct mp_usdt_arg *ret,
		      struct mp_error *err);

/* Up to `len` bytes of code at a file offset. Returns the bytes copied, or -ERANGE. */
int mp_elf_code(const struct mp_elf *elf, uint64_t offset, uint8_t *code, size_t len);

/*
 * Where to put the probe of the function at `offset`, `size` bytes long: at
 * its first byte, or behind a landing pad (endbr64) where that is cheaper and
 * nothing inside the function jumps there. `ret_insn` is the class at the
 * place chosen. Returns 0, or -EINVAL when there is no instruction.
 */
int mp_elf_probe_site(const struct mp_elf *elf, uint64_t offset, uint64_t size,
		      uint64_t *ret_offset, struct mp_insn *ret_insn);

/*
 * Where the function at `offset`, `size` bytes long, is left: offsets in the file, at most `max`,
 * see mp_arch_exits(). Returns how many, or a negative errno.
 */
int mp_elf_exits(const struct mp_elf *elf, uint64_t offset, uint64_t size, uint64_t *ret,
		 size_t max);

/* Demangles C++ and Rust names; NULL when `name` is not mangled. New string. */
char *mp_demangle(const char *name, bool with_params);

#endif
