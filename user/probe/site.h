/* SPDX-License-Identifier: GPL-2.0-only */
/* A place in a file where a point is probed. */
#ifndef MP_PROBE_SITE_H
#define MP_PROBE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "base/arch.h"
#include "base/event.h"
#include "config/points.h"

struct mp_site {
	size_t point; /* index; of a marker, which many points share, its mp_phase */
	enum mp_site_kind kind;
	bool is_marker;
	char *binary;	 /* as the target sees it */
	char *open_path; /* what the kernel opens */
	uint64_t dev;	 /* st_dev and st_ino of open_path: which file it is */
	uint64_t ino;
	char *symbol;	 /* demangled where mangled; provider:name for USDT */
	uint64_t offset; /* of the probe in the file; behind a landing pad where that is cheaper */
	uint64_t semaphore_offset;
	struct mp_insn insn;
	bool with_return;
	uint64_t *exits; /* with_return: where it is probed instead of at its return address */
	size_t n_exits;
	struct mp_usdt_site usdt;
	enum mp_site_status status;
	char *reason;	  /* of waiting or failed */
	const char *risk; /* static text, or NULL */
};

/* Sites keep their index for good: it is half of the cookie. */
struct mp_sites {
	struct mp_site *items;
	size_t n;
	size_t cap;
};

/* A new zeroed site at the end, or NULL without memory. Earlier pointers become invalid. */
struct mp_site *mp_sites_add(struct mp_sites *sites);
/* Takes back the sites from index `n` on. */
void mp_sites_truncate(struct mp_sites *sites, size_t n);
void mp_sites_free(struct mp_sites *sites);

/* Fills in the event; strings are borrowed from the site and the points. */
void mp_site_event(const struct mp_site *site, const struct mp_points *points,
		   struct mp_event_site *ret);

/* "about 0.7 us", "about 1 us (10 us in a VM)" …: what one hit costs, by its class. */
const char *mp_site_cost(const struct mp_site *site);

#endif
