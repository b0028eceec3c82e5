// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills memory past a threshold beside an innocent process, and says when what
 * happened, on the clock CLOCK_MONOTONIC:
 *
 *   filler --domain host|CGROUP --rate MIB|max --log FIFO --freezer CGROUP
 *          [--bystander MIB] [--hold PCT] [--threshold PCT] [--deadline SEC]
 *
 * Prints "ready FILLER BYSTANDER" (pids), and waits for "go" (or anything else,
 * to end) on its standard input. Then both take memory: the bystander at once, the filler up to
 * --hold percent of the domain, and after a pause on at --rate, until somebody ends, stops or
 * freezes it: then it is over, also for a filler that is let go again. The referee, their parent,
 * is locked in memory and has real-time priority, stamps what comes from the log of the responder,
 * and prints everything as one JSON object a line when all is over.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#include "../targets/target.h"

#define MIB (UINT64_C(1) << 20)
#define SEC UINT64_C(1000000000)
#define PAGE UINT64_C(4096)
#define STEP_PAGES UINT64_C(16)
#define MAX_STEPS (1 << 17)
#define MAX_CHUNKS 16384
#define LOG_BYTES (4 * MIB)
#define HOLD_NS (3 * SEC / 2)
#define LINGER_NS (3 * SEC / 2)
#define TICK_MS 10

enum phase {
	WAITING,
	HOLDING,
	FILLING
};
enum fate {
	ALIVE,
	EXITED,
	KILLED,
	STOPPED,
	FROZEN
};

static const char *const fate_names[] = {"alive", "exited", "killed", "stopped", "frozen"};

struct step {
	uint64_t ts_ns;
	uint64_t pages;
};

/* Shared by the three processes; of the referee's memory, so that it outlives the others. */
struct board {
	_Atomic uint64_t pages; /* that the filler has touched */
	_Atomic int filler;	/* enum phase */
	_Atomic int bystander;
	_Atomic size_t n_steps;
	_Atomic bool over; /* somebody was ended, stopped or frozen: the filler takes no more */
	uint64_t hold_pages;
	uint64_t fill_ts_ns;
	struct step steps[MAX_STEPS];
};

struct options {
	const char *domain; /* a cgroup's folder; NULL for the host */
	const char *freezer;
	const char *log;
	uint64_t rate_mib; /* per second; 0 for as fast as it goes */
	uint64_t bystander_mib;
	uint64_t hold_pct;
	uint64_t threshold_pct;
	uint64_t deadline_s;
};

struct child {
	const char *name;
	pid_t pid;
	int release; /* one byte written here lets it go on */
	enum fate fate;
	int detail; /* exit code or signal */
	uint64_t ts_ns;
	uint64_t pages; /* of the filler, at that moment */
};

struct chunk {
	uint64_t ts_ns;
	size_t start;
	size_t len;
};

struct responder_log {
	int fd;
	size_t n_chunks;
	size_t used;
	size_t dropped;
	struct chunk chunks[MAX_CHUNKS];
	char text[LOG_BYTES];
};

struct referee {
	struct options o;
	struct board *board;
	struct responder_log *log;
	struct child filler;
	struct child bystander;
	int signals;
	int freezer;
	uint64_t limit;
	uint64_t hold_usage;
	uint64_t hold_pages;
	uint64_t threshold_pages;
	uint64_t last_usage;
	bool is_past; /* the threshold */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / SEC), .tv_nsec = (long)(ns % SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* --- the two that take memory --------------------------------------------- */

static void wait_release(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(EXIT_FAILURE);
}

/* One step of the filler, which a responder with injection points can be attached to. */
PROBED static void fill_step(unsigned char *at, size_t bytes, struct board *board)
{
	for (size_t i = 0; i < bytes; i += PAGE) {
		at[i] = 1;
		atomic_fetch_add_explicit(&board->pages, 1, memory_order_relaxed);
	}
}

static void record_step(struct board *board)
{
	size_t n = atomic_load(&board->n_steps);

	if (n == MAX_STEPS)
		return;
	board->steps[n] = (struct step){.ts_ns = now_ns(), .pages = board->pages};
	atomic_store(&board->n_steps, n + 1);
}

static _Noreturn void run_filler(struct board *board, int fd, const struct options *o)
{
	uint64_t bytes = MAX_STEPS * STEP_PAGES * PAGE;
	uint64_t step = STEP_PAGES * PAGE;
	unsigned char *memory;

	wait_release(fd);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		_exit(EXIT_FAILURE);
	/* Huge pages would be taken 2 MiB at a time, which no rate is true to. */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	while (board->pages < board->hold_pages)
		fill_step(memory + board->pages * PAGE, step, board);
	atomic_store(&board->filler, HOLDING);
	wait_release(fd);
	board->fill_ts_ns = now_ns();
	atomic_store(&board->filler, FILLING);
	for (uint64_t done = 0; !board->over && board->pages * PAGE < bytes; done += step) {
		if (o->rate_mib)
			sleep_until(board->fill_ts_ns + done * SEC / (o->rate_mib * MIB));
		fill_step(memory + board->pages * PAGE, step, board);
		record_step(board);
	}
	/* Stopped, and let go: what it would run into from here on is no part of the question. */
	while (board->over)
		pause();
	_exit(0);
}

static _Noreturn void run_bystander(struct board *board, int fd, const struct options *o)
{
	uint64_t bytes = o->bystander_mib * MIB;
	unsigned char *memory;

	wait_release(fd);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		_exit(EXIT_FAILURE);
	memset(memory, 1, bytes);
	atomic_store(&board->bystander, HOLDING);
	for (;;)
		pause();
}

static void set_oom_score_adj(const char *value)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "we");

	if (!f || fputs(value, f) < 0 || fclose(f))
		target_die("oom_score_adj");
}

