// SPDX-License-Identifier: GPL-2.0-only
/* Loads a file in this very process: what limits and watches it, limits and watches the load. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/size.h"
#include "cli/gguf.h"
#include "report/json.h"

#define DEFAULT_PASSES 5
#define MEMORY_BYTES (64UL << 20) /* read to learn how fast memory is */

struct result {
	const struct mp_gguf_args *args;
	struct mp_load_page *page;
	struct mp_load_peak predicted;
	uint64_t n_passes;
	uint64_t first_ns, p50_ns, max_ns; /* UINT64_MAX: there was none */
	double per_s;			   /* bytes of weights, by the median */
	uint64_t reread; /* bytes from the disk in a pass, once they have settled */
	uint64_t memory_per_s;
};

/* --- the page ------------------------------------------------------------------------------ */

static int map_inherited(const char *number, struct mp_load_page **ret, struct mp_error *err)
{
	uint64_t fd;

	if (mp_number_parse(number, INT_MAX, &fd) || mp_load_page_map((int)fd, ret))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       MP_LOAD_PAGE_ENV "=%s: no descriptor of a page for results", number);
	return 0;
}

static int get_page(struct mp_load_page **ret, struct mp_error *err)
{
	const char *inherited = getenv(MP_LOAD_PAGE_ENV);
	MP_CLOSE int fd = -1;
	int error;

	if (inherited)
		return map_inherited(inherited, ret, err);
	error = mp_load_page_new(ret, &fd);
	return error ? mp_fail(err, MP_EXIT_UNSUPPORTED, -error, "no shared memory: memfd_create")
		     : 0;
}

/* --- what comes of it ------------------------------------------------------------------------ */

static int predict(const struct mp_load_options *options, struct mp_load_peak *ret,
		   struct mp_error *err)
{
	MP_CLEANUP(mp_gguf_close) struct mp_gguf_file file = {0};
	struct mp_load_options known = *options;
	struct mp_model_shape shape;
	struct mp_model_size size;
	int error = mp_gguf_open(options->path, &file, err);

	error = error ?: mp_gguf_shape(&file, &shape, err);
	error = error ?: mp_gguf_size(&file, NULL, &size, err);
	if (error)
		return error;
	known.file_bytes = file.file_bytes;
	mp_load_predict(&known, &shape, &size, ret);
	return 0;
}

static int by_duration(const void *a, const void *b)
{
	const struct mp_load_pass *x = a, *y = b;

	return (x->duration_ns > y->duration_ns) - (x->duration_ns < y->duration_ns);
}

static void sum_up_settled(struct result *r, struct mp_load_pass *passes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += passes[i].read_bytes;
	r->reread = sum / (n ?: 1);
	qsort(passes, n, sizeof(*passes), by_duration);
	r->p50_ns = passes[(n - 1) / 2].duration_ns;
	r->per_s = (double)r->page->weights * 1e9 / (double)(r->p50_ns ?: 1);
}

static int sum_up_passes(struct result *r)
{
	MP_FREE struct mp_load_pass *passes = calloc(MP_LOAD_PASSES_KEPT, sizeof(*passes));
	uint32_t stride;
	size_t n, first;

	if (!passes)
		return -ENOMEM;
	n = mp_load_page_passes(r->page, passes, &stride);
	r->n_passes = atomic_load(&r->page->n_passes);
	r->first_ns = r->p50_ns = r->max_ns = UINT64_MAX;
	first = mp_load_first_settled(&r->args->load, n);
	if (n <= first)
		return 0;
	r->first_ns = passes[0].duration_ns;
	sum_up_settled(r, passes + first, n - first);
	qsort(passes, n, sizeof(*passes), by_duration);
	r->max_ns = passes[n - 1].duration_ns;
	return 0;
}

