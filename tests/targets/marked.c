// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that uses libmemprobe: passes its points an exact number of times, divided over
 * threads, and says how long a call took and how many of them somebody watched:
 *
 *   marked --calls 999983 --point NAME --level low|medium|high|critical --threads 8
 *
 * --size is what each call says that it asks for; --bytes is what it really fills and keeps.
 * --points N spreads the calls over the points NAME.0 to NAME.N-1, in turn. --open N has N
 * calls of a thread begun before the first of them ends, the oldest first, as the frames of
 * coroutines do. --check passes the point by memprobe_check_point() instead.
 */
#include <getopt.h>
#include <pthread.h>
#include <sys/mman.h>

#include "../../user/lib/memprobe.h"
#include "target.h"

#define MAX_THREADS 256
#define MAX_POINTS 1024
#define MAX_OPEN 64

struct options {
	uint64_t calls;
	uint64_t threads;
	uint64_t size;
	uint64_t bytes;
	uint64_t points;
	uint64_t open;
	enum memprobe_level level;
	const char *point;
	bool check;
	bool wait;
};

struct worker {
	pthread_t thread;
	const struct options *options;
	struct memprobe_point *const *points;
	pthread_barrier_t *start;
	char *memory;
	uint64_t calls;
	uint64_t watched;
	uint64_t ns;
};

struct open_call {
	struct memprobe_point *point;
	uint64_t call;
};

static struct open_call begin(struct worker *w, uint64_t i)
{
	const struct options *o = w->options;
	struct open_call c = {.point = w->points[i % o->points]};

	c.call = memprobe_enter(c.point, o->size);
	w->watched += c.call != 0;
	if (o->bytes)
		memset(w->memory + i * o->bytes, 0x5a, o->bytes);
	return c;
}

static void call_points(struct worker *w)
{
	struct open_call calls[MAX_OPEN];
	uint64_t open = w->options->open;

	for (uint64_t i = 0; i < w->calls + open - 1; i++) {
		if (i < w->calls)
			calls[i % open] = begin(w, i);
		if (i >= open - 1) {
			const struct open_call *c = &calls[(i - open + 1) % open];

			memprobe_exit(c->point, c->call);
		}
	}
}

static void check_points(struct worker *w)
{
	struct memprobe_info info;

	for (uint64_t i = 0; i < w->calls; i++)
		if (memprobe_check_point(w->points[i % w->options->points], &info))
			target_die("memprobe_check_point");
}

static void *work(void *data)
{
	struct worker *w = data;
	uint64_t begin_ns;

	pthread_barrier_wait(w->start);
	begin_ns = target_now_ns();
	if (w->options->check)
		check_points(w);
	else
		call_points(w);
	w->ns = target_now_ns() - begin_ns;
	return NULL;
}

static void prepare(struct worker *w, const struct options *o, uint64_t index)
{
	w->options = o;
	w->calls = o->calls / o->threads + (index < o->calls % o->threads);
	if (!o->bytes || !w->calls)
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

static void report(const struct worker *workers, const struct options *o)
{
	uint64_t watched = 0;
	uint64_t ns = 0;

	for (uint64_t i = 0; i < o->threads; i++) {
		watched += workers[i].watched;
		ns += workers[i].ns;
	}
	printf("{\"calls\": %llu, \"watched\": %llu, \"ns_per_call\": %.2f}\n",
	       (unsigned long long)o->calls, (unsigned long long)watched,
	       o->calls ? (double)ns / (double)o->calls : 0.0);
	fflush(stdout);
}

static void make_points(struct memprobe_point **points, const struct options *o)
{
	char name[160];

	for (uint64_t i = 0; i < o->points; i++) {
		snprintf(name, sizeof(name), o->points > 1 ? "%s.%llu" : "%s", o->point,
			 (unsigned long long)i);
		points[i] = memprobe_point(name, o->level);
		if (!points[i])
			target_die("memprobe_point");
	}
}

static enum memprobe_level level_of(const char *text)
{
	static const char *const levels[] = {"low", "medium", "high", "critical"};

	for (unsigned int i = 0; i < 4; i++)
		if (!strcmp(text, levels[i]))
			return (enum memprobe_level)i;
	fprintf(stderr, "not a level: %s\n", text);
	exit(2);
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"calls", required_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 't'},
		{"point", required_argument, NULL, 'p'},
		{"level", required_argument, NULL, 'l'},
		{"size", required_argument, NULL, 's'},
		{"bytes", required_argument, NULL, 'b'},
		{"points", required_argument, NULL, 'n'},
		{"open", required_argument, NULL, 'o'},
		{"check", no_argument, NULL, 'k'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'p')
			o->point = optarg;
		else if (c == 'l')
			o->level = level_of(optarg);
		else if (c == 'k')
			o->check = true;
		else if (c == 'w')
			o->wait = true;
		else if (c == '?')
			exit(2);
		else
			*(c == 'c'   ? &o->calls
			  : c == 't' ? &o->threads
			  : c == 's' ? &o->size
			  : c == 'b' ? &o->bytes
			  : c == 'n' ? &o->points
				     : &o->open) = target_number(optarg);
	}
	if (!o->threads || o->threads > MAX_THREADS || !o->points || o->points > MAX_POINTS ||
	    !o->open || o->open > MAX_OPEN)
		exit(2);
}

int main(int argc, char **argv)
{
	static struct memprobe_point *points[MAX_POINTS];
	static struct worker workers[MAX_THREADS];
	struct options o = {.calls = 1009,
			    .threads = 1,
			    .points = 1,
			    .open = 1,
			    .level = MEMPROBE_HIGH,
			    .point = "marked.call"};

	parse(&o, argc, argv);
	make_points(points, &o);
	for (uint64_t i = 0; i < o.threads; i++) {
		workers[i].points = points;
		prepare(&workers[i], &o, i);
	}
	target_ready(o.wait);
	run(workers, &o);
	report(workers, &o);
	return 0;
}
