/* SPDX-License-Identifier: GPL-2.0-only */
/* From the bytes of a kernel record to an event. Pure. */
#ifndef MP_SOURCE_DECODE_H
#define MP_SOURCE_DECODE_H

#include "base/event.h"
#include "config/points.h"

/* What a site event that came from the kernel side is about besides. */
struct mp_reached {
	size_t point;  /* index */
	uint32_t site; /* number of the marker that was passed */
	char name[MP_POINT_NAME_LEN];
};

/* An event with the memory it points into. Valid until the next decode into it. */
struct mp_decoded {
	struct mp_event event;
	uint64_t lost;		  /* records the ring had lost when this one was made */
	uint64_t cgroup_id;	  /* the task's own memory cgroup, 0: none */
	uint64_t limit_cgroup_id; /* 0: the host */
	uint64_t reclaimable;	  /* what BPF took for it, or MP_UNKNOWN */
	char comm[MP_COMM_LEN + 1];
	struct mp_event_arg args[MP_MAX_ARGS];
	struct mp_event_arg ret;
	char strings[MP_MAX_ARGS][MP_ARG_STR_LEN + 1];
	uint64_t stack[MP_STACK_DEPTH + 1];
	char by_comm[MP_COMM_LEN + 1];
	struct mp_in_flight in_flight;
	struct mp_reached reached;
};

/*
 * Decodes one record. A call that an OOM victim was inside of comes as an oom
 * event of its own, with the pid and that one call: mp_oom_add() puts them together. cgroup,
 * working_set, usage_pct and gate_deadline_ns stay unknown: they need what user space knows.
 * Returns 0, or -EBADMSG when the record is cut, of another version, or names a point, source
 * or severity that does not exist; -ENOENT when it is about a declared point whose record, in the
 * other ring, has not been taken yet.
 *
 * A point that a marker has hit for the first time comes as a site event, with what is known
 * of the marker in `reached`. It is to be given to mp_points_declare().
 */
int mp_decode(const void *data, size_t len, const struct mp_points *points, struct mp_decoded *ret);

/*
 * Of a group's usage what is not inactive file pages. Without a sample of those the raw usage is
 * the best there is.
 */
uint64_t mp_decode_working_set(uint64_t usage, uint64_t reclaimable);

#endif
