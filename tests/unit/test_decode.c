// SPDX-License-Identifier: GPL-2.0-only
/* Records as the kernel side writes them, and as it never should. */
#include "source/decode.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/marker.h"

static struct mp_point point_items[] = {
	{
		.name = (char *)"plain",
		.level = MP_LEVEL_LOW,
	},
	{
		.name = (char *)"args",
		.level = MP_LEVEL_CRITICAL,
		.args = {{1, (char *)"size", MP_ARG_U64},
			 {2, (char *)"delta", MP_ARG_S64},
			 {3, (char *)"path", MP_ARG_STR},
			 {4, (char *)"where", MP_ARG_PTR}},
		.n_args = 4,
		.has_ret = true,
		.ret_name = (char *)"result",
		.ret_type = MP_ARG_S64,
	},
	{
		.name = (char *)"text",
		.level = MP_LEVEL_HIGH,
		.has_ret = true,
		.ret_name = (char *)"name",
		.ret_type = MP_ARG_STR,
	},
};
enum {
	PLAIN = 0,
	ARGS,
	TEXT
};
enum {
	FIRST_DECLARED = MP_ARRAY_SIZE(point_items),
	DECLARED = FIRST_DECLARED + 5
};
static struct mp_point declared_items[MP_SPARE_POINTS] = {
	[DECLARED - FIRST_DECLARED] = {.name = (char *)"declared", .level = MP_LEVEL_HIGH}};
static const struct mp_points points = {
	.items = point_items, .n = FIRST_DECLARED, .declared = declared_items};

static struct mp_probe_record_full probe_record(uint32_t point, enum mp_phase phase)
{
	return (struct mp_probe_record_full){
		.base =
			{
				.h = {.size = sizeof(struct mp_probe_record),
				      .kind = MP_RECORD_PROBE,
				      .version = MP_ABI_VERSION,
				      .ts_ns = 123456789,
				      .lost = 7},
				.point = point,
				.phase = (uint8_t)phase,
				.level = MP_LEVEL_MEDIUM,
				.pid = 4242,
				.tid = 4243,
				.comm = "server",
				.ip = 0x401000,
				.cgroup_id = 11,
				.limit_cgroup_id = 12,
				.rss = {[MP_RSS_FILE] = 100,
					[MP_RSS_ANON] = 2000,
					[MP_RSS_SWAP] = 30,
					[MP_RSS_SHMEM] = 4},
				.usage = 5000,
				.limit = 10000,
				.reclaimable = 600,
				.duration_ns = 8000,
				.rss_delta = -4096,
				.usage_delta = 8192,
			},
	};
}

static void with_tail(struct mp_probe_record_full *r)
{
	r->base.h.size = sizeof(*r);
	r->base.flags |= MP_PROBE_HAS_TAIL;
}

/* Decodes from a buffer that ends where the record does, so that a read behind it is caught. */
static int decode_bytes(const void *record, size_t len, struct mp_decoded *ret)
{
	MP_FREE void *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, record, len);
	return mp_decode(copy, len, &points, ret);
}

static void decode(const struct mp_probe_record_full *r, struct mp_decoded *ret)
{
	/* What an earlier record has left must not show through. */
	memset(ret, 0xa5, sizeof(*ret));
	assert_int_equal(decode_bytes(r, r->base.h.size, ret), 0);
	assert_int_equal(ret->event.type, MP_EVENT_PROBE);
}

static void test_every_field(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_ENTER);
	struct mp_decoded d;
	const struct mp_event_probe *p = &d.event.probe;

	(void)state;
	decode(&r, &d);
	assert_int_equal(d.event.ts_ns, 123456789);
	assert_int_equal(d.event.realtime_ns, 0);
	assert_int_equal(d.lost, 7);
	assert_int_equal(d.cgroup_id, 11);
	assert_int_equal(d.limit_cgroup_id, 12);
	assert_int_equal(d.reclaimable, 600);
	assert_string_equal(p->point, "plain");
	/* The point's, whatever the record says. */
	assert_int_equal(p->level, MP_LEVEL_LOW);
	assert_int_equal(p->phase, MP_PHASE_ENTER);
	assert_int_equal(p->pid, 4242);
	assert_int_equal(p->tid, 4243);
	assert_string_equal(p->comm, "server");
	assert_null(p->cgroup);
	assert_int_equal(p->rss, 2104);
	assert_int_equal(p->rss_anon, 2000);
	assert_int_equal(p->rss_file, 100);
	assert_int_equal(p->rss_shmem, 4);
	assert_int_equal(p->swap, 30);
	assert_int_equal(p->usage, 5000);
	assert_int_equal(p->limit, 10000);
	assert_true(p->working_set == MP_UNKNOWN);
	assert_true(p->usage_pct < 0);
	assert_true(p->duration_ns == MP_UNKNOWN);
	assert_true(p->rss_delta == MP_UNKNOWN_DELTA);
	assert_true(p->usage_delta == MP_UNKNOWN_DELTA);
	assert_null(p->args);
	assert_null(p->ret);
	assert_null(p->stack);
	assert_null(p->stack_text);
	assert_null(p->limit_cgroup);
	assert_int_equal(p->gate, MP_GATE_NONE);
	assert_true(p->gate_deadline_ns == MP_UNKNOWN);
	assert_true(p->size == MP_UNKNOWN);
	assert_int_equal(p->n_args, 0);
	assert_int_equal(p->n_stack, 0);
}

