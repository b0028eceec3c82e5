// SPDX-License-Identifier: GPL-2.0-only
#include "action/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "action/report.h"
#include "base/clock.h"

#define NS_PER_SEC 1000000000ULL
#define STACK_BYTES (256U << 10)
#define STACK_TOUCHED (96U << 10) /* what jobs are expected to need of it */
#define GUARD_BYTES (64U << 10)	  /* whole pages, whatever their size */
#define NUDGE_NS 20000000ULL

/*
 * Ends what a worker waits in, when the monitor ends: writing memory.reclaim can
 * take long. Ignored by default, so it does no harm where it is not expected.
 */
#define NUDGE_SIGNAL SIGURG

enum slot_state {
	SLOT_FREE = 0,
	SLOT_WAITING,
	SLOT_RUNNING,
	SLOT_DONE,
};

struct slot {
	enum slot_state state;
	uint64_t order; /* of submission while it waits, of its end when it is done */
	struct mp_job job;
};

struct mp_workers {
	struct mp_actions *actions;
	pthread_mutex_t lock; /* of what follows, but not of the job of a slot that runs */
	pthread_cond_t work;  /* something waits, or is to stop */
	pthread_cond_t ended; /* a worker has ended */
	struct slot slots[MP_JOBS];
	uint64_t order;
	bool stopping;
	size_t n_live;
	pthread_t threads[MP_WORKERS];
	size_t n_threads; /* not joined */
	int event_fd;
	void *stacks;
};

static size_t stacks_bytes(void)
{
	return MP_WORKERS * (size_t)(GUARD_BYTES + STACK_BYTES);
}

/* --- in the workers ----------------------------------------------------------- */

static struct slot *next_of(struct mp_workers *workers, enum slot_state state, bool urgent_first)
{
	struct slot *found = NULL;

	for (size_t i = 0; i < MP_JOBS; i++) {
		struct slot *slot = &workers->slots[i];
		bool passes;

		if (slot->state != state)
			continue;
		passes = urgent_first && found && slot->job.ops->urgent != found->job.ops->urgent
				 ? slot->job.ops->urgent
				 : !found || slot->order < found->order;
		if (passes)
			found = slot;
	}
	return found;
}

/* With the lock held. NULL: to stop. */
static struct slot *wait_for_slot(struct mp_workers *workers)
{
	struct slot *slot = NULL;

	while (!workers->stopping && !(slot = next_of(workers, SLOT_WAITING, true)))
		pthread_cond_wait(&workers->work, &workers->lock);
	return slot;
}

static void tell_done(struct mp_workers *workers, struct slot *slot)
{
	slot->state = SLOT_DONE;
	slot->order = workers->order++;
	eventfd_write(workers->event_fd, 1);
}

static void run_job(struct mp_workers *workers, struct mp_job *job)
{
	job->started_ns = mp_clock_now_ns();
	job->ops->work(workers->actions, job);
	if (!job->ended_ns)
		job->ended_ns = mp_clock_now_ns();
}

