// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "report/cells.h"
#include "report/textview.h"

#define SEC 1000000000ULL
#define START_NS (100 * SEC)
#define MIB (1LL << 20)
#define GIB (1LL << 30)

static const char hostile[] =
	"\n\033[31mx\r\xff\xfe\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd"
	"\xe5\x99\xa8\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd\xe5\x99\xa8"
	"\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7 e\xcc\x81\xcc\x81 \xe2\x80\xae \t tail";

static struct mp_event event_at(enum mp_event_type type, uint64_t ms)
{
	return (struct mp_event){.type = type, .ts_ns = START_NS + ms * 1000000};
}

static struct mp_event probe_at(uint64_t ms, enum mp_phase phase)
{
	struct mp_event event = event_at(MP_EVENT_PROBE, ms);

	event.probe = (struct mp_event_probe){
		.point = "model_loader.load_model",
		.level = MP_LEVEL_CRITICAL,
		.phase = phase,
		.pid = 4242,
		.tid = 4242,
		.comm = "loader",
		.rss = 1321205760,
		.usage_pct = 85.6,
		.duration_ns = 12345678,
		.rss_delta = 3 * MIB,
		.gate_deadline_ns = MP_UNKNOWN,
		.size = MP_UNKNOWN,
	};
	return event;
}

static struct mp_textview view_of(unsigned int width)
{
	return (struct mp_textview){
		.width = width, .started = true, .start_ns = START_NS, .header_done = true};
}

static void check_view(struct mp_textview *view, const struct mp_event *event, const char *expected)
{
	MP_TEXT struct mp_text out = {0};

	mp_textview_write(view, &out, event);
	assert_false(out.failed);
	assert_string_equal(out.data ? out.data : "", expected);
}

/* Takes the color sequences out, in place. */
static void strip_colors(char *s)
{
	char *to = s;

	while (*s) {
		if (*s == '\033')
			s = strchr(s, 'm') + 1;
		else
			*to++ = *s++;
	}
	*to = '\0';
}

/* Every line ends, is clean, and keeps to the width. Returns their number. */
static unsigned int check_lines(const struct mp_text *out, size_t width)
{
	MP_FREE char *copy = strdup(out->data ? out->data : "");
	unsigned int n = 0;

	strip_colors(copy);
	for (char *line = copy; *line;) {
		char *end = strchr(line, '\n');

		assert_non_null(end);
		*end = '\0';
		if (mp_text_width(line) > width)
			fail_msg("%zu columns in place of %zu: %s", mp_text_width(line), width,
				 line);
		for (const char *p = line; *p; p++)
			assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
		assert_null(strstr(line, "\xe2\x80\xae"));
		line = end + 1;
		n++;
	}
	return n;
}

static void probe_lines(void **state)
{
	struct mp_textview view = {.width = 80};
	struct mp_event event = probe_at(0, MP_PHASE_ENTER);

	(void)state;
	check_view(
		&view, &event,
		"      TIME     PID POINT                   PHASE LATENCY      RSS    GROWTH USE%\n"
		"   +0.000s    4242 model_loader.load_model enter         1.23 GiB             "
		"86\n");
	event = probe_at(12345, MP_PHASE_EXIT);
	check_view(&view, &event,
		   "  +12.345s    4242 model_loader.load_model exit  12.3 ms 1.23 GiB +3.00 MiB   "
		   "86\n");
	event.probe.rss_delta = MP_UNKNOWN_DELTA;
	event.probe.duration_ns = MP_UNKNOWN;
	event.probe.rss = MP_UNKNOWN;
	event.probe.usage_pct = -1;
	event.probe.point = "model_loader_adapter.load_model_with_config";
	check_view(&view, &event,
		   "  +12.345s    4242 model_loade\u2026with_config exit        -        -         "
		   "-    -\n");
	event.probe.point = NULL;
	event.probe.usage_pct = 12345;
	check_view(&view, &event,
		   "  +12.345s    4242 -                       exit        -        -         - "
		   ">999\n");
}

static void other_widths(void **state)
{
	struct mp_textview narrow = {.width = 20};
	struct mp_textview wide = {.width = 110};
	struct mp_event event = probe_at(0, MP_PHASE_EXIT);

	(void)state;
	check_view(&narrow, &event,
		   "      TIME POINT            PHASE LATENCY      RSS    GROWTH\n"
		   "   +0.000s model_l\u2026ad_model exit  12.3 ms 1.23 GiB +3.00 MiB\n");
	check_view(&wide, &event,
		   "      TIME     PID COMM            POINT                                 PHASE "
		   "LATENCY      RSS    GROWTH USE%\n"
		   "   +0.000s    4242 loader          model_loader.load_model               exit  "
		   "12.3 ms 1.23 GiB +3.00 MiB   86\n");
}

static void check_time(uint64_t seconds, const char *expected)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = probe_at(0, MP_PHASE_EXIT);
	MP_TEXT struct mp_text out = {0};

	event.ts_ns = START_NS + seconds * SEC;
	mp_textview_write(&view, &out, &event);
	assert_int_equal(strlen(expected), 10);
	assert_memory_equal(out.data, expected, 10);
}

static void long_runs(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = probe_at(0, MP_PHASE_EXIT);
	MP_TEXT struct mp_text out = {0};

	(void)state;
	check_time(9999, "+9999.000s");
	check_time(10000, " +2h46m40s");
	check_time(359999, "+99h59m59s");
	check_time(360000, "    +4d04h");
	/* Before the start, as a record on its way at that time is. */
	event.ts_ns = START_NS - 1;
	mp_textview_write(&view, &out, &event);
	assert_memory_equal(out.data, "   +0.000s", 10);
}

static void colors_only_when_asked(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = probe_at(12345, MP_PHASE_EXIT);

	(void)state;
	view.color = true;
	check_view(
		&view, &event,
		"  +12.345s    4242 \033[35mmodel_loader.load_model\033[0m exit  12.3 ms 1.23 GiB "
		"\033[31m+3.00 MiB\033[0m   86\n");
	event.probe.level = MP_LEVEL_MEDIUM;
	event.probe.rss_delta = -3 * MIB;
	check_view(&view, &event,
		   "  +12.345s    4242 model_loader.load_model exit  12.3 ms 1.23 GiB "
		   "\033[32m-3.00 MiB\033[0m   86\n");
	event.probe.rss_delta = 0;
	check_view(&view, &event,
		   "  +12.345s    4242 model_loader.load_model exit  12.3 ms 1.23 GiB       0 B   "
		   "86\n");
}

