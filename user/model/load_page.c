// SPDX-License-Identifier: GPL-2.0-only
/* Results in a file without a name: what was written stays when the loader is killed. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/load.h"

#define PAGE_VERSION 1
#define PAGE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct mp_load_page *map_page(int fd)
{
	void *page =
		mmap(NULL, sizeof(struct mp_load_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return page == MAP_FAILED ? NULL : page;
}

int mp_load_page_new(struct mp_load_page **ret, int *ret_fd)
{
	MP_CLOSE int fd = memfd_create("memprobe-load", MFD_ALLOW_SEALING);
	struct mp_load_page *page;

	if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0 || fcntl(fd, F_ADD_SEALS, PAGE_SEALS) < 0)
		return -errno;
	page = map_page(fd);
	if (!page)
		return -errno;
	page->version = PAGE_VERSION;
	page->kept[0].stride = 1;
	*ret = page;
	*ret_fd = mp_take_fd(&fd);
	return 0;
}

/* Its size is sealed, so that nobody who has it can have another die of SIGBUS. */
static bool is_page(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & PAGE_SEALS) == PAGE_SEALS && fstat(fd, &st) == 0 &&
	       st.st_size == sizeof(struct mp_load_page);
}

int mp_load_page_map(int fd, struct mp_load_page **ret)
{
	struct mp_load_page *page;

	if (!is_page(fd))
		return -EINVAL;
	page = map_page(fd);
	if (!page)
		return -errno;
	if (page->version != PAGE_VERSION) {
		mp_load_page_free(page);
		return -EINVAL;
	}
	*ret = page;
	return 0;
}

void mp_load_page_free(struct mp_load_page *page)
{
	if (page)
		munmap(page, sizeof(*page));
}

/* --- passes ---------------------------------------------------------------------------- */

/*
 * Puts every second pass into the other half, which is then the current one. Who began to read
 * that half when it was current, two times of thinning ago, must see `current` move before its
 * contents do.
 */
static void thin(struct mp_load_page *page)
{
	uint32_t current = atomic_load_explicit(&page->current, memory_order_relaxed);
	const struct mp_load_kept *from = &page->kept[current & 1];
	struct mp_load_kept *to = &page->kept[~current & 1];

	atomic_thread_fence(memory_order_seq_cst);
	for (size_t i = 0; i < MP_LOAD_PASSES_KEPT / 2; i++)
		to->passes[i] = from->passes[2 * i];
	to->stride = from->stride * 2;
	atomic_store_explicit(&to->n, MP_LOAD_PASSES_KEPT / 2, memory_order_relaxed);
	atomic_store_explicit(&page->current, current + 1, memory_order_release);
}

static struct mp_load_kept *current_half(struct mp_load_page *page)
{
	return &page->kept[atomic_load_explicit(&page->current, memory_order_relaxed) & 1];
}

static void keep(struct mp_load_page *page, const struct mp_load_pass *pass)
{
	struct mp_load_kept *kept = current_half(page);
	uint32_t n = atomic_load_explicit(&kept->n, memory_order_relaxed);

	if (n == MP_LOAD_PASSES_KEPT) { /* even, so this pass stays one of the next stride */
		thin(page);
		kept = current_half(page);
		n = MP_LOAD_PASSES_KEPT / 2;
	}
	kept->passes[n] = *pass;
	atomic_store_explicit(&kept->n, n + 1, memory_order_release);
}

void mp_load_page_add(struct mp_load_page *page, const struct mp_load_pass *pass)
{
	uint64_t done = atomic_load_explicit(&page->n_passes, memory_order_relaxed);

	if (done % current_half(page)->stride == 0)
		keep(page, pass);
	atomic_store_explicit(&page->n_passes, done + 1, memory_order_release);
}

size_t mp_load_page_passes(const struct mp_load_page *page, struct mp_load_pass *ret,
			   uint32_t *ret_stride)
{
	const struct mp_load_kept *kept;
	uint32_t current, n;

	do {
		current = atomic_load_explicit(&page->current, memory_order_acquire);
		kept = &page->kept[current & 1];
		n = atomic_load_explicit(&kept->n, memory_order_acquire);
		n = n < MP_LOAD_PASSES_KEPT ? n : MP_LOAD_PASSES_KEPT;
		memcpy(ret, kept->passes, n * sizeof(*ret));
		*ret_stride = kept->stride;
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&page->current, memory_order_relaxed) != current);
	return n;
}
