// SPDX-License-Identifier: GPL-2.0-only
#include "base/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"

#define NS_PER_SEC 1000000000ULL
#define BATCH 16

struct handler {
	struct handler *next;
	int fd;
	mp_loop_fn fn; /* NULL once removed; freed when no batch can point to it */
	void *data;
};

struct mp_loop {
	int epoll;
	struct handler *handlers;
};

struct mp_loop *mp_loop_new(void)
{
	struct mp_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void mp_loop_free(struct mp_loop *loop)
{
	if (!loop)
		return;
	while (loop->handlers) {
		struct handler *h = loop->handlers;

		loop->handlers = h->next;
		free(h);
	}
	close(loop->epoll);
	free(loop);
}

static int add(struct mp_loop *loop, int fd, uint32_t events, mp_loop_fn fn, void *data)
{
	struct handler *h = malloc(sizeof(*h));
	struct epoll_event event = {.events = events, .data.ptr = h};

	if (!h)
		return -ENOMEM;
	*h = (struct handler){loop->handlers, fd, fn, data};
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event)) {
		int err = -errno;

		free(h);
		return err;
	}
	loop->handlers = h;
	return 0;
}

int mp_loop_add(struct mp_loop *loop, int fd, mp_loop_fn fn, void *data)
{
	return add(loop, fd, EPOLLIN, fn, data);
}

int mp_loop_add_priority(struct mp_loop *loop, int fd, mp_loop_fn fn, void *data)
{
	return add(loop, fd, EPOLLPRI, fn, data);
}

void mp_loop_remove(struct mp_loop *loop, int fd)
{
	for (struct handler *h = loop->handlers; h; h = h->next) {
		if (h->fd != fd || !h->fn)
			continue;
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
		h->fn = NULL;
	}
}

static void sweep(struct mp_loop *loop)
{
	struct handler **at = &loop->handlers;

	while (*at) {
		struct handler *h = *at;

		if (h->fn) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		free(h);
	}
}

int mp_timer_new(uint64_t first_ns, uint64_t interval_ns)
{
	struct itimerspec spec = {
		.it_value = {(time_t)(first_ns / NS_PER_SEC), (long)(first_ns % NS_PER_SEC)},
		.it_interval = {(time_t)(interval_ns / NS_PER_SEC),
				(long)(interval_ns % NS_PER_SEC)},
	};
	MP_CLOSE int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL))
		return -errno;
	return mp_take_fd(&fd);
}

void mp_timer_set(int fd, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = {(time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC)},
	};

	timerfd_settime(fd, 0, &spec, NULL);
}

void mp_timer_clear(int fd)
{
	uint64_t expirations;
	ssize_t n = read(fd, &expirations, sizeof(expirations));

	(void)n;
}

int mp_loop_once(struct mp_loop *loop, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(loop->epoll, events, BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct handler *h = events[i].data.ptr;

		if (h->fn)
			h->fn(h->data);
	}
	sweep(loop);
	return 0;
}