static void test_comm_without_end(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	memcpy(r.base.comm,
	       "\x1b[31m\n\xff"
	       "123456789",
	       MP_COMM_LEN);
	decode(&r, &d);
	assert_int_equal(strlen(d.event.probe.comm), MP_COMM_LEN);
	assert_memory_equal(d.event.probe.comm, r.base.comm, MP_COMM_LEN);
}

static void test_unknown_sizes(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_EXIT);
	struct mp_decoded d;
	const struct mp_event_probe *p = &d.event.probe;

	(void)state;
	r.base.flags = MP_PROBE_MATCHED;
	r.base.usage = MP_UNKNOWN;
	r.base.limit = MP_UNKNOWN;
	r.base.reclaimable = MP_UNKNOWN;
	for (size_t i = 0; i < MP_RSS_KINDS; i++)
		r.base.rss[i] = MP_UNKNOWN;
	decode(&r, &d);
	assert_true(p->usage == MP_UNKNOWN);
	assert_true(p->limit == MP_UNKNOWN);
	assert_true(d.reclaimable == MP_UNKNOWN);
	assert_true(p->rss_anon == MP_UNKNOWN);
	assert_true(p->swap == MP_UNKNOWN);
	/* A sum with an unknown part is unknown; so is the change of an unknown figure. */
	assert_true(p->rss == MP_UNKNOWN);
	assert_true(p->usage_delta == MP_UNKNOWN_DELTA);
	assert_int_equal(p->rss_delta, -4096);
	r.base.rss[MP_RSS_ANON] = 1;
	r.base.rss[MP_RSS_FILE] = 2;
	decode(&r, &d);
	assert_true(p->rss == MP_UNKNOWN);
}

static void test_arguments(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;
	const struct mp_event_probe *p = &d.event.probe;

	(void)state;
	with_tail(&r);
	r.base.n_args = 4;
	r.base.args[0] = UINT64_MAX;
	r.base.args[1] = (uint64_t)-5;
	r.base.args[2] = 0x7fff0000;
	r.base.args[3] = 0xdeadbeef;
	strcpy(r.str[2], "/models/a\n\x1b[0m.gguf");
	decode(&r, &d);
	assert_string_equal(p->point, "args");
	assert_int_equal(p->n_args, 4);
	assert_string_equal(p->args[0].name, "size");
	assert_int_equal(p->args[0].type, MP_ARG_U64);
	assert_true(p->args[0].value == UINT64_MAX);
	assert_null(p->args[0].str);
	assert_int_equal(p->args[1].type, MP_ARG_S64);
	assert_int_equal((int64_t)p->args[1].value, -5);
	assert_int_equal(p->args[2].type, MP_ARG_STR);
	assert_string_equal(p->args[2].str, "/models/a\n\x1b[0m.gguf");
	assert_int_equal(p->args[3].type, MP_ARG_PTR);
	assert_int_equal(p->args[3].value, 0xdeadbeef);
	assert_string_equal(p->args[3].name, "where");
	assert_null(p->ret);
	r.base.phase = MP_PHASE_CHECK;
	decode(&r, &d);
	assert_int_equal(p->phase, MP_PHASE_CHECK);
	assert_int_equal(p->n_args, 4);
}

static void test_fewer_or_more_arguments(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	r.base.n_args = 2;
	decode(&r, &d);
	assert_int_equal(d.event.probe.n_args, 2);
	r.base.n_args = MP_MAX_ARGS;
	decode(&r, &d);
	assert_int_equal(d.event.probe.n_args, 4);
	/* A string needs the tail. */
	assert_int_equal(d.event.probe.args[2].type, MP_ARG_STR);
	assert_null(d.event.probe.args[2].str);
	r.base.point = PLAIN;
	decode(&r, &d);
	assert_int_equal(d.event.probe.n_args, 0);
	assert_null(d.event.probe.args);
	r.base.point = ARGS;
	r.base.phase = MP_PHASE_EXIT;
	decode(&r, &d);
	assert_int_equal(d.event.probe.n_args, 0);
	r.base.n_args = MP_MAX_ARGS + 1;
	assert_int_equal(decode_bytes(&r, sizeof(r.base), &d), -EBADMSG);
}

static void test_strings(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	with_tail(&r);
	r.base.n_args = 4;
	decode(&r, &d);
	assert_string_equal(d.event.probe.args[2].str, "");
	r.str[2][0] = MP_STR_UNREADABLE;
	strcpy(r.str[2] + 1, "left over");
	decode(&r, &d);
	assert_null(d.event.probe.args[2].str);
	memset(r.str[2], 'x', MP_ARG_STR_LEN);
	decode(&r, &d);
	assert_int_equal(strlen(d.event.probe.args[2].str), MP_ARG_STR_LEN);
}