static unsigned int headers_in(bool color, unsigned int lines)
{
	struct mp_textview view = {.width = 80, .color = color};
	struct mp_event event = probe_at(0, MP_PHASE_EXIT);
	MP_TEXT struct mp_text out = {0};
	unsigned int n = 0;

	for (unsigned int i = 0; i < lines; i++)
		mp_textview_write(&view, &out, &event);
	for (const char *p = out.data; (p = strstr(p, "LATENCY")); p++)
		n++;
	return n;
}

static void header_comes_again_on_a_terminal(void **state)
{
	(void)state;
	assert_int_equal(headers_in(true, 40), 1);
	assert_int_equal(headers_in(true, 41), 2);
	assert_int_equal(headers_in(true, 81), 3);
	assert_int_equal(headers_in(false, 200), 1);
}

static struct mp_event pressure_at(uint64_t ms, enum mp_pressure_source source)
{
	struct mp_event event = event_at(MP_EVENT_PRESSURE, ms);

	event.pressure = mp_event_pressure_blank(source);
	event.pressure.cgroup = "/app";
	event.pressure.usage = 512 * MIB;
	event.pressure.working_set = 490 * MIB;
	event.pressure.limit = 512 * MIB;
	event.pressure.usage_pct = 91.23;
	event.pressure.incident = 1;
	return event;
}

static void pressure_lines(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = pressure_at(12345, MP_PRESSURE_RECLAIM);
	struct mp_event_pressure *e = &event.pressure;

	(void)state;
	e->pid = 1234;
	e->comm = "worker";
	e->reclaims = 31;
	e->reclaimed_pages = 3072;
	e->stall_ns = 40200000;
	check_view(
		&view, &event,
		"  +12.345s PRESSURE reclaim  /app  91.2 % of 512 MiB, 31 reclaims of 3072 pages,\n"
		"           40.2 ms stalled, by worker[1234]\n");
	event = pressure_at(12345, MP_PRESSURE_PSI);
	e->some_pct = 23.4;
	check_view(&view, &event, "  +12.345s PRESSURE psi  /app  91.2 % of 512 MiB, stall 23 %\n");
	e->cgroup = NULL;
	e->full_pct = 4;
	e->limit = MP_UNKNOWN;
	check_view(&view, &event,
		   "  +12.345s PRESSURE psi  host  490 MiB, stall 23 % (full 4 %)\n");
	event = pressure_at(12345, MP_PRESSURE_MEMORY_EVENTS);
	e->low = 0;
	e->high = 12;
	e->max = 340;
	e->oom = 1;
	e->oom_kill = 1;
	check_view(&view, &event,
		   "  +12.345s PRESSURE memory.events  /app  91.2 % of 512 MiB, high 12, max 340,\n"
		   "           oom 1, oom_kill 1\n");
	event = pressure_at(12345, MP_PRESSURE_MEMCG_V1);
	e->v1_level = "critical";
	e->usage_pct = -1;
	e->working_set = MP_UNKNOWN;
	check_view(&view, &event, "  +12.345s PRESSURE memcg_v1  /app  level critical\n");
	e->v1_level = NULL;
	e->reclaims = 1;
	e->pid = 7;
	e->comm = NULL;
	check_view(&view, &event, "  +12.345s PRESSURE memcg_v1  /app  1 reclaim, by [7]\n");
}

static void an_incident_is_shown_once(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = pressure_at(12345, MP_PRESSURE_USAGE);

	(void)state;
	view.color = true;
	check_view(&view, &event,
		   "  +12.345s \033[33mPRESSURE usage  /app  91.2 % of 512 MiB\033[0m\n");
	event.pressure.repeated = true;
	check_view(&view, &event, "");
	view.verbose = 1;
	check_view(&view, &event,
		   "  +12.345s \033[2mPRESSURE usage  /app  91.2 % of 512 MiB\033[0m\n");
}

static void gates(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = probe_at(0, MP_PHASE_ENTER);

	(void)state;
	event.probe.gate = MP_GATE_HELD;
	event.probe.gate_deadline_ns = 10 * SEC;
	event.probe.size = 3 * GIB / 2;
	check_view(
		&view, &event,
		"   +0.000s    4242 model_loader.load_model enter         1.23 GiB             "
		"86\n"
		"           gate: the call for 1.50 GiB is held before it begins, for 10.0 s at\n"
		"           most\n");
	event.probe.gate = MP_GATE_WOULD;
	event.probe.gate_deadline_ns = MP_UNKNOWN;
	event.probe.size = MP_UNKNOWN;
	check_view(&view, &event,
		   "   +0.000s    4242 model_loader.load_model enter         1.23 GiB             "
		   "86\n"
		   "           gate: the call would be held with --enforce\n");
}

static struct mp_event decision_at(uint64_t ms, enum mp_severity severity)
{
	struct mp_event event = event_at(MP_EVENT_DECISION, ms);

	event.decision = (struct mp_event_decision){
		.severity = severity,
		.previous = MP_SEVERITY_WARNING,
		.point = "model_loader.load_model",
		.pid = 4242,
		.cgroup = "/app/job",
		.limit_cgroup = "/app",
		.reason = "above gc 85 %",
		.usage_pct = 86,
		.working_set = 1846835937,
		.limit = 2 * GIB,
		.some_pct = -1,
		.full_pct = -1,
	};
	return event;
}

static void decisions(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = decision_at(12345, MP_SEVERITY_GC);

	(void)state;
	check_view(&view, &event,
		   "  +12.345s ! gc  model_loader.load_model[4242]  1.72 GiB of 2.00 GiB (86 %):\n"
		   "           above gc 85 %\n");
	event.decision.some_pct = 23;
	event.decision.full_pct = 0;
	event.decision.point = NULL;
	view.verbose = 1;
	check_view(&view, &event,
		   "  +12.345s ! gc  [4242] in /app/job  1.72 GiB of 2.00 GiB (86 %), stall 23 %:\n"
		   "           above gc 85 %\n");
	view.verbose = 0;
	event.decision.pid = 0;
	event.decision.severity = MP_SEVERITY_NORMAL;
	event.decision.limit = MP_UNKNOWN;
	event.decision.usage_pct = -1;
	event.decision.some_pct = 0;
	event.decision.reason = NULL;
	check_view(&view, &event, "  +12.345s normal  /app  1.72 GiB\n");
	event.decision.limit_cgroup = NULL;
	event.decision.working_set = MP_UNKNOWN;
	event.decision.some_pct = 12;
	check_view(&view, &event, "  +12.345s normal  host  stall 12 %\n");
}

static struct mp_event action_at(uint64_t ms, const char *name, enum mp_action_result result)
{
	struct mp_event event = event_at(MP_EVENT_ACTION, ms);

