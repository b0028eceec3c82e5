// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "report/ndjson.h"

#define HEAD(type)                                                                                 \
	"{\"v\":1,\"type\":\"" type                                                                \
	"\",\"ts_ns\":12345678901,\"time\":\"2026-11-21T23:35:22.123456Z\","
#define TS_NS 12345678901ULL
#define REALTIME_NS 1795304122123456789ULL

static const char hostile[] = "n\nt\tr\r\033[31m \"q\" \\ \\n \xff\xc3( \x7f \xc2\x85 \xe2\x80\xae "
			      "\xe6\xa8\xa1\xe5\x9e\x8b \xf0\x9f\x90\xa7";

static struct mp_event event_of(enum mp_event_type type)
{
	return (struct mp_event){.type = type, .ts_ns = TS_NS, .realtime_ns = REALTIME_NS};
}

/* The event's line, which read and written again must be the same. */
static void check_line(const struct mp_event *event, const char *expected)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	MP_TEXT struct mp_text first = {0};
	MP_TEXT struct mp_text second = {0};
	struct mp_event parsed;
	struct mp_error err;

	assert_non_null(reader);
	mp_ndjson_write(&first, event);
	assert_false(first.failed);
	if (expected)
		assert_string_equal(first.data, expected);
	assert_int_equal(strlen(first.data), first.len);
	assert_ptr_equal(strchr(first.data, '\n'), first.data + first.len - 1);
	assert_int_equal(mp_ndjson_parse(reader, first.data, first.len, &parsed, &err), 0);
	assert_int_equal(parsed.type, event->type);
	mp_ndjson_write(&second, &parsed);
	assert_string_equal(second.data, first.data);
	mp_ndjson_reader_free(reader);
}

static void start(void **state)
{
	static const char *const targets[] = {"comm:redis-server", "pid:42"};
	static const char *const features[] = {"uprobe_multi"};
	struct mp_event event = event_of(MP_EVENT_START);

	(void)state;
	event.start = (struct mp_event_start){
		.version = "0.1.0",
		.kernel = "6.18.0",
		.cgroup_mode = "hybrid",
		.targets = targets,
		.n_targets = 2,
		.features = features,
		.n_features = 1,
	};
	check_line(&event, HEAD("start") "\"version\":\"0.1.0\",\"kernel\":\"6.18.0\",\"cgroup_"
					 "mode\":\"hybrid\","
					 "\"targets\":[\"comm:redis-server\",\"pid:42\"],"
					 "\"features\":[\"uprobe_multi\"]}\n");
	event.start = (struct mp_event_start){0};
	check_line(&event, HEAD("start") "\"version\":null,\"kernel\":null,\"cgroup_mode\":null,"
					 "\"targets\":[],\"features\":[]}\n");
}

static void site(void **state)
{
	struct mp_event event = event_of(MP_EVENT_SITE);

	(void)state;
	event.site = (struct mp_event_site){
		.point = "cache_manager.allocate_cache",
		.level = MP_LEVEL_HIGH,
		.kind = MP_SITE_USDT,
		.binary = "/usr/lib/libfoo.so.1",
		.symbol = "foo::bar(int)",
		.offset = 0x1139,
		.insn = "emulated",
		.cost = "low",
		.status = MP_SITE_WAITING,
		.reason = "no binary with it yet",
	};
	check_line(&event,
		   HEAD("site") "\"point\":\"cache_manager.allocate_cache\",\"level\":\"high\","
				"\"kind\":\"usdt\","
				"\"binary\":\"/usr/lib/"
				"libfoo.so.1\",\"symbol\":\"foo::bar(int)\",\"offset\":4409,"
				"\"insn\":\"emulated\",\"cost\":\"low\",\"risk\":null,\"status\":"
				"\"waiting\","
				"\"reason\":\"no binary with it yet\"}\n");
}

static struct mp_event probe_event(enum mp_phase phase)
{
	struct mp_event event = event_of(MP_EVENT_PROBE);

	event.probe = (struct mp_event_probe){
		.point = "model_loader.load_model",
		.level = MP_LEVEL_CRITICAL,
		.phase = phase,
		.pid = 4242,
		.tid = 4243,
		.comm = "loader",
		.cgroup = "/user.slice/app",
		.limit_cgroup = "/user.slice",
		.rss = 3 << 20,
		.rss_anon = 2 << 20,
		.rss_file = 1 << 20,
		.rss_shmem = 0,
		.swap = 4096,
		.usage = 1 << 30,
		.working_set = 900000000,
		.limit = 1 << 30,
		.usage_pct = 83.81903,
		.duration_ns = MP_UNKNOWN,
		.rss_delta = MP_UNKNOWN_DELTA,
		.usage_delta = MP_UNKNOWN_DELTA,
		.gate_deadline_ns = MP_UNKNOWN,
		.size = MP_UNKNOWN,
	};
	return event;
}

#define MEMORY                                                                                     \
	"\"pid\":4242,\"tid\":4243,\"comm\":\"loader\",\"cgroup\":\"/user.slice/"                  \
	"app\",\"limit_cgroup\":\"/user.slice\",\"rss\":3145728,"                                  \
	"\"rss_anon\":2097152,\"rss_file\":1048576,\"rss_shmem\":0,\"swap\":4096,"                 \
	"\"usage\":1073741824,\"working_set\":900000000,\"limit\":1073741824,\"usage_pct\":83.82"

static void probe_enter(void **state)
{
	static const struct mp_event_arg args[] = {
		{.name = "size", .type = MP_ARG_U64, .value = 1000003},
		{.name = "huge", .type = MP_ARG_U64, .value = UINT64_MAX},
		{.name = "delta", .type = MP_ARG_S64, .value = (uint64_t)INT64_MIN},
		{.name = "path", .type = MP_ARG_STR, .str = "/models/a b.gguf"},
		{.name = "gone", .type = MP_ARG_STR},
		{.name = "buf", .type = MP_ARG_PTR, .value = 0x7ffc0010},
	};
	struct mp_event event = probe_event(MP_PHASE_ENTER);

	(void)state;
	check_line(&event, HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
					 "\"critical\",\"phase\":\"enter\"," MEMORY "}\n");
	event.probe.args = args;
	event.probe.n_args = 6;
	check_line(&event,
		   HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":\"critical\","
				 "\"phase\":\"enter\"," MEMORY
				 ",\"args\":{\"size\":1000003,\"huge\":\"0xffffffffffffffff\","
				 "\"delta\":-9223372036854775808,\"path\":\"/models/a b.gguf\","
				 "\"gone\":null,\"buf\":\"0x7ffc0010\"}}\n");
}