static void test_exit(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_EXIT);
	struct mp_decoded d;
	const struct mp_event_probe *p = &d.event.probe;

	(void)state;
	r.base.ret = (uint64_t)-1;
	decode(&r, &d);
	/* Its entry was not seen: what the record holds is left over. */
	assert_true(p->duration_ns == MP_UNKNOWN);
	assert_true(p->rss_delta == MP_UNKNOWN_DELTA);
	assert_null(p->ret);
	r.base.flags = MP_PROBE_MATCHED | MP_PROBE_HAS_RET;
	decode(&r, &d);
	assert_int_equal(p->duration_ns, 8000);
	assert_int_equal(p->rss_delta, -4096);
	assert_int_equal(p->usage_delta, 8192);
	assert_non_null(p->ret);
	assert_string_equal(p->ret->name, "result");
	assert_int_equal(p->ret->type, MP_ARG_S64);
	assert_true(p->ret->value == UINT64_MAX);
	assert_null(p->ret->str);
	r.base.phase = MP_PHASE_ENTER;
	decode(&r, &d);
	assert_null(p->ret);
	assert_true(p->duration_ns == MP_UNKNOWN);
	r.base.phase = MP_PHASE_EXIT;
	r.base.point = PLAIN;
	decode(&r, &d);
	assert_null(p->ret);
}

static void test_returned_string(void **state)
{
	struct mp_probe_record_full r = probe_record(TEXT, MP_PHASE_EXIT);
	struct mp_decoded d;

	(void)state;
	r.base.flags = MP_PROBE_HAS_RET;
	decode(&r, &d);
	assert_string_equal(d.event.probe.ret->name, "name");
	assert_null(d.event.probe.ret->str);
	with_tail(&r);
	strcpy(r.str[0], "llama");
	decode(&r, &d);
	assert_string_equal(d.event.probe.ret->str, "llama");
	r.str[0][0] = MP_STR_UNREADABLE;
	decode(&r, &d);
	assert_null(d.event.probe.ret->str);
}

static void check_stack(const struct mp_probe_record_full *r, size_t n, const uint64_t *expected)
{
	struct mp_decoded d;

	decode(r, &d);
	assert_int_equal(d.event.probe.n_stack, n);
	if (n == 0) {
		assert_null(d.event.probe.stack);
		return;
	}
	assert_memory_equal(d.event.probe.stack, expected, n * sizeof(*expected));
}

static void test_stack(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_ENTER);

	(void)state;
	with_tail(&r);
	check_stack(&r, 0, NULL);
	r.caller = 2;
	check_stack(&r, 0, NULL);
	r.stack[0] = 1;
	r.stack[1] = 3;
	r.stack[2] = 4;
	r.stack_bytes = 3 * sizeof(uint64_t);
	/* The unwinder has missed the caller: it goes behind the function itself. */
	check_stack(&r, 4, (const uint64_t[]){1, 2, 3, 4});
	r.caller = 3;
	check_stack(&r, 3, (const uint64_t[]){1, 3, 4});
	r.caller = 0;
	check_stack(&r, 3, (const uint64_t[]){1, 3, 4});
	r.stack_bytes = sizeof(uint64_t);
	r.caller = 3; /* stack[1] is not part of the stack */
	check_stack(&r, 2, (const uint64_t[]){1, 3});
	r.stack_bytes = 2 * sizeof(uint64_t) - 1;
	r.caller = 0;
	check_stack(&r, 1, (const uint64_t[]){1});
}

static void test_deepest_stack(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_ENTER);
	uint64_t expected[MP_STACK_DEPTH + 1] = {100, 99};

	(void)state;
	with_tail(&r);
	for (uint64_t i = 0; i < MP_STACK_DEPTH; i++)
		r.stack[i] = 100 + i;
	for (size_t i = 2; i <= MP_STACK_DEPTH; i++)
		expected[i] = 99 + i;
	r.caller = 99;
	r.stack_bytes = sizeof(r.stack);
	check_stack(&r, MP_STACK_DEPTH + 1, expected);
	r.stack_bytes = UINT32_MAX;
	check_stack(&r, MP_STACK_DEPTH + 1, expected);
}

static struct mp_process_record process_record(uint32_t op)
{
	return (struct mp_process_record){
		.h = {.size = sizeof(struct mp_process_record),
		      .kind = MP_RECORD_PROCESS,
		      .version = MP_ABI_VERSION,
		      .ts_ns = 5,
		      .lost = 1},
		.op = op,
		.pid = 10,
		.parent = 9,
		.exit_code = 0x8b,
		.comm = "worker",
	};
}

static void test_process(void **state)
{
	struct mp_process_record r = process_record(MP_PROCESS_FORK);
	struct mp_decoded d;
	const struct mp_event_process *p = &d.event.process;

	(void)state;
	for (uint32_t op = MP_PROCESS_FORK; op <= MP_PROCESS_EXIT; op++) {
		r.op = op;
		memset(&d, 0xa5, sizeof(d));
		assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
		assert_int_equal(d.event.type, MP_EVENT_PROCESS);
		assert_int_equal(d.event.ts_ns, 5);
		assert_int_equal(d.lost, 1);
		assert_int_equal(p->op, op);
		assert_int_equal(p->pid, 10);
		assert_int_equal(p->parent, 9);
		assert_int_equal(p->exit_code, 0x8b);
		assert_string_equal(p->comm, "worker");
	}
	r.op = 0;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.op = MP_PROCESS_EXIT + 1;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
}

