// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls one function an exact number of times, divided over threads, and says
 * how long a call took:
 *
 *   calls --calls 999983 --threads 8 --function push|endbr|empty|grow
 *
 * grow touches --bytes of fresh anonymous memory in each call and keeps it, so
 * that the growth of every call is known. --stop stops the program after the
 * last call, with its memory as that call left it. --rate N makes N calls a
 * second in each thread instead of as many as possible.
 */
#include <getopt.h>
#include <pthread.h>
#include <sys/mman.h>

#include "probed.h"

#define MAX_THREADS 256

struct options {
	uint64_t calls;
	uint64_t threads;
	uint64_t bytes;
	uint64_t rate;
	const char *function;
	bool wait;
	bool stop;
};

struct worker {
	pthread_t thread;
	const struct options *options;
	pthread_barrier_t *start;
	uint64_t calls;
	uint64_t done;
	uint64_t begin_ns;
	uint64_t end_ns;
	char *memory; /* grow */
};

PROBED uint64_t probe_grow(char *memory, uint64_t bytes)
{
	memset(memory, 0x5a, bytes);
	return bytes;
}

/* Sleeps so that call number `done` does not come before its time. */
static void keep_rate(const struct worker *w)
{
	uint64_t due = w->begin_ns + w->done * 1000000000u / w->options->rate;
	uint64_t now = target_now_ns();
	struct timespec ts;

	/* In slices of a millisecond: a sleep a call would limit the rate itself. */
	if (now + 1000000 > due)
		return;
	ts.tv_sec = (time_t)((due - now) / 1000000000u);
	ts.tv_nsec = (long)((due - now) % 1000000000u);
	nanosleep(&ts, NULL);
}

static void call_grow(struct worker *w)
{
	uint64_t bytes = w->options->bytes;

	for (; w->done < w->calls; w->done++)
		if (probe_grow(w->memory + w->done * bytes, bytes) != bytes)
			return;
}

static void call_counted(struct worker *w, uint64_t (*fn)(uint64_t))
{
	while (w->done < w->calls) {
		w->done = fn(w->done);
		if (w->options->rate)
			keep_rate(w);
	}
}

static void *work(void *data)
{
	struct worker *w = data;

	pthread_barrier_wait(w->start);
	w->begin_ns = target_now_ns();
	if (!strcmp(w->options->function, "grow"))
		call_grow(w);
	else if (!strcmp(w->options->function, "endbr"))
		call_counted(w, probe_endbr);
	else if (!strcmp(w->options->function, "empty"))
		call_counted(w, probe_empty);
	else
		call_counted(w, probe_push);
	w->end_ns = target_now_ns();
	if (w->options->stop)
		kill(getpid(), SIGSTOP);
	return NULL;
}

static void prepare(struct worker *w, const struct options *o, uint64_t index)
{
	w->options = o;
	w->calls = o->calls / o->threads + (index < o->calls % o->threads);
	if (strcmp(o->function, "grow") != 0 || !w->calls)
		return;
	w->memory = mmap(NULL, w->calls * o->bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->memory == MAP_FAILED)
		target_die("mmap");
	/* Huge pages would make one call grow for many. */
	madvise(w->memory, w->calls * o->bytes, MADV_NOHUGEPAGE);
}

/* With one thread no thread is made: the main thread calls. */
static void run(struct worker *workers, const struct options *o)
{
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, (unsigned int)o->threads);
	for (uint64_t i = 0; i < o->threads; i++)
		workers[i].start = &start;
	for (uint64_t i = 1; i < o->threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			target_die("pthread_create");
	work(&workers[0]);
	for (uint64_t i = 1; i < o->threads; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&start);
}

static int report(const struct worker *workers, const struct options *o)
{
	uint64_t done = 0;
	uint64_t ns = 0;

	for (uint64_t i = 0; i < o->threads; i++) {
		done += workers[i].done;
		ns += workers[i].end_ns - workers[i].begin_ns;
	}
	printf("{\"calls\": %llu, \"ns_per_call\": %.2f, \"bytes_per_call\": %llu}\n",
	       (unsigned long long)done, done ? (double)ns / (double)done : 0.0,
	       (unsigned long long)(strcmp(o->function, "grow") ? 0 : o->bytes));
	fflush(stdout);
	return done == o->calls ? 0 : 1;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"calls", required_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 't'},
		{"function", required_argument, NULL, 'f'},
		{"bytes", required_argument, NULL, 'b'},
		{"rate", required_argument, NULL, 'r'},
		{"wait", no_argument, NULL, 'w'},
		{"stop", no_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c')
			o->calls = target_number(optarg);
		else if (c == 't')
			o->threads = target_number(optarg);
		else if (c == 'f')
			o->function = optarg;
		else if (c == 'b')
			o->bytes = target_number(optarg);
		else if (c == 'r')
			o->rate = target_number(optarg);
		else if (c == 'w')
			o->wait = true;
		else if (c == 's')
			o->stop = true;
		else
			exit(2);
	}
	if (!o->threads || o->threads > MAX_THREADS)
		exit(2);
}

int main(int argc, char **argv)
{
	static struct worker workers[MAX_THREADS];
	struct options o = {.calls = 1009, .threads = 1, .bytes = 4096, .function = "push"};

	parse(&o, argc, argv);
	for (uint64_t i = 0; i < o.threads; i++)
		prepare(&workers[i], &o, i);
	target_ready(o.wait);
	/* Binds the function, so that stopping later needs no page more. */
	kill(getpid(), 0);
	run(workers, &o);
	return report(workers, &o);
}
