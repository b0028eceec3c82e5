// SPDX-License-Identifier: GPL-2.0-only
/* One ELF file, and where its debug file lies. */
#include "elf/elf_internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define DEBUG_DIR "/usr/lib/debug"
#define MAX_SECTION_BYTES (1ULL << 30)
#define MAX_BUILD_ID 64
#define READ_CHUNK (64 << 10)

#if __BYTE_ORDER == __LITTLE_ENDIAN
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

void mp_elf_image_close(struct mp_elf_image *image)
{
	if (image->elf)
		elf_end(image->elf);
	mp_close_p(&image->fd);
	*image = (struct mp_elf_image){.fd = -1};
}

/* The cleanup of `image` has nothing to do after this. Returns 0. */
static int hand_over(struct mp_elf_image *image, struct mp_elf_image *ret)
{
	*ret = *image;
	*image = (struct mp_elf_image){.fd = -1};
	return 0;
}

static bool is_usable(Elf *elf)
{
	GElf_Ehdr header;

	return elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
	       header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == NATIVE_DATA &&
	       header.e_machine == mp_arch_elf_machine() &&
	       (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

int mp_elf_image_open(const char *path, struct mp_elf_image *ret)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	struct stat st;

	/* A path may name a FIFO or a device: neither wait for it nor let it become our terminal.
	 */
	image.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image.fd < 0 || fstat(image.fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	elf_version(EV_CURRENT);
	image.elf = elf_begin(image.fd, ELF_C_READ, NULL);
	if (!image.elf || !is_usable(image.elf))
		return -ENOEXEC;
	return hand_over(&image, ret);
}

Elf_Scn *mp_elf_section(Elf *elf, uint32_t type, const char *name)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	while ((section = elf_nextscn(elf, section))) {
		const char *found;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		if (type != SHT_NULL && header.sh_type != type)
			continue;
		if (!name)
			return section;
		found = elf_strptr(elf, names, header.sh_name);
		if (found && strcmp(found, name) == 0)
			return section;
	}
	return NULL;
}

Elf_Data *mp_elf_section_data(Elf_Scn *section)
{
	GElf_Shdr header;
	Elf_Data *data;

	if (!section || !gelf_getshdr(section, &header) || header.sh_size > MAX_SECTION_BYTES)
		return NULL;
	data = elf_getdata(section, NULL);
	return data && data->d_buf && data->d_size ? data : NULL;
}

struct build_id {
	uint8_t bytes[MAX_BUILD_ID];
	size_t len; /* 0: none */
};

static struct build_id read_build_id(Elf *elf)
{
	Elf_Data *data = mp_elf_section_data(mp_elf_section(elf, SHT_NOTE, ".note.gnu.build-id"));
	struct build_id id = {.len = 0};
	size_t name_at, desc_at;
	GElf_Nhdr note;

	if (!data || !gelf_getnote(data, 0, &note, &name_at, &desc_at))
		return id;
	if (note.n_type != NT_GNU_BUILD_ID || note.n_descsz < 2 || note.n_descsz > MAX_BUILD_ID)
		return id;
	id.len = note.n_descsz;
	memcpy(id.bytes, (const uint8_t *)data->d_buf + desc_at, id.len);
	return id;
}

static int open_with_symbols(const char *path, struct mp_elf_image *ret)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	int err = mp_elf_image_open(path, &image);

	if (err)
		return err;
	if (!mp_elf_section(image.elf, SHT_SYMTAB, NULL))
		return -ENOENT;
	return hand_over(&image, ret);
}

static int open_by_build_id(Elf *elf, const char *root, struct mp_elf_image *ret)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	struct build_id id = read_build_id(elf);
	struct build_id found;
	char hex[2 * MAX_BUILD_ID + 1];
	char path[PATH_MAX];
	int n;

	if (id.len == 0)
		return -ENOENT;
	for (size_t i = 0; i < id.len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id.bytes[i]);
	n = snprintf(path, sizeof(path), "%s" DEBUG_DIR "/.build-id/%.2s/%s.debug", root, hex,
		     hex + 2);
	if (n < 0 || (size_t)n >= sizeof(path) || open_with_symbols(path, &image))
		return -ENOENT;
	found = read_build_id(image.elf);
	if (found.len != id.len || memcmp(found.bytes, id.bytes, id.len) != 0)
		return -ENOENT;
	return hand_over(&image, ret);
}

