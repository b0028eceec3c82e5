// SPDX-License-Identifier: GPL-2.0-only
#include "report/report_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/thin.h"

/* --- JSON: runs --------------------------------------------------------------------------- */

/*
 * A pass is a sample of its own duration: of many, the first, the last, and the fastest and the
 * slowest of each part of the run stay.
 */
static struct mp_memory_sample *thin_passes(const struct mp_model_run *run, size_t most,
					    size_t *ret_n)
{
	struct mp_memory_sample *samples = calloc(run->n_passes + 1, sizeof(*samples));

	if (!samples)
		return NULL;
	for (size_t i = 0; i < run->n_passes; i++) {
		samples[i].t_ns = run->passes[i].t_ns;
		samples[i].usage = run->passes[i].duration_ns;
	}
	*ret_n = mp_samples_thin(samples, run->n_passes, most);
	return samples;
}

static void write_series(struct mp_json *j, const struct mp_model_run *run, size_t most)
{
	size_t n = 0;
	MP_FREE struct mp_memory_sample *passes = thin_passes(run, most, &n);

	if (!passes) {
		j->out->failed = true;
		return;
	}
	mp_json_array(j, "series");
	for (size_t i = 0; i < n; i++) {
		mp_json_object(j, NULL);
		mp_json_seconds(j, "t", passes[i].t_ns);
		mp_json_seconds(j, "duration", passes[i].usage);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
}

static void write_passes(struct mp_json *j, const struct mp_model_run *run, size_t most)
{
	mp_json_object(j, "passes");
	mp_json_u64(j, "done", run->passes_done);
	mp_json_seconds(j, "p50", run->pass_p50_ns);
	mp_json_seconds(j, "max", run->pass_max_ns);
	mp_json_u64(j, "read_bytes", run->pass_read_bytes);
	write_series(j, run, most);
	mp_json_object_end(j);
}

static void write_peaks(struct mp_json *j, const struct mp_model_run *run)
{
	mp_json_object(j, "peak");
	mp_json_u64(j, "rss", run->peak_rss);
	mp_json_u64(j, "anon", run->peak_anon);
	mp_json_u64(j, "file", run->peak_file);
	mp_json_u64(j, "shmem", run->peak_shmem);
	mp_json_u64(j, "group", run->peak_group);
	mp_json_object_end(j);
}

static void write_prediction(struct mp_json *j, const struct mp_model_run *run)
{
	mp_json_string(j, "predicted",
		       run->predicted < MP_OUTCOME_COUNT ? mp_outcome_name(run->predicted) : NULL);
	mp_json_object(j, "predicted_peak");
	mp_json_u64(j, "anon", run->predicted_anon);
	mp_json_u64(j, "file", run->predicted_file);
	mp_json_object_end(j);
}

static void write_run(struct mp_json *j, const struct mp_model_run *run, size_t most_passes)
{
	mp_json_object(j, NULL);
	mp_json_string(j, "level", run->level);
	mp_json_u64(j, "limit", run->limit);
	mp_json_u64(j, "file_bytes", run->file_bytes);
	mp_json_u64(j, "tensor_bytes", run->tensor_bytes);
	mp_json_string(j, "outcome", mp_outcome_name(run->outcome));
	write_prediction(j, run);
	mp_json_seconds(j, "start", run->start_ns);
	mp_json_seconds(j, "end", run->end_ns);
	mp_json_u64(j, "cached_before", run->cached_before);
	mp_json_seconds(j, "load_cold", run->load_cold_ns);
	mp_json_seconds(j, "load_warm", run->load_warm_ns);
	write_passes(j, run, most_passes);
	write_peaks(j, run);
	mp_json_u64(j, "major_faults", run->major_faults);
	mp_json_u64(j, "read_bytes", run->read_bytes);
	mp_json_u64(j, "reread_bytes", run->reread_bytes);
	mp_json_u64(j, "reclaimed_bytes", run->reclaimed_bytes);
	mp_json_u64(j, "some_ns", run->some_ns);
	mp_json_u64(j, "full_ns", run->full_ns);
	mp_json_number(j, "perplexity", run->perplexity);
	mp_json_object_end(j);
}

void mp_report_write_model(struct mp_json *j, const struct mp_memory_report *r, size_t most_passes)
{
	if (!r->model.file) {
		mp_json_string(j, "model", NULL);
		return;
	}
	mp_json_object(j, "model");
	mp_json_string(j, "file", r->model.file);
	mp_json_bool(j, "synthesized", r->model.is_synthesized);
	mp_json_string(j, "loader", r->model.loader);
	mp_json_u64(j, "context", r->model.context);
	mp_json_u64(j, "disk_bytes_per_second", r->model.disk_per_s);
	mp_json_array(j, "runs");
	for (size_t i = 0; i < r->model.n_runs; i++)
		write_run(j, &r->model.runs[i], most_passes);
	mp_json_array_end(j);
	mp_json_object_end(j);
}

/* --- JSON: levels --------------------------------------------------------------------------- */

static const struct mp_model_run *run_of(const struct mp_memory_report *r, const char *level)
{
	for (size_t i = 0; i < r->model.n_runs; i++) {
		const struct mp_model_run *run = &r->model.runs[i];

		if (run->level && strcmp(run->level, level) == 0)
			return run;
	}
	return NULL;
}

static void write_measured(struct mp_json *j, const struct mp_model_run *run)
{
	mp_json_string(j, "outcome", run ? mp_outcome_name(run->outcome) : NULL);
	mp_json_seconds(j, "load_time", run ? run->load_cold_ns : MP_UNKNOWN);
	mp_json_seconds(j, "pass_time", run ? run->pass_p50_ns : MP_UNKNOWN);
	mp_json_u64(j, "peak_rss", run ? run->peak_rss : MP_UNKNOWN);
	mp_json_u64(j, "major_faults", run ? run->major_faults : MP_UNKNOWN);
}

void mp_report_put_level(struct mp_json *j, const struct mp_quantization_row *row)
{
	mp_json_string(j, "level", row->level);
	mp_json_u64(j, "tensor_bytes", row->tensor_bytes);
	mp_json_u64(j, "kv", row->kv);
	mp_json_u64(j, "compute", row->compute);
	mp_json_u64(j, "repack", row->repack);
	mp_json_u64(j, "runtime", row->runtime);
	mp_json_u64(j, "metadata", row->metadata);
	mp_json_u64(j, "must", row->must);
	mp_json_u64(j, "comfortable", row->comfortable);
	mp_json_string(j, "fit", mp_outcome_name(row->fit));
	mp_json_number(j, "perplexity", row->perplexity);
	mp_json_number(j, "most_per_second", row->most_per_s);
}

static void write_level(struct mp_json *j, const struct mp_memory_report *r,
			const struct mp_quantization_row *row)
{
	mp_json_object(j, NULL);
	mp_report_put_level(j, row);
	write_measured(j, run_of(r, row->level));
	mp_json_object_end(j);
}

void mp_report_write_quantization(struct mp_json *j, const struct mp_memory_report *r)
{
	mp_json_object(j, "quantization");
	mp_json_string(j, "current_optimal", r->quantization.current_optimal);
	mp_json_string(j, "advice", r->quantization.advice);
	mp_json_u64(j, "usable", r->quantization.usable ? r->quantization.usable : MP_UNKNOWN);
	mp_json_array(j, "levels");
	for (size_t i = 0; i < r->quantization.n_levels; i++)
		write_level(j, r, &r->quantization.levels[i]);
	mp_json_array_end(j);
	mp_json_object_end(j);
}

/* --- and back ------------------------------------------------------------------------------- */

/* The passes of all runs lie in one block, one run's behind the other's. */
struct passes {
	struct mp_model_pass *next;
	size_t left;
};

static size_t count_passes(const json_t *runs)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *passes = json_object_get(json_array_get(runs, i), "passes");

		n += json_array_size(json_object_get(passes, "series"));
	}
	return n;
}

