/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes lines to a file descriptor from a thread of its own, so that a slow
 * or stuck reader never holds up the monitor: what does not fit the queue is
 * dropped and counted. One thread puts; the others may ask for counts.
 */
#ifndef MP_REPORT_SINK_H
#define MP_REPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mp_sink;

/* Does not take over `fd`. NULL: no memory, no thread, or an empty queue (errno). */
struct mp_sink *mp_sink_new(int fd, size_t queue_bytes);
/*
 * Whole lines or nothing. `leave` bytes of the queue are left free for lines
 * that matter more. Returns 0, -ENOBUFS (dropped, counted), or the write error
 * once one happened.
 */
int mp_sink_put(struct mp_sink *sink, const char *data, size_t len, size_t leave);
/*
 * For the summary: waits until there is room (at most timeout_ms), then puts.
 * Data longer than the queue goes through it in pieces. Returns 0, the write
 * error, or -ETIMEDOUT (dropped, counted); when that cuts a line in pieces, it
 * is the sink's error from then on, so that nothing is glued to the cut line.
 */
int mp_sink_put_wait(struct mp_sink *sink, const char *data, size_t len, int timeout_ms);
/* Puts that were not taken. */
uint64_t mp_sink_dropped(const struct mp_sink *sink);
/* A write error (-EPIPE, -ENOSPC …), or 0. */
int mp_sink_error(const struct mp_sink *sink);
/*
 * Writes out what is queued (at most timeout_ms), ends the thread, frees. NULL
 * is fine. Returns 0 or the write error or -ETIMEDOUT.
 */
int mp_sink_free(struct mp_sink *sink, int timeout_ms);

#endif
