// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "report/gather.h"
#include "report/json_read.h"
#include "report/memory_report.h"
#include "report/ndjson.h"
#include "report/thin.h"
#include "workdir.h"

#define GIB (1ULL << 30)
#define SEC 1000000000ULL
#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static struct mp_memory_sample sample(uint64_t t_ns, uint64_t usage)
{
	return (struct mp_memory_sample){
		.t_ns = t_ns,
		.usage = usage,
		.available = usage < GIB ? GIB - usage : 0,
		.filler = 4096,
		.requested = usage,
		.swap = MP_UNKNOWN,
		.some_ns = MP_UNKNOWN,
		.full_ns = MP_UNKNOWN,
		.target_rss = MP_UNKNOWN,
		.monitor_rss = 1 << 20,
	};
}

static struct mp_report_mark call(char *name, uint64_t t_ns, uint64_t duration_ns, uint32_t tid)
{
	return (struct mp_report_mark){.kind = MP_MARK_CALL,
				       .t_ns = t_ns,
				       .duration_ns = duration_ns,
				       .pid = 7,
				       .tid = tid,
				       .bytes = 4096,
				       .name = name,
				       .text = (char *)"app[7]"};
}

/* A report with something of everything. */
struct whole {
	struct mp_memory_sample samples[3];
	struct mp_memory_phase phases[1];
	struct mp_report_mark marks[2];
	struct mp_report_point points[1];
	struct mp_memory_report r;
};

static void fill(struct whole *w)
{
	*w = (struct whole){
		.samples = {sample(0, GIB / 4), sample(SEC / 2, GIB / 2),
			    sample(1234567890, GIB / 4)},
		.phases = {{.name = "hold",
			    .start_ns = 1,
			    .end_ns = SEC,
			    .due_ns = MP_UNKNOWN,
			    .requested = GIB / 2,
			    .achieved = GIB / 2 - 4096,
			    .requested_pct = 50,
			    .achieved_pct = 49.9996,
			    .error_pct = -0.0004}},
		.marks = {call((char *)"load", 100, 987654321, 8),
			  {.kind = MP_MARK_OOM,
			   .severity = MP_SEVERITY_CRITICAL,
			   .t_ns = SEC,
			   .duration_ns = MP_UNKNOWN,
			   .pid = 7,
			   .bytes = MP_UNKNOWN_DELTA,
			   .name = (char *)"a\"b\n</script>",
			   .text = NULL}},
		.points = {{.name = "load",
			    .level = MP_LEVEL_CRITICAL,
			    .hits = 3,
			    .returns = 2,
			    .duration_p50_ns = 5,
			    .duration_p99_ns = 6,
			    .duration_max_ns = 7,
			    .rss_total = -8,
			    .rss_max = MP_UNKNOWN_DELTA}},
	};
	w->r = (struct mp_memory_report){
		.version = "0.1.0",
		.test_mode = "burst",
		.command = "app",
		.begin_realtime_ns = 1795390522 * SEC,
		.duration_ns = 1234567891,
		.model_load_ns = MP_UNKNOWN,
		.cgroup = "/app",
		.kernel = "6.18",
		.limit = GIB,
		.outcome = MP_OUTCOME_OOM_KILLED,
		.verdict = "Ended",
		.environment = {.profile_name = "极限2GB模式",
				.total_bytes = 2 * GIB,
				.swap_bytes = MP_UNKNOWN,
				.limit_bytes = GIB},
		.thresholds = {75, 85, 90},
		.samples = w->samples,
		.n_samples = 3,
		.phases = w->phases,
		.n_phases = 1,
		.marks = w->marks,
		.n_marks = 2,
		.points = w->points,
		.n_points = 1,
		.pressure = {.some_ns = MP_UNKNOWN, .full_ns = MP_UNKNOWN, .oom_kills = 1},
		.leak = {.filler = {1.5, 1, 2, 0}, .filler_known = true},
	};
}

