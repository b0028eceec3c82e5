// SPDX-License-Identifier: GPL-2.0-only
#include "probe/site.h"

#include <string.h>

#include "base/array.h"

struct mp_site *mp_sites_add(struct mp_sites *sites)
{
	struct mp_site *site;

	if (MP_RESERVE_ONE(sites->items, sites->n, sites->cap))
		return NULL;
	site = &sites->items[sites->n++];
	memset(site, 0, sizeof(*site));
	return site;
}

void mp_sites_truncate(struct mp_sites *sites, size_t n)
{
	while (sites->n > n) {
		struct mp_site *site = &sites->items[--sites->n];

		free(site->binary);
		free(site->open_path);
		free(site->symbol);
		free(site->reason);
		free(site->exits);
	}
}

void mp_sites_free(struct mp_sites *sites)
{
	mp_sites_truncate(sites, 0);
	free(sites->items);
	*sites = (struct mp_sites){0};
}

/* Measured with an empty BPF program; docs/probes.md has the table and its machine. */
const char *mp_site_cost(const struct mp_site *site)
{
	static const char *const costs[MP_INSN_CLASS_COUNT] = {
		[MP_INSN_NOP5] = "0.5 us",
		[MP_INSN_EMULATED] = "0.7 us",
		[MP_INSN_SINGLE_STEPPED] = "1-10 us",
		[MP_INSN_LANDING] = "1-11 us",
		[MP_INSN_REFUSED] = "-",
	};

	return site->insn.class < MP_INSN_CLASS_COUNT ? costs[site->insn.class] : "-";
}

void mp_site_event(const struct mp_site *site, const struct mp_points *points,
		   struct mp_event_site *ret)
{
	const struct mp_point *point = &points->items[site->point];

	*ret = (struct mp_event_site){
		.point = point->name,
		.level = point->level,
		.kind = site->kind,
		.binary = site->binary,
		.symbol = site->symbol,
		.offset = site->binary ? site->offset : MP_UNKNOWN,
		.insn = site->binary ? mp_insn_class_name(site->insn.class) : NULL,
		.cost = site->binary ? mp_site_cost(site) : NULL,
		.risk = site->risk,
		.status = site->status,
		.reason = site->reason,
	};
}
