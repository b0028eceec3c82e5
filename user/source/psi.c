// SPDX-License-Identifier: GPL-2.0-only
#include "source/psi.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MS 1000000ULL
#define SEC (1000 * MS)
#define NS_PER_US 1000ULL
/* What the kernel takes, and what it takes from those without CAP_SYS_RESOURCE. */
#define MIN_WINDOW_NS (500 * MS)
#define MAX_WINDOW_NS (10 * SEC)
#define UNPRIVILEGED_STEP_NS (2 * SEC)
/* Stall is added up in ticks of the scheduler: a shorter time says nothing. */
#define MIN_READ_NS (10 * MS)
#define MAX_PSI 1024
#define N_MARKS 4

struct reading {
	struct mp_psi_totals totals;
	uint64_t ns;
};

struct mp_psi {
	int fd; /* both the trigger and what is read */
	uint64_t window_ns;
	struct reading last;
	struct reading marks[N_MARKS]; /* of the trigger's window: a ring, a quarter of it apart */
	size_t newest;
};

static int read_totals(const struct mp_psi *psi, struct mp_psi_totals *ret)
{
	char text[MAX_PSI];
	ssize_t n = pread(psi->fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return errno == ENODEV ? -ENOENT : -errno;
	text[n] = '\0';
	return mp_psi_parse(text, ret);
}

static int set_trigger(struct mp_psi *psi, double some_pct, uint64_t window_ns)
{
	uint64_t window_us = window_ns / NS_PER_US;
	double stall_us = some_pct / 100.0 * (double)window_us;
	char text[64];
	int len;

	if (!(stall_us >= 1) || some_pct > 100)
		return -EINVAL;
	len = snprintf(text, sizeof(text), "some %llu %llu", (unsigned long long)stall_us,
		       (unsigned long long)window_us);
	/* With the NUL: the kernel ends the text at the last byte it is given. */
	if (write(psi->fd, text, (size_t)len + 1) < 0)
		return -errno;
	psi->window_ns = window_ns;
	return 0;
}

static uint64_t clamp_window(uint64_t window_ns)
{
	if (window_ns < MIN_WINDOW_NS)
		return MIN_WINDOW_NS;
	return window_ns > MAX_WINDOW_NS ? MAX_WINDOW_NS : window_ns;
}

/* Not every process may have every window, or a trigger at all: then there is less, or none. */
static void try_trigger(struct mp_psi *psi, double some_pct, uint64_t window_ns)
{
	uint64_t window = clamp_window(window_ns);
	uint64_t steps = (window + UNPRIVILEGED_STEP_NS - 1) / UNPRIVILEGED_STEP_NS;

	if (set_trigger(psi, some_pct, window))
		set_trigger(psi, some_pct, steps * UNPRIVILEGED_STEP_NS);
}

int mp_psi_new(const char *path, double some_pct, uint64_t window_ns, struct mp_psi **ret)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	bool writable = fd >= 0;
	struct mp_psi *psi;
	int err;

	if (fd < 0 && errno != ENOENT)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENODEV ? -ENOENT : -errno;
	psi = calloc(1, sizeof(*psi));
	if (!psi) {
		close(fd);
		return -ENOMEM;
	}
	psi->fd = fd;
	psi->last.ns = mp_clock_now_ns();
	err = read_totals(psi, &psi->last.totals);
	if (err) {
		mp_psi_free(psi);
		return err;
	}
	for (size_t i = 0; i < N_MARKS; i++)
		psi->marks[i] = psi->last;
	if (writable)
		try_trigger(psi, some_pct, window_ns);
	*ret = psi;
	return 0;
}

void mp_psi_free(struct mp_psi *psi)
{
	if (!psi)
		return;
	close(psi->fd);
	free(psi);
}

int mp_psi_fd(const struct mp_psi *psi)
{
	return psi->window_ns ? psi->fd : -1;
}

uint64_t mp_psi_window_ns(const struct mp_psi *psi)
{
	return psi->window_ns;
}

static void keep(struct mp_psi *psi, const struct reading *now)
{
	psi->last = *now;
	if (now->ns - psi->marks[psi->newest].ns < psi->window_ns / N_MARKS)
		return;
	psi->newest = (psi->newest + 1) % N_MARKS;
	psi->marks[psi->newest] = *now;
}

int mp_psi_read(struct mp_psi *psi, uint64_t now_ns, struct mp_psi_share *ret)
{
	struct reading now = {.ns = now_ns};
	int err;

	if (now_ns < psi->last.ns + MIN_READ_NS)
		return 0;
	err = read_totals(psi, &now.totals);
	if (err)
		return err;
	mp_psi_between(&psi->last.totals, psi->last.ns, &now.totals, now_ns, ret);
	keep(psi, &now);
	return 1;
}

int mp_psi_read_window(struct mp_psi *psi, uint64_t now_ns, struct mp_psi_share *ret)
{
	struct reading now = {.ns = now_ns};
	const struct reading *since = &psi->last;
	int err = read_totals(psi, &now.totals);

	if (err)
		return err;
	for (size_t i = 0; i < N_MARKS; i++) {
		const struct reading *mark = &psi->marks[i];

		if (mark->ns < since->ns && mark->ns + psi->window_ns >= now_ns)
			since = mark;
	}
	if (now_ns < since->ns + MIN_READ_NS)
		return 0;
	mp_psi_between(&since->totals, since->ns, &now.totals, now_ns, ret);
	keep(psi, &now);
	return 1;
}