static void write_whole(struct mp_text *out)
{
	struct whole w;

	fill(&w);
	mp_report_write_json(out, &w.r);
}

/* --- JSON and back ------------------------------------------------------------------------ */

static void test_round_trip(void **state)
{
	MP_TEXT struct mp_text first = {0};
	MP_TEXT struct mp_text second = {0};
	struct mp_reading reading = {0};
	struct mp_memory_report r;
	struct mp_error err;

	(void)state;
	write_whole(&first);
	assert_int_equal(mp_report_parse(&reading, first.data, first.len, &r, &err), 0);
	assert_int_equal(r.outcome, MP_OUTCOME_OOM_KILLED);
	assert_int_equal(r.duration_ns, 1234567891);
	assert_int_equal(r.samples[2].t_ns, 1234567890);
	assert_int_equal(r.marks[0].duration_ns, 987654321);
	assert_string_equal(r.marks[1].name, "a\"b\n</script>");
	assert_null(r.marks[1].text);
	assert_int_equal(r.points[0].rss_total, -8);
	assert_true(r.points[0].rss_max == MP_UNKNOWN_DELTA);
	assert_int_equal(r.environment.total_bytes, 2 * GIB);
	assert_true(r.environment.swap_bytes == MP_UNKNOWN);
	assert_true(r.phases[0].due_ns == MP_UNKNOWN);
	assert_true(r.leak.filler_known && !r.leak.target_known);
	mp_report_write_json(&second, &r);
	assert_string_equal(first.data, second.data);
	mp_reading_free(&reading);
}

#define LEAST "\"schema_version\":1,\"test_mode\":\"burst\",\"duration\":1,\"outcome\":\"ok\""

static void expect_refused(const char *text, const char *why)
{
	struct mp_reading reading = {0};
	struct mp_memory_report r = {.limit = 42};
	struct mp_error err = {0};

	assert_int_equal(mp_report_parse(&reading, text, strlen(text), &r, &err), -EBADMSG);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(r.limit, 42);
	mp_reading_free(&reading);
}

static void test_refused(void **state)
{
	(void)state;
	expect_refused("", "column");
	expect_refused("[]", "not a JSON object");
	expect_refused("{\n\n\"a\":}", "line 3");
	expect_refused("{}", "field \"schema_version\" is missing");
	expect_refused("{\"schema_version\":2}", "report version 2 is not known");
	expect_refused("{\"schema_version\":\"1\"}", "field \"schema_version\"");
	expect_refused("{\"schema_version\":1}", "field \"test_mode\" is missing");
	expect_refused("{" LEAST "}", "field \"samples\" is missing");
	expect_refused("{" LEAST ",\"samples\":{}}", "field \"samples\" is not an array");
	expect_refused("{" LEAST ",\"samples\":[7]}", "holds something else than objects");
	expect_refused("{" LEAST ",\"samples\":[{\"t\":0}]}", "field \"samples[0].usage\"");
	expect_refused("{" LEAST ",\"samples\":[{\"t\":0,\"usage\":-1}]}", "samples[0].usage");
	expect_refused("{" LEAST ",\"samples\":[{\"t\":1,\"usage\":1},{\"t\":0.5,\"usage\":1}]}",
		       "field \"samples[1].t\" goes back in time");
	expect_refused("{" LEAST ",\"samples\":[{\"t\":1e10,\"usage\":1}]}", "samples[0].t");
	expect_refused("{" LEAST ",\"samples\":[],\"events\":[{\"kind\":\"x\",\"t\":0}]}",
		       "field \"events[0].kind\" is not one of its names");
	expect_refused("{" LEAST ",\"samples\":[],\"outcome\":\"ok\"}", "duplicate");
	expect_refused("{" LEAST ",\"samples\":[],\"limit\":1e99}", "field \"limit\"");
}

