// SPDX-License-Identifier: GPL-2.0-only
/* Command lines for containers and shells, and scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "env/container.h"
#include "env/device.h"
#include "env/engine.h"
#include "env/script.h"
#include "env/shell.h"
#include "workdir.h"

#define MB (1ULL << 20)

static const struct mp_profile phone = {.name = (char *)"手机模拟",
					.id = (char *)"phone",
					.description = (char *)"a phone",
					.total_bytes = 3072 * MB,
					.swap_bytes = 512 * MB,
					.limit_bytes = 3006477107};
static const struct mp_profile no_swap = {.name = (char *)"it's $HOME; `rm`",
					  .description = (char *)"two\nlines \x1b[31m",
					  .total_bytes = 64 * MB,
					  .limit_bytes = 64 * MB,
					  .cpus = 1.5};

/* --- words for a shell -------------------------------------------------------------- */

static void expect_quoted(const char *word, const char *expected)
{
	struct mp_text MP_TEXT text = {0};

	mp_shell_quote(&text, word);
	assert_string_equal(text.data, expected);
}

static void test_quoting(void **state)
{
	(void)state;
	expect_quoted("python3", "python3");
	expect_quoted("--memory=123", "--memory=123");
	expect_quoted("--a=b c", "'--a=b c'");
	expect_quoted("--a=b=c", "'--a=b=c'");
	/* An assignment, when it is the first word. */
	expect_quoted("A=b", "'A=b'");
	expect_quoted("", "''");
	expect_quoted("a b", "'a b'");
	expect_quoted("~", "'~'");
	expect_quoted("#no", "'#no'");
	expect_quoted("$(id)`id`\"\\", "'$(id)`id`\"\\'");
	expect_quoted("'", "''\\'''");
	expect_quoted("it's", "'it'\\''s'");
	expect_quoted("line\nbreak", "'line\nbreak'");
	expect_quoted("连线", "'连线'");
	expect_quoted("\xff", "'\xff'");
}

/* What a shell makes of it is what was put in: each byte that there is, and each pair of some. */
static void test_a_shell_reads_what_was_quoted(void **state)
{
	static const char special[] = "'\"\\$` \n\t*?[~#&;|<>(){}!=%-";
	const struct dir *dir = *state;
	struct mp_text MP_TEXT script = {0};
	struct mp_text MP_TEXT expected = {0};
	MP_FCLOSE FILE *f = NULL;
	char path[128];

	mp_text_puts(&script, "printf '%s\\n'");
	for (int c = 1; c < 256; c++) {
		char word[] = {(char)c, '\0'};

		mp_text_putc(&script, ' ');
		mp_shell_quote(&script, word);
		mp_text_printf(&expected, "%s\n", word);
	}
	for (const char *first = special; *first; first++) {
		for (const char *second = special; *second; second++) {
			char word[] = {*first, *second, '\0'};

			mp_text_putc(&script, ' ');
			mp_shell_quote(&script, word);
			mp_text_printf(&expected, "%s\n", word);
		}
	}
	snprintf(path, sizeof(path), "%s/script", dir->path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(script.data, f);
	assert_int_equal(fflush(f), 0);
	snprintf(path, sizeof(path), "%s/expected", dir->path);
	f = freopen(path, "w", f);
	assert_non_null(f);
	fputs(expected.data, f);
	assert_int_equal(fflush(f), 0);
	shell(dir, "LC_ALL=C sh script >got && cmp got expected");
}

/* --- containers --------------------------------------------------------------------- */

static void expect_command(const struct mp_container *c, const char *expected)
{
	struct mp_words MP_WORDS words = {0};
	struct mp_text MP_TEXT text = {0};
	struct mp_error err = {0};

	if (mp_container_command(c, &words, &err))
		fail_msg("%s", err.text);
	assert_null(words.items[words.n]);
	mp_shell_command(&text, words.items);
	assert_string_equal(text.data, expected);
}

static void test_container_commands(void **state)
{
	char *const command[] = {(char *)"sh", (char *)"-c", (char *)"exit '3'", (char *)"--rm",
				 NULL};
	char *const none[] = {NULL};

	(void)state;
	expect_command(&(struct mp_container){.program = "docker", .profile = &phone},
		       "docker run --rm -i --memory=3006477107 --memory-swap=3543348019 "
		       "debian:stable-slim");
	expect_command(&(struct mp_container){.program = "podman",
					      .profile = &phone,
					      .image = "python:3.12",
					      .command = command,
					      .swappiness = true,
					      .tty = true},
		       "podman run --rm -it --memory=3006477107 --memory-swap=3543348019 "
		       "python:3.12 sh -c 'exit '\\''3'\\''' --rm");
	expect_command(
		&(struct mp_container){.program = "docker", .profile = &no_swap, .command = none},
		"docker run --rm -i --memory=67108864 --memory-swap=67108864 --cpus=1.5 "
		"debian:stable-slim");
	expect_command(&(struct mp_container){.program = "docker",
					      .profile = &no_swap,
					      .swappiness = true},
		       "docker run --rm -i --memory=67108864 --memory-swap=67108864 "
		       "--memory-swappiness=0 --cpus=1.5 debian:stable-slim");
}

static void test_images_that_are_none(void **state)
{
	static const char *const images[] = {"", "-v", "--privileged"};
	struct mp_words MP_WORDS words = {0};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(images); i++) {
		const struct mp_container c = {
			.program = "docker", .profile = &phone, .image = images[i]};
		struct mp_error err = {0};

		assert_int_equal(mp_container_command(&c, &words, &err), -EINVAL);
		assert_int_equal(err.exit_code, MP_EXIT_USAGE);
		assert_null(words.items);
	}
}