static void probe_exit(void **state)
{
	static const struct mp_event_arg ret = {.name = "result", .type = MP_ARG_PTR, .value = 0};
	static const uint64_t stack[] = {0x401139, UINT64_MAX, 0};
	static const char *const text[] = {"load_model+0x10 (app)", "0x401200", "main"};
	struct mp_event event = probe_event(MP_PHASE_EXIT);

	(void)state;
	event.probe.ret = &ret;
	event.probe.duration_ns = 1234567;
	event.probe.rss_delta = -4096;
	event.probe.usage_delta = 0;
	event.probe.stack = stack;
	event.probe.n_stack = 3;
	check_line(&event,
		   HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
				 "\"critical\",\"phase\":\"exit\"," MEMORY
				 ",\"ret\":{\"result\":\"0x0\"},\"duration_ns\":1234567,"
				 "\"rss_delta\":-4096,\"usage_delta\":0,"
				 "\"stack\":[\"0x401139\",\"0xffffffffffffffff\",\"0x0\"]}\n");
	event.probe.stack_text = text;
	event.probe.ret = NULL;
	event.probe.duration_ns = MP_UNKNOWN;
	event.probe.rss_delta = MP_UNKNOWN_DELTA;
	event.probe.usage_delta = MP_UNKNOWN_DELTA;
	check_line(&event, HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
					 "\"critical\",\"phase\":\"exit\"," MEMORY
					 ",\"duration_ns\":null,\"rss_delta\":null,\"usage_delta\":"
					 "null,\"stack\":[\"load_model+0x10 (app)\",\"0x401200\","
					 "\"main\"]}\n");
}

static void probe_gated(void **state)
{
	struct mp_event event = probe_event(MP_PHASE_ENTER);

	(void)state;
	event.probe.gate = MP_GATE_HELD;
	event.probe.gate_deadline_ns = 10000000000;
	event.probe.size = 1503238553;
	check_line(&event, HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
					 "\"critical\",\"phase\":\"enter\"," MEMORY
					 ",\"size\":1503238553,\"gate\":\"held\","
					 "\"gate_deadline_ns\":10000000000}\n");
	event.probe.gate = MP_GATE_WOULD;
	event.probe.gate_deadline_ns = MP_UNKNOWN;
	event.probe.size = 0;
	check_line(&event, HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
					 "\"critical\",\"phase\":\"enter\"," MEMORY
					 ",\"size\":0,\"gate\":\"would\","
					 "\"gate_deadline_ns\":null}\n");
	/* A size of -1 is none, and without a gate there is no deadline. */
	event.probe.gate = MP_GATE_NONE;
	event.probe.gate_deadline_ns = 1;
	event.probe.size = UINT64_MAX - 1;
	check_line(&event, HEAD("probe") "\"point\":\"model_loader.load_model\",\"level\":"
					 "\"critical\",\"phase\":\"enter\"," MEMORY "}\n");
}

static void nothing_known(void **state)
{
	struct mp_event event = event_of(MP_EVENT_PROBE);

	(void)state;
	event.realtime_ns = MP_UNKNOWN;
	event.ts_ns = MP_UNKNOWN;
	event.probe = (struct mp_event_probe){
		.rss = MP_UNKNOWN,
		.rss_anon = MP_UNKNOWN,
		.rss_file = MP_UNKNOWN,
		.rss_shmem = MP_UNKNOWN,
		.swap = MP_UNKNOWN,
		.usage = MP_UNKNOWN,
		.working_set = MP_UNKNOWN,
		.limit = MP_UNKNOWN,
		.usage_pct = -1,
		.gate_deadline_ns = MP_UNKNOWN,
		.size = MP_UNKNOWN,
		.phase = MP_PHASE_CHECK,
	};
	check_line(&event,
		   "{\"v\":1,\"type\":\"probe\",\"ts_ns\":null,\"time\":null,\"point\":null,"
		   "\"level\":\"low\",\"phase\":\"check\",\"pid\":null,\"tid\":null,"
		   "\"comm\":null,\"cgroup\":null,\"limit_cgroup\":null,\"rss\":null,"
		   "\"rss_anon\":null,\"rss_file\":null,\"rss_shmem\":null,\"swap\":null,"
		   "\"usage\":null,\"working_set\":null,\"limit\":null,\"usage_pct\":null}\n");
}

static void process(void **state)
{
	struct mp_event event = event_of(MP_EVENT_PROCESS);

	(void)state;
	event.process = (struct mp_event_process){
		.op = MP_PROCESS_FORK, .pid = 7, .parent = 5, .comm = "sh"};
	check_line(&event, HEAD("process") "\"op\":\"fork\",\"pid\":7,\"parent\":5,\"comm\":\"sh\","
					   "\"exit_code\":null}\n");
	event.process = (struct mp_event_process){
		.op = MP_PROCESS_EXIT, .pid = 7, .exit_code = 768, .comm = "sh"};
	check_line(&event, HEAD("process") "\"op\":\"exit\",\"pid\":7,\"parent\":null,\"comm\":"
					   "\"sh\",\"exit_code\":768}\n");
	event.process = (struct mp_event_process){
		.op = MP_PROCESS_EXIT, .pid = 7, .exit_code = MP_EXIT_STATUS_UNKNOWN};
	check_line(&event, HEAD("process") "\"op\":\"exit\",\"pid\":7,\"parent\":null,\"comm\":"
					   "null,\"exit_code\":null}\n");
}

static struct mp_event pressure_event(enum mp_pressure_source source)
{
	struct mp_event event = event_of(MP_EVENT_PRESSURE);

	event.pressure = mp_event_pressure_blank(source);
	event.pressure.cgroup = "/app";
	event.pressure.usage = 536870912;
	event.pressure.working_set = 489626271;
	event.pressure.limit = 536870912;
	event.pressure.usage_pct = 91.2;
	return event;
}

#define DOMAIN                                                                                     \
	"\"usage\":536870912,\"working_set\":489626271,\"limit\":536870912,\"usage_pct\":91.20"

