// SPDX-License-Identifier: GPL-2.0-only
/* What goes into an interpreter and what comes back: scripts, answers, and the folder between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "inject/env.h"
#include "inject/folder.h"
#include "inject/program.h"
#include "inject/result.h"
#include "inject/script.h"
#include "inject/threads.h"
#include "tree.h"
#include "workdir.h"

static const struct mp_fsroot live = {""};
static const char token[] = "0123456789abcdef0123456789abcdef";

/* --- answers -------------------------------------------------------------------------- */

static int parse(const char *text, struct mp_result *ret)
{
	struct mp_error err;

	return mp_result_parse(text, strlen(text), token, ret, &err);
}

#define HEAD "{\"version\": 1, \"token\": \"0123456789abcdef0123456789abcdef\", "

static void test_result(void **state)
{
	MP_RESULT struct mp_result r = {0};

	(void)state;
	assert_int_equal(
		parse(HEAD "\"python\": \"3.11.2\", \"error\": null, \"pid\": 7, \"notes\": [], "
			   "\"points\": ["
			   "{\"name\": \"a\", \"status\": \"attached\", \"functions\": "
			   "[\"m.C.f\", \"m.D.f\"], \"reason\": \"\"},"
			   "{\"name\": \"b\", \"status\": \"failed\", \"functions\": [], "
			   "\"reason\": \"is a builtin\"},"
			   "{\"name\": \"c\", \"status\": \"waiting\", \"functions\": [], "
			   "\"reason\": null}]}",
		      &r),
		0);
	assert_string_equal(r.python, "3.11.2");
	assert_null(r.error);
	assert_int_equal(r.n_points, 3);
	assert_int_equal(r.points[0].status, MP_SITE_ATTACHED);
	assert_int_equal(r.points[0].n_functions, 2);
	assert_string_equal(r.points[0].functions[1], "m.D.f");
	assert_null(r.points[0].reason);
	assert_int_equal(r.points[1].status, MP_SITE_FAILED);
	assert_string_equal(r.points[1].reason, "is a builtin");
	assert_int_equal(r.points[2].status, MP_SITE_WAITING);
}

/* From a process that may say what it likes. */
static void test_result_is_foreign(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"version\": 1}",
		"{\"version\": 1, \"token\": \"other\", \"python\": \"3\", \"points\": []}",
		"{\"version\": 2, \"token\": \"0123456789abcdef0123456789abcdef\", \"python\": "
		"\"3\", "
		"\"points\": []}",
		HEAD "\"points\": []}",
		HEAD "\"python\": 3, \"points\": []}",
		HEAD "\"python\": \"3\"}",
		HEAD "\"python\": \"3\", \"points\": {}}",
		HEAD "\"python\": \"3\", \"points\": [1]}",
		HEAD "\"python\": \"3\", \"points\": [{\"name\": \"a\"}]}",
		HEAD "\"python\": \"3\", \"points\": [{\"name\": \"a\", \"status\": \"fine\", "
		     "\"functions\": []}]}",
		HEAD "\"python\": \"3\", \"points\": [{\"name\": \"a\", \"status\": \"attached\", "
		     "\"functions\": \"f\"}]}",
		HEAD "\"python\": \"3\", \"points\": [{\"name\": \"a\", \"status\": \"attached\", "
		     "\"functions\": [1]}]}",
		HEAD "\"python\": \"3\", \"points\": [{\"name\": \"a\", \"status\": \"attached\", "
		     "\"functions\": [], \"reason\": []}]}",
		HEAD "\"python\": \"3\", \"error\": 1, \"points\": []}",
		HEAD "\"python\": \"\\ud800\", \"points\": []}",
		HEAD "\"python\": \"3\", \"python\": \"3\", \"points\": []}",
	};
	struct mp_result r = {.n_points = 99};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(bad); i++)
		assert_int_equal(parse(bad[i], &r), -EBADMSG);
	assert_int_equal(r.n_points, 99);
}

