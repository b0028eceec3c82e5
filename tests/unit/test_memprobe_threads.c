// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that use the library at once. Built twice: with ASan and UBSan as every unit test, and
 * with TSan.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/process.h"
#include "lib/private.h"

#define THREADS 8
#define NAMES 401
#define ROUNDS 300

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	unsigned int number;
	unsigned int wrong;
	struct memprobe_point *points[MP_LIB_MAX_POINTS];
};

static void run(struct worker *workers, void *(*fn)(void *))
{
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, THREADS);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].start = &start;
		workers[i].number = i;
		workers[i].wrong = 0;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, fn, &workers[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&start);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(workers[i].wrong, 0);
}

/* Each begins at another name. */
static void *intern(void *data)
{
	struct worker *w = data;
	char name[32];

	pthread_barrier_wait(w->start);
	for (unsigned int i = 0; i < NAMES; i++) {
		unsigned int n = (i + w->number / 2 * 7) % NAMES;

		snprintf(name, sizeof(name), "thread.point.%u", n);
		w->points[n] = memprobe_point(name, (enum memprobe_level)(n % 4));
		w->wrong += !w->points[n] || strcmp(w->points[n]->name, name) != 0 ||
			    w->points[n]->level != n % 4;
	}
	return NULL;
}

static void test_interning(void **state)
{
	struct worker *workers = *state;

	run(workers, intern);
	for (unsigned int i = 1; i < THREADS; i++)
		for (unsigned int n = 0; n < NAMES; n++)
			assert_ptr_equal(workers[i].points[n], workers[0].points[n]);
}

/* They make the last sample too old, so that somebody has to take a new one. */
static void *check(void *data)
{
	struct worker *w = data;
	struct mp_lib_process *p = mp_lib_process();
	struct memprobe_info info;

	pthread_barrier_wait(w->start);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		w->wrong += memprobe_check("threads.check", &info) != 0;
		w->wrong += info.rss < 1U << 20 || info.peak_rss < info.rss ||
			    info.usage > info.limit || info.usage_ratio > 1.0;
		w->wrong += memprobe_fast_check(0) != 1;
		w->wrong += memprobe_fast_check(MEMPROBE_UNKNOWN) != 0;
		if (i % 3 == 0) {
			__atomic_fetch_sub(&p->sample[0], 2000000000, __ATOMIC_RELAXED);
			__atomic_store_n(&p->rss_ts_ns, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void test_checks(void **state)
{
	run(*state, check);
}

static void *call(void *data)
{
	struct worker *w = data;
	struct memprobe_point *point = memprobe_point("threads.call", MEMPROBE_HIGH);
	uint64_t last = 0;

	pthread_barrier_wait(w->start);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t key = memprobe_enter(point, i);

		w->wrong += key <= last;
		last = key;
		memprobe_exit(point, key);
	}
	return NULL;
}

static void test_calls(void **state)
{
	uint64_t before;

	memprobe_enter_semaphore = 1;
	memprobe_exit_semaphore = 1;
	before = memprobe_enter(memprobe_point("threads.call", MEMPROBE_HIGH), 0);
	run(*state, call);
	/* every call had a number of its own */
	assert_int_equal(memprobe_enter(memprobe_point("threads.call", MEMPROBE_HIGH), 0),
			 before + THREADS * ROUNDS + 1);
	memprobe_enter_semaphore = 0;
	memprobe_exit_semaphore = 0;
}

/* Children that are made while other threads are in the middle of a check, or of a name. */
static void *check_and_fork(void *data)
{
	struct worker *w = data;
	struct memprobe_info info;
	char name[32];

	pthread_barrier_wait(w->start);
	if (w->number % 2) {
		check(w);
		return NULL;
	}
	for (unsigned int i = 0; i < 10; i++) {
		pid_t pid = fork();
		int status = -1;

		if (pid == 0) {
			snprintf(name, sizeof(name), "child.%u", i);
			if (memprobe_check(name, &info) || info.flags ||
			    memprobe_fast_check(0) != 1)
				_exit(1);
			_exit(0);
		}
		w->wrong += waitpid(pid, &status, 0) != pid || status != 0;
	}
	pthread_barrier_wait(w->start);
	return NULL;
}

static void test_forks(void **state)
{
	run(*state, check_and_fork);
}

/* All want the same names, of which there are more than places: they agree on who got them. */
static void *intern_all(void *data)
{
	struct worker *w = data;
	char name[32];

	pthread_barrier_wait(w->start);
	for (unsigned int n = 0; n < MP_LIB_MAX_POINTS; n++) {
		snprintf(name, sizeof(name), "last.%u", n);
		errno = 0;
		w->points[n] = memprobe_point(name, MEMPROBE_LOW);
		w->wrong += !w->points[n] && errno != ENOSPC;
	}
	return NULL;
}

static void test_last_places(void **state)
{
	struct worker *workers = *state;
	unsigned int made = 0;
	char name[32];

	run(workers, intern_all);
	for (unsigned int n = 0; n < MP_LIB_MAX_POINTS; n++) {
		struct memprobe_point *point;

		snprintf(name, sizeof(name), "last.%u", n);
		point = memprobe_point(name, MEMPROBE_LOW);
		made += point != NULL;
		/* who was refused while somebody else had the place in hand may find it now */
		for (unsigned int i = 0; i < THREADS; i++)
			assert_true(workers[i].points[n] == point || !workers[i].points[n]);
	}
	/* those of the tests above, and these: as many as there are places */
	assert_int_equal(made + NAMES + 2, MP_LIB_MAX_POINTS);
}

int main(void)
{
	static struct worker workers[THREADS];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_interning, workers),
		cmocka_unit_test_prestate(test_checks, workers),
		cmocka_unit_test_prestate(test_calls, workers),
		cmocka_unit_test_prestate(test_forks, workers),
		cmocka_unit_test_prestate(test_last_places, workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
