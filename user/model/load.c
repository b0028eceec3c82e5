// SPDX-License-Identifier: GPL-2.0-only
#include "model/load.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/names.h"
#include "model/loader.h"
#include "target/target.h"

#define CHUNK_BYTES (16UL << 20) /* of a tensor, between two looks at signals */
#define LATE_AT_LEAST 3		 /* passes */

MP_NAMES(loader, enum mp_loader, MP_LOADER_COUNT, "mmap", "read", "exec")

/* --- what the kernel says of this process ---------------------------------------------------- */

/* Files of tmpfs are shared memory to the kernel, and mapped like any other. */
static void note_rss(struct mp_load_page *page)
{
	const struct mp_fsroot fs = {.root = ""};
	struct mp_rss_kinds rss;
	uint64_t file;

	if (mp_process_rss_kinds(&fs, getpid(), &rss))
		return;
	file = rss.file + rss.shmem;
	page->peak_anon = rss.anon > page->peak_anon ? rss.anon : page->peak_anon;
	page->peak_file = file > page->peak_file ? file : page->peak_file;
}

static struct mp_load_cost cost_now(void)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	return (struct mp_load_cost){.read_bytes = (uint64_t)usage.ru_inblock * 512,
				     .major_faults = (uint64_t)usage.ru_majflt};
}

static struct mp_load_cost cost_since(const struct mp_load_cost *before)
{
	struct mp_load_cost now = cost_now();

	return (struct mp_load_cost){.read_bytes = now.read_bytes - before->read_bytes,
				     .major_faults = now.major_faults - before->major_faults};
}

/* --- passes ---------------------------------------------------------------------------------- */

struct run {
	const struct mp_load_options *options;
	struct mp_load_page *page;
	struct mp_loaded model;
	uint64_t quiet; /* passes in a row */
};

static int read_weight(struct mp_load_page *page, const struct mp_load_weight *weight,
		       uint64_t *sum)
{
	int error = 0;

	for (uint64_t at = 0; at < weight->bytes && !error; at += CHUNK_BYTES) {
		uint64_t left = weight->bytes - at;
		uint64_t bytes = left < CHUNK_BYTES ? left : CHUNK_BYTES;

		*sum += mp_load_sum(weight->data + at, bytes);
		atomic_fetch_add_explicit(&page->passed, bytes, memory_order_relaxed);
		error = mp_load_signals_check();
	}
	return error;
}

/* What a token leaves: a row of keys and one of values in each layer. */
static void write_kv(const struct mp_load_plan *plan, uint8_t *kv, uint64_t token)
{
	uint64_t area = plan->kv / plan->kv_areas;
	uint64_t row = area / plan->kv_cells;

	for (uint32_t i = 0; i < plan->kv_areas; i++)
		memset(kv + i * area + token % plan->kv_cells * row, (int)(token & 0xff), row);
}

/* And results, of one token where there is room for a batch of them. */
static void write_token(const struct mp_loaded *m, uint64_t token)
{
	if (m->kv)
		write_kv(&m->plan, m->kv, token);
	if (m->compute)
		memset(m->compute, (int)(token & 0xff), m->plan.compute / MP_ADVICE_UBATCH);
}

static int pass(struct run *run, uint64_t *sum)
{
	int error = 0;

	for (size_t i = 0; i < run->model.plan.n_tensors && !error; i++)
		error = read_weight(run->page, &run->model.weights[i], sum);
	if (!error)
		write_token(&run->model, atomic_load(&run->page->n_passes));
	return error;
}

static bool is_enough(const struct run *run)
{
	uint64_t spent = mp_clock_now_ns() - run->page->passes_begin_ns;
	uint64_t done = atomic_load(&run->page->n_passes);
	uint64_t asked = run->options->passes;

	if (done < asked || spent < run->options->duration_ns)
		return false;
	return run->options->duration_ns || run->quiet >= asked || done / MP_LOAD_SETTLE >= asked;
}

size_t mp_load_first_settled(const struct mp_load_options *options, size_t n)
{
	size_t late = n / 3 < LATE_AT_LEAST ? LATE_AT_LEAST : n / 3;

	return options->duration_ns || n < late ? 0 : n - late;
}

static void note_pass(struct run *run, const struct mp_load_pass *done)
{
	bool is_quiet = done->read_bytes * 100 <= run->page->weights * MP_LOAD_QUIET_PCT;

	run->quiet = is_quiet ? run->quiet + 1 : 0;
	note_rss(run->page);
	mp_load_page_add(run->page, done);
}

