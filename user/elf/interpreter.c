// SPDX-License-Identifier: GPL-2.0-only
#include "elf/interpreter.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>

#include "base/cleanup.h"

static void elf_end_p(Elf **elf)
{
	elf_end(*elf);
}

static int find_interp(Elf *elf, GElf_Phdr *ret)
{
	size_t n;

	if (elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &n))
		return -ENOEXEC;
	for (size_t i = 0; i < n; i++) {
		if (gelf_getphdr(elf, (int)i, ret) && ret->p_type == PT_INTERP)
			return 0;
	}
	return -ENOENT;
}

int mp_elf_interpreter(const char *path, char *out, size_t size)
{
	MP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf MP_CLEANUP(elf_end_p) *elf = NULL;
	GElf_Phdr phdr;
	int err;

	if (fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	err = elf ? find_interp(elf, &phdr) : -ENOEXEC;
	if (err)
		return err;
	if (phdr.p_filesz == 0 || phdr.p_filesz > size)
		return -ENAMETOOLONG;
	if (pread(fd, out, phdr.p_filesz, (off_t)phdr.p_offset) != (ssize_t)phdr.p_filesz)
		return -ENOEXEC;
	out[phdr.p_filesz - 1] = '\0';
	return 0;
}