static void test_result_has_bounds(void **state)
{
	MP_TEXT struct mp_text text = {0};
	MP_RESULT struct mp_result r = {0};

	(void)state;
	mp_text_puts(&text, HEAD "\"python\": \"3\", \"points\": []}");
	assert_int_equal(parse(text.data, &r), 0);
	mp_result_free(&r);
	mp_text_reset(&text);
	for (int i = 0; i < 100000; i++)
		mp_text_putc(&text, '[');
	assert_int_equal(parse(text.data, &r), -EBADMSG);
	mp_text_reset(&text);
	mp_text_puts(&text, HEAD "\"python\": \"");
	for (int i = 0; i < 5000; i++)
		mp_text_putc(&text, 'x');
	mp_text_puts(&text, "\", \"points\": []}");
	assert_int_equal(parse(text.data, &r), 0);
	assert_int_equal(strlen(r.python), 1024);
	mp_result_free(&r);
	mp_text_reset(&text);
	mp_text_puts(&text, HEAD "\"python\": \"3\", \"points\": [");
	for (int i = 0; i <= MP_MAX_POINTS; i++)
		mp_text_printf(&text, "%s0", i ? "," : "");
	mp_text_puts(&text, "]}");
	assert_int_equal(parse(text.data, &r), -EBADMSG);
}

/* --- scripts --------------------------------------------------------------------------- */

static void make_points(struct mp_points *points)
{
	static const char yaml[] =
		"version: 1\npoints:\n"
		"  - {name: \"it's \\\"quoted\\\"\", level: critical, python: a.b.c, "
		"threshold_mb: 100}\n"
		"  - {name: native, level: low, symbol: f}\n";
	struct mp_error err;

	assert_int_equal(mp_points_parse(points, "test", yaml, strlen(yaml), &err), 0);
}

static void test_config(void **state)
{
	MP_POINTS struct mp_points points = {0};
	MP_TEXT struct mp_text text = {0};
	const struct mp_script_config config = {
		.points = &points, .token = token, .result = "/tmp/x/result.json"};
	json_t *root;
	json_t *list;

	(void)state;
	make_points(&points);
	assert_int_equal(mp_script_config_json(&config, &text), 0);
	root = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "version")), 1);
	assert_string_equal(json_string_value(json_object_get(root, "token")), token);
	assert_string_equal(json_string_value(json_object_get(root, "result")),
			    "/tmp/x/result.json");
	list = json_object_get(root, "points");
	assert_int_equal(json_array_size(list), 1);
	list = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(list, "name")), "it's \"quoted\"");
	assert_int_equal(json_integer_value(json_object_get(list, "level")), 3);
	assert_string_equal(json_string_value(json_object_get(list, "python")), "a.b.c");
	assert_int_equal(json_integer_value(json_object_get(list, "threshold_mb")), 100);
	/* zlib, in base64. */
	assert_memory_equal(json_string_value(json_object_get(root, "marker")), "eN", 2);
	json_decref(root);
}

