// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "model/loader.h"

#define LOST SIGURG /* nobody sends it to us, and it is harmless when it comes late */

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, LOST);
}

/*
 * Runs where the fault was, and knows nothing else: the page becomes zeros, the fault is tried
 * again, and a blocked signal stays as the note that what was read is not the file's.
 */
static void on_bus(int signo, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *begin = (void *)((uintptr_t)info->si_addr & ~(page - 1));

	(void)context;
	if (info->si_code <= 0 ||
	    mmap(begin, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    MAP_FAILED)
		signal(signo, SIG_DFL);
	raise(info->si_code <= 0 ? signo : LOST);
}

void mp_load_signals_begin(struct mp_load_signals *signals)
{
	struct sigaction bus = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	sigset_t ours;

	fill_set(&ours);
	sigprocmask(SIG_BLOCK, &ours, &signals->mask);
	sigaction(SIGBUS, &bus, &signals->bus);
}

/* What was asked for has been done: nobody else should hear of it. */
void mp_load_signals_end(const struct mp_load_signals *signals)
{
	const struct timespec now = {0};
	sigset_t ours;

	fill_set(&ours);
	while (sigtimedwait(&ours, NULL, &now) > 0)
		;
	sigaction(SIGBUS, &signals->bus, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

int mp_load_signals_check(void)
{
	sigset_t pending;

	sigemptyset(&pending);
	sigpending(&pending);
	if (sigismember(&pending, LOST))
		return -EIO;
	return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ? -EINTR : 0;
}