static struct mp_oom_record oom_record(void)
{
	return (struct mp_oom_record){
		.h = {.size = sizeof(struct mp_oom_record),
		      .kind = MP_RECORD_OOM,
		      .version = MP_ABI_VERSION,
		      .ts_ns = 77,
		      .lost = 3},
		.pid = 10,
		.is_target = 1,
		.by_pid = 9,
		.oom_score_adj = -998,
		.comm = "eater",
		.by_comm = "asker",
		.cgroup_id = 0x100000002a,
		.rss = {[MP_RSS_FILE] = 100,
			[MP_RSS_ANON] = 2000,
			[MP_RSS_SWAP] = 30,
			[MP_RSS_SHMEM] = 4},
	};
}

static void decode_oom(const struct mp_oom_record *r, struct mp_decoded *ret)
{
	memset(ret, 0xa5, sizeof(*ret));
	assert_int_equal(decode_bytes(r, sizeof(*r), ret), 0);
	assert_int_equal(ret->event.type, MP_EVENT_OOM);
	assert_int_equal(ret->event.oom.n_in_flight, 0);
	assert_null(ret->event.oom.in_flight);
	/* Found by its id, by whom the event goes to. */
	assert_null(ret->event.oom.cgroup);
}

static void test_oom(void **state)
{
	struct mp_oom_record r = oom_record();
	struct mp_decoded d;
	const struct mp_event_oom *e = &d.event.oom;

	(void)state;
	decode_oom(&r, &d);
	assert_int_equal(d.event.ts_ns, 77);
	assert_int_equal(d.event.realtime_ns, 0);
	assert_int_equal(d.lost, 3);
	assert_true(d.cgroup_id == 0x100000002a);
	assert_int_equal(e->pid, 10);
	assert_true(e->is_target);
	assert_int_equal(e->by_pid, 9);
	assert_int_equal(e->oom_score_adj, -998);
	assert_string_equal(e->comm, "eater");
	assert_string_equal(e->by_comm, "asker");
	assert_int_equal(e->rss, 2104);
	assert_int_equal(e->rss_anon, 2000);
	assert_int_equal(e->rss_file, 100);
	assert_int_equal(e->rss_shmem, 4);
	assert_int_equal(e->swap, 30);
	r.is_target = 0;
	memcpy(r.comm, "\x1b[31m\n\xff\"\\2345678", MP_COMM_LEN);
	memcpy(r.by_comm, "fedcba9876543210", MP_COMM_LEN);
	decode_oom(&r, &d);
	assert_false(e->is_target);
	assert_int_equal(strlen(e->comm), MP_COMM_LEN);
	assert_memory_equal(e->comm, r.comm, MP_COMM_LEN);
	assert_string_equal(e->by_comm, "fedcba9876543210");
}

/* Kernels before 6.9 tell the pid alone. */
static void test_oom_of_whom_little_is_known(void **state)
{
	struct mp_oom_record r = oom_record();
	struct mp_decoded d;
	const struct mp_event_oom *e = &d.event.oom;

	(void)state;
	memset(r.comm, 0, sizeof(r.comm));
	r.oom_score_adj = MP_UNKNOWN_ADJ;
	r.cgroup_id = 0;
	for (size_t i = 0; i < MP_RSS_KINDS; i++)
		r.rss[i] = MP_UNKNOWN;
	decode_oom(&r, &d);
	assert_int_equal(e->pid, 10);
	assert_null(e->comm);
	assert_string_equal(e->by_comm, "asker");
	assert_true(e->oom_score_adj == MP_UNKNOWN_DELTA);
	assert_int_equal(d.cgroup_id, 0);
	assert_true(e->rss == MP_UNKNOWN);
	assert_true(e->rss_anon == MP_UNKNOWN);
	assert_true(e->rss_file == MP_UNKNOWN);
	assert_true(e->rss_shmem == MP_UNKNOWN);
	assert_true(e->swap == MP_UNKNOWN);
	r.rss[MP_RSS_ANON] = 1;
	r.rss[MP_RSS_FILE] = 2;
	decode_oom(&r, &d);
	assert_int_equal(e->rss_anon, 1);
	assert_true(e->rss == MP_UNKNOWN);
}

static struct mp_in_flight_record in_flight_record(uint32_t point)
{
	return (struct mp_in_flight_record){
		.h = {.size = sizeof(struct mp_in_flight_record),
		      .kind = MP_RECORD_IN_FLIGHT,
		      .version = MP_ABI_VERSION,
		      .ts_ns = 78,
		      .lost = 4},
		.pid = 10,
		.tid = 12,
		.point = point,
		.duration_ns = 3200000000,
		.rss_delta = -4096,
	};
}

static void test_in_flight(void **state)
{
	struct mp_in_flight_record r = in_flight_record(ARGS);
	struct mp_decoded d;
	const struct mp_event_oom *e = &d.event.oom;

	(void)state;
	memset(&d, 0xa5, sizeof(d));
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
	assert_int_equal(d.event.type, MP_EVENT_OOM);
	assert_int_equal(d.event.ts_ns, 78);
	assert_int_equal(d.lost, 4);
	assert_int_equal(d.cgroup_id, 0);
	assert_int_equal(e->pid, 10);
	assert_true(e->is_target);
	assert_int_equal(e->n_in_flight, 1);
	assert_string_equal(e->in_flight[0].point, "args");
	assert_int_equal(e->in_flight[0].tid, 12);
	assert_int_equal(e->in_flight[0].duration_ns, 3200000000);
	assert_int_equal(e->in_flight[0].rss_delta, -4096);
	/* Of the victim itself it says nothing. */
	assert_null(e->comm);
	assert_null(e->by_comm);
	assert_true(e->oom_score_adj == MP_UNKNOWN_DELTA);
	assert_true(e->rss == MP_UNKNOWN);
	assert_true(e->rss_anon == MP_UNKNOWN);
	assert_true(e->rss_file == MP_UNKNOWN);
	assert_true(e->rss_shmem == MP_UNKNOWN);
	assert_true(e->swap == MP_UNKNOWN);
	r.rss_delta = MP_UNKNOWN_DELTA;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
	assert_true(e->in_flight[0].rss_delta == MP_UNKNOWN_DELTA);
}

