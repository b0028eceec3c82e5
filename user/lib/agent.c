// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent's life: one a process, started and stopped by any thread, gone after fork()
 * and exec, taken away at exit. What it does is in agent_listen.c, but for the worker.
 */
#include "lib/agent.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define LISTENER_STACK (128UL << 10)
#define TOUCHED_STACK (32UL << 10)
#define PAGE 4096
/*
 * Of an agent that starts by itself: a process that ends before, or executes something else,
 * leaves no file behind. Most are over by then.
 */
#define SETTLE_NS 100000000ULL
#define EXIT_WAIT_S 1

static struct mp_lib_agent *agent(void)
{
	static struct mp_lib_agent the_agent = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};

	return &the_agent;
}

/* --- threads ---------------------------------------------------------------------------- */

/* So that no page of it has to be found when there are none. */
static __attribute__((noinline)) void touch_stack(void)
{
	volatile char room[TOUCHED_STACK];

	for (size_t i = 0; i < sizeof(room); i += PAGE)
		room[i] = 0;
}

/* With the lock. A callback may have forked: in the child this thread is all there is. */
static bool is_wanted(const struct mp_lib_agent *a, unsigned int generation)
{
	return !a->ending && a->generation == generation;
}

/* By the worker: the listener's standard error is not the program's. */
static void tell_failure(const struct mp_lib_agent *a)
{
	if (a->automatic && a->is_told)
		dprintf(STDERR_FILENO, "libmemprobe: the agent cannot start: %s\n",
			strerror(-a->error));
}

static void serve(struct mp_lib_agent *a, unsigned int generation)
{
	int err;

	a->asked = false;
	pthread_mutex_unlock(&a->lock);
	err = mp_lib_relieve(&a->pressure, &a->relief);
	pthread_mutex_lock(&a->lock);
	if (!is_wanted(a, generation))
		return;
	a->relief_error = err;
	a->busy = false;
	pthread_kill(a->listener, MP_LIB_WAKE_SIGNAL);
}

void *mp_lib_worker(void *data)
{
	struct mp_lib_agent *a = data;
	unsigned int generation;

	prctl(PR_SET_NAME, "memprobe-relief");
	touch_stack();
	pthread_mutex_lock(&a->lock);
	generation = a->generation;
	while (is_wanted(a, generation)) {
		if (a->asked)
			serve(a, generation);
		else
			pthread_cond_wait(&a->changed, &a->lock);
	}
	if (a->error && a->generation == generation)
		tell_failure(a);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

void mp_lib_agent_started(struct mp_lib_agent *a, int error)
{
	touch_stack();
	pthread_mutex_lock(&a->lock);
	a->started = true;
	a->error = error;
	/* Nobody may be waiting for it; then the worker would be. */
	if (error)
		a->ending = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

/* The signals that a thread brings on itself are left to the program's handlers. */
static void block_signals(sigset_t *ret_before)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, ret_before);
}

