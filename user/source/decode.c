// SPDX-License-Identifier: GPL-2.0-only
#include "source/decode.h"

#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "lib/marker.h"

static const char *copy_comm(char out[MP_COMM_LEN + 1], const char comm[MP_COMM_LEN])
{
	memcpy(out, comm, MP_COMM_LEN);
	out[MP_COMM_LEN] = '\0';
	return out;
}

static const char *tail_string(struct mp_decoded *d, const struct mp_probe_record_full *full,
			       unsigned int i)
{
	if (!full || full->str[i][0] == MP_STR_UNREADABLE)
		return NULL;
	memcpy(d->strings[i], full->str[i], MP_ARG_STR_LEN);
	d->strings[i][MP_ARG_STR_LEN] = '\0';
	return d->strings[i];
}

/* A negative size asks for nothing that is known. */
static void decode_size(struct mp_event_probe *probe, size_t i)
{
	if (i >= probe->n_args)
		return;
	if (probe->args[i].type == MP_ARG_S64 && (int64_t)probe->args[i].value < 0)
		return;
	probe->size = probe->args[i].value;
}

static enum mp_gate gate_of(uint8_t flags)
{
	if (flags & MP_PROBE_GATED)
		return MP_GATE_HELD;
	return flags & MP_PROBE_WOULD_GATE ? MP_GATE_WOULD : MP_GATE_NONE;
}

static void decode_args(struct mp_decoded *d, const struct mp_probe_record *r,
			const struct mp_probe_record_full *full, const struct mp_point *point)
{
	struct mp_event_probe *probe = &d->event.probe;

	if (r->phase == MP_PHASE_EXIT)
		return;
	if (r->flags & MP_PROBE_BY_MARKER) {
		probe->size = r->args[0] ? r->args[0] : MP_UNKNOWN;
		return;
	}
	for (unsigned int i = 0; i < r->n_args && i < point->n_args; i++) {
		d->args[i] = (struct mp_event_arg){
			.name = point->args[i].name,
			.type = point->args[i].type,
			.value = r->args[i],
		};
		if (point->args[i].type == MP_ARG_STR)
			d->args[i].str = tail_string(d, full, i);
		probe->n_args = i + 1;
	}
	if (probe->n_args)
		probe->args = d->args;
	decode_size(probe, mp_point_size_arg(point));
}

static void decode_return(struct mp_decoded *d, const struct mp_probe_record *r,
			  const struct mp_probe_record_full *full, const struct mp_point *point)
{
	struct mp_event_probe *probe = &d->event.probe;

	if (r->flags & MP_PROBE_MATCHED) {
		probe->duration_ns = r->duration_ns;
		probe->rss_delta = r->rss_delta;
		if (r->usage != MP_UNKNOWN)
			probe->usage_delta = r->usage_delta;
	}
	if (!(r->flags & MP_PROBE_HAS_RET) || !point->has_ret)
		return;
	d->ret = (struct mp_event_arg){
		.name = point->ret_name, .type = point->ret_type, .value = r->ret};
	if (point->ret_type == MP_ARG_STR)
		d->ret.str = tail_string(d, full, 0);
	probe->ret = &d->ret;
}

/*
 * A stack taken at a function's entry lacks the caller where frame pointers
 * are followed, since the function has not made its frame yet.
 */
static void decode_stack(struct mp_decoded *d, const struct mp_probe_record_full *full)
{
	struct mp_event_probe *probe = &d->event.probe;
	size_t n = full->stack_bytes / sizeof(uint64_t);
	size_t out = 0;

	if (n > MP_STACK_DEPTH)
		n = MP_STACK_DEPTH;
	for (size_t i = 0; i < n; i++) {
		d->stack[out++] = full->stack[i];
		if (i == 0 && full->caller && (n < 2 || full->stack[1] != full->caller))
			d->stack[out++] = full->caller;
	}
	probe->n_stack = out;
	if (out)
		probe->stack = d->stack;
}

static uint64_t add_known(uint64_t a, uint64_t b)
{
	return a == MP_UNKNOWN || b == MP_UNKNOWN ? MP_UNKNOWN : a + b;
}

static uint64_t rss_total(const __u64 rss[MP_RSS_KINDS])
{
	return add_known(add_known(rss[MP_RSS_ANON], rss[MP_RSS_FILE]), rss[MP_RSS_SHMEM]);
}

