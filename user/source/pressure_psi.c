// SPDX-License-Identifier: GPL-2.0-only
/* Pressure by a PSI trigger. The readings belong to the domain, whose tick uses them, too. */
#include <errno.h>

#include "source/pressure_kind.h"

static void fill_in(struct mp_event_pressure *event, const struct mp_psi_share *share)
{
	event->some_pct = share->some_pct;
	event->full_pct = share->full_pct;
	event->window_ns = share->window_ns;
}

int mp_pressure_take_stall(struct mp_psi *psi, uint64_t now_ns, struct mp_event_pressure *event)
{
	struct mp_psi_share share;
	int ret = mp_psi_read(psi, now_ns, &share);

	if (ret > 0)
		fill_in(event, &share);
	return ret;
}

static int psi_open(struct mp_pressure_watch *watch, const struct mp_cgroups *cg,
		    const struct mp_policy *policy)
{
	int fd = watch->domain->psi ? mp_psi_fd(watch->domain->psi) : -1;

	(void)cg;
	(void)policy;
	if (fd < 0)
		return -EOPNOTSUPP;
	watch->fds[watch->n_fds++] = fd;
	return 0;
}

static void psi_close(struct mp_pressure_watch *watch)
{
	watch->n_fds = 0;
}

/* Nothing of it needs to be silenced: the kernel fires once a window at most. */
static int psi_take(struct mp_pressure_watch *watch, const struct mp_cgroups *cg, uint64_t now_ns,
		    struct mp_event_pressure *event, size_t *ret_quiet)
{
	struct mp_psi_share share;
	int ret = mp_psi_read_window(watch->domain->psi, now_ns, &share);

	(void)cg;
	*ret_quiet = 0;
	if (ret > 0)
		fill_in(event, &share);
	return ret;
}

const struct mp_pressure_kind mp_pressure_psi = {
	.source = MP_PRESSURE_PSI,
	.is_urgent = true,
	.open = psi_open,
	.close = psi_close,
	.take = psi_take,
};