/* A program with much thread-local storage needs more of a stack than is chosen here. */
static int create_listener(struct mp_lib_agent *a)
{
	pthread_attr_t attr;
	sigset_t before;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, LISTENER_STACK);
	block_signals(&before);
	err = pthread_create(&a->listener, &attr, mp_lib_listener, a);
	if (err == EINVAL)
		err = pthread_create(&a->listener, NULL, mp_lib_listener, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* --- starting and stopping ----------------------------------------------------------------- */

/*
 * A library whose code runs in threads must not be unloaded: it counts as opened once more
 * until these have ended. In an executable there is nothing to hold.
 */
static void pin(struct mp_lib_agent *a)
{
	Dl_info info;

	if (!a->pin && dladdr((void *)mp_lib_worker, &info))
		a->pin = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

static void unpin(struct mp_lib_agent *a)
{
	if (a->pin)
		dlclose(a->pin);
	a->pin = NULL;
}

/* One that has started by itself is not to take its time any more. */
static int wait_started(struct mp_lib_agent *a)
{
	int err;

	pthread_mutex_lock(&a->lock);
	a->settle_ns = 0;
	pthread_cond_broadcast(&a->changed);
	while (!a->started)
		pthread_cond_wait(&a->changed, &a->lock);
	err = a->error;
	pthread_mutex_unlock(&a->lock);
	return err;
}

/* It never waits for anything. */
static void end_listener(struct mp_lib_agent *a)
{
	pthread_mutex_lock(&a->lock);
	a->ending = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	pthread_kill(a->listener, MP_LIB_WAKE_SIGNAL);
	pthread_join(a->listener, NULL);
}

/* The worker ends with the callback that it is in. */
static void end_threads(struct mp_lib_agent *a)
{
	end_listener(a);
	if (a->has_worker)
		pthread_join(a->worker, NULL);
}

static int begin(struct mp_lib_agent *a, const struct mp_lib_agent_options *options,
		 uint64_t settle_ns)
{
	a->pid = getpid();
	a->generation++;
	a->options = *options;
	a->settle_ns = settle_ns;
	a->started = false;
	a->error = 0;
	a->ending = false;
	a->has_worker = false;
	a->asked = false;
	a->busy = false;
	__atomic_store_n(&a->lapsed, false, __ATOMIC_RELAXED);
	return create_listener(a);
}

/* Waits for other threads' changes; it is the caller's to change when it is in state `from`. */
static bool take(struct mp_lib_agent *a, enum mp_lib_agent_state from)
{
	bool taken;

	pthread_mutex_lock(&a->lock);
	while (a->state == MP_LIB_AGENT_CHANGING)
		pthread_cond_wait(&a->changed, &a->lock);
	taken = a->state == from;
	if (taken)
		a->state = MP_LIB_AGENT_CHANGING;
	pthread_mutex_unlock(&a->lock);
	return taken;
}

static void leave(struct mp_lib_agent *a, enum mp_lib_agent_state state)
{
	pthread_mutex_lock(&a->lock);
	a->state = state;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static struct mp_lib_agent_options options_of_environment(void)
{
	return (struct mp_lib_agent_options){
		.root = "",
		.watch = secure_getenv("MEMORY_PRESSURE_WATCH"),
		.write = secure_getenv("MEMORY_PRESSURE_WRITE"),
	};
}

/* Nobody waits for how it goes. */
static void begin_by_itself(struct mp_lib_agent *a)
{
	struct mp_lib_agent_options options = options_of_environment();

	pin(a);
	if (begin(a, &options, SETTLE_NS) == 0)
		a->state = MP_LIB_AGENT_RUNNING;
}

/* --- fork() ------------------------------------------------------------------------------ */

static void before_fork(void)
{
	pthread_mutex_lock(&agent()->lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&agent()->lock);
}

/*
 * The threads are the parent's, and so is the socket. A child often does nothing but exec,
 * and nothing else is safe in it if the program had threads and locks of its own; so the agent
 * comes back with the next call of the library, or here and now for who asked for that.
 */
static void after_fork_in_child(void)
{
	struct mp_lib_agent *a = agent();
	bool lost = a->automatic && (a->lapsed || a->state != MP_LIB_AGENT_STOPPED);

	a->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	a->changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	a->state = MP_LIB_AGENT_STOPPED;
	a->generation++;
	a->lapsed = lost;
	if (lost && a->in_children)
		begin_by_itself(a);
}

static void register_handlers(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static void watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_handlers);
}

void mp_lib_agent_revive(void)
{
	int saved = errno;

	if (__atomic_load_n(&agent()->lapsed, __ATOMIC_RELAXED))
		(void)memprobe_agent_start();
	errno = saved;
}

/* --- from outside -------------------------------------------------------------------------- */

int mp_lib_agent_start(const struct mp_lib_agent_options *options)
{
	struct mp_lib_agent *a = agent();
	int err;

	if (!take(a, MP_LIB_AGENT_STOPPED))
		return wait_started(a);
	watch_forks();
	pin(a);
	err = begin(a, options, 0);
	if (!err) {
		err = wait_started(a);
		if (err)
			end_threads(a);
	}
	if (err)
		unpin(a);
	leave(a, err ? MP_LIB_AGENT_STOPPED : MP_LIB_AGENT_RUNNING);
	return err;
}

int memprobe_agent_start(void)
{
	struct mp_lib_agent_options options = options_of_environment();
	int err = mp_lib_agent_start(&options);

	if (!err)
		return 0;
	errno = -err;
	return -1;
}

static bool is_worker(struct mp_lib_agent *a)
{
	bool is;

	pthread_mutex_lock(&a->lock);
	is = a->state == MP_LIB_AGENT_RUNNING && a->has_worker &&
	     pthread_equal(a->worker, pthread_self());
	pthread_mutex_unlock(&a->lock);
	return is;
}

int memprobe_agent_stop(void)
{
	struct mp_lib_agent *a = agent();

	if (is_worker(a)) {
		errno = EDEADLK;
		return -1;
	}
	__atomic_store_n(&a->lapsed, false, __ATOMIC_RELAXED);
	if (!take(a, MP_LIB_AGENT_RUNNING))
		return 0;
	end_threads(a);
	unpin(a);
	leave(a, MP_LIB_AGENT_STOPPED);
	return 0;
}

/* --- by the environment, and at exit --------------------------------------------------------- */

/*
 * `run --agent` and others who preload the library have it start by itself. Where it cannot,
 * the program must not notice.
 */
static __attribute__((constructor)) void start_if_told(void)
{
	const char *told = secure_getenv("MEMPROBE_AGENT");
	struct mp_lib_agent *a = agent();
	int saved = errno;

	if (!told || (strcmp(told, "1") != 0 && strcmp(told, "fork") != 0))
		return;
	a->automatic = true;
	a->in_children = strcmp(told, "fork") == 0;
	a->is_told = secure_getenv("MEMPROBE_DEBUG") != NULL;
	watch_forks();
	begin_by_itself(a);
	errno = saved;
}

static bool take_for_exit(struct mp_lib_agent *a, bool *ret_busy)
{
	struct timespec until;
	bool taken;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += EXIT_WAIT_S;
	/* A signal handler that calls exit() may have interrupted who has the lock. */
	if (pthread_mutex_timedlock(&a->lock, &until))
		return false;
	taken = a->state == MP_LIB_AGENT_RUNNING && a->pid == getpid();
	if (taken)
		a->state = MP_LIB_AGENT_CHANGING;
	*ret_busy = a->busy;
	pthread_mutex_unlock(&a->lock);
	return taken;
}

/*
 * Takes the socket away. A callback may hang, or be what has called exit(): it is not waited
 * for. (When it is unloaded, a library has no agent: see pin().)
 */
static __attribute__((destructor)) void end_at_exit(void)
{
	struct mp_lib_agent *a = agent();
	bool busy;

	if (!take_for_exit(a, &busy))
		return;
	end_listener(a);
	if (!busy && a->has_worker)
		pthread_join(a->worker, NULL);
}