static void pressure_of_a_task(void **state)
{
	struct mp_event event = pressure_event(MP_PRESSURE_RECLAIM);
	struct mp_event_pressure *e = &event.pressure;

	(void)state;
	e->pid = 4242;
	e->comm = "worker";
	e->is_target = true;
	e->window_ns = 2000000000;
	e->stall_ns = 40200000;
	e->reclaims = 31;
	e->reclaimed_pages = 3072;
	e->pgscan = 5003;
	e->pgsteal = 3072;
	e->pgmajfault = 0;
	e->incident = 2;
	e->repeated = true;
	check_line(&event,
		   HEAD("pressure") "\"source\":\"reclaim\",\"cgroup\":\"/app\",\"pid\":4242,"
				    "\"comm\":\"worker\",\"is_target\":true," DOMAIN
				    ",\"window_ns\":2000000000,\"stall_ns\":40200000,"
				    "\"reclaims\":31,\"reclaimed_pages\":3072,\"pgscan\":5003,"
				    "\"pgsteal\":3072,\"pgmajfault\":0,\"incident\":2,"
				    "\"repeated\":true}\n");
	e->comm = e->cgroup = hostile;
	check_line(&event, NULL);
	e->comm = NULL;
	e->window_ns = UINT64_MAX - 1; /* no integer of JSON: not known */
	check_line(&event, NULL);
}

static void pressure_of_a_domain(void **state)
{
	struct mp_event event = pressure_event(MP_PRESSURE_PSI);

	(void)state;
	event.pressure.some_pct = 23.456;
	event.pressure.full_pct = 0;
	event.pressure.incident = 1;
	check_line(&event, HEAD("pressure") "\"source\":\"psi\",\"cgroup\":\"/app\","
					    "\"pid\":null," DOMAIN ",\"some_pct\":23.46,"
					    "\"full_pct\":0.00,\"incident\":1,"
					    "\"repeated\":false}\n");
	event = pressure_event(MP_PRESSURE_MEMORY_EVENTS);
	event.pressure.low = 0;
	event.pressure.high = 12;
	event.pressure.max = 340;
	event.pressure.oom = 1;
	event.pressure.oom_kill = 1;
	check_line(&event, HEAD("pressure") "\"source\":\"memory.events\",\"cgroup\":\"/app\","
					    "\"pid\":null," DOMAIN ",\"low\":0,\"high\":12,"
					    "\"max\":340,\"oom\":1,\"oom_kill\":1}\n");
	event = pressure_event(MP_PRESSURE_MEMCG_V1);
	event.pressure.v1_level = "critical";
	check_line(&event, HEAD("pressure") "\"source\":\"memcg_v1\",\"cgroup\":\"/app\","
					    "\"pid\":null," DOMAIN ",\"v1_level\":\"critical\"}\n");
}

/* The host, of which not even the usage could be read. */
static void pressure_of_nothing_known(void **state)
{
	struct mp_event event = pressure_event(MP_PRESSURE_DIRECT_RECLAIM);
	struct mp_event_pressure *e = &event.pressure;

	(void)state;
	e->cgroup = NULL;
	e->usage = e->working_set = e->limit = MP_UNKNOWN;
	e->usage_pct = -1;
	check_line(&event, HEAD("pressure") "\"source\":\"direct_reclaim\",\"cgroup\":null,"
					    "\"pid\":null,\"usage\":null,\"working_set\":null,"
					    "\"limit\":null,\"usage_pct\":null}\n");
	e->source = MP_PRESSURE_USAGE;
	check_line(&event, HEAD("pressure") "\"source\":\"usage\",\"cgroup\":null,"
					    "\"pid\":null,\"usage\":null,\"working_set\":null,"
					    "\"limit\":null,\"usage_pct\":null}\n");
}

#define NO_EVENTS                                                                                  \
	{                                                                                          \
		MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN                         \
	}

static void oom(void **state)
{
	static const struct mp_history_entry history[] = {
		{.ts_ns = 12300000000,
		 .severity = MP_SEVERITY_CRITICAL,
		 .text = "working set 96 %"},
		{.ts_ns = 12345000000,
		 .is_action = true,
		 .result = MP_RESULT_FAILED,
		 .text = hostile},
		{.ts_ns = MP_UNKNOWN, .is_action = true},
	};
	static const struct mp_in_flight calls[] = {
		{.point = "outer", .tid = 8, .duration_ns = 3200000000, .rss_delta = 2254857830},
		{.point = hostile, .tid = 0, .duration_ns = 5, .rss_delta = MP_UNKNOWN_DELTA},
	};
	struct mp_event event = event_of(MP_EVENT_OOM);

	(void)state;
	event.oom = (struct mp_event_oom){
		.pid = 7,
		.comm = "eater",
		.cgroup = "/app",
		.is_target = true,
		.oom_score_adj = -500,
		.rss = 2104,
		.rss_anon = 2000,
		.rss_file = 100,
		.rss_shmem = 4,
		.swap = 30,
		.by_pid = 9,
		.by_comm = "asker",
		.in_flight = calls,
		.n_in_flight = 1,
		.history = history,
		.n_history = 1,
		.events = {0, 12, 340, 2, 1},
	};
	check_line(&event, HEAD("oom") "\"pid\":7,\"comm\":\"eater\",\"cgroup\":\"/app\","
				       "\"is_target\":true,\"oom_score_adj\":-500,\"rss\":2104,"
				       "\"rss_anon\":2000,\"rss_file\":100,\"rss_shmem\":4,"
				       "\"swap\":30,\"by_pid\":9,\"by_comm\":\"asker\","
				       "\"in_flight\":[{\"point\":\"outer\",\"tid\":8,"
				       "\"duration_ns\":3200000000,\"rss_delta\":2254857830}],"
				       "\"history\":[{\"ts_ns\":12300000000,"
				       "\"kind\":\"decision\",\"severity\":\"critical\","
				       "\"text\":\"working set 96 %\"}],\"events\":{\"low\":0,"
				       "\"high\":12,\"max\":340,\"oom\":2,\"oom_kill\":1}}\n");
	event.oom.n_in_flight = 2;
	event.oom.n_history = 3;
	event.oom.comm = event.oom.by_comm = event.oom.cgroup = hostile;
	check_line(&event, NULL);
	event.oom = (struct mp_event_oom){
		.pid = 7,
		.oom_score_adj = MP_UNKNOWN_DELTA,
		.rss = MP_UNKNOWN,
		.rss_anon = MP_UNKNOWN,
		.rss_file = MP_UNKNOWN,
		.rss_shmem = MP_UNKNOWN,
		.swap = MP_UNKNOWN,
		.history = &history[2],
		.n_history = 1,
		.events = NO_EVENTS,
	};
	check_line(&event, HEAD("oom") "\"pid\":7,\"comm\":null,\"cgroup\":null,"
				       "\"is_target\":false,\"oom_score_adj\":null,\"rss\":null,"
				       "\"rss_anon\":null,\"rss_file\":null,\"rss_shmem\":null,"
				       "\"swap\":null,\"by_pid\":null,\"by_comm\":null,"
				       "\"in_flight\":[],\"history\":[{\"ts_ns\":null,"
				       "\"kind\":\"action\",\"result\":\"done\","
				       "\"text\":null}],\"events\":{}}\n");
	event.oom.n_history = 0;
	event.oom.events.max = 7;
	check_line(&event, HEAD("oom") "\"pid\":7,\"comm\":null,\"cgroup\":null,"
				       "\"is_target\":false,\"oom_score_adj\":null,\"rss\":null,"
				       "\"rss_anon\":null,\"rss_file\":null,\"rss_shmem\":null,"
				       "\"swap\":null,\"by_pid\":null,\"by_comm\":null,"
				       "\"in_flight\":[],\"history\":[],\"events\":{\"max\":7}}\n");
}