	event.action = (struct mp_event_action){
		.action = name,
		.result = result,
		.pid = 7,
		.cgroup = "/app",
		.freed_bytes = MP_UNKNOWN,
		.usage_before = MP_UNKNOWN,
		.usage_after = MP_UNKNOWN,
		.some_before_pct = -1,
		.some_after_pct = -1,
		.duration_ns = MP_UNKNOWN,
	};
	return event;
}

static void actions(void **state)
{
	static const char *const stack[] = {"load_model+0x10 (app)", "main+0x20 (app)"};
	struct mp_textview view = view_of(80);
	struct mp_event event = action_at(12345, "stack", MP_RESULT_DONE);

	(void)state;
	event.action.point = "p";
	event.action.stack = stack;
	event.action.n_stack = 2;
	check_view(&view, &event,
		   "  +12.345s > stack done  p[7]\n"
		   "             #0  load_model+0x10 (app)\n"
		   "             #1  main+0x20 (app)\n");
	event = action_at(12345, "relieve", MP_RESULT_FAILED);
	event.action.duration_ns = 1500;
	event.action.detail = "gone";
	check_view(&view, &event, "  +12.345s > relieve failed  [7]  in 1.50 us: gone\n");
	event = action_at(12345, "freeze", MP_RESULT_WOULD);
	event.action.pid = 0;
	check_view(&view, &event, "  +12.345s > freeze would  /app\n");
	event.action.cgroup = NULL;
	check_view(&view, &event, "  +12.345s > freeze would  host\n");
}

static void effects_of_actions(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = action_at(12345, "reclaim", MP_RESULT_DONE);

	(void)state;
	event.action.pid = 0;
	event.action.freed_bytes = 120 * MIB;
	check_view(&view, &event, "  +12.345s > reclaim done  /app  freed 120 MiB\n");
	event.action.duration_ns = 1200000000;
	event.action.usage_before = 466 * MIB;
	event.action.usage_after = 346 * MIB;
	event.action.some_before_pct = 23.4;
	check_view(&view, &event,
		   "  +12.345s > reclaim done  /app  freed 120 MiB in 1.20 s, usage 466 MiB \u2192 "
		   "346\n"
		   "           MiB\n");
	event.action.some_after_pct = 0;
	event.action.usage_after = MP_UNKNOWN;
	check_view(
		&view, &event,
		"  +12.345s > reclaim done  /app  freed 120 MiB in 1.20 s, stall 23 \u2192 0 %\n");
	event.action.freed_bytes = MP_UNKNOWN;
	event.action.duration_ns = MP_UNKNOWN;
	check_view(&view, &event, "  +12.345s > reclaim done  /app  stall 23 \u2192 0 %\n");
}

#define NO_EVENTS                                                                                  \
	{                                                                                          \
		MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN                         \
	}

static struct mp_event oom_at(uint64_t ms, const struct mp_in_flight *calls, size_t n)
{
	struct mp_event event = event_at(MP_EVENT_OOM, ms);

	event.oom = (struct mp_event_oom){
		.pid = 4242,
		.comm = "worker",
		.cgroup = "/app",
		.is_target = true,
		.rss = 12 * GIB / 5,
		.rss_anon = 23 * GIB / 10,
		.swap = 0,
		.by_pid = 4242,
		.by_comm = "loader",
		.in_flight = calls,
		.n_in_flight = n,
		.events = NO_EVENTS,
	};
	return event;
}

static void oom_stories(void **state)
{
	static const struct mp_in_flight calls[] = {
		{"load_model", 4242, 3200000000, 21 * GIB / 10},
		{"read_shard", 4250, 63 * SEC, MP_UNKNOWN_DELTA},
		{"step", 4242, MP_UNKNOWN, 0},
	};
	static const struct mp_history_entry history[] = {
		{START_NS + 1 * SEC, false, MP_SEVERITY_WARNING, 0, "working set 77 %"},
		{START_NS + 14 * SEC, false, MP_SEVERITY_CRITICAL, 0, "working set 96 %"},
		{START_NS + 14200000000, true, 0, MP_RESULT_DONE, "reclaim: freed 12.0 MiB"},
		{MP_UNKNOWN, true, 0, MP_RESULT_FAILED, NULL},
	};
	struct mp_textview view = view_of(80);
	struct mp_textview narrow = view_of(60);
	struct mp_event event = oom_at(14553, calls, 3);

	(void)state;
	event.oom.history = history;
	event.oom.n_history = 3;
	event.oom.events = (struct mp_cgroup_events){0, 12, 340, 1, MP_UNKNOWN};
	check_view(&view, &event,
		   "  +14.553s OOM KILL  worker[4242] in /app: killed while inside load_model for\n"
		   "           3.20 s, RSS +2.10 GiB since its entry\n"
		   "           and inside read_shard for 1m03s (thread 4250)\n"
		   "           and inside step, RSS 0 B since its entry\n"
		   "           it held 2.40 GiB (2.30 GiB anon); cgroup events: high 12, max 340,\n"
		   "           oom 1\n"
		   "           before: +1.000s warning \"working set 77 %\"; +14.000s critical\n"
		   "           \"working set 96 %\"; +14.200s done \"reclaim: freed 12.0 MiB\"\n");
	event.oom.n_in_flight = 1;
	event.oom.n_history = 4;
	event.oom.swap = 3 * MIB;
	check_view(&narrow, &event,
		   "  +14.553s OOM KILL  worker[4242] in /app: killed while\n"
		   "           inside load_model for 3.20 s, RSS +2.10 GiB since\n"
		   "           its entry\n"
		   "           it held 2.40 GiB (2.30 GiB anon) and 3.00 MiB in\n"
		   "           swap; cgroup events: high 12, max 340, oom 1\n"
		   "           before: +14.000s critical \"working set 96 %\";\n"
		   "           +14.200s done \"reclaim: freed 12.0 MiB\"; failed\n");
	narrow.verbose = 1;
	event.oom.n_in_flight = 0;
	event.oom.rss = MP_UNKNOWN;
	check_view(&narrow, &event,
		   "  +14.553s OOM KILL  worker[4242] in /app\n"
		   "           cgroup events: high 12, max 340, oom 1\n"
		   "           before: +1.000s warning \"working set 77 %\";\n"
		   "           +14.000s critical \"working set 96 %\"; +14.200s\n"
		   "           done \"reclaim: freed 12.0 MiB\"; failed\n");
}

static void an_oom_kill_is_red(void **state)
{
	static const struct mp_in_flight calls[] = {{"a", 4242, MP_UNKNOWN, MP_UNKNOWN_DELTA},
						    {"b", 4242, MP_UNKNOWN, MP_UNKNOWN_DELTA}};
	struct mp_textview view = view_of(80);
	struct mp_event event = oom_at(553, calls, 2);

	(void)state;
	view.color = true;
	event.oom.rss_anon = MP_UNKNOWN;
	check_view(&view, &event,
		   "   +0.553s \033[1;31mOOM KILL  worker[4242] in /app: killed while inside "
		   "a\033[0m\n"
		   "           \033[31mand inside b\033[0m\n"
		   "           it held 2.40 GiB\n");
}

