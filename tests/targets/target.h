/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs under watch share: how they start, and how options are read. */
#ifndef MP_TESTS_TARGET_H
#define MP_TESTS_TARGET_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A function that keeps its symbol and is really called, whatever the optimizer thinks of it. */
#if defined(__clang__)
#define PROBED __attribute__((noinline, optnone))
#else
#define PROBED __attribute__((noipa))
#endif

static inline void target_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* The value of a numeric option, or the end of the program. */
static inline uint64_t target_number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end) {
		fprintf(stderr, "not a number: %s\n", text);
		exit(2);
	}
	return value;
}

static inline uint64_t target_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Says "ready PID" and, when asked to wait, does nothing until SIGUSR1: so a
 * test can attach before the first call. Call it before threads are made.
 */
static inline void target_ready(bool wait)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (wait && sigwait(&set, &sig))
		target_die("sigwait");
}

#endif