/* A line of which nothing is said reads as nothing known. */
static void oom_of_nothing_known(void **state)
{
	static const char line[] =
		"{\"v\":1,\"type\":\"oom\",\"in_flight\":[{},{\"point\":\"a\\\\nb\",\"x\":1}]}";
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event e;

	(void)state;
	assert_int_equal(mp_ndjson_parse(reader, line, strlen(line), &e, NULL), 0);
	assert_int_equal(e.type, MP_EVENT_OOM);
	assert_int_equal(e.oom.pid, 0);
	assert_null(e.oom.comm);
	assert_false(e.oom.is_target);
	assert_true(e.oom.oom_score_adj == MP_UNKNOWN_DELTA);
	assert_true(e.oom.rss == MP_UNKNOWN);
	assert_int_equal(e.oom.n_in_flight, 2);
	assert_null(e.oom.in_flight[0].point);
	assert_int_equal(e.oom.in_flight[0].tid, 0);
	assert_true(e.oom.in_flight[0].duration_ns == MP_UNKNOWN);
	assert_true(e.oom.in_flight[0].rss_delta == MP_UNKNOWN_DELTA);
	assert_string_equal(e.oom.in_flight[1].point, "a\nb");
	assert_int_equal(e.oom.n_history, 0);
	assert_true(e.oom.events.low == MP_UNKNOWN);
	assert_true(e.oom.events.oom_kill == MP_UNKNOWN);
	mp_ndjson_reader_free(reader);
}

static void decision(void **state)
{
	struct mp_event event = event_of(MP_EVENT_DECISION);

	(void)state;
	event.decision = (struct mp_event_decision){
		.severity = MP_SEVERITY_GC,
		.previous = MP_SEVERITY_WARNING,
		.level = MP_LEVEL_CRITICAL,
		.point = "p",
		.pid = 42,
		.reason = "above gc 85 %",
		.usage_pct = 86,
		.working_set = 1846835937,
		.limit = 2147483648,
		.some_pct = -1,
		.latency_ns = MP_UNKNOWN,
		.full_pct = -1,
	};
	check_line(&event, HEAD("decision") "\"severity\":\"gc\",\"previous\":\"warning\","
					    "\"level\":\"critical\",\"point\":\"p\",\"pid\":42,"
					    "\"cgroup\":null,\"limit_cgroup\":null,"
					    "\"reason\":\"above gc 85 %\",\"evidence\":{"
					    "\"usage_pct\":86.00,\"working_set\":1846835937,"
					    "\"limit\":2147483648}}\n");
	event.decision.pid = 0;
	event.decision.point = NULL;
	event.decision.cgroup = "/app/job";
	event.decision.limit_cgroup = "/app";
	event.decision.some_pct = 12.344;
	event.decision.full_pct = 0;
	check_line(&event, HEAD("decision") "\"severity\":\"gc\",\"previous\":\"warning\","
					    "\"level\":\"critical\",\"point\":null,\"pid\":null,"
					    "\"cgroup\":\"/app/job\",\"limit_cgroup\":\"/app\","
					    "\"reason\":\"above gc 85 %\",\"evidence\":{"
					    "\"usage_pct\":86.00,\"working_set\":1846835937,"
					    "\"limit\":2147483648,\"some_pct\":12.34,"
					    "\"full_pct\":0.00}}\n");
	event.decision.limit_cgroup = event.decision.reason = hostile;
	check_line(&event, NULL);
}

static void action(void **state)
{
	static const char *const stack[] = {"load_model+0x10 (app)"};
	struct mp_event event = event_of(MP_EVENT_ACTION);

	(void)state;
	event.action = (struct mp_event_action){
		.action = "stack",
		.result = MP_RESULT_WOULD,
		.pid = 0,
		.cgroup = "/app",
		.freed_bytes = MP_UNKNOWN,
		.usage_before = MP_UNKNOWN,
		.usage_after = MP_UNKNOWN,
		.some_before_pct = -1,
		.some_after_pct = -1,
		.duration_ns = 1000,
		.stack = stack,
		.n_stack = 1,
	};
	check_line(&event,
		   HEAD("action") "\"action\":\"stack\",\"result\":\"would\",\"point\":null,"
				  "\"pid\":null,\"cgroup\":\"/app\",\"freed_bytes\":null,"
				  "\"duration_ns\":1000,\"detail\":null,"
				  "\"stack\":[\"load_model+0x10 (app)\"]}\n");
	event.action.action = "reclaim";
	event.action.result = MP_RESULT_DONE;
	event.action.n_stack = 0;
	event.action.freed_bytes = 125829120;
	event.action.usage_before = 488552530;
	event.action.usage_after = 362723410;
	event.action.some_before_pct = 23.4;
	check_line(&event,
		   HEAD("action") "\"action\":\"reclaim\",\"result\":\"done\",\"point\":null,"
				  "\"pid\":null,\"cgroup\":\"/app\",\"freed_bytes\":125829120,"
				  "\"limit_cgroup\":null,\"usage_before\":488552530,\"usage_"
				  "after\":362723410,"
				  "\"stall\":{\"before_pct\":23.40,\"after_pct\":null},"
				  "\"duration_ns\":1000,\"detail\":null}\n");
	event.action.usage_before = MP_UNKNOWN;
	event.action.some_before_pct = -1;
	event.action.some_after_pct = 0;
	check_line(&event,
		   HEAD("action") "\"action\":\"reclaim\",\"result\":\"done\",\"point\":null,"
				  "\"pid\":null,\"cgroup\":\"/app\",\"freed_bytes\":125829120,"
				  "\"usage_after\":362723410,"
				  "\"stall\":{\"before_pct\":null,\"after_pct\":0.00},"
				  "\"duration_ns\":1000,\"detail\":null}\n");
}

