// SPDX-License-Identifier: GPL-2.0-only
/* Reports of models: their JSON and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "report/json_read.h"
#include "report/memory_report.h"

#define MIB (1ULL << 20)
#define SEC 1000000000ULL
#define MS 1000000ULL

/* A model at two levels: one has thrashed, the other was killed while it was loaded. */
struct whole {
	struct mp_memory_sample samples[4];
	struct mp_model_pass passes[2];
	struct mp_model_run runs[2];
	struct mp_quantization_row levels[2];
	struct mp_memory_report r;
};

static struct mp_memory_sample sample(uint64_t t_ns, uint64_t usage)
{
	return (struct mp_memory_sample){.t_ns = t_ns,
					 .usage = usage,
					 .available = 1000 * MIB - usage,
					 .filler = MP_UNKNOWN,
					 .requested = MP_UNKNOWN,
					 .swap = MP_UNKNOWN,
					 .some_ns = MP_UNKNOWN,
					 .full_ns = MP_UNKNOWN,
					 .target_rss = usage,
					 .filler_rss = MP_UNKNOWN,
					 .monitor_rss = MP_UNKNOWN,
					 .watcher_rss = MP_UNKNOWN};
}

static struct mp_model_run thrashed(struct mp_model_pass *passes)
{
	return (struct mp_model_run){.level = "Q4_K_M",
				     .limit = 1000 * MIB,
				     .file_bytes = 992000001,
				     .tensor_bytes = 987654321,
				     .outcome = MP_OUTCOME_THRASH,
				     .predicted = MP_OUTCOME_THRASH,
				     .predicted_anon = 300 * MIB,
				     .predicted_file = 992000001,
				     .start_ns = SEC,
				     .end_ns = 6 * SEC,
				     .cached_before = 0,
				     .load_cold_ns = 1234567891,
				     .load_warm_ns = 345678912,
				     .passes = passes,
				     .n_passes = 2,
				     .passes_done = 101,
				     .pass_p50_ns = 793 * MS,
				     .pass_max_ns = 1200 * MS,
				     .pass_read_bytes = 12345,
				     .peak_rss = 990 * MIB,
				     .peak_anon = 301 * MIB,
				     .peak_file = 689 * MIB,
				     .peak_shmem = 4096,
				     .peak_group = 1000 * MIB,
				     .major_faults = 4711,
				     .read_bytes = 9000 * MIB,
				     .reread_bytes = 8000 * MIB,
				     .reclaimed_bytes = 8100 * MIB,
				     .some_ns = 3 * SEC,
				     .full_ns = 2 * SEC,
				     .perplexity = 0.1754};
}

/* What is not known of it is all that can be. */
static struct mp_model_run killed(void)
{
	return (struct mp_model_run){.level = NULL,
				     .limit = MP_UNKNOWN,
				     .file_bytes = MP_UNKNOWN,
				     .tensor_bytes = MP_UNKNOWN,
				     .outcome = MP_OUTCOME_OOM_KILLED,
				     .predicted = MP_OUTCOME_COUNT,
				     .predicted_anon = MP_UNKNOWN,
				     .predicted_file = MP_UNKNOWN,
				     .start_ns = 7 * SEC,
				     .end_ns = MP_UNKNOWN,
				     .cached_before = MP_UNKNOWN,
				     .load_cold_ns = MP_UNKNOWN,
				     .load_warm_ns = MP_UNKNOWN,
				     .passes_done = 0,
				     .pass_p50_ns = MP_UNKNOWN,
				     .pass_max_ns = MP_UNKNOWN,
				     .pass_read_bytes = MP_UNKNOWN,
				     .peak_rss = MP_UNKNOWN,
				     .peak_anon = MP_UNKNOWN,
				     .peak_file = MP_UNKNOWN,
				     .peak_shmem = MP_UNKNOWN,
				     .peak_group = MP_UNKNOWN,
				     .major_faults = MP_UNKNOWN,
				     .read_bytes = MP_UNKNOWN,
				     .reread_bytes = MP_UNKNOWN,
				     .reclaimed_bytes = MP_UNKNOWN,
				     .some_ns = MP_UNKNOWN,
				     .full_ns = MP_UNKNOWN,
				     .perplexity = NAN};
}

