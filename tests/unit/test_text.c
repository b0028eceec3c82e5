// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "base/text.h"

static void test_text_grows(void **state)
{
	MP_TEXT struct mp_text t = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		mp_text_printf(&t, "%03d,", i);
	assert_int_equal(t.len, 4000);
	assert_int_equal(strlen(t.data), 4000);
	assert_memory_equal(t.data + 4 * 999, "999,", 5);
	assert_false(t.failed);
}

static void test_text_reset_keeps_memory(void **state)
{
	MP_TEXT struct mp_text t = {0};
	const char *data;

	(void)state;
	mp_text_reset(&t); /* nothing to reset yet */
	mp_text_puts(&t, "abc");
	data = t.data;
	mp_text_reset(&t);
	assert_string_equal(t.data, "");
	mp_text_putc(&t, 'x');
	mp_text_add(&t, "yz...", 2);
	assert_string_equal(t.data, "xyz");
	assert_ptr_equal(t.data, data);
	mp_text_free(&t);
	assert_null(t.data);
}

static void test_text_failed_stays_cut(void **state)
{
	MP_TEXT struct mp_text t = {0};

	(void)state;
	mp_text_puts(&t, "ab");
	t.failed = true;
	mp_text_puts(&t, "cd");
	mp_text_printf(&t, "%d", 1);
	assert_string_equal(t.data, "ab");
	mp_text_reset(&t);
	mp_text_puts(&t, "cd");
	assert_string_equal(t.data, "cd");
}

static void check_clean(const char *in, const char *expected)
{
	char out[256];
	size_t n = mp_text_clean(in, out, sizeof(out));

	assert_string_equal(out, expected);
	assert_int_equal(n, strlen(expected));
}

static void test_clean_escapes_control(void **state)
{
	(void)state;
	check_clean("", "");
	check_clean("plain ASCII ~!", "plain ASCII ~!");
	check_clean("a\nb\tc\rd", "a\\nb\\tc\\rd");
	check_clean("\033[31mred\033[0m", "\\e[31mred\\e[0m");
	check_clean("\001\177", "\\x01\\x7f");
	check_clean("C:\\n", "C:\\\\n");
}

static void test_clean_keeps_foreign_scripts(void **state)
{
	(void)state;
	check_clean("é 模型 🧠", "é 模型 🧠");
}

static void test_clean_escapes_invisible(void **state)
{
	(void)state;
	check_clean("a\xc2\x85z", "a\\x85z");		   /* C1: next line */
	check_clean("a\xe2\x80\xa8z", "a\\u{2028}z");	   /* line separator */
	check_clean("a\xe2\x80\xaez", "a\\u{202e}z");	   /* right-to-left override */
	check_clean("a\xe2\x81\xa6z", "a\\u{2066}z");	   /* isolate */
	check_clean("a\xef\xbb\xbfz", "a\\u{feff}z");	   /* byte order mark */
	check_clean("a\xf3\xa0\x81\x81z", "a\\u{e0041}z"); /* invisible tag letter */
}

