// SPDX-License-Identifier: GPL-2.0-only
#include "inject/pycode_search.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "base/array.h"
#include "elf/elf_lookup.h"
#include "inject/memory.h"
#include "target/target.h"

#define MAX_MAPS (64U << 20)
#define WINDOW_PAGES 128 /* looked up and read at once */
#define CACHED_PAGES 64	 /* a power of two */

/* /proc/PID/pagemap, Documentation/admin-guide/mm/pagemap.rst. */
#define PAGE_PRESENT (1ULL << 63)
#define PAGE_OF_FILE (1ULL << 61)

/* Memory that the process can write and has to itself: where an interpreter keeps its objects. */
struct region {
	uint64_t start;
	uint64_t end;
};

struct cached_page {
	uint64_t addr; /* 0: none */
	uint8_t *data;
};

struct mp_pycode_search {
	const struct mp_fsroot *fs;
	pid_t pid;
	uint64_t start_time;
	int pagemap;
	uint64_t page_size;
	struct mp_pycode_target target;
	struct mp_pycode_target cached; /* the same, by way of pages that are kept for a step */
	const char *const *paths;
	size_t n_paths;
	struct region *regions;
	size_t n_regions;
	size_t cap_regions;
	size_t region;	 /* where the next step goes on … */
	uint64_t addr;	 /* … and 0: at the region's start */
	uint8_t *window; /* while it goes on: this, and the cache's pages behind it */
	struct cached_page cache[CACHED_PAGES];
};

/* --- reading ------------------------------------------------------------------------ */

static int read_whole(void *data, uint64_t addr, void *out, size_t len)
{
	const struct mp_pycode_search *s = data;

	return mp_memory_read(s->pid, addr, out, len);
}

/* Which pages are in memory, and of what. Returns how many could be told, or a negative errno. */
static ssize_t read_pagemap(const struct mp_pycode_search *s, uint64_t addr, size_t n,
			    uint64_t *entries)
{
	ssize_t got = pread(s->pagemap, entries, n * sizeof(*entries),
			    (off_t)(addr / s->page_size * sizeof(*entries)));

	return got < 0 ? -errno : got / (ssize_t)sizeof(*entries);
}

/* Strings of functions lie together, mostly, and a page costs little more than a word does. */
static int cached_page(struct mp_pycode_search *s, uint64_t addr, const uint8_t **ret)
{
	struct cached_page *page = &s->cache[addr / s->page_size % CACHED_PAGES];
	uint64_t entry;
	int err;

	if (page->addr != addr) {
		page->addr = 0;
		if (read_pagemap(s, addr, 1, &entry) != 1 || !(entry & PAGE_PRESENT))
			return -EFAULT;
		err = mp_memory_read(s->pid, addr, page->data, s->page_size);
		if (err)
			return err;
		page->addr = addr;
	}
	*ret = page->data;
	return 0;
}

static int read_cached(void *data, uint64_t addr, void *out, size_t len)
{
	struct mp_pycode_search *s = data;
	uint8_t *to = out;

	while (len) {
		uint64_t offset = addr % s->page_size;
		size_t n = s->page_size - offset < len ? s->page_size - offset : len;
		const uint8_t *page;
		int err = cached_page(s, addr - offset, &page);

		if (err)
			return err;
		memcpy(to, page + offset, n);
		to += n;
		addr += n;
		len -= n;
	}
	return 0;
}

static void forget_pages(struct mp_pycode_search *s)
{
	for (size_t i = 0; i < CACHED_PAGES; i++)
		s->cache[i].addr = 0;
}

/* --- what there is ------------------------------------------------------------------- */

/* "7f00-7f01 rw-p …": private, to be read and written. */
static bool parse_region(const char *line, struct region *ret)
{
	char *at;

	ret->start = strtoull(line, &at, 16);
	if (*at != '-')
		return false;
	ret->end = strtoull(at + 1, &at, 16);
	return strncmp(at, " rw", 3) == 0 && at[3] && at[4] == 'p' && ret->start < ret->end;
}