static void test_in_flight_of_no_point(void **state)
{
	struct mp_in_flight_record r = in_flight_record((uint32_t)points.n);
	struct mp_decoded d;

	(void)state;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.point = UINT32_MAX;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.point = (uint32_t)points.n - 1;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
	assert_string_equal(d.event.oom.in_flight[0].point, "text");
}

static struct mp_pressure_record pressure_record(enum mp_pressure_source source)
{
	return (struct mp_pressure_record){
		.h = {.size = sizeof(struct mp_pressure_record),
		      .kind = MP_RECORD_PRESSURE,
		      .version = MP_ABI_VERSION,
		      .ts_ns = 79,
		      .lost = 5},
		.pid = 10,
		.tid = 12,
		.comm = "filler",
		.source = (uint8_t)source,
		.severity = MP_SEVERITY_CRITICAL,
		.is_target = 1,
		.has_events = 1,
		.reclaims = 3,
		.cgroup_id = 21,
		.limit_cgroup_id = 22,
		.usage = 9000,
		.limit = 10000,
		.reclaimable = 500,
		.window_ns = 20000000,
		.stall_ns = 30000000,
		.reclaimed_pages = 64,
		.events = {[MP_MEMCG_PGSCAN] = 100,
			   [MP_MEMCG_PGSTEAL] = 64,
			   [MP_MEMCG_PGMAJFAULT] = 7},
	};
}

/* Also what is of no such record, which must read as unknown. */
static void decode_pressure(const struct mp_pressure_record *r, struct mp_decoded *ret)
{
	const struct mp_event_pressure *e = &ret->event.pressure;

	memset(ret, 0xa5, sizeof(*ret));
	assert_int_equal(decode_bytes(r, sizeof(*r), ret), 0);
	assert_int_equal(ret->event.type, MP_EVENT_PRESSURE);
	assert_int_equal(e->source, r->source);
	assert_null(e->cgroup);
	assert_null(e->v1_level);
	assert_true(e->working_set == MP_UNKNOWN);
	assert_true(e->usage_pct < 0 && e->some_pct < 0 && e->full_pct < 0);
	assert_true(e->low == MP_UNKNOWN && e->high == MP_UNKNOWN && e->max == MP_UNKNOWN);
	assert_true(e->oom == MP_UNKNOWN && e->oom_kill == MP_UNKNOWN);
	assert_int_equal(e->incident, 0);
	assert_false(e->repeated);
}

static void test_pressure(void **state)
{
	struct mp_pressure_record r = pressure_record(MP_PRESSURE_RECLAIM);
	struct mp_decoded d;
	const struct mp_event_pressure *e = &d.event.pressure;

	(void)state;
	decode_pressure(&r, &d);
	assert_int_equal(d.event.ts_ns, 79);
	assert_int_equal(d.lost, 5);
	assert_int_equal(d.cgroup_id, 21);
	assert_int_equal(d.limit_cgroup_id, 22);
	assert_int_equal(d.reclaimable, 500);
	assert_int_equal(e->pid, 10);
	assert_string_equal(e->comm, "filler");
	assert_true(e->is_target);
	assert_int_equal(e->usage, 9000);
	assert_int_equal(e->limit, 10000);
	assert_int_equal(e->window_ns, 20000000);
	assert_int_equal(e->stall_ns, 30000000);
	assert_int_equal(e->reclaims, 3);
	assert_int_equal(e->reclaimed_pages, 64);
	assert_int_equal(e->pgscan, 100);
	assert_int_equal(e->pgsteal, 64);
	assert_int_equal(e->pgmajfault, 7);
	r.source = MP_PRESSURE_DIRECT_RECLAIM;
	r.is_target = 0;
	r.has_events = 0;
	r.window_ns = MP_UNKNOWN;
	memcpy(r.comm, "\x1b[31m\n\xff\"\\2345678", MP_COMM_LEN);
	decode_pressure(&r, &d);
	assert_false(e->is_target);
	assert_memory_equal(e->comm, r.comm, MP_COMM_LEN);
	assert_int_equal(strlen(e->comm), MP_COMM_LEN);
	assert_true(e->window_ns == MP_UNKNOWN);
	assert_int_equal(e->reclaims, 3);
	assert_true(e->pgscan == MP_UNKNOWN && e->pgsteal == MP_UNKNOWN);
	assert_true(e->pgmajfault == MP_UNKNOWN);
}

