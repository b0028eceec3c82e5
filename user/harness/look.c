// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "harness/private.h"

#define OUTER_RESERVE_SHARE 16 /* of a limit around: what is left to the others there */

/*
 * The whole of it reads memory.stat, which is dear; between two of these only usage is
 * read, and what of it can be dropped is taken to be as it was.
 */
static int usage_of(struct mp_harness *h, const char *path, bool whole, uint64_t *reclaimable,
		    uint64_t *ret)
{
	struct mp_domain_sample sample;
	int error;

	if (whole || !path) {
		error = mp_domain_sample(&h->cg, path, &sample);
		if (error)
			return error;
		*reclaimable = sample.usage - sample.working_set;
		*ret = sample.working_set;
		return 0;
	}
	error = mp_domain_glance(&h->cg, path, &sample);
	if (error)
		return error;
	*ret = sample.usage > *reclaimable ? sample.usage - *reclaimable : 0;
	return 0;
}

static int64_t less_of(int64_t spare, uint64_t room, uint64_t reserve)
{
	int64_t here = (int64_t)room - (int64_t)reserve;

	return here < spare ? here : spare;
}

static int spare_of(struct mp_harness *h, bool whole, int64_t *ret)
{
	uint64_t total, available;
	int error = mp_host_memory(&h->cg.fs, &total, &available);
	int64_t spare = INT64_MAX;

	if (error)
		return error;
	spare = less_of(spare, available, h->reserve);
	for (size_t i = 0; i < h->n_outer; i++) {
		struct mp_outer *outer = &h->outer[i];
		uint64_t usage;

		error = usage_of(h, outer->path, whole, &outer->reclaimable, &usage);
		if (error)
			return error;
		spare = less_of(spare, outer->limit > usage ? outer->limit - usage : 0,
				outer->limit / OUTER_RESERVE_SHARE);
	}
	*ret = spare;
	return 0;
}

/* What the reserves, of the host and of the groups around, leave the filler to have. */
static int look_around(struct mp_harness *h, bool whole, uint64_t filler)
{
	int64_t spare = 0;
	int error = spare_of(h, whole, &spare);

	if (error)
		return error;
	if (spare >= 0)
		h->most = filler + (uint64_t)spare;
	else
		h->most = filler > (uint64_t)-spare ? filler - (uint64_t)-spare : 0;
	return 0;
}

/*
 * The filler's size is read first: while it grows the others then look larger than they are.
 * /proc/meminfo is dear, too: once the filler holds what is wanted it is read with the whole only.
 */
int mp_look(struct mp_harness *h, bool whole, struct mp_look *ret)
{
	struct mp_look look = {.now_ns = mp_clock_now_ns()};
	int error;

	look.filler = h->filler ? mp_filler_size(h->filler) : 0;
	error = usage_of(h, h->domain, whole, &h->reclaimable, &look.usage);
	if (!error && (whole || !h->reached))
		error = look_around(h, whole, look.filler);
	if (error)
		return error;
	look.most = h->most;
	*ret = look;
	return 0;
}

/* "/a/b" to "/a", "/a" to "/". False at the top. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !path[1])
		return false;
	slash[slash == path] = '\0';
	return true;
}

/*
 * The smallest limit above is not the only one that can be met: a larger one further up may be
 * nearly used up by others.
 */
int mp_look_around(struct mp_harness *h)
{
	MP_FREE char *path = strdup(h->domain ? h->domain : h->room.path);

	if (!path)
		return -ENOMEM;
	while (h->n_outer < MP_HARNESS_OUTER && go_up(path)) {
		struct mp_outer *outer = &h->outer[h->n_outer];
		int error = mp_cgroup_effective_limit(&h->cg, path, &outer->limit, &outer->path);

		if (error)
			return error;
		if (!outer->path)
			return 0;
		strcpy(path, outer->path);
		h->n_outer++;
	}
	return 0;
}

void mp_look_free(struct mp_harness *h)
{
	for (size_t i = 0; i < h->n_outer; i++)
		free(h->outer[i].path);
}
