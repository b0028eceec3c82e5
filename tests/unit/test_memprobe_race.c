// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that register and unregister callbacks, relieve, ask the agent, and start and
 * stop it, all at once. Built with ThreadSanitizer, which sees what ran unordered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/relief.h"
#include "lib/agent.h"

#define THREADS 2 /* of each kind */
#define ROUNDS 300

struct race {
	char root[64];
	unsigned int calls; /* by callbacks, which never run at the same time */
	unsigned int answers;
};

static uint64_t count(const struct memprobe_pressure *pressure, void *data)
{
	struct race *race = data;

	(void)pressure;
	race->calls++;
	return 0;
}

static void *registering(void *data)
{
	for (int i = 0; i < ROUNDS; i++) {
		int handle = memprobe_on_pressure(count, data);

		if (handle < 0 || memprobe_off_pressure(handle))
			return data;
	}
	return NULL;
}

static void *relieving(void *data)
{
	(void)data;
	for (int i = 0; i < ROUNDS; i++)
		memprobe_relieve(NULL);
	return NULL;
}

static void *starting(void *data)
{
	const struct race *race = data;
	struct mp_lib_agent_options options = {.root = race->root};

	for (int i = 0; i < ROUNDS / 10; i++) {
		const struct timespec ms = {.tv_nsec = 1000000};

		if (mp_lib_agent_start(&options))
			return data;
		nanosleep(&ms, NULL);
		if (memprobe_agent_stop())
			return data;
	}
	return NULL;
}

/* It is there or not, or goes away meanwhile. */
static bool ask(const struct race *race)
{
	struct mp_relief_request request = {.magic = MP_RELIEF_MAGIC,
					    .version = MP_RELIEF_VERSION,
					    .severity = MEMPROBE_GC,
					    .deadline_ns = 1000000000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct mp_relief_reply reply;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	bool answered;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s" MP_RELIEF_PATH, race->root,
		 getpid());
	answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		   send(fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request) &&
		   recv(fd, &reply, sizeof(reply), 0) == sizeof(reply);
	close(fd);
	return answered;
}

static void *asking(void *data)
{
	struct race *race = data;

	for (int i = 0; i < ROUNDS; i++)
		__atomic_add_fetch(&race->answers, ask(race), __ATOMIC_RELAXED);
	return NULL;
}

/*
 * The sanitizer takes a number for the same file in all threads, but the listener has a
 * table of its own: what it uses there must not be in use here.
 */
static void leave_low_numbers(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd < 32);
}

static void test_all_at_once(void **state)
{
	static void *(*const kinds[])(void *) = {registering, relieving, starting, asking};
	const size_t n = THREADS * sizeof(kinds) / sizeof(kinds[0]);
	pthread_t threads[n];
	struct race race = {.root = "/tmp/mp_test_race.XXXXXX"};
	struct mp_lib_agent_options options = {.root = race.root};
	char command[128];
	int handle;

	(void)state;
	leave_low_numbers();
	assert_non_null(mkdtemp(race.root));
	snprintf(command, sizeof(command), "%s/tmp", race.root);
	assert_int_equal(mkdir(command, 0700), 0);
	handle = memprobe_on_pressure(count, &race);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, kinds[i / THREADS], &race), 0);
	for (size_t i = 0; i < n; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(mp_lib_agent_start(&options), 0);
	assert_true(ask(&race));
	memprobe_agent_stop();
	assert_int_equal(memprobe_off_pressure(handle), 0);
	assert_true(race.calls > ROUNDS);
	snprintf(command, sizeof(command), "rm -rf %s", race.root);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
