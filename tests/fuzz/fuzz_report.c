// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any text is read as a report or refused with a reason; what was read can be written in every
 * format, and what was written as JSON is read again and says the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "report/json_read.h"
#include "report/memory_report.h"

/* Above it a double does not hold every nanosecond, and a time may come back one off. */
#define EXACT_NS 1000000000000000ULL

static void check(int holds)
{
	if (!holds)
		abort();
}

static void write_all(const struct mp_memory_report *r)
{
	static void (*const writers[])(struct mp_text *, const struct mp_memory_report *) = {
		mp_report_write_csv, mp_report_write_html, mp_report_write_trace};

	for (size_t i = 0; i < MP_ARRAY_SIZE(writers); i++) {
		MP_TEXT struct mp_text out = {0};

		writers[i](&out, r);
		check(!out.failed && out.len > 0);
		check(strlen(out.data) == out.len);
	}
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return b != MP_UNKNOWN && b > a ? b : a;
}

static uint64_t last_of_run(const struct mp_model_run *run)
{
	const uint64_t times[] = {run->start_ns,     run->end_ns,      run->load_cold_ns,
				  run->load_warm_ns, run->pass_p50_ns, run->pass_max_ns};
	uint64_t last = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(times); i++)
		last = later(last, times[i]);
	for (size_t i = 0; i < run->n_passes; i++)
		last = later(later(last, run->passes[i].t_ns), run->passes[i].duration_ns);
	return last;
}

static int is_exact(const struct mp_memory_report *r)
{
	uint64_t last = later(r->duration_ns, r->model_load_ns);

	for (size_t i = 0; i < r->n_samples; i++)
		last = later(last, r->samples[i].t_ns);
	for (size_t i = 0; i < r->n_marks; i++)
		last = later(last, r->marks[i].t_ns);
	for (size_t i = 0; i < r->n_phases; i++) {
		last = later(later(last, r->phases[i].start_ns), r->phases[i].end_ns);
		last = later(last, r->phases[i].due_ns);
	}
	for (size_t i = 0; i < r->model.n_runs; i++)
		last = later(last, last_of_run(&r->model.runs[i]));
	return last < EXACT_NS;
}

static void read_again(const struct mp_memory_report *r)
{
	struct mp_reading reading = {0};
	struct mp_memory_report again;
	MP_TEXT struct mp_text first = {0};
	MP_TEXT struct mp_text second = {0};
	struct mp_error err;

	mp_report_write_json(&first, r);
	check(mp_report_parse(&reading, first.data, first.len, &again, &err) == 0);
	mp_report_write_json(&second, &again);
	if (is_exact(r))
		check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	mp_reading_free(&reading);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mp_reading reading = {0};
	struct mp_memory_report r;
	struct mp_error err = {0};

	if (mp_report_parse(&reading, (const char *)data, size, &r, &err) == 0) {
		write_all(&r);
		read_again(&r);
	} else {
		check(err.text[0] != '\0');
	}
	mp_reading_free(&reading);
	return 0;
}