/* Lines of before there were domains, gates and stalls. */
static void older_lines(void **state)
{
	static const char probe[] = "{\"v\":1,\"type\":\"probe\",\"level\":\"high\","
				    "\"phase\":\"enter\",\"cgroup\":\"/app\",\"usage\":5}";
	static const char decision_line[] =
		"{\"v\":1,\"type\":\"decision\",\"severity\":\"gc\",\"previous\":\"normal\","
		"\"level\":\"low\",\"evidence\":{\"usage_pct\":86.0}}";
	static const char action_line[] = "{\"v\":1,\"type\":\"action\",\"action\":\"log\","
					  "\"result\":\"done\",\"freed_bytes\":null}";
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event e;

	(void)state;
	assert_int_equal(mp_ndjson_parse(reader, probe, strlen(probe), &e, NULL), 0);
	assert_string_equal(e.probe.cgroup, "/app");
	assert_null(e.probe.limit_cgroup);
	assert_int_equal(e.probe.gate, MP_GATE_NONE);
	assert_true(e.probe.gate_deadline_ns == MP_UNKNOWN);
	assert_true(e.probe.size == MP_UNKNOWN);
	assert_int_equal(mp_ndjson_parse(reader, decision_line, strlen(decision_line), &e, NULL),
			 0);
	assert_null(e.decision.limit_cgroup);
	assert_true(e.decision.usage_pct == 86);
	assert_true(e.decision.some_pct < 0);
	assert_true(e.decision.full_pct < 0);
	assert_int_equal(mp_ndjson_parse(reader, action_line, strlen(action_line), &e, NULL), 0);
	assert_true(e.action.usage_before == MP_UNKNOWN);
	assert_true(e.action.usage_after == MP_UNKNOWN);
	assert_true(e.action.some_before_pct < 0);
	assert_true(e.action.some_after_pct < 0);
	mp_ndjson_reader_free(reader);
}

static void shortest_pressure(void **state)
{
	static const char line[] = "{\"v\":1,\"type\":\"pressure\",\"source\":\"usage\"}";
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event e;

	(void)state;
	assert_int_equal(mp_ndjson_parse(reader, line, strlen(line), &e, NULL), 0);
	assert_int_equal(e.pressure.source, MP_PRESSURE_USAGE);
	assert_null(e.pressure.cgroup);
	assert_int_equal(e.pressure.pid, 0);
	assert_true(e.pressure.usage == MP_UNKNOWN && e.pressure.stall_ns == MP_UNKNOWN);
	assert_true(e.pressure.oom_kill == MP_UNKNOWN && e.pressure.window_ns == MP_UNKNOWN);
	assert_true(e.pressure.some_pct < 0 && e.pressure.full_pct < 0);
	assert_null(e.pressure.v1_level);
	assert_int_equal(e.pressure.incident, 0);
	assert_false(e.pressure.is_target || e.pressure.repeated);
	mp_ndjson_reader_free(reader);
}

/* Every figure at once, each with a value of its own. */
static void longest_pressure(void **state)
{
	struct mp_event event = event_of(MP_EVENT_PRESSURE);

	(void)state;
	event.pressure = (struct mp_event_pressure){
		.source = MP_PRESSURE_MEMCG_V1,
		.usage = 1,
		.working_set = 2,
		.limit = 3,
		.usage_pct = 4,
		.window_ns = 5,
		.some_pct = 6,
		.full_pct = 7,
		.stall_ns = 8,
		.reclaims = 9,
		.reclaimed_pages = 10,
		.pgscan = 11,
		.pgsteal = 12,
		.pgmajfault = 13,
		.low = 14,
		.high = 15,
		.max = 16,
		.oom = 17,
		.oom_kill = 18,
		.v1_level = "low",
		.incident = 19,
		.repeated = true,
	};
	check_line(&event,
		   HEAD("pressure") "\"source\":\"memcg_v1\",\"cgroup\":null,\"pid\":null,"
				    "\"usage\":1,\"working_set\":2,\"limit\":3,\"usage_pct\":4.00,"
				    "\"window_ns\":5,\"some_pct\":6.00,\"full_pct\":7.00,"
				    "\"stall_ns\":8,\"reclaims\":9,\"reclaimed_pages\":10,"
				    "\"pgscan\":11,\"pgsteal\":12,\"pgmajfault\":13,\"low\":14,"
				    "\"high\":15,\"max\":16,\"oom\":17,\"oom_kill\":18,"
				    "\"v1_level\":\"low\",\"incident\":19,\"repeated\":true}\n");
}

static void lost_and_stop(void **state)
{
	struct mp_event event = event_of(MP_EVENT_LOST);

	(void)state;
	event.lost = (struct mp_event_lost){.source = "ring", .count = 997};
	check_line(&event, HEAD("lost") "\"source\":\"ring\",\"count\":997}\n");
	event = event_of(MP_EVENT_STOP);
	event.stop = (struct mp_event_stop){.reason = "signal", .exit_code = 130};
	check_line(&event, HEAD("stop") "\"reason\":\"signal\",\"exit_code\":130}\n");
	event.stop.exit_code = -1;
	check_line(&event, HEAD("stop") "\"reason\":\"signal\",\"exit_code\":-1}\n");
}

static void summary(void **state)
{
	static const struct mp_summary_point points[] = {
		{.point = "a",
		 .level = MP_LEVEL_MEDIUM,
		 .hits = 999983,
		 .returns = 999982,
		 .emitted = 20,
		 .suppressed = 1999942,
		 .lost = 3,
		 .phase = {{999983, 10, 999971, 2}, {999982, 10, 999971, 1}},
		 .missed = 1,
		 .duration_p50_ns = 1200,
		 .duration_p99_ns = 9000,
		 .duration_max_ns = 10007,
		 .rss_total = -8192,
		 .rss_max = 4096},
		{.point = "b",
		 .duration_p50_ns = MP_UNKNOWN,
		 .duration_p99_ns = MP_UNKNOWN,
		 .duration_max_ns = MP_UNKNOWN,
		 .rss_total = MP_UNKNOWN_DELTA,
		 .rss_max = MP_UNKNOWN_DELTA},
	};
	struct mp_event event = event_of(MP_EVENT_SUMMARY);

	(void)state;
	event.summary = (struct mp_event_summary){
		.points = points,
		.n_points = 2,
		.duration_ns = 10000000000,
		.received = 20,
		.complete = true,
	};
	check_line(
		&event,
		HEAD("summary") "\"points\":[{\"point\":\"a\",\"level\":\"medium\",\"hits\":999983,"
				"\"returns\":999982,\"emitted\":20,\"suppressed\":1999942,\"lost\":"
				"3,"
				"\"enter\":{\"hits\":999983,\"emitted\":10,\"suppressed\":999971,"
				"\"lost\":2},\"exit\":{\"hits\":999982,\"emitted\":10,"
				"\"suppressed\":999971,\"lost\":1},\"missed\":1,\"duration_ns\":{"
				"\"p50\":1200,\"p99\":9000,\"max\":10007},\"rss_delta\":{\"total\":"
				"-8192,\"max\":4096}},{\"point\":\"b\",\"level\":\"low\",\"hits\":"
				"0,"
				"\"returns\":0,\"emitted\":0,\"suppressed\":0,\"lost\":0,\"enter\":"
				"{"
				"\"hits\":0,\"emitted\":0,\"suppressed\":0,\"lost\":0},\"exit\":{"
				"\"hits\":0,\"emitted\":0,\"suppressed\":0,\"lost\":0},\"missed\":"
				"0,"
				"\"duration_ns\":{\"p50\":null,\"p99\":null,\"max\":null},"
				"\"rss_delta\":{\"total\":null,\"max\":null}}],\"duration_ns\":"
				"10000000000,\"received\":20,\"complete\":true}\n");
	event.summary = (struct mp_event_summary){0};
	check_line(&event, HEAD("summary") "\"points\":[],\"duration_ns\":0,\"received\":0,"
					   "\"complete\":false}\n");
}

