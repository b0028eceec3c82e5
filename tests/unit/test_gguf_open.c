// SPDX-License-Identifier: GPL-2.0-only
#include "workdir.h"

#include <errno.h>

#include "base/file.h"
#include "model/gguf_write.h"

static const char *path_in(const struct dir *dir, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return path;
}

static void save(const struct dir *dir, const char *name, struct mp_gguf_writer *w)
{
	struct mp_text out = {.data = NULL};

	assert_int_equal(mp_gguf_header(w, &out), 0);
	for (uint64_t i = 0; i < w->data_bytes; i++)
		mp_text_putc(&out, '\0');
	assert_int_equal(mp_file_replace(path_in(dir, name), out.data, out.len, 0644), 0);
	mp_text_free(&out);
	mp_gguf_writer_free(w);
}

static void put_tensor(struct mp_gguf_writer *w, const char *name)
{
	assert_int_equal(
		mp_gguf_put_tensor(w, name, 1, (uint64_t[]){8}, mp_ggml_type_of(MP_GGML_F32)), 0);
}

struct part {
	uint32_t no, n, n_tensors;
	const char *arch;
	const char *tensors[3];
};

static void save_part(const struct dir *dir, const char *name, const struct part *part)
{
	struct mp_gguf_writer w = {.n_kv = 0};

	if (part->arch)
		mp_gguf_put_text(&w, "general.architecture", part->arch);
	mp_gguf_put_u32(&w, "split.no", part->no);
	mp_gguf_put_u32(&w, "split.count", part->n);
	mp_gguf_put_u32(&w, "split.tensors.count", part->n_tensors);
	for (size_t i = 0; i < MP_ARRAY_SIZE(part->tensors) && part->tensors[i]; i++)
		put_tensor(&w, part->tensors[i]);
	save(dir, name, &w);
}

static const struct part three[] = {
	{0, 3, 4, "llama", {"a"}},
	{1, 3, 4, NULL, {"b", "c"}},
	{2, 3, 4, "llama", {"d"}},
};
static const char *const three_names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
					  "m-00003-of-00003.gguf"};

static void save_three(const struct dir *dir)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(three); i++)
		save_part(dir, three_names[i], &three[i]);
}

/* What the error says behind the folder's path, which differs from run to run. */
static void fails(const struct dir *dir, const char *name, enum mp_exit exit_code,
		  const char *sentence)
{
	struct mp_gguf_file file = {.n_parts = 77};
	struct mp_error err = {.text = ""};

	assert_true(mp_gguf_open(path_in(dir, name), &file, &err) < 0);
	assert_int_equal(strncmp(err.text, dir->path, strlen(dir->path)), 0);
	assert_string_equal(err.text + strlen(dir->path) + 1, sentence);
	assert_int_equal(err.exit_code, exit_code);
	assert_int_equal(file.n_parts, 77);
}

static void opens_a_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_gguf_writer w = {.n_kv = 0};
	struct mp_gguf_file file;
	struct mp_error err;

	mp_gguf_put_text(&w, "general.architecture", "llama");
	put_tensor(&w, "a");
	save(dir, "one.gguf", &w);
	assert_int_equal(mp_gguf_open(path_in(dir, "one.gguf"), &file, &err), 0);
	assert_int_equal(file.n_parts, 1);
	assert_int_equal(file.n_tensors, 1);
	assert_int_equal(file.tensor_bytes, 32);
	assert_int_equal(file.file_bytes, file.parts[0].gguf.data_offset + 32);
	mp_gguf_close(&file);
	mp_gguf_close(&file);
}

/* What an open file points to is its own: the file may be cut short or go away. */
static void outlives_the_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_gguf_writer w = {.n_kv = 0};
	struct mp_gguf_string text;
	struct mp_gguf_file file;
	struct mp_error err;

	mp_gguf_put_text(&w, "general.architecture", "llama");
	mp_gguf_begin_array(&w, "tokens", MP_GGUF_U32, 20000);
	for (uint32_t i = 0; i < 20000; i++)
		mp_gguf_add_u32(&w, i);
	put_tensor(&w, "a.tensor");
	save(dir, "cut.gguf", &w);
	assert_int_equal(mp_gguf_open(path_in(dir, "cut.gguf"), &file, &err), 0);
	shell(dir, "truncate -s 0 cut.gguf");
	assert_int_equal(mp_gguf_text(&file.parts[0].gguf, "general.architecture", &text), 0);
	assert_int_equal(text.len, 5);
	assert_memory_equal(text.data, "llama", 5);
	assert_non_null(mp_gguf_tensor(&file.parts[0].gguf, "a.tensor"));
	assert_int_equal(file.parts[0].gguf.kv[1].value_bytes, 80000);
	assert_int_equal(file.parts[0].gguf.kv[1].kept_bytes, MP_GGUF_MAX_KEPT);
	assert_int_equal(file.parts[0].gguf.kv[1].value[4 * 16383], 16383 % 256);
	mp_gguf_close(&file);
}

static void opens_all_parts_by_any(void **state)
{
	const struct dir *dir = *state;

	save_three(dir);
	for (size_t i = 0; i < MP_ARRAY_SIZE(three_names); i++) {
		struct mp_gguf_file file;
		struct mp_error err;

		if (mp_gguf_open(path_in(dir, three_names[i]), &file, &err))
			fail_msg("%s", err.text);
		assert_int_equal(file.n_parts, 3);
		assert_int_equal(file.n_tensors, 4);
		assert_int_equal(file.tensor_bytes, 128);
		assert_non_null(mp_gguf_tensor(&file.parts[1].gguf, "c"));
		assert_non_null(strstr(file.parts[2].path, three_names[2]));
		mp_gguf_close(&file);
	}
}