static void test_clean_escapes_what_is_no_utf8(void **state)
{
	(void)state;
	check_clean("\xff\xfe", "\\xff\\xfe");
	check_clean("\xc3", "\\xc3");				 /* cut */
	check_clean("\xe6\xa8", "\\xe6\\xa8");			 /* cut */
	check_clean("\xe6\xa8z", "\\xe6\\xa8z");		 /* broken off */
	check_clean("\xc0\xaf", "\\xc0\\xaf");			 /* overlong slash */
	check_clean("\xe0\x80\xaf", "\\xe0\\x80\\xaf");		 /* overlong slash */
	check_clean("\xed\xa0\x80", "\\xed\\xa0\\x80");		 /* surrogate */
	check_clean("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
}

static void test_clean_cuts_at_whole_characters(void **state)
{
	static const struct {
		const char *in;
		size_t size;
		const char *expected;
	} cases[] = {
		{"abc", 4, "abc"},   {"abc", 3, "ab"},	 {"abc", 1, ""},
		{"a模b", 5, "a模"},  {"a模b", 4, "a"},	 {"a\nb", 3, "a"},
		{"a\nb", 4, "a\\n"}, {"a\x01z", 5, "a"}, {"a\x01z", 6, "a\\x01"},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(cases); i++) {
		char out[16];

		memset(out, '#', sizeof(out));
		assert_int_equal(mp_text_clean(cases[i].in, out, cases[i].size),
				 strlen(cases[i].expected));
		assert_string_equal(out, cases[i].expected);
		assert_int_equal(out[cases[i].size], '#');
	}
}

static void test_clean_into_nothing(void **state)
{
	char out[1] = {'#'};

	(void)state;
	assert_int_equal(mp_text_clean("abc", out, 0), 0);
	assert_int_equal(out[0], '#');
}

static void test_utf8_length(void **state)
{
	(void)state;
	assert_int_equal(mp_utf8_length("a", 1), 1);
	assert_int_equal(mp_utf8_length("a", 0), 0);
	assert_int_equal(mp_utf8_length("\xc3\xa9", 2), 2);
	assert_int_equal(mp_utf8_length("\xc3\xa9", 1), 0);
	assert_int_equal(mp_utf8_length("模", 3), 3);
	assert_int_equal(mp_utf8_length("\xf4\x8f\xbf\xbf", 4), 4); /* U+10FFFF */
	assert_int_equal(mp_utf8_length("\xf5\x80\x80\x80", 4), 0);
	assert_int_equal(mp_utf8_length("\x80", 1), 0);
	assert_int_equal(mp_utf8_length("\xc1\xbf", 2), 0);
	assert_int_equal(mp_utf8_length("\xee\x80\x80", 3), 3); /* just above the surrogates */
}

static void test_width(void **state)
{
	(void)state;
	assert_int_equal(mp_text_width(""), 0);
	assert_int_equal(mp_text_width("abc"), 3);
	assert_int_equal(mp_text_width("é"), 1);
	assert_int_equal(mp_text_width("e\xcc\x81"), 1); /* combining accent */
	assert_int_equal(mp_text_width("模型"), 4);
	assert_int_equal(mp_text_width("한글"), 4);
	assert_int_equal(mp_text_width("🧠"), 2);
	assert_int_equal(mp_text_width("\xff"), 1);
}

static void test_fail_is_one_clean_line(void **state)
{
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_fail(&err, MP_EXIT_TARGET, 3, "no \"%s\"", "a\n\033[2J\xff"), -3);
	assert_string_equal(err.text, "no \"a\\n\\e[2J\\xff\"");
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	assert_int_equal(mp_fail(NULL, MP_EXIT_TARGET, 5, "nobody asks"), -5);
}

static void test_fail_cuts_long_text(void **state)
{
	struct mp_error err = {0};
	char name[4096];

	(void)state;
	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	mp_fail(&err, MP_EXIT_USAGE, 1, "%s", name);
	assert_in_range(strlen(err.text), sizeof(err.text) - 2, sizeof(err.text) - 1);
	assert_null(strchr(err.text, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_grows),
		cmocka_unit_test(test_text_reset_keeps_memory),
		cmocka_unit_test(test_text_failed_stays_cut),
		cmocka_unit_test(test_clean_escapes_control),
		cmocka_unit_test(test_clean_keeps_foreign_scripts),
		cmocka_unit_test(test_clean_escapes_invisible),
		cmocka_unit_test(test_clean_escapes_what_is_no_utf8),
		cmocka_unit_test(test_clean_cuts_at_whole_characters),
		cmocka_unit_test(test_clean_into_nothing),
		cmocka_unit_test(test_utf8_length),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_fail_is_one_clean_line),
		cmocka_unit_test(test_fail_cuts_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