/* Strings come back byte by byte, so that they can be written again and matched. */
static void hostile_strings(void **state)
{
	static const char *const list[] = {hostile, "", hostile};
	const struct mp_event_arg args[] = {
		{.name = hostile, .type = MP_ARG_STR, .str = hostile},
		{.name = "", .type = MP_ARG_STR, .str = "0x12"},
		{.name = "\\", .type = MP_ARG_STR, .str = "\\x00\\u{0}\\q\\"},
	};
	struct mp_event event = probe_event(MP_PHASE_EXIT);

	(void)state;
	event.probe.point = hostile;
	event.probe.comm = "\xff\xfe\xfd";
	event.probe.cgroup = "/a\\b\\\\c\\";
	event.probe.args = args;
	event.probe.n_args = 3;
	event.probe.ret = &args[0];
	event.probe.stack_text = list;
	event.probe.n_stack = 3;
	check_line(&event, NULL);
	event = event_of(MP_EVENT_START);
	event.start.targets = list;
	event.start.n_targets = 3;
	event.start.version = hostile;
	check_line(&event, NULL);
}

/* An example is what a stream holds: read and written again, it is the same line. */
static void check_example(struct mp_ndjson_reader *reader, const char *line, bool *ret_seen)
{
	MP_TEXT struct mp_text again = {0};
	struct mp_event event;
	struct mp_error err;

	if (mp_ndjson_parse(reader, line, strlen(line), &event, &err))
		fail_msg("%s%s", line, err.text);
	mp_ndjson_write(&again, &event);
	assert_string_equal(again.data, line);
	ret_seen[event.type] = true;
}

static void documented_examples(void **state)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	MP_FCLOSE FILE *f = fopen("docs/events.md", "re");
	bool seen[MP_EVENT_TYPE_COUNT] = {false};
	MP_FREE char *line = NULL;
	size_t cap = 0;

	(void)state;
	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		if (line[0] == '{')
			check_example(reader, line, seen);
	}
	for (enum mp_event_type type = 0; type < MP_EVENT_TYPE_COUNT; type++) {
		if (!seen[type])
			fail_msg("no example of %s", mp_event_type_name(type));
	}
	mp_ndjson_reader_free(reader);
}

/* Two bytes at a time, so that what is read cannot grow together either. */
static void any_two_bytes(void **state)
{
	(void)state;
	for (int first = 1; first < 256; first++) {
		struct mp_event event = event_of(MP_EVENT_LOST);
		char name[255 * 3 + 1] = "";

		for (int second = 1; second < 256; second++) {
			name[(second - 1) * 3] = (char)first;
			name[(second - 1) * 3 + 1] = (char)second;
			name[(second - 1) * 3 + 2] = '.';
		}
		event.lost.source = name;
		check_line(&event, NULL);
	}
}

static void values_come_back(void **state)
{
	static const char line[] =
		"{\"type\":\"probe\",\"v\":1,\"time\":\"2026-11-21T23:35:22.5Z\",\"level\":"
		"\"high\","
		"\"later\":[{}],\"phase\":\"exit\",\"usage_pct\":50,\"comm\":\"a\\\\nb\","
		"\"args\":{\"u\":9223372036854775807,\"s\":-5,\"p\":\"0xffffffffffffffff\","
		"\"t\":\"0xFF\",\"n\":null}}";
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event e;

	(void)state;
	assert_int_equal(mp_ndjson_parse(reader, line, strlen(line), &e, NULL), 0);
	assert_int_equal(e.type, MP_EVENT_PROBE);
	assert_true(e.ts_ns == MP_UNKNOWN);
	assert_int_equal(e.realtime_ns, 1795304122500000000ULL);
	assert_int_equal(e.probe.level, MP_LEVEL_HIGH);
	assert_int_equal(e.probe.phase, MP_PHASE_EXIT);
	assert_null(e.probe.point);
	assert_string_equal(e.probe.comm, "a\nb");
	assert_true(e.probe.usage_pct == 50);
	assert_true(e.probe.rss == MP_UNKNOWN);
	assert_true(e.probe.rss_delta == MP_UNKNOWN_DELTA);
	assert_null(e.probe.ret);
	assert_null(e.probe.stack);
	assert_int_equal(e.probe.n_args, 5);
	assert_int_equal(e.probe.args[0].type, MP_ARG_U64);
	assert_int_equal(e.probe.args[0].value, INT64_MAX);
	assert_int_equal(e.probe.args[1].type, MP_ARG_S64);
	assert_int_equal((int64_t)e.probe.args[1].value, -5);
	assert_int_equal(e.probe.args[2].type, MP_ARG_PTR);
	assert_true(e.probe.args[2].value == UINT64_MAX);
	assert_int_equal(e.probe.args[3].type, MP_ARG_STR);
	assert_string_equal(e.probe.args[3].str, "0xFF");
	assert_int_equal(e.probe.args[4].type, MP_ARG_STR);
	assert_null(e.probe.args[4].str);
	mp_ndjson_reader_free(reader);
}

struct bad_line {
	const char *line;
	int status;
	const char *text; /* in the message */
};