static void read_series(const struct mp_fields *o, struct passes *room, struct mp_model_run *run)
{
	const json_t *array = mp_fields_array(o, "series");
	size_t n = json_array_size(array);

	if (n > room->left)
		return;
	run->passes = room->next;
	for (size_t i = 0; i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "series", array, i);

		run->passes[i].t_ns = mp_fields_need_seconds(&item, "t");
		run->passes[i].duration_ns = mp_fields_need_seconds(&item, "duration");
		if (i && run->passes[i].t_ns < run->passes[i - 1].t_ns)
			mp_fields_bad(&item, "t", "goes back in time");
	}
	run->n_passes = n;
	room->next += n;
	room->left -= n;
}

static void read_peaks(const struct mp_fields *o, struct mp_model_run *run)
{
	struct mp_fields predicted = mp_fields_object(o, "predicted_peak");
	struct mp_fields peak = mp_fields_object(o, "peak");

	run->predicted_anon = mp_fields_u64(&predicted, "anon");
	run->predicted_file = mp_fields_u64(&predicted, "file");
	run->peak_rss = mp_fields_u64(&peak, "rss");
	run->peak_anon = mp_fields_u64(&peak, "anon");
	run->peak_file = mp_fields_u64(&peak, "file");
	run->peak_shmem = mp_fields_u64(&peak, "shmem");
	run->peak_group = mp_fields_u64(&peak, "group");
}