/* No more memory than there has just been. */
static void measure_memory(struct result *r)
{
	uint64_t had = r->page->peak_anon + r->page->peak_file / 2;

	r->memory_per_s = mp_load_memory_per_s(had < MEMORY_BYTES ? had : MEMORY_BYTES);
}

static double reread_pct(const struct result *r)
{
	return r->n_passes ? mp_percent(r->reread, r->page->weights) : -1;
}

/* --- for people ------------------------------------------------------------------------------- */

static void print_load(const char *name, uint64_t ns, uint64_t cached,
		       const struct mp_load_cost *cost)
{
	char time[MP_HUMAN_LEN], kept[MP_HUMAN_LEN], disk[MP_HUMAN_LEN];

	printf("  %-6s %10s  %12s  %12s  %12lu\n", name, mp_duration_format(ns, time),
	       cached == UINT64_MAX ? "what is left" : mp_size_format(cached, kept),
	       mp_size_format(cost->read_bytes, disk), cost->major_faults);
}

static void print_passes(const struct result *r)
{
	char p50[MP_HUMAN_LEN], max[MP_HUMAN_LEN], first[MP_HUMAN_LEN];
	char rate[MP_HUMAN_LEN], memory[MP_HUMAN_LEN], disk[MP_HUMAN_LEN];
	uint64_t n = r->n_passes;

	if (!n) {
		printf("passes   none was finished\n");
		return;
	}
	printf("passes   %lu: p50 %s, max %s; the first %s\n", n,
	       mp_duration_format(r->p50_ns, p50), mp_duration_format(r->max_ns, max),
	       mp_duration_format(r->first_ns, first));
	printf("         %s/s of weights; memory gives %s/s\n",
	       mp_size_format((uint64_t)r->per_s, rate), mp_size_format(r->memory_per_s, memory));
	printf("         a pass reads %s from disk (%.1f %% of the weights), major faults %lu\n",
	       mp_size_format(r->reread, disk), reread_pct(r), r->page->passes.major_faults / n);
}

static void print_peak(const char *name, uint64_t predicted, uint64_t measured)
{
	char a[MP_HUMAN_LEN], b[MP_HUMAN_LEN];

	printf("  %-15s %10s  %10s\n", name, mp_size_format(predicted, a),
	       mp_size_format(measured, b));
}

static void print_memory(const struct result *r)
{
	char kv[MP_HUMAN_LEN], compute[MP_HUMAN_LEN], repack[MP_HUMAN_LEN], runtime[MP_HUMAN_LEN];
	const struct mp_load_page *page = r->page;

	printf("peak memory      predicted    measured\n");
	print_peak("anonymous", r->predicted.anon, page->peak_anon);
	print_peak("file", r->predicted.file, page->peak_file);
	printf("  of it KV cache %s, compute buffer %s, repacked %s, this program %s\n",
	       mp_size_format(page->kv, kv), mp_size_format(page->compute, compute),
	       mp_size_format(page->repack, repack), mp_size_format(page->runtime, runtime));
}

static void print_text(const struct result *r)
{
	char name[256], weights[MP_HUMAN_LEN];
	const struct mp_load_page *page = r->page;

	mp_text_clean(r->args->load.path, name, sizeof(name));
	printf("%s: %s of weights, loader %s, context %u\n", name,
	       mp_size_format(page->weights, weights), mp_loader_name(r->args->load.loader),
	       r->args->load.context);
	printf("load           time  cached before     from disk  major faults\n");
	print_load("cold", page->cold_ns, page->cached_before, &page->cold);
	if (page->warm_ns)
		print_load("warm", page->warm_ns, UINT64_MAX, &page->warm);
	print_passes(r);
	print_memory(r);
}

/* --- for programs ----------------------------------------------------------------------------- */

static void json_cost(struct mp_json *j, const struct mp_load_cost *cost)
{
	mp_json_u64(j, "read_bytes", cost->read_bytes);
	mp_json_u64(j, "major_faults", cost->major_faults);
}