static void test_unknown_fields_and_absent_ones(void **state)
{
	static const char text[] = "{" LEAST ",\"samples\":[{\"t\":0,\"usage\":1,\"new\":{}}],"
				   "\"later\":[1,2],\"limit\":10}";
	struct mp_reading reading = {0};
	struct mp_memory_report r;
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_report_parse(&reading, text, strlen(text), &r, &err), 0);
	assert_int_equal(r.n_samples, 1);
	assert_int_equal(r.samples[0].available, 9);
	assert_true(r.samples[0].filler == MP_UNKNOWN);
	assert_true(r.pressure.oom_kills == MP_UNKNOWN);
	assert_null(r.verdict);
	mp_reading_free(&reading);
}

/* --- figures ------------------------------------------------------------------------------ */

/* 25 % for a second, then 75 % for a ninth of it in many samples: the average is over time. */
static void test_average_is_over_time(void **state)
{
	struct mp_memory_sample samples[12];
	struct mp_memory_report r = {.limit = GIB, .samples = samples, .n_samples = 2};
	struct mp_series_stats pct;
	double least, average;

	(void)state;
	samples[0] = sample(0, GIB / 4);
	samples[1] = sample(SEC, GIB / 4);
	for (size_t i = 2; i < 12; i++)
		samples[i] = sample(SEC + i * 1000, GIB / 4 * 3);
	assert_int_equal(mp_memory_report_stats(&r, &pct, &least, &average), 0);
	NEAR(pct.avg, 25);
	r.n_samples = 12;
	assert_int_equal(mp_memory_report_stats(&r, &pct, &least, &average), 0);
	assert_true(pct.avg > 25 && pct.avg < 25.01);
	NEAR(pct.max, 75);
	NEAR(least, (double)GIB / 4 / 1e9);
	r.n_samples = 0;
	assert_int_equal(mp_memory_report_stats(&r, &pct, &least, &average), -EAGAIN);
}

/* At even steps it is the plain mean. */
static void test_average_of_even_steps(void **state)
{
	struct mp_memory_sample samples[] = {sample(0, GIB / 2), sample(SEC, GIB / 4),
					     sample(2 * SEC, GIB / 4), sample(3 * SEC, GIB)};
	struct mp_memory_report r = {.limit = GIB, .samples = samples, .n_samples = 4};
	struct mp_series_stats pct;
	double least, average;

	(void)state;
	assert_int_equal(mp_memory_report_stats(&r, &pct, &least, &average), 0);
	NEAR(pct.avg, 50);
	NEAR(least, 0);
	for (size_t i = 0; i < 4; i++)
		samples[i].t_ns = 5;
	assert_int_equal(mp_memory_report_stats(&r, &pct, &least, &average), 0);
	NEAR(pct.avg, 50);
}

/* --- CSV ------------------------------------------------------------------------------------ */

static void test_csv(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	w.r.model_id = "=cmd|' /C calc'!A0";
	w.r.environment.profile_name = "a \"b\", c\nd \xff";
	mp_report_write_csv(&out, &w.r);
	assert_string_equal(
		out.data,
		"timestamp,test_mode,duration,model_id,start_memory_percent,peak_memory_percent,"
		"end_memory_percent,model_load_time,avg_memory_percent,min_available_gb,volatility,"
		"outcome,limit_bytes,profile_name,requested_percent,achieved_percent,trend,"
		"oom_kills,verdict,model_file,loader,level,file_bytes,tensor_bytes,predicted,"
		"load_warm,passes,pass_p50,pass_max,peak_rss,peak_anon,peak_file,peak_group,"
		"major_faults,read_bytes,reread_bytes,perplexity\r\n"
		"2026-11-22T23:35:22.000000Z,burst,1.235,\"'=cmd|' /C calc'!A0\",25.000,50.000,"
		"25.000,,33.333,0.537,25.000,oom_killed,1073741824,\"a \"\"b\"\", c\nd ?\",50.000,"
		"50.000,unknown,1,Ended,,,,,,,,,,,,,,,,,,\r\n");
}

