// SPDX-License-Identifier: GPL-2.0-only
#include "source/mmap_watch.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

#define DATA_PAGES 4
#define CALM_NS 20000000ULL

struct cpu_ring {
	struct mp_mmap_watch *watch;
	int fd;
	struct perf_event_mmap_page *page;
};

struct mp_mmap_watch {
	struct mp_loop *loop;
	mp_mmap_fn fn;
	void *data;
	size_t page_size;
	int calm; /* timer: runs while the rings are read by the clock */
	size_t n_cpus;
	struct cpu_ring cpus[];
};

/* What PERF_RECORD_MMAP2 begins with. */
struct mmap_record {
	struct perf_event_header header;
	uint32_t pid;
	uint32_t tid;
};

/* Copies out of the ring, where a record may wrap around its end. */
static void ring_copy(const struct cpu_ring *ring, uint64_t at, void *out, size_t len)
{
	const char *base = (const char *)ring->page + ring->watch->page_size;
	uint64_t size = DATA_PAGES * ring->watch->page_size;
	size_t first = (size_t)(size - at % size);

	if (first > len)
		first = len;
	memcpy(out, base + at % size, first);
	memcpy((char *)out + first, base, len - first);
}

/* Hands over what one CPU's ring holds. Returns whether there was anything. */
static bool drain(struct cpu_ring *ring)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	bool any = tail < head;
	pid_t last = -1;

	while (tail < head) {
		struct mmap_record record;

		ring_copy(ring, tail, &record, sizeof(record));
		if (record.header.size < sizeof(record.header))
			break;
		tail += record.header.size;
		if (record.header.type == PERF_RECORD_LOST)
			record.pid = 0;
		else if (record.header.type != PERF_RECORD_MMAP2)
			continue;
		/* A program start maps several files in a row: once is enough. */
		if ((pid_t)record.pid != last)
			ring->watch->fn(ring->watch->data, (pid_t)record.pid);
		last = (pid_t)record.pid;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return any;
}

static bool drain_all(struct mp_mmap_watch *watch)
{
	bool any = false;

	for (size_t i = 0; i < watch->n_cpus; i++) {
		if (watch->cpus[i].page)
			any |= drain(&watch->cpus[i]);
	}
	return any;
}

static void stop_listening(struct mp_mmap_watch *watch)
{
	for (size_t i = 0; i < watch->n_cpus; i++) {
		if (watch->cpus[i].page)
			mp_loop_remove(watch->loop, watch->cpus[i].fd);
	}
}

static void on_readable(void *data);

static void listen_again(struct mp_mmap_watch *watch)
{
	for (size_t i = 0; i < watch->n_cpus; i++) {
		struct cpu_ring *ring = &watch->cpus[i];

		if (ring->page)
			mp_loop_add(watch->loop, ring->fd, on_readable, ring);
	}
}

/*
 * The first record after a calm is read at once. After it, the rings are read
 * by the clock until they stay empty, so that a machine which starts thousands
 * of programs does not wake the monitor for each.
 */
static void on_readable(void *data)
{
	struct mp_mmap_watch *watch = ((struct cpu_ring *)data)->watch;

	drain_all(watch);
	stop_listening(watch);
	mp_timer_set(watch->calm, CALM_NS);
}

static void on_calm(void *data)
{
	struct mp_mmap_watch *watch = data;

	mp_timer_clear(watch->calm);
	if (drain_all(watch))
		mp_timer_set(watch->calm, CALM_NS);
	else
		listen_again(watch);
}

static int open_cpu(struct mp_mmap_watch *watch, struct cpu_ring *ring, int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1, /* of executable files */
		.mmap2 = 1,
		.watermark = 1,
		.wakeup_watermark = 1,
	};
	size_t len = (1 + DATA_PAGES) * watch->page_size;
	void *page;

	ring->watch = watch;
	ring->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (ring->fd < 0)
		return errno == ENODEV ? 0 : -errno; /* that CPU is offline */
	page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	ring->page = page;
	return mp_loop_add(watch->loop, ring->fd, on_readable, ring);
}

int mp_mmap_watch_new(struct mp_loop *loop, mp_mmap_fn fn, void *data, struct mp_mmap_watch **ret)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);
	struct mp_mmap_watch *watch;

	if (n < 1)
		return -EINVAL;
	watch = calloc(1, sizeof(*watch) + (size_t)n * sizeof(watch->cpus[0]));
	if (!watch)
		return -ENOMEM;
	watch->loop = loop;
	watch->fn = fn;
	watch->data = data;
	watch->page_size = (size_t)sysconf(_SC_PAGESIZE);
	watch->calm = mp_timer_new(0, 0);
	if (watch->calm < 0 || mp_loop_add(loop, watch->calm, on_calm, watch)) {
		mp_mmap_watch_free(watch);
		return -ENOMEM;
	}
	while (watch->n_cpus < (size_t)n) {
		int cpu = (int)watch->n_cpus++;
		int err = open_cpu(watch, &watch->cpus[cpu], cpu);

		if (err) {
			mp_mmap_watch_free(watch);
			return err;
		}
	}
	*ret = watch;
	return 0;
}

void mp_mmap_watch_free(struct mp_mmap_watch *watch)
{
	if (!watch)
		return;
	stop_listening(watch);
	for (size_t i = 0; i < watch->n_cpus; i++) {
		struct cpu_ring *ring = &watch->cpus[i];

		if (ring->page)
			munmap(ring->page, (1 + DATA_PAGES) * watch->page_size);
		if (ring->fd >= 0)
			close(ring->fd);
	}
	if (watch->calm >= 0) {
		mp_loop_remove(watch->loop, watch->calm);
		close(watch->calm);
	}
	free(watch);
}
