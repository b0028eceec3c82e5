// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/gguf_write.h"
#include "model/loader.h"
#include "workdir.h"

/* --- the page ---------------------------------------------------------------------------- */

static struct mp_load_page *new_page(int *fd)
{
	struct mp_load_page *page;

	assert_int_equal(mp_load_page_new(&page, fd), 0);
	return page;
}

static void add_passes(struct mp_load_page *page, uint64_t from, uint64_t n)
{
	for (uint64_t i = from; i < from + n; i++) {
		const struct mp_load_pass pass = {.begin_ns = i, .duration_ns = 3 * i};

		mp_load_page_add(page, &pass);
	}
}

/* What is kept is every `stride`-th pass, from the first on. */
static void check_kept(const struct mp_load_page *page, size_t n, uint32_t stride)
{
	struct mp_load_pass *kept = calloc(MP_LOAD_PASSES_KEPT, sizeof(*kept));
	uint32_t found_stride = 0;

	assert_non_null(kept);
	assert_int_equal(mp_load_page_passes(page, kept, &found_stride), n);
	assert_int_equal(found_stride, stride);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(kept[i].begin_ns, i * stride);
		assert_int_equal(kept[i].duration_ns, 3 * i * stride);
	}
	free(kept);
}

static void test_page_is_shared_by_its_descriptor(void **state)
{
	struct mp_load_page *page, *other;
	int fd;

	(void)state;
	page = new_page(&fd);
	assert_int_equal(fcntl(fd, F_GETFD), 0); /* exec does not close it */
	assert_int_equal(mp_load_page_map(fd, &other), 0);
	assert_int_equal(other->version, 1);
	page->weights = 17;
	atomic_store(&page->state, MP_LOAD_PASSES);
	assert_int_equal(other->weights, 17);
	assert_int_equal(atomic_load(&other->state), MP_LOAD_PASSES);
	mp_load_page_free(other);
	mp_load_page_free(page);
	close(fd);
}

static void test_page_outlives_who_is_killed(void **state)
{
	struct mp_load_page *page;
	pid_t child;
	int fd, status;

	(void)state;
	page = new_page(&fd);
	child = fork();
	if (child == 0) {
		add_passes(page, 0, MP_LOAD_PASSES_KEPT + 10);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	check_kept(page, MP_LOAD_PASSES_KEPT / 2 + 5, 2);
	mp_load_page_free(page);
	close(fd);
}

static void test_page_keeps_its_size(void **state)
{
	struct mp_load_page *page;
	int fd;

	(void)state;
	page = new_page(&fd);
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, sizeof(*page) + 4096), -1);
	mp_load_page_free(page);
	close(fd);
}