static void set_state(struct mp_load_page *page, enum mp_load_state state)
{
	atomic_store_explicit(&page->state, state, memory_order_release);
}

static int pass_over_weights(struct run *run)
{
	struct mp_load_cost before = cost_now();
	struct mp_load_page *page = run->page;
	int error = 0;

	page->passes_begin_ns = mp_clock_now_ns();
	set_state(page, MP_LOAD_PASSES);
	while (!error && !is_enough(run)) {
		struct mp_load_pass done = {.begin_ns = mp_clock_now_ns()};
		uint64_t read_before = page->passes.read_bytes;
		uint64_t sum = 0;

		error = pass(run, &sum);
		page->passes = cost_since(&before);
		if (error)
			break;
		done.duration_ns = mp_clock_now_ns() - done.begin_ns;
		done.read_bytes = page->passes.read_bytes - read_before;
		page->checksum = sum;
		note_pass(run, &done);
	}
	return error == -EINTR ? 0 : error;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

struct timed {
	enum mp_load_state state;
	uint64_t *begin_ns, *ns;
	struct mp_load_cost *cost;
};

static int load_timed(struct run *run, const struct timed *to, struct mp_error *err)
{
	struct mp_load_cost before = cost_now();
	int error;

	mp_loaded_free(&run->model);
	*to->begin_ns = mp_clock_now_ns();
	set_state(run->page, to->state);
	error = mp_loaded_make(run->options, &run->model, err);
	*to->cost = cost_since(&before);
	note_rss(run->page);
	if (!error)
		*to->ns = mp_clock_now_ns() - *to->begin_ns;
	return error;
}

static int load_cold(struct run *run, struct mp_error *err)
{
	struct mp_load_page *page = run->page;
	const struct timed to = {MP_LOAD_COLD, &page->cold_begin_ns, &page->cold_ns, &page->cold};

	return load_timed(run, &to, err);
}

static int load_warm(struct run *run, struct mp_error *err)
{
	struct mp_load_page *page = run->page;
	const struct timed to = {MP_LOAD_WARM, &page->warm_begin_ns, &page->warm_ns, &page->warm};

	return load_timed(run, &to, err);
}

/* Before anything is loaded: what it will be, and a cold cache. */
static int prepare(struct run *run, struct mp_error *err)
{
	MP_CLEANUP(mp_load_plan_free) struct mp_load_plan plan = {0};
	struct mp_load_page *page = run->page;
	int error = mp_load_plan_make(run->options, &plan, err);

	if (error)
		return error;
	note_rss(page);
	page->runtime = page->peak_anon + page->peak_file;
	page->weights = plan.weights;
	page->kv = plan.kv;
	page->compute = plan.compute;
	page->repack = plan.repack;
	return mp_load_drop_cache(&plan, &page->cached_before, err);
}

static int load_and_pass(struct run *run, struct mp_error *err)
{
	int error = prepare(run, err);

	error = error ?: load_cold(run, err);
	if (!error && !run->options->cold_only)
		error = load_warm(run, err);
	error = error ?: pass_over_weights(run);
	if (!error)
		set_state(run->page, MP_LOAD_DONE);
	return error;
}

/* A page of a mapping could not be read: most likely for one reason. */
static int lost(const char *path, const struct mp_load_plan *plan, struct mp_error *err)
{
	for (size_t i = 0; i < plan->n_parts; i++) {
		const struct mp_load_part *part = &plan->parts[i];
		struct stat st;

		if (stat(part->path, &st) == 0 && (uint64_t)st.st_size < part->bytes)
			return mp_load_truncated(err, part->path, (uint64_t)st.st_size,
						 part->bytes);
	}
	return mp_fail(err, MP_EXIT_CONFIG, EIO, "%s: a part of it cannot be read: see dmesg",
		       path);
}

int mp_load(const struct mp_load_options *options, struct mp_load_page *page, struct mp_error *err)
{
	struct run run = {.options = options, .page = page};
	struct mp_load_signals signals;
	int error;

	mp_load_signals_begin(&signals);
	error = load_and_pass(&run, err);
	if (error == -EINTR)
		error = mp_fail(err, MP_EXIT_INTERRUPTED, EINTR, "interrupted while loading");
	if (error == -EIO)
		error = lost(options->path, &run.model.plan, err);
	mp_loaded_free(&run.model);
	mp_load_signals_end(&signals);
	return error;
}