static void decode_memory(struct mp_event_probe *probe, const struct mp_probe_record *r)
{
	probe->rss_anon = r->rss[MP_RSS_ANON];
	probe->rss_file = r->rss[MP_RSS_FILE];
	probe->rss_shmem = r->rss[MP_RSS_SHMEM];
	probe->rss = rss_total(r->rss);
	probe->swap = r->rss[MP_RSS_SWAP];
	probe->usage = r->usage;
	probe->limit = r->limit;
	probe->gate_deadline_ns = MP_UNKNOWN;
	probe->size = MP_UNKNOWN;
	probe->working_set = MP_UNKNOWN;
	probe->usage_pct = -1;
	probe->duration_ns = MP_UNKNOWN;
	probe->rss_delta = MP_UNKNOWN_DELTA;
	probe->usage_delta = MP_UNKNOWN_DELTA;
}

static bool is_declared(const struct mp_points *points, uint32_t index)
{
	return index >= points->n && index - points->n < MP_SPARE_POINTS;
}

static int decode_probe(const void *data, size_t len, const struct mp_points *points,
			struct mp_decoded *d)
{
	const struct mp_probe_record *r = data;
	const struct mp_probe_record_full *full = NULL;
	const struct mp_point *point;

	if (len < sizeof(*r) || r->phase >= MP_PHASE_COUNT || r->n_args > MP_MAX_ARGS)
		return -EBADMSG;
	point = mp_points_at(points, r->point);
	if (!point)
		return is_declared(points, r->point) ? -ENOENT : -EBADMSG;
	if (r->flags & MP_PROBE_HAS_TAIL) {
		if (len < sizeof(*full))
			return -EBADMSG;
		full = data;
	}
	copy_comm(d->comm, r->comm);
	d->event.type = MP_EVENT_PROBE;
	d->event.probe = (struct mp_event_probe){
		.point = point->name,
		.level = point->level,
		.phase = (enum mp_phase)r->phase,
		.pid = r->pid,
		.tid = r->tid,
		.comm = d->comm,
		.gate = gate_of(r->flags),
	};
	d->cgroup_id = r->cgroup_id;
	d->limit_cgroup_id = r->limit_cgroup_id;
	d->reclaimable = r->reclaimable;
	decode_memory(&d->event.probe, r);
	decode_args(d, r, full, point);
	if (r->phase == MP_PHASE_EXIT)
		decode_return(d, r, full, point);
	if (full)
		decode_stack(d, full);
	return 0;
}

static int decode_process(const void *data, size_t len, struct mp_decoded *d)
{
	const struct mp_process_record *r = data;

	if (len < sizeof(*r) || r->op < MP_PROCESS_FORK || r->op > MP_PROCESS_EXIT)
		return -EBADMSG;
	copy_comm(d->comm, r->comm);
	d->event.type = MP_EVENT_PROCESS;
	d->event.process = (struct mp_event_process){
		.op = (enum mp_process_op)r->op,
		.pid = r->pid,
		.parent = r->parent,
		.exit_code = r->exit_code,
		.comm = d->comm,
	};
	return 0;
}

/*
 * The name is what the process says. One that could not be read, is cut, or is not
 * what the id was made of could be taken for that of another point: its id is shown.
 */
static void reached_name(const struct mp_point_record *r, char out[MP_POINT_NAME_LEN])
{
	memcpy(out, r->name, MP_POINT_NAME_LEN);
	out[MP_POINT_NAME_LEN - 1] = '\0';
	if (!out[0] || memprobe_marker_id(out) != r->id)
		snprintf(out, MP_POINT_NAME_LEN, "id:%016llx", (unsigned long long)r->id);
}

static int decode_point(const void *data, size_t len, const struct mp_points *points,
			struct mp_decoded *d)
{
	const struct mp_point_record *r = data;
	const struct mp_point *point;

	if (len < sizeof(*r) || r->level >= MP_LEVEL_COUNT ||
	    (r->point >= points->n && !is_declared(points, r->point)))
		return -EBADMSG;
	d->reached.point = r->point;
	d->reached.site = r->site;
	reached_name(r, d->reached.name);
	point = mp_points_at(points, r->point);
	d->event.type = MP_EVENT_SITE;
	d->event.site = (struct mp_event_site){
		.point = point ? point->name : d->reached.name,
		.level = point ? point->level : (enum mp_level)r->level,
		.kind = r->flags & MP_DECLARED_PYTHON ? MP_SITE_PYTHON : MP_SITE_USDT,
		.offset = MP_UNKNOWN,
		.status = MP_SITE_ATTACHED,
	};
	return 0;
}