static void test_csv_of_several(void **state)
{
	MP_TEXT struct mp_text out = {0};
	const struct mp_memory_report *both[2];
	struct whole w;
	size_t lines = 0;

	(void)state;
	fill(&w);
	both[0] = both[1] = &w.r;
	mp_report_write_csv_all(&out, both, 2);
	for (const char *s = out.data; (s = strstr(s, "\r\n")); s++)
		lines++;
	assert_int_equal(lines, 3);
}

/* --- HTML ----------------------------------------------------------------------------------- */

static void test_html_holds_no_foreign_markup(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;
	size_t scripts = 0;

	(void)state;
	fill(&w);
	w.r.verdict = "</script><!--<script>";
	mp_report_write_html(&out, &w.r);
	for (const char *s = out.data; (s = strstr(s, "</script")); s++)
		scripts++;
	assert_int_equal(scripts, 3);
	assert_non_null(strstr(out.data, "\\u003c/script>\\u003c!--\\u003cscript>"));
	assert_non_null(strstr(out.data, "default-src 'none'"));
	assert_true(out.len < 400 * 1024);
}

/* --- traces --------------------------------------------------------------------------------- */

/* The inner call seems to end after the outer one: it is cut there, and keeps its duration. */
static void test_trace_spans_nest(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct mp_report_mark marks[] = {call((char *)"inner", 2000, 9000, 8),
					 call((char *)"outer", 1000, 5000, 8),
					 call((char *)"other", 1500, 9000, 9)};
	struct mp_memory_report r = {
		.test_mode = "attach", .limit = GIB, .marks = marks, .n_marks = 3};

	(void)state;
	mp_report_write_trace(&out, &r);
	assert_non_null(strstr(out.data, "{\"name\":\"outer\",\"ph\":\"X\",\"ts\":1.000,\"pid\":7,"
					 "\"tid\":8,\"cat\":\"call\",\"dur\":5.000,"));
	assert_non_null(strstr(out.data, "{\"name\":\"inner\",\"ph\":\"X\",\"ts\":2.000,\"pid\":7,"
					 "\"tid\":8,\"cat\":\"call\",\"dur\":4.000,"));
	assert_non_null(strstr(out.data, "\"dur\":9.000,\"args\":{\"text\":\"app[7]\",\"bytes\":"
					 "4096,\"duration_ns\":9000}"));
	assert_non_null(strstr(out.data, "\"ph\":\"M\",\"ts\":0.000,\"pid\":7,\"tid\":7,\"args\":{"
					 "\"name\":\"app\"}"));
}

/* --- thinning ------------------------------------------------------------------------------- */

static void test_thin_samples_keeps_what_stands_out(void **state)
{
	static struct mp_memory_sample samples[10000];
	uint64_t highest = 0, lowest = UINT64_MAX;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		samples[i] = sample(i * 1000, 500 + i % 7);
	samples[3333].usage = 900;
	samples[6666].usage = 1;
	n = mp_samples_thin(samples, 10000, 100);
	assert_in_range(n, 90, 100);
	assert_int_equal(samples[0].t_ns, 0);
	assert_int_equal(samples[n - 1].t_ns, 9999 * 1000);
	for (size_t i = 0; i < n; i++) {
		highest = samples[i].usage > highest ? samples[i].usage : highest;
		lowest = samples[i].usage < lowest ? samples[i].usage : lowest;
		if (i)
			assert_true(samples[i].t_ns > samples[i - 1].t_ns);
	}
	assert_int_equal(highest, 900);
	assert_int_equal(lowest, 1);
	assert_int_equal(mp_samples_thin(samples, n, 100), n);
}

static void test_thin_samples_of_one_instant(void **state)
{
	struct mp_memory_sample samples[50];

	(void)state;
	for (size_t i = 0; i < 50; i++)
		samples[i] = sample(7, 500);
	assert_in_range(mp_samples_thin(samples, 50, 10), 2, 10);
}