static void *worker_main(void *arg)
{
	struct mp_workers *workers = arg;
	struct slot *slot;

	pthread_mutex_lock(&workers->lock);
	while ((slot = wait_for_slot(workers))) {
		slot->state = SLOT_RUNNING;
		pthread_mutex_unlock(&workers->lock);
		run_job(workers, &slot->job);
		pthread_mutex_lock(&workers->lock);
		tell_done(workers, slot);
	}
	workers->n_live--;
	pthread_cond_signal(&workers->ended);
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* --- starting ----------------------------------------------------------------- */

static void on_nudge(int signum)
{
	(void)signum;
}

/* Nothing to do but to interrupt: so it does not matter how many monitors of a process set it. */
static int catch_nudges(void)
{
	struct sigaction action = {.sa_handler = on_nudge};

	sigemptyset(&action.sa_mask);
	return sigaction(NUDGE_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

static int init_locks(struct mp_workers *workers)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->work, NULL);
	err = pthread_condattr_init(&attr);
	if (!err)
		err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!err)
		err = pthread_cond_init(&workers->ended, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

/* Stacks that are there already when memory is short; below each lies what must not be touched. */
static int make_stacks(struct mp_workers *workers)
{
	char *at = mmap(NULL, stacks_bytes(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	workers->stacks = at;
	for (size_t i = 0; i < MP_WORKERS; i++) {
		if (mprotect(at, GUARD_BYTES, PROT_NONE) < 0)
			return -errno;
		at += GUARD_BYTES + STACK_BYTES;
		memset(at - STACK_TOUCHED, 0, STACK_TOUCHED);
	}
	return 0;
}

static int start_thread(struct mp_workers *workers)
{
	char *stack = (char *)workers->stacks + GUARD_BYTES +
		      workers->n_threads * (size_t)(GUARD_BYTES + STACK_BYTES);
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	err = pthread_attr_setstack(&attr, stack, STACK_BYTES);
	if (!err)
		err = pthread_create(&workers->threads[workers->n_threads], &attr, worker_main,
				     workers);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	workers->n_threads++;
	workers->n_live++;
	return 0;
}

/* Signals are for the monitor's own thread. */
static int start_threads(struct mp_workers *workers)
{
	sigset_t blocked;
	sigset_t before;
	int err = 0;

	sigfillset(&blocked);
	sigdelset(&blocked, NUDGE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	pthread_mutex_lock(&workers->lock);
	for (size_t i = 0; i < MP_WORKERS && !err; i++)
		err = start_thread(workers);
	pthread_mutex_unlock(&workers->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

struct mp_workers *mp_workers_new(struct mp_actions *actions)
{
	struct mp_workers *workers = mmap(NULL, sizeof(*workers), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int err;

	if (workers == MAP_FAILED)
		return NULL;
	workers->actions = actions;
	workers->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = workers->event_fd < 0 ? -errno : 0;
	err = err ?: init_locks(workers);
	err = err ?: catch_nudges();
	err = err ?: make_stacks(workers);
	err = err ?: start_threads(workers);
	if (!err)
		return workers;
	mp_workers_free(workers);
	errno = -err;
	return NULL;
}

/* --- stopping ----------------------------------------------------------------- */

static void drop_waiting(struct mp_workers *workers)
{
	struct slot *slot;

	while ((slot = next_of(workers, SLOT_WAITING, false))) {
		slot->job.started_ns = slot->job.ended_ns = mp_clock_now_ns();
		mp_job_end(&slot->job, MP_RESULT_SKIPPED, "the monitor ended before it began");
		tell_done(workers, slot);
	}
}

static void wait_for_end(struct mp_workers *workers, uint64_t until_ns)
{
	struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_SEC),
				 .tv_nsec = (long)(until_ns % NS_PER_SEC)};

	while (workers->n_live &&
	       pthread_cond_timedwait(&workers->ended, &workers->lock, &until) != ETIMEDOUT)
		;
}

/* Again and again: one may come just before a wait instead of during it. */
static void nudge_until_ended(struct mp_workers *workers)
{
	while (workers->n_live) {
		for (size_t i = 0; i < workers->n_threads; i++)
			pthread_kill(workers->threads[i], NUDGE_SIGNAL);
		wait_for_end(workers, mp_clock_now_ns() + NUDGE_NS);
	}
}

void mp_workers_stop(struct mp_workers *workers, uint64_t timeout_ns)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	__atomic_store_n(&workers->stopping, true, __ATOMIC_RELEASE);
	drop_waiting(workers);
	pthread_cond_broadcast(&workers->work);
	wait_for_end(workers, mp_clock_now_ns() + timeout_ns);
	nudge_until_ended(workers);
	pthread_mutex_unlock(&workers->lock);
	while (workers->n_threads)
		pthread_join(workers->threads[--workers->n_threads], NULL);
}

void mp_workers_free(struct mp_workers *workers)
{
	if (!workers)
		return;
	mp_workers_stop(workers, 0);
	pthread_cond_destroy(&workers->ended);
	pthread_cond_destroy(&workers->work);
	pthread_mutex_destroy(&workers->lock);
	if (workers->stacks)
		munmap(workers->stacks, stacks_bytes());
	mp_close_p(&workers->event_fd);
	munmap(workers, sizeof(*workers));
}

/* --- for the loop ------------------------------------------------------------- */

static bool is_same_work(const struct mp_job *a, const struct mp_job *b)
{
	return a->ops == b->ops && (a->ops->whole_domain || a->pid == b->pid) &&
	       a->has_domain == b->has_domain && strcmp(a->domain, b->domain) == 0;
}

static int take_slot(struct mp_workers *workers, const struct mp_job *job)
{
	struct slot *taken = NULL;

	for (size_t i = 0; i < MP_JOBS; i++) {
		struct slot *slot = &workers->slots[i];

		if (slot->state == SLOT_FREE)
			taken = taken ? taken : slot;
		else if (is_same_work(&slot->job, job))
			return -EBUSY;
	}
	if (!taken)
		return -ENOSPC;
	taken->job = *job;
	taken->order = workers->order++;
	taken->state = SLOT_WAITING;
	pthread_cond_signal(&workers->work);
	return 0;
}

int mp_workers_submit(struct mp_workers *workers, const struct mp_action_ops *ops,
		      const struct mp_action_request *request)
{
	struct mp_job job;
	int err = mp_job_init(&job, workers->actions->o.cgroups, ops, request);

	if (err)
		return err;
	pthread_mutex_lock(&workers->lock);
	err = workers->stopping ? -ESHUTDOWN : take_slot(workers, &job);
	pthread_mutex_unlock(&workers->lock);
	return err;
}

int mp_workers_fd(const struct mp_workers *workers)
{
	return workers->event_fd;
}

static struct slot *next_done(struct mp_workers *workers)
{
	struct slot *slot;

	pthread_mutex_lock(&workers->lock);
	slot = next_of(workers, SLOT_DONE, false);
	pthread_mutex_unlock(&workers->lock);
	return slot;
}

/* The slot is not free before `fn` is through: what it begins may be submitted work. */
void mp_workers_collect(struct mp_workers *workers,
			void (*fn)(struct mp_actions *, struct mp_job *))
{
	struct slot *slot;
	eventfd_t n;

	eventfd_read(workers->event_fd, &n);
	while ((slot = next_done(workers))) {
		fn(workers->actions, &slot->job);
		pthread_mutex_lock(&workers->lock);
		slot->state = SLOT_FREE;
		pthread_mutex_unlock(&workers->lock);
	}
}

bool mp_workers_stopping(const struct mp_workers *workers)
{
	return __atomic_load_n(&workers->stopping, __ATOMIC_ACQUIRE);
}
