// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/text.h"
#include "model/model_file.h"
#include "shapes.h"
#include "workdir.h"

static struct mp_model_path paths[1];
static const struct mp_model_shape shape = {TINY_SHAPE, .tied = true};

static struct mp_model model_of(const struct mp_model_shape *s)
{
	return (struct mp_model){
		.id = (char *)"tiny-1m", .origin = (char *)"models.yaml:3:5", .shape = *s};
}

static void note_it(void *data, const char *note)
{
	mp_text_puts(data, note);
	mp_text_putc(data, '\n');
}

/* Everything that a test needs: what is asked, and what was told. */
struct asked {
	struct mp_model model;
	struct mp_model_file_options options;
	struct mp_text notes;
	struct mp_error err;
};

static void begin(struct asked *a, const struct mp_model_shape *s, const char *dir)
{
	*a = (struct asked){.model = model_of(s)};
	a->options = (struct mp_model_file_options){.dir = dir, .tell = note_it, .data = &a->notes};
}

static void end(struct asked *a)
{
	mp_text_free(&a->notes);
}

static int get(struct asked *a, const char *level, struct mp_model_file *ret)
{
	mp_text_reset(&a->notes);
	return mp_model_file_get(&a->model, mp_quant_find(level, NULL), &a->options, ret, &a->err);
}

static void get_well(struct asked *a, const char *level, struct mp_model_file *ret)
{
	if (get(a, level, ret))
		fail_msg("%s", a->err.text);
}

static void expect_note(const struct asked *a, const char *part)
{
	if (!a->notes.data || !strstr(a->notes.data, part))
		fail_msg("\"%s\" was not told, but: %s", part, a->notes.data);
}

static void expect_error(const struct asked *a, enum mp_exit exit_code, const char *part)
{
	assert_int_equal(a->err.exit_code, exit_code);
	if (!strstr(a->err.text, part))
		fail_msg("\"%s\" is not in: %s", part, a->err.text);
}

static void make(const struct dir *dir, const struct mp_model_shape *s, const char *level,
		 const char *name)
{
	const struct mp_synth_options o = {
		.name = "other", .shape = s, .level = mp_quant_find(level, NULL)};
	struct mp_error err = {0};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	if (mp_synth(&o, path, &err))
		fail_msg("%s", err.text);
}