static void test_thin_marks_keeps_the_longest(void **state)
{
	static struct mp_report_mark marks[1000];
	static const struct mp_report_mark *sorted[1000];
	bool seen[1000] = {false};
	size_t n;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		marks[i] = call((char *)"x", i * 10, i == 123 ? 5000 : 1, 8);
		sorted[i] = &marks[i];
	}
	marks[500].severity = MP_SEVERITY_CRITICAL;
	n = mp_marks_thin(sorted, 1000, 10);
	assert_int_equal(n, 10);
	/* What goes stands behind: all are there, once. */
	for (size_t i = 0; i < 1000; i++) {
		size_t which = (size_t)(sorted[i] - marks);

		assert_false(seen[which]);
		seen[which] = true;
	}
	assert_ptr_equal(sorted[1], &marks[123]);
	assert_ptr_equal(sorted[5], &marks[500]);
}

/* --- a watch --------------------------------------------------------------------------------- */

static void gather_call(struct mp_gather *g, uint64_t ts_ns, const char *domain,
			uint64_t working_set, uint64_t duration_ns)
{
	const struct mp_event event = {
		.type = MP_EVENT_PROBE,
		.ts_ns = ts_ns,
		.realtime_ns = ts_ns + 1795390522 * SEC,
		.probe = {.point = "load",
			  .phase = MP_PHASE_EXIT,
			  .pid = 7,
			  .tid = 8,
			  .comm = "app",
			  .limit_cgroup = domain,
			  .rss = working_set / 2,
			  .working_set = working_set,
			  .limit = GIB,
			  .duration_ns = duration_ns,
			  .rss_delta = 4096},
	};

	assert_int_equal(mp_gather_event(g, &event), 0);
}

static void gather_stop(struct mp_gather *g, uint64_t ts_ns)
{
	const struct mp_event event = {
		.type = MP_EVENT_STOP, .ts_ns = ts_ns, .stop = {.reason = "signal"}};

	assert_int_equal(mp_gather_event(g, &event), 0);
}

/* The fullest domain is shown; a call that began before the first record begins with it. */
static void test_gather(void **state)
{
	struct mp_gather *g = mp_gather_new();
	const struct mp_memory_report *r;

	(void)state;
	gather_call(g, 10 * SEC, "/a", GIB / 2, 2 * SEC);
	gather_call(g, 11 * SEC, NULL, GIB / 8, SEC / 2);
	gather_call(g, 12 * SEC, "/a", GIB / 4, MP_UNKNOWN);
	gather_stop(g, 14 * SEC);
	r = mp_gather_report(g);
	assert_string_equal(r->cgroup, "/a");
	assert_int_equal(r->n_samples, 2);
	assert_int_equal(r->samples[1].t_ns, 2 * SEC);
	assert_int_equal(r->samples[0].target_rss, GIB / 4);
	assert_int_equal(r->duration_ns, 4 * SEC);
	assert_int_equal(r->n_marks, 3);
	assert_int_equal(r->marks[0].t_ns, 0);
	assert_int_equal(r->marks[0].duration_ns, 0);
	assert_string_equal(r->marks[0].text, "app[7]");
	assert_int_equal(r->marks[1].t_ns, SEC / 2);
	assert_int_equal(r->marks[1].duration_ns, SEC / 2);
	assert_int_equal(r->outcome, MP_OUTCOME_OK);
	assert_string_equal(r->verdict, "Memory was ample: peak 50.0 % of 1.00 GiB");
	assert_string_equal(r->test_mode, "attach");
	mp_gather_free(g);
}

