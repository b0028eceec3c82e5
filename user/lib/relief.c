// SPDX-License-Identifier: GPL-2.0-only
/*
 * The callbacks of this process, and what goes through them. A callback runs without the
 * lock, so that it may register and unregister, and so that one that hangs holds up nobody
 * but those who wait for itself.
 */
#include "lib/relief.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "lib/agent.h"
#include "lib/sample.h"

#define MAX_CALLBACKS 64
#define NS_PER_SEC 1000000000ULL

struct callback {
	int handle; /* 0: free */
	memprobe_pressure_fn fn;
	void *data;
};

struct callbacks {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a callback, or all of them, have run */
	struct callback all[MAX_CALLBACKS];
	int last_handle;
	int running;	  /* handle of the callback that is being called */
	bool busy;	  /* somebody goes through them: … */
	pthread_t runner; /* … who */
};

static struct callbacks *callbacks(void)
{
	static struct callbacks the_callbacks = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	return &the_callbacks;
}

/* --- fork() ------------------------------------------------------------------------- */

static void before_fork(void)
{
	pthread_mutex_lock(&callbacks()->lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&callbacks()->lock);
}

/* Only the thread that forked is there. If it did so in a callback it is still in there. */
static void after_fork_in_child(void)
{
	struct callbacks *c = callbacks();

	c->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	c->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	if (c->busy && !pthread_equal(c->runner, pthread_self())) {
		c->busy = false;
		c->running = 0;
	}
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static struct callbacks *lock_callbacks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct callbacks *c = callbacks();

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&c->lock);
	return c;
}

/* --- registering ---------------------------------------------------------------------- */

static struct callback *find(struct callbacks *c, int handle)
{
	for (size_t i = 0; i < MAX_CALLBACKS; i++) {
		if (c->all[i].handle == handle)
			return &c->all[i];
	}
	return NULL;
}

static bool is_runner(const struct callbacks *c)
{
	return c->busy && pthread_equal(c->runner, pthread_self());
}

/* Handles are not used again: one that is out of date must not mean another callback. */
static int add(memprobe_pressure_fn fn, void *data)
{
	struct callbacks *c = lock_callbacks();
	struct callback *free_one = find(c, 0);
	int handle = -ENOSPC;

	if (free_one && c->last_handle < INT_MAX) {
		handle = ++c->last_handle;
		*free_one = (struct callback){handle, fn, data};
	}
	pthread_mutex_unlock(&c->lock);
	return handle;
}

static int fail_with(int err)
{
	errno = -err;
	return -1;
}

int memprobe_on_pressure(memprobe_pressure_fn fn, void *data)
{
	int handle = fn ? add(fn, data) : -EINVAL;

	mp_lib_agent_revive();
	return handle < 0 ? fail_with(handle) : handle;
}

int memprobe_off_pressure(int handle)
{
	struct callbacks *c = lock_callbacks();
	struct callback *found = handle > 0 ? find(c, handle) : NULL;

	if (found)
		found->handle = 0;
	while (found && c->running == handle && !is_runner(c))
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return found ? 0 : fail_with(-ENOENT);
}

/* --- asking --------------------------------------------------------------------------- */

static bool wait_until(struct callbacks *c, uint64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
		.tv_nsec = (long)(deadline_ns % NS_PER_SEC),
	};

	if (!deadline_ns)
		return pthread_cond_wait(&c->changed, &c->lock) == 0;
	return pthread_cond_clockwait(&c->changed, &c->lock, CLOCK_MONOTONIC, &until) == 0;
}

/*
 * Callbacks need not bear to be called by two threads at once. Those to be called are the
 * ones up to the newest handle: what they register themselves is for the next time.
 */
static int take_turn(uint64_t deadline_ns, int *ret_newest)
{
	struct callbacks *c = lock_callbacks();
	int err = is_runner(c) ? -EDEADLK : 0;

	while (!err && c->busy) {
		if (!wait_until(c, deadline_ns))
			err = -ETIMEDOUT;
	}
	if (!err) {
		c->busy = true;
		c->runner = pthread_self();
		*ret_newest = c->last_handle;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* The newest callback with a handle up to `newest`; from then on it counts as running. */
static bool next_callback(int newest, struct callback *ret)
{
	struct callbacks *c = lock_callbacks();
	const struct callback *next = NULL;

	for (size_t i = 0; i < MAX_CALLBACKS; i++) {
		const struct callback *one = &c->all[i];

		if (one->handle && one->handle <= newest && (!next || one->handle > next->handle))
			next = one;
	}
	if (next)
		*ret = *next;
	c->running = next ? next->handle : 0;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return next != NULL;
}

static void end_turn(void)
{
	struct callbacks *c = lock_callbacks();

	c->busy = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Past its deadline it goes on: nobody reads the answer, but the memory is wanted still. */
int mp_lib_relieve(const struct memprobe_pressure *pressure, struct mp_lib_relief *relief)
{
	struct callback next;
	int newest;
	int err = take_turn(pressure->deadline_ns, &newest);

	if (err)
		return err;
	for (; next_callback(newest, &next); newest = next.handle - 1) {
		uint64_t said;

		__atomic_add_fetch(&relief->called, 1, __ATOMIC_RELAXED);
		said = next.fn(pressure, next.data);
		__atomic_add_fetch(&relief->said_bytes, said, __ATOMIC_RELAXED);
	}
	mp_lib_purge();
	end_turn();
	return 0;
}

/* --- measured ------------------------------------------------------------------------- */

/* Where /proc is out of reach, what the callbacks say has to do. */
static uint64_t relieve_and_measure(const struct memprobe_pressure *pressure)
{
	struct mp_lib_sources sources = {0};
	struct mp_lib_relief relief = {0};
	uint64_t before;
	uint64_t after;
	int unknown = mp_lib_sample_rss(&mp_lib_live, &sources, &before);
	int err = mp_lib_relieve(pressure, &relief);

	unknown = unknown ?: mp_lib_sample_rss(&mp_lib_live, &sources, &after);
	mp_lib_sources_close(&sources);
	if (err)
		return 0;
	if (unknown)
		return relief.said_bytes;
	return after < before ? before - after : 0;
}

uint64_t memprobe_relieve(const struct memprobe_pressure *pressure)
{
	static const struct memprobe_pressure all = {.severity = MEMPROBE_PRESSURE_CRITICAL};
	int saved = errno;
	uint64_t freed;

	mp_lib_agent_revive();
	freed = relieve_and_measure(pressure ? pressure : &all);
	errno = saved;
	return freed;
}