static int read_regions(struct mp_pycode_search *s)
{
	MP_FREE char *maps = NULL;
	char *rest;
	char *line;
	int err = mp_read_file_at(s->fs, MAX_MAPS, &maps, NULL, "/proc/%d/maps", s->pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	s->n_regions = 0;
	rest = maps;
	while ((line = strsep(&rest, "\n"))) {
		struct region region;

		if (!parse_region(line, &region))
			continue;
		if (MP_RESERVE_ONE(s->regions, s->n_regions, s->cap_regions))
			return -ENOMEM;
		s->regions[s->n_regions++] = region;
	}
	return s->n_regions ? 0 : -ESRCH;
}

static bool is_worth_reading(uint64_t entry)
{
	return entry & PAGE_PRESENT && !(entry & PAGE_OF_FILE);
}

static int make_window(struct mp_pycode_search *s)
{
	if (s->window)
		return 0;
	s->window = malloc((WINDOW_PAGES + CACHED_PAGES) * s->page_size);
	if (!s->window)
		return -ENOMEM;
	for (size_t i = 0; i < CACHED_PAGES; i++)
		s->cache[i].data = s->window + (WINDOW_PAGES + i) * s->page_size;
	return 0;
}

static int finish(struct mp_pycode_search *s, int r)
{
	free(s->window);
	s->window = NULL;
	return r;
}

static int same_process(const struct mp_pycode_search *s)
{
	struct mp_process process;
	int err = mp_process_read(s->fs, s->pid, &process);

	if (err)
		return err;
	return process.start_time == s->start_time ? 0 : -ESRCH;
}

int mp_pycode_search_begin(struct mp_pycode_search *s)
{
	int err = same_process(s);

	s->region = 0;
	s->addr = 0;
	err = err ?: read_regions(s);
	return err ? err : make_window(s);
}

/* --- looking ------------------------------------------------------------------------- */

struct looking {
	struct mp_pycode_search *search;
	mp_pycode_fn found;
	void *data;
};

/* The last part of a path, which is the function's own name. */
static const char *function_of(const char *path)
{
	return strrchr(path, '.') + 1;
}

static bool is_wanted_name(const struct mp_pycode_search *s, const char *name)
{
	for (size_t i = 0; i < s->n_paths; i++) {
		if (strcmp(function_of(s->paths[i]), name) == 0)
			return true;
	}
	return false;
}

static void tell(const struct looking *l, const struct mp_pycode *code)
{
	const struct mp_pycode_search *s = l->search;
	char qualname[MP_PYCODE_NAME];
	char filename[MP_PYCODE_FILE];

	if (mp_pycode_string(&s->cached, code->qualname, qualname, sizeof(qualname)) ||
	    mp_pycode_string(&s->cached, code->filename, filename, sizeof(filename)) ||
	    mp_pycode_search_check(s, code))
		return;
	for (size_t i = 0; i < s->n_paths; i++) {
		if (mp_pycode_matches(s->paths[i], qualname, filename, s->target.main_file))
			l->found(l->data, i, code, qualname, filename);
	}
}

/* The word at `addr` is the address of the type of code objects. */
static void consider(const struct looking *l, uint64_t addr)
{
	const struct mp_pycode_target *target = &l->search->cached;
	char name[MP_PYCODE_NAME];
	struct mp_pycode code;

	if (addr >= target->layout.type &&
	    mp_pycode_read(target, addr - target->layout.type, &code) == 0 &&
	    mp_pycode_string(target, code.name, name, sizeof(name)) == 0 &&
	    is_wanted_name(l->search, name))
		tell(l, &code);
}

/* `n` pages at `addr`, which are in memory. They may be gone by now: then there is nothing there.
 */
static void look_at(const struct looking *l, uint64_t addr, size_t n)
{
	struct mp_pycode_search *s = l->search;
	struct iovec local = {s->window, n * s->page_size};
	struct iovec remote = {(void *)(uintptr_t)addr, n * s->page_size};
	ssize_t got = process_vm_readv(s->pid, &local, 1, &remote, 1, 0);
	const uint64_t *words = (const uint64_t *)(const void *)s->window;

	for (ssize_t i = 0; i < got / (ssize_t)sizeof(*words); i++) {
		if (words[i] == s->target.code_type)
			consider(l, addr + (uint64_t)i * sizeof(*words));
	}
}

/* Runs of pages that are in memory, among `n`. */
static void look_at_runs(const struct looking *l, uint64_t addr, const uint64_t *entries, size_t n)
{
	size_t end;

	for (size_t first = 0; first < n; first = end + 1) {
		end = first;
		while (end < n && is_worth_reading(entries[end]))
			end++;
		if (end > first)
			look_at(l, addr + first * l->search->page_size, end - first);
	}
}

/* The next window of the region. Returns the bytes that it covers, 0 at the region's end. */
static int64_t look_at_window(const struct looking *l)
{
	struct mp_pycode_search *s = l->search;
	const struct region *region = &s->regions[s->region];
	uint64_t addr = s->addr ? s->addr : region->start;
	uint64_t entries[WINDOW_PAGES];
	uint64_t left = (region->end - addr) / s->page_size;
	ssize_t n;

	if (left == 0)
		return 0;
	n = read_pagemap(s, addr, left < WINDOW_PAGES ? left : WINDOW_PAGES, entries);
	if (n <= 0)
		return n;
	look_at_runs(l, addr, entries, (size_t)n);
	s->addr = addr + (uint64_t)n * s->page_size;
	return n * (int64_t)s->page_size;
}

int mp_pycode_search_step(struct mp_pycode_search *s, uint64_t bytes, mp_pycode_fn found,
			  void *data)
{
	struct looking l = {s, found, data};
	uint64_t seen = 0;

	forget_pages(s);
	while (s->region < s->n_regions && seen < bytes) {
		int64_t n = look_at_window(&l);

		if (n < 0)
			return finish(s, (int)n);
		seen += (uint64_t)n;
		if (n == 0) {
			s->region++;
			s->addr = 0;
		}
	}
	return s->region == s->n_regions ? finish(s, 1) : 0;
}

int mp_pycode_search_check(const struct mp_pycode_search *s, const struct mp_pycode *code)
{
	return mp_pycode_check(&s->target, code);
}

uint64_t mp_pycode_search_bytecode(const struct mp_pycode_search *s, const struct mp_pycode *code)
{
	return code->addr + s->target.layout.bytecode;
}

uint64_t mp_pycode_search_type(const struct mp_pycode_search *s)
{
	return s->target.code_type;
}

/* --- beginning and end --------------------------------------------------------------- */

static int find_type(const struct mp_python *python, uint64_t *ret, struct mp_error *err)
{
	struct mp_elf_wanted type = {.name = "PyCode_Type"};
	int error = mp_elf_lookup(python->binary, &type, 1, NULL);

	if (error || !type.addr)
		return mp_fail(err, MP_EXIT_UNSUPPORTED,
			       error && error != -ENOENT ? -error : ENOTSUP,
			       "process %d: its interpreter %s has no symbol PyCode_Type: it is "
			       "stripped, and functions cannot be found in it from outside",
			       (int)python->pid, python->binary);
	*ret = python->bias + type.addr;
	return 0;
}

static void find_main_file(struct mp_pycode_search *s)
{
	MP_FREE char *cmdline = NULL;
	size_t len;

	if (mp_read_file_at(s->fs, 1U << 20, &cmdline, &len, "/proc/%d/cmdline", s->pid) == 0)
		mp_pycode_main_file(cmdline, len, s->target.main_file, sizeof(s->target.main_file));
}

static int open_pagemap(struct mp_pycode_search *s, struct mp_error *err)
{
	char path[PATH_MAX];
	int error = mp_fsroot_path(s->fs, path, "/proc/%d/pagemap", s->pid);

	if (error)
		return error;
	s->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (s->pagemap >= 0)
		return 0;
	error = errno == ENOENT ? ESRCH : errno;
	return mp_fail(err, error == ESRCH ? MP_EXIT_TARGET : MP_EXIT_PRIVILEGE, error,
		       "cannot see which memory of process %d is in use (%s): CAP_SYS_PTRACE is "
		       "needed, run with sudo",
		       (int)s->pid, strerror(error));
}

int mp_pycode_search_new(const struct mp_fsroot *fs, const struct mp_python *python,
			 const char *const *paths, size_t n_paths, struct mp_pycode_search **ret,
			 struct mp_error *err)
{
	struct mp_pycode_search *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->pid = python->pid;
	s->start_time = python->start_time;
	s->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	s->pagemap = -1;
	s->paths = paths;
	s->n_paths = n_paths;
	s->target.memory = (struct mp_pycode_memory){read_whole, s};
	error = mp_pycode_layout(python, &s->target.memory, &s->target.layout, err);
	error = error ?: find_type(python, &s->target.code_type, err);
	error = error ?: open_pagemap(s, err);
	if (error) {
		mp_pycode_search_free(s);
		return error;
	}
	find_main_file(s);
	s->cached = s->target;
	s->cached.memory.read = read_cached;
	*ret = s;
	return 0;
}

void mp_pycode_search_free(struct mp_pycode_search *s)
{
	if (!s)
		return;
	if (s->pagemap >= 0)
		close(s->pagemap);
	free(s->regions);
	free(s->window);
	free(s);
}