/* Python itself can tell whether it is Python, and what the marker is. */
static void test_scripts_are_python(void **state)
{
	const struct dir *dir = *state;
	MP_POINTS struct mp_points points = {0};
	MP_TEXT struct mp_text text = {0};
	const struct mp_script_config config = {
		.points = &points, .token = token, .result = "/nowhere/result.json"};
	char path[128];
	FILE *file;

	make_points(&points);
	assert_int_equal(mp_script_install(&config, "/nowhere", &text), 0);
	mp_text_puts(&text, "\n");
	assert_int_equal(mp_script_remove(token, "/nowhere", &text), 0);
	snprintf(path, sizeof(path), "%s/script.py", dir->path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
	fclose(file);
	shell(dir, "python3 -c 'compile(open(\"script.py\").read(), \"script\", \"exec\")'");
}

static void test_blobs(void **state)
{
	(void)state;
	assert_non_null(
		memmem(mp_script_source().data, mp_script_source().len, "def install(", 12));
	assert_non_null(memmem(mp_script_sitecustomize().data, mp_script_sitecustomize().len,
			       "MEMPROBE_PYTHON_CONFIG", 22));
	assert_memory_equal(mp_script_marker().data, "\177ELF", 4);
}

/* --- the folder ------------------------------------------------------------------------- */

/* A process 7 of this user's own, with a root that has the places named. */
static struct mp_fsroot make_root(struct tree *tree, const char *const *places)
{
	char status[256];
	char path[256];
	char whole[PATH_MAX];

	tree_make(tree);
	snprintf(status, sizeof(status), "Name:\tx\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n",
		 getuid(), getuid(), getuid(), getuid(), getgid(), getgid(), getgid(), getgid());
	tree_write(tree, "/proc/7/status", status);
	tree_path(tree, "/proc/7/root/x", whole);
	for (; *places; places++) {
		snprintf(path, sizeof(path), "/proc/7/root/%s/x", *places);
		tree_path(tree, path, whole);
	}
	return (struct mp_fsroot){tree->root};
}

static void whole_path(const struct tree *tree, const struct mp_folder *folder, const char *name,
		       char out[PATH_MAX])
{
	assert_true(snprintf(out, PATH_MAX, "%s/proc/7/root%s/%s", tree->root, folder->path, name) <
		    PATH_MAX);
}

static void test_folder(void **state)
{
	static const char *const places[] = {"tmp", NULL};
	struct tree tree;
	struct mp_fsroot fs = make_root(&tree, places);
	struct mp_folder folder;
	struct mp_error err;
	MP_FREE char *data = NULL;
	char path[PATH_MAX];
	char other[PATH_MAX];
	struct stat st;
	size_t len;
	int fd;

	(void)state;
	assert_int_equal(mp_folder_make(&fs, 7, &folder, &err), 0);
	assert_memory_equal(folder.path, "/tmp/.memprobe-", 15);
	assert_int_equal(fstat(folder.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(mp_folder_write(&folder, "a", "text", 4), 0);
	assert_int_equal(mp_folder_write(&folder, "a", "text", 4), -EEXIST);
	whole_path(&tree, &folder, "a", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(mp_folder_read(&folder, "b", 100, &data, &len), -EAGAIN);
	assert_int_equal(mp_folder_read(&folder, "a", 100, &data, &len), 0);
	assert_int_equal(len, 4);
	assert_string_equal(data, "text");
	assert_int_equal(mp_folder_read(&folder, "a", 100, &data, &len), -EAGAIN);
	assert_int_equal(mp_folder_write(&folder, "c", "newer", 5), 0);
	whole_path(&tree, &folder, "c", other);
	assert_int_equal(rename(other, path), 0);
	free(MP_TAKE(data));
	assert_int_equal(mp_folder_read(&folder, "a", 100, &data, &len), 0);
	assert_string_equal(data, "newer");

	fd = mp_folder_lock(&folder, "lock");
	assert_true(fd >= 0);
	whole_path(&tree, &folder, "lock", path);
	len = (size_t)open(path, O_RDONLY);
	assert_int_equal(flock((int)len, LOCK_SH | LOCK_NB), -1);
	close(fd);
	assert_int_equal(flock((int)len, LOCK_SH | LOCK_NB), 0);
	close((int)len);

	whole_path(&tree, &folder, "", path);
	mp_folder_remove(&folder);
	assert_int_equal(access(path, F_OK), -1);
	mp_folder_remove(&folder);
	tree_remove(&tree);
}

/* What stands there instead of a file is not waited for, followed or read. */
static void test_folder_is_foreign(void **state)
{
	static const char *const places[] = {"tmp", NULL};
	struct tree tree;
	struct mp_fsroot fs = make_root(&tree, places);
	struct mp_folder folder;
	struct mp_error err;
	char *data = NULL;
	char path[PATH_MAX];
	size_t len;

	(void)state;
	assert_int_equal(mp_folder_make(&fs, 7, &folder, &err), 0);
	whole_path(&tree, &folder, "fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(mp_folder_read(&folder, "fifo", 100, &data, &len), -EBADMSG);
	whole_path(&tree, &folder, "link", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(mp_folder_read(&folder, "link", 1 << 20, &data, &len), -EBADMSG);
	assert_int_equal(mp_folder_write(&folder, "link", "x", 1), -EEXIST);
	whole_path(&tree, &folder, "dir", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mp_folder_read(&folder, "dir", 100, &data, &len), -EBADMSG);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mp_folder_write(&folder, "long", "0123456789", 10), 0);
	assert_int_equal(mp_folder_read(&folder, "long", 9, &data, &len), -EFBIG);
	assert_null(data);
	mp_folder_remove(&folder);
	tree_remove(&tree);
}

/* A link to elsewhere is passed by, and so is what is missing. */
static void test_folder_places(void **state)
{
	static const char *const places[] = {"var/tmp", NULL};
	static const char *const none[] = {NULL};
	struct mp_folder folder;
	struct mp_error err;
	struct mp_fsroot fs;
	struct tree tree;
	char path[PATH_MAX];

	(void)state;
	fs = make_root(&tree, places);
	tree_path(&tree, "/proc/7/root/tmp", path);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(mp_folder_make(&fs, 7, &folder, &err), 0);
	assert_memory_equal(folder.path, "/var/tmp/.memprobe-", 19);
	mp_folder_remove(&folder);
	tree_remove(&tree);

	fs = make_root(&tree, none);
	assert_true(mp_folder_make(&fs, 7, &folder, &err) < 0);
	assert_non_null(strstr(err.text, "/tmp"));
	assert_int_equal(mp_folder_make(&fs, 8, &folder, &err), -ESRCH);
	tree_write(&tree, "/proc/7/status", "Name:\tx\nUid:\t1\n");
	assert_int_equal(mp_folder_make(&fs, 7, &folder, &err), -EBADMSG);
	tree_remove(&tree);
}

/* --- the environment ---------------------------------------------------------------------- */

#define IGNORED(words) mp_env_is_ignored(words, sizeof(words))

static void test_options_of_python(void **state)
{
	(void)state;
	assert_false(IGNORED("python3\0app.py"));
	assert_false(IGNORED("python3"));
	assert_false(IGNORED(""));
	assert_true(IGNORED("python3\0-I\0app.py"));
	assert_true(IGNORED("python3\0-uE\0app.py"));
	assert_true(IGNORED("python3\0-B\0-S\0app.py"));
	assert_false(IGNORED("python3\0app.py\0-I"));
	assert_false(IGNORED("python3\0-c\0print(1)\0-I"));
	assert_false(IGNORED("python3\0-m\0unittest\0-S"));
	assert_false(IGNORED("python3\0-W\0-I\0app.py"));
	assert_false(IGNORED("python3\0-WIgnore\0app.py"));
	assert_false(IGNORED("python3\0-X\0dev\0app.py"));
	assert_true(IGNORED("python3\0-X\0dev\0-I\0app.py"));
	assert_false(IGNORED("python3\0--check-hash-based-pycs\0-I\0app.py"));
	assert_false(IGNORED("python3\0-\0-I"));
	assert_false(mp_env_is_ignored("python3\0-I", 0));
}

static void test_env_is_used(void **state)
{
	static const char environ_text[] = "A=1\0MEMPROBE_PYTHON_CONFIG=/tmp/x/config.json\0B=2";
	static const char cmdline[] = "python3\0app.py";
	struct mp_python_answers answers = {.config = "/tmp/x/config.json"};
	struct mp_fsroot fs;
	struct tree tree;

	(void)state;
	tree_make(&tree);
	fs.root = tree.root;
	tree_write_bytes(&tree, "/proc/7/environ", environ_text, sizeof(environ_text));
	tree_write_bytes(&tree, "/proc/7/cmdline", cmdline, sizeof(cmdline));
	assert_true(mp_env_is_used(&fs, 7, &answers));
	strcpy(answers.config, "/tmp/y/config.json");
	assert_false(mp_env_is_used(&fs, 7, &answers));
	assert_false(mp_env_is_used(&fs, 8, &answers));
	tree_remove(&tree);
}

static void count_answer(void *data, struct mp_result *result)
{
	(void)result;
	++*(int *)data;
}

/* Whoever may write there: what makes no sense is taken away, and that is all. */
static void test_answers(void **state)
{
	struct mp_python_answers answers = {0};
	struct tree tree;
	char path[PATH_MAX];
	int n = 0;

	(void)state;
	tree_make(&tree);
	strcpy(answers.token, token);
	tree_write(&tree, "/7.json", HEAD "\"python\": \"3\", \"points\": []}");
	tree_write(&tree, "/8.json", "nonsense");
	tree_write(&tree, "/9.json.9", HEAD "\"python\": \"3\", \"points\": []}");
	tree_path(&tree, "/10.json", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	answers.fd = open(tree.root, O_RDONLY | O_DIRECTORY);
	mp_env_read_answers(&answers, count_answer, &n);
	assert_int_equal(n, 1);
	mp_env_read_answers(&answers, count_answer, &n);
	assert_int_equal(n, 1);
	assert_int_equal(access(path, F_OK), -1);
	tree_path(&tree, "/9.json.9", path);
	assert_int_equal(access(path, F_OK), 0);
	close(answers.fd);
	tree_remove(&tree);
}

/* --- processes ----------------------------------------------------------------------------- */

static void test_program(void **state)
{
	struct mp_program_id own;
	struct mp_program_id child_id;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(mp_program_id_read(&live, getpid(), &own), 0);
	assert_true(mp_program_is_same(&own, &own));
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(mp_program_id_read(&live, child, &child_id), 0);
	assert_true(mp_program_is_copy(&own, &child_id));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_int_equal(mp_program_id_read(&live, child, &child_id), -ESRCH);
	assert_true(mp_program_ticks_now() >= own.start_time);
	assert_int_not_equal(mp_program_vdso(&live, getpid()), 0);
	assert_false(mp_program_has_markers(&live, getpid()));
}

static void add_thread(struct tree *tree, int tid, const char *stat, const char *call)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/7/task/%d/stat", tid);
	tree_write(tree, path, stat);
	snprintf(path, sizeof(path), "/proc/7/task/%d/syscall", tid);
	tree_write(tree, path, call);
}

/* epoll_wait(2) would end with EINTR, select(2) is restarted. */
static void test_thread_to_call(void **state)
{
	struct tree tree;
	struct mp_fsroot fs;
	pid_t running[4];
	pid_t tid;

	(void)state;
	tree_make(&tree);
	fs.root = tree.root;
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), -ESRCH);
	add_thread(&tree, 9, "9 (x) Z 1", "-1 0 0");
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), -ESRCH);
	add_thread(&tree, 10, "10 (x) D 1", "0 0 0");
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), 0);
	assert_int_equal(tid, 10);
#ifdef __x86_64__
	add_thread(&tree, 7, "7 (a) S) S 1", "232 0x4 0x7f 0x0");
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), 0);
	assert_int_equal(tid, 7);
	add_thread(&tree, 11, "11 (x) R 1", "running");
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), 0);
	assert_int_equal(tid, 11);
	assert_int_equal(mp_threads_running(&fs, 7, running, 4), 1);
	assert_int_equal(running[0], 11);
	assert_int_equal(mp_threads_running(&fs, 7, running, 0), 0);
	add_thread(&tree, 12, "12 (x) S 1", "270 0 0");
	assert_int_equal(mp_thread_to_call(&fs, 7, &tid), 0);
	assert_int_equal(tid, 12);
#endif
	tree_remove(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_result_is_foreign),
		cmocka_unit_test(test_result_has_bounds),
		cmocka_unit_test(test_config),
		cmocka_unit_test_setup_teardown(test_scripts_are_python, make_dir, remove_dir),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_folder_is_foreign),
		cmocka_unit_test(test_folder_places),
		cmocka_unit_test(test_options_of_python),
		cmocka_unit_test(test_env_is_used),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_thread_to_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