/* Chosen for what another asked for, by a kernel that tells the pid alone. */
static void oom_of_whom_little_is_known(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = oom_at(553, NULL, 0);

	(void)state;
	event.oom.by_pid = 77;
	check_view(&view, &event,
		   "   +0.553s OOM KILL  worker[4242] in /app\n"
		   "           it held 2.40 GiB (2.30 GiB anon); the memory was for loader[77]\n");
	event.oom.comm = NULL;
	event.oom.cgroup = NULL;
	event.oom.rss = MP_UNKNOWN;
	event.oom.events.oom_kill = 1;
	check_view(&view, &event,
		   "   +0.553s OOM KILL  [4242]\n"
		   "           the memory was for loader[77]; cgroup events: oom_kill 1\n");
	event.oom.by_comm = NULL;
	event.oom.events.oom_kill = 0;
	check_view(&view, &event,
		   "   +0.553s OOM KILL  [4242]\n"
		   "           the memory was for [77]\n");
	event.oom.by_pid = 0;
	check_view(&view, &event, "   +0.553s OOM KILL  [4242]\n");
	view.quiet = true;
	check_view(&view, &event, "");
}

static void oom_of_hostile_names(void **state)
{
	static const struct mp_in_flight calls[] = {{hostile, 4250, 5, -3 * MIB}};
	static const struct mp_history_entry history[] = {
		{START_NS, true, 0, MP_RESULT_DONE, "hook:/\033[2J\n\xff: \""},
	};
	struct mp_textview view = view_of(80);
	struct mp_textview narrow = view_of(60);
	struct mp_event event = oom_at(0, calls, 1);

	(void)state;
	event.oom.comm = "\033[2J\n\xff";
	event.oom.cgroup = "/a\nb/\xe2\x80\xae";
	event.oom.by_pid = 7;
	event.oom.by_comm = "\t";
	event.oom.history = history;
	event.oom.n_history = 1;
	check_view(&view, &event,
		   "   +0.000s OOM KILL  \\e[2J\\n\\xff[4242] in /a\\nb/\\u{202e}: killed while "
		   "inside\n"
		   "           \\n\\e[31mx\\r\\xff\\xfe\xe6\xa8\xa1\xe2\x80\xa6"
		   "\xf0\x9f\x90\xa7 e\xcc\x81\xcc\x81 \\u{202e} \\t tail for 5 ns, RSS -3.00 MiB\n"
		   "           since its entry (thread 4250)\n"
		   "           it held 2.40 GiB (2.30 GiB anon); the memory was for \\t[7]\n"
		   "           before: +0.000s done \"hook:/\\e[2J\\n\\xff: \"\"\n");
	check_view(&narrow, &event,
		   "   +0.000s OOM KILL  \\e[2J\\n\\xff[4242] in /a\\nb/\\u{202e}:\n"
		   "           killed while inside \\n\\e[31mx\\r\\xff\\xfe\xe6\xa8\xa1\xe2\x80\xa6"
		   "\xf0\x9f\x90\xa7 e\xcc\x81\xcc\x81\n"
		   "           \\u{202e} \\t tail for 5 ns, RSS -3.00 MiB since\n"
		   "           its entry (thread 4250)\n"
		   "           it held 2.40 GiB (2.30 GiB anon); the memory was\n"
		   "           for \\t[7]\n"
		   "           before: +0.000s done \"hook:/\\e[2J\\n\\xff: \"\"\n");
}

/* The decision's own line is the log; it is not said twice. */
static void plain_log_is_silent(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = action_at(1000, "log", MP_RESULT_DONE);

	(void)state;
	event.action.cgroup = NULL;
	check_view(&view, &event, "");
	event.action.result = MP_RESULT_FAILED;
	check_view(&view, &event, "   +1.000s > log failed  [7]\n");
	event.action.result = MP_RESULT_DONE;
	view.verbose = 1;
	check_view(&view, &event, "   +1.000s > log done  [7]\n");
}

static void losses(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = event_at(MP_EVENT_LOST, 500);

	(void)state;
	event.lost = (struct mp_event_lost){.source = "ring", .count = 997};
	check_view(&view, &event,
		   "   +0.500s ! 997 records lost: ring (the summary still counts every call)\n");
	event.lost.count = 1;
	check_view(&view, &event,
		   "   +0.500s ! 1 record lost: ring (the summary still counts every call)\n");
	event.lost.count = MP_UNKNOWN;
	check_view(&view, &event,
		   "   +0.500s ! records lost: ring (the summary still counts every call)\n");
}

static struct mp_event site_of(enum mp_site_status status, const char *reason)
{
	struct mp_event event = event_at(MP_EVENT_SITE, 1);

	event.site = (struct mp_event_site){
		.point = "cache.get",
		.kind = MP_SITE_UPROBE,
		.binary = "/usr/bin/app",
		.symbol = "cache_get",
		.offset = 0x1139,
		.insn = "emulated",
		.status = status,
		.reason = reason,
	};
	return event;
}

static void start_and_sites(void **state)
{
	static const char *const targets[] = {"comm:redis-server", "pid:7"};
	struct mp_textview view = {.width = 80};
	struct mp_event attached = site_of(MP_SITE_ATTACHED, NULL);
	struct mp_event waiting = site_of(MP_SITE_WAITING, "no binary has it yet");
	struct mp_event failed = site_of(MP_SITE_FAILED, "instruction cannot be probed");
	struct mp_event probe = probe_at(5, MP_PHASE_ENTER);
	struct mp_event event = event_at(MP_EVENT_START, 0);
	MP_TEXT struct mp_text out = {0};

	(void)state;
	event.start = (struct mp_event_start){.version = "0.1.0",
					      .kernel = "6.18.0",
					      .cgroup_mode = "hybrid",
					      .targets = targets,
					      .n_targets = 2};
	check_view(&view, &event,
		   "memprobe-bpf 0.1.0 on 6.18.0 \u00b7 cgroup hybrid \u00b7 comm:redis-server, "
		   "pid:7\n");
	check_view(&view, &attached, "");
	check_view(&view, &waiting, "");
	check_view(&view, &failed,
		   "  failed cache.get: uprobe /usr/bin/app:cache_get (instruction cannot be "
		   "probed)\n");
	mp_textview_write(&view, &out, &probe);
	assert_memory_equal(out.data, "1 site attached, 1 waiting, 1 failed\n      TIME", 47);
	mp_text_reset(&out);
	mp_textview_tell_sites(&view, &out);
	assert_int_equal(out.len, 0);
	check_view(&view, &attached, "");
	mp_textview_tell_sites(&view, &out);
	assert_string_equal(out.data, "2 sites attached, 1 waiting, 1 failed\n");
}