static int decode_oom(const void *data, size_t len, struct mp_decoded *d)
{
	const struct mp_oom_record *r = data;
	struct mp_event_oom *e = &d->event.oom;

	if (len < sizeof(*r))
		return -EBADMSG;
	d->event.type = MP_EVENT_OOM;
	*e = (struct mp_event_oom){
		.pid = r->pid,
		.comm = copy_comm(d->comm, r->comm),
		.is_target = r->is_target,
		.oom_score_adj =
			r->oom_score_adj == MP_UNKNOWN_ADJ ? MP_UNKNOWN_DELTA : r->oom_score_adj,
		.rss_anon = r->rss[MP_RSS_ANON],
		.rss_file = r->rss[MP_RSS_FILE],
		.rss_shmem = r->rss[MP_RSS_SHMEM],
		.rss = rss_total(r->rss),
		.swap = r->rss[MP_RSS_SWAP],
		.by_pid = r->by_pid,
		.by_comm = copy_comm(d->by_comm, r->by_comm),
	};
	d->cgroup_id = r->cgroup_id;
	/* Before 6.9 the kernel tells no more than the pid. */
	if (!d->comm[0])
		e->comm = NULL;
	return 0;
}

static int decode_in_flight(const void *data, size_t len, const struct mp_points *points,
			    struct mp_decoded *d)
{
	const struct mp_in_flight_record *r = data;
	const struct mp_point *point;

	if (len < sizeof(*r))
		return -EBADMSG;
	point = mp_points_at(points, r->point);
	if (!point)
		return -EBADMSG;
	d->in_flight = (struct mp_in_flight){
		.point = point->name,
		.tid = r->tid,
		.duration_ns = r->duration_ns,
		.rss_delta = r->rss_delta,
	};
	d->cgroup_id = 0;
	d->event.type = MP_EVENT_OOM;
	d->event.oom = (struct mp_event_oom){
		.pid = r->pid,
		.is_target = true,
		.oom_score_adj = MP_UNKNOWN_DELTA,
		.rss = MP_UNKNOWN,
		.rss_anon = MP_UNKNOWN,
		.rss_file = MP_UNKNOWN,
		.rss_shmem = MP_UNKNOWN,
		.swap = MP_UNKNOWN,
		.in_flight = &d->in_flight,
		.n_in_flight = 1,
	};
	return 0;
}

static void decode_reclaim(struct mp_event_pressure *e, const struct mp_pressure_record *r)
{
	e->window_ns = r->window_ns;
	e->stall_ns = r->stall_ns;
	e->reclaims = r->reclaims;
	e->reclaimed_pages = r->reclaimed_pages;
	if (!r->has_events)
		return;
	e->pgscan = r->events[MP_MEMCG_PGSCAN];
	e->pgsteal = r->events[MP_MEMCG_PGSTEAL];
	e->pgmajfault = r->events[MP_MEMCG_PGMAJFAULT];
}

static int decode_pressure(const void *data, size_t len, struct mp_decoded *d)
{
	const struct mp_pressure_record *r = data;
	struct mp_event_pressure *e = &d->event.pressure;

	if (len < sizeof(*r) || r->source >= MP_PRESSURE_SOURCE_COUNT ||
	    r->severity >= MP_SEVERITY_COUNT)
		return -EBADMSG;
	d->event.type = MP_EVENT_PRESSURE;
	*e = mp_event_pressure_blank((enum mp_pressure_source)r->source);
	e->pid = r->pid;
	e->comm = copy_comm(d->comm, r->comm);
	e->is_target = r->is_target;
	e->usage = r->usage;
	e->limit = r->limit;
	if (r->source != MP_PRESSURE_USAGE)
		decode_reclaim(e, r);
	d->cgroup_id = r->cgroup_id;
	d->limit_cgroup_id = r->limit_cgroup_id;
	d->reclaimable = r->reclaimable;
	return 0;
}

int mp_decode(const void *data, size_t len, const struct mp_points *points, struct mp_decoded *d)
{
	const struct mp_record_header *h = data;

	if (len < sizeof(*h) || h->size > len || h->version != MP_ABI_VERSION)
		return -EBADMSG;
	d->event = (struct mp_event){.ts_ns = h->ts_ns};
	d->lost = h->lost;
	switch (h->kind) {
	case MP_RECORD_PROBE:
		return decode_probe(data, h->size, points, d);
	case MP_RECORD_PROCESS:
		return decode_process(data, h->size, d);
	case MP_RECORD_OOM:
		return decode_oom(data, h->size, d);
	case MP_RECORD_IN_FLIGHT:
		return decode_in_flight(data, h->size, points, d);
	case MP_RECORD_PRESSURE:
		return decode_pressure(data, h->size, d);
	case MP_RECORD_POINT:
		return decode_point(data, h->size, points, d);
	default:
		return -EBADMSG;
	}
}

uint64_t mp_decode_working_set(uint64_t usage, uint64_t reclaimable)
{
	if (usage == MP_UNKNOWN || reclaimable == MP_UNKNOWN)
		return usage;
	return usage > reclaimable ? usage - reclaimable : 0;
}
