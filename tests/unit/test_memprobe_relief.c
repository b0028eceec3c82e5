// SPDX-License-Identifier: GPL-2.0-only
/* What is called when memory is asked for, in what order, and what it brought. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/relief.h"

#define MIB (1ULL << 20)
#define PAST 1 /* a deadline */

/* --- allocators: those that the library looks for, as far as it is concerned ------------ */

static char purged[512];
static bool has_number_for_all;

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);
int je_mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len);
void mi_collect(bool force);
void MallocExtension_ReleaseFreeMemory(void);

static void note(const char *what)
{
	strncat(purged, what, sizeof(purged) - strlen(purged) - 1);
	strncat(purged, " ", sizeof(purged) - strlen(purged) - 1);
}

static int answer_mallctl(const char *name, void *old)
{
	note(name);
	if (strcmp(name, "arenas.narenas") == 0)
		*(unsigned int *)old = 7;
	return !has_number_for_all && strcmp(name, "arena.4096.purge") == 0 ? EFAULT : 0;
}

int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
{
	assert_true(!old || *old_len == sizeof(unsigned int));
	assert_true(!new && !new_len);
	return answer_mallctl(name, old);
}

int je_mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
{
	(void)old_len, (void)new, (void)new_len;
	note("je");
	return answer_mallctl(name, old);
}

void mi_collect(bool force)
{
	note(force ? "mi" : "mi-weak");
}

void MallocExtension_ReleaseFreeMemory(void)
{
	note("tc");
}

static void test_allocators(void **state)
{
	(void)state;
	has_number_for_all = true;
	purged[0] = '\0';
	mp_lib_purge();
	assert_string_equal(purged, "arena.4096.purge je arena.4096.purge mi tc ");
	has_number_for_all = false;
	purged[0] = '\0';
	mp_lib_purge();
	assert_string_equal(purged, "arena.4096.purge arenas.narenas arena.7.purge "
				    "je arena.4096.purge je arenas.narenas je arena.7.purge "
				    "mi tc ");
}

/* --- registering ------------------------------------------------------------------------- */

struct caller {
	char letter;
	int handle;
	int drops; /* handle that it unregisters; 0: none */
	bool adds; /* registers another one */
	struct memprobe_pressure seen;
};

static char called[32];

static uint64_t call(const struct memprobe_pressure *pressure, void *data)
{
	struct caller *caller = data;
	size_t n = strlen(called);

	called[n] = caller->letter;
	called[n + 1] = '\0';
	caller->seen = *pressure;
	if (caller->drops)
		assert_int_equal(memprobe_off_pressure(caller->drops), 0);
	if (caller->adds) {
		caller->adds = false;
		caller->handle = memprobe_on_pressure(call, caller);
	}
	return 0;
}

static void on(struct caller *caller)
{
	caller->handle = memprobe_on_pressure(call, caller);
	assert_true(caller->handle > 0);
}

static void off(struct caller *caller)
{
	assert_int_equal(memprobe_off_pressure(caller->handle), 0);
}

static const char *ask(void)
{
	const struct memprobe_pressure pressure = {.severity = MEMPROBE_GC, .wanted_bytes = 77};

	called[0] = '\0';
	memprobe_relieve(&pressure);
	return called;
}

static void test_last_registered_first(void **state)
{
	struct caller a = {.letter = 'a'};
	struct caller b = {.letter = 'b'};
	struct caller c = {.letter = 'c'};

	(void)state;
	assert_string_equal(ask(), "");
	on(&a);
	on(&b);
	on(&c);
	assert_string_equal(ask(), "cba");
	assert_int_equal(a.seen.severity, MEMPROBE_GC);
	assert_int_equal(a.seen.wanted_bytes, 77);
	off(&b);
	assert_string_equal(ask(), "ca");
	on(&b); /* takes the place of the old one, but not its turn */
	assert_string_equal(ask(), "bca");
	off(&a);
	off(&b);
	off(&c);
	assert_string_equal(ask(), "");
}

static void test_without_a_request(void **state)
{
	struct caller a = {.letter = 'a'};

	(void)state;
	on(&a);
	memprobe_relieve(NULL);
	assert_int_equal(a.seen.severity, MEMPROBE_PRESSURE_CRITICAL);
	assert_int_equal(a.seen.wanted_bytes, 0);
	assert_int_equal(a.seen.deadline_ns, 0);
	off(&a);
}

