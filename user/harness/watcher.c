// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor watches in a process of its own: it may fail, be slow or run out of memory
 * without the rehearsal doing so, and what it costs can be told apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/array.h"
#include "base/clock.h"
#include "harness/private.h"
#include "report/ndjson.h"

#define MAX_ARGS 64
#define READ_BYTES 65536
#define MAX_LINE (1U << 20)
#define START_MS 5000
#define END_MS 5000

static void give_up(struct mp_watcher *w, const char *why)
{
	if (!w->why[0])
		snprintf(w->why, sizeof(w->why), "%s", why);
	mp_close_p(&w->fd);
	w->fd = -1;
}

static size_t arguments(const struct mp_harness *h, const char *target, const char *args[MAX_ARGS])
{
	size_t n = 0;

	args[n++] = "memprobe-bpf";
	args[n++] = "attach";
	args[n++] = "--target";
	args[n++] = target;
	args[n++] = "--format";
	args[n++] = "json";
	if (h->o->policy_path) {
		args[n++] = "--policy";
		args[n++] = h->o->policy_path;
	}
	for (const char *const *more = h->o->monitor_args; more && *more && n < MAX_ARGS - 1;
	     more++)
		args[n++] = *more;
	args[n] = NULL;
	return n;
}

/* Its error is one line, and better than any guess; the harness shows it when there is nothing
 * else. */
static _Noreturn void run_monitor(const struct mp_harness *h, const char *target, int out,
				  pid_t parent)
{
	const char *args[MAX_ARGS];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A terminal's ^C is for the supervisor, which ends the monitor last. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	arguments(h, target, args);
	if (getppid() == parent && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
		execv("/proc/self/exe", (char *const *)args);
	_exit(127);
}

static int keep(struct mp_watcher *w, const char *data, size_t len)
{
	while (w->line_len + len + 1 > w->line_cap) {
		size_t cap = w->line_cap ? w->line_cap * 2 : 4096;
		char *grown = cap <= MAX_LINE ? realloc(w->line, cap) : NULL;

		if (!grown)
			return -ENOMEM;
		w->line = grown;
		w->line_cap = cap;
	}
	memcpy(w->line + w->line_len, data, len);
	w->line_len += len;
	w->line[w->line_len] = '\0';
	return 0;
}

/* What is no record is what the monitor has to complain about. */
static void take_line(struct mp_harness *h, const char *line, size_t len)
{
	struct mp_watcher *w = &h->watcher;
	struct mp_event event;

	if (len == 0)
		return;
	if (line[0] != '{') {
		snprintf(w->why, sizeof(w->why), "%.*s", (int)len, line);
		return;
	}
	if (mp_ndjson_parse(w->reader, line, len, &event, NULL))
		return;
	w->started |= event.type == MP_EVENT_START;
	mp_book_mark(h, &event);
}

static void take_data(struct mp_harness *h, const char *data, size_t len)
{
	struct mp_watcher *w = &h->watcher;

	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t part = end ? (size_t)(end - data) : len;

		if (keep(w, data, part)) {
			give_up(w, "a record of the monitor is too long");
			return;
		}
		if (end) {
			take_line(h, w->line, w->line_len);
			w->line_len = 0;
		}
		data += part + (end != NULL);
		len -= part + (end != NULL);
	}
}

void mp_watcher_read(void *harness)
{
	struct mp_harness *h = harness;
	struct mp_watcher *w = &h->watcher;
	char data[READ_BYTES];
	ssize_t n = read(w->fd, data, sizeof(data));

	if (n > 0) {
		take_data(h, data, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	mp_loop_remove(h->loop, w->fd);
	give_up(w, "the monitor ended");
}

static int start(struct mp_harness *h, const char *target)
{
	struct mp_watcher *w = &h->watcher;
	pid_t parent = getpid();
	int ends[2];

	w->reader = mp_ndjson_reader_new();
	if (!w->reader || pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -ENOMEM;
	w->pid = fork();
	if (w->pid == 0) {
		fcntl(ends[1], F_SETFL, 0); /* the monitor's own writer is what waits */
		run_monitor(h, target, ends[1], parent);
	}
	close(ends[1]);
	w->fd = ends[0];
	return w->pid < 0 ? -EAGAIN : 0;
}

static void wait_for_start(struct mp_harness *h)
{
	uint64_t until = mp_clock_now_ns() + START_MS * 1000000ULL;
	struct mp_watcher *w = &h->watcher;

	while (!w->started && w->fd >= 0 && mp_clock_now_ns() < until) {
		struct pollfd fd = {.fd = w->fd, .events = POLLIN};

		if (poll(&fd, 1, 100) > 0)
			mp_watcher_read(h);
	}
	if (!w->started)
		give_up(w, "the monitor did not start in time");
}

void mp_watcher_start(struct mp_harness *h)
{
	char target[PATH_MAX + 16];
	const char *group = h->device.group.path ? h->device.group.path : h->room.path;

	h->watcher.fd = -1;
	if (h->o->no_monitor) {
		give_up(&h->watcher, "not asked for");
		return;
	}
	snprintf(target, sizeof(target), "cgroup:%s", group);
	if (start(h, target))
		give_up(&h->watcher, "the monitor could not be started");
	else
		wait_for_start(h);
}

void mp_watcher_end(struct mp_harness *h)
{
	uint64_t until = mp_clock_now_ns() + END_MS * 1000000ULL;
	struct mp_watcher *w = &h->watcher;

	h->report.monitor = w->started ? NULL : w->why;
	if (w->pid > 0)
		kill(w->pid, SIGINT);
	while (w->fd >= 0 && mp_clock_now_ns() < until) {
		struct pollfd fd = {.fd = w->fd, .events = POLLIN};

		if (poll(&fd, 1, 100) > 0)
			mp_watcher_read(h);
	}
	if (w->pid > 0) {
		if (w->fd >= 0)
			kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	mp_close_p(&w->fd);
	w->fd = -1;
	mp_ndjson_reader_free(w->reader);
	free(w->line);
}