/* When nothing is attached, the user wants to know why. */
static void waiting_alone_is_explained(void **state)
{
	struct mp_textview view = {.width = 80};
	struct mp_event waiting = site_of(MP_SITE_WAITING, "no binary has it yet");

	(void)state;
	check_view(&view, &waiting,
		   "  waiting cache.get: uprobe /usr/bin/app:cache_get (no binary has it yet)\n");
	waiting.site.binary = NULL;
	waiting.site.symbol = NULL;
	check_view(&view, &waiting, "  waiting cache.get (no binary has it yet)\n");
}

/* A thousand points that wait are not a thousand lines. */
static void many_sites_are_only_counted(void **state)
{
	struct mp_textview view = {.width = 80};
	struct mp_event waiting = site_of(MP_SITE_WAITING, NULL);
	MP_TEXT struct mp_text out = {0};

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		mp_textview_write(&view, &out, &waiting);
	assert_int_equal(check_lines(&out, 80), 16);
	mp_text_reset(&out);
	mp_textview_tell_sites(&view, &out);
	assert_string_equal(out.data, "0 sites attached, 1000 waiting\n");
}

static void verbose_tells_all(void **state)
{
	static const struct mp_event_arg args[] = {
		{.name = "size", .type = MP_ARG_U64, .value = 1000003},
		{.name = "delta", .type = MP_ARG_S64, .value = (uint64_t)-5},
		{.name = "path", .type = MP_ARG_STR, .str = "/a\n"},
		{.name = "gone", .type = MP_ARG_STR},
	};
	static const struct mp_event_arg ret = {.name = "r", .type = MP_ARG_PTR, .value = 0x7f00};
	static const uint64_t stack[] = {0x401139};
	struct mp_textview view = view_of(80);
	struct mp_event event = site_of(MP_SITE_ATTACHED, NULL);

	(void)state;
	view.verbose = 1;
	event.site.risk = "shared by 2 points";
	check_view(
		&view, &event,
		"  attached cache.get: uprobe /usr/bin/app:cache_get at 0x1139, emulated, risk:\n"
		"  shared by 2 points\n");
	view.sites_told = view.sites_attached;
	event = probe_at(0, MP_PHASE_EXIT);
	event.probe.args = args;
	event.probe.n_args = 4;
	event.probe.ret = &ret;
	event.probe.stack = stack;
	event.probe.n_stack = 1;
	check_view(
		&view, &event,
		"   +0.000s    4242 model_loader.load_model exit  12.3 ms 1.23 GiB +3.00 MiB   86\n"
		"           size=1000003 delta=-5 path=\"/a\\n\" gone=? -> r=0x7f00\n"
		"             #0  0x401139\n");
	event = event_at(MP_EVENT_PROCESS, 0);
	event.process = (struct mp_event_process){
		.op = MP_PROCESS_FORK, .pid = 7, .parent = 5, .comm = "sh"};
	check_view(&view, &event, "   +0.000s fork sh[7] by 5\n");
	event.process = (struct mp_event_process){
		.op = MP_PROCESS_EXIT, .pid = 7, .comm = "sh", .exit_code = 3 << 8};
	check_view(&view, &event, "   +0.000s exit sh[7], exit code 3\n");
	event.process.exit_code = 9;
	check_view(&view, &event, "   +0.000s exit sh[7], killed by signal 9\n");
	event.process.exit_code = MP_EXIT_STATUS_UNKNOWN;
	check_view(&view, &event, "   +0.000s exit sh[7], nobody saw how\n");
	view.verbose = 0;
	check_view(&view, &event, "");
}

static const struct mp_summary_point sample_points[] = {
	{.point = "model_loader.load_model",
	 .level = MP_LEVEL_CRITICAL,
	 .hits = 7,
	 .returns = 7,
	 .emitted = 14,
	 .duration_p50_ns = 1230000000,
	 .duration_p99_ns = 4560000000,
	 .duration_max_ns = 4567000000,
	 .rss_total = 7 * GIB,
	 .rss_max = GIB + GIB / 4},
	{.point = "srt_parser.parse_file",
	 .level = MP_LEVEL_MEDIUM,
	 .hits = 999983,
	 .returns = 999983,
	 .emitted = 100,
	 .suppressed = 1999866,
	 .duration_p50_ns = 1200,
	 .duration_p99_ns = 9870,
	 .duration_max_ns = 1234567,
	 .rss_total = -4 * MIB,
	 .rss_max = 8192},
	{.point = "never.one",
	 .duration_p50_ns = MP_UNKNOWN,
	 .duration_p99_ns = MP_UNKNOWN,
	 .duration_max_ns = MP_UNKNOWN,
	 .rss_max = MP_UNKNOWN_DELTA},
	{.point = "never.two"},
};

static struct mp_event summary_of(const struct mp_summary_point *points, size_t n)
{
	struct mp_event event = event_at(MP_EVENT_SUMMARY, 10000);

	event.summary = (struct mp_event_summary){.points = points,
						  .n_points = n,
						  .duration_ns = 10 * SEC,
						  .received = 114,
						  .complete = true};
	return event;
}

static void summary_table(void **state)
{
	struct mp_textview view = view_of(90);
	struct mp_event event = summary_of(sample_points, 4);

	(void)state;
	check_view(&view, &event,
		   "\n"
		   "POINT                   LEVEL      HITS RETURNS     P50     P99     MAX GROWTH "
		   "MAXGROWTH\n"
		   "model_loader.load_model critical      7       7  1.23 s  4.56 s  4.57 s +7.00G "
		   "   +1.25G\n"
		   "srt_parser.parse_file   medium   999983  999983 1.20 us 9.87 us 1.23 ms -4.00M "
		   "   +8.00K\n"
		   "never hit: never.one, never.two\n"
		   "114 records received, 1999866 suppressed, 0 lost in 10.0 s: complete\n");
	/* Names need the room: every call has returned, so that is said by leaving it out. */
	view.width = 80;
	check_view(
		&view, &event,
		"\n"
		"POINT                   LEVEL      HITS     P50     P99     MAX GROWTH MAXGROWTH\n"
		"model_loader.load_model critical      7  1.23 s  4.56 s  4.57 s +7.00G    +1.25G\n"
		"srt_parser.parse_file   medium   999983 1.20 us 9.87 us 1.23 ms -4.00M    +8.00K\n"
		"never hit: never.one, never.two\n"
		"114 records received, 1999866 suppressed, 0 lost in 10.0 s: complete\n");
}

