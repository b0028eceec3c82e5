// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/summary.h"

#include <errno.h>
#include <string.h>

#include "state/histogram.h"

static void fill_point(struct mp_summary_point *out, const struct mp_point *point,
		       const struct mp_point_stats *stats)
{
	const struct mp_phase_stats *enter = &stats->phase[MP_PHASE_ENTER];
	const struct mp_phase_stats *exit = &stats->phase[MP_PHASE_EXIT];

	*out = (struct mp_summary_point){
		.point = point->name,
		.level = point->level,
		.hits = enter->hits,
		.returns = exit->hits,
		.emitted = enter->emitted + exit->emitted,
		.suppressed = enter->suppressed + exit->suppressed,
		.lost = enter->lost + exit->lost,
		.missed = stats->missed,
		.duration_p50_ns = MP_UNKNOWN,
		.duration_p99_ns = MP_UNKNOWN,
		.duration_max_ns = MP_UNKNOWN,
		.rss_total = MP_UNKNOWN_DELTA,
		.rss_max = MP_UNKNOWN_DELTA,
	};
	memcpy(out->phase, stats->phase, sizeof(out->phase));
	if (!stats->matched)
		return;
	out->duration_p50_ns = mp_hist_quantile(stats->duration_hist, 0.50, stats->duration_max_ns);
	out->duration_p99_ns = mp_hist_quantile(stats->duration_hist, 0.99, stats->duration_max_ns);
	out->duration_max_ns = stats->duration_max_ns;
	out->rss_total = stats->rss_sum;
	out->rss_max = stats->rss_max;
}

int mp_summary_read(const struct mp_bpf *bpf, const struct mp_points *points, uint64_t received,
		    bool all_shown, struct mp_summary_point **ret_points,
		    struct mp_event_summary *ret)
{
	size_t max = points->n + MP_SPARE_POINTS;
	MP_FREE struct mp_summary_point *list = calloc(max, sizeof(*list));
	uint64_t emitted = 0;
	uint64_t lost = 0;
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < max; i++) {
		const struct mp_point *point = mp_points_at(points, i);
		struct mp_point_stats stats;
		int err;

		if (!point)
			continue;
		err = mp_bpf_read_stats(bpf, (uint32_t)i, &stats);
		if (err)
			return err;
		fill_point(&list[n], point, &stats);
		emitted += list[n].emitted;
		lost += list[n].lost;
		n++;
	}
	ret->points = list;
	ret->n_points = n;
	ret->received = received;
	ret->complete = emitted == received && lost == 0 && all_shown;
	*ret_points = MP_TAKE(list);
	return 0;
}
