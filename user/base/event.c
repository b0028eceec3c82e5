// SPDX-License-Identifier: GPL-2.0-only
#include "base/event.h"

#include "base/names.h"

MP_NAMES(event_type, enum mp_event_type, MP_EVENT_TYPE_COUNT, "start", "site", "probe", "process",
	 "pressure", "oom", "decision", "action", "lost", "summary", "stop")
MP_NAMES(site_kind, enum mp_site_kind, MP_SITE_KIND_COUNT, "uprobe", "usdt", "python", "watchpoint")
MP_NAMES(site_status, enum mp_site_status, MP_SITE_STATUS_COUNT, "attached", "waiting", "failed")
MP_NAMES(action_result, enum mp_action_result, MP_RESULT_COUNT, "done", "would", "failed",
	 "skipped")
/* enum mp_process_op starts at 1. */
MP_NAMES(process_op, enum mp_process_op, MP_PROCESS_EXIT + 1, "none", "fork", "exec", "exit")
MP_NAMES(gate, enum mp_gate, MP_GATE_COUNT, "none", "would", "held")
MP_NAMES(pressure_source, enum mp_pressure_source, MP_PRESSURE_SOURCE_COUNT, "reclaim",
	 "direct_reclaim", "psi", "memory.events", "memcg_v1", "usage")

struct mp_event_pressure mp_event_pressure_blank(enum mp_pressure_source source)
{
	return (struct mp_event_pressure){
		.source = source,
		.usage = MP_UNKNOWN,
		.working_set = MP_UNKNOWN,
		.limit = MP_UNKNOWN,
		.usage_pct = -1,
		.window_ns = MP_UNKNOWN,
		.some_pct = -1,
		.full_pct = -1,
		.stall_ns = MP_UNKNOWN,
		.reclaims = MP_UNKNOWN,
		.reclaimed_pages = MP_UNKNOWN,
		.pgscan = MP_UNKNOWN,
		.pgsteal = MP_UNKNOWN,
		.pgmajfault = MP_UNKNOWN,
		.low = MP_UNKNOWN,
		.high = MP_UNKNOWN,
		.max = MP_UNKNOWN,
		.oom = MP_UNKNOWN,
		.oom_kill = MP_UNKNOWN,
	};
}
