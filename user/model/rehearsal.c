// SPDX-License-Identifier: GPL-2.0-only
#include "model/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>

#include "base/array.h"
#include "base/size.h"
#include "model/advice_rows.h"
#include "model/loader.h"

#define CELLS 256 /* a KV cache is a multiple of it */
/* The loader itself, with its libraries. */
#define LOADER_BYTES (9ULL << 20)
#define MAX_ARGS 24

/* --- the command ---------------------------------------------------------------------- */

static int add_word(char **words, size_t *n, const char *word)
{
	words[*n] = strdup(word);
	return words[*n] ? (++*n, 0) : -ENOMEM;
}

static int add_number(char **words, size_t *n, const char *option, uint64_t value, const char *unit)
{
	char text[32];
	int error = add_word(words, n, option);

	snprintf(text, sizeof(text), "%llu%s", (unsigned long long)value, unit);
	return error ?: add_word(words, n, text);
}

/* This program's own loader: docs/models.md. */
static int own_words(const struct mp_rehearsal_options *o, char **words)
{
	const struct mp_load_options *load = &o->load;
	size_t n = 0;
	int error = add_word(words, &n, "/proc/self/exe");

	error = error ?: add_word(words, &n, "gguf");
	error = error ?: add_word(words, &n, "load");
	error = error ?: add_word(words, &n, "--loader");
	error = error ?: add_word(words, &n, mp_loader_name(load->loader));
	error = error ?: add_number(words, &n, "--context", load->context, "");
	if (load->passes)
		error = error ?: add_number(words, &n, "--passes", load->passes, "");
	if (load->duration_ns)
		error = error ?: add_number(words, &n, "--duration", load->duration_ns / 1000000, "ms");
	if (!load->repack)
		error = error ?: add_word(words, &n, "--no-repack");
	if (load->cold_only)
		error = error ?: add_word(words, &n, "--cold-only");
	error = error ?: add_word(words, &n, "--quiet");
	return error ?: add_word(words, &n, o->file->path);
}

static int make_words(const struct mp_rehearsal_options *o, char ***ret, struct mp_error *err)
{
	char **words;
	int error;

	if (o->load.loader == MP_LOADER_EXEC)
		return mp_rehearsal_words(o->exec, o->file->path, ret, err);
	words = calloc(MAX_ARGS, sizeof(*words));
	error = words ? own_words(o, words) : -ENOMEM;
	if (error)
		mp_rehearsal_words_free(words);
	else
		*ret = words;
	return error;
}

/* In the command's process: what it prints is not this command's output. */
static void prepare(void *data)
{
	const struct mp_rehearsal *r = data;
	char number[16];

	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (!r->page)
		return;
	snprintf(number, sizeof(number), "%d", r->page_fd);
	setenv(MP_LOAD_PAGE_ENV, number, 1);
	fcntl(r->page_fd, F_SETFD, 0);
}

/* Ours begins cold by itself. */
static int cool_down(struct mp_rehearsal *r, struct mp_error *err)
{
	const struct mp_load_options load = {.path = r->o->file->path};
	struct mp_load_plan plan;
	int error = mp_load_plan_make(&load, &plan, err);

	if (error)
		return error;
	error = mp_load_drop_cache(&plan, &r->cached_before, err);
	mp_load_plan_free(&plan);
	return error;
}

