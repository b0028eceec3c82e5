// SPDX-License-Identifier: GPL-2.0-only
#include "source/ring.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <time.h>

/* How long a record that another thread has begun may take to be there, 200 ms in all. */
#define PATIENCE_STEP_NS 100000
#define PATIENCE_STEPS 2000

struct mp_ring {
	struct ring_buffer *buffer;    /* both */
	struct ring_buffer *processes; /* the other view of that ring: both move one position */
	const struct mp_points *points;
	mp_ring_fn fn;
	void *data;
	uint64_t malformed;
	unsigned int left; /* of this drain's budget */
	int error;
	struct mp_decoded decoded;
};

/* Hands over what was decoded. `err` is what that gave. */
static int take(struct mp_ring *ring, int err)
{
	if (ring->left)
		ring->left--;
	if (err) {
		ring->malformed++;
	} else {
		err = ring->fn(ring->data, &ring->decoded);
		if (err < 0) {
			ring->error = err;
			return err;
		}
	}
	/* Stops libbpf's loop; this record counts as taken. */
	return ring->left == 0 ? -EAGAIN : 0;
}

static int on_process(void *ctx, void *data, size_t len)
{
	struct mp_ring *ring = ctx;

	return take(ring, mp_decode(data, len, ring->points, &ring->decoded));
}

/*
 * Of a point that a program has just declared: the record with its name is in the
 * other ring, if the thread that makes it has got so far.
 */
static int on_event(void *ctx, void *data, size_t len)
{
	const struct timespec step = {.tv_nsec = PATIENCE_STEP_NS};
	struct mp_ring *ring = ctx;
	int err = mp_decode(data, len, ring->points, &ring->decoded);

	for (int i = 0; err == -ENOENT && !ring->error && i < PATIENCE_STEPS; i++) {
		if (ring_buffer__consume(ring->processes) == 0)
			nanosleep(&step, NULL);
		err = mp_decode(data, len, ring->points, &ring->decoded);
	}
	return ring->error ? ring->error : take(ring, err);
}

struct mp_ring *mp_ring_new(int events_map_fd, int processes_map_fd, const struct mp_points *points,
			    mp_ring_fn fn, void *data)
{
	struct mp_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->points = points;
	ring->fn = fn;
	ring->data = data;
	ring->processes = ring_buffer__new(processes_map_fd, on_process, ring, NULL);
	ring->buffer = ring_buffer__new(processes_map_fd, on_process, ring, NULL);
	if (!ring->processes || !ring->buffer ||
	    ring_buffer__add(ring->buffer, events_map_fd, on_event, ring)) {
		mp_ring_free(ring);
		return NULL;
	}
	return ring;
}

void mp_ring_free(struct mp_ring *ring)
{
	if (!ring)
		return;
	ring_buffer__free(ring->buffer);
	ring_buffer__free(ring->processes);
	free(ring);
}

int mp_ring_fd(const struct mp_ring *ring)
{
	return ring_buffer__epoll_fd(ring->buffer);
}

int mp_ring_drain(struct mp_ring *ring, unsigned int max)
{
	int err;

	ring->left = max;
	ring->error = 0;
	err = ring_buffer__consume(ring->buffer);
	if (ring->error)
		return ring->error;
	return err < 0 && err != -EAGAIN ? err : (int)(max - ring->left);
}

uint64_t mp_ring_malformed(const struct mp_ring *ring)
{
	return ring->malformed;
}