static void summary_says_what_is_missing(void **state)
{
	struct mp_summary_point points[2];
	struct mp_textview view = view_of(80);
	struct mp_event event = summary_of(points, 2);

	(void)state;
	memcpy(points, sample_points, sizeof(points));
	points[0].returns = 6;
	points[0].missed = 1;
	points[1].lost = 17;
	view.quiet = true;
	event.summary.complete = false;
	check_view(
		&view, &event,
		"\n"
		"POINT                     HITS RETURNS     P50     P99     MAX GROWTH MAXGROWTH\n"
		"model_loader.load_model      7       6  1.23 s  4.56 s  4.57 s +7.00G    +1.25G\n"
		"srt_parser.parse_file   999983  999983 1.20 us 9.87 us 1.23 ms -4.00M    +8.00K\n"
		"unpaired calls: 1 (counted, but without a duration or growth)\n"
		"114 records received, 1999866 suppressed, 17 lost in 10.0 s: INCOMPLETE: not all\n"
		"that was received was put out\n");
	event.summary.received = 100;
	event.summary.n_points = 0;
	check_view(
		&view, &event,
		"\n"
		"100 records received, 0 suppressed, 0 lost in 10.0 s: INCOMPLETE: not all that\n"
		"was received was put out\n");
	points[0] = sample_points[0];
	event.summary.n_points = 1;
	event.summary.received = 3;
	check_view(
		&view, &event,
		"\n"
		"POINT                   LEVEL    HITS    P50    P99    MAX GROWTH MAXGROWTH\n"
		"model_loader.load_model critical    7 1.23 s 4.56 s 4.57 s +7.00G    +1.25G\n"
		"3 records received, 0 suppressed, 0 lost in 10.0 s: INCOMPLETE: 11 of 14 emitted\n"
		"did not arrive\n");
}

static void watch(struct mp_textview *view, const struct mp_event *event)
{
	MP_TEXT struct mp_text out = {0};

	mp_textview_write(view, &out, event);
}

static void watch_pressure(struct mp_textview *view, const char *cgroup, uint64_t incident,
			   bool repeated)
{
	struct mp_event event = pressure_at(1, MP_PRESSURE_PSI);

	event.pressure.cgroup = cgroup;
	event.pressure.incident = incident;
	event.pressure.repeated = repeated;
	watch(view, &event);
}

static void watch_decision(struct mp_textview *view, const char *domain, enum mp_severity severity)
{
	struct mp_event event = decision_at(1, severity);

	event.decision.limit_cgroup = domain;
	watch(view, &event);
}

static void watch_action(struct mp_textview *view, const char *name, enum mp_action_result result,
			 uint64_t freed_bytes)
{
	struct mp_event event = action_at(1, name, result);

	event.action.freed_bytes = freed_bytes;
	watch(view, &event);
}

#define VERDICT "114 records received, 0 suppressed, 0 lost in 10.0 s: complete\n"

static void summary_of_pressure(void **state)
{
	struct mp_textview view = view_of(80);
	struct mp_event event = summary_of(NULL, 0);
	struct mp_event kill = oom_at(1, NULL, 0);

	(void)state;
	view.quiet = true;
	check_view(&view, &event, "\n" VERDICT);
	/* Not even a domain that is back to normal is one under pressure. */
	watch_decision(&view, "/calm", MP_SEVERITY_NORMAL);
	watch_action(&view, "log", MP_RESULT_DONE, MP_UNKNOWN);
	check_view(&view, &event, "\n" VERDICT);
	watch_pressure(&view, "/app", 1, false);
	check_view(&view, &event, "\npressure: /app 1 incident\n" VERDICT);
	watch_pressure(&view, "/app", 1, true);
	/* The first record of the second incident was lost. */
	watch_pressure(&view, "/app", 2, true);
	watch_pressure(&view, "/app", 3, false);
	watch_pressure(&view, NULL, 0, false);
	watch_pressure(&view, NULL, 0, true);
	watch_decision(&view, "/app", MP_SEVERITY_CRITICAL);
	watch_decision(&view, "/app", MP_SEVERITY_GC);
	watch_decision(&view, NULL, MP_SEVERITY_WARNING);
	watch_decision(&view, "/b", MP_SEVERITY_GC);
	watch_action(&view, "reclaim", MP_RESULT_DONE, 120 * MIB);
	watch_action(&view, "gate", MP_RESULT_WOULD, MP_UNKNOWN);
	watch_action(&view, "reclaim", MP_RESULT_FAILED, 20 * MIB);
	watch_action(&view, "reclaim", MP_RESULT_DONE, 200 * MIB);
	watch_action(&view, "stack", MP_RESULT_SKIPPED, 0);
	watch(&view, &kill);
	kill.oom.is_target = false;
	watch(&view, &kill);
	watch(&view, &kill);
	check_view(
		&view, &event,
		"\n"
		"pressure: /app 3 incidents, worst critical; host 1 incident, worst warning; /b\n"
		"worst gc\n"
		"actions: reclaim 2 done, 1 failed, freed 340 MiB; gate 1 would; stack 1 skipped\n"
		"OOM kills: 3, of targets: 1\n" VERDICT);
	view.color = true;
	view.tally.n_actions = 0;
	view.tally.n_domains = 1;
	check_view(
		&view, &event,
		"\n"
		"\033[1;31mpressure: /app 3 incidents, worst critical\033[0m\n"
		"\033[1;31mOOM kills: 3, of targets: 1\033[0m\n"
		"\033[32m114 records received, 0 suppressed, 0 lost in 10.0 s: complete\033[0m\n");
}

static void more_domains_than_there_is_room_for(void **state)
{
	struct mp_textview view = view_of(200);
	struct mp_event event = summary_of(NULL, 0);
	char name[600];

	(void)state;
	view.quiet = true;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	watch_pressure(&view, name, 1, false);
	watch_action(&view, name, MP_RESULT_DONE, 1);
	check_view(&view, &event,
		   "\npressure: records of other groups: 1\nactions: others: 1\n" VERDICT);
	for (unsigned int i = 0; i < MP_TALLY_ROWS + 3; i++) {
		snprintf(name, sizeof(name), "/%u", i);
		watch_pressure(&view, name, 1, false);
		watch_action(&view, name, MP_RESULT_DONE, 0);
		watch_decision(&view, name, MP_SEVERITY_GC);
	}
	assert_int_equal(view.tally.n_domains, MP_TALLY_ROWS);
	assert_int_equal(view.tally.other_pressure, 4);
	assert_int_equal(view.tally.n_actions, MP_TALLY_ROWS);
	assert_int_equal(view.tally.other_actions, 4);
	assert_string_equal(view.tally.domains[MP_TALLY_ROWS - 1].name, "/15");
	watch_action(&view, "/3", MP_RESULT_FAILED, UINT64_MAX - 1);
	watch_action(&view, "/3", MP_RESULT_FAILED, UINT64_MAX - 1);
	assert_int_equal(view.tally.actions[3].results[MP_RESULT_FAILED], 2);
	assert_true(view.tally.actions[3].freed_bytes == UINT64_MAX - 1);
}