static int begin_load(struct mp_rehearsal *r, struct mp_error *err)
{
	int error;

	if (r->o->load.loader == MP_LOADER_EXEC)
		return cool_down(r, err);
	error = mp_load_page_new(&r->page, &r->page_fd);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot share memory with the loader: %s", strerror(-error));
	fcntl(r->page_fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/* --- what should come of it ------------------------------------------------------------- */

static int predict_peaks(struct mp_rehearsal *r, struct mp_error *err)
{
	const struct mp_model_file *file = r->o->file;
	struct mp_load_options load = r->o->load;
	struct mp_model_size size;
	struct mp_load_peak peak;
	int error = mp_gguf_size(&file->gguf, NULL, &size, err);

	if (error)
		return error;
	load.file_bytes = file->gguf.file_bytes;
	mp_load_predict(&load, &file->shape, &size, &peak);
	r->predicted_anon = peak.anon;
	r->predicted_file = peak.file;
	r->file_bytes = file->gguf.file_bytes;
	r->tensor_bytes = file->gguf.tensor_bytes;
	return 0;
}

/* A cache that is too large is the user's choice, unlike the rest. */
static void find_most_context(struct mp_rehearsal *r, const struct mp_level_advice *a)
{
	uint64_t rest = a->must - a->kv;
	uint64_t cell = mp_kv_bytes(&r->o->file->shape, CELLS, MP_KV_F16);

	if (a->must <= r->o->limit || rest + cell > r->o->limit || !r->o->load.context)
		return;
	r->is_context_too_long = true;
	r->most_context = (uint32_t)((r->o->limit - rest) / cell * CELLS);
}

/* No margin: what does not fit by little thrashes by little, and that is what is rehearsed. */
static int predict_outcome(struct mp_rehearsal *r, struct mp_error *err)
{
	const struct mp_load_options *load = &r->o->load;
	bool is_exec = load->loader == MP_LOADER_EXEC;
	const struct mp_advice_input input = {
		.shape = &r->o->file->shape,
		.file = &r->o->file->gguf,
		.limit = r->o->limit,
		.context = load->context,
		.n_ubatch = load->context ? MP_ADVICE_UBATCH : 0,
		.repack = load->repack && load->loader != MP_LOADER_READ,
		.no_mmap = load->loader == MP_LOADER_READ,
		.runtime = is_exec ? MP_RUNTIME_LLAMA : LOADER_BYTES,
		.metadata = is_exec ? MP_UNKNOWN : 0,
	};
	struct mp_advice advice;
	int error = mp_advise_file(&input, &advice, err);

	if (error)
		return error;
	/* What fits alone may not with a neighbour; what does not will not with one. */
	if (r->o->is_alone || advice.levels[0].fit != MP_FIT_OK)
		r->predicted = mp_outcome_of_fit(advice.levels[0].fit);
	find_most_context(r, &advice.levels[0]);
	mp_advice_free(&advice);
	return 0;
}

int mp_rehearsal_prepare(const struct mp_rehearsal_options *options, struct mp_rehearsal *ret,
			 struct mp_harness_options *harness, struct mp_error *err)
{
	struct mp_rehearsal *r = ret;
	bool is_exec = options->load.loader == MP_LOADER_EXEC;
	const char *points = is_exec ? options->exec_points : options->points;
	int error;

	*r = (struct mp_rehearsal){
		.o = options, .predicted = MP_OUTCOME_COUNT};
	error = make_words(options, &r->words, err);
	error = error ?: predict_peaks(r, err);
	error = error ?: predict_outcome(r, err);
	error = error ?: begin_load(r, err);
	if (error) {
		mp_rehearsal_free(r);
		return error;
	}
	/* What is mapped of it would stay in the cache, and in this process's memory. */
	mp_gguf_close(&options->file->gguf);
	if (points) {
		r->monitor_args[0] = "--points";
		r->monitor_args[1] = points;
		harness->monitor_args = r->monitor_args;
	}
	harness->command = r->words;
	harness->prepare = prepare;
	harness->prepare_data = r;
	return 0;
}

void mp_rehearsal_free(struct mp_rehearsal *r)
{
	mp_rehearsal_words_free(r->words);
	if (r->page)
		mp_close_p(&r->page_fd);
	mp_load_page_free(r->page);
	*r = (struct mp_rehearsal){0};
}

/* --- what came of it --------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int settle_passes(struct mp_model_run *run)
{
	MP_FREE uint64_t *sorted = calloc(run->n_passes + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	if (!run->n_passes)
		return 0;
	for (size_t i = 0; i < run->n_passes; i++)
		sorted[i] = run->passes[i].duration_ns;
	qsort(sorted, run->n_passes, sizeof(*sorted), compare_u64);
	run->pass_p50_ns = sorted[run->n_passes / 2];
	run->pass_max_ns = sorted[run->n_passes - 1];
	return 0;
}

static uint64_t known_time(uint64_t ns)
{
	return ns ? ns : MP_UNKNOWN;
}

static int take_page(const struct mp_rehearsal *r, const struct mp_harness_figures *f,
		     struct mp_model_run *run)
{
	MP_FREE struct mp_load_pass *kept = calloc(MP_LOAD_PASSES_KEPT, sizeof(*kept));
	const struct mp_load_page *page = r->page;
	uint32_t stride;

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
	return settle_passes(run);
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

static int take_points(const struct mp_rehearsal *r, const struct mp_memory_report *report,
		       const struct mp_harness_figures *f, struct mp_model_run *run)
{
	uint64_t first = r->file_bytes - r->cached_before;
	size_t cap = 0;
	int error = 0;

	for (size_t i = 0; i < report->n_marks && !error; i++) {
		if (report->marks[i].t_ns >= f->start_ns)
			error = take_mark(&report->marks[i], &cap, run);
	}
	run->passes_done = run->n_passes;
	error = error ?: settle_passes(run);
	for (size_t i = 0; i < report->n_points; i++) {
		if (strcmp(report->points[i].name, POINT_DECODE) == 0)
			take_summary(&report->points[i], run);
	}
	run->cached_before = r->cached_before;
	if (f->read_bytes != MP_UNKNOWN)
		run->reread_bytes = f->read_bytes > first ? f->read_bytes - first : 0;
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

/* What passes have read of the weights, whether it was in memory or not; of a command that does not
 * tell, one pass. */
static uint64_t passed_bytes(const struct mp_rehearsal *r, const struct mp_model_run *run)
{
	if (r->page)
		return r->page->passed;
	return (run->passes_done ? run->passes_done : 1) * run->tensor_bytes;
}

static bool is_thrashing(const struct mp_rehearsal *r, const struct mp_model_run *run)
{
	uint64_t passed = passed_bytes(r, run);

	return run->reread_bytes != MP_UNKNOWN &&
	       run->reread_bytes > passed / 100 * MP_REHEARSAL_THRASH_PCT;
}

/* The loader says of itself that memory ran out; others do not. */
static bool has_run_out(const struct mp_rehearsal *r, const struct mp_harness_figures *f)
{
	return r->page && f->has_ended && WIFEXITED(f->status) &&
	       WEXITSTATUS(f->status) == MP_EXIT_OOM;
}

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

static enum mp_outcome outcome_of(struct mp_rehearsal *r, const struct mp_memory_report *report,
				  const struct mp_harness_figures *f,
				  const struct mp_model_run *run)
{
	if (report->outcome == MP_OUTCOME_OOM_KILLED || has_run_out(r, f))
		return MP_OUTCOME_OOM_KILLED;
	if (report->outcome == MP_OUTCOME_INTERRUPTED)
		return MP_OUTCOME_INTERRUPTED;
	if (f->has_ended && f->status) {
		say_how_it_ended(r, f);
		return MP_OUTCOME_INTERRUPTED;
	}
	return is_thrashing(r, run) ? MP_OUTCOME_THRASH : report->outcome;
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
		.reread_bytes = MP_UNKNOWN,
		.perplexity = file->level ? file->level->perplexity : NAN,
	};
	int error;

	take_figures(f, &run);
	error = r->page ? take_page(r, f, &run) : take_points(r, report, f, &run);
	if (error) {
		free(run.passes);
		return error;
	}
	r->victim = f->victim;
	run.outcome = outcome_of(r, report, f, &run);
	*ret = run;
	return 0;
}

/* --- in words ------------------------------------------------------------------------------ */

static void say_ok(const struct mp_model_run *run, char *out, size_t size)
{
	char pass[MP_HUMAN_LEN], peak[MP_HUMAN_LEN], limit[MP_HUMAN_LEN];
	int len = snprintf(out, size, "It fits: peak RSS %s under %s",
			   mp_size_format(run->peak_rss, peak), mp_size_format(run->limit, limit));

	if (run->passes_done && len > 0 && (size_t)len < size)
		snprintf(out + len, size - (size_t)len, ", %llu passes over its weights, %s each",
			 (unsigned long long)run->passes_done,
			 mp_duration_format(run->pass_p50_ns, pass));
}

static void say_thrash(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
		       size_t size)
{
	char pass[MP_HUMAN_LEN], limit[MP_HUMAN_LEN], again[MP_HUMAN_LEN];

	mp_size_format(run->limit, limit);
	if (!run->passes_done)
		snprintf(out, size, "It thrashes: under %s, %s are read from the disk again", limit,
			 mp_size_format(run->reread_bytes, again));
	else
		snprintf(out, size,
			 "It thrashes: under %s, %.0f %% of the weights are read from the disk "
			 "again in each pass, which takes %s",
			 limit, (double)run->reread_bytes * 100 / (double)passed_bytes(r, run),
			 mp_duration_format(run->pass_p50_ns, pass));
}

static void say_killed(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
		       size_t size)
{
	static const char *const victims[] = {
		[MP_VICTIM_NONE] = "the loader was refused memory",
		[MP_VICTIM_FILLER] = "the kernel ended the filler beside it",
		[MP_VICTIM_COMMAND] = "the kernel ended the loader",
	};
	char after[MP_HUMAN_LEN], limit[MP_HUMAN_LEN], need[MP_HUMAN_LEN];

	snprintf(out, size, "It does not fit: %s after %s; %s of anonymous memory are needed, and "
			    "the limit is %s",
		 victims[r->victim], mp_duration_format(run->end_ns - run->start_ns, after),
		 mp_size_format(run->predicted_anon, need), mp_size_format(run->limit, limit));
}

void mp_rehearsal_sentence(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
			   size_t size)
{
	if (r->why[0])
		snprintf(out, size, "Not at its end: %s", r->why);
	else if (run->outcome == MP_OUTCOME_OK)
		say_ok(run, out, size);
	else if (run->outcome == MP_OUTCOME_THRASH)
		say_thrash(r, run, out, size);
	else if (run->outcome == MP_OUTCOME_OOM_KILLED)
		say_killed(r, run, out, size);
	else if (run->outcome == MP_OUTCOME_LIMIT_NOT_REACHED)
		snprintf(out, size, "The pattern did not reach what was asked for beside the model");
	else
		snprintf(out, size, "Interrupted");
}
