/* SPDX-License-Identifier: GPL-2.0-only */
/* From a hit to a record, or to the counter that says why there is none. */
#ifndef MP_EMIT_BPF_H
#define MP_EMIT_BPF_H

#include "maps.bpf.h"
#include "memory.bpf.h"

/* Records of probes. User space sets its size; wake-ups as in mp_wake_flags(). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Records that did not fit, all rings: every record carries the count. */
__u64 lost_records = 0;

/* When a point may emit again. Key: the point. */
struct mp_interval {
	u64 next_ns;
	u64 severity; /* highest one emitted in this interval */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_interval);
} intervals SEC(".maps");

/* Whether the severity is above all that were emitted in this interval; then it counts as emitted.
 */
static __always_inline bool mp_severity_rose(struct mp_interval *gate, u32 severity)
{
	if (severity <= gate->severity)
		return false;
	gate->severity = severity;
	return true;
}

/*
 * One entry of a point in each interval of its level; and at once when the
 * severity has risen since, so that a fast rise is never hidden by the limit.
 */
static __always_inline bool mp_may_emit_enter(u32 point, u64 interval, u32 severity, u64 now)
{
	struct mp_interval *gate;
	u64 next;

	if (!interval)
		return true;
	gate = bpf_map_lookup_elem(&intervals, &point);
	if (!gate)
		return false;
	next = gate->next_ns;
	if (now >= next &&
	    __sync_val_compare_and_swap(&gate->next_ns, next, now + interval) == next) {
		gate->severity = severity;
		return true;
	}
	return mp_severity_rose(gate, severity);
}

/*
 * An exit follows its entry, so that calls are shown whole; besides those, a
 * call that took longer than the interval, and one that raised the severity.
 */
static __always_inline bool mp_may_emit_exit(u32 point, u64 interval, u32 severity, u64 duration)
{
	struct mp_interval *gate;

	if (duration >= interval)
		return true;
	if (severity == MP_SEVERITY_NORMAL)
		return false;
	gate = bpf_map_lookup_elem(&intervals, &point);
	return gate && mp_severity_rose(gate, severity);
}

/*
 * A reader is woken at every record when those are few (rate-limited), or when
 * enough of them wait to make the wake-up worth its cost; in between it looks
 * by itself a few times a second.
 */
static __always_inline u64 mp_wake_flags(void *ring)
{
	if (!cfg.wake_bytes)
		return 0;
	if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= cfg.wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

#endif