static void test_bad_handles(void **state)
{
	struct caller a = {.letter = 'a'};

	(void)state;
	errno = 0;
	assert_int_equal(memprobe_on_pressure(NULL, NULL), -1);
	assert_int_equal(errno, EINVAL);
	on(&a);
	off(&a);
	for (int handle = -1; handle <= 0; handle++) {
		errno = 0;
		assert_int_equal(memprobe_off_pressure(handle), -1);
		assert_int_equal(errno, ENOENT);
	}
	assert_int_equal(memprobe_off_pressure(a.handle), -1);
	assert_int_equal(memprobe_off_pressure(a.handle + 1), -1);
}

static void test_64_at_most(void **state)
{
	struct caller all[64];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		all[i] = (struct caller){.letter = 'x'};
		on(&all[i]);
	}
	errno = 0;
	assert_int_equal(memprobe_on_pressure(call, &all[0]), -1);
	assert_int_equal(errno, ENOSPC);
	off(&all[31]);
	on(&all[31]);
	for (size_t i = 0; i < 64; i++)
		off(&all[i]);
}

static void test_changes_from_within(void **state)
{
	struct caller a = {.letter = 'a'};
	struct caller b = {.letter = 'b'};
	struct caller c = {.letter = 'c'};
	int first;

	(void)state;
	on(&a);
	on(&b);
	on(&c);
	c.drops = c.handle; /* itself */
	assert_string_equal(ask(), "cba");
	assert_string_equal(ask(), "ba");
	b.drops = a.handle; /* one that is still to come */
	assert_string_equal(ask(), "b");
	b.drops = 0;
	c.drops = 0;
	on(&a);
	first = a.handle;
	a.adds = true; /* what is registered meanwhile is not asked */
	off(&b);
	assert_string_equal(ask(), "a");
	assert_string_equal(ask(), "aa");
	off(&a);
	assert_int_equal(memprobe_off_pressure(first), 0);
}

/* --- one at a time ------------------------------------------------------------------------- */

struct held {
	sem_t inside;
	sem_t let_go;
	bool left;
};

static uint64_t hold(const struct memprobe_pressure *pressure, void *data)
{
	struct held *held = data;

	(void)pressure;
	sem_post(&held->inside);
	sem_wait(&held->let_go);
	held->left = true;
	return 0;
}

static void *relieve_thread(void *data)
{
	(void)data;
	memprobe_relieve(NULL);
	return NULL;
}

static void *off_thread(void *data)
{
	int handle = *(int *)data;

	return memprobe_off_pressure(handle) ? data : NULL;
}

static void held_init(struct held *held)
{
	sem_init(&held->inside, 0, 0);
	sem_init(&held->let_go, 0, 0);
	held->left = false;
}

/* When it returns the callback does not run: what that wrote last is there. */
static void test_off_waits_for_the_one_that_runs(void **state)
{
	pthread_t relieving;
	pthread_t leaving;
	struct held held;
	void *failed;
	int handle;

	(void)state;
	held_init(&held);
	handle = memprobe_on_pressure(hold, &held);
	assert_int_equal(pthread_create(&relieving, NULL, relieve_thread, NULL), 0);
	sem_wait(&held.inside);
	assert_int_equal(pthread_create(&leaving, NULL, off_thread, &handle), 0);
	sem_post(&held.let_go);
	assert_int_equal(pthread_join(leaving, &failed), 0);
	assert_null(failed);
	assert_true(held.left);
	pthread_join(relieving, NULL);
}

static void test_a_second_one_waits_until_its_deadline(void **state)
{
	const struct memprobe_pressure pressure = {.deadline_ns = PAST};
	struct mp_lib_relief relief = {0};
	pthread_t relieving;
	struct held held;
	int handle;

	(void)state;
	held_init(&held);
	handle = memprobe_on_pressure(hold, &held);
	assert_int_equal(pthread_create(&relieving, NULL, relieve_thread, NULL), 0);
	sem_wait(&held.inside);
	assert_int_equal(mp_lib_relieve(&pressure, &relief), -ETIMEDOUT);
	assert_int_equal(relief.called, 0);
	assert_int_equal(memprobe_relieve(&pressure), 0);
	sem_post(&held.let_go);
	pthread_join(relieving, NULL);
	sem_post(&held.let_go); /* past its deadline, but it is its turn */
	assert_int_equal(mp_lib_relieve(&pressure, &relief), 0);
	assert_int_equal(relief.called, 1);
	assert_int_equal(memprobe_off_pressure(handle), 0);
}