/* Usage alone: nothing was reclaimed, as far as that record knows. */
static void test_pressure_of_usage(void **state)
{
	struct mp_pressure_record r = pressure_record(MP_PRESSURE_USAGE);
	struct mp_decoded d;
	const struct mp_event_pressure *e = &d.event.pressure;

	(void)state;
	decode_pressure(&r, &d);
	assert_int_equal(e->usage, 9000);
	assert_true(e->window_ns == MP_UNKNOWN && e->stall_ns == MP_UNKNOWN);
	assert_true(e->reclaims == MP_UNKNOWN && e->reclaimed_pages == MP_UNKNOWN);
	assert_true(e->pgscan == MP_UNKNOWN);
}

static void test_pressure_out_of_range(void **state)
{
	struct mp_pressure_record r = pressure_record(MP_PRESSURE_RECLAIM);
	struct mp_decoded d;

	(void)state;
	r.source = MP_PRESSURE_SOURCE_COUNT;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.source = UINT8_MAX;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r = pressure_record(MP_PRESSURE_RECLAIM);
	r.severity = MP_SEVERITY_COUNT;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.severity = MP_SEVERITY_NORMAL;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
}

static void test_gate(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	r.base.flags = MP_PROBE_WOULD_GATE;
	decode(&r, &d);
	assert_int_equal(d.event.probe.gate, MP_GATE_WOULD);
	r.base.flags = MP_PROBE_GATED;
	decode(&r, &d);
	assert_int_equal(d.event.probe.gate, MP_GATE_HELD);
	r.base.flags = MP_PROBE_GATED | MP_PROBE_WOULD_GATE;
	decode(&r, &d);
	assert_int_equal(d.event.probe.gate, MP_GATE_HELD);
	/* Until when is the monitor's to say. */
	assert_true(d.event.probe.gate_deadline_ns == MP_UNKNOWN);
}

static void test_size_asked_for(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	r.base.n_args = 4;
	r.base.args[0] = 4096;
	r.base.args[1] = 1;
	decode(&r, &d);
	assert_int_equal(d.event.probe.size, 4096);
	/* Not among the values: the record has fewer than the point. */
	r.base.n_args = 0;
	decode(&r, &d);
	assert_true(d.event.probe.size == MP_UNKNOWN);
	r.base.n_args = 4;
	r.base.phase = MP_PHASE_EXIT;
	decode(&r, &d);
	assert_true(d.event.probe.size == MP_UNKNOWN);
	r.base.phase = MP_PHASE_ENTER;
	r.base.args[0] = (uint64_t)-1;
	point_items[ARGS].args[0].type = MP_ARG_S64;
	decode(&r, &d);
	assert_true(d.event.probe.size == MP_UNKNOWN);
	r.base.args[0] = INT64_MAX;
	decode(&r, &d);
	assert_int_equal(d.event.probe.size, INT64_MAX);
	point_items[ARGS].args[0].type = MP_ARG_U64;
}

/* Both by the bytes there are and by the size that the record claims. */
static void check_cuts(const void *record, size_t whole)
{
	MP_FREE uint8_t *copy = malloc(whole);
	struct mp_decoded d;

	assert_non_null(copy);
	memcpy(copy, record, whole);
	for (size_t len = 0; len < whole; len++) {
		uint32_t size = (uint32_t)len;

		assert_int_equal(decode_bytes(record, len, &d), -EBADMSG);
		memcpy(copy + offsetof(struct mp_record_header, size), &size, sizeof(size));
		assert_int_equal(decode_bytes(copy, whole, &d), -EBADMSG);
		if (len >= sizeof(struct mp_record_header))
			assert_int_equal(decode_bytes(copy, len, &d), -EBADMSG);
	}
	assert_int_equal(decode_bytes(record, whole, &d), 0);
}

/* --- points by markers --------------------------------------------------------- */

static struct mp_point_record point_record(uint32_t point, const char *name)
{
	struct mp_point_record r = {.h = {.size = sizeof(r),
					  .kind = MP_RECORD_POINT,
					  .version = MP_ABI_VERSION,
					  .ts_ns = 77},
				    .point = point,
				    .site = 4,
				    .id = memprobe_marker_id(name),
				    .pid = 4242,
				    .level = MP_LEVEL_CRITICAL};

	/* What an earlier record has left behind the name's end must not show through. */
	memset(r.name, 'x', sizeof(r.name));
	memcpy(r.name, name, strnlen(name, sizeof(r.name) - 1) + 1);
	return r;
}

static void decode_point(const struct mp_point_record *r, struct mp_decoded *ret)
{
	memset(ret, 0xa5, sizeof(*ret));
	assert_int_equal(decode_bytes(r, sizeof(*r), ret), 0);
	assert_int_equal(ret->event.type, MP_EVENT_SITE);
	assert_int_equal(ret->event.site.status, MP_SITE_ATTACHED);
}

static void test_point_that_a_program_declares(void **state)
{
	struct mp_point_record r = point_record(FIRST_DECLARED, "cache.fill");
	struct mp_decoded d;

	(void)state;
	decode_point(&r, &d);
	assert_int_equal(d.event.ts_ns, 77);
	assert_int_equal(d.reached.point, FIRST_DECLARED);
	assert_int_equal(d.reached.site, 4);
	assert_string_equal(d.reached.name, "cache.fill");
	assert_string_equal(d.event.site.point, "cache.fill");
	assert_int_equal(d.event.site.level, MP_LEVEL_CRITICAL);
	assert_int_equal(d.event.site.kind, MP_SITE_USDT);
	r.flags = MP_DECLARED_PYTHON | 0x40;
	decode_point(&r, &d);
	assert_int_equal(d.event.site.kind, MP_SITE_PYTHON);
}