typedef void child_fn(struct board *board, int fd, const struct options *o);

/* A process as any other: killable, no real-time priority, gone when the referee is. */
static void start_child(struct referee *r, struct child *child, const char *name, child_fn *run)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		target_die("pipe2");
	child->name = name;
	child->release = fds[1];
	child->pid = fork();
	if (child->pid < 0)
		target_die("fork");
	if (child->pid) {
		close(fds[0]);
		return;
	}
	close(fds[1]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	set_oom_score_adj("0");
	run(r->board, fds[0], &r->o);
}

static void release(struct child *child)
{
	if (write(child->release, "", 1) != 1)
		target_die(child->name);
}

/* --- what the referee reads ------------------------------------------------- */

/* The number after `key` in a file of "key value" lines; the first number without a key. */
static uint64_t read_key(const char *dir, const char *file, const char *key)
{
	char path[512];
	char text[8192];
	const char *at = text;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		target_die(path);
	close(fd);
	text[n] = '\0';
	if (key)
		at = strstr(text, key);
	return at ? strtoull(at + (key ? strlen(key) : 0), NULL, 10) : 0;
}

static uint64_t domain_limit(const struct options *o)
{
	if (o->domain)
		return read_key(o->domain, "memory.max", NULL);
	return read_key("/proc", "meminfo", "MemTotal:") * 1024;
}

/* The working set: what cannot be had back by dropping page cache. */
static uint64_t domain_usage(const struct options *o)
{
	if (o->domain)
		return read_key(o->domain, "memory.current", NULL) -
		       read_key(o->domain, "memory.stat", "\ninactive_file ");
	return (read_key("/proc", "meminfo", "MemTotal:") -
		read_key("/proc", "meminfo", "MemAvailable:")) *
	       1024;
}

/* How many pages a process takes to raise the domain's usage by `bytes`: page tables count, too. */
static uint64_t pages_for(uint64_t bytes)
{
	return bytes / PAGE * 512 / 513;
}

static uint64_t domain_threshold(const struct referee *r)
{
	return r->limit / 100 * r->o.threshold_pct;
}

/*
 * Where the filler is when the domain comes to its threshold: from how far it is
 * to there now, again and again until it is past it, as what the host has left is
 * an estimate and does not fall by just what is taken. That of a cgroup does. A
 * usage that falls is that of a filler which is being ended.
 */
static void find_threshold(struct referee *r)
{
	uint64_t pages = r->board->pages;
	uint64_t usage = domain_usage(&r->o);
	uint64_t wanted = domain_threshold(r);

	if (usage < r->last_usage)
		return;
	r->last_usage = usage;
	if (usage < wanted)
		r->threshold_pages = pages + pages_for(wanted - usage);
	else
		r->threshold_pages = pages - pages_for(usage - wanted);
	r->is_past = usage >= wanted;
}

static void take_log(struct responder_log *log)
{
	struct chunk *chunk = &log->chunks[log->n_chunks];
	char spill[4096];
	ssize_t n;

	if (log->n_chunks == MAX_CHUNKS || log->used == LOG_BYTES) {
		n = read(log->fd, spill, sizeof(spill));
		log->dropped += n > 0 ? (size_t)n : 0;
		return;
	}
	n = read(log->fd, log->text + log->used, LOG_BYTES - log->used);
	if (n <= 0)
		return;
	*chunk = (struct chunk){.ts_ns = now_ns(), .start = log->used, .len = (size_t)n};
	log->used += (size_t)n;
	log->n_chunks++;
}