static void many_points_never_hit_are_one_line(void **state)
{
	struct mp_summary_point points[1000];
	struct mp_event event = summary_of(points, 1000);
	struct mp_textview view = view_of(80);

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		points[i] = sample_points[3];
	check_view(&view, &event,
		   "\n"
		   "never hit: never.two, never.two, never.two, never.two and 996 more\n"
		   "114 records received, 0 suppressed, 0 lost in 10.0 s: complete\n");
	for (size_t i = 0; i < 1000; i++)
		points[i].point =
			"a.name.that.is.longer.than.all.the.room.that.there.is.in.the.line";
	check_view(&view, &event,
		   "\n"
		   "never hit: 1000 points\n"
		   "114 records received, 0 suppressed, 0 lost in 10.0 s: complete\n");
}

static void quiet_is_the_summary_only(void **state)
{
	struct mp_textview view = {.width = 80, .quiet = true};

	(void)state;
	for (enum mp_event_type type = 0; type < MP_EVENT_TYPE_COUNT; type++) {
		struct mp_event event = event_at(type, 0);

		if (type == MP_EVENT_SUMMARY)
			continue;
		check_view(&view, &event, "");
	}
}

/* --- hostile names and numbers at their ends ---------------------------------- */

static void fill_probe(struct mp_event *event, const char *name, uint64_t n)
{
	static struct mp_event_arg args[MP_MAX_ARGS];
	static const char *frames[MP_STACK_DEPTH];

	for (size_t i = 0; i < MP_MAX_ARGS; i++)
		args[i] = (struct mp_event_arg){name, (enum mp_arg_type)(i % 4), n, name};
	for (size_t i = 0; i < MP_STACK_DEPTH; i++)
		frames[i] = name;
	event->probe = (struct mp_event_probe){
		.point = name,
		.level = MP_LEVEL_HIGH,
		.phase = MP_PHASE_EXIT,
		.pid = (uint32_t)n,
		.tid = (uint32_t)n,
		.comm = name,
		.cgroup = name,
		.rss = n,
		.usage_pct = (double)n,
		.duration_ns = n,
		.rss_delta = (int64_t)(n / 2 + 1),
		.args = args,
		.n_args = MP_MAX_ARGS,
		.ret = &args[0],
		.stack_text = frames,
		.n_stack = MP_STACK_DEPTH,
		.gate = MP_GATE_HELD,
		.gate_deadline_ns = n,
		.size = n,
	};
}

static void fill_pressure(struct mp_event *event, const char *name, uint64_t n)
{
	event->pressure = (struct mp_event_pressure){
		.source = MP_PRESSURE_MEMORY_EVENTS,
		.cgroup = name,
		.pid = (uint32_t)n,
		.comm = name,
		.limit = n,
		.usage_pct = (double)n,
		.some_pct = (double)n,
		.full_pct = (double)n,
		.stall_ns = n,
		.reclaims = n,
		.reclaimed_pages = n,
		.low = n,
		.high = n,
		.max = n,
		.oom = n,
		.oom_kill = n,
		.v1_level = name,
		.repeated = n & 1,
	};
}

static void fill_oom(struct mp_event *event, const char *name, uint64_t n)
{
	static struct mp_in_flight calls[2];
	static struct mp_history_entry history[2];

	history[0] = (struct mp_history_entry){n, false, MP_SEVERITY_CRITICAL, 0, name};
	history[1] = (struct mp_history_entry){n, true, 0, MP_RESULT_FAILED, name};
	calls[0] = (struct mp_in_flight){name, (uint32_t)n, n, (int64_t)(n / 2 + 1)};
	calls[1] = (struct mp_in_flight){name, (uint32_t)n, n, INT64_MIN + 1};
	event->oom = (struct mp_event_oom){
		.pid = (uint32_t)n,
		.comm = name,
		.cgroup = name,
		.rss = n,
		.rss_anon = n,
		.swap = n,
		.by_pid = 7,
		.by_comm = name,
		.in_flight = calls,
		.n_in_flight = 2,
		.history = history,
		.n_history = 2,
		.events = {n, n, n, n, n},
	};
}

static void fill_event(struct mp_event *event, const char *name, uint64_t n)
{
	static const char *list[3];
	static struct mp_summary_point points[4];

	list[0] = list[1] = list[2] = name;
	for (size_t i = 0; i < 4; i++)
		points[i] = (struct mp_summary_point){.point = name,
						      .hits = i < 2 ? n : 0,
						      .returns = i < 2 ? n - 1 : 0,
						      .emitted = n,
						      .suppressed = n,
						      .lost = n,
						      .missed = n,
						      .duration_p50_ns = n,
						      .duration_p99_ns = n,
						      .duration_max_ns = n,
						      .rss_total = INT64_MAX,
						      .rss_max = INT64_MIN + 1};
	if (event->type == MP_EVENT_START)
		event->start = (struct mp_event_start){.version = name,
						       .kernel = name,
						       .cgroup_mode = name,
						       .targets = list,
						       .n_targets = 3,
						       .features = list,
						       .n_features = 3};
	else if (event->type == MP_EVENT_SITE)
		event->site =
			(struct mp_event_site){.point = name,
					       .binary = name,
					       .symbol = name,
					       .offset = n,
					       .insn = name,
					       .risk = name,
					       .status = n & 1 ? MP_SITE_FAILED : MP_SITE_ATTACHED,
					       .reason = name};
	else if (event->type == MP_EVENT_PROBE)
		fill_probe(event, name, n);
	else if (event->type == MP_EVENT_PROCESS)
		event->process = (struct mp_event_process){MP_PROCESS_FORK, (uint32_t)n,
							   (uint32_t)n, (int)n, name};
	else if (event->type == MP_EVENT_PRESSURE)
		fill_pressure(event, name, n);
	else if (event->type == MP_EVENT_OOM)
		fill_oom(event, name, n);
	else if (event->type == MP_EVENT_DECISION)
		event->decision = (struct mp_event_decision){.severity = MP_SEVERITY_CRITICAL,
							     .point = name,
							     .pid = (uint32_t)n,
							     .cgroup = name,
							     .reason = name,
							     .usage_pct = (double)n,
							     .working_set = n,
							     .limit = n,
							     .some_pct = (double)n,
							     .full_pct = (double)n};
	else if (event->type == MP_EVENT_ACTION)
		event->action = (struct mp_event_action){.action = name,
							 .result = MP_RESULT_WOULD,
							 .point = name,
							 .pid = (uint32_t)n,
							 .cgroup = name,
							 .freed_bytes = n,
							 .usage_before = n,
							 .usage_after = n,
							 .some_before_pct = (double)n,
							 .some_after_pct = (double)n,
							 .duration_ns = n,
							 .detail = name,
							 .stack = list,
							 .n_stack = 3};
	else if (event->type == MP_EVENT_LOST)
		event->lost = (struct mp_event_lost){name, n};
	else if (event->type == MP_EVENT_SUMMARY)
		event->summary = (struct mp_event_summary){points, 4, n, n, n & 1};
	else
		event->stop = (struct mp_event_stop){name, (int)n};
}