/* The configured level wins. */
static void test_point_that_is_known(void **state)
{
	struct mp_point_record r = point_record(PLAIN, "plain");
	struct mp_decoded d;

	(void)state;
	decode_point(&r, &d);
	assert_string_equal(d.event.site.point, "plain");
	assert_int_equal(d.event.site.level, MP_LEVEL_LOW);
	r = point_record(DECLARED, "declared");
	decode_point(&r, &d);
	assert_string_equal(d.event.site.point, "declared");
	assert_int_equal(d.event.site.level, MP_LEVEL_HIGH);
}

static void check_named(const struct mp_point_record *r, const char *expected)
{
	struct mp_decoded d;

	decode_point(r, &d);
	assert_string_equal(d.reached.name, expected);
	assert_string_equal(d.event.site.point, expected);
}

/* A name that is not what the id was made of could be taken for another point's. */
static void test_names_that_are_not_believed(void **state)
{
	struct mp_point_record r = point_record(FIRST_DECLARED, "new\nline \033[31m \xff");

	(void)state;
	check_named(&r, "new\nline \033[31m \xff");
	r = point_record(FIRST_DECLARED, "args");
	r.id = 0x1234;
	check_named(&r, "id:0000000000001234");
	r = point_record(FIRST_DECLARED, "");
	check_named(&r, "id:cbf29ce484222325");
	r = point_record(FIRST_DECLARED, "whole");
	memset(r.name, 'y', sizeof(r.name)); /* no end: as long as one can be, and not it */
	r.id = UINT64_MAX;
	check_named(&r, "id:ffffffffffffffff");
}

static void test_longest_name(void **state)
{
	char name[MP_POINT_NAME_LEN];
	struct mp_point_record r;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	r = point_record(FIRST_DECLARED, name);
	check_named(&r, name);
}

static void test_points_out_of_range(void **state)
{
	struct mp_point_record r = point_record(FIRST_DECLARED + MP_SPARE_POINTS, "far");
	struct mp_decoded d;

	(void)state;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r.point = UINT32_MAX;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
	r = point_record(FIRST_DECLARED + MP_SPARE_POINTS - 1, "last");
	decode_point(&r, &d);
	r.level = MP_LEVEL_COUNT;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
}

/* Its name is still on its way: not an error, but not now. */
static void test_record_before_its_points(void **state)
{
	struct mp_probe_record_full r = probe_record(DECLARED, MP_PHASE_ENTER);
	struct mp_in_flight_record call = in_flight_record(FIRST_DECLARED);
	struct mp_decoded d;

	(void)state;
	decode(&r, &d);
	assert_string_equal(d.event.probe.point, "declared");
	assert_int_equal(d.event.probe.level, MP_LEVEL_HIGH);
	r.base.point = FIRST_DECLARED;
	assert_int_equal(decode_bytes(&r, sizeof(r.base), &d), -ENOENT);
	r.base.point = FIRST_DECLARED + MP_SPARE_POINTS;
	assert_int_equal(decode_bytes(&r, sizeof(r.base), &d), -EBADMSG);
	/* These come through the same ring as the names. */
	assert_int_equal(decode_bytes(&call, sizeof(call), &d), -EBADMSG);
	call.point = DECLARED;
	assert_int_equal(decode_bytes(&call, sizeof(call), &d), 0);
	assert_string_equal(d.event.oom.in_flight[0].point, "declared");
}

/* The point's own arguments are elsewhere; a marker's call says what it asks for. */
static void test_call_by_a_marker(void **state)
{
	struct mp_probe_record_full r = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	r.base.flags = MP_PROBE_BY_MARKER | MP_PROBE_WOULD_GATE;
	r.base.args[0] = 123456;
	r.base.n_args = 4;
	decode(&r, &d);
	assert_int_equal(d.event.probe.size, 123456);
	assert_int_equal(d.event.probe.n_args, 0);
	assert_null(d.event.probe.args);
	assert_int_equal(d.event.probe.gate, MP_GATE_WOULD);
	r.base.args[0] = 0;
	decode(&r, &d);
	assert_true(d.event.probe.size == MP_UNKNOWN);
	r.base.phase = MP_PHASE_EXIT;
	r.base.flags = MP_PROBE_BY_MARKER | MP_PROBE_MATCHED;
	decode(&r, &d);
	assert_int_equal(d.event.probe.duration_ns, 8000);
	assert_null(d.event.probe.ret);
}

static void test_cut_at_every_length(void **state)
{
	struct mp_probe_record_full small = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_probe_record_full full = probe_record(ARGS, MP_PHASE_ENTER);
	struct mp_process_record process = process_record(MP_PROCESS_EXEC);
	struct mp_oom_record oom = oom_record();
	struct mp_in_flight_record in_flight = in_flight_record(PLAIN);
	struct mp_pressure_record pressure = pressure_record(MP_PRESSURE_RECLAIM);
	struct mp_point_record point = point_record(DECLARED, "cache.fill");

	(void)state;
	check_cuts(&point, sizeof(point));
	with_tail(&full);
	check_cuts(&small, sizeof(small.base));
	check_cuts(&full, sizeof(full));
	check_cuts(&process, sizeof(process));
	check_cuts(&oom, sizeof(oom));
	check_cuts(&in_flight, sizeof(in_flight));
	check_cuts(&pressure, sizeof(pressure));
}

