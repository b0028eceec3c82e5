// SPDX-License-Identifier: GPL-2.0-only
#include "elf/elf_internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* A longer function is not searched for jumps, so it is probed at its first byte. */
#define MAX_SEARCHED_BYTES (64 << 10)
#define MAX_INSN_BYTES 16

void mp_elf_free(struct mp_elf *elf)
{
	if (!elf)
		return;
	free(elf->demangled);
	free(elf->ranges);
	free(elf->segments);
	mp_elf_image_close(&elf->debug);
	mp_elf_image_close(&elf->image);
	free(elf);
}

static bool is_sane(const GElf_Phdr *header)
{
	return header->p_filesz > 0 && header->p_offset <= INT64_MAX &&
	       header->p_filesz <= INT64_MAX - header->p_offset &&
	       header->p_filesz <= UINT64_MAX - header->p_vaddr;
}

static int read_segments(struct mp_elf *elf)
{
	size_t n;

	if (elf_getphdrnum(elf->image.elf, &n) < 0 || n == 0 || n > UINT16_MAX)
		return -ENOEXEC;
	elf->segments = calloc(n, sizeof(*elf->segments));
	if (!elf->segments)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf->image.elf, (int)i, &header))
			return -ENOEXEC;
		if (header.p_type != PT_LOAD || !is_sane(&header))
			continue;
		elf->segments[elf->n_segments++] = (struct mp_elf_segment){
			.addr = header.p_vaddr,
			.offset = header.p_offset,
			.size = header.p_filesz,
			.is_code = header.p_flags & PF_X,
		};
	}
	return elf->n_segments ? 0 : -ENOEXEC;
}

int mp_elf_offset_of(const struct mp_elf *elf, uint64_t addr, bool need_code, uint64_t *ret)
{
	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct mp_elf_segment *s = &elf->segments[i];

		if (addr < s->addr || addr - s->addr >= s->size || (need_code && !s->is_code))
			continue;
		*ret = addr - s->addr + s->offset;
		return 0;
	}
	return -ENOENT;
}

const struct mp_elf_segment *mp_elf_code_at(const struct mp_elf *elf, uint64_t offset)
{
	for (size_t i = 0; i < elf->n_segments; i++) {
		const struct mp_elf_segment *s = &elf->segments[i];

		if (offset >= s->offset && offset - s->offset < s->size && s->is_code)
			return s;
	}
	return NULL;
}

/* For what is no code the offset itself: only a text shows it. */
static uint64_t addr_of(const struct mp_elf *elf, uint64_t offset)
{
	const struct mp_elf_segment *s = mp_elf_code_at(elf, offset);

	return s ? offset - s->offset + s->addr : offset;
}

static unsigned int read_flags(Elf *elf)
{
	unsigned int flags = 0;
	GElf_Ehdr header;

	if (gelf_getehdr(elf, &header) && header.e_type == ET_DYN)
		flags |= MP_ELF_IS_PIE;
	if (mp_elf_section(elf, SHT_SYMTAB, NULL))
		flags |= MP_ELF_HAS_SYMTAB;
	if (mp_elf_section(elf, SHT_NULL, ".go.buildinfo") ||
	    mp_elf_section(elf, SHT_NULL, ".note.go.buildid"))
		flags |= MP_ELF_IS_GO;
	return flags;
}

static int load(struct mp_elf *elf, const char *path, const char *root)
{
	int err = mp_elf_image_open(path, &elf->image);

	if (!err)
		err = read_segments(elf);
	if (err)
		return err;
	elf->flags = read_flags(elf->image.elf);
	if (!(elf->flags & MP_ELF_HAS_SYMTAB) &&
	    mp_elf_debug_open(&elf->image, path, root, &elf->debug) == 0)
		elf->flags |= MP_ELF_HAS_DEBUGFILE;
	return 0;
}