static unsigned int files_in(const char *path)
{
	MP_CLOSEDIR DIR *d = opendir(path);
	unsigned int n = 0;

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* --- kept ones ------------------------------------------------------------------------------ */

static void test_a_made_file_is_kept_and_used_again(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	char kept[PATH_MAX - 32], path[PATH_MAX];
	struct asked a;
	ino_t inode;

	snprintf(kept, sizeof(kept), "%s/a/b", dir->path);
	snprintf(path, sizeof(path), "%s/tiny-1m-Q4_K_M.gguf", kept);
	begin(&a, &shape, kept);
	get_well(&a, "Q4_K_M", &file);
	expect_note(&a, "writing tiny-1m at Q4_K_M, ");
	assert_string_equal(file.path, path);
	assert_true(file.is_synthesized);
	assert_false(file.is_temporary);
	assert_string_equal(file.level->name, "Q4_K_M");
	assert_int_equal(file.shape.layers, 2);
	assert_int_equal(file.gguf.n_tensors, 26);
	mp_model_file_release(&file);
	inode = inode_of(path);

	get_well(&a, "Q4_K_M", &file);
	assert_int_equal(a.notes.len, 0);
	assert_int_equal(inode_of(path), inode);
	mp_model_file_release(&file);
	get_well(&a, "Q2_K", &file);
	mp_model_file_release(&file);
	assert_int_equal(files_in(kept), 2);
	end(&a);
}

/* Of another version, or another shape in models.yaml since. */
static void test_a_made_file_that_is_not_the_same_is_made_anew(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_shape before = shape;
	struct mp_model_file file = {0};
	struct asked a;

	before.layers = 3;
	make(dir, &before, "Q8_0", "tiny-1m-Q8_0.gguf");
	begin(&a, &shape, dir->path);
	get_well(&a, "Q8_0", &file);
	expect_note(&a, "writing tiny-1m at Q8_0");
	assert_int_equal(file.gguf.n_tensors, 26);
	mp_model_file_release(&file);
	assert_int_equal(files_in(dir->path), 1);
	end(&a);
}

static void test_a_part_has_a_name_of_its_own(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_shape large = shape;
	struct mp_model_file file = {0};
	char path[PATH_MAX];
	struct asked a;

	large.layers = 32;
	snprintf(path, sizeof(path), "%s/tiny-1m-1of16-Q4_0.gguf", dir->path);
	begin(&a, &large, dir->path);
	a.options.scale_num = 1;
	a.options.scale_den = 16;
	get_well(&a, "Q4_0", &file);
	assert_string_equal(file.path, path);
	assert_int_equal(file.shape.layers, 1);
	expect_note(&a, "writing tiny-1m 1/16 at Q4_0");
	mp_model_file_release(&file);

	a.options.scale_den = 65536;
	assert_int_equal(get(&a, "Q4_0", &file), -ERANGE);
	expect_error(&a, MP_EXIT_USAGE, "--scale 1/65536");
	end(&a);
}

/* --- what was not made here ------------------------------------------------------------------ */

/* Takes what says that it was made here away: another key of the same length. */
static void disown(const struct dir *dir, const char *name)
{
	shell(dir, "sed -i 's/memprobe\\.seed/somebody.seed/' %s", name);
}

static void test_a_real_file_in_the_folder_is_used(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	struct asked a;

	make(dir, &shape, "Q6_K", "tiny-1m-Q6_K.gguf");
	disown(dir, "tiny-1m-Q6_K.gguf");
	begin(&a, &shape, dir->path);
	get_well(&a, "Q6_K", &file);
	assert_false(file.is_synthesized);
	assert_int_equal(a.notes.len, 0);
	assert_string_equal(file.level->name, "Q6_K");
	mp_model_file_release(&file);
	end(&a);
}

static void test_a_real_file_in_the_folder_is_never_written_over(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_shape other = shape;
	struct mp_model_file file = {0};
	struct asked a;

	other.layers = 3;
	make(dir, &other, "Q6_K", "tiny-1m-Q6_K.gguf");
	disown(dir, "tiny-1m-Q6_K.gguf");
	shell(dir, "cp tiny-1m-Q6_K.gguf copy; echo no model >tiny-1m-Q8_0.gguf");
	begin(&a, &shape, dir->path);
	assert_int_equal(get(&a, "Q6_K", &file), -EINVAL);
	expect_error(&a, MP_EXIT_CONFIG, "it is no tiny-1m: layers is 3, not 2");
	assert_true(get(&a, "Q8_0", &file) < 0);
	assert_int_equal(a.err.exit_code, MP_EXIT_CONFIG);
	assert_null(file.path);
	shell(dir, "cmp copy tiny-1m-Q6_K.gguf && grep -q 'no model' tiny-1m-Q8_0.gguf");
	end(&a);
}

static void list(struct asked *a, const struct dir *dir, const char *level, const char *name,
		 char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", dir->path, name);
	paths[0] = (struct mp_model_path){.level = (char *)level, .path = path};
	a->model.paths = paths;
	a->model.n_paths = 1;
}

static void test_a_listed_file_is_used_for_its_level_alone(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	char path[PATH_MAX];
	struct asked a;

	make(dir, &shape, "Q4_K_M", "real.gguf");
	disown(dir, "real.gguf");
	begin(&a, &shape, dir->path);
	list(&a, dir, "q4_k_m", "real.gguf", path);
	get_well(&a, "Q4_K_M", &file);
	assert_string_equal(file.path, path);
	assert_false(file.is_synthesized || file.is_temporary);
	mp_model_file_release(&file);
	get_well(&a, "Q8_0", &file);
	assert_true(file.is_synthesized);
	mp_model_file_release(&file);
	/* Of a real file no part can be had. */
	a.options.scale_num = a.options.scale_den = 1;
	get_well(&a, "Q4_K_M", &file);
	assert_true(file.is_synthesized);
	mp_model_file_release(&file);
	end(&a);
}

static void test_a_listed_file_that_is_another_is_told(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_shape other = shape;
	struct mp_model_file file = {0};
	char path[PATH_MAX];
	struct asked a;

	begin(&a, &shape, dir->path);
	make(dir, &shape, "Q2_K", "real.gguf");
	list(&a, dir, "Q4_K_M", "real.gguf", path);
	assert_int_equal(get(&a, "Q4_K_M", &file), -EINVAL);
	expect_error(&a, MP_EXIT_CONFIG, "real.gguf: it is of level Q2_K, not Q4_K_M");
	strcpy(other.architecture, "llama");
	other.qkv_bias = false;
	make(dir, &other, "Q4_K_M", "real.gguf");
	assert_int_equal(get(&a, "Q4_K_M", &file), -EINVAL);
	expect_error(&a, MP_EXIT_CONFIG, "its architecture is llama, not qwen2");
	other = shape;
	other.vocab = 2048;
	make(dir, &other, "Q4_K_M", "real.gguf");
	assert_int_equal(get(&a, "Q4_K_M", &file), -EINVAL);
	expect_error(&a, MP_EXIT_CONFIG, "vocab is 2048, not 1024");
	assert_null(file.path);
	end(&a);
}

static void test_a_listed_file_that_is_missing_is_made(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	char path[PATH_MAX];
	struct asked a;

	begin(&a, &shape, dir->path);
	list(&a, dir, "Q4_0", "none.gguf", path);
	get_well(&a, "Q4_0", &file);
	expect_note(&a, "none.gguf of models.yaml:3:5 is not there: a file is made instead");
	assert_true(file.is_synthesized);
	mp_model_file_release(&file);
	end(&a);
}

static void test_a_file_that_is_given_is_described_by_itself(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	struct mp_error err = {0};
	char path[PATH_MAX];

	make(dir, &shape, "Q5_K_M", "some.gguf");
	snprintf(path, sizeof(path), "%s/some.gguf", dir->path);
	assert_int_equal(mp_model_file_open(path, &file, &err), 0);
	assert_true(file.is_synthesized);
	assert_string_equal(file.level->name, "Q5_K_M");
	assert_int_equal(file.shape.vocab, 1024);
	assert_true(file.shape.tied);
	assert_string_equal(file.shape.architecture, "qwen2");
	mp_model_file_release(&file);
	assert_int_equal(access(path, F_OK), 0);
	strcat(path, ".none");
	assert_int_equal(mp_model_file_open(path, &file, &err), -ENOENT);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
}

/* --- temporary ones ------------------------------------------------------------------------- */

static bool can_be_nameless(const struct dir *dir)
{
	MP_CLOSE int fd = open(dir->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0;
}

static void test_a_temporary_file_is_gone_when_it_is_let_go(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	struct asked a;
	size_t len;

	setenv("TMPDIR", dir->path, 1);
	begin(&a, &shape, NULL);
	get_well(&a, "Q4_K_M", &file);
	expect_note(&a, ", until the end");
	assert_true(file.is_temporary && file.is_synthesized);
	len = strlen(file.path);
	assert_string_equal(file.path + len - strlen("-tiny-1m-Q4_K_M.gguf"),
			    "-tiny-1m-Q4_K_M.gguf");
	assert_int_equal(files_in(dir->path), 1);
	mp_model_file_release(&file);
	assert_int_equal(files_in(dir->path), 0);
	/* A second time is no harm. */
	mp_model_file_release(&file);
	end(&a);
}

/* Commands open it by its path, in processes of their own. */
static void test_another_process_can_read_a_temporary_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	struct asked a;

	setenv("TMPDIR", dir->path, 1);
	begin(&a, &shape, NULL);
	get_well(&a, "Q8_0", &file);
	shell(dir, "[ \"$(head -c 4 '%s')\" = GGUF ]", file.path);
	shell(dir, "[ $(stat -Lc %%s '%s') -eq %llu ]", file.path,
	      (unsigned long long)file.gguf.file_bytes);
	mp_model_file_release(&file);
	end(&a);
}

/* Only a link that leads nowhere: none of its bytes. */
static void test_a_killed_process_leaves_no_bytes(void **state)
{
	const struct dir *dir = *state;
	int status;
	pid_t pid;

	if (!can_be_nameless(dir))
		skip();
	setenv("TMPDIR", dir->path, 1);
	pid = fork();
	if (pid == 0) {
		struct mp_model_file file = {0};
		struct asked a;

		begin(&a, &shape, NULL);
		if (get(&a, "F16", &file) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	shell(dir, "[ -z \"$(find . -type f)\" ]");
	shell(dir, "[ -n \"$(find . -type l)\" ] && ! cat ./*.gguf 2>/dev/null");
}

/* As a program with file capabilities is. */
static void test_a_process_nobody_may_look_into_makes_a_named_file(void **state)
{
	const struct dir *dir = *state;
	struct mp_model_file file = {0};
	struct asked a;

	setenv("TMPDIR", dir->path, 1);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
	begin(&a, &shape, NULL);
	get_well(&a, "Q4_0", &file);
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
	shell(dir, "[ -n \"$(find . -type f -name '*-tiny-1m-Q4_0.gguf')\" ]");
	assert_true(file.is_temporary);
	mp_model_file_release(&file);
	assert_int_equal(files_in(dir->path), 0);
	end(&a);
}

static void test_a_folder_that_is_not_there_is_told(void **state)
{
	struct mp_model_file file = {0};
	struct asked a;

	(void)state;
	setenv("TMPDIR", "/nowhere/at/all", 1);
	begin(&a, &shape, NULL);
	assert_int_equal(get(&a, "Q4_0", &file), -ENOENT);
	expect_error(&a, MP_EXIT_USAGE, "/nowhere/at/all/");
	end(&a);
	begin(&a, &shape, "/proc/none");
	assert_int_equal(get(&a, "Q4_0", &file), -ENOENT);
	expect_error(&a, MP_EXIT_PRIVILEGE, "/proc/none: it cannot be made");
	assert_null(file.path);
	end(&a);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_a_made_file_is_kept_and_used_again),
		IN_DIR(test_a_made_file_that_is_not_the_same_is_made_anew),
		IN_DIR(test_a_part_has_a_name_of_its_own),
		IN_DIR(test_a_real_file_in_the_folder_is_used),
		IN_DIR(test_a_real_file_in_the_folder_is_never_written_over),
		IN_DIR(test_a_listed_file_is_used_for_its_level_alone),
		IN_DIR(test_a_listed_file_that_is_another_is_told),
		IN_DIR(test_a_listed_file_that_is_missing_is_made),
		IN_DIR(test_a_file_that_is_given_is_described_by_itself),
		IN_DIR(test_a_temporary_file_is_gone_when_it_is_let_go),
		IN_DIR(test_another_process_can_read_a_temporary_file),
		IN_DIR(test_a_killed_process_leaves_no_bytes),
		IN_DIR(test_a_process_nobody_may_look_into_makes_a_named_file),
		cmocka_unit_test(test_a_folder_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
