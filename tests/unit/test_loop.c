// SPDX-License-Identifier: GPL-2.0-only
/* Handlers that change the loop while it runs, on pipes and timers. */
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define LONG_MS 60000 /* never reached: the event is there already, or on its way */
#define MS 1000000ULL
#define HOUR_NS (3600ULL * 1000 * MS)

/* A pipe whose reading end is watched, and what its handler should do. */
struct source {
	struct mp_loop *loop;
	int in;
	int out;
	unsigned int calls;
	struct source *to_remove;
	struct source *to_add;
	bool keep; /* leave the byte where it is */
};

static void on_source(void *data)
{
	struct source *s = data;
	char byte;

	s->calls++;
	if (!s->keep)
		assert_int_equal(read(s->in, &byte, 1), 1);
	if (s->to_remove)
		mp_loop_remove(s->loop, s->to_remove->in);
	if (s->to_add)
		assert_int_equal(mp_loop_add(s->loop, s->to_add->in, on_source, s->to_add), 0);
}

static void make_source(struct source *s, struct mp_loop *loop)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	*s = (struct source){.loop = loop, .in = fds[0], .out = fds[1]};
}

static void watch(struct source *s)
{
	assert_int_equal(mp_loop_add(s->loop, s->in, on_source, s), 0);
}

static void poke(const struct source *s)
{
	assert_int_equal(write(s->out, "x", 1), 1);
}

static void end_source(struct source *s)
{
	close(s->in);
	close(s->out);
}
#define SOURCE MP_CLEANUP(end_source) struct source

static void end_loop(struct mp_loop **loop)
{
	mp_loop_free(*loop);
}
#define LOOP MP_CLEANUP(end_loop) struct mp_loop

static struct mp_loop *make_loop(void)
{
	struct mp_loop *loop = mp_loop_new();

	assert_non_null(loop);
	return loop;
}

static void test_nothing_ready(void **state)
{
	LOOP *loop = make_loop();
	SOURCE s;

	(void)state;
	make_source(&s, loop);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	watch(&s);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 0);
	mp_loop_free(NULL);
}

static void test_called_while_readable(void **state)
{
	LOOP *loop = make_loop();
	SOURCE s;

	(void)state;
	make_source(&s, loop);
	watch(&s);
	poke(&s);
	poke(&s);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 2);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 2);
	/* The end of the stream can be read, too. */
	close(s.out);
	s.out = -1;
	s.keep = true;
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 3);
}

static void test_removes_itself(void **state)
{
	LOOP *loop = make_loop();
	SOURCE s;

	(void)state;
	make_source(&s, loop);
	watch(&s);
	s.keep = true;
	s.to_remove = &s;
	poke(&s);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 1);
	/* And may come back. */
	s.to_remove = NULL;
	watch(&s);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 2);
}

/* Both are ready in one batch: whoever comes first takes the other away. */
static void test_removes_the_next(void **state)
{
	LOOP *loop = make_loop();
	SOURCE a;
	SOURCE b;

	(void)state;
	make_source(&a, loop);
	make_source(&b, loop);
	watch(&a);
	watch(&b);
	a.to_remove = &b;
	b.to_remove = &a;
	poke(&a);
	poke(&b);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
}

/* The handler that was removed with its event pending does not hear of it, the new one does. */
static void test_replaces_itself(void **state)
{
	LOOP *loop = make_loop();
	SOURCE s;
	struct source other;

	(void)state;
	make_source(&s, loop);
	watch(&s);
	other = s;
	s.keep = true;
	s.to_remove = &s;
	s.to_add = &other;
	poke(&s);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(other.calls, 0);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(other.calls, 1);
}

static void test_adds_another(void **state)
{
	LOOP *loop = make_loop();
	SOURCE a;
	SOURCE b;

	(void)state;
	make_source(&a, loop);
	make_source(&b, loop);
	watch(&a);
	a.to_add = &b;
	poke(&a);
	poke(&b);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
}

/* More than one batch takes: nobody is starved. */
static void test_many(void **state)
{
	struct source sources[40];
	LOOP *loop = make_loop();

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(sources); i++) {
		make_source(&sources[i], loop);
		watch(&sources[i]);
		poke(&sources[i]);
		sources[i].keep = true;
	}
	for (size_t i = 0; i < MP_ARRAY_SIZE(sources); i++)
		assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	for (size_t i = 0; i < MP_ARRAY_SIZE(sources); i++) {
		assert_true(sources[i].calls > 0);
		mp_loop_remove(loop, sources[i].in);
	}
	assert_int_equal(mp_loop_once(loop, 0), 0);
	for (size_t i = 0; i < MP_ARRAY_SIZE(sources); i++)
		end_source(&sources[i]);
}