static uint64_t call_again(const struct memprobe_pressure *pressure, void *data)
{
	struct mp_lib_relief relief = {0};

	*(int *)data = mp_lib_relieve(pressure, &relief);
	assert_int_equal(memprobe_relieve(pressure), 0);
	return 0;
}

static void test_not_within_itself(void **state)
{
	int err = 0;
	int handle = memprobe_on_pressure(call_again, &err);

	(void)state;
	memprobe_relieve(NULL);
	assert_int_equal(err, -EDEADLK);
	assert_int_equal(memprobe_off_pressure(handle), 0);
}

/* --- fork() ---------------------------------------------------------------------------------- */

static int exit_code_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Another thread is in a callback: in the child it is not, and nobody waits for it. */
static void test_a_child_of_a_busy_process(void **state)
{
	struct caller a = {.letter = 'a'};
	pthread_t relieving;
	struct held held;
	int handle;
	pid_t pid;

	(void)state;
	held_init(&held);
	on(&a);
	handle = memprobe_on_pressure(hold, &held);
	assert_int_equal(pthread_create(&relieving, NULL, relieve_thread, NULL), 0);
	sem_wait(&held.inside);
	pid = fork();
	if (pid == 0) {
		if (memprobe_off_pressure(handle))
			_exit(1);
		_exit(strcmp(ask(), "a") == 0 ? 42 : 2);
	}
	assert_int_equal(exit_code_of(pid), 42);
	sem_post(&held.let_go);
	pthread_join(relieving, NULL);
	assert_int_equal(memprobe_off_pressure(handle), 0);
	off(&a);
}

static uint64_t fork_within(const struct memprobe_pressure *pressure, void *data)
{
	(void)pressure;
	*(pid_t *)data = fork();
	return 0;
}

/* The child is where it was: in a callback, which it leaves like any other. */
static void test_a_child_of_a_callback(void **state)
{
	struct caller a = {.letter = 'a'};
	pid_t pid = -1;
	int handle;

	(void)state;
	on(&a);
	handle = memprobe_on_pressure(fork_within, &pid);
	called[0] = '\0';
	memprobe_relieve(NULL);
	if (pid == 0) {
		if (strcmp(called, "a") != 0 || memprobe_off_pressure(handle))
			_exit(1);
		_exit(strcmp(ask(), "a") == 0 ? 42 : 2);
	}
	assert_int_equal(exit_code_of(pid), 42);
	assert_string_equal(called, "a");
	assert_int_equal(memprobe_off_pressure(handle), 0);
	off(&a);
}

/* --- measured --------------------------------------------------------------------------------- */

static uint64_t give_back(const struct memprobe_pressure *pressure, void *data)
{
	(void)pressure;
	assert_int_equal(madvise(data, 64 * MIB, MADV_DONTNEED), 0);
	return 1; /* what it says does not count: there is /proc */
}

static void test_measured_by_the_resident_set(void **state)
{
	char *memory =
		mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int handle = memprobe_on_pressure(give_back, memory);
	uint64_t freed;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, 64 * MIB);
	errno = 4711;
	freed = memprobe_relieve(NULL);
	assert_int_equal(errno, 4711);
	assert_in_range(freed, 60 * MIB, 68 * MIB);
	assert_in_range(memprobe_relieve(NULL), 0, MIB);
	assert_int_equal(memprobe_off_pressure(handle), 0);
	munmap(memory, 64 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allocators),
		cmocka_unit_test(test_last_registered_first),
		cmocka_unit_test(test_without_a_request),
		cmocka_unit_test(test_bad_handles),
		cmocka_unit_test(test_64_at_most),
		cmocka_unit_test(test_changes_from_within),
		cmocka_unit_test(test_off_waits_for_the_one_that_runs),
		cmocka_unit_test(test_a_second_one_waits_until_its_deadline),
		cmocka_unit_test(test_not_within_itself),
		cmocka_unit_test(test_a_child_of_a_busy_process),
		cmocka_unit_test(test_a_child_of_a_callback),
		cmocka_unit_test(test_measured_by_the_resident_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
