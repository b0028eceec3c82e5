// SPDX-License-Identifier: GPL-2.0-only
#include "cgroup/psi.h"

#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cgroup/private.h"

#define MAX_PSI 4096
#define NS_PER_US 1000ULL

static int parse_total(const char *text, const char *kind, uint64_t *ret)
{
	static const char key[] = " total=";
	const char *line = mp_cgroup_line(text, kind);
	const char *total;

	if (!line)
		return -ENOENT;
	total = strstr(line, key);
	if (!total || total > line + strcspn(line, "\n"))
		return -EBADMSG;
	return mp_cgroup_number(total + strlen(key), ret);
}

int mp_psi_parse(const char *text, struct mp_psi_totals *ret)
{
	struct mp_psi_totals totals = {0};
	int err = parse_total(text, "some", &totals.some_us);

	if (err)
		return -EBADMSG;
	err = parse_total(text, "full", &totals.full_us);
	if (err && err != -ENOENT)
		return err;
	*ret = totals;
	return 0;
}

int mp_psi_totals_read(const char *path, struct mp_psi_totals *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_cgroup_gone(mp_read_file(path, MAX_PSI, &text, NULL));

	return err ? err : mp_psi_parse(text, ret);
}

/* The kernel adds up the CPUs' parts one after the other: a total may seem to be ahead or back. */
static double share(uint64_t before_us, uint64_t now_us, uint64_t window_ns)
{
	uint64_t stall_us = now_us > before_us ? now_us - before_us : 0;

	if (stall_us >= window_ns / NS_PER_US)
		return stall_us ? 100.0 : 0.0;
	return mp_percent(stall_us * NS_PER_US, window_ns);
}

bool mp_psi_between(const struct mp_psi_totals *before, uint64_t before_ns,
		    const struct mp_psi_totals *now, uint64_t now_ns, struct mp_psi_share *ret)
{
	uint64_t window_ns = now_ns - before_ns;

	if (now_ns <= before_ns)
		return false;
	*ret = (struct mp_psi_share){
		.some_pct = share(before->some_us, now->some_us, window_ns),
		.full_pct = share(before->full_us, now->full_us, window_ns),
		.window_ns = window_ns,
	};
	return true;
}
