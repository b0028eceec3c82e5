/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent: what listens for requests to give memory back. Two threads.
 *
 * The *listener* answers, and calls nothing that could hold it up. It has a table of
 * files of its own, so that a program that closes all descriptors, or counts them, or
 * uses numbers that it believes to be free, neither harms it nor is harmed. As the two
 * tables have nothing in common, what wakes it is a signal, blocked in it like all
 * others, and read by signalfd(2).
 *
 * The *worker* calls the callbacks, for as long as they take, with the program's files.
 */
#ifndef MP_LIB_AGENT_H
#define MP_LIB_AGENT_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/relief.h"

/* No processor raises it and no program uses it; it is sent to the listener alone. */
#define MP_LIB_WAKE_SIGNAL SIGSTKFLT

enum mp_lib_agent_state {
	MP_LIB_AGENT_STOPPED = 0,
	MP_LIB_AGENT_CHANGING, /* a thread starts or stops it, without the lock */
	MP_LIB_AGENT_RUNNING,
};

struct mp_lib_agent_options {
	const char *root;  /* put before the socket's path; "" on a live system */
	const char *watch; /* $MEMORY_PRESSURE_WATCH, or NULL */
	const char *write; /* $MEMORY_PRESSURE_WRITE, or NULL */
};

struct mp_lib_agent {
	pthread_mutex_t lock; /* held for moments only: fork() waits for it */
	pthread_cond_t changed;
	enum mp_lib_agent_state state;
	pid_t pid;		 /* that it runs in: clone() and vfork() call no handlers */
	unsigned int generation; /* counts starts and forks: a worker of another one is to end */
	bool started;		 /* the listener has come up, or not: `error` */
	int error;
	bool ending;
	bool has_worker;
	pthread_t listener;
	pthread_t worker;
	void *pin; /* keeps the library loaded while there are threads in it */

	/* Of this process for good, however often it is started. */
	bool automatic;	  /* started because $MEMPROBE_AGENT said so … */
	bool in_children; /* … and so in every process that is forked, at once */
	bool is_told;	  /* why it cannot start goes to stderr: $MEMPROBE_DEBUG */
	bool lapsed;	  /* it was lost by fork(), and is to be started when there is occasion */

	struct mp_lib_agent_options options; /* of the start, for the listener */
	uint64_t settle_ns;		     /* before it opens anything */

	/* What the worker is to do; given by the listener alone. */
	bool asked;
	bool busy;
	struct memprobe_pressure pressure;
	struct mp_lib_relief relief;
	int relief_error;
};

/* As memprobe_agent_start(), with what that takes from the environment. 0 or -errno. */
MP_LIB_HIDDEN int mp_lib_agent_start(const struct mp_lib_agent_options *options);

/* Starts it again when fork() has ended it. For calls that need not be quick; keeps errno. */
MP_LIB_HIDDEN void mp_lib_agent_revive(void);

/* The threads, which are given the agent. */
MP_LIB_HIDDEN void *mp_lib_listener(void *agent);
MP_LIB_HIDDEN void *mp_lib_worker(void *agent);

/* Says how the listener's start went: 0 or -errno. */
MP_LIB_HIDDEN void mp_lib_agent_started(struct mp_lib_agent *agent, int error);

#endif
