/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's ring buffers as a stream of decoded records. */
#ifndef MP_SOURCE_RING_H
#define MP_SOURCE_RING_H

#include "source/decode.h"

struct mp_ring;

/* Takes one record; a negative return stops the drain. */
typedef int (*mp_ring_fn)(void *data, struct mp_decoded *record);

struct mp_ring *mp_ring_new(int events_map_fd, int processes_map_fd, const struct mp_points *points,
			    mp_ring_fn fn, void *data);
void mp_ring_free(struct mp_ring *ring);

/* Readable when records wait. */
int mp_ring_fd(const struct mp_ring *ring);

/*
 * Hands over what waits, at most `max` records, so that a flood cannot starve
 * the rest of the loop. Returns how many, or a negative errno.
 */
int mp_ring_drain(struct mp_ring *ring, unsigned int max);

/* Records that could not be decoded; 0 unless kernel and user side differ. */
uint64_t mp_ring_malformed(const struct mp_ring *ring);

#endif