static void test_what_is_no_page(void **state)
{
	struct mp_load_page *page = NULL;
	int small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int open_ended = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd;

	(void)state;
	assert_int_equal(mp_load_page_map(-1, &page), -EINVAL);
	assert_int_equal(mp_load_page_map(null, &page), -EINVAL);
	assert_int_equal(ftruncate(small, 4096), 0);
	assert_int_equal(fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(mp_load_page_map(small, &page), -EINVAL);
	/* Who holds it could make it shorter. */
	assert_int_equal(ftruncate(open_ended, sizeof(*page)), 0);
	assert_int_equal(mp_load_page_map(open_ended, &page), -EINVAL);
	assert_null(page);
	page = new_page(&fd);
	page->version = 2;
	assert_int_equal(mp_load_page_map(fd, &page), -EINVAL);
	mp_load_page_free(page);
	close(small);
	close(open_ended);
	close(null);
	close(fd);
}

static void test_passes_are_kept_until_there_are_too_many(void **state)
{
	struct mp_load_page *page;
	int fd;

	(void)state;
	page = new_page(&fd);
	check_kept(page, 0, 1);
	add_passes(page, 0, 3);
	check_kept(page, 3, 1);
	add_passes(page, 3, MP_LOAD_PASSES_KEPT - 3);
	check_kept(page, MP_LOAD_PASSES_KEPT, 1);
	add_passes(page, MP_LOAD_PASSES_KEPT, 1);
	check_kept(page, MP_LOAD_PASSES_KEPT / 2 + 1, 2);
	add_passes(page, MP_LOAD_PASSES_KEPT + 1, 1);
	check_kept(page, MP_LOAD_PASSES_KEPT / 2 + 1, 2);
	add_passes(page, MP_LOAD_PASSES_KEPT + 2, MP_LOAD_PASSES_KEPT - 2);
	check_kept(page, MP_LOAD_PASSES_KEPT, 2);
	add_passes(page, 2UL * MP_LOAD_PASSES_KEPT, 100UL * MP_LOAD_PASSES_KEPT);
	assert_int_equal(atomic_load(&page->n_passes), 102UL * MP_LOAD_PASSES_KEPT);
	check_kept(page, 102 * MP_LOAD_PASSES_KEPT / 128, 128);
	mp_load_page_free(page);
	close(fd);
}

/* What is read while it is thinned holds together: another process writes as fast as it can. */
static void test_passes_are_read_while_they_are_recorded(void **state)
{
	struct mp_load_pass *kept = calloc(MP_LOAD_PASSES_KEPT, sizeof(*kept));
	struct mp_load_page *page;
	pid_t child;
	int fd;

	(void)state;
	assert_non_null(kept);
	page = new_page(&fd);
	child = fork();
	if (child == 0) {
		add_passes(page, 0, 400UL * MP_LOAD_PASSES_KEPT);
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0) {
		uint32_t stride = 0;
		size_t n = mp_load_page_passes(page, kept, &stride);

		for (size_t i = 0; i < n; i++) {
			if (kept[i].begin_ns != i * stride || kept[i].duration_ns != 3 * i * stride)
				fail_msg("pass %zu of %zu, stride %u: %lu %lu", i, n, stride,
					 kept[i].begin_ns, kept[i].duration_ns);
		}
	}
	mp_load_page_free(page);
	close(fd);
	free(kept);
}

/* --- sums ----------------------------------------------------------------------------------- */

static uint64_t plain_sum(const uint8_t *data, size_t bytes)
{
	size_t whole = bytes / 128 * 128;
	uint64_t sum = 0, word;

	for (size_t i = 0; i < whole; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		sum += word;
	}
	for (size_t i = whole; i < bytes; i++)
		sum += data[i];
	return sum;
}

static void test_sum_reads_every_byte(void **state)
{
	uint8_t data[700];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t bytes = 0; bytes <= 600; bytes++)
		assert_int_equal(mp_load_sum(data + 3, bytes), plain_sum(data + 3, bytes));
	for (size_t i = 0; i < 600; i++) {
		uint64_t before = mp_load_sum(data, 600);

		data[i] ^= 0x80;
		assert_int_not_equal(mp_load_sum(data, 600), before);
	}
}

/* --- files ---------------------------------------------------------------------------------- */

#define HIDDEN 256
#define FF 512
#define VOCAB 1024
#define LAYERS 2

static void put(struct mp_gguf_writer *w, const char *name, uint64_t row, uint64_t rows,
		const char *type)
{
	const uint64_t ne[] = {row, rows};

	assert_int_equal(mp_gguf_put_tensor(w, name, rows ? 2 : 1, ne, mp_ggml_type_find(type)), 0);
}

static void put_layer(struct mp_gguf_writer *w, int layer)
{
	static const struct {
		const char *name;
		uint64_t row, rows;
	} tensors[] = {
		{"attn_norm", HIDDEN, 0},	 {"attn_q", HIDDEN, HIDDEN},
		{"attn_k", HIDDEN, HIDDEN / 2},	 {"attn_v", HIDDEN, HIDDEN / 2},
		{"attn_output", HIDDEN, HIDDEN}, {"ffn_norm", HIDDEN, 0},
		{"ffn_gate", HIDDEN, FF},	 {"ffn_up", HIDDEN, FF},
		{"ffn_down", FF, HIDDEN},
	};
	char name[64];

	for (size_t i = 0; i < MP_ARRAY_SIZE(tensors); i++) {
		snprintf(name, sizeof(name), "blk.%d.%s.weight", layer, tensors[i].name);
		put(w, name, tensors[i].row, tensors[i].rows, tensors[i].rows ? "Q4_K" : "F32");
	}
}

