/* SPDX-License-Identifier: GPL-2.0-only */
/* What a probe record is filled with: registers, arguments, strings, the stack. */
#ifndef MP_RECORD_BPF_H
#define MP_RECORD_BPF_H

#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>
#include "arch.bpf.h"
#include "thread.bpf.h"
#include "emit.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_point_config);
} points SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mp_usdt_site);
} usdt_sites SEC(".maps");

/* What brought a hit about, which says what its registers hold. A constant of each program. */
enum mp_origin {
	MP_ORIGIN_CALL = 0, /* entry or return of the point's own function */
	MP_ORIGIN_USDT = 1,
	MP_ORIGIN_MARKER = 2, /* a function of libmemprobe that does nothing */
	MP_ORIGIN_WATCH = 3,  /* a hardware watchpoint, somewhere in an interpreter */
};

/* Whether the point's arguments and return value can be had. */
static __always_inline bool mp_has_values(u32 origin)
{
	return origin == MP_ORIGIN_CALL || origin == MP_ORIGIN_USDT;
}

/* Whether the instruction is the first of a function, so that its caller can be told. */
static __always_inline bool mp_is_at_start(u32 phase, u32 origin)
{
	return origin == MP_ORIGIN_MARKER || (origin == MP_ORIGIN_CALL && phase == MP_PHASE_ENTER);
}

static __always_inline u64 mp_register(const void *ctx, u16 offset)
{
	u64 value = 0;

	if (offset > sizeof(bpf_user_pt_regs_t) - sizeof(u64))
		return 0;
	bpf_probe_read_kernel(&value, sizeof(value), ctx + offset);
	return value;
}

static __always_inline u64 mp_usdt_narrow(u64 value, const struct mp_usdt_arg *arg)
{
	u32 shift = (64 - arg->bytes * 8) & 63;

	if (arg->is_signed)
		return (u64)((s64)(value << shift) >> shift);
	return value << shift >> shift;
}

static __always_inline u64 mp_usdt_value(const void *ctx, const struct mp_usdt_arg *arg)
{
	u64 value = mp_register(ctx, arg->reg);

	if (arg->kind == MP_USDT_CONST)
		return arg->value;
	if (arg->kind == MP_USDT_SIB)
		value += mp_register(ctx, arg->index_reg) * arg->scale;
	if (arg->kind != MP_USDT_REG)
		bpf_probe_read_user(&value, sizeof(value), (void *)(value + arg->value));
	return mp_usdt_narrow(value, arg);
}

/* Argument `i` of a point as it stands in the registers. */
static __noinline u64 mp_arg(bpf_user_pt_regs_t *ctx, u32 index, u32 i)
{
	const struct mp_point_config *point = bpf_map_lookup_elem(&points, &index);

	if (!ctx || !point || i >= MP_MAX_ARGS)
		return 0;
	return mp_register(ctx, point->arg_reg[i]);
}

static __noinline u64 mp_usdt_arg(bpf_user_pt_regs_t *ctx, u32 site, u32 i)
{
	const struct mp_usdt_site *args = bpf_map_lookup_elem(&usdt_sites, &site);

	if (!ctx || !args || i >= MP_MAX_ARGS)
		return 0;
	return mp_usdt_value(ctx, &args->args[i]);
}

/* Arguments are there on entry only; on return the registers hold other things. */
static __always_inline void mp_fill_args(bpf_user_pt_regs_t *ctx, struct mp_probe_record *r,
					 const struct mp_point_config *point, u32 origin)
{
	u32 site = bpf_get_attach_cookie(ctx) >> 32;

	r->n_args = 0;
	if (r->phase == MP_PHASE_EXIT)
		return;
	if (mp_has_values(origin))
		r->n_args = point->n_args;
	for (u32 i = 0; i < MP_MAX_ARGS; i++) {
		r->args[i] = 0;
		if (i < r->n_args)
			r->args[i] = origin == MP_ORIGIN_USDT ? mp_usdt_arg(ctx, site, i)
							      : mp_arg(ctx, r->point, i);
	}
}

