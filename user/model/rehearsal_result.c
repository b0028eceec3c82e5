// SPDX-License-Identifier: GPL-2.0-only
/* What came of a load: by the page that the loader left, or by the points of a command. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "base/array.h"
#include "model/rehearsal.h"

/* --- passes ------------------------------------------------------------------------------- */

/* Of the passes from `first` on; the longest, of all. */
static int settle_passes(struct mp_model_run *run, size_t first)
{
	MP_FREE uint64_t *sorted = calloc(run->n_passes + 1, sizeof(*sorted));
	size_t n = run->n_passes - first;

	if (!sorted)
		return -ENOMEM;
	if (!n)
		return 0;
	run->pass_max_ns = 0;
	for (size_t i = 0; i < run->n_passes; i++) {
		sorted[i] = run->passes[i].duration_ns;
		run->pass_max_ns = sorted[i] > run->pass_max_ns ? sorted[i] : run->pass_max_ns;
	}
	qsort(sorted + first, n, sizeof(*sorted), mp_compare_u64);
	run->pass_p50_ns = sorted[first + (n - 1) / 2];
	return 0;
}

static uint64_t known_time(uint64_t ns)
{
	return ns ? ns : MP_UNKNOWN;
}

/* Without a whole pass, by what of the first one was read. */
static void judge_passes(struct mp_rehearsal *r, const struct mp_load_pass *kept, size_t n)
{
	r->passed = n ? n * r->page->weights : r->page->passed;
	r->reread = n ? 0 : r->page->passes.read_bytes;
	for (size_t i = 0; i < n; i++)
		r->reread += kept[i].read_bytes;
}

static int take_page(struct mp_rehearsal *r, const struct mp_harness_figures *f,
		     struct mp_model_run *run)
{
	MP_FREE struct mp_load_pass *kept = calloc(MP_LOAD_PASSES_KEPT, sizeof(*kept));
	const struct mp_load_page *page = r->page;
	uint32_t stride;
	size_t first;

	run->passes = calloc(MP_LOAD_PASSES_KEPT, sizeof(*run->passes));
	if (!kept || !run->passes)
		return -ENOMEM;
	run->n_passes = mp_load_page_passes(page, kept, &stride);
	for (size_t i = 0; i < run->n_passes; i++) {
		run->passes[i].t_ns = kept[i].begin_ns - f->begin_ns;
		run->passes[i].duration_ns = kept[i].duration_ns;
	}
	run->passes_done = page->n_passes;
	run->cached_before = page->state >= MP_LOAD_COLD ? page->cached_before : MP_UNKNOWN;
	run->load_cold_ns = known_time(page->cold_ns);
	run->load_warm_ns = known_time(page->warm_ns);
	run->reread_bytes = page->passes.read_bytes;
	first = mp_load_first_settled(&r->o->load, run->n_passes);
	judge_passes(r, kept + first, run->n_passes - first);
	return settle_passes(run, first);
}

/* Of a command all is told by its points: loading, and decoding, which is a pass over the weights.
 */
#define POINT_LOAD "llama_cpp.load_model"
#define POINT_DECODE "llama_cpp.decode"

static int take_mark(const struct mp_report_mark *mark, size_t *cap, struct mp_model_run *run)
{
	if (mark->kind != MP_MARK_CALL || mark->duration_ns == MP_UNKNOWN)
		return 0;
	if (strcmp(mark->name, POINT_LOAD) == 0 && run->load_cold_ns == MP_UNKNOWN)
		run->load_cold_ns = mark->duration_ns;
	if (strcmp(mark->name, POINT_DECODE) != 0)
		return 0;
	if (MP_RESERVE_ONE(run->passes, run->n_passes, *cap))
		return -ENOMEM;
	run->passes[run->n_passes++] = (struct mp_model_pass){mark->t_ns, mark->duration_ns};
	return 0;
}

/* Records are limited in number, figures are not. */
static void take_summary(const struct mp_report_point *point, struct mp_model_run *run)
{
	run->passes_done = point->returns;
	run->pass_p50_ns = point->duration_p50_ns;
	run->pass_max_ns = point->duration_max_ns;
}

int mp_rehearsal_take_calls(const struct mp_memory_report *r, uint64_t since_ns,
			    struct mp_model_run *run)
{
	size_t cap = 0;
	int error = 0;

