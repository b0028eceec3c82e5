// SPDX-License-Identifier: GPL-2.0-only
/*
 * The listener's thread. One peer is read from at a time; the one whose request is being
 * served waits beside it, so that others can be told that the agent is busy.
 *
 * Nothing in here allocates memory, opens a file or prints once it runs: descriptor 2 is
 * no terminal, but something of its own.
 */
#include "lib/agent.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/relief.h"
#include "lib/agent_socket.h"
#include "lib/agent_watch.h"
#include "lib/sample.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_SEC 1000000000ULL
#define REQUEST_NS (500 * NS_PER_MS) /* from connecting to asking */
#define MAX_DEADLINE_NS (60 * NS_PER_SEC)
#define MAX_HEADSTART_NS (50 * NS_PER_MS) /* of an answer before its deadline */
#define WATCH_INTERVAL_NS NS_PER_SEC	  /* between two that $MEMORY_PRESSURE_WATCH asks for */
#define WATCH_DEADLINE_NS (2 * NS_PER_SEC)

struct peer {
	int fd; /* -1: none */
	uint64_t until_ns;
};

struct listener {
	struct mp_lib_agent *agent;
	struct mp_lib_socket socket;
	struct mp_lib_watch watch;
	int wake_fd;
	struct mp_lib_sources sources; /* the files of it are in this thread's table */
	struct peer newcomer;
	struct peer served;
	uint64_t id; /* of the request that is served */
	uint64_t start_ns;
	uint64_t rss_before;
	uint64_t watch_quiet_until_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void drop(struct peer *peer)
{
	mp_close_p(&peer->fd);
	peer->fd = -1;
}

/* --- what the worker does ----------------------------------------------------------- */

static bool is_ending(struct mp_lib_agent *agent)
{
	bool ending;

	pthread_mutex_lock(&agent->lock);
	ending = agent->ending;
	pthread_mutex_unlock(&agent->lock);
	return ending;
}

static bool is_busy(struct mp_lib_agent *agent, int *ret_error)
{
	bool busy;

	pthread_mutex_lock(&agent->lock);
	busy = agent->busy;
	*ret_error = agent->relief_error;
	pthread_mutex_unlock(&agent->lock);
	return busy;
}

/* Only when it is not busy. */
static void ask_worker(struct listener *l, uint32_t severity, uint64_t wanted, uint64_t deadline_ns)
{
	struct mp_lib_agent *agent = l->agent;

	l->start_ns = now_ns();
	if (mp_lib_sample_rss(&mp_lib_live, &l->sources, &l->rss_before))
		l->rss_before = MEMPROBE_UNKNOWN;
	pthread_mutex_lock(&agent->lock);
	agent->pressure = (struct memprobe_pressure){
		.severity = severity, .wanted_bytes = wanted, .deadline_ns = deadline_ns};
	agent->relief = (struct mp_lib_relief){0};
	agent->relief_error = 0;
	agent->asked = true;
	agent->busy = true;
	pthread_cond_broadcast(&agent->changed);
	pthread_mutex_unlock(&agent->lock);
}

/* By the resident set; where it cannot be read, by what the callbacks say. */
static uint64_t freed_so_far(struct listener *l)
{
	uint64_t now;

	if (l->rss_before == MEMPROBE_UNKNOWN || mp_lib_sample_rss(&mp_lib_live, &l->sources, &now))
		return __atomic_load_n(&l->agent->relief.said_bytes, __ATOMIC_RELAXED);
	return now < l->rss_before ? l->rss_before - now : 0;
}

/* --- answers -------------------------------------------------------------------------- */

static void send_reply(struct peer *peer, struct mp_relief_reply *reply)
{
	reply->magic = MP_RELIEF_MAGIC;
	reply->version = MP_RELIEF_VERSION;
	(void)!send(peer->fd, reply, sizeof(*reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	drop(peer);
}

static uint16_t status_of(bool busy, int error, uint64_t freed_bytes)
{
	if (error)
		return MP_RELIEF_BUSY; /* the program itself asks its callbacks */
	if (freed_bytes)
		return MP_RELIEF_DONE;
	return busy ? MP_RELIEF_FAILED : MP_RELIEF_NOTHING;
}

static void answer_served(struct listener *l)
{
	int error;
	bool busy = is_busy(l->agent, &error);
	uint64_t freed = freed_so_far(l);
	struct mp_relief_reply reply = {
		.status = status_of(busy, error, freed),
		.id = l->id,
		.duration_ns = now_ns() - l->start_ns,
		.callbacks = __atomic_load_n(&l->agent->relief.called, __ATOMIC_RELAXED),
	};

	if (reply.status == MP_RELIEF_DONE)
		reply.freed_bytes = freed;
	send_reply(&l->served, &reply);
}

static void answer_busy(struct peer *peer, uint64_t id)
{
	struct mp_relief_reply reply = {.status = MP_RELIEF_BUSY, .id = id};

	send_reply(peer, &reply);
}

/* --- peers ------------------------------------------------------------------------------ */

static void meet(struct listener *l)
{
	int fd = mp_lib_socket_accept(&l->socket);

	if (fd >= 0)
		l->newcomer = (struct peer){fd, now_ns() + REQUEST_NS};
}

/* A longer record shows by its length, though what is behind is cut off. */
static bool receive(const struct peer *peer, struct mp_relief_request *ret)
{
	ssize_t n = recv(peer->fd, ret, sizeof(*ret), MSG_TRUNC | MSG_DONTWAIT);

	return n == (ssize_t)sizeof(*ret) && ret->magic == MP_RELIEF_MAGIC &&
	       ret->version == MP_RELIEF_VERSION && ret->severity <= MEMPROBE_PRESSURE_CRITICAL;
}

/* The answer must be there by then, so it is sent a little earlier. */
static uint64_t answer_at(uint64_t now, uint64_t deadline_ns)
{
	uint64_t headstart = deadline_ns / 4;

	return now + deadline_ns - (headstart < MAX_HEADSTART_NS ? headstart : MAX_HEADSTART_NS);
}

static void serve(struct listener *l)
{
	struct mp_relief_request request;
	uint64_t now = now_ns();
	int error;

	if (!receive(&l->newcomer, &request)) {
		drop(&l->newcomer);
		return;
	}
	if (is_busy(l->agent, &error)) {
		answer_busy(&l->newcomer, request.id);
		return;
	}
	if (request.deadline_ns > MAX_DEADLINE_NS)
		request.deadline_ns = MAX_DEADLINE_NS;
	l->id = request.id;
	l->served = (struct peer){mp_take_fd(&l->newcomer.fd), answer_at(now, request.deadline_ns)};
	ask_worker(l, request.severity, request.wanted_bytes, now + request.deadline_ns);
}

/* The protocol has one degree of pressure, and nobody waits for an answer. */
static void hear_watch(struct listener *l, short events)
{
	uint64_t now = now_ns();
	int error;

	if (!mp_lib_watch_hear(&l->watch, events) || now < l->watch_quiet_until_ns ||
	    is_busy(l->agent, &error))
		return;
	l->watch_quiet_until_ns = now + WATCH_INTERVAL_NS;
	ask_worker(l, MEMPROBE_GC, 0, now + WATCH_DEADLINE_NS);
}

/* --- the loop --------------------------------------------------------------------------- */

static void take_wake(struct listener *l)
{
	struct signalfd_siginfo info;
	int error;

	(void)!read(l->wake_fd, &info, sizeof(info));
	if (l->served.fd >= 0 && !is_busy(l->agent, &error))
		answer_served(l);
}

static void end_waits(struct listener *l)
{
	uint64_t now = now_ns();

	if (l->newcomer.fd >= 0 && now >= l->newcomer.until_ns)
		drop(&l->newcomer);
	if (l->served.fd >= 0 && now >= l->served.until_ns)
		answer_served(l);
}

/* Rounded up, so that what is left is not waited for in a busy loop. */
static int wait_ms(const struct listener *l)
{
	uint64_t until = UINT64_MAX;
	uint64_t now;

	if (l->newcomer.fd >= 0)
		until = l->newcomer.until_ns;
	if (l->served.fd >= 0 && l->served.until_ns < until)
		until = l->served.until_ns;
	if (until == UINT64_MAX)
		return -1;
	now = now_ns();
	return now >= until ? 0 : (int)((until - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* What comes from a peer that is being served, or its end, is not what was agreed on. */
static void listen_once(struct listener *l)
{
	enum {
		WAKE,
		WATCH,
		NEWCOMER,
		SERVED,
		LISTEN,
		N
	};
	struct pollfd fds[N] = {
		[WAKE] = {l->wake_fd, POLLIN, 0},
		[WATCH] = {l->watch.fd, l->watch.events, 0},
		[NEWCOMER] = {l->newcomer.fd, POLLIN, 0},
		[SERVED] = {l->served.fd, POLLIN, 0},
		[LISTEN] = {l->newcomer.fd < 0 ? l->socket.fd : -1, POLLIN, 0},
	};
	int n = poll(fds, N, wait_ms(l));

	/* setuid() interrupts every thread. */
	mp_lib_socket_follow_user(&l->socket);
	if (n > 0 && fds[WAKE].revents)
		take_wake(l);
	if (n > 0 && fds[SERVED].revents)
		drop(&l->served);
	if (n > 0 && fds[NEWCOMER].revents)
		serve(l);
	if (n > 0 && fds[LISTEN].revents)
		meet(l);
	if (n > 0 && fds[WATCH].revents)
		hear_watch(l, fds[WATCH].revents);
	end_waits(l);
}

/* --- beginning and end -------------------------------------------------------------------- */

/* Until its time is over, or somebody cannot wait for it. */
static void settle(struct mp_lib_agent *agent)
{
	uint64_t begin_ns = now_ns();

	pthread_mutex_lock(&agent->lock);
	while (!agent->ending && now_ns() < begin_ns + agent->settle_ns) {
		uint64_t until_ns = begin_ns + agent->settle_ns;
		struct timespec until = {
			.tv_sec = (time_t)(until_ns / NS_PER_SEC),
			.tv_nsec = (long)(until_ns % NS_PER_SEC),
		};

		pthread_cond_clockwait(&agent->changed, &agent->lock, CLOCK_MONOTONIC, &until);
	}
	pthread_mutex_unlock(&agent->lock);
}

/* With the program's table of files, so before this thread leaves that. */
static int start_worker(struct mp_lib_agent *agent)
{
	pthread_t worker = 0;
	int err = pthread_create(&worker, NULL, mp_lib_worker, agent);

	pthread_mutex_lock(&agent->lock);
	agent->worker = worker;
	agent->has_worker = !err;
	pthread_mutex_unlock(&agent->lock);
	return -err;
}

static int leave_file_table(void)
{
	return syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE) < 0 ? -errno : 0;
}

static int open_wake(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, MP_LIB_WAKE_SIGNAL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Without the watch, or /proc, it listens all the same. */
static int open_all(struct listener *l)
{
	const struct mp_lib_agent_options *o = &l->agent->options;
	int err = leave_file_table();
	uint64_t rss;

	if (err)
		return err;
	l->wake_fd = open_wake();
	if (l->wake_fd < 0)
		return l->wake_fd;
	(void)mp_lib_sample_rss(&mp_lib_live, &l->sources, &rss);
	(void)mp_lib_watch_open(o->watch, o->write, &l->watch);
	return mp_lib_socket_open(o->root, &l->socket);
}

static void close_all(struct listener *l)
{
	drop(&l->newcomer);
	drop(&l->served);
	mp_lib_socket_close(&l->socket);
	mp_close_p(&l->watch.fd);
	mp_lib_sources_close(&l->sources);
	mp_close_p(&l->wake_fd);
}

void *mp_lib_listener(void *data)
{
	struct mp_lib_agent *agent = data;
	struct listener l = {
		.agent = agent,
		.socket = {.fd = -1, .dir_fd = -1},
		.watch = {.fd = -1},
		.wake_fd = -1,
		.newcomer = {.fd = -1},
		.served = {.fd = -1},
	};
	int err;

	prctl(PR_SET_NAME, "memprobe-agent");
	settle(agent);
	err = start_worker(agent) ?: open_all(&l);
	mp_lib_agent_started(agent, err);
	while (!err && !is_ending(agent))
		listen_once(&l);
	close_all(&l);
	return NULL;
}
