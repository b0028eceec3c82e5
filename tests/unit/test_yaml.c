// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "config/yaml.h"

struct sample {
	double ratio;
	bool flag;
	uint64_t wait_ns;
};

static const struct mp_yaml_field sample_fields[] = {
	{.name = "ratio",
	 .read = mp_yaml_to_double,
	 .offset = offsetof(struct sample, ratio),
	 .min = -1,
	 .max = 100},
	{.name = "flag", .read = mp_yaml_to_bool, .offset = offsetof(struct sample, flag)},
	{.name = "wait_ms",
	 .read = mp_yaml_to_ns,
	 .offset = offsetof(struct sample, wait_ns),
	 .min = 5,
	 .max = 86400000},
};

static int read_sample_bytes(const char *text, size_t len, struct sample *sample,
			     struct mp_error *err)
{
	MP_YAML struct mp_yaml y = {0};
	int ret = mp_yaml_open(&y, "f.yaml", text, len, err);

	if (ret)
		return ret;
	return mp_yaml_fields(&y, mp_yaml_root(&y), "the file", sample_fields,
			      MP_ARRAY_SIZE(sample_fields), sample);
}

static int read_sample(const char *text, struct sample *sample, struct mp_error *err)
{
	return read_sample_bytes(text, strlen(text), sample, err);
}