static void set_fate(struct referee *r, struct child *child, enum fate fate, int detail)
{
	if (child->fate != ALIVE)
		return;
	child->ts_ns = now_ns();
	child->pages = r->board->pages;
	child->detail = detail;
	child->fate = fate;
}

static void look_after(struct referee *r, struct child *child)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WSTOPPED | WNOHANG) || !info.si_pid)
		return;
	if (info.si_code == CLD_STOPPED)
		set_fate(r, child, STOPPED, info.si_status);
	else
		set_fate(r, child, info.si_code == CLD_EXITED ? EXITED : KILLED, info.si_status);
}

static void take_signals(struct referee *r)
{
	struct signalfd_siginfo info;

	if (read(r->signals, &info, sizeof(info)) < 0 && errno != EAGAIN)
		target_die("signalfd");
	look_after(r, &r->filler);
	look_after(r, &r->bystander);
}

/* The group may be gone already, with its process. */
static void take_freezer(struct referee *r)
{
	char text[256] = "";

	if (pread(r->freezer, text, sizeof(text) - 1, 0) < 0) {
		close(r->freezer);
		r->freezer = -1;
	}
	if (strstr(text, "frozen 1"))
		set_fate(r, &r->filler, FROZEN, 0);
}

typedef bool done_fn(const struct referee *r);

/* Watches everything until that is done, or a moment is reached; false if it was that moment. */
static bool watch(struct referee *r, uint64_t until_ns, done_fn *done)
{
	while (now_ns() < until_ns) {
		struct pollfd fds[] = {
			{.fd = r->signals, .events = POLLIN},
			{.fd = r->log->fd, .events = POLLIN},
			{.fd = r->freezer, .events = POLLPRI},
		};

		if (done && done(r))
			return true;
		if (poll(fds, 3, TICK_MS) < 0 && errno != EINTR)
			target_die("poll");
		if (r->board->filler == FILLING && !r->o.domain && !r->is_past &&
		    r->filler.fate == ALIVE)
			find_threshold(r);
		if (fds[0].revents)
			take_signals(r);
		if (fds[1].revents)
			take_log(r->log);
		if (fds[2].revents & (POLLPRI | POLLERR))
			take_freezer(r);
	}
	return false;
}

static bool is_told(const struct referee *r)
{
	struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

	(void)r;
	return poll(&fd, 1, 0) > 0;
}

static bool is_somebody_done(const struct referee *r)
{
	return r->filler.fate != ALIVE || r->bystander.fate != ALIVE;
}

static bool does_filler_hold(const struct referee *r)
{
	return r->board->filler == HOLDING || is_somebody_done(r);
}

static bool does_bystander_hold(const struct referee *r)
{
	return r->board->bystander == HOLDING || is_somebody_done(r);
}

/* --- the course of it ------------------------------------------------------- */

/* Whether to go on; until told, what the responder says at its start is taken down. */
static bool make_ready(struct referee *r)
{
	sigset_t set;
	char word = 0;

	start_child(r, &r->filler, "filler", run_filler);
	start_child(r, &r->bystander, "bystander", run_bystander);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		target_die("signalfd");
	printf("ready %d %d\n", (int)r->filler.pid, (int)r->bystander.pid);
	fflush(stdout);
	watch(r, UINT64_MAX, is_told);
	return read(STDIN_FILENO, &word, 1) == 1 && word == 'g';
}

static void open_freezer(struct referee *r)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/cgroup.events", r->o.freezer);
	r->freezer = open(path, O_RDONLY | O_CLOEXEC);
	if (r->freezer < 0)
		target_die(path);
}

/* Both take what they hold; how far it is from there to the threshold is then measured. */
static void hold(struct referee *r)
{
	uint64_t usage;
	uint64_t wanted;

	r->limit = domain_limit(&r->o);
	release(&r->bystander);
	watch(r, now_ns() + 60 * SEC, does_bystander_hold);
	usage = domain_usage(&r->o);
	wanted = r->limit / 100 * r->o.hold_pct;
	r->board->hold_pages = wanted > usage ? pages_for(wanted - usage) : 0;
	release(&r->filler);
	watch(r, now_ns() + 60 * SEC, does_filler_hold);
	watch(r, now_ns() + HOLD_NS, is_somebody_done);
	r->hold_usage = domain_usage(&r->o);
	r->hold_pages = r->board->pages;
	find_threshold(r);
}

static void fill(struct referee *r)
{
	if (is_somebody_done(r))
		return;
	release(&r->filler);
	watch(r, now_ns() + r->o.deadline_s * SEC, is_somebody_done);
	atomic_store(&r->board->over, is_somebody_done(r));
	watch(r, now_ns() + LINGER_NS, NULL);
}

