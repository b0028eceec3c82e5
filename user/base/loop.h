/* SPDX-License-Identifier: GPL-2.0-only */
/* One epoll loop: file descriptors and what to do when they can be read. */
#ifndef MP_BASE_LOOP_H
#define MP_BASE_LOOP_H

#include <stdint.h>

struct mp_loop;

typedef void (*mp_loop_fn)(void *data);

struct mp_loop *mp_loop_new(void);
void mp_loop_free(struct mp_loop *loop);

/* Calls `fn` whenever `fd` can be read. The caller keeps the fd and closes it after
 * mp_loop_remove(). */
int mp_loop_add(struct mp_loop *loop, int fd, mp_loop_fn fn, void *data);
/* The same for what is urgent and not to be read: EPOLLPRI, as PSI triggers have it. */
int mp_loop_add_priority(struct mp_loop *loop, int fd, mp_loop_fn fn, void *data);
void mp_loop_remove(struct mp_loop *loop, int fd);

/* A timerfd that fires every `interval_ns` (0: once after `first_ns`). Returns it, or a negative
 * errno. */
int mp_timer_new(uint64_t first_ns, uint64_t interval_ns);
/* Fires once after `ns` from now. */
void mp_timer_set(int fd, uint64_t ns);
/* Takes the expirations off, so that the fd is quiet again. */
void mp_timer_clear(int fd);

/* Waits at most timeout_ms (-1: for ever) and handles what is ready. Returns 0 or a negative errno.
 */
int mp_loop_once(struct mp_loop *loop, int timeout_ms);

#endif