static void put_keys(struct mp_gguf_writer *w)
{
	mp_gguf_put_text(w, "general.architecture", "llama");
	mp_gguf_put_u32(w, "llama.block_count", LAYERS);
	mp_gguf_put_u32(w, "llama.context_length", 2048);
	mp_gguf_put_u32(w, "llama.embedding_length", HIDDEN);
	mp_gguf_put_u32(w, "llama.feed_forward_length", FF);
	mp_gguf_put_u32(w, "llama.attention.head_count", 4);
	mp_gguf_put_u32(w, "llama.attention.head_count_kv", 2);
	mp_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-6f);
	mp_gguf_put_u32(w, "llama.vocab_size", VOCAB);
}

/* Byte i of the data is i * 7. */
static void write_model(struct mp_gguf_writer *w, const char *path)
{
	struct mp_text whole = {0};

	assert_int_equal(mp_gguf_header(w, &whole), 0);
	for (uint64_t i = 0; i < w->data_bytes; i++)
		mp_text_putc(&whole, (char)(i * 7));
	assert_false(whole.failed);
	assert_int_equal(mp_file_create(path, whole.data, whole.len, 0600), 0);
	mp_text_free(&whole);
	mp_gguf_writer_free(w);
}

/* Of a model with an output of its own. */
static void make_model(const char *path)
{
	struct mp_gguf_writer w = {0};

	put_keys(&w);
	put(&w, "token_embd.weight", HIDDEN, VOCAB, "Q4_K");
	put(&w, "output_norm.weight", HIDDEN, 0, "F32");
	put(&w, "output.weight", HIDDEN, VOCAB, "Q6_K");
	for (int i = 0; i < LAYERS; i++)
		put_layer(&w, i);
	write_model(&w, path);
}

static void put_split(struct mp_gguf_writer *w, uint32_t no, uint32_t n, uint32_t tensors)
{
	mp_gguf_put_u32(w, "split.no", no);
	mp_gguf_put_u32(w, "split.count", n);
	mp_gguf_put_u32(w, "split.tensors.count", tensors);
}

/* The same, a layer a part, what is not of layers in the first. */
static void make_split_model(const struct dir *dir)
{
	for (int i = 0; i < LAYERS; i++) {
		struct mp_gguf_writer w = {0};
		char path[96];

		snprintf(path, sizeof(path), "%s/s-%05d-of-%05d.gguf", dir->path, i + 1, LAYERS);
		if (i == 0)
			put_keys(&w);
		put_split(&w, (uint32_t)i, LAYERS, 3 + 9 * LAYERS);
		if (i == 0) {
			put(&w, "token_embd.weight", HIDDEN, VOCAB, "Q4_K");
			put(&w, "output_norm.weight", HIDDEN, 0, "F32");
			put(&w, "output.weight", HIDDEN, VOCAB, "Q6_K");
		}
		put_layer(&w, i);
		write_model(&w, path);
	}
}

/* Bytes of the matrices of a layer, and of what an output of its own has. */
#define LAYER_ELEMENTS (2UL * HIDDEN * HIDDEN + HIDDEN * HIDDEN + 3UL * HIDDEN * FF)
#define LAYER_BYTES (LAYER_ELEMENTS / 256 * 144)
#define EMBEDDING_BYTES (1UL * HIDDEN * VOCAB / 256 * 144)
#define OUTPUT_BYTES (1UL * HIDDEN * VOCAB / 256 * 210)
#define NORM_BYTES (HIDDEN * 4UL)
#define REPACKED_BYTES (LAYERS * LAYER_BYTES)
#define WEIGHT_BYTES                                                                               \
	(EMBEDDING_BYTES + OUTPUT_BYTES + REPACKED_BYTES + (2 * LAYERS + 1) * NORM_BYTES)