static void fill(struct whole *w)
{
	*w = (struct whole){
		.samples = {sample(0, 0), sample(2 * SEC, 500 * MIB), sample(5 * SEC, 1000 * MIB),
			    sample(8 * SEC, 250 * MIB)},
		.passes = {{3 * SEC, 793 * MS}, {3 * SEC + 793 * MS, 1200 * MS}},
		.runs = {thrashed(w->passes), killed()},
		.levels = {{.level = "Q2_K",
			    .tensor_bytes = 400 * MIB,
			    .kv = 48 * MIB,
			    .compute = 300 * MIB,
			    .repack = 0,
			    .runtime = 20 * MIB,
			    .metadata = 30 * MIB,
			    .must = 398 * MIB,
			    .comfortable = 798 * MIB,
			    .fit = MP_OUTCOME_OK,
			    .perplexity = 3.5199,
			    .most_per_s = NAN},
			   {.level = "Q4_K_M",
			    .tensor_bytes = 987654321,
			    .kv = 48 * MIB,
			    .compute = 300 * MIB,
			    .repack = MP_UNKNOWN,
			    .runtime = 20 * MIB,
			    .metadata = 30 * MIB,
			    .must = 398 * MIB,
			    .comfortable = 1340 * MIB,
			    .fit = MP_OUTCOME_THRASH,
			    .perplexity = 0.1754,
			    .most_per_s = 1.125}},
	};
	w->r = (struct mp_memory_report){
		.test_mode = "quantization",
		.model_id = "qwen2.5-0.5b",
		.begin_realtime_ns = 1795390522 * SEC,
		.duration_ns = 8 * SEC,
		.model_load_ns = 1234567891,
		.limit = 1000 * MIB,
		.outcome = MP_OUTCOME_OK,
		.environment = {.total_bytes = MP_UNKNOWN,
				.swap_bytes = MP_UNKNOWN,
				.limit_bytes = 1000 * MIB},
		.quantization = {.current_optimal = "Q2_K",
				 .advice = "Take Q2_K",
				 .usable = 900 * MIB,
				 .levels = w->levels,
				 .n_levels = 2},
		.model = {.file = "/models/a \"b\".gguf",
			  .loader = "mmap",
			  .is_synthesized = true,
			  .context = 4096,
			  .disk_per_s = 1100000000,
			  .runs = w->runs,
			  .n_runs = 2},
		.samples = w->samples,
		.n_samples = 4,
		.pressure = {.some_ns = MP_UNKNOWN, .full_ns = MP_UNKNOWN},
	};
}

/* --- JSON and back ------------------------------------------------------------------------ */

static void expect_thrashed(const struct mp_model_run *run)
{
	struct whole w;

	fill(&w);
	assert_string_equal(run->level, "Q4_K_M");
	assert_int_equal(run->n_passes, 2);
	assert_memory_equal(run->passes, w.passes, sizeof(w.passes));
	assert_true(run->perplexity == w.runs[0].perplexity);
	/* What they point to is compared; all else is the same to the byte. */
	w.runs[0].level = run->level;
	w.runs[0].passes = run->passes;
	assert_memory_equal(run, &w.runs[0], sizeof(*run));
}

static void expect_killed(const struct mp_model_run *run)
{
	struct mp_model_run expected = killed();

	assert_null(run->level);
	assert_int_equal(run->n_passes, 0);
	assert_true(isnan(run->perplexity));
	expected.perplexity = run->perplexity;
	expected.passes = run->passes;
	assert_memory_equal(run, &expected, sizeof(*run));
}

static void expect_levels(const struct mp_memory_report *r)
{
	const struct mp_quantization_row *levels = r->quantization.levels;

	assert_string_equal(r->quantization.current_optimal, "Q2_K");
	assert_string_equal(r->quantization.advice, "Take Q2_K");
	assert_int_equal(r->quantization.usable, 900 * MIB);
	assert_int_equal(r->quantization.n_levels, 2);
	assert_string_equal(levels[0].level, "Q2_K");
	assert_int_equal(levels[0].repack, 0);
	assert_int_equal(levels[0].comfortable, 798 * MIB);
	assert_true(isnan(levels[0].most_per_s));
	assert_true(levels[1].repack == MP_UNKNOWN);
	assert_int_equal(levels[1].fit, MP_OUTCOME_THRASH);
	assert_true(levels[1].most_per_s == 1.125);
}

static void test_round_trip(void **state)
{
	MP_TEXT struct mp_text first = {0};
	MP_TEXT struct mp_text second = {0};
	struct mp_reading reading = {0};
	struct mp_memory_report r;
	struct mp_error err;
	struct whole w;

	(void)state;
	fill(&w);
	mp_report_write_json(&first, &w.r);
	assert_int_equal(mp_report_parse(&reading, first.data, first.len, &r, &err), 0);
	assert_string_equal(r.model.file, "/models/a \"b\".gguf");
	assert_string_equal(r.model.loader, "mmap");
	assert_true(r.model.is_synthesized);
	assert_int_equal(r.model.context, 4096);
	assert_int_equal(r.model.disk_per_s, 1100000000);
	assert_int_equal(r.model.n_runs, 2);
	expect_thrashed(&r.model.runs[0]);
	expect_killed(&r.model.runs[1]);
	expect_levels(&r);
	mp_report_write_json(&second, &r);
	assert_string_equal(first.data, second.data);
	mp_reading_free(&reading);
}

