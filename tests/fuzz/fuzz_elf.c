// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as an ELF file, through everything that reads one. */
#include "elf/elf_file.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_SYMBOLS 64

static int use_symbol(void *data, size_t pattern, const struct mp_elf_symbol *symbol)
{
	struct mp_elf *elf = data;
	struct mp_elf_symbol covering;
	struct mp_insn insn;
	uint64_t offset;

	(void)pattern;
	if (strlen(symbol->name) == 0)
		abort();
	mp_elf_probe_site(elf, symbol->offset, symbol->size, &offset, &insn);
	mp_elf_symbol_at(elf, symbol->offset, &covering);
	mp_elf_symbol_at(elf, symbol->offset + symbol->size / 2, &covering);
	return 0;
}

static int use_note(void *data, const struct mp_usdt_note *note)
{
	struct mp_usdt_arg arg;
	struct mp_error err;
	unsigned int *n = data;

	for (unsigned int i = 1; i <= 6; i++)
		mp_usdt_parse_arg(note->args, i, &arg, &err);
	return ++*n > MAX_SYMBOLS;
}

static void use_file(const char *path)
{
	static const char *const patterns[] = {"*", "main", "ns::f", "*a*", "f(int)", "[a-z]*@*"};
	MP_ELF struct mp_elf *elf = NULL;
	struct mp_elf_symbol symbol;
	struct mp_error err;
	unsigned int n_notes = 0;

	if (mp_elf_open(path, "/nonexistent", &elf, &err))
		return;
	mp_elf_match(elf, patterns, MP_ARRAY_SIZE(patterns), use_symbol, elf);
	mp_elf_for_each_usdt(elf, use_note, &n_notes);
	mp_elf_symbol_at(elf, UINT64_MAX, &symbol);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MP_CLOSE int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	use_file(path);
	return 0;
}
