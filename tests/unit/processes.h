/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that a test stops, lets go and ends. Nothing here measures time; only hangs fail. */
#ifndef MP_TEST_PROCESSES_H
#define MP_TEST_PROCESSES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/target.h"

#define PATIENCE_ROUNDS 6000 /* of 10 ms */

static inline struct mp_process read_process(pid_t pid)
{
	const struct mp_fsroot fs = {""};
	struct mp_process process = {0};

	assert_int_equal(mp_process_read(&fs, pid, &process), 0);
	return process;
}

static inline uint64_t start_time_of(pid_t pid)
{
	return read_process(pid).start_time;
}

static inline void wait_for_state(pid_t pid, const char *states)
{
	for (int i = 0; !strchr(states, read_process(pid).state); i++) {
		assert_true(i < PATIENCE_ROUNDS);
		usleep(10000);
	}
}

/* A child that waits, stopped as a gate stops it. */
static inline pid_t start_stopped(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	wait_for_state(pid, "T");
	return pid;
}

/* Ends a child of the test. */
static inline void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Whether it runs; a zombie does not. */
static inline bool is_running(pid_t pid)
{
	const struct mp_fsroot fs = {""};
	struct mp_process process;

	return mp_process_read(&fs, pid, &process) == 0 && process.state != 'Z';
}

static inline void wait_for_end_of(pid_t pid)
{
	for (int i = 0; is_running(pid); i++) {
		assert_true(i < PATIENCE_ROUNDS);
		usleep(10000);
	}
}

#endif