#define KV_BYTES (LAYERS * 256UL * 2 * 2 * (HIDDEN / 4) * 2) /* of up to 256 tokens */
#define COMPUTE_BYTES (512UL * 4 * (VOCAB + 2 * HIDDEN))

struct file {
	struct dir *dir;
	char path[96];
	struct mp_load_page *page;
	struct mp_load_options options;
};

static void make_file(void **state, struct file *file)
{
	int fd;

	memset(file, 0, sizeof(*file));
	file->dir = *state;
	snprintf(file->path, sizeof(file->path), "%s/m.gguf", file->dir->path);
	unlink(file->path);
	make_model(file->path);
	file->page = new_page(&fd);
	close(fd);
	file->options = (struct mp_load_options){
		.path = file->path, .context = 100, .repack = true, .passes = 3};
}

static void check_loaded(enum mp_loader loader, uint64_t repack, void **state, uint64_t *ret_sum)
{
	struct mp_error err = {0};
	struct file file;

	make_file(state, &file);
	file.options.loader = loader;
	if (mp_load(&file.options, file.page, &err))
		fail_msg("%s", err.text);
	assert_int_equal(atomic_load(&file.page->state), MP_LOAD_DONE);
	assert_int_equal(file.page->weights, WEIGHT_BYTES);
	assert_int_equal(file.page->kv, KV_BYTES);
	assert_int_equal(file.page->compute, COMPUTE_BYTES);
	assert_int_equal(file.page->repack, repack);
	assert_int_equal(atomic_load(&file.page->n_passes), 3);
	assert_int_equal(atomic_load(&file.page->passed), 3 * WEIGHT_BYTES);
	assert_true(file.page->cold_ns > 0 && file.page->warm_ns > 0);
	assert_true(file.page->warm_begin_ns >= file.page->cold_begin_ns + file.page->cold_ns);
	*ret_sum = file.page->checksum;
	mp_load_page_free(file.page);
}

/* Whichever way they came in, and whether copied or not, the weights are the same. */
static void test_loaders_load_the_same(void **state)
{
	uint64_t mapped, read;

	check_loaded(MP_LOADER_MMAP, REPACKED_BYTES, state, &mapped);
	check_loaded(MP_LOADER_READ, 0, state, &read);
	assert_int_equal(mapped, read);
	assert_int_not_equal(mapped, 0);
}

static void test_plan(void **state)
{
	struct mp_load_plan plan = {0};
	struct mp_error err = {0};
	struct file file;
	uint64_t at;

	make_file(state, &file);
	assert_int_equal(mp_load_plan_make(&file.options, &plan, &err), 0);
	assert_int_equal(plan.n_parts, 1);
	assert_int_equal(plan.parts[0].n, 3 + 9 * LAYERS);
	assert_int_equal(plan.kv_areas, 2 * LAYERS);
	assert_int_equal(plan.kv_cells, 256);
	assert_false(plan.tensors[0].repacked); /* an embedding is only looked up */
	assert_false(plan.tensors[2].repacked); /* Q6_K */
	assert_true(plan.tensors[4].repacked);
	at = plan.tensors[0].offset;
	for (size_t i = 0; i < plan.n_tensors; i++) {
		assert_int_equal(plan.tensors[i].offset, at);
		at += mp_gguf_padded(plan.tensors[i].bytes, 32);
	}
	assert_int_equal(at, plan.parts[0].bytes);
	mp_load_plan_free(&plan);
	mp_load_page_free(file.page);
}