static void refuses_missing_parts(void **state)
{
	const struct dir *dir = *state;

	save_three(dir);
	shell(dir, "rm m-00002-of-00003.gguf");
	fails(dir, three_names[0], MP_EXIT_CONFIG,
	      "m-00002-of-00003.gguf: cannot open: No such file or directory");
	fails(dir, three_names[2], MP_EXIT_CONFIG,
	      "m-00002-of-00003.gguf: cannot open: No such file or directory");
	save_three(dir);
	shell(dir, "truncate -s -1 m-00003-of-00003.gguf");
	fails(dir, three_names[0], MP_EXIT_CONFIG,
	      "m-00003-of-00003.gguf: tensor 1 \"d\": the file ends in its data: it has 223 bytes, "
	      "and 224 are needed");
}

static void refuses_foreign_parts(void **state)
{
	static const struct {
		struct part part;
		const char *sentence;
	} rows[] = {
		{{0, 3, 4, NULL, {"b", "c"}},
		 "m-00002-of-00003.gguf: part 1 of 3 with 4 tensors in all, where part 2 of 3 with "
		 "4 belongs"},
		{{1, 4, 4, NULL, {"b", "c"}},
		 "m-00002-of-00003.gguf: part 2 of 4 with 4 tensors in all, where part 2 of 3 with "
		 "4 belongs"},
		{{1, 3, 5, NULL, {"b", "c"}},
		 "m-00002-of-00003.gguf: part 2 of 3 with 5 tensors in all, where part 2 of 3 with "
		 "4 belongs"},
		{{1, 1, 4, NULL, {"b", "c"}},
		 "m-00002-of-00003.gguf: a whole model, where part 2 of 3 belongs"},
		{{1, 3, 4, "qwen2", {"b", "c"}},
		 "m-00002-of-00003.gguf: of another model: its architecture is \"qwen2\", and "
		 "\"llama\" in part 1"},
		{{1, 3, 4, NULL, {"b"}},
		 "m-00001-of-00003.gguf: 3 tensors in its 3 parts, where split.tensors.count is 4"},
		{{1, 3, 4, NULL, {"b", "a"}},
		 "m-00002-of-00003.gguf: its tensor \"a\" is in part 1 as well"},
	};
	const struct dir *dir = *state;

	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		save_three(dir);
		save_part(dir, three_names[1], &rows[i].part);
		fails(dir, three_names[0], MP_EXIT_CONFIG, rows[i].sentence);
	}
}

static void refuses_parts_that_cannot_be(void **state)
{
	const struct dir *dir = *state;
	struct mp_gguf_writer w = {.n_kv = 0};

	save_part(dir, "alone.gguf", &three[1]);
	fails(dir, "alone.gguf", MP_EXIT_CONFIG,
	      "alone.gguf: part 2 of 3, so its name must end in -00002-of-00003.gguf for the "
	      "others "
	      "to be found");
	save_part(dir, "x-00003-of-00003.gguf", &three[1]);
	fails(dir, "x-00003-of-00003.gguf", MP_EXIT_CONFIG,
	      "x-00003-of-00003.gguf: part 2 of 3, so its name must end in -00002-of-00003.gguf "
	      "for "
	      "the others to be found");
	save_part(dir, "p.gguf", &(struct part){3, 3, 1, NULL, {"a"}});
	fails(dir, "p.gguf", MP_EXIT_CONFIG,
	      "p.gguf: split.no 3 and split.count 3 are of no part that can be");
	save_part(dir, "p.gguf", &(struct part){0, 65536, 1, NULL, {"a"}});
	fails(dir, "p.gguf", MP_EXIT_CONFIG,
	      "p.gguf: split.no 0 and split.count 65536 are of no part that can be");
	mp_gguf_put_u32(&w, "split.count", 2);
	save(dir, "p.gguf", &w);
	fails(dir, "p.gguf", MP_EXIT_CONFIG, "p.gguf: split.no is missing");
	mp_gguf_put_text(&w, "split.count", "two");
	save(dir, "p.gguf", &w);
	fails(dir, "p.gguf", MP_EXIT_CONFIG, "p.gguf: split.count is no number that can be");
}

static void refuses_what_is_no_file(void **state)
{
	const struct dir *dir = *state;

	fails(dir, "none.gguf", MP_EXIT_TARGET,
	      "none.gguf: cannot open: No such file or directory");
	fails(dir, "", MP_EXIT_TARGET, ": not a regular file");
	shell(dir, "mkfifo fifo; : >empty; printf 'GGML....' >old");
	fails(dir, "fifo", MP_EXIT_TARGET, "fifo: not a regular file");
	fails(dir, "empty", MP_EXIT_CONFIG, "empty: not a GGUF file: it is empty");
	fails(dir, "old", MP_EXIT_CONFIG, "old: not a GGUF file: it begins with 47 47 4d 4c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_a_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(outlives_the_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(opens_all_parts_by_any, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(refuses_missing_parts, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(refuses_foreign_parts, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(refuses_parts_that_cannot_be, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, make_dir, remove_dir),
	};

	return cmocka_run_group_tests_name("gguf_open", tests, NULL, NULL);
}
