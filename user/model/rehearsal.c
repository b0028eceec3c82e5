// SPDX-License-Identifier: GPL-2.0-only
#include "model/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "model/disk.h"
#include "model/loader.h"

#define READ_AT_ONCE 4ULL /* twice what is read at once, which is twice the read-ahead */
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
		error = error
				?: add_number(words, &n, "--duration", load->duration_ns / 1000000,
					      "ms");
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
	uint64_t cell = mp_kv_bytes(&r->o->file->shape, MP_KV_CELLS, MP_KV_F16);

	if (a->must <= r->o->limit || rest + cell > r->o->limit || !r->o->load.context)
		return;
	r->is_context_too_long = true;
	r->most_context = (uint32_t)((r->o->limit - rest) / cell * MP_KV_CELLS);
}

/*
 * Of a file that is read in sequence the kernel reads twice the disk's read_ahead_kb at once, and
 * takes what it needs for that from what lies around. Where a limit leaves less than two of these
 * free, passes may settle or not.
 */
static uint64_t elbow_room(const struct mp_rehearsal *r)
{
	const struct mp_fsroot fs = {.root = ""};
	struct stat st;

	if (r->o->load.loader == MP_LOADER_READ || stat(r->o->file->path, &st))
		return 0;
	return READ_AT_ONCE * mp_disk_readahead(&fs, st.st_dev);
}

/* MP_OUTCOME_COUNT: not known. What fits alone may not with a neighbour; what does not will not. */
static enum mp_outcome predict_fit(const struct mp_rehearsal *r, const struct mp_level_advice *a)
{
	if (a->must > r->o->limit)
		return MP_OUTCOME_OOM_KILLED;
	if (a->comfortable > r->o->limit)
		return MP_OUTCOME_THRASH;
	if (a->comfortable + elbow_room(r) > r->o->limit || !r->o->is_alone)
		return MP_OUTCOME_COUNT;
	return MP_OUTCOME_OK;
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
	r->predicted = predict_fit(r, &advice.levels[0]);
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

	*r = (struct mp_rehearsal){.o = options, .predicted = MP_OUTCOME_COUNT};
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
