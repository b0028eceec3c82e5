// SPDX-License-Identifier: GPL-2.0-only
#include "report/sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

/*
 * Waking the writer for every line would cost more than the line: it is woken
 * for the first one, and lets more arrive for this long unless much waits.
 */
#define LINGER_MS 5
#define NS_PER_SEC 1000000000L
#define NS_PER_MS 1000000L

struct mp_sink {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;	/* the writer waits for this */
	pthread_cond_t drained; /* whoever puts with patience, or frees, waits for this */
	char *queue;
	size_t size;
	size_t head; /* where the oldest byte is */
	size_t used;
	bool flush;   /* somebody waits: no lingering */
	bool closing; /* end once the queue is empty */
	bool done;    /* the thread writes no more */
	_Atomic uint64_t dropped;
	_Atomic int error;
};

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += timeout_ms / 1000;
	ts.tv_nsec += timeout_ms % 1000 * NS_PER_MS;
	if (ts.tv_nsec >= NS_PER_SEC) {
		ts.tv_sec++;
		ts.tv_nsec -= NS_PER_SEC;
	}
	return ts;
}

/* --- the writer ----------------------------------------------------------------- */

/*
 * On the stack when the thread is cancelled. AddressSanitizer does not see such
 * frames go, and would take what it put between their variables for damage.
 */
#define CANCELLABLE __attribute__((no_sanitize("address")))

/*
 * The only place where mp_sink_free() may cancel the thread: no lock is held,
 * and nothing is half done that anybody looks at afterwards.
 */
CANCELLABLE static ssize_t write_some(int fd, const char *data, size_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	ssize_t n;
	int saved;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	for (;;) {
		n = write(fd, data, len);
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
		if (errno == EAGAIN)
			poll(&pfd, 1, -1);
	}
	saved = errno;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return n < 0 ? -saved : n;
}

static void wait_for_data(struct mp_sink *s)
{
	struct timespec deadline;

	while (s->used == 0 && !s->closing)
		pthread_cond_wait(&s->filled, &s->lock);
	deadline = deadline_in(LINGER_MS);
	while (s->used < s->size / 2 && !s->flush && !s->closing) {
		if (pthread_cond_timedwait(&s->filled, &s->lock, &deadline) == ETIMEDOUT)
			return;
	}
}

/* The oldest bytes are the writer's alone until it gives their room back, so no lock is needed. */
CANCELLABLE static void write_chunk(struct mp_sink *s)
{
	size_t to_end = s->size - s->head;
	size_t len = s->used < to_end ? s->used : to_end;
	ssize_t n;

	pthread_mutex_unlock(&s->lock);
	n = write_some(s->fd, s->queue + s->head, len);
	pthread_mutex_lock(&s->lock);
	if (n < 0) {
		s->error = (int)n;
		s->used = 0;
	} else {
		s->head = (s->head + (size_t)n) % s->size;
		s->used -= (size_t)n;
	}
	pthread_cond_broadcast(&s->drained);
}

CANCELLABLE static void *writer(void *data)
{
	struct mp_sink *s = data;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_mutex_lock(&s->lock);
	while (!s->error) {
		wait_for_data(s);
		if (s->used == 0)
			break;
		write_chunk(s);
	}
	s->done = true;
	pthread_cond_broadcast(&s->drained);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- the monitor's side ---------------------------------------------------------- */

static void sink_destroy(struct mp_sink *s)
{
	pthread_cond_destroy(&s->drained);
	pthread_cond_destroy(&s->filled);
	pthread_mutex_destroy(&s->lock);
	free(s->queue);
	free(s);
}

static void init_locks(struct mp_sink *s)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->filled, &attr);
	pthread_cond_init(&s->drained, &attr);
	pthread_condattr_destroy(&attr);
}

/* A thread starts with its creator's mask: no signal, SIGPIPE among them, ever reaches this one. */
static int start_thread(struct mp_sink *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, writer, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

struct mp_sink *mp_sink_new(int fd, size_t queue_bytes)
{
	MP_FREE struct mp_sink *s = NULL;
	int err;

	if (queue_bytes == 0) {
		errno = EINVAL;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->queue = malloc(queue_bytes);
	if (!s->queue)
		return NULL;
	s->fd = fd;
	s->size = queue_bytes;
	init_locks(s);
	err = start_thread(s);
	if (err) {
		sink_destroy(MP_TAKE(s));
		errno = err;
		return NULL;
	}
	return MP_TAKE(s);
}

/* The caller holds the lock, and there is room. */
static void enqueue(struct mp_sink *s, const char *data, size_t len)
{
	size_t tail = (s->head + s->used) % s->size;
	size_t to_end = s->size - tail;
	size_t first = len < to_end ? len : to_end;
	bool wake = s->used == 0 || s->used + len >= s->size / 2;

	memcpy(s->queue + tail, data, first);
	memcpy(s->queue, data + first, len - first);
	s->used += len;
	if (wake)
		pthread_cond_signal(&s->filled);
}

static int drop(struct mp_sink *s, int err)
{
	s->dropped++;
	return err;
}

int mp_sink_put(struct mp_sink *s, const char *data, size_t len, size_t leave)
{
	int err;

	pthread_mutex_lock(&s->lock);
	err = s->error;
	if (!err && len + leave > s->size - s->used)
		err = -ENOBUFS;
	if (!err)
		enqueue(s, data, len);
	pthread_mutex_unlock(&s->lock);
	return err ? drop(s, err) : 0;
}

/* Waits with the lock held until `len` bytes fit. */
static int wait_for_room(struct mp_sink *s, size_t len, const struct timespec *deadline)
{
	int err = 0;

	s->flush = true;
	pthread_cond_signal(&s->filled);
	while (!s->error && len > s->size - s->used && !err)
		err = -pthread_cond_timedwait(&s->drained, &s->lock, deadline);
	s->flush = false;
	if (s->error)
		return s->error;
	return len > s->size - s->used ? err : 0;
}

static int put_pieces(struct mp_sink *s, const char *data, size_t len, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	size_t done = 0;

	while (done < len) {
		size_t left = len - done;
		size_t piece = left < s->size ? left : s->size;
		int err = wait_for_room(s, piece, &deadline);

		if (err == -ETIMEDOUT && done)
			s->error = err;
		if (err)
			return err;
		enqueue(s, data + done, piece);
		done += piece;
	}
	return 0;
}

int mp_sink_put_wait(struct mp_sink *s, const char *data, size_t len, int timeout_ms)
{
	int err;

	pthread_mutex_lock(&s->lock);
	err = put_pieces(s, data, len, timeout_ms);
	pthread_mutex_unlock(&s->lock);
	return err ? drop(s, err) : 0;
}

uint64_t mp_sink_dropped(const struct mp_sink *s)
{
	return s->dropped;
}

int mp_sink_error(const struct mp_sink *s)
{
	return s->error;
}

int mp_sink_free(struct mp_sink *s, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms);
	int err = 0;

	if (!s)
		return 0;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_signal(&s->filled);
	while (!s->done && !err)
		err = -pthread_cond_timedwait(&s->drained, &s->lock, &deadline);
	err = s->done ? 0 : -ETIMEDOUT;
	pthread_mutex_unlock(&s->lock);
	if (err)
		pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
	if (s->error)
		err = s->error;
	sink_destroy(s);
	return err;
}