/* A level that was loaded has what came of it beside what the arithmetic says. */
static void test_levels_have_what_was_measured(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	mp_report_write_json(&out, &w.r);
	assert_non_null(strstr(out.data, "\"fit\":\"ok\",\"perplexity\":3.5199,\"most_per_second\":"
					 "null,\"outcome\":null,\"load_time\":null,\"pass_time\":"
					 "null,\"peak_rss\":null,\"major_faults\":null}"));
	assert_non_null(strstr(out.data, "\"fit\":\"thrash\",\"perplexity\":0.1754,"
					 "\"most_per_second\":1.125,\"outcome\":\"thrash\","
					 "\"load_time\":1.234567891,\"pass_time\":0.793000000,"
					 "\"peak_rss\":1038090240,\"major_faults\":4711}"));
}

static void test_without_a_model(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct mp_reading reading = {0};
	struct mp_memory_report r;
	struct mp_error err;
	struct whole w;

	(void)state;
	fill(&w);
	w.r.model.file = NULL;
	w.r.quantization.n_levels = 0;
	mp_report_write_json(&out, &w.r);
	assert_non_null(strstr(out.data, "\"model\":null"));
	assert_int_equal(mp_report_parse(&reading, out.data, out.len, &r, &err), 0);
	assert_null(r.model.file);
	assert_int_equal(r.model.n_runs, 0);
	assert_int_equal(r.quantization.n_levels, 0);
	mp_reading_free(&reading);
}

#define LEAST                                                                                      \
	"{\"schema_version\":1,\"test_mode\":\"model\",\"duration\":1,\"outcome\":\"ok\","         \
	"\"samples\":[]"
#define RUN "\"outcome\":\"ok\",\"start\":0"

static void expect_refused(const char *rest, const char *why)
{
	struct mp_reading reading = {0};
	struct mp_memory_report r = {.limit = 42};
	struct mp_error err = {0};
	char text[1024];

	snprintf(text, sizeof(text), LEAST ",%s}", rest);
	assert_int_equal(mp_report_parse(&reading, text, strlen(text), &r, &err), -EBADMSG);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_int_equal(r.limit, 42);
	mp_reading_free(&reading);
}

static void test_refused(void **state)
{
	(void)state;
	expect_refused("\"model\":7", "field \"model\" is not an object");
	expect_refused("\"model\":{}", "field \"model.file\" is missing");
	expect_refused("\"model\":{\"file\":7}", "field \"model.file\" is not a string");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":{}}", "\"model.runs\" is not an array");
	expect_refused("\"model\":{\"file\":\"f\",\"context\":-1}", "model.context");
	expect_refused("\"model\":{\"file\":\"f\",\"synthesized\":1}", "is not true or false");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{}]}",
		       "\"runs[0].outcome\" is missing");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{\"outcome\":\"thrashed\"}]}",
		       "\"runs[0].outcome\" is not one of its names");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{\"outcome\":\"ok\"}]}",
		       "\"runs[0].start\" is missing");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{" RUN ",\"predicted\":\"bad\"}]}",
		       "runs[0].predicted");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{" RUN
		       ",\"passes\":{\"series\":[7]}}]}",
		       "holds something else than objects");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{" RUN
		       ",\"passes\":{\"series\":[{\"t\":1}]}}]}",
		       "\"series[0].duration\" is missing");
	expect_refused("\"model\":{\"file\":\"f\",\"runs\":[{" RUN
		       ",\"passes\":{\"series\":[{\"t\":1,\"duration\":1},{\"t\":0,\"duration\":1}]"
		       "}}]}",
		       "\"series[1].t\" goes back in time");
	expect_refused("\"quantization\":{\"levels\":[{}]}", "\"levels[0].level\" is missing");
	expect_refused("\"quantization\":{\"levels\":[{\"level\":\"Q\"}]}",
		       "\"levels[0].fit\" is missing");
	expect_refused(
		"\"quantization\":{\"levels\":[{\"level\":\"Q\",\"fit\":\"ok\",\"kv\":1.5}]}",
		"levels[0].kv");
}

/* --- CSV ------------------------------------------------------------------------------------ */

