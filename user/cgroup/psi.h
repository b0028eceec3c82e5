/* SPDX-License-Identifier: GPL-2.0-only */
/* Pressure stall information, read: totals and the shares between two readings. */
#ifndef MP_CGROUP_PSI_H
#define MP_CGROUP_PSI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fsroot.h"

struct mp_psi_totals {
	uint64_t some_us; /* since boot */
	uint64_t full_us; /* 0 where the kernel has no such line */
};

/* "some avg10=0.00 … total=123\nfull …": returns 0 or -EBADMSG. Pure. */
int mp_psi_parse(const char *text, struct mp_psi_totals *ret);
/* The same of a file (full path). -ENOENT: no such file or group; -EOPNOTSUPP: PSI is off. */
int mp_psi_totals_read(const char *path, struct mp_psi_totals *ret);

struct mp_psi_share {
	double some_pct;
	double full_pct;
	uint64_t window_ns; /* between the two readings */
};
/*
 * Instantaneous shares between two readings, 0 to 100, two decimals. False when no
 * time has passed between them. Pure. (The averages in the file lag by seconds.)
 */
bool mp_psi_between(const struct mp_psi_totals *before, uint64_t before_ns,
		    const struct mp_psi_totals *now, uint64_t now_ns, struct mp_psi_share *ret);

#endif