struct debug_link {
	const char *name;
	uint32_t crc;
};

/* .gnu_debuglink: a file name, zeros up to a multiple of four, the CRC of that file. */
static int read_debug_link(Elf *elf, struct debug_link *ret)
{
	Elf_Data *data = mp_elf_section_data(mp_elf_section(elf, SHT_NULL, ".gnu_debuglink"));
	size_t name_len, crc_at;

	if (!data)
		return -ENOENT;
	name_len = strnlen(data->d_buf, data->d_size);
	crc_at = (name_len + 4) & ~(size_t)3;
	if (name_len == 0 || crc_at > data->d_size || data->d_size - crc_at < sizeof(ret->crc))
		return -ENOENT;
	/* A name, not a path: the file must not send us through the file system. */
	if (memchr(data->d_buf, '/', name_len))
		return -ENOENT;
	ret->name = data->d_buf;
	memcpy(&ret->crc, (const uint8_t *)data->d_buf + crc_at, sizeof(ret->crc));
	return 0;
}

static int file_crc(int fd, uint32_t *ret)
{
	MP_FREE uint8_t *chunk = malloc(READ_CHUNK);
	uLong crc = crc32(0, NULL, 0);
	off_t at = 0;
	ssize_t n;

	if (!chunk)
		return -ENOMEM;
	while ((n = pread(fd, chunk, READ_CHUNK, at)) > 0) {
		crc = crc32(crc, chunk, (uInt)n);
		at += n;
	}
	if (n < 0)
		return -errno;
	*ret = (uint32_t)crc;
	return 0;
}

static int open_linked(const char *path, uint32_t crc, struct mp_elf_image *ret)
{
	MP_ELF_IMAGE struct mp_elf_image image = {.fd = -1};
	uint32_t found = 0;

	if (open_with_symbols(path, &image) || file_crc(image.fd, &found) || found != crc)
		return -ENOENT;
	return hand_over(&image, ret);
}

/* `path` as it is inside `root`. */
static const char *below_root(const char *path, const char *root)
{
	size_t len = strlen(root);

	return len && strncmp(path, root, len) == 0 && path[len] == '/' ? path + len : path;
}

static int open_by_link(Elf *elf, const char *path, const char *root, struct mp_elf_image *ret)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) : 1;
	const char *dir = slash ? path : ".";
	const char *inside = below_root(dir, root);
	int inside_len = dir_len - (int)(inside - dir);
	char candidates[3][PATH_MAX];
	struct debug_link link;

	if (read_debug_link(elf, &link))
		return -ENOENT;
	if (strlen(root) + strlen(path) + strlen(link.name) + sizeof(DEBUG_DIR "/.debug//") >
	    PATH_MAX)
		return -ENAMETOOLONG;
	sprintf(candidates[0], "%.*s/%s", dir_len, dir, link.name);
	sprintf(candidates[1], "%.*s/.debug/%s", dir_len, dir, link.name);
	sprintf(candidates[2], "%s" DEBUG_DIR "%.*s/%s", root, inside_len, inside, link.name);
	for (size_t i = 0; i < MP_ARRAY_SIZE(candidates); i++) {
		if (open_linked(candidates[i], link.crc, ret) == 0)
			return 0;
	}
	return -ENOENT;
}

int mp_elf_debug_open(const struct mp_elf_image *image, const char *path, const char *root,
		      struct mp_elf_image *ret)
{
	/* The build-id goes first: it is checked by a few bytes, the link by the whole file. */
	if (open_by_build_id(image->elf, root, ret) == 0)
		return 0;
	return open_by_link(image->elf, path, root, ret);
}