/* A line for each run, with the figures of its part of the time. */
static void test_csv_has_a_line_a_run(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	mp_report_write_csv(&out, &w.r);
	assert_string_equal(
		strstr(out.data, "\r\n") + 2,
		"2026-11-22T23:35:23.000000Z,quantization,5.000,qwen2.5-0.5b,50.000,100.000,100."
		"000,"
		"1.235,75.000,0.000,50.000,thrash,1048576000,,,,unknown,,,\"/models/a "
		"\"\"b\"\".gguf\","
		"mmap,Q4_K_M,992000001,987654321,thrash,0.346,101,0.793000,1.200000,1038090240,"
		"315621376,722468864,1048576000,4711,9437184000,8388608000,0.1754\r\n"
		"2026-11-22T23:35:29.000000Z,quantization,1.000,qwen2.5-0.5b,25.000,25.000,25.000,,"
		"25.000,0.786,0.000,oom_killed,1048576000,,,,unknown,,,\"/models/a "
		"\"\"b\"\".gguf\","
		"mmap,,,,,,0,,,,,,,,,,\r\n");
}

/* One run is the report itself. */
static void test_csv_of_one_run(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	w.r.model.n_runs = 1;
	mp_report_write_csv(&out, &w.r);
	assert_non_null(strstr(out.data, "\r\n2026-11-22T23:35:22.000000Z,quantization,8.000,"
					 "qwen2.5-0.5b,0.000,100.000,25.000,1.235,"));
	assert_null(strstr(out.data, "oom_killed,"));
}

/* --- pages ---------------------------------------------------------------------------------- */

#define MANY 16384

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* A page has as many passes as it can show, the longest among them; the JSON report has all. */
static void test_page_of_many_passes(void **state)
{
	static struct mp_model_pass passes[MANY];
	MP_TEXT struct mp_text html = {0};
	MP_TEXT struct mp_text json = {0};
	struct whole w;

	(void)state;
	fill(&w);
	for (size_t i = 0; i < MANY; i++)
		passes[i] = (struct mp_model_pass){SEC + i * MS, i == 4321 ? 77 * MS : MS / 2};
	w.runs[0].passes = w.runs[1].passes = passes;
	w.runs[0].n_passes = w.runs[1].n_passes = MANY;
	mp_report_write_json(&json, &w.r);
	assert_int_equal(count(json.data, "{\"t\":"), 2 * MANY + 4);
	mp_report_write_html(&html, &w.r);
	assert_in_range(count(html.data, ",\"duration\":"), 1000, 1200);
	assert_int_equal(count(html.data, "\"duration\":0.077000000}"), 2);
	assert_true(html.len < 300 * 1024);
}

/* --- traces --------------------------------------------------------------------------------- */

static void expect_span(const struct mp_text *out, const char *name, const char *ts,
			const char *duration)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "{\"name\":\"%s\",\"ph\":\"X\",\"ts\":%s,\"pid\":4194305,\"tid\":4194306,\"cat\":"
		 "\"model\",\"dur\":%s",
		 name, ts, duration);
	if (!strstr(out->data, text))
		fail_msg("no %s", text);
}

/* The warm load ends where the first pass begins, and a pass where the next one does. */
static void test_trace_has_a_track_of_the_model(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	w.passes[0].duration_ns = 900 * MS;
	mp_report_write_trace(&out, &w.r);
	assert_non_null(strstr(out.data, "{\"name\":\"thread_name\",\"ph\":\"M\",\"ts\":0.000,"
					 "\"pid\":4194305,\"tid\":4194306,\"args\":{\"name\":"
					 "\"model\"}}"));
	expect_span(&out, "Q4_K_M", "1000000.000", "5000000.000,\"args\":{\"outcome\":\"thrash\"");
	expect_span(&out, "load, cold", "1000000.000", "1234567.891}");
	expect_span(&out, "load, warm", "2654321.088", "345678.912}");
	expect_span(&out, "pass", "3000000.000", "793000.000}");
	expect_span(&out, "pass", "3793000.000", "1200000.000}");
	expect_span(&out, "model", "7000000.000", "1000000.000,\"args\":{\"outcome\":");
}

/* Whatever a file says of a run: nothing of it reaches beyond its end. */
static void test_trace_of_a_run_that_cannot_be(void **state)
{
	MP_TEXT struct mp_text out = {0};
	struct whole w;

	(void)state;
	fill(&w);
	w.runs[0].end_ns = 2 * SEC;
	w.runs[1].end_ns = SEC;
	mp_report_write_trace(&out, &w.r);
	expect_span(&out, "Q4_K_M", "1000000.000", "1000000.000,");
	expect_span(&out, "load, cold", "1000000.000", "1000000.000}");
	expect_span(&out, "model", "7000000.000", "0.000,");
	assert_null(strstr(out.data, "\"dur\":-"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_levels_have_what_was_measured),
		cmocka_unit_test(test_without_a_model),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_csv_has_a_line_a_run),
		cmocka_unit_test(test_csv_of_one_run),
		cmocka_unit_test(test_page_of_many_passes),
		cmocka_unit_test(test_trace_has_a_track_of_the_model),
		cmocka_unit_test(test_trace_of_a_run_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