static void json_loads(struct mp_json *j, const struct mp_load_page *page)
{
	mp_json_object(j, "cold");
	mp_json_u64(j, "duration_ns", page->cold_ns);
	mp_json_u64(j, "cached_before", page->cached_before);
	json_cost(j, &page->cold);
	mp_json_object_end(j);
	if (!page->warm_ns)
		return;
	mp_json_object(j, "warm");
	mp_json_u64(j, "duration_ns", page->warm_ns);
	json_cost(j, &page->warm);
	mp_json_object_end(j);
}

static void json_passes(struct mp_json *j, const struct result *r)
{
	mp_json_object(j, "passes");
	mp_json_u64(j, "n", r->n_passes);
	mp_json_u64(j, "first_ns", r->first_ns);
	mp_json_u64(j, "p50_ns", r->p50_ns);
	mp_json_u64(j, "max_ns", r->max_ns);
	mp_json_u64(j, "bytes_per_s", r->n_passes ? (uint64_t)r->per_s : UINT64_MAX);
	json_cost(j, &r->page->passes);
	mp_json_pct(j, "reread_pct", reread_pct(r));
	mp_json_object_end(j);
}

static void json_peak(struct mp_json *j, const char *key, uint64_t anon, uint64_t file)
{
	mp_json_object(j, key);
	mp_json_u64(j, "anon", anon);
	mp_json_u64(j, "file", file);
	mp_json_object_end(j);
}

static void json_result(struct mp_json *j, const struct result *r)
{
	const struct mp_load_page *page = r->page;

	mp_json_object(j, NULL);
	mp_json_string(j, "file", r->args->load.path);
	mp_json_string(j, "loader", mp_loader_name(r->args->load.loader));
	mp_json_u64(j, "context", r->args->load.context);
	mp_json_u64(j, "weights", page->weights);
	mp_json_u64(j, "kv", page->kv);
	mp_json_u64(j, "compute", page->compute);
	mp_json_u64(j, "repack", page->repack);
	mp_json_u64(j, "runtime", page->runtime);
	json_loads(j, page);
	json_passes(j, r);
	mp_json_u64(j, "memory_bytes_per_s", r->memory_per_s);
	json_peak(j, "predicted", r->predicted.anon, r->predicted.file);
	json_peak(j, "peak", page->peak_anon, page->peak_file);
	mp_json_hex(j, "checksum", page->checksum);
	mp_json_object_end(j);
}

static int print_json(const struct result *r)
{
	MP_TEXT struct mp_text text = {0};
	struct mp_json j = {.out = &text};

	json_result(&j, r);
	if (text.failed)
		return -ENOMEM;
	puts(text.data);
	return 0;
}

/* ------------------------------------------------------------------------------------------------
 */

static int load_options(struct mp_gguf_args *args, struct mp_error *err)
{
	struct mp_load_options *options = &args->load;

	if (!args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "gguf load: which file? gguf load FILE");
	options->path = args->file;
	options->context = args->context;
	options->repack = !args->no_repack;
	if (!options->passes && !options->duration_ns)
		options->passes = DEFAULT_PASSES;
	return 0;
}

static int load_and_tell(struct result *r, bool quiet, struct mp_error *err)
{
	int error = predict(&r->args->load, &r->predicted, err);

	error = error ?: mp_load(&r->args->load, r->page, err);
	if (error || quiet)
		return error;
	measure_memory(r);
	error = sum_up_passes(r);
	if (!error && r->args->format == MP_FORMAT_JSON)
		error = print_json(r);
	else if (!error)
		print_text(r);
	return error ? mp_fail(err, MP_EXIT_OOM, -error, "no memory for results") : 0;
}

int mp_gguf_load(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	struct result r = {.args = args};
	int error = load_options(args, err);

	error = error ?: get_page(&r.page, err);
	error = error ?: load_and_tell(&r, cli->quiet, err);
	mp_load_page_free(r.page);
	return error;
}