static void check_split(enum mp_loader loader, const struct dir *dir, uint64_t *ret_sum)
{
	struct mp_load_options options = {
		.loader = loader, .context = 1, .repack = true, .passes = 1};
	struct mp_error err = {0};
	struct mp_load_page *page;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/s-00002-of-00002.gguf", dir->path); /* any part will do */
	options.path = path;
	page = new_page(&fd);
	if (mp_load(&options, page, &err))
		fail_msg("%s", err.text);
	assert_int_equal(page->weights, WEIGHT_BYTES);
	assert_int_equal(atomic_load(&page->passed), WEIGHT_BYTES);
	assert_int_equal(page->repack, loader == MP_LOADER_MMAP ? REPACKED_BYTES : 0);
	*ret_sum = page->checksum;
	mp_load_page_free(page);
	close(fd);
}

static void test_split_files(void **state)
{
	uint64_t mapped, read;

	make_split_model(*state);
	check_split(MP_LOADER_MMAP, *state, &mapped);
	check_split(MP_LOADER_READ, *state, &read);
	assert_int_equal(mapped, read);
}

/* Weights that are copied are read where the copy is, and all others where the file is. */
static void test_copies_are_what_is_read(void **state)
{
	struct mp_loaded model = {0};
	struct mp_error err = {0};
	struct file file;

	make_file(state, &file);
	assert_int_equal(mp_loaded_make(&file.options, &model, &err), 0);
	assert_int_equal(model.n_regions, 4); /* the file, copies, KV cache, compute buffer */
	for (size_t i = 0; i < model.plan.n_tensors; i++) {
		const struct mp_load_region *in = &model.regions[model.plan.tensors[i].repacked];
		const uint8_t *begin = in->begin;

		assert_in_range(model.weights[i].data - begin, 0,
				in->bytes - model.weights[i].bytes);
		assert_int_equal(model.weights[i].bytes, model.plan.tensors[i].bytes);
	}
	for (uint64_t i = 0; i < KV_BYTES; i++)
		assert_int_equal(model.kv[i], 0);
	mp_loaded_free(&model);
	mp_load_page_free(file.page);
}

/* Files in memory cannot be dropped: all of their bytes are there, and no more. */
static void test_what_stays_in_the_cache_is_counted(void **state)
{
	char path[] = "/dev/shm/mp_test.XXXXXX";
	MP_CLOSE int fd = mkstemp(path);
	struct mp_load_part part = {.path = path, .bytes = 100001};
	const struct mp_load_plan plan = {.parts = &part, .n_parts = 1};
	struct mp_error err = {0};
	uint64_t kept = 0;
	char data[8192];

	(void)state;
	if (fd < 0)
		skip();
	memset(data, 1, sizeof(data));
	for (int i = 0; i < 13; i++)
		assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	assert_int_equal(ftruncate(fd, 100001), 0);
	assert_int_equal(mp_load_drop_cache(&plan, &kept, &err), 0);
	assert_int_equal(kept, 100001);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, 100001), 0);
	assert_int_equal(pwrite(fd, data, 1, 50000), 1);
	assert_int_equal(mp_load_drop_cache(&plan, &kept, &err), 0);
	assert_int_equal(kept, sysconf(_SC_PAGESIZE));
	unlink(path);
	assert_int_equal(mp_load_drop_cache(&plan, &kept, &err), -ENOENT);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
}

static void test_without_context_there_are_no_caches(void **state)
{
	struct mp_error err = {0};
	struct file file;

	make_file(state, &file);
	file.options.context = 0;
	file.options.repack = false;
	file.options.cold_only = true;
	assert_int_equal(mp_load(&file.options, file.page, &err), 0);
	assert_int_equal(file.page->kv, 0);
	assert_int_equal(file.page->compute, 0);
	assert_int_equal(file.page->repack, 0);
	assert_int_equal(file.page->warm_ns, 0);
	mp_load_page_free(file.page);
}

