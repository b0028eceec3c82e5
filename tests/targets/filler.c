// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills memory of one kind, a step at a time, and says "filled BYTES" when it has:
 *
 *   filler --bytes 104857600 --kind malloc|anon|file|shmem|locked [--rate MIB_PER_S]
 *
 * A step is a call of probe_fill(). file is a file of its own in $TMPDIR, mapped
 * shared and without a name any more; locked is locked a --step at once. Without
 * --rate it is as fast as can be. With --thread another thread fills; with
 * --zombie-main the main thread has ended by then, so that the process looks
 * dead and is not. --comm and --oom-score-adj are set before "ready". After
 * filling it stays for --hold seconds, with --hot touching all of it time and
 * again.
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "fill.h"

#define HOT_ROUND_NS (FILL_NS_PER_S / 10)

struct options {
	uint64_t bytes;
	uint64_t step;
	uint64_t rate;
	uint64_t hold_s;
	const char *kind;
	bool thread;
	bool zombie_main;
	bool hot;
	bool wait;
};

struct filler {
	const struct options *options;
	char *memory;	/* all of it, or of malloc the array of its steps */
	uint64_t steps; /* the last one may be shorter */
};

static char *map(uint64_t bytes, int flags, int fd)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	/* Huge pages would fill faster than the pace. */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static char *map_file(uint64_t bytes)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];
	char *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/filler.XXXXXX", tmp ? tmp : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path) || ftruncate(fd, (off_t)bytes))
		target_die(path);
	memory = map(bytes, MAP_SHARED, fd);
	close(fd);
	return memory;
}

static void prepare(struct filler *f, const struct options *o)
{
	f->options = o;
	f->steps = (o->bytes + o->step - 1) / o->step;
	if (!strcmp(o->kind, "malloc"))
		f->memory = map(f->steps * sizeof(char *), MAP_PRIVATE | MAP_ANONYMOUS, -1);
	else if (!strcmp(o->kind, "file"))
		f->memory = map_file(o->bytes);
	else if (!strcmp(o->kind, "shmem"))
		f->memory = map(o->bytes, MAP_SHARED | MAP_ANONYMOUS, -1);
	else if (!strcmp(o->kind, "anon") || !strcmp(o->kind, "locked"))
		f->memory = map(o->bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	else
		exit(2);
}

static uint64_t step_bytes(const struct filler *f, uint64_t step)
{
	const struct options *o = f->options;

	return step + 1 < f->steps ? o->step : o->bytes - step * o->step;
}

/* Where a step's memory is; of malloc, once it has been allocated. */
static char *step_memory(const struct filler *f, uint64_t step)
{
	if (!strcmp(f->options->kind, "malloc"))
		return ((char **)f->memory)[step];
	return f->memory + step * f->options->step;
}

PROBED void probe_fill(struct filler *f, uint64_t step)
{
	uint64_t bytes = step_bytes(f, step);

	if (!strcmp(f->options->kind, "malloc")) {
		((char **)f->memory)[step] = malloc(bytes);
		if (!step_memory(f, step))
			target_die("malloc");
	}
	if (!strcmp(f->options->kind, "locked") && mlock(step_memory(f, step), bytes))
		target_die("mlock");
	fill_touch(step_memory(f, step), bytes);
}

static void hold(const struct filler *f)
{
	uint64_t end_ns = target_now_ns() + f->options->hold_s * FILL_NS_PER_S;

	while (f->options->hot && target_now_ns() < end_ns) {
		uint64_t round_ns = target_now_ns() + HOT_ROUND_NS;

		for (uint64_t step = 0; step < f->steps; step++)
			fill_touch(step_memory(f, step), step_bytes(f, step));
		fill_sleep_until(round_ns < end_ns ? round_ns : end_ns);
	}
	fill_sleep_until(end_ns);
}

static void *work(void *data)
{
	struct filler *f = data;
	uint64_t begin_ns = target_now_ns();

	for (uint64_t step = 0; step < f->steps; step++) {
		fill_pace(begin_ns, step * f->options->step, f->options->rate);
		probe_fill(f, step);
	}
	printf("filled %llu\n", (unsigned long long)f->options->bytes);
	fflush(stdout);
	hold(f);
	/* Without a main thread nobody else ends the process well. */
	exit(EXIT_SUCCESS);
}

static void run(struct filler *f)
{
	pthread_t thread;

	if (!f->options->thread)
		work(f);
	if (pthread_create(&thread, NULL, work, f))
		target_die("pthread_create");
	if (f->options->zombie_main)
		pthread_exit(NULL);
	pthread_join(thread, NULL);
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"bytes", required_argument, NULL, 'b'},
		{"kind", required_argument, NULL, 'k'},
		{"rate", required_argument, NULL, 'r'},
		{"step", required_argument, NULL, 's'},
		{"hold", required_argument, NULL, 'h'},
		{"comm", required_argument, NULL, 'c'},
		{"hot", no_argument, NULL, 'H'},
		{"oom-score-adj", required_argument, NULL, 'o'},
		{"thread", no_argument, NULL, 't'},
		{"zombie-main", no_argument, NULL, 'z'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'b')
			o->bytes = target_number(optarg);
		else if (c == 'k')
			o->kind = optarg;
		else if (c == 'r')
			o->rate = target_number(optarg);
		else if (c == 's')
			o->step = target_number(optarg);
		else if (c == 'h')
			o->hold_s = target_number(optarg);
		else if (c == 'c')
			prctl(PR_SET_NAME, optarg);
		else if (c == 'o')
			fill_set_oom_score_adj(atoi(optarg));
		else if (c == 'H')
			o->hot = true;
		else if (c == 't')
			o->thread = true;
		else if (c == 'z')
			o->thread = o->zombie_main = true;
		else if (c == 'w')
			o->wait = true;
		else
			exit(2);
	}
	if (!o->bytes || !o->step)
		exit(2);
}

int main(int argc, char **argv)
{
	struct options o = {.bytes = FILL_MIB, .step = FILL_MIB, .kind = "anon"};
	static struct filler f; /* outlives the main thread's stack */

	parse(&o, argc, argv);
	prepare(&f, &o);
	target_ready(o.wait);
	run(&f);
	return 0;
}
