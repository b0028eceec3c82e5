// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "report/sink.h"

#define PATIENCE_MS 20000 /* never reached unless something hangs */
#define LINE_LEN 16

static void open_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
}

static void make_line(char line[LINE_LEN + 1], unsigned int number)
{
	snprintf(line, LINE_LEN + 1, "line %010u\n", number);
}

/* All that can be read until the other end is closed. */
static void read_all(int fd, struct mp_text *ret)
{
	char buf[997];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		mp_text_add(ret, buf, (size_t)n);
	assert_int_equal(n, 0);
}

static void *read_thread(void *data)
{
	struct mp_text *text = data;
	int fd;

	memcpy(&fd, text->data, sizeof(fd));
	mp_text_reset(text);
	read_all(fd, text);
	return NULL;
}

/* Reads `fd` to its end in another thread; what it read is in `text` after the join. */
static pthread_t start_reading(int fd, struct mp_text *text)
{
	pthread_t thread;

	mp_text_add(text, (const char *)&fd, sizeof(fd));
	assert_int_equal(pthread_create(&thread, NULL, read_thread, text), 0);
	return thread;
}

/* Lines are whole, in order, and each at most once. Returns their number. */
static unsigned int count_lines(const struct mp_text *text)
{
	unsigned int n = 0;
	long last = -1;

	assert_int_equal(text->len % LINE_LEN, 0);
	for (size_t at = 0; at < text->len; at += LINE_LEN) {
		char expected[LINE_LEN + 1];
		long number = strtol(text->data + at + 5, NULL, 10);

		make_line(expected, (unsigned int)number);
		assert_memory_equal(text->data + at, expected, LINE_LEN);
		assert_true(number > last);
		last = number;
		n++;
	}
	return n;
}

static void everything_arrives_in_order(void **state)
{
	enum { N = 20011 };
	MP_TEXT struct mp_text text = {0};
	char line[LINE_LEN + 1];
	struct mp_sink *sink;
	pthread_t thread;
	int fds[2];

	(void)state;
	open_pipe(fds);
	thread = start_reading(fds[0], &text);
	sink = mp_sink_new(fds[1], 1009);
	assert_non_null(sink);
	for (unsigned int i = 0; i < N; i++) {
		make_line(line, i);
		assert_int_equal(mp_sink_put_wait(sink, line, LINE_LEN, PATIENCE_MS), 0);
	}
	assert_int_equal(mp_sink_dropped(sink), 0);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_int_equal(count_lines(&text), N);
	close(fds[0]);
}

/* Nobody reads: puts return at once, and each line is either queued or counted. */
static void stuck_reader_costs_counted_lines(void **state)
{
	enum { N = 5003 };
	MP_TEXT struct mp_text text = {0};
	unsigned int dropped = 0;
	char line[LINE_LEN + 1];
	struct mp_sink *sink;
	pthread_t thread;
	int fds[2];

	(void)state;
	open_pipe(fds);
	sink = mp_sink_new(fds[1], 1000);
	for (unsigned int i = 0; i < N; i++) {
		int err;

		make_line(line, i);
		err = mp_sink_put(sink, line, LINE_LEN, 0);
		assert_true(err == 0 || err == -ENOBUFS);
		dropped += err != 0;
	}
	/* The pipe and the queue hold no more than this. */
	assert_true(dropped >= N - (65536 + 1000) / LINE_LEN);
	assert_int_equal(mp_sink_dropped(sink), dropped);
	assert_int_equal(mp_sink_error(sink), 0);
	thread = start_reading(fds[0], &text);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_int_equal(count_lines(&text), N - dropped);
	close(fds[0]);
}

static void put_that_never_fits_is_dropped(void **state)
{
	char big[101] = "";
	struct mp_sink *sink;
	int fds[2];

	(void)state;
	open_pipe(fds);
	sink = mp_sink_new(fds[1], 100);
	assert_int_equal(mp_sink_put(sink, big, 101, 0), -ENOBUFS);
	assert_int_equal(mp_sink_put(sink, big, 100, 0), 0);
	assert_int_equal(mp_sink_dropped(sink), 1);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), 0);
	close(fds[0]);
	close(fds[1]);
}

/* A summary of thousands of points is longer than a small queue. */
static void long_data_goes_through_in_pieces(void **state)
{
	enum { SIZE = 300007 };
	MP_FREE char *big = malloc(SIZE);
	MP_TEXT struct mp_text text = {0};
	struct mp_sink *sink;
	pthread_t thread;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		big[i] = (char)('a' + i % 23);
	open_pipe(fds);
	thread = start_reading(fds[0], &text);
	sink = mp_sink_new(fds[1], 1000);
	assert_int_equal(mp_sink_put(sink, "first\n", 6, 0), 0);
	assert_int_equal(mp_sink_put_wait(sink, big, SIZE, PATIENCE_MS), 0);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_int_equal(text.len, 6 + SIZE);
	assert_memory_equal(text.data, "first\n", 6);
	assert_memory_equal(text.data + 6, big, SIZE);
	close(fds[0]);
}

