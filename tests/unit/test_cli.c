// SPDX-License-Identifier: GPL-2.0-only
/* Command lines as users type them, with what they print and the code they end with. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/fsroot.h"
#include "base/names.h"
#include "tree.h"

#define MAX_WORDS 24

struct cli_test {
	struct tree tree;
	char *out; /* of the last command … */
	char *err;
	int code; /* … and its exit code */
};

static int set_up(void **state)
{
	struct cli_test *t = calloc(1, sizeof(*t));

	tree_make(&t->tree);
	unsetenv("NO_COLOR");
	*state = t;
	return 0;
}

static void forget(struct cli_test *t)
{
	free(t->out);
	free(t->err);
	t->out = NULL;
	t->err = NULL;
}

static int tear_down(void **state)
{
	struct cli_test *t = *state;

	forget(t);
	tree_remove(&t->tree);
	free(t);
	return 0;
}

/* Sends a standard descriptor to a file of the tree; returns a copy of where it went. */
static int redirect(const struct cli_test *t, int fd, const char *name)
{
	int saved = dup(fd);
	char path[PATH_MAX];
	MP_CLOSE int file = -1;

	tree_path(&t->tree, name, path);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(file >= 0 && saved >= 0);
	assert_int_equal(dup2(file, fd), fd);
	return saved;
}

static char *restore(const struct cli_test *t, int fd, int saved, const char *name)
{
	char path[PATH_MAX];
	char *data = NULL;
	size_t len;

	dup2(saved, fd);
	close(saved);
	tree_path(&t->tree, name, path);
	assert_int_equal(mp_read_file(path, 1 << 20, &data, &len), 0);
	return data;
}

static void run_words(struct cli_test *t, int argc, char **argv)
{
	int out;
	int err;

	forget(t);
	fflush(NULL);
	out = redirect(t, STDOUT_FILENO, "/stdout");
	err = redirect(t, STDERR_FILENO, "/stderr");
	t->code = mp_cli_main(argc, argv);
	fflush(NULL);
	t->out = restore(t, STDOUT_FILENO, out, "/stdout");
	t->err = restore(t, STDERR_FILENO, err, "/stderr");
}

/* The words of `line`, split at single spaces. */
static void run(struct cli_test *t, const char *line)
{
	MP_FREE char *copy = strdup(line);
	char *argv[MAX_WORDS] = {(char *)"memprobe-bpf"};
	char *save = NULL;
	int argc = 1;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(argc < MAX_WORDS - 1);
		argv[argc++] = w;
	}
	run_words(t, argc, argv);
}

/* One line on stderr, with the words in it; nothing on stdout. */
static void check_said(const struct cli_test *t, int code, const char *words)
{
	static const char start[] = "memprobe-bpf: error: ";

	if (t->code != code || strncmp(t->err, start, sizeof(start) - 1) != 0 ||
	    strchr(t->err, '\n') != t->err + strlen(t->err) - 1 || !strstr(t->err, words))
		fail_msg("not %d and one line with \"%s\": %d %s", code, words, t->code, t->err);
	assert_string_equal(t->out, "");
}

static void check_refused(struct cli_test *t, const char *line, const char *words)
{
	run(t, line);
	check_said(t, MP_EXIT_USAGE, words);
}

static void check_works(struct cli_test *t, const char *line, const char *words)
{
	run(t, line);
	if (t->code != MP_EXIT_OK || !strstr(t->out, words))
		fail_msg("%s: not \"%s\": %d %s%s", line, words, t->code, t->out, t->err);
	assert_string_equal(t->err, "");
}

/* --- help ------------------------------------------------------------------------ */

static void test_top(void **state)
{
	struct cli_test *t = *state;

	check_works(t, "--version", "memprobe-bpf " MP_VERSION "\n");
	assert_string_equal(t->out, "memprobe-bpf " MP_VERSION "\n");
	check_works(t, "--help", "Usage: memprobe-bpf COMMAND");
	check_works(t, "-h", "Usage: memprobe-bpf COMMAND");
	check_works(t, "--help", "  attach        watch running processes");
	run(t, "");
	assert_int_equal(t->code, MP_EXIT_USAGE);
	assert_non_null(strstr(t->out, "Commands:"));
}

