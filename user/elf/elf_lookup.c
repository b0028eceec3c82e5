// SPDX-License-Identifier: GPL-2.0-only
#include "elf/elf_lookup.h"

#include <errno.h>
#include <string.h>

#include "elf/elf_internal.h"

static bool is_wanted(const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_OBJECT);
}

static void take(struct mp_elf_wanted *symbols, size_t n, const char *name, const GElf_Sym *sym)
{
	for (size_t i = 0; i < n; i++) {
		if (!symbols[i].addr && strcmp(symbols[i].name, name) == 0) {
			symbols[i].addr = sym->st_value;
			symbols[i].size = sym->st_size;
		}
	}
}

static bool has_all(const struct mp_elf_wanted *symbols, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!symbols[i].addr)
			return false;
	}
	return true;
}

static void walk(Elf *elf, uint32_t type, struct mp_elf_wanted *symbols, size_t n)
{
	Elf_Scn *section = mp_elf_section(elf, type, NULL);
	Elf_Data *table = mp_elf_section_data(section);
	size_t entry = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
	GElf_Shdr header;

	if (!table || !entry || !gelf_getshdr(section, &header))
		return;
	for (size_t i = 0; i < table->d_size / entry && i < INT32_MAX; i++) {
		const char *name;
		GElf_Sym sym;

		if (!gelf_getsym(table, (int)i, &sym) || !is_wanted(&sym))
			continue;
		name = elf_strptr(elf, header.sh_link, sym.st_name);
		if (name)
			take(symbols, n, name, &sym);
	}
}

static void find_section(Elf *elf, struct mp_elf_wanted *section)
{
	GElf_Shdr header;

	if (!gelf_getshdr(mp_elf_section(elf, SHT_NULL, section->name), &header))
		return;
	section->addr = header.sh_addr;
	section->size = header.sh_size;
}

int mp_elf_lookup(const char *path, struct mp_elf_wanted *symbols, size_t n,
		  struct mp_elf_wanted *section)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	int err = mp_elf_image_open(path, &image);

	if (err)
		return err;
	walk(image.elf, SHT_DYNSYM, symbols, n);
	if (!has_all(symbols, n))
		walk(image.elf, SHT_SYMTAB, symbols, n);
	if (section)
		find_section(image.elf, section);
	return 0;
}

/* A mapping begins at a page: a little before its segment, where that does not. */
static bool is_mapped_from(const GElf_Phdr *phdr, uint64_t file_offset)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return phdr->p_type == PT_LOAD && phdr->p_flags & PF_X &&
	       file_offset >= (phdr->p_offset & ~(page - 1)) &&
	       (file_offset < phdr->p_offset || file_offset - phdr->p_offset < phdr->p_filesz);
}

int mp_elf_bias(const char *path, uint64_t map_start, uint64_t file_offset, uint64_t *ret)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	GElf_Phdr phdr;
	size_t n;
	int err = mp_elf_image_open(path, &image);

	if (err)
		return err;
	if (elf_getphdrnum(image.elf, &n))
		return -ENOEXEC;
	for (size_t i = 0; i < n && i < INT32_MAX; i++) {
		if (!gelf_getphdr(image.elf, (int)i, &phdr) || !is_mapped_from(&phdr, file_offset))
			continue;
		*ret = map_start - (phdr.p_vaddr + (file_offset - phdr.p_offset));
		return 0;
	}
	return -ENOENT;
}