static const struct bad_line bad_lines[] = {
	{"", -EBADMSG, "column 0"},
	{"{", -EBADMSG, "column 1"},
	{"{\"v\":1,}", -EBADMSG, "column 8"},
	{"[1]", -EBADMSG, "not a JSON object"},
	{"7", -EBADMSG, "column 1"},
	{"{} {}", -EBADMSG, "column 4"},
	{"{\"v\":1,\"v\":1}", -EBADMSG, "duplicate"},
	{"{\"v\":1,\"type\":\"lost\",\"source\":\"\\u0000\"}", -EBADMSG, "column"},
	{"{\"v\":1,\"type\":\"lost\",\"source\":\"\xff\"}", -EBADMSG, "column"},
	{"{\"type\":\"lost\"}", -ENOTSUP, "version 0"},
	{"{\"v\":2,\"type\":\"lost\"}", -ENOTSUP, "version 2"},
	{"{\"v\":\"1\",\"type\":\"lost\"}", -EBADMSG, "\"v\" is not an unsigned integer"},
	{"{\"v\":1.0,\"type\":\"lost\"}", -EBADMSG, "\"v\" is not an unsigned integer"},
	{"{\"v\":1}", -EBADMSG, "\"type\" is missing"},
	{"{\"v\":1,\"type\":7}", -EBADMSG, "\"type\" is not a string"},
	{"{\"v\":1,\"type\":\"later\"}", -ENOTSUP, "\"later\""},
	{"{\"v\":1,\"type\":\"a\\u001bb\"}", -ENOTSUP, "\"a\\eb\""},
	{"{\"v\":1,\"type\":\"lost\",\"ts_ns\":-1}", -EBADMSG, "\"ts_ns\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"lost\",\"ts_ns\":9223372036854775808}", -EBADMSG, "too big"},
	{"{\"v\":1,\"type\":\"lost\",\"time\":\"today\"}", -EBADMSG, "\"time\" is not a time"},
	{"{\"v\":1,\"type\":\"lost\",\"count\":true}", -EBADMSG, "\"count\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"lost\",\"source\":{}}", -EBADMSG, "\"source\" is not a string"},
	{"{\"v\":1,\"type\":\"stop\",\"exit_code\":2147483648}", -EBADMSG, "\"exit_code\""},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\"}", -EBADMSG, "\"phase\" is missing"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"lowest\",\"phase\":\"exit\"}", -EBADMSG,
	 "\"level\" is not one of its names"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":0,\"phase\":\"exit\"}", -EBADMSG,
	 "\"level\" is not one of its names"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"pid\":4294967296}",
	 -EBADMSG, "\"pid\" is not an unsigned integer in its range"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"usage_pct\":\"9\"}",
	 -EBADMSG, "\"usage_pct\" is not a number"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"rss_delta\":1.5}",
	 -EBADMSG, "\"rss_delta\" is not an integer"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"args\":[1]}", -EBADMSG,
	 "\"args\" is not an object"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"args\":{\"x\":1.5}}",
	 -EBADMSG, "\"args.x\" is not an integer, a string or null"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"args\":{\"a\":1,"
	 "\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1}}",
	 -EBADMSG, "\"args\" holds too many"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"ret\":{\"a\":1,"
	 "\"b\":1}}",
	 -EBADMSG, "\"ret\" holds too many"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"stack\":[1]}",
	 -EBADMSG, "\"stack\" holds something else"},
	{"{\"v\":1,\"type\":\"start\",\"targets\":\"x\"}", -EBADMSG, "\"targets\" is not an array"},
	{"{\"v\":1,\"type\":\"start\",\"targets\":[null]}", -EBADMSG, "\"targets\" holds"},
	{"{\"v\":1,\"type\":\"summary\",\"points\":[7]}", -EBADMSG, "\"points\" holds"},
	{"{\"v\":1,\"type\":\"summary\",\"complete\":1}", -EBADMSG, "\"complete\" is not true"},
	{"{\"v\":1,\"type\":\"summary\",\"points\":[{\"level\":\"low\"},{\"level\":\"low\","
	 "\"enter\":{\"hits\":-1}}]}",
	 -EBADMSG, "\"points[1].enter.hits\""},
	{"{\"v\":1,\"type\":\"oom\",\"pid\":-1}", -EBADMSG, "\"pid\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"oom\",\"comm\":7}", -EBADMSG, "\"comm\" is not a string"},
	{"{\"v\":1,\"type\":\"oom\",\"is_target\":1}", -EBADMSG, "\"is_target\" is not true"},
	{"{\"v\":1,\"type\":\"oom\",\"oom_score_adj\":0.5}", -EBADMSG,
	 "\"oom_score_adj\" is not an integer"},
	{"{\"v\":1,\"type\":\"oom\",\"rss\":\"1\"}", -EBADMSG, "\"rss\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"oom\",\"in_flight\":{}}", -EBADMSG, "\"in_flight\" is not an array"},
	{"{\"v\":1,\"type\":\"oom\",\"in_flight\":[{},null]}", -EBADMSG,
	 "\"in_flight\" holds something else than objects"},
	{"{\"v\":1,\"type\":\"oom\",\"in_flight\":[{},{\"tid\":4294967296}]}", -EBADMSG,
	 "\"in_flight[1].tid\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"oom\",\"in_flight\":[{\"rss_delta\":true}]}", -EBADMSG,
	 "\"in_flight[0].rss_delta\" is not an integer"},
	{"{\"v\":1,\"type\":\"oom\",\"history\":[7]}", -EBADMSG,
	 "\"history\" holds something else than objects"},
	{"{\"v\":1,\"type\":\"oom\",\"history\":[{}]}", -EBADMSG, "\"history[0].kind\" is missing"},
	{"{\"v\":1,\"type\":\"oom\",\"history\":[{\"kind\":\"probe\"}]}", -EBADMSG,
	 "\"history[0].kind\" is not one of its names"},
	{"{\"v\":1,\"type\":\"oom\",\"history\":[{\"kind\":\"action\"}]}", -EBADMSG,
	 "\"history[0].result\" is missing"},
	{"{\"v\":1,\"type\":\"oom\",\"history\":[{\"kind\":\"decision\",\"severity\":\"gc\"},"
	 "{\"kind\":\"decision\",\"severity\":\"done\"}]}",
	 -EBADMSG, "\"history[1].severity\" is not one of its names"},
	{"{\"v\":1,\"type\":\"oom\",\"events\":[]}", -EBADMSG, "\"events\" is not an object"},
	{"{\"v\":1,\"type\":\"oom\",\"events\":{\"oom_kill\":-1}}", -EBADMSG,
	 "\"events.oom_kill\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"pressure\"}", -EBADMSG, "\"source\" is missing"},
	{"{\"v\":1,\"type\":\"pressure\",\"source\":\"swap\"}", -EBADMSG,
	 "\"source\" is not one of its names"},
	{"{\"v\":1,\"type\":\"pressure\",\"source\":\"psi\",\"some_pct\":\"1\"}", -EBADMSG,
	 "\"some_pct\" is not a number"},
	{"{\"v\":1,\"type\":\"pressure\",\"source\":\"psi\",\"stall_ns\":-1}", -EBADMSG,
	 "\"stall_ns\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"pressure\",\"source\":\"psi\",\"v1_level\":1}", -EBADMSG,
	 "\"v1_level\" is not a string"},
	{"{\"v\":1,\"type\":\"pressure\",\"source\":\"psi\",\"repeated\":0}", -EBADMSG,
	 "\"repeated\" is not true"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"gate\":\"open\"}",
	 -EBADMSG, "\"gate\" is not one of its names"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\",\"size\":\"1G\"}",
	 -EBADMSG, "\"size\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"probe\",\"level\":\"low\",\"phase\":\"exit\","
	 "\"limit_cgroup\":7}",
	 -EBADMSG, "\"limit_cgroup\" is not a string"},
	{"{\"v\":1,\"type\":\"decision\",\"severity\":\"gc\",\"previous\":\"gc\","
	 "\"level\":\"low\",\"evidence\":{\"full_pct\":true}}",
	 -EBADMSG, "\"evidence.full_pct\" is not a number"},
	{"{\"v\":1,\"type\":\"action\",\"result\":\"done\",\"usage_before\":1.5}", -EBADMSG,
	 "\"usage_before\" is not an unsigned"},
	{"{\"v\":1,\"type\":\"action\",\"result\":\"done\",\"stall\":7}", -EBADMSG,
	 "\"stall\" is not an object"},
	{"{\"v\":1,\"type\":\"action\",\"result\":\"done\",\"stall\":{\"after_pct\":\"\"}}",
	 -EBADMSG, "\"stall.after_pct\" is not a number"},
};