/* The first ones may be about what was reclaimed while loading. */
static void test_passes_settle(void **state)
{
	const struct mp_load_options counted = {.passes = 5}, timed = {.duration_ns = 1};

	(void)state;
	assert_int_equal(mp_load_first_settled(&counted, 0), 0);
	assert_int_equal(mp_load_first_settled(&counted, 2), 0);
	assert_int_equal(mp_load_first_settled(&counted, 3), 0);
	assert_int_equal(mp_load_first_settled(&counted, 5), 2);
	assert_int_equal(mp_load_first_settled(&counted, 25), 17);
	assert_int_equal(mp_load_first_settled(&timed, 25), 0);
}

static void test_duration_is_a_least(void **state)
{
	struct mp_error err = {0};
	struct file file;
	uint64_t begin_ns;

	make_file(state, &file);
	file.options.passes = 0;
	file.options.duration_ns = 20000000;
	begin_ns = mp_clock_now_ns();
	assert_int_equal(mp_load(&file.options, file.page, &err), 0);
	assert_true(mp_clock_now_ns() - begin_ns >= file.options.duration_ns);
	assert_true(atomic_load(&file.page->n_passes) > 0);
	mp_load_page_free(file.page);
}

/* --- bad files -------------------------------------------------------------------------------- */

static void expect_failure(struct file *file, int error, enum mp_exit code, const char *text)
{
	struct mp_error err = {0};

	assert_int_equal(mp_load(&file->options, file->page, &err), error);
	assert_int_equal(err.exit_code, code);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	mp_load_page_free(file->page);
}

static void test_no_file(void **state)
{
	struct file file;

	make_file(state, &file);
	unlink(file.path);
	expect_failure(&file, -ENOENT, MP_EXIT_TARGET, "m.gguf");
}

static void test_malformed_file(void **state)
{
	struct file file;

	make_file(state, &file);
	shell(file.dir, "printf 'GGUF\\003' >m.gguf");
	expect_failure(&file, -EBADMSG, MP_EXIT_CONFIG, "m.gguf");
}

static void test_loader_of_a_command(void **state)
{
	struct file file;

	make_file(state, &file);
	file.options.loader = MP_LOADER_EXEC;
	expect_failure(&file, -EINVAL, MP_EXIT_USAGE, "exec");
}

static void test_read_of_what_is_cut_meanwhile(void **state)
{
	struct mp_loaded model = {0};
	struct mp_error err = {0};
	struct file file;
	MP_CLOSE int fd = -1;

	make_file(state, &file);
	assert_int_equal(mp_load_plan_make(&file.options, &model.plan, &err), 0);
	model.weights = calloc(model.plan.n_tensors, sizeof(*model.weights));
	assert_non_null(model.weights);
	fd = open(file.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 100000), 0);
	assert_int_equal(mp_loader_read(&model, &model.plan.parts[0], fd, &err), -EBADMSG);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_non_null(strstr(err.text, "truncated to 100000 bytes"));
	mp_loaded_free(&model);
	mp_load_page_free(file.page);
}

/* --- signals ------------------------------------------------------------------------------------
 */