static void read_run(const struct mp_fields *o, struct passes *room, struct mp_model_run *run)
{
	struct mp_fields passes = mp_fields_object(o, "passes");

	run->level = mp_fields_string(o, "level");
	run->limit = mp_fields_u64(o, "limit");
	run->file_bytes = mp_fields_u64(o, "file_bytes");
	run->tensor_bytes = mp_fields_u64(o, "tensor_bytes");
	run->outcome = mp_fields_name(o, "outcome", mp_outcome_parse);
	run->predicted = mp_fields_value(o, "predicted")
				 ? mp_fields_name(o, "predicted", mp_outcome_parse)
				 : MP_OUTCOME_COUNT;
	run->start_ns = mp_fields_need_seconds(o, "start");
	run->end_ns = mp_fields_seconds(o, "end");
	run->cached_before = mp_fields_u64(o, "cached_before");
	run->load_cold_ns = mp_fields_seconds(o, "load_cold");
	run->load_warm_ns = mp_fields_seconds(o, "load_warm");
	run->passes_done = mp_fields_u64(&passes, "done");
	run->pass_p50_ns = mp_fields_seconds(&passes, "p50");
	run->pass_max_ns = mp_fields_seconds(&passes, "max");
	run->pass_read_bytes = mp_fields_u64(&passes, "read_bytes");
	read_series(&passes, room, run);
	read_peaks(o, run);
	run->major_faults = mp_fields_u64(o, "major_faults");
	run->read_bytes = mp_fields_u64(o, "read_bytes");
	run->reread_bytes = mp_fields_u64(o, "reread_bytes");
	run->reclaimed_bytes = mp_fields_u64(o, "reclaimed_bytes");
	run->some_ns = mp_fields_u64(o, "some_ns");
	run->full_ns = mp_fields_u64(o, "full_ns");
	run->perplexity = mp_fields_any_number(o, "perplexity");
}

static void read_runs(const struct mp_fields *o, struct mp_memory_report *r)
{
	const json_t *array = mp_fields_array(o, "runs");
	size_t n = json_array_size(array);
	struct mp_model_run *runs = mp_reading_block(o->reading, n, sizeof(*runs));
	struct passes room = {.left = count_passes(array)};

	room.next = mp_reading_block(o->reading, room.left, sizeof(*room.next));
	for (size_t i = 0; runs && room.next && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(o, "runs", array, i);

		read_run(&item, &room, &runs[i]);
	}
	r->model.runs = runs;
	r->model.n_runs = runs ? n : 0;
}

void mp_report_read_model(const struct mp_fields *o, struct mp_memory_report *r)
{
	struct mp_fields model = mp_fields_object(o, "model");

	if (!model.json)
		return;
	r->model.file = mp_fields_need_string(&model, "file");
	r->model.is_synthesized = mp_fields_bool(&model, "synthesized");
	r->model.loader = mp_fields_string(&model, "loader");
	r->model.context = mp_fields_u64(&model, "context");
	r->model.disk_per_s = mp_fields_u64(&model, "disk_bytes_per_second");
	read_runs(&model, r);
}

static void read_level(const struct mp_fields *o, struct mp_quantization_row *row)
{
	row->level = mp_fields_need_string(o, "level");
	row->tensor_bytes = mp_fields_u64(o, "tensor_bytes");
	row->kv = mp_fields_u64(o, "kv");
	row->compute = mp_fields_u64(o, "compute");
	row->repack = mp_fields_u64(o, "repack");
	row->runtime = mp_fields_u64(o, "runtime");
	row->metadata = mp_fields_u64(o, "metadata");
	row->must = mp_fields_u64(o, "must");
	row->comfortable = mp_fields_u64(o, "comfortable");
	row->fit = mp_fields_name(o, "fit", mp_outcome_parse);
	row->perplexity = mp_fields_any_number(o, "perplexity");
	row->most_per_s = mp_fields_any_number(o, "most_per_second");
}

void mp_report_read_quantization(const struct mp_fields *o, struct mp_memory_report *r)
{
	struct mp_fields quantization = mp_fields_object(o, "quantization");
	const json_t *array = mp_fields_array(&quantization, "levels");
	uint64_t usable = mp_fields_u64(&quantization, "usable");
	size_t n = json_array_size(array);
	struct mp_quantization_row *levels =
		n ? mp_reading_block(o->reading, n, sizeof(*levels)) : NULL;

	r->quantization.current_optimal = mp_fields_string(&quantization, "current_optimal");
	r->quantization.advice = mp_fields_string(&quantization, "advice");
	r->quantization.usable = usable == MP_UNKNOWN ? 0 : usable;
	for (size_t i = 0; levels && i < n && !o->reading->status; i++) {
		struct mp_fields item = mp_fields_item(&quantization, "levels", array, i);

		read_level(&item, &levels[i]);
	}
	r->quantization.levels = levels;
	r->quantization.n_levels = levels ? n : 0;
}