/* The ring rounds up: bytes behind the record are none of its. */
static void test_longer_buffer(void **state)
{
	struct mp_probe_record_full r = probe_record(PLAIN, MP_PHASE_ENTER);
	struct mp_decoded d;

	(void)state;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), 0);
	assert_int_equal(d.event.probe.n_stack, 0);
	r.base.h.size = UINT32_MAX;
	assert_int_equal(decode_bytes(&r, sizeof(r), &d), -EBADMSG);
}

static void check_refused(const struct mp_probe_record_full *r)
{
	struct mp_decoded d;

	assert_int_equal(decode_bytes(r, sizeof(r->base), &d), -EBADMSG);
}

static void test_refused(void **state)
{
	static const uint16_t kinds[] = {0, MP_RECORD_POINT + 1, UINT16_MAX};
	static const uint16_t versions[] = {0, MP_ABI_VERSION + 1, UINT16_MAX};
	struct mp_probe_record_full r;

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(kinds); i++) {
		r = probe_record(PLAIN, MP_PHASE_ENTER);
		r.base.h.kind = kinds[i];
		check_refused(&r);
		r = probe_record(PLAIN, MP_PHASE_ENTER);
		r.base.h.version = versions[i];
		check_refused(&r);
	}
	r = probe_record(UINT32_MAX, MP_PHASE_ENTER);
	check_refused(&r);
	r = probe_record(PLAIN, MP_PHASE_COUNT);
	check_refused(&r);
}

static void check_working_set(uint64_t usage, uint64_t limit, bool host, uint64_t reclaimable,
			      uint64_t host_used, uint64_t expected, double expected_pct)
{
	struct mp_event_probe probe = {.usage = usage, .limit = limit, .usage_pct = 55};

	mp_decode_working_set(&probe, host, reclaimable, host_used);
	assert_true(probe.working_set == expected);
	assert_true(fabs(probe.usage_pct - expected_pct) < 1e-9);
	assert_true(probe.usage == usage);
}

static void test_working_set(void **state)
{
	(void)state;
	check_working_set(1000, 2000, false, 400, 7, 600, 30);
	check_working_set(1000, 2000, false, 0, 7, 1000, 50);
	check_working_set(1000, 2000, false, 1000, 7, 0, 0);
	/* A sample that is older than the usage may be larger. */
	check_working_set(1000, 2000, false, 1001, 7, 0, 0);
	check_working_set(3000, 2000, false, 0, 7, 3000, 150);
	/* Without a sample the raw usage is the best there is. */
	check_working_set(1000, 2000, false, MP_UNKNOWN, 7, 1000, 50);
	check_working_set(MP_UNKNOWN, 2000, false, 400, 7, MP_UNKNOWN, -1);
	check_working_set(1000, MP_UNKNOWN, false, 400, 7, 600, -1);
	check_working_set(1000, 0, false, 400, 7, 600, -1);
	/* The host's limit is about the host's use, not the group's. */
	check_working_set(1000, 8000, true, 400, 2000, 2000, 25);
	check_working_set(1000, 8000, true, 400, MP_UNKNOWN, MP_UNKNOWN, -1);
}

static void check_pressure_working_set(uint64_t usage, uint64_t limit, bool host,
				       uint64_t reclaimable, uint64_t expected, double expected_pct)
{
	struct mp_event_pressure e = {.usage = usage, .limit = limit, .usage_pct = 55};

	mp_decode_pressure_working_set(&e, host, reclaimable);
	assert_true(e.working_set == expected);
	assert_true(fabs(e.usage_pct - expected_pct) < 1e-9);
	assert_true(e.usage == usage);
}

static void test_working_set_under_pressure(void **state)
{
	(void)state;
	check_pressure_working_set(1000, 2000, false, 400, 600, 30);
	check_pressure_working_set(1000, 2000, false, 1001, 0, 0);
	check_pressure_working_set(1000, 2000, false, MP_UNKNOWN, 1000, 50);
	check_pressure_working_set(1000, 2000, true, 400, 1000, 50);
	check_pressure_working_set(MP_UNKNOWN, 2000, true, 0, MP_UNKNOWN, -1);
	check_pressure_working_set(1000, 0, true, 0, 1000, -1);
	check_pressure_working_set(1, 30000, true, 0, 1, 0);
	check_pressure_working_set(2, 30000, true, 0, 2, 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_comm_without_end),
		cmocka_unit_test(test_unknown_sizes),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_fewer_or_more_arguments),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_returned_string),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_deepest_stack),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_oom),
		cmocka_unit_test(test_oom_of_whom_little_is_known),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_in_flight_of_no_point),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_pressure_of_usage),
		cmocka_unit_test(test_pressure_out_of_range),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_size_asked_for),
		cmocka_unit_test(test_point_that_a_program_declares),
		cmocka_unit_test(test_point_that_is_known),
		cmocka_unit_test(test_names_that_are_not_believed),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_points_out_of_range),
		cmocka_unit_test(test_record_before_its_points),
		cmocka_unit_test(test_call_by_a_marker),
		cmocka_unit_test(test_cut_at_every_length),
		cmocka_unit_test(test_longer_buffer),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_working_set),
		cmocka_unit_test(test_working_set_under_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