static void test_what_cannot_be_added(void **state)
{
	LOOP *loop = make_loop();
	MP_CLOSE int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	SOURCE s;

	(void)state;
	make_source(&s, loop);
	assert_int_equal(mp_loop_add(loop, -1, on_source, &s), -EBADF);
	assert_int_equal(mp_loop_add(loop, file, on_source, &s), -EPERM);
	watch(&s);
	assert_int_equal(mp_loop_add(loop, s.in, on_source, &s), -EEXIST);
	mp_loop_remove(loop, file);
	mp_loop_remove(loop, -1);
	poke(&s);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 1);
}

static void on_urgent(void *data)
{
	struct source *s = data;
	char byte;

	s->calls++;
	assert_int_equal(recv(s->in, &byte, 1, MSG_OOB), 1);
	assert_int_equal(byte, '!');
}

/* What can only be read is not told; what is urgent is, until it is taken off. */
static void test_priority(void **state)
{
	LOOP *loop = make_loop();
	int fds[2];
	SOURCE s;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	s = (struct source){.loop = loop, .in = fds[0], .out = fds[1]};
	assert_int_equal(mp_loop_add_priority(loop, -1, on_urgent, &s), -EBADF);
	assert_int_equal(mp_loop_add_priority(loop, s.in, on_urgent, &s), 0);
	poke(&s);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 0);
	if (send(s.out, "!", 1, MSG_OOB) != 1)
		skip(); /* before 5.15 */
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(s.calls, 1);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 1);
	mp_loop_remove(loop, s.in);
	assert_int_equal(send(s.out, "!", 1, MSG_OOB), 1);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(s.calls, 1);
}

static void ignore(int signal)
{
	(void)signal;
}

/* A signal ends the wait and is no error. */
static void test_interrupted(void **state)
{
	struct sigaction action = {.sa_handler = ignore};
	struct sigaction before;
	LOOP *loop = make_loop();
	timer_t timer;
	const struct itimerspec soon = {.it_value = {.tv_nsec = MS},
					.it_interval = {.tv_nsec = MS}};

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	timer_delete(timer);
	sigaction(SIGALRM, &before, NULL);
}

struct timer {
	int fd;
	unsigned int calls;
};

static void on_timer(void *data)
{
	struct timer *t = data;

	t->calls++;
	mp_timer_clear(t->fd);
}

static void test_timer_once(void **state)
{
	LOOP *loop = make_loop();
	struct timer t = {.fd = mp_timer_new(1, 0)};
	struct itimerspec left;

	(void)state;
	assert_true(t.fd >= 0);
	assert_true(fcntl(t.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mp_loop_add(loop, t.fd, on_timer, &t), 0);
	assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
	assert_int_equal(t.calls, 1);
	assert_int_equal(timerfd_gettime(t.fd, &left), 0);
	assert_int_equal(left.it_value.tv_sec, 0);
	assert_int_equal(left.it_value.tv_nsec, 0);
	assert_int_equal(mp_loop_once(loop, 0), 0);
	assert_int_equal(t.calls, 1);
	/* Nothing to take off is fine. */
	mp_timer_clear(t.fd);
	close(t.fd);
}

static void test_timer_repeats(void **state)
{
	LOOP *loop = make_loop();
	struct timer t = {.fd = mp_timer_new(1, MS)};

	(void)state;
	assert_true(t.fd >= 0);
	assert_int_equal(mp_loop_add(loop, t.fd, on_timer, &t), 0);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(mp_loop_once(loop, LONG_MS), 0);
		assert_int_equal(t.calls, i);
	}
	close(t.fd);
}

static void test_timer_times(void **state)
{
	struct itimerspec spec;
	MP_CLOSE int fd = mp_timer_new(HOUR_NS, 1500 * MS);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(timerfd_gettime(fd, &spec), 0);
	assert_int_equal(spec.it_interval.tv_sec, 1);
	assert_int_equal(spec.it_interval.tv_nsec, 500 * MS);
	assert_in_range(spec.it_value.tv_sec, 1, 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_ready),
		cmocka_unit_test(test_called_while_readable),
		cmocka_unit_test(test_removes_itself),
		cmocka_unit_test(test_removes_the_next),
		cmocka_unit_test(test_replaces_itself),
		cmocka_unit_test(test_adds_another),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_what_cannot_be_added),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_timer_once),
		cmocka_unit_test(test_timer_repeats),
		cmocka_unit_test(test_timer_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
