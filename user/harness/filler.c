// SPDX-License-Identifier: GPL-2.0-only
#include "harness/filler.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/arena.h"

#define STEP_BYTES (4UL << 20) /* between two looks at what is wanted: about a millisecond */
#define TOUCH_NS 1000000000ULL
#define TOUCH_BYTES (4UL << 20) /* the same, when each page may have to come from swap */
/* Huge pages come and go by 2 MiB, which a small group would feel. */
#define HUGE_FROM_BYTES (1ULL << 30)

/* A page that supervisor and filler share. */
struct control {
	_Atomic uint64_t want;
	_Atomic uint64_t size;
	_Atomic uint32_t asked;	  /* futex: rises with each wish */
	_Atomic uint32_t reached; /* the wish that `size` is the answer to */
};

struct mp_filler {
	struct control *control;
	pid_t pid;
	int pidfd;
	int event;
	bool reaped;
	int status;
};

/* --- in the filler's own process ---------------------------------------------- */

struct worker {
	struct control *control;
	struct mp_arena arena;
	const struct mp_filler_options *options;
	int event;
	uint64_t touched_ns; /* when the last round began */
	size_t touch_at;     /* where it goes on; 0: it is over */
};

static void sleep_until_asked(struct control *control, uint32_t seen, uint64_t ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000),
				   .tv_nsec = (long)(ns % 1000000000)};

	syscall(SYS_futex, &control->asked, FUTEX_WAIT, seen, &timeout, NULL, 0);
}

/* Touches a part of what it holds, when it is time to. Returns whether there is more of it. */
static bool keep_hot(struct worker *w)
{
	uint64_t now = mp_clock_now_ns();

	if (w->options->cold || (!w->touch_at && now - w->touched_ns < TOUCH_NS))
		return false;
	if (!w->touch_at)
		w->touched_ns = now;
	w->touch_at = mp_arena_touch(&w->arena, w->touch_at, TOUCH_BYTES);
	return w->touch_at != 0;
}

/* What the kernel refuses is tried again a little later: there may be room by then. */
static void work(struct worker *w)
{
	uint32_t seen = atomic_load(&w->control->asked);
	uint64_t want = atomic_load(&w->control->want);
	int there = mp_arena_step(&w->arena, want, STEP_BYTES);

	atomic_store(&w->control->size, mp_arena_size(&w->arena));
	if (there == 0)
		return;
	if (there > 0 && atomic_exchange(&w->control->reached, seen) != seen)
		eventfd_write(w->event, 1);
	if (keep_hot(w))
		return;
	sleep_until_asked(w->control, seen, there > 0 ? TOUCH_NS / 4 : TOUCH_NS / 100);
}

static void set_deadline(uint64_t deadline_ns)
{
	uint64_t now = mp_clock_now_ns();
	uint64_t us = deadline_ns > now ? (deadline_ns - now) / 1000 + 1 : 1;
	struct itimerval timer = {.it_value = {.tv_sec = (time_t)(us / 1000000),
					       .tv_usec = (suseconds_t)(us % 1000000)}};

	if (deadline_ns)
		setitimer(ITIMER_REAL, &timer, NULL);
}

static void die_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1000", 4) < 0)
		errno = 0; /* it is only a wish: the group's limit is what protects others */
	if (fd >= 0)
		close(fd);
}

/* A terminal's ^C is for the supervisor, which ends the filler when it is done with it. */
static void set_up_process(const struct mp_filler_options *options, pid_t supervisor)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1);
	prctl(PR_SET_NAME, "mp-filler");
	if (!options->is_idle)
		die_first();
	set_deadline(options->deadline_ns);
}

static void run_filler(struct control *control, int event, const struct mp_filler_options *options,
		       pid_t supervisor)
{
	struct worker w = {.control = control, .options = options, .event = event};
	bool huge = !options->no_huge_pages && options->max_bytes >= HUGE_FROM_BYTES;

	set_up_process(options, supervisor);
	if (mp_arena_init(&w.arena, options->max_bytes, huge, options->entropy_pct))
		_exit(1);
	for (;;)
		work(&w);
}

/* --- in the supervisor -------------------------------------------------------- */

static int no_filler(struct mp_error *err, int errnum, const char *what)
{
	return mp_fail(err, MP_EXIT_UNSUPPORTED, errnum, "cannot start the filler: %s: %s", what,
		       strerror(errnum));
}

static int filler_init(struct mp_filler *f, struct mp_error *err)
{
	void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return no_filler(err, errno, "shared memory");
	f->control = page;
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event < 0)
		return no_filler(err, errno, "eventfd");
	return 0;
}

static int filler_fork(struct mp_filler *f, const struct mp_group *group,
		       const struct mp_filler_options *options, struct mp_error *err)
{
	pid_t supervisor = getpid();
	pid_t pid = group ? mp_group_fork(group) : fork();

	if (pid < 0)
		return no_filler(err, group ? -pid : errno, "fork");
	if (pid == 0) {
		run_filler(f->control, f->event, options, supervisor);
		_exit(0);
	}
	f->pid = pid;
	f->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return f->pidfd < 0 ? no_filler(err, errno, "pidfd_open") : 0;
}

int mp_filler_start(const struct mp_group *group, const struct mp_filler_options *options,
		    struct mp_filler **ret, struct mp_error *err)
{
	struct mp_filler *f = calloc(1, sizeof(*f));
	int error;

	if (!f)
		return -ENOMEM;
	f->pidfd = f->event = -1;
	error = filler_init(f, err);
	error = error ?: filler_fork(f, group, options, err);
	if (error) {
		mp_filler_free(f);
		return error;
	}
	*ret = f;
	return 0;
}

pid_t mp_filler_pid(const struct mp_filler *f)
{
	return f->pid;
}

int mp_filler_pidfd(const struct mp_filler *f)
{
	return f->pidfd;
}

int mp_filler_event(const struct mp_filler *f)
{
	return f->event;
}

void mp_filler_want(struct mp_filler *f, uint64_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t want = (bytes + page - 1) / page * page;

	if (atomic_exchange(&f->control->want, want) == want)
		return;
	atomic_fetch_add(&f->control->asked, 1);
	syscall(SYS_futex, &f->control->asked, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint64_t mp_filler_size(const struct mp_filler *f)
{
	return atomic_load(&f->control->size);
}

bool mp_filler_is_there(const struct mp_filler *f)
{
	return atomic_load(&f->control->reached) == atomic_load(&f->control->asked);
}

int mp_filler_reap(struct mp_filler *f, int *ret_status)
{
	pid_t pid;

	if (!f->reaped) {
		do {
			pid = waitpid(f->pid, &f->status, WNOHANG);
		} while (pid < 0 && errno == EINTR);
		if (pid == 0)
			return -EAGAIN;
		if (pid < 0)
			return -errno;
		f->reaped = true;
	}
	*ret_status = f->status;
	return 0;
}

void mp_filler_free(struct mp_filler *f)
{
	if (!f)
		return;
	if (f->pid > 0 && !f->reaped) {
		kill(f->pid, SIGKILL);
		while (waitpid(f->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (f->control)
		munmap(f->control, sizeof(*f->control));
	mp_close_p(&f->pidfd);
	mp_close_p(&f->event);
	free(f);
}