static void assert_fails(const char *text, const char *message)
{
	struct sample sample = {.ratio = 7};
	struct mp_error err = {0};

	assert_int_equal(read_sample(text, &sample, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	/* A caller that does not want to know is as good. */
	assert_int_equal(read_sample(text, &sample, NULL), -EINVAL);
	assert_true(sample.ratio == 7);
}

static void reads_values(void **state)
{
	struct sample sample = {0};

	(void)state;
	assert_int_equal(read_sample("ratio: 0.25\nflag: true\nwait_ms: 500\n", &sample, NULL), 0);
	assert_true(sample.ratio == 0.25);
	assert_true(sample.flag);
	assert_int_equal(sample.wait_ns, 500000000);
	assert_int_equal(read_sample("{ratio: -1, flag: FALSE, wait_ms: 86400000}", &sample, NULL),
			 0);
	assert_true(sample.ratio == -1);
	assert_false(sample.flag);
	assert_int_equal(sample.wait_ns, 86400000000000);
	assert_int_equal(read_sample("ratio: 1e1", &sample, NULL), 0);
	assert_true(sample.ratio == 10);
	assert_int_equal(read_sample("ratio: .5 # half", &sample, NULL), 0);
	assert_true(sample.ratio == 0.5);
}

static void reads_past_a_byte_order_mark(void **state)
{
	struct sample sample = {0};
	struct mp_error err;

	(void)state;
	assert_int_equal(read_sample("\xef\xbb\xbfratio: 3\n", &sample, NULL), 0);
	assert_true(sample.ratio == 3);
	assert_int_equal(read_sample("\xef\xbb\xbfratoi: 3\n", &sample, &err), -EINVAL);
	assert_string_equal(err.text,
			    "f.yaml:1:1: unknown key \"ratoi\" (did you mean \"ratio\"?)");
}

static void reads_only_len_bytes(void **state)
{
	static const char text[] = {'r', 'a', 't', 'i', 'o', ':', ' ', '4', '2'};
	struct sample sample = {0};

	(void)state;
	assert_int_equal(read_sample_bytes(text, sizeof(text) - 1, &sample, NULL), 0);
	assert_true(sample.ratio == 4);
}

static void refuses_what_is_no_document(void **state)
{
	(void)state;
	assert_fails("", "f.yaml:1:1: the file is empty");
	assert_fails("# nothing\n", "f.yaml:1:1: the file is empty");
	assert_fails("---\n", "f.yaml:2:1: the file must be a mapping, not nothing");
	assert_fails("- a\n", "f.yaml:1:1: the file must be a mapping, not a list");
	assert_fails("text\n", "f.yaml:1:1: the file must be a mapping, not text");
	assert_fails("ratio: 1\n---\nratio: 2\n",
		     "f.yaml:2:1: a second document: a file holds one");
}

static void points_at_syntax_errors(void **state)
{
	(void)state;
	assert_fails("ratio: [1, 2\nflag: true\n",
		     "f.yaml:2:5: did not find expected ',' or ']', while parsing a flow sequence "
		     "that starts at line 1");
	assert_fails("ratio: @x\n",
		     "f.yaml:1:8: found character that cannot start any token, while scanning for "
		     "the next token; indent with spaces, and quote text that starts with @ or %");
	assert_fails("ratio: 1\n\tflag: true\n",
		     "f.yaml:2:1: found a tab character that violates indentation, while scanning "
		     "a plain scalar that starts at line 1");
	assert_fails("ratio: *alloc*\n",
		     "f.yaml:1:14: did not find expected alphabetic or numeric character, while "
		     "scanning an alias; text that starts with * must be quoted");
	assert_fails("ratio: *alloc\n",
		     "f.yaml:1:8: found undefined alias; text that starts with * must be quoted");
	assert_fails("ratio: a: b\n",
		     "f.yaml:1:9: mapping values are not allowed in this context; text with a "
		     "colon and a space in it must be quoted");
}

static void refuses_bytes_that_are_no_text(void **state)
{
	struct sample sample = {0};
	struct mp_error err;

	(void)state;
	assert_fails("ratio: 1\n# \xc3\xa4\xff\n", "f.yaml:2:4: invalid leading UTF-8 octet");
	assert_fails("ratio: \033[31m\n", "f.yaml:1:8: control characters are not allowed");
	assert_fails("ratio: \"1\\02\"\n", "f.yaml:1:8: a NUL byte cannot be part of a text");
	assert_int_equal(read_sample_bytes("ratio: 1\0 ", 10, &sample, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1:9: control characters are not allowed");
	/* UTF-16, as some editors save it. */
	assert_int_equal(read_sample_bytes("\xff\xfer\0", 4, &sample, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1:1: invalid leading UTF-8 octet");
}

static void refuses_unknown_and_repeated_keys(void **state)
{
	(void)state;
	assert_fails("ratoi: 1\n", "f.yaml:1:1: unknown key \"ratoi\" (did you mean \"ratio\"?)");
	assert_fails("ratio: 7\n\"zzz\\e[31m\\nzzz\": 1\n",
		     "f.yaml:2:1: unknown key \"zzz\\e[31m\\nzzz\"");
	assert_fails("\"a\\u202eb\": 1\n", "f.yaml:1:1: unknown key \"a\\u{202e}b\"");
	assert_fails("wait_ms: 7\nratio: 7\nratio: 7\n", "f.yaml:3:1: \"ratio\" is given twice");
	assert_fails("[ratio]: 1\n", "f.yaml:1:1: a key of the file must be text, not a list");
	assert_fails("<<: {ratio: 1}\n", "f.yaml:1:1: unknown key \"<<\"");
}

static void refuses_wrong_numbers(void **state)
{
	(void)state;
	assert_fails("ratio: 100.5\n", "f.yaml:1:8: ratio 100.5 is out of range: -1 to 100");
	assert_fails("ratio: 1e999\n", "f.yaml:1:8: ratio 1e999 is out of range: -1 to 100");
	assert_fails("ratio: .nan\n", "f.yaml:1:8: ratio \".nan\" is not a number");
	assert_fails("ratio: nan\n", "f.yaml:1:8: ratio \"nan\" is not a number");
	assert_fails("ratio: inf\n", "f.yaml:1:8: ratio \"inf\" is not a number");
	assert_fails("ratio: 0x10\n", "f.yaml:1:8: ratio \"0x10\" is not a number");
	assert_fails("ratio: 1.2.3\n", "f.yaml:1:8: ratio \"1.2.3\" is not a number");
	assert_fails("ratio: e\n", "f.yaml:1:8: ratio \"e\" is not a number");
	assert_fails("ratio: 75%\n", "f.yaml:1:8: ratio \"75%\" is not a number");
	assert_fails("ratio: '75'\n", "f.yaml:1:8: ratio must be a number, not quoted text");
	assert_fails("ratio:\n", "f.yaml:1:7: ratio must be a number, not nothing");
	assert_fails("ratio: ~\n", "f.yaml:1:8: ratio must be a number, not nothing");
	assert_fails("ratio: [1]\n", "f.yaml:1:8: ratio must be a number, not a list");
	assert_fails("wait_ms: 0.5\n", "f.yaml:1:10: wait_ms \"0.5\" is not a whole number");
	assert_fails("wait_ms: 4\n", "f.yaml:1:10: wait_ms 4 is out of range: 5 to 86400000");
	assert_fails("wait_ms: -5\n", "f.yaml:1:10: wait_ms -5 is out of range: 5 to 86400000");
	assert_fails("wait_ms: -\n  x\n", "f.yaml:1:10: block sequence entries are not allowed in "
					  "this context");
	assert_fails("wait_ms: 86400001\n",
		     "f.yaml:1:10: wait_ms 86400001 is out of range: 5 to 86400000");
	assert_fails("wait_ms: 18446744073709551616\n",
		     "f.yaml:1:10: wait_ms 18446744073709551616 is out of range: 5 to 86400000");
}

static void refuses_old_truth_values(void **state)
{
	(void)state;
	assert_fails("flag: yes\n", "f.yaml:1:7: flag \"yes\" is not true or false: write true");
	assert_fails("flag: On\n", "f.yaml:1:7: flag \"On\" is not true or false: write true");
	assert_fails("flag: no\n", "f.yaml:1:7: flag \"no\" is not true or false: write false");
	assert_fails("flag: off\n", "f.yaml:1:7: flag \"off\" is not true or false: write false");
	assert_fails("flag: 1\n", "f.yaml:1:7: flag \"1\" is not true or false");
	assert_fails("flag: 'true'\n", "f.yaml:1:7: flag must be true or false, not quoted text");
	assert_fails("flag: {}\n", "f.yaml:1:7: flag must be true or false, not a mapping");
}

static void aliases_stand_for_text_only(void **state)
{
	struct sample sample = {0};

	(void)state;
	assert_int_equal(read_sample("ratio: &n 50\nwait_ms: *n\n", &sample, NULL), 0);
	assert_true(sample.ratio == 50);
	assert_int_equal(sample.wait_ns, 50000000);
	assert_fails("ratio: &a [1]\nflag: *a\n",
		     "f.yaml:1:8: an anchor may name a text, not a list or a mapping");
	assert_fails("&a {ratio: *a}\n",
		     "f.yaml:1:1: an anchor may name a text, not a list or a mapping");
	assert_fails("ratio: !!float 1\n", "f.yaml:1:8: a tag (!) has no meaning here");
	assert_fails("ratio: ! 1\n", "f.yaml:1:8: a tag (!) has no meaning here");
	assert_fails("!x {ratio: 1}\n", "f.yaml:1:1: a tag (!) has no meaning here");
}

/* `head`, then `n` times `piece`. */
static void assert_repeated_fails(const char *head, const char *piece, size_t n,
				  const char *message)
{
	MP_TEXT struct mp_text text = {0};
	struct sample sample;
	struct mp_error err;

	mp_text_puts(&text, head);
	for (size_t i = 0; i < n; i++)
		mp_text_puts(&text, piece);
	assert_int_equal(read_sample_bytes(text.data, text.len, &sample, &err), -EINVAL);
	assert_string_equal(err.text, message);
}

static void refuses_what_would_take_long(void **state)
{
	(void)state;
	assert_repeated_fails("", "[", 1000000,
			      "f.yaml:1:17: lists and mappings are nested too deep");
	assert_repeated_fails("", "{a: ", 250000,
			      "f.yaml:1:65: lists and mappings are nested too deep");
	assert_repeated_fails("", "- ", 500000,
			      "f.yaml:1:33: lists and mappings are nested too deep");
	assert_repeated_fails("a: [&a x, ", "*a,", 300000, "f.yaml:1:3011: too many aliases");
	assert_repeated_fails("a: [", "&a x,", 200000, "f.yaml:1:5005: too many anchors");
}

static void refuses_a_large_file(void **state)
{
	MP_FREE char *text = malloc(MP_YAML_MAX_BYTES + 1);
	struct sample sample;
	struct mp_error err;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', MP_YAML_MAX_BYTES + 1);
	assert_int_equal(read_sample_bytes(text, MP_YAML_MAX_BYTES + 1, &sample, &err), -EFBIG);
	assert_string_equal(err.text, "f.yaml: larger than 1048576 bytes");
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(read_sample_bytes(text, MP_YAML_MAX_BYTES, &sample, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1:1: the file is empty");
}

static void files_that_cannot_be_read(void **state)
{
	struct mp_error err;
	char *text = NULL;
	size_t len;

	(void)state;
	assert_int_equal(mp_yaml_read_file("/nonexistent/\n.yaml", &text, &len, &err), -ENOENT);
	assert_string_equal(err.text,
			    "/nonexistent/\\n.yaml: cannot be read: No such file or directory");
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(mp_yaml_read_file("/", &text, &len, &err), -EISDIR);
	assert_string_equal(err.text, "/: cannot be read: Is a directory");
	assert_int_equal(mp_yaml_read_file("/dev/zero", &text, &len, &err), -EFBIG);
	assert_string_equal(err.text, "/dev/zero: larger than 1048576 bytes");
	assert_null(text);
}

static void names_the_choices(void **state)
{
	static const char *const names[] = {"low", "high"};
	char problem[MP_CHOICE_LEN];
	char list[MP_LIST_LEN];
	char hint[MP_HINT_LEN];

	(void)state;
	assert_string_equal(mp_yaml_not_one_of("level", "hihg", names, 2, problem),
			    "level \"hihg\" is not one of low, high (did you mean \"high\"?)");
	assert_string_equal(mp_yaml_not_one_of("level", "9", names, 2, problem),
			    "level \"9\" is not one of low, high");
	assert_string_equal(mp_yaml_list(names, 0, list), "");
	assert_string_equal(mp_yaml_hint(names, 2, "", hint), "");
}

static void long_lists_are_cut(void **state)
{
	const char *names[100];
	char list[MP_LIST_LEN];

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(names); i++)
		names[i] = "a-name";
	assert_int_equal(strlen(mp_yaml_list(names, MP_ARRAY_SIZE(names), list)), MP_LIST_LEN - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_values),
		cmocka_unit_test(reads_past_a_byte_order_mark),
		cmocka_unit_test(reads_only_len_bytes),
		cmocka_unit_test(refuses_what_is_no_document),
		cmocka_unit_test(points_at_syntax_errors),
		cmocka_unit_test(refuses_bytes_that_are_no_text),
		cmocka_unit_test(refuses_unknown_and_repeated_keys),
		cmocka_unit_test(refuses_wrong_numbers),
		cmocka_unit_test(refuses_old_truth_values),
		cmocka_unit_test(aliases_stand_for_text_only),
		cmocka_unit_test(refuses_what_would_take_long),
		cmocka_unit_test(refuses_a_large_file),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(names_the_choices),
		cmocka_unit_test(long_lists_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