static __always_inline void mp_fill(bpf_user_pt_regs_t *ctx, struct mp_probe_record *r,
				    const struct mp_thread *t, const struct mp_point_config *point,
				    u32 origin)
{
	u64 id = bpf_get_current_pid_tgid();

	r->level = point->level;
	r->flags = 0;
	r->pid = id >> 32;
	r->tid = (u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->ip = MP_REG_IP(ctx);
	r->cgroup_id = t->view.cgroup_id;
	r->limit_cgroup_id = t->view.limit_cgroup_id;
	for (int kind = 0; kind < MP_RSS_KINDS; kind++)
		r->rss[kind] = t->snap.rss[kind];
	r->usage = t->snap.usage;
	r->limit = t->view.limit;
	r->reclaimable = t->view.reclaimable;
	r->duration_ns = t->call.duration_ns;
	r->rss_delta = t->call.rss_delta;
	r->usage_delta = t->call.usage_delta;
	r->ret = MP_REG_RET(ctx);
	if (r->phase == MP_PHASE_EXIT && mp_has_values(origin) && point->flags & MP_POINT_HAS_RET)
		r->flags |= MP_PROBE_HAS_RET;
	if (r->phase == MP_PHASE_EXIT && t->call.matched)
		r->flags |= MP_PROBE_MATCHED;
	mp_fill_args(ctx, r, point, origin);
	if (origin != MP_ORIGIN_MARKER)
		return;
	r->flags |= MP_PROBE_BY_MARKER;
	r->args[0] = t->asked;
}

/* The reader of a stop is woken after it: see mp_gate_stop(). */
static __always_inline void mp_submit(struct mp_probe_record *r, const struct mp_thread *t)
{
	r->flags |= t->gate;
	bpf_ringbuf_submit(r,
			   t->gate == MP_PROBE_GATED ? BPF_RB_NO_WAKEUP : mp_wake_flags(&events));
}

static __always_inline bool mp_emit_small(bpf_user_pt_regs_t *ctx, const struct mp_thread *t,
					  const struct mp_point_config *point, u32 index, u32 phase,
					  u32 origin)
{
	struct mp_probe_record *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);

	if (!r)
		return false;
	mp_fill_header(&r->h, sizeof(*r), MP_RECORD_PROBE, t->now, lost_records);
	r->point = index;
	r->phase = phase;
	mp_fill(ctx, r, t, point, origin);
	mp_submit(r, t);
	return true;
}

/* The strings that a call was given, or the one that it returns. */
static __always_inline void mp_fill_strings(struct mp_probe_record_full *r,
					    const struct mp_point_config *point)
{
	bool is_exit = r->base.phase == MP_PHASE_EXIT;
	bool has_ret = r->base.flags & MP_PROBE_HAS_RET;

	for (u32 i = 0; i < MP_MAX_ARGS; i++) {
		u64 at = is_exit ? r->base.ret : r->base.args[i];
		bool wanted = is_exit ? i == 0 && has_ret && point->flags & MP_POINT_RET_STR
				      : i < r->base.n_args && point->arg_type[i] == MP_ARG_STR;

		r->str[i][0] = '\0';
		if (wanted && bpf_probe_read_user_str(r->str[i], MP_ARG_STR_LEN, (void *)at) < 0)
			r->str[i][0] = MP_STR_UNREADABLE;
	}
}

static __always_inline bool mp_emit_full(bpf_user_pt_regs_t *ctx, const struct mp_thread *t,
					 const struct mp_point_config *point, u32 index, u32 phase,
					 u32 origin, u32 want_stack)
{
	struct mp_probe_record_full *r = bpf_ringbuf_reserve(&events, sizeof(*r), 0);
	long bytes = 0;

	if (!r)
		return false;
	mp_fill_header(&r->base.h, sizeof(*r), MP_RECORD_PROBE, t->now, lost_records);
	r->base.point = index;
	r->base.phase = phase;
	mp_fill(ctx, &r->base, t, point, origin);
	r->base.flags |= MP_PROBE_HAS_TAIL;
	mp_fill_strings(r, point);
	r->pad = 0;
	r->caller = 0;
	if (want_stack) {
		bytes = bpf_get_stack(ctx, r->stack, sizeof(r->stack), BPF_F_USER_STACK);
		if (mp_is_at_start(phase, origin))
			r->caller = mp_reg_caller(ctx);
	}
	r->stack_bytes = bytes > 0 ? bytes : 0;
	mp_submit(&r->base, t);
	return true;
}

/* Puts out a record of what the thread's storage holds. Returns whether there was room. */
static __noinline int mp_put_out(bpf_user_pt_regs_t *ctx, u32 index, u32 phase, u32 origin,
				 u32 want_stack)
{
	struct mp_thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
	const struct mp_point_config *point = bpf_map_lookup_elem(&points, &index);

	if (!ctx || !t || !point)
		return 0;
	if (want_stack || (mp_has_values(origin) && point->flags & MP_POINT_HAS_STR))
		return mp_emit_full(ctx, t, point, index, phase, origin, want_stack);
	return mp_emit_small(ctx, t, point, index, phase, origin);
}

#endif