/* A pipe that is full and stays so: whoever writes is stuck. */
static void open_full_pipe(int fds[2])
{
	char fill[65536] = "";
	int flags;

	open_pipe(fds);
	flags = fcntl(fds[1], F_GETFL);
	assert_int_equal(fcntl(fds[1], F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fds[1], fill, sizeof(fill)) > 0)
		;
	while (write(fds[1], fill, 1) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(fds[1], F_SETFL, flags), 0);
}

static void waiting_has_an_end(void **state)
{
	char queued[1000] = "";
	struct mp_sink *sink;
	int fds[2];

	(void)state;
	open_full_pipe(fds);
	sink = mp_sink_new(fds[1], sizeof(queued));
	assert_int_equal(mp_sink_put(sink, queued, sizeof(queued), 0), 0);
	assert_int_equal(mp_sink_put_wait(sink, "x", 1, 20), -ETIMEDOUT);
	assert_int_equal(mp_sink_dropped(sink), 1);
	assert_int_equal(mp_sink_put(sink, "x", 1, 0), -ENOBUFS);
	assert_int_equal(mp_sink_dropped(sink), 2);
	assert_int_equal(mp_sink_error(sink), 0);
	assert_int_equal(mp_sink_free(sink, 20), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

/* A line of which only a part went out ends the output. */
static void cut_line_is_the_last(void **state)
{
	char big[2000] = "";
	struct mp_sink *sink;
	int fds[2];

	(void)state;
	open_full_pipe(fds);
	sink = mp_sink_new(fds[1], sizeof(big) / 2);
	assert_int_equal(mp_sink_put_wait(sink, big, sizeof(big), 20), -ETIMEDOUT);
	assert_int_equal(mp_sink_error(sink), -ETIMEDOUT);
	assert_int_equal(mp_sink_put(sink, "x", 1, 0), -ETIMEDOUT);
	assert_int_equal(mp_sink_dropped(sink), 2);
	assert_int_equal(mp_sink_free(sink, 20), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

/* The program's own SIGPIPE handling is not touched, and the signal never comes. */
static void closed_reader_is_an_error(void **state)
{
	struct mp_sink *sink;
	int fds[2];
	int err = 0;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	open_pipe(fds);
	close(fds[0]);
	sink = mp_sink_new(fds[1], 1000);
	while (err == 0)
		err = mp_sink_put_wait(sink, "x\n", 2, PATIENCE_MS);
	assert_int_equal(err, -EPIPE);
	assert_int_equal(mp_sink_error(sink), -EPIPE);
	assert_int_equal(mp_sink_put(sink, "x\n", 2, 0), -EPIPE);
	assert_int_equal(mp_sink_dropped(sink), 2);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), -EPIPE);
	close(fds[1]);
}

static void full_disk_is_an_error(void **state)
{
	MP_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct mp_sink *sink;

	(void)state;
	if (fd < 0)
		skip();
	sink = mp_sink_new(fd, 1000);
	assert_int_equal(mp_sink_put(sink, "x\n", 2, 0), 0);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), -ENOSPC);
}

/* A terminal that another program left non-blocking. */
static void nonblocking_descriptor_is_waited_for(void **state)
{
	enum { N = 3001 };
	MP_TEXT struct mp_text text = {0};
	char line[LINE_LEN + 1];
	struct mp_sink *sink;
	pthread_t thread;
	int fds[2];

	(void)state;
	open_pipe(fds);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	sink = mp_sink_new(fds[1], N * LINE_LEN);
	for (unsigned int i = 0; i < N; i++) {
		make_line(line, i);
		assert_int_equal(mp_sink_put(sink, line, LINE_LEN, 0), 0);
	}
	thread = start_reading(fds[0], &text);
	assert_int_equal(mp_sink_free(sink, PATIENCE_MS), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_int_equal(count_lines(&text), N);
	close(fds[0]);
}

/* The same reader that stands still, found in poll() this time. */
static void stuck_nonblocking_descriptor(void **state)
{
	char data[100000] = "";
	struct mp_sink *sink;
	int fds[2];

	(void)state;
	open_pipe(fds);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	sink = mp_sink_new(fds[1], sizeof(data));
	assert_int_equal(mp_sink_put(sink, data, sizeof(data), 0), 0);
	assert_int_equal(mp_sink_free(sink, 50), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

static void nothing_to_do(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(mp_sink_free(NULL, 0), 0);
	errno = 0;
	assert_null(mp_sink_new(1, 0));
	assert_int_equal(errno, EINVAL);
	open_pipe(fds);
	assert_int_equal(mp_sink_free(mp_sink_new(fds[1], 1), PATIENCE_MS), 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives_in_order),
		cmocka_unit_test(stuck_reader_costs_counted_lines),
		cmocka_unit_test(put_that_never_fits_is_dropped),
		cmocka_unit_test(long_data_goes_through_in_pieces),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(cut_line_is_the_last),
		cmocka_unit_test(closed_reader_is_an_error),
		cmocka_unit_test(full_disk_is_an_error),
		cmocka_unit_test(nonblocking_descriptor_is_waited_for),
		cmocka_unit_test(stuck_nonblocking_descriptor),
		cmocka_unit_test(nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