/* --- what it says ----------------------------------------------------------- */

static uint64_t crossing_ns(const struct referee *r)
{
	const struct board *board = r->board;

	for (size_t i = 0; i < board->n_steps; i++)
		if (board->steps[i].pages >= r->threshold_pages)
			return board->steps[i].ts_ns;
	return 0;
}

static void print_plan(const struct referee *r)
{
	printf("{\"event\": \"plan\", \"limit\": %" PRIu64 ", \"hold_usage\": %" PRIu64
	       ", \"hold\": %" PRIu64 ", \"threshold\": %" PRIu64 ", \"touched\": %" PRIu64
	       ", \"fill_ts\": %" PRIu64 ", \"threshold_ts\": %" PRIu64 ", \"log_dropped\": %zu}\n",
	       r->limit, r->hold_usage, r->hold_pages * PAGE, r->threshold_pages * PAGE,
	       r->board->pages * PAGE, r->board->fill_ts_ns, crossing_ns(r), r->log->dropped);
}

static void print_child(const struct child *child)
{
	printf("{\"event\": \"end\", \"who\": \"%s\", \"pid\": %d, \"fate\": \"%s\", "
	       "\"detail\": %d, \"ts\": %" PRIu64 ", \"touched\": %" PRIu64 "}\n",
	       child->name, (int)child->pid, fate_names[child->fate], child->detail, child->ts_ns,
	       child->pages * PAGE);
}

/* Bytes that are not ASCII become the code point of their number. */
static void print_chunk(const struct responder_log *log, const struct chunk *chunk)
{
	printf("{\"event\": \"log\", \"ts\": %" PRIu64 ", \"text\": \"", chunk->ts_ns);
	for (size_t i = chunk->start; i < chunk->start + chunk->len; i++) {
		unsigned char c = (unsigned char)log->text[i];

		if (c == '"' || c == '\\' || c < ' ' || c > '~')
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	printf("\"}\n");
}

static void end_child(struct child *child)
{
	if (child->fate == EXITED || child->fate == KILLED)
		return;
	kill(child->pid, SIGKILL);
	waitid(P_PID, (id_t)child->pid, &(siginfo_t){0}, WEXITED);
}

static void finish(struct referee *r)
{
	end_child(&r->filler);
	end_child(&r->bystander);
	print_plan(r);
	print_child(&r->filler);
	print_child(&r->bystander);
	for (size_t i = 0; i < r->log->n_chunks; i++)
		print_chunk(r->log, &r->log->chunks[i]);
	fflush(stdout);
}

/* --- start ------------------------------------------------------------------- */

static void *shared_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		target_die("mmap");
	return p;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"domain", required_argument, NULL, 'd'},
		{"rate", required_argument, NULL, 'r'},
		{"log", required_argument, NULL, 'l'},
		{"freezer", required_argument, NULL, 'f'},
		{"bystander", required_argument, NULL, 'b'},
		{"hold", required_argument, NULL, 'h'},
		{"threshold", required_argument, NULL, 't'},
		{"deadline", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			o->domain = strcmp(optarg, "host") ? optarg : NULL;
		else if (c == 'r')
			o->rate_mib = strcmp(optarg, "max") ? target_number(optarg) : 0;
		else if (c == 'l')
			o->log = optarg;
		else if (c == 'f')
			o->freezer = optarg;
		else if (c == 'b')
			o->bystander_mib = target_number(optarg);
		else if (c == 'h')
			o->hold_pct = target_number(optarg);
		else if (c == 't')
			o->threshold_pct = target_number(optarg);
		else if (c == 's')
			o->deadline_s = target_number(optarg);
		else
			exit(2);
	}
	if (!o->log || !o->freezer)
		exit(2);
}

/* No reclaim and no other process delays the referee; it is no victim of anybody's choice. */
static void take_precedence(void)
{
	struct sched_param param = {.sched_priority = 1};

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		target_die("mlockall");
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param))
		target_die("sched_setscheduler");
	set_oom_score_adj("-1000");
}

int main(int argc, char **argv)
{
	struct referee r = {
		.o = {.bystander_mib = 100, .hold_pct = 80, .threshold_pct = 90, .deadline_s = 60},
		.freezer = -1,
	};

	parse(&r.o, argc, argv);
	r.board = shared_memory(sizeof(*r.board));
	r.log = shared_memory(sizeof(*r.log));
	r.log->fd = open(r.o.log, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (r.log->fd < 0)
		target_die(r.o.log);
	take_precedence();
	if (make_ready(&r)) {
		open_freezer(&r);
		hold(&r);
		fill(&r);
	}
	finish(&r);
	return 0;
}
