// SPDX-License-Identifier: GPL-2.0-only
/*
 * /etc/ld.so.cache in the format that glibc has written since 2.32 as the only
 * one: sysdeps/generic/dl-cache.h, struct cache_file_new.
 */
#include <errno.h>
#include <string.h>

#include "target/private.h"

#define MAGIC "glibc-ld.so.cache1.1"

/* FLAG_ELF_LIBC6 with the processor's FLAG_*_LIB64. */
#if defined(__x86_64__)
#define FLAGS_HERE 0x0303
#elif defined(__aarch64__)
#define FLAGS_HERE 0x0a03
#endif

struct cache_header {
	char magic[20];
	uint32_t n_entries;
	uint32_t strings_len;
	uint8_t flags;
	uint8_t pad[3];
	uint32_t extension_offset;
	uint32_t unused[3];
};

struct cache_entry {
	uint32_t flags;
	uint32_t soname; /* offsets from the start of the header */
	uint32_t path;
	uint32_t os_version;
	uint64_t hwcap;
};

_Static_assert(sizeof(struct cache_header) == 48, "cache header");
_Static_assert(sizeof(struct cache_entry) == 24, "cache entry");

static const char *string_at(const char *cache, size_t len, uint32_t offset)
{
	if (offset >= len || !memchr(cache + offset, '\0', len - offset))
		return NULL;
	return cache + offset;
}

int mp_ldcache_walk(const char *cache, size_t len, mp_ldcache_fn fn, void *data)
{
	struct cache_header header;

	if (len < sizeof(header) || memcmp(cache, MAGIC, strlen(MAGIC)) != 0)
		return -EBADMSG;
	memcpy(&header, cache, sizeof(header));
	if (header.n_entries > (len - sizeof(header)) / sizeof(struct cache_entry))
		return -EBADMSG;
	for (uint32_t i = 0; i < header.n_entries; i++) {
		struct cache_entry entry;
		const char *soname;
		const char *path;
		int ret;

		memcpy(&entry, cache + sizeof(header) + i * sizeof(entry), sizeof(entry));
		soname = string_at(cache, len, entry.soname);
		path = string_at(cache, len, entry.path);
		if (!soname || !path)
			return -EBADMSG;
		ret = entry.flags == FLAGS_HERE ? fn(data, soname, path) : 0;
		if (ret)
			return ret;
	}
	return 0;
}
