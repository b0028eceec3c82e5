// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "base/clock.h"

#include "harness/private.h"

/*
 * The whole of it reads memory.stat, which is dear; between two of these only usage is
 * read, and what of it can be dropped is taken to be as it was.
 */
static int usage_of(struct mp_harness *h, bool whole, uint64_t *ret)
{
	struct mp_domain_sample sample;
	int error;

	if (whole || !h->domain) {
		error = mp_domain_sample(&h->cg, h->domain, &sample);
		if (error)
			return error;
		h->reclaimable = sample.usage - sample.working_set;
		*ret = sample.working_set;
		return 0;
	}
	error = mp_domain_glance(&h->cg, h->domain, &sample);
	if (error)
		return error;
	*ret = sample.usage > h->reclaimable ? sample.usage - h->reclaimable : 0;
	return 0;
}

/* The filler's size is read first: while it grows the others then look larger than they are. */
int mp_look(struct mp_harness *h, bool whole, struct mp_look *ret)
{
	struct mp_look look = {.now_ns = mp_clock_now_ns()};
	uint64_t total;
	int error;

	look.filler = h->filler ? mp_filler_size(h->filler) : 0;
	error = usage_of(h, whole, &look.usage);
	error = error ?: mp_host_memory(&h->cg.fs, &total, &look.host_free);
	if (!error)
		*ret = look;
	return error;
}