static void test_engines(void **state)
{
	const struct mp_engine *docker;
	struct mp_error err = {0};

	(void)state;
	docker = mp_engine_find("docker", &err);
	assert_non_null(docker);
	assert_true(docker->is_container);
	assert_false(mp_engine_find("cgroup", &err)->is_container);
	assert_null(mp_engine_find("poodman", &err));
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_string_equal(err.text, "--engine poodman: it is cgroup, docker or podman (did you "
				      "mean podman?)");
}

static void test_profiles_that_allow_more_than_there_is(void **state)
{
	struct mp_device_options o = {.profile = &no_swap};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_device_check(&o, 64 * MB, &err), 0);
	assert_int_equal(mp_device_check(&o, 64 * MB - 1, &err), -ENOMEM);
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_non_null(strstr(err.text, "allows 64.0 MiB, more than the 64.0 MiB"));
	assert_non_null(strstr(err.text, "--force"));
	o.force = true;
	assert_int_equal(mp_device_check(&o, 1, &err), 0);
}

/* --- scripts ------------------------------------------------------------------------ */

static void expect_begins(const struct mp_text *text, const char *expected)
{
	assert_true(text->len > strlen(expected));
	assert_memory_equal(text->data, expected, strlen(expected));
	assert_null(strstr(text->data, "the profile ends here"));
	assert_string_equal(text->data + text->len - strlen("exit $code\n"), "exit $code\n");
}

#define FIRST                                                                                      \
	"#!/bin/sh\n"                                                                              \
	"# Made by memprobe-bpf env create-scripts, which writes it anew when it is called "       \
	"again.\n"                                                                                 \
	"#\n"

static void test_script(void **state)
{
	struct mp_text MP_TEXT text = {0};

	(void)state;
	mp_script_write(&text, &phone);
	expect_begins(&text, FIRST "# Runs a command in the device \"手机模拟\", a phone:\n"
				   "#   sudo SCRIPT COMMAND [ARG]...\n"
				   "set -u\n\n"
				   "name='手机模拟'\nlimit=3006477107\nswap=536870912\n"
				   "cpu_quota=\n");
	mp_text_reset(&text);
	mp_script_write(&text, &no_swap);
	expect_begins(&text, FIRST "# Runs a command in the device \"it's $HOME; `rm`\", "
				   "two\\nlines \\e[31m:\n"
				   "#   sudo SCRIPT COMMAND [ARG]...\n"
				   "set -u\n\n"
				   "name='it'\\''s $HOME; `rm`'\nlimit=67108864\nswap=0\n"
				   "cpu_quota=150000\n");
}

static void expect_file(const struct dir *dir, const char *name, mode_t mode)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | mode);
}

static void test_scripts_are_made_and_made_anew(void **state)
{
	struct mp_profile items[] = {phone, no_swap};
	const struct mp_profiles profiles = {items, 2};
	const struct dir *dir = *state;
	struct mp_error err = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/a/b", dir->path);
	for (int i = 0; i < 2; i++) {
		if (mp_scripts_create(path, &profiles, &err))
			fail_msg("%s", err.text);
		expect_file(dir, "a/b/run_in_phone.sh", 0755);
		expect_file(dir, "a/b/run_in_it's $HOME; `rm`.sh", 0755);
		shell(dir, "test $(ls a/b | wc -l) = 2");
	}
}

/* Made by somebody else: it stays, and nothing else is written. */
static void expect_refused(const struct dir *dir, const char *make_it)
{
	struct mp_profile items[] = {no_swap, phone};
	const struct mp_profiles profiles = {items, 2};
	struct mp_error err = {0};

	shell(dir, "rm -rf run_in_phone.sh && %s", make_it);
	assert_int_equal(mp_scripts_create(dir->path, &profiles, &err), -EEXIST);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_non_null(strstr(err.text, "run_in_phone.sh is there and was not made by this"));
	shell(dir, "test ! -e run_in_it*");
}

static void test_files_of_others_stay(void **state)
{
	const struct dir *dir = *state;

	expect_refused(dir, "printf 'mine\\n' >run_in_phone.sh");
	shell(dir, "test \"$(cat run_in_phone.sh)\" = mine");
	expect_refused(dir, ": >run_in_phone.sh");
	expect_refused(dir, "mkdir run_in_phone.sh");
	expect_refused(dir, "printf '#!/bin/sh\\n' >run_in_phone.sh");
	expect_refused(dir, "mkfifo run_in_phone.sh");
	expect_refused(dir, "printf '#!/bin/sh\\n# Made by memprobe-bpf env create-scripts, which "
			    "writes it anew when it is called again.\\n' >other && "
			    "ln -s other run_in_phone.sh");
}

static void test_folders_that_cannot_be(void **state)
{
	struct mp_profile items[] = {phone};
	const struct mp_profiles profiles = {items, 1};
	const struct dir *dir = *state;
	char path[128];
	struct mp_error err = {0};

	shell(dir, ": >file");
	snprintf(path, sizeof(path), "%s/file/folder", dir->path);
	assert_int_equal(mp_scripts_create(path, &profiles, &err), -ENOTDIR);
	assert_int_equal(err.exit_code, MP_EXIT_CHECK);
	assert_int_equal(mp_scripts_create("", &profiles, &err), -ENOENT);
}

#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quoting),
		IN_DIR(test_a_shell_reads_what_was_quoted),
		cmocka_unit_test(test_container_commands),
		cmocka_unit_test(test_images_that_are_none),
		cmocka_unit_test(test_engines),
		cmocka_unit_test(test_profiles_that_allow_more_than_there_is),
		cmocka_unit_test(test_script),
		IN_DIR(test_scripts_are_made_and_made_anew),
		IN_DIR(test_files_of_others_stay),
		IN_DIR(test_folders_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