	for (size_t i = 0; i < r->n_marks && !error; i++) {
		if (r->marks[i].t_ns >= since_ns)
			error = take_mark(&r->marks[i], &cap, run);
	}
	run->passes_done = run->n_passes;
	error = error ?: settle_passes(run, 0);
	for (size_t i = 0; i < r->n_points; i++) {
		if (strcmp(r->points[i].name, POINT_DECODE) == 0)
			take_summary(&r->points[i], run);
	}
	return error;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Reading the file once is loading it. What is read beyond that may be the program itself and what
 * it needs; so no more was read again than the kernel knows to have been in memory before, and than
 * was taken from this group. Passes of a command that tells of none count as one.
 */
static int take_command(struct mp_rehearsal *r, const struct mp_memory_report *report,
			const struct mp_harness_figures *f, struct mp_model_run *run)
{
	uint64_t first = r->file_bytes - r->cached_before;
	int error = mp_rehearsal_take_calls(report, f->start_ns, run);

	run->cached_before = r->cached_before;
	if (f->read_bytes != MP_UNKNOWN)
		run->reread_bytes = f->read_bytes > first ? f->read_bytes - first : 0;
	run->reread_bytes = least(run->reread_bytes, f->refaulted_bytes);
	run->reread_bytes = least(run->reread_bytes, f->reclaimed_bytes);
	r->passed = (run->passes_done ?: 1) * r->tensor_bytes;
	r->reread = run->reread_bytes;
	return error;
}

static void take_figures(const struct mp_harness_figures *f, struct mp_model_run *run)
{
	run->start_ns = f->start_ns;
	run->end_ns = f->end_ns;
	run->peak_rss = f->peak_rss;
	run->peak_anon = f->peak_anon;
	run->peak_file = f->peak_file;
	run->peak_shmem = f->peak_shmem;
	run->peak_group = f->peak_group;
	run->major_faults = f->major_faults;
	run->read_bytes = f->read_bytes;
	run->reclaimed_bytes = f->reclaimed_bytes;
	run->some_ns = f->some_ns;
	run->full_ns = f->full_ns;
}

/* --- the outcome ------------------------------------------------------------------------ */

/* The loader says of itself that memory ran out; others do not. */
static bool has_run_out(const struct mp_rehearsal_end *end)
{
	return end->tells && end->has_ended && WIFEXITED(end->status) &&
	       WEXITSTATUS(end->status) == MP_EXIT_OOM;
}

static bool is_thrashing(const struct mp_rehearsal_end *end)
{
	return end->reread != MP_UNKNOWN &&
	       (double)end->reread * 100 > (double)end->passed * MP_REHEARSAL_THRASH_PCT;
}

enum mp_outcome mp_rehearsal_judge(const struct mp_rehearsal_end *end)
{
	if (end->pressure == MP_OUTCOME_OOM_KILLED || has_run_out(end))
		return MP_OUTCOME_OOM_KILLED;
	if (end->pressure == MP_OUTCOME_INTERRUPTED || (end->has_ended && end->status))
		return MP_OUTCOME_INTERRUPTED;
	return is_thrashing(end) ? MP_OUTCOME_THRASH : end->pressure;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void say_how_it_ended(struct mp_rehearsal *r, const struct mp_harness_figures *f)
{
	if (WIFSIGNALED(f->status))
		snprintf(r->why, sizeof(r->why),
			 "somebody ended the loader by signal %d (%s); it was not the kernel for "
			 "lack of memory",
			 WTERMSIG(f->status), strsignal(WTERMSIG(f->status)));
	else
		snprintf(r->why, sizeof(r->why), "the loader failed with exit code %d",
			 WEXITSTATUS(f->status));
}

static void settle(struct mp_rehearsal *r, const struct mp_memory_report *report,
		   const struct mp_harness_figures *f, struct mp_model_run *run)
{
	const struct mp_rehearsal_end end = {
		.pressure = report->outcome,
		.tells = r->page != NULL,
		.has_ended = f->has_ended,
		.status = f->status,
		.passed = r->passed,
		.reread = r->reread,
	};

	r->victim = f->victim;
	if (run->passes_done && r->reread != MP_UNKNOWN)
		run->pass_read_bytes = r->reread / (r->passed / r->tensor_bytes);
	run->outcome = mp_rehearsal_judge(&end);
	if (run->outcome == MP_OUTCOME_INTERRUPTED && report->outcome != run->outcome)
		say_how_it_ended(r, f);
}

int mp_rehearsal_finish(struct mp_rehearsal *r, const struct mp_harness_result *result,
			struct mp_model_run *ret)
{
	const struct mp_memory_report *report = mp_harness_report(result);
	const struct mp_harness_figures *f = mp_harness_figures(result);
	const struct mp_model_file *file = r->o->file;
	struct mp_model_run run = {
		.level = file->level ? file->level->name : NULL,
		.limit = report->limit,
		.file_bytes = r->file_bytes,
		.tensor_bytes = r->tensor_bytes,
		.predicted = r->predicted,
		.predicted_anon = r->predicted_anon,
		.predicted_file = r->predicted_file,
		.load_cold_ns = MP_UNKNOWN,
		.load_warm_ns = MP_UNKNOWN,
		.pass_p50_ns = MP_UNKNOWN,
		.pass_max_ns = MP_UNKNOWN,
		.pass_read_bytes = MP_UNKNOWN,
		.reread_bytes = MP_UNKNOWN,
		.perplexity = file->level ? file->level->perplexity : NAN,
	};
	int error;

	take_figures(f, &run);
	error = r->page ? take_page(r, f, &run) : take_command(r, report, f, &run);
	if (error) {
		free(run.passes);
		return error;
	}
	settle(r, report, f, &run);
	*ret = run;
	return 0;
}