static void no_line_is_too_wide(void **state)
{
	static const unsigned int widths[] = {60, 61, 65, 66, 71, 72, 79, 80, 103, 104, 200};
	static const uint64_t numbers[] = {1, INT64_MAX, UINT64_MAX - 1};
	char long_name[3000];
	const char *const names[] = {hostile, long_name, "", NULL, "\xe6\xa8\xa1", "plain"};

	(void)state;
	memset(long_name, 'w', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	for (size_t w = 0; w < MP_ARRAY_SIZE(widths); w++) {
		for (size_t i = 0; i < MP_ARRAY_SIZE(names) * MP_ARRAY_SIZE(numbers) * 2; i++) {
			struct mp_textview view = {
				.width = widths[w], .verbose = 1, .color = i & 1};
			MP_TEXT struct mp_text out = {0};

			for (enum mp_event_type t = 0; t < MP_EVENT_TYPE_COUNT; t++) {
				struct mp_event event = {.type = t, .ts_ns = t * (UINT64_MAX / 16)};
				const char *name = names[i / 2 % MP_ARRAY_SIZE(names)];

				if (!name && t == MP_EVENT_START)
					name = "";
				fill_event(&event, name, numbers[i / 2 / MP_ARRAY_SIZE(names)]);
				mp_textview_write(&view, &out, &event);
			}
			assert_true(check_lines(&out, widths[w]) > 10);
		}
	}
}

/* No stack of ours is that deep, but a recording may say so. */
static void deep_stacks_keep_to_the_width(void **state)
{
	struct mp_textview view = view_of(60);
	struct mp_event event = action_at(0, "stack", MP_RESULT_DONE);
	const char *frames[1001];
	MP_TEXT struct mp_text out = {0};
	char name[100];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < MP_ARRAY_SIZE(frames); i++)
		frames[i] = name;
	event.action.stack = frames;
	event.action.n_stack = MP_ARRAY_SIZE(frames);
	mp_textview_write(&view, &out, &event);
	assert_int_equal(check_lines(&out, 60), 1002);
}

/* --- cells ---------------------------------------------------------------------- */

static void check_cell(const char *s, size_t width, bool right, const char *expected)
{
	MP_TEXT struct mp_text out = {0};

	mp_cell_put(&out, s, (struct mp_cell){.width = width, .right = right});
	assert_string_equal(out.data, expected);
}

static void cells_keep_their_width(void **state)
{
	(void)state;
	check_cell("abc", 5, false, "abc  ");
	check_cell("abc", 5, true, "  abc");
	check_cell("abcde", 5, true, "abcde");
	check_cell("abcdef", 5, true, "ab\u2026ef");
	check_cell("abcdef", 4, false, "a\u2026ef");
	check_cell("abcdef", 2, false, "\u2026f");
	check_cell("abcdef", 1, false, "\u2026");
	check_cell("abcdef", 0, false, "");
	/* Two columns each: half a character is never shown. */
	check_cell("\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd", 8, false,
		   "\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd");
	check_cell("\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd", 7, false,
		   "\xe6\xa8\xa1\u2026\xe8\xbd\xbd  ");
	check_cell("\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0\xe8\xbd\xbd", 4, true,
		   " \u2026\xe8\xbd\xbd");
	check_cell("\n\n\n", 5, false, "\\n\u2026\\n");
}

static void check_paragraph(const char *text, size_t width, const char *lead, const char *expected)
{
	MP_TEXT struct mp_text out = {0};

	mp_paragraph_put(&out, text, (struct mp_paragraph){.width = width, .lead = lead});
	assert_string_equal(out.data, expected);
}

static void paragraphs_break_at_spaces(void **state)
{
	(void)state;
	check_paragraph("", 10, "", "\n");
	check_paragraph("one two", 7, "", "one two\n");
	check_paragraph("one two", 6, "", "one\ntwo\n");
	check_paragraph("one  two   three", 9, "> ", "> one\n  two\n  three\n");
	check_paragraph("abcdefghij k", 4, "", "abcd\nefgh\nij k\n");
	check_paragraph("a bcdefgh", 4, "", "a\nbcde\nfgh\n");
	check_paragraph("a  ", 4, "", "a\n");
	check_paragraph("\xe6\xa8\xa1\xe5\x9e\x8b\xe5\x8a\xa0", 5, "",
			"\xe6\xa8\xa1\xe5\x9e\x8b\n\xe5\x8a\xa0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe_lines),
		cmocka_unit_test(other_widths),
		cmocka_unit_test(long_runs),
		cmocka_unit_test(colors_only_when_asked),
		cmocka_unit_test(header_comes_again_on_a_terminal),
		cmocka_unit_test(pressure_lines),
		cmocka_unit_test(an_incident_is_shown_once),
		cmocka_unit_test(gates),
		cmocka_unit_test(decisions),
		cmocka_unit_test(actions),
		cmocka_unit_test(effects_of_actions),
		cmocka_unit_test(oom_stories),
		cmocka_unit_test(an_oom_kill_is_red),
		cmocka_unit_test(oom_of_whom_little_is_known),
		cmocka_unit_test(oom_of_hostile_names),
		cmocka_unit_test(plain_log_is_silent),
		cmocka_unit_test(losses),
		cmocka_unit_test(start_and_sites),
		cmocka_unit_test(waiting_alone_is_explained),
		cmocka_unit_test(many_sites_are_only_counted),
		cmocka_unit_test(verbose_tells_all),
		cmocka_unit_test(summary_table),
		cmocka_unit_test(summary_says_what_is_missing),
		cmocka_unit_test(summary_of_pressure),
		cmocka_unit_test(more_domains_than_there_is_room_for),
		cmocka_unit_test(many_points_never_hit_are_one_line),
		cmocka_unit_test(quiet_is_the_summary_only),
		cmocka_unit_test(no_line_is_too_wide),
		cmocka_unit_test(deep_stacks_keep_to_the_width),
		cmocka_unit_test(cells_keep_their_width),
		cmocka_unit_test(paragraphs_break_at_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