static const struct mp_command *const commands[] = {&mp_cmd_attach, &mp_cmd_run, &mp_cmd_probes,
						    &mp_cmd_doctor};

/* Lines are broken where there is room: each run of spaces and newlines becomes one space. */
static void join_lines(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		bool is_space = *in == ' ' || *in == '\n';

		if (!is_space || out == text || out[-1] != ' ')
			*out++ = (char)(is_space ? ' ' : *in);
	}
	*out = '\0';
}

static void check_width(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 80)
			fail_msg("%zu columns: %.*s", len, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Help names each option with its value and what it does, and has examples. */
static void test_help_of_each_command(void **state)
{
	struct cli_test *t = *state;
	char line[64];

	for (size_t i = 0; i < MP_ARRAY_SIZE(commands); i++) {
		const struct mp_command *c = commands[i];

		snprintf(line, sizeof(line), "%s --help", c->name);
		check_works(t, line, c->usage);
		assert_non_null(strstr(t->out, c->summary));
		assert_non_null(strstr(t->out, c->details));
		assert_non_null(strstr(t->out, c->examples));
		assert_non_null(strstr(t->out, "--config-dir DIR"));
		check_width(t->out);
		join_lines(t->out);
		for (size_t j = 0; j < c->n_options; j++) {
			snprintf(line, sizeof(line), "--%s%s%s", c->options[j].name,
				 c->options[j].arg ? " " : "",
				 c->options[j].arg ? c->options[j].arg : "");
			assert_non_null(strstr(t->out, line));
			assert_non_null(strstr(t->out, c->options[j].help));
		}
		snprintf(line, sizeof(line), "%s -h", c->name);
		check_works(t, line, c->usage);
	}
}

/* Help is help wherever it stands, and whatever else is given. */
static void test_help_behind_options(void **state)
{
	struct cli_test *t = *state;

	check_works(t, "attach --target comm:x -p a=low@f --help", "Usage: memprobe-bpf attach");
	check_works(t, "probes list --target comm:x --help", "Usage: memprobe-bpf probes");
	check_works(t, "probes --help", "list|check");
	check_works(t, "run --help -- true", "Usage: memprobe-bpf run");
	check_works(t, "-q attach --help", "Usage: memprobe-bpf attach");
}

/* --- usage errors ------------------------------------------------------------------ */

static void test_unknown_commands(void **state)
{
	struct cli_test *t = *state;

	check_refused(t, "atach", "unknown command atach (did you mean attach?)");
	check_refused(t, "dcotor", "unknown command dcotor (did you mean doctor?)");
	check_refused(t, "zzzzzz", "unknown command zzzzzz: see memprobe-bpf --help");
	check_refused(t, "probes lsit", "unknown word lsit (did you mean list?)");
	check_refused(t, "probes --format json", "unknown word --format");
	check_refused(t, "probes", "a word is missing behind probes");
	check_refused(t, "evil\x1b[31m\n", "unknown command evil\\e[31m\\n");
}

static void test_unknown_options(void **state)
{
	struct cli_test *t = *state;

	check_refused(t, "--vresion", "unknown option --vresion (did you mean --version?)");
	check_refused(t, "--target 1", "unknown option --target");
	check_refused(t, "attach --polcy p.yaml",
		      "unknown option --polcy (did you mean --policy?)");
	check_refused(t, "attach --polcy=p.yaml",
		      "unknown option --polcy (did you mean --policy?)");
	check_refused(t, "attach --polcy p.yaml", "see memprobe-bpf attach --help");
	check_refused(t, "run --follow -- true", "unknown option --follow");
	check_refused(t, "doctor --target 1", "unknown option --target");
	check_refused(t, "attach -x", "unknown option -x");
	/* In a group of letters, too: the one that is unknown. */
	check_refused(t, "attach -fxv", "unknown option -x");
	check_refused(t, "attach -xfv", "unknown option -x");
	/* Two begin like this. */
	check_refused(t, "attach --re x", "--re");
}

static void test_values(void **state)
{
	struct cli_test *t = *state;

	check_refused(t, "attach --target", "--target needs a value");
	check_refused(t, "attach -t", "-t needs a value");
	check_refused(t, "attach -ft", "-t needs a value");
	check_refused(t, "--config-dir", "--config-dir needs a value: see memprobe-bpf --help");
	check_refused(t, "attach --follow=yes", "--follow takes no value");
	check_refused(t, "--color blue", "--color blue: it is one of auto, always, never");
	check_refused(t, "attach -t comm:x --format xml", "--format xml: it is text or json");
	check_refused(t, "attach -t comm:x --duration 0", "--duration 0: a time above zero");
	check_refused(t, "attach -t comm:x -d soon", "--duration soon");
	check_refused(t, "attach -t comm:x --ring-size much", "--ring-size much");
	check_refused(t, "attach -t comm:x --ring-size 0", "--ring-size 0");
	check_refused(t, "attach -t 0", "0");
	check_refused(t, "attach -t cmm:x", "comm");
	check_refused(t, "attach -t comm:x -p nonsense", "nonsense");
	check_refused(t, "attach -t comm:x -p a=hihg@f", "high");
	check_refused(t, "doctor --format yaml", "--format yaml");
}

static void test_what_is_needed(void **state)
{
	struct cli_test *t = *state;

	check_refused(t, "attach", "--target is needed");
	check_refused(t, "attach -p a=low@f", "--target is needed");
	check_refused(t, "attach -t comm:x --replay f", "--replay reads a recording");
	check_refused(t, "run", "a command is needed");
	check_refused(t, "run -p a=low@f --", "a command is needed");
	check_refused(t, "probes list", "--target or --binary is needed");
	check_refused(t, "attach -t comm:x 1234", "unexpected argument 1234");
	check_refused(t, "doctor now", "unexpected argument now: see memprobe-bpf doctor --help");
}

static void test_too_many_targets(void **state)
{
	struct cli_test *t = *state;
	char *argv[2 + 2 * 65 + 1] = {(char *)"memprobe-bpf", (char *)"attach"};
	int argc = 2;

	for (int i = 0; i < 65; i++) {
		argv[argc++] = (char *)"-t";
		argv[argc++] = (char *)"comm:x";
	}
	run_words(t, argc, argv);
	check_said(t, MP_EXIT_USAGE, "--target: at most 64");
}

/* --- config files -------------------------------------------------------------------- */

static void test_config_files(void **state)
{
	struct cli_test *t = *state;
	char line[PATH_MAX];

	tree_write(&t->tree, "/bad/injection_points.yaml", "version: 1\npoints:\n  - {nam: a}\n");
	tree_write(&t->tree, "/bad/policy.yaml", "version: 7\n");
	tree_write(&t->tree, "/bad/run.ndjson", "{\"v\":1,\"type\":\"stop\",\"reason\":\"x\"}\n");
	tree_write(&t->tree, "/none/x", "");
	snprintf(line, sizeof(line), "--config-dir %s/bad probes list -b /bin/sh", t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_CONFIG, "/bad/injection_points.yaml:3:");
	snprintf(line, sizeof(line), "probes --config-dir %s/none list", t->tree.root);
	check_refused(t, line, "unknown word --config-dir");
	snprintf(line, sizeof(line), "probes list -b /bin/sh --config-dir %s/none", t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_CONFIG, "there is no injection_points.yaml in ");
	snprintf(line, sizeof(line), "attach --config-dir %s/bad --replay %s/bad/run.ndjson",
		 t->tree.root, t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_CONFIG, "/bad/policy.yaml:1:");
	snprintf(line, sizeof(line), "probes list -b /bin/sh --points %s/absent.yaml",
		 t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_CONFIG, "absent.yaml");
}

/* --- commands that need no privilege --------------------------------------------------- */

static void test_probes(void **state)
{
	struct cli_test *t = *state;
	char line[PATH_MAX];

	check_works(t, "probes list -b /bin/sh -p a=low@no_such_function_anywhere", "waiting");
	run(t, "probes check -b /bin/sh -p a=low@no_such_function_anywhere");
	assert_int_equal(t->code, MP_EXIT_CHECK);
	assert_non_null(strstr(t->err, "point \"a\" resolves nowhere"));
	check_works(t, "probes check -b /bin/sh -p a=low@libc.so.6:malloc", "a ");
	check_works(t, "probes list -b /bin/sh -p a=low@libc.so.6:malloc --format json",
		    "\"symbol\":\"malloc\"");
	assert_int_equal(t->out[0], '[');
	assert_string_equal(t->out + strlen(t->out) - 2, "]\n");
	check_refused(t, "probes list -b /no/such/program -p a=low@f",
		      "--binary /no/such/program: No such file or directory");
	snprintf(line, sizeof(line), "probes list -t exe:%s/absent -p a=low@f", t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_TARGET, "absent");
	run(t, "probes list -t 2147483647 -p a=low@f");
	check_said(t, MP_EXIT_TARGET, "2147483647");
	/* The target is what is wrong, not the binary. */
	run(t, "probes list -t cgroup:/no/such/group -b /bin/sh -p a=low@f");
	check_said(t, MP_EXIT_TARGET, "no/such/group");
}

static void test_doctor(void **state)
{
	struct cli_test *t = *state;

	run(t, "doctor --format json");
	assert_true(t->code == MP_EXIT_OK || t->code == MP_EXIT_PRIVILEGE ||
		    t->code == MP_EXIT_UNSUPPORTED);
	assert_int_equal(t->out[0], '{');
	assert_non_null(strstr(t->out, t->code ? "\"can_attach\":false" : "\"can_attach\":true"));
	run(t, "doctor");
	assert_non_null(strstr(t->out, "uprobe_multi"));
	assert_string_equal(t->err, "");
}

static void test_replay(void **state)
{
	struct cli_test *t = *state;
	char line[PATH_MAX];

	tree_write(&t->tree, "/run.ndjson",
		   "{\"v\":1,\"type\":\"stop\",\"ts_ns\":5,\"time\":\"2026-01-01T00:00:00Z\","
		   "\"reason\":\"signal\",\"exit_code\":0}\n");
	tree_write(&t->tree, "/bad.ndjson", "x\n");
	snprintf(line, sizeof(line), "attach --replay %s/run.ndjson --format json", t->tree.root);
	check_works(t, line, "\"reason\":\"signal\"");
	snprintf(line, sizeof(line), "attach --replay %s/bad.ndjson", t->tree.root);
	run(t, line);
	check_said(t, MP_EXIT_CONFIG, "/bad.ndjson:1: ");
	check_refused(t, "attach --replay /no/such/file", "--replay: cannot open /no/such/file");
}

/* --- color ------------------------------------------------------------------------------ */

static void test_color(void **state)
{
	struct mp_cli cli = {.color = MP_COLOR_AUTO};

	(void)state;
	/* Standard output of a test is no terminal, or NO_COLOR is what decides. */
	setenv("NO_COLOR", "1", 1);
	assert_false(mp_cli_color(&cli));
	cli.color = MP_COLOR_ALWAYS;
	assert_true(mp_cli_color(&cli));
	unsetenv("NO_COLOR");
	assert_true(mp_cli_color(&cli));
	cli.color = MP_COLOR_NEVER;
	assert_false(mp_cli_color(&cli));
	/* Empty is as if it were not set. */
	cli.color = MP_COLOR_AUTO;
	setenv("NO_COLOR", "", 1);
	assert_int_equal(mp_cli_color(&cli), isatty(STDOUT_FILENO));
	unsetenv("NO_COLOR");
}

static void test_color_on_a_terminal(void **state)
{
	struct mp_cli cli = {.color = MP_COLOR_AUTO};
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int saved;
	bool plain, quiet;

	(void)state;
	if (terminal < 0 || !isatty(terminal)) {
		print_message("needs a pseudo terminal\n");
		skip();
	}
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(terminal, STDOUT_FILENO);
	plain = mp_cli_color(&cli);
	setenv("NO_COLOR", "1", 1);
	quiet = mp_cli_color(&cli);
	unsetenv("NO_COLOR");
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(terminal);
	assert_true(plain);
	assert_false(quiet);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TREE(test_top),
		WITH_TREE(test_help_of_each_command),
		WITH_TREE(test_help_behind_options),
		WITH_TREE(test_unknown_commands),
		WITH_TREE(test_unknown_options),
		WITH_TREE(test_values),
		WITH_TREE(test_what_is_needed),
		WITH_TREE(test_too_many_targets),
		WITH_TREE(test_config_files),
		WITH_TREE(test_probes),
		WITH_TREE(test_doctor),
		WITH_TREE(test_replay),
		cmocka_unit_test(test_color),
		cmocka_unit_test(test_color_on_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
