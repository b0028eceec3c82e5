// SPDX-License-Identifier: GPL-2.0-only
#include "cli/model_run.h"

#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cli/profile.h"
#include "harness/patterns.h"
#include "model/advice_rows.h"

/* --- a run ------------------------------------------------------------------------------ */

/* That a context does not fit is rehearsed all the same: that is what it looks like. */
static void note_context(const struct mp_model_args *args, const struct mp_rehearsal *r)
{
	char note[256], limit[MP_HUMAN_LEN];

	if (!r->is_context_too_long)
		return;
	snprintf(note, sizeof(note),
		 "a context of %u tokens needs more than %s: with --context %u it would fit",
		 args->load.context, mp_size_format(r->o->limit, limit), r->most_context);
	mp_cli_note((void *)args->cli, note);
}

int mp_model_rehearse(struct mp_model_args *args, struct mp_model_file *file,
		      const struct mp_memory_report *earlier, struct mp_model_rehearsed *ret,
		      struct mp_error *err)
{
	MP_CLEANUP(mp_rehearsal_free) struct mp_rehearsal r = {0};
	struct mp_harness_options harness = args->h.o;
	struct mp_model_rehearsed done = {0};
	struct mp_rehearsal_options o;
	int error;

	mp_model_args_rehearsal(args, file, &o);
	harness.earlier = earlier;
	harness.earlier_is_whole = earlier != NULL;
	if (o.is_alone && file->level)
		harness.pattern_options.phase = file->level->name;
	error = mp_rehearsal_prepare(&o, &r, &harness, err);
	if (error)
		return error;
	note_context(args, &r);
	error = mp_harness_run(&harness, &done.result, err);
	if (error)
		return error;
	error = mp_rehearsal_finish(&r, done.result, &done.run);
	if (error) {
		mp_harness_result_free(done.result);
		return error;
	}
	done.has_failed = r.why[0];
	mp_rehearsal_sentence(&r, &done.run, done.sentence, sizeof(done.sentence));
	*ret = done;
	return 0;
}

void mp_model_rehearsed_free(struct mp_model_rehearsed *done)
{
	free(done->run.passes);
	mp_harness_result_free(done->result);
	*done = (struct mp_model_rehearsed){0};
}

int mp_model_exit_code(const struct mp_model_rehearsed *done)
{
	return done->has_failed ? MP_EXIT_CHECK : mp_harness_outcome_code(done->run.outcome);
}

/* --- advice ------------------------------------------------------------------------------- */

/* As the first cold load had it; 0: not known. */
static uint64_t disk_speed(const struct mp_model_run *run)
{
	if (!run || run->load_cold_ns == MP_UNKNOWN || run->cached_before == MP_UNKNOWN)
		return 0;
	return (uint64_t)((double)(run->file_bytes - run->cached_before) * 1e9 /
			  (double)run->load_cold_ns);
}

static struct mp_advice_input advice_input(const struct mp_model_args *args,
					   const struct mp_model_shape *shape,
					   const struct mp_model_run *run)
{
	const struct mp_profile *device = args->h.o.profile;

	return (struct mp_advice_input){
		.shape = shape,
		.limit = device->limit_bytes,
		.margin = mp_advice_margin(device->limit_bytes),
		.context = args->load.context,
		.n_ubatch = args->load.context ? MP_ADVICE_UBATCH : 0,
		.repack = args->load.repack,
		.no_mmap = args->load.loader == MP_LOADER_READ,
		.runtime = MP_RUNTIME_LLAMA,
		.metadata = MP_UNKNOWN,
		.disk_per_s = disk_speed(run),
	};
}

int mp_model_advise(const struct mp_model_args *args, const struct mp_model_shape *shape,
		    const struct mp_model_run *run, struct mp_model_advised *ret,
		    struct mp_error *err)
{
	const struct mp_advice_input input = advice_input(args, shape, run);
	struct mp_model_advised a = {0};
	int error = mp_advise(&input, NULL, 0, &a.advice, err);

	if (error)
		return error;
	error = mp_advice_rows(&a.advice, &a.rows, &a.n_rows);
	if (args->models.n)
		a.smaller = mp_advise_smaller(&input, &args->models, &a.smaller_level);
	mp_advice_sentence(&a.sentence, &input, &a.advice, a.advice.best ? NULL : a.smaller,
			   a.advice.best ? NULL : a.smaller_level);
	if (error || a.sentence.failed) {
		mp_model_advised_free(&a);
		return -ENOMEM;
	}
	a.usable = mp_advice_usable(&input);
	a.disk_per_s = input.disk_per_s;
	*ret = a;
	return 0;
}

void mp_model_advised_free(struct mp_model_advised *advised)
{
	mp_advice_free(&advised->advice);
	free(advised->rows);
	mp_text_free(&advised->sentence);
}

/* --- the report ------------------------------------------------------------------------------ */

static uint64_t load_time(const struct mp_model_kept *kept)
{
	for (size_t i = 0; i < kept->n_runs; i++) {
		if (kept->runs[i].load_cold_ns != MP_UNKNOWN)
			return kept->runs[i].load_cold_ns;
	}
	return MP_UNKNOWN;
}

void mp_model_fill_report(const struct mp_model_args *args, const struct mp_model_kept *kept,
			  struct mp_memory_report *r)
{
	const struct mp_model_advised *a = kept->advised;

	/* The words of the loader's command are gone by now. */
	r->command = args->exec;
	r->model_id = kept->id;
	r->model_load_ns = load_time(kept);
	r->model.file = kept->file;
	r->model.loader = mp_loader_name(args->load.loader);
	r->model.is_synthesized = kept->is_synthesized;
	r->model.context = args->load.context;
	r->model.disk_per_s = a->disk_per_s ? a->disk_per_s : MP_UNKNOWN;
	r->model.runs = kept->runs;
	r->model.n_runs = kept->n_runs;
	r->quantization.current_optimal = a->advice.best ? a->advice.best->level->name : NULL;
	r->quantization.advice = a->sentence.data;
	r->quantization.usable = a->usable;
	r->quantization.levels = a->rows;
	r->quantization.n_levels = a->n_rows;
}