static void bad_lines_say_where(void **state)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(bad_lines); i++) {
		const struct bad_line *bad = &bad_lines[i];
		struct mp_event event = {.type = MP_EVENT_STOP, .ts_ns = 17};
		struct mp_error err = {.text = ""};

		assert_int_equal(
			mp_ndjson_parse(reader, bad->line, strlen(bad->line), &event, &err),
			bad->status);
		if (!strstr(err.text, bad->text))
			fail_msg("%s: \"%s\" lacks \"%s\"", bad->line, err.text, bad->text);
		assert_int_equal(event.ts_ns, 17);
		assert_int_equal(event.type, MP_EVENT_STOP);
	}
	mp_ndjson_reader_free(reader);
	mp_ndjson_reader_free(NULL);
}

/* Every prefix of a good line is an error, and leaves the reader fit for the next one. */
static void cut_lines(void **state)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event event = probe_event(MP_PHASE_EXIT);
	MP_TEXT struct mp_text t = {0};
	struct mp_event parsed;

	(void)state;
	mp_ndjson_write(&t, &event);
	for (size_t len = 0; len + 1 < t.len; len++)
		assert_int_equal(mp_ndjson_parse(reader, t.data, len, &parsed, NULL), -EBADMSG);
	assert_int_equal(mp_ndjson_parse(reader, t.data, t.len - 1, &parsed, NULL), 0);
	mp_ndjson_reader_free(reader);
}

static void deep_nesting_is_refused(void **state)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	struct mp_event parsed;
	char line[100000];

	(void)state;
	memset(line, '[', sizeof(line));
	memcpy(line, "{\"v\":", 5);
	assert_int_equal(mp_ndjson_parse(reader, line, sizeof(line), &parsed, NULL), -EBADMSG);
	mp_ndjson_reader_free(reader);
}

static void check_time(uint64_t seconds)
{
	char expected[MP_TIME_LEN], got[MP_TIME_LEN];
	time_t t = (time_t)seconds;
	uint64_t back;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000999Z", &tm);
	mp_clock_format(seconds * 1000000000 + 999999, got);
	assert_string_equal(got, expected);
	if (seconds < 18429206400) {
		assert_int_equal(mp_clock_parse(got, &back), 0);
		assert_true(back == seconds * 1000000000 + 999000);
	}
}

/* Every day from 1970 to 2553, at a second that is never the same. */
static void times_agree_with_the_c_library(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 213300; day++)
		check_time(day * 86400 + day * 7919 % 86400);
	check_time(UINT64_MAX / 1000000000 - 1);
	check_time(951782399);
	check_time(951782400);
}

static void bad_times(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-21",
		"2026-11-21T23:35:22",
		"2026-11-21T23:35:22+00:00",
		"2026-11-21 23:35:22Z",
		"1969-12-31T23:59:59Z",
		"2554-01-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-32T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z",
		"2026-01-01T00:00:00.Z",
		"2026-01-01T00:00:00.1234567891Z",
		"2026-01-01T00:00:00ZZ",
		"-026-01-01T00:00:00Z",
	};
	uint64_t ns = 5;

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(bad); i++)
		assert_int_equal(mp_clock_parse(bad[i], &ns), -EINVAL);
	assert_int_equal(ns, 5);
	assert_int_equal(mp_clock_parse("2024-02-29T00:00:00.123456789Z", &ns), 0);
	assert_int_equal(ns, 1709164800123456789);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start),
		cmocka_unit_test(site),
		cmocka_unit_test(probe_enter),
		cmocka_unit_test(probe_exit),
		cmocka_unit_test(probe_gated),
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(process),
		cmocka_unit_test(oom),
		cmocka_unit_test(oom_of_nothing_known),
		cmocka_unit_test(pressure_of_a_task),
		cmocka_unit_test(pressure_of_a_domain),
		cmocka_unit_test(pressure_of_nothing_known),
		cmocka_unit_test(shortest_pressure),
		cmocka_unit_test(longest_pressure),
		cmocka_unit_test(decision),
		cmocka_unit_test(action),
		cmocka_unit_test(older_lines),
		cmocka_unit_test(lost_and_stop),
		cmocka_unit_test(summary),
		cmocka_unit_test(hostile_strings),
		cmocka_unit_test(documented_examples),
		cmocka_unit_test(any_two_bytes),
		cmocka_unit_test(values_come_back),
		cmocka_unit_test(bad_lines_say_where),
		cmocka_unit_test(cut_lines),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(times_agree_with_the_c_library),
		cmocka_unit_test(bad_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