/* Pages behind the end of a file kill who reads them: here they are zeros, and it is known. */
static void test_pages_that_cannot_be_read(void **state)
{
	struct mp_load_signals signals;
	struct file file;
	MP_CLOSE int fd = -1;
	uint8_t *map;

	make_file(state, &file);
	fd = open(file.path, O_RDWR | O_CLOEXEC);
	map = mmap(NULL, 1 << 18, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(ftruncate(fd, 100), 0);
	mp_load_signals_begin(&signals);
	assert_int_equal(mp_load_signals_check(), 0);
	assert_int_equal(map[200000], 0);
	assert_int_equal(map[50000], 0);
	assert_int_equal(map[0], 'G');
	assert_int_equal(mp_load_signals_check(), -EIO);
	mp_load_signals_end(&signals);
	munmap(map, 1 << 18);
	mp_load_page_free(file.page);
}

static void test_being_asked_to_end(void **state)
{
	struct mp_load_signals signals;
	sigset_t after;

	(void)state;
	mp_load_signals_begin(&signals);
	assert_int_equal(mp_load_signals_check(), 0);
	raise(SIGTERM);
	assert_int_equal(mp_load_signals_check(), -EINTR);
	raise(SIGINT);
	assert_int_equal(mp_load_signals_check(), -EINTR);
	mp_load_signals_end(&signals); /* and they do not come later */
	sigprocmask(SIG_BLOCK, NULL, &after);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
}

/* A child loads and is asked to end when it has passed once; it is done then. */
static void test_passes_end_when_asked(void **state)
{
	struct file file;
	int status;
	pid_t child;

	make_file(state, &file);
	file.options.passes = UINT64_MAX;
	child = fork();
	if (child == 0)
		_exit(mp_load(&file.options, file.page, NULL) ? 1 : 0);
	while (atomic_load(&file.page->n_passes) == 0)
		assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGTERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(atomic_load(&file.page->state), MP_LOAD_DONE);
	mp_load_page_free(file.page);
}

/* --- prediction ------------------------------------------------------------------------------- */

static void test_prediction(void **state)
{
	const struct mp_model_shape shape = {.layers = 28,
					     .hidden = 3584,
					     .heads = 28,
					     .kv_heads = 4,
					     .head_dim = 128,
					     .vocab = 152064};
	const struct mp_model_size size = {.tensor_bytes = 4677120000, .repack_bytes = 3121610752};
	struct mp_load_options options = {.context = 4096, .file_bytes = 4683074240};
	const uint64_t caches = 57344UL * 4096 + 512UL * 4 * (152064 + 2 * 3584);
	struct mp_load_peak none, peak, base;

	(void)state;
	mp_load_predict(&(struct mp_load_options){.loader = MP_LOADER_READ}, &shape,
			&(struct mp_model_size){0}, &base);
	mp_load_predict(&options, &shape, &size, &peak);
	assert_int_equal(peak.anon - base.anon, caches);
	assert_int_equal(peak.file - base.file, 4683074240);
	options.repack = true;
	mp_load_predict(&options, &shape, &size, &peak);
	assert_int_equal(peak.anon - base.anon, caches + 3121610752);
	options.loader = MP_LOADER_READ;
	mp_load_predict(&options, &shape, &size, &peak);
	assert_int_equal(peak.anon - base.anon, caches + 4677120000);
	assert_int_equal(peak.file, base.file);
	options.context = 0;
	mp_load_predict(&options, &shape, &size, &none);
	assert_int_equal(peak.anon - none.anon, caches);
	/* Without the file, its header is estimated: within a hundredth of the real one's. */
	options = (struct mp_load_options){0};
	mp_load_predict(&options, &shape, &size, &peak);
	assert_true(peak.file - base.file > 4683074240 / 100 * 99);
	assert_true(peak.file - base.file < 4683074240 / 100 * 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_shared_by_its_descriptor),
		cmocka_unit_test(test_page_outlives_who_is_killed),
		cmocka_unit_test(test_page_keeps_its_size),
		cmocka_unit_test(test_what_is_no_page),
		cmocka_unit_test(test_passes_are_kept_until_there_are_too_many),
		cmocka_unit_test(test_passes_are_read_while_they_are_recorded),
		cmocka_unit_test(test_sum_reads_every_byte),
		cmocka_unit_test_setup_teardown(test_loaders_load_the_same, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_plan, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_split_files, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_copies_are_what_is_read, make_dir, remove_dir),
		cmocka_unit_test(test_what_stays_in_the_cache_is_counted),
		cmocka_unit_test_setup_teardown(test_without_context_there_are_no_caches, make_dir,
						remove_dir),
		cmocka_unit_test(test_passes_settle),
		cmocka_unit_test_setup_teardown(test_duration_is_a_least, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_no_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_malformed_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_loader_of_a_command, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_read_of_what_is_cut_meanwhile, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_pages_that_cannot_be_read, make_dir,
						remove_dir),
		cmocka_unit_test(test_being_asked_to_end),
		cmocka_unit_test_setup_teardown(test_passes_end_when_asked, make_dir, remove_dir),
		cmocka_unit_test(test_prediction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