static void test_gather_oom(void **state)
{
	static const struct mp_in_flight in_flight[] = {{"outer", 8, 3 * SEC, 1},
							{"inner", 8, 1 * SEC, 2}};
	const struct mp_event event = {
		.type = MP_EVENT_OOM,
		.ts_ns = 20 * SEC,
		.oom = {.pid = 7,
			.comm = "app",
			.is_target = true,
			.rss = GIB,
			.in_flight = in_flight,
			.n_in_flight = 2},
	};
	struct mp_gather *g = mp_gather_new();
	const struct mp_memory_report *r;

	(void)state;
	gather_call(g, 10 * SEC, "/a", GIB, 1000);
	assert_int_equal(mp_gather_event(g, &event), 0);
	r = mp_gather_report(g);
	assert_int_equal(r->outcome, MP_OUTCOME_OOM_KILLED);
	assert_string_equal(r->verdict, "Memory ran out: app[7] was OOM-killed inside inner, "
					"peak 100.0 % of 1.00 GiB; the recording has no end");
	assert_int_equal(r->pressure.oom_kills, 1);
	assert_int_equal(r->n_marks, 4);
	assert_string_equal(r->marks[1].name, "outer");
	assert_int_equal(r->marks[1].t_ns, 7 * SEC);
	assert_int_equal(r->marks[1].duration_ns, 3 * SEC);
	mp_gather_free(g);
}

/* Somebody else's end is told of, and is not that of the run. */
static void test_gather_oom_of_another(void **state)
{
	const struct mp_event event = {
		.type = MP_EVENT_OOM,
		.ts_ns = 11 * SEC,
		.oom = {.pid = 9, .comm = "other", .cgroup = "/b", .rss = GIB},
	};
	struct mp_gather *g = mp_gather_new();
	const struct mp_memory_report *r;

	(void)state;
	gather_call(g, 10 * SEC, "/a", GIB / 2, 1000);
	assert_int_equal(mp_gather_event(g, &event), 0);
	gather_stop(g, 14 * SEC);
	r = mp_gather_report(g);
	assert_int_equal(r->outcome, MP_OUTCOME_OK);
	assert_int_equal(r->marks[1].kind, MP_MARK_OOM);
	assert_int_equal(r->marks[1].severity, MP_SEVERITY_WARNING);
	assert_string_equal(r->marks[1].text,
			    "OOM-killed with 1.00 GiB in /b, which is not watched");
	mp_gather_free(g);
}

/* Memory stays bounded, and the old part is told as closely as the new one. */
static void test_gather_of_a_long_watch(void **state)
{
	struct mp_gather *g = mp_gather_new();
	const struct mp_memory_report *r;
	size_t early = 0;

	(void)state;
	for (uint64_t i = 0; i < 50000; i++)
		gather_call(g, SEC + i * 1000000, "/a", GIB / 2 + i % 64, 1000);
	gather_stop(g, 52 * SEC);
	r = mp_gather_report(g);
	assert_in_range(r->n_samples, 1500, 2048);
	assert_in_range(r->n_marks, 1000, 2048);
	assert_int_equal(r->n_marks + r->marks_left_out, 50000);
	for (size_t i = 0; i < r->n_samples; i++)
		early += r->samples[i].t_ns < 25 * SEC;
	assert_in_range(early, r->n_samples / 4, r->n_samples * 3 / 4);
	mp_gather_free(g);
}

static void test_gather_nothing(void **state)
{
	struct mp_gather *g = mp_gather_new();
	const struct mp_memory_report *r = mp_gather_report(g);
	MP_TEXT struct mp_text out = {0};

	(void)state;
	assert_string_equal(r->verdict, "Nothing was measured; the recording has no end");
	assert_int_equal(r->outcome, MP_OUTCOME_INTERRUPTED);
	mp_report_write_json(&out, r);
	mp_report_write_html(&out, r);
	mp_report_write_trace(&out, r);
	mp_report_write_csv(&out, r);
	assert_false(out.failed);
	mp_gather_free(g);
}

/* --- files ---------------------------------------------------------------------------------- */

#define RECORD(ts, time, rest)                                                                     \
	"{\"v\":1,\"type\":\"probe\",\"ts_ns\":" ts ",\"time\":\"2026-11-22T00:00:" time           \
	"Z\",\"point\":\"p\",\"level\":\"high\",\"phase\":\"exit\",\"pid\":7,\"working_set\":"     \
	"536870912,\"limit\":1073741824" rest "}\n"