int mp_elf_open(const char *path, const char *root, struct mp_elf **ret, struct mp_error *err)
{
	MP_ELF struct mp_elf *elf = calloc(1, sizeof(*elf));
	int r;

	if (!elf)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "no memory to read %s", path);
	elf->image.fd = -1;
	elf->debug.fd = -1;
	r = load(elf, path, root);
	if (r == -ENOEXEC)
		return mp_fail(err, MP_EXIT_TARGET, ENOEXEC,
			       "%s is not an executable or library of this processor", path);
	if (r)
		return mp_fail(err, MP_EXIT_TARGET, -r, "cannot read %s: %s", path, strerror(-r));
	*ret = MP_TAKE(elf);
	return 0;
}

int mp_elf_has_section(const char *path, const char *name)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	int err = mp_elf_image_open(path, &image);

	return err ? err : mp_elf_section(image.elf, SHT_NULL, name) != NULL;
}

unsigned int mp_elf_flags(const struct mp_elf *elf)
{
	return elf->flags;
}

int mp_elf_code(const struct mp_elf *elf, uint64_t offset, uint8_t *code, size_t len)
{
	size_t done = 0;

	if (offset > INT64_MAX || len > INT_MAX || len > INT64_MAX - offset)
		return -ERANGE;
	while (done < len) {
		ssize_t n = pread(elf->image.fd, code + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return done ? (int)done : -ERANGE;
}

static int decode_at(const struct mp_elf *elf, uint64_t offset, struct mp_insn *ret)
{
	uint8_t code[MAX_INSN_BYTES];
	int n = mp_elf_code(elf, offset, code, sizeof(code));

	if (n < 0)
		return -EINVAL;
	return mp_arch_decode(code, (size_t)n, addr_of(elf, offset), ret);
}

/* All of a function's code, or NULL. */
static uint8_t *read_function(const struct mp_elf *elf, uint64_t offset, uint64_t size)
{
	MP_FREE uint8_t *code = NULL;

	if (size == 0 || size > MAX_SEARCHED_BYTES)
		return NULL;
	code = malloc(size);
	if (!code || mp_elf_code(elf, offset, code, size) != (int)size)
		return NULL;
	return MP_TAKE(code);
}

/* Whether a probe `skip` bytes into the function is hit once per call, as one at its start is. */
static bool is_entered_once(const struct mp_elf *elf, uint64_t offset, uint64_t size, uint64_t skip)
{
	MP_FREE uint8_t *code = read_function(elf, offset, size);
	uint64_t addr = addr_of(elf, offset);

	return code && size > skip && mp_arch_jumps_to(code, size, addr, addr + skip) == 0;
}

int mp_elf_exits(const struct mp_elf *elf, uint64_t offset, uint64_t size, uint64_t *ret,
		 size_t max)
{
	MP_FREE uint8_t *code = read_function(elf, offset, size);
	int n = code ? mp_arch_exits(code, size, addr_of(elf, offset), ret, max) : -ERANGE;

	for (int i = 0; i < n; i++)
		ret[i] += offset;
	return n;
}

int mp_elf_probe_site(const struct mp_elf *elf, uint64_t offset, uint64_t size,
		      uint64_t *ret_offset, struct mp_insn *ret_insn)
{
	struct mp_insn first, behind;
	int err = decode_at(elf, offset, &first);

	if (err)
		return err;
	/*
	 * A landing pad leaves the stack pointer where the call put it, so a
	 * return probe finds the return address behind it too. Nothing else
	 * can be skipped.
	 */
	if (first.class == MP_INSN_LANDING && decode_at(elf, offset + first.len, &behind) == 0 &&
	    behind.class <= MP_INSN_EMULATED && is_entered_once(elf, offset, size, first.len)) {
		*ret_offset = offset + first.len;
		*ret_insn = behind;
		return 0;
	}
	*ret_offset = offset;
	*ret_insn = first;
	return 0;
}
