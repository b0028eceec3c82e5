// SPDX-License-Identifier: GPL-2.0-only
#include "source/ring.h"

#include <bpf/libbpf.h>
#include <errno.h>

struct mp_ring {
	struct ring_buffer *buffer;
	const struct mp_points *points;
	mp_ring_fn fn;
	void *data;
	uint64_t malformed;
	unsigned int left; /* of this drain's budget */
	int error;
	struct mp_decoded decoded;
};

static int on_record(void *ctx, void *data, size_t len)
{
	struct mp_ring *ring = ctx;
	int err;

	ring->left--;
	if (mp_decode(data, len, ring->points, &ring->decoded)) {
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

struct mp_ring *mp_ring_new(int events_map_fd, int processes_map_fd, const struct mp_points *points,
			    mp_ring_fn fn, void *data)
{
	struct mp_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->points = points;
	ring->fn = fn;
	ring->data = data;
	ring->buffer = ring_buffer__new(processes_map_fd, on_record, ring, NULL);
	if (!ring->buffer || ring_buffer__add(ring->buffer, events_map_fd, on_record, ring)) {
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