static void write_file(const char *path, const char *text)
{
	MP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
}

static int read_files(const struct dir *dir, const char *const *texts, size_t n,
		      struct mp_report_file **ret, struct mp_error *err)
{
	const char *names[4];
	char paths[4][96];

	for (size_t i = 0; i < n; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%zu", dir->path, i);
		names[i] = paths[i];
		write_file(paths[i], texts[i]);
	}
	return mp_report_read_all(names, n, ret, err);
}

static void test_recordings_are_parts(void **state)
{
	static const char *const parts[] = {RECORD("5000000000", "05", ""),
					    RECORD("2000000000", "02", "")
						    RECORD("3000000000", "03", "") "{\"v\":1,\"ty"};
	struct mp_report_file *file;
	struct mp_error err;
	size_t n;

	assert_int_equal(read_files(*state, parts, 2, &file, &err), 0);
	mp_report_all_of(file, &n);
	assert_int_equal(n, 1);
	assert_int_equal(mp_report_of(file)->n_samples, 3);
	assert_int_equal(mp_report_of(file)->samples[2].t_ns, 3 * SEC);
	assert_int_equal(mp_report_of(file)->begin_realtime_ns % (60 * SEC), 2 * SEC);
	mp_report_file_free(file);
}

static void test_reports_and_recordings(void **state)
{
	MP_TEXT struct mp_text json = {0};
	struct mp_report_file *file;
	struct mp_error err;
	const char *texts[3];
	size_t n;

	write_whole(&json);
	texts[0] = texts[2] = json.data;
	texts[1] = RECORD("5000000000", "05", "");
	assert_int_equal(read_files(*state, texts, 3, &file, &err), 0);
	mp_report_all_of(file, &n);
	assert_int_equal(n, 3);
	assert_string_equal(mp_report_of(file)->test_mode, "burst");
	mp_report_file_free(file);
}

static void expect_unread(const struct dir *dir, const char *first, const char *second,
			  const char *why)
{
	const char *texts[] = {first, second};
	struct mp_report_file *file = NULL;
	struct mp_error err = {0};

	assert_true(read_files(dir, texts, second ? 2 : 1, &file, &err) < 0);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_null(file);
}

static void test_files_that_are_neither(void **state)
{
	expect_unread(*state, "", NULL, "is empty");
	expect_unread(*state, "\n \n", NULL, "is empty");
	expect_unread(*state, "hello\n", NULL, "column");
	expect_unread(*state, "{\"a\":1}\n", NULL, "schema_version");
	expect_unread(*state, "{\"v\":9,\"type\":\"probe\"}\n", NULL, "holds no record");
	expect_unread(*state, RECORD("1", "01", "") "{\"v\":1,\n" RECORD("2", "02", ""), NULL,
		      ":2: ");
	expect_unread(*state, RECORD("1000000000", "01", ""), RECORD("900000000000", "02", ""),
		      "their clocks differ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unknown_fields_and_absent_ones),
		cmocka_unit_test(test_average_is_over_time),
		cmocka_unit_test(test_average_of_even_steps),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_of_several),
		cmocka_unit_test(test_html_holds_no_foreign_markup),
		cmocka_unit_test(test_trace_spans_nest),
		cmocka_unit_test(test_thin_samples_keeps_what_stands_out),
		cmocka_unit_test(test_thin_samples_of_one_instant),
		cmocka_unit_test(test_thin_marks_keeps_the_longest),
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_gather_oom),
		cmocka_unit_test(test_gather_oom_of_another),
		cmocka_unit_test(test_gather_of_a_long_watch),
		cmocka_unit_test(test_gather_nothing),
		cmocka_unit_test_setup_teardown(test_recordings_are_parts, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_reports_and_recordings, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_files_that_are_neither, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
