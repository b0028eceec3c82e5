// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "base/size.h"

#define EIB (1ULL << 60)

struct format_case {
	uint64_t value;
	const char *expected;
};

static void check_format(const char *(*format)(uint64_t, char *), const struct format_case *cases,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char out[MP_HUMAN_LEN];

		assert_string_equal(format(cases[i].value, out), cases[i].expected);
	}
}

static void test_size_format(void **state)
{
	static const struct format_case cases[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.00 KiB"},
		{1536, "1.50 KiB"},
		{10 * 1024, "10.0 KiB"},
		{12900000, "12.3 MiB"},
		{100 * 1024, "100 KiB"},
		{1023 * 1024, "1.00 MiB"}, /* would be 1023 KiB: four digits */
		{1ULL << 30, "1.00 GiB"},
		{16 * EIB - 2, "16.0 EiB"},
		{UINT64_MAX, "-"},
	};

	(void)state;
	check_format(mp_size_format, cases, MP_ARRAY_SIZE(cases));
}

static void test_size_format_rounds_up_a_digit(void **state)
{
	char out[MP_HUMAN_LEN];

	(void)state;
	assert_string_equal(mp_size_format(10229, out), "9.99 KiB");
	assert_string_equal(mp_size_format(10239, out), "10.0 KiB");
	assert_string_equal(mp_size_format(102399, out), "100 KiB");
}

static void test_size_format_delta(void **state)
{
	char out[MP_HUMAN_LEN];

	(void)state;
	assert_string_equal(mp_size_format_delta(0, out), "0 B");
	assert_string_equal(mp_size_format_delta(2048, out), "+2.00 KiB");
	assert_string_equal(mp_size_format_delta(-2048, out), "-2.00 KiB");
	assert_string_equal(mp_size_format_delta(INT64_MAX, out), "+8.00 EiB");
	assert_string_equal(mp_size_format_delta(INT64_MIN + 1, out), "-8.00 EiB");
	assert_string_equal(mp_size_format_delta(INT64_MIN, out), "-");
}

static void test_duration_format(void **state)
{
	static const struct format_case cases[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{1000, "1.00 us"},
		{12345, "12.3 us"},
		{999499, "999 us"},
		{999500, "1.00 ms"},
		{4560000, "4.56 ms"},
		{7890000000, "7.89 s"},
		{59900000000, "59.9 s"},
		{60000000000, "1m00s"},
		{123000000000, "2m03s"},
		{3599999999999, "59m59s"},
		{3720000000000, "1h02m"},
		{UINT64_MAX, "-"},
	};

	(void)state;
	check_format(mp_duration_format, cases, MP_ARRAY_SIZE(cases));
}

static void test_count_format(void **state)
{
	static const struct format_case cases[] = {
		{0, "0"},	  {950, "950"},	     {9999, "9999"},	 {12345, "12.3k"},
		{999499, "999k"}, {999500, "1.00M"}, {4560000, "4.56M"}, {UINT64_MAX, "18.4E"},
	};

	(void)state;
	check_format(mp_count_format, cases, MP_ARRAY_SIZE(cases));
}

struct parse_case {
	const char *text;
	int err;
	uint64_t expected;
};

static void check_parse(int (*parse)(const char *, uint64_t *), const struct parse_case *cases,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = 4711;

		if (parse(cases[i].text, &value) != cases[i].err)
			fail_msg("\"%s\": not %d", cases[i].text, cases[i].err);
		assert_int_equal(value, cases[i].err ? 4711 : cases[i].expected);
	}
}

static void test_size_parse(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"64K", 0, 65536},
		{"64KiB", 0, 65536},
		{"64kb", 0, 65536},
		{"64 M", 0, 64ULL << 20},
		{"1.5G", 0, 3ULL << 29},
		{"2TiB", 0, 2ULL << 40},
		{"7B", 0, 7},
		/* beyond what a double holds exactly */
		{"9007199254740993", 0, 9007199254740993},
		{"18446744073709551615", 0, UINT64_MAX},
		{"16777215T", 0, 16777215ULL << 40},
	};

	(void)state;
	check_parse(mp_size_parse, cases, MP_ARRAY_SIZE(cases));
}

static void test_size_parse_refuses(void **state)
{
	static const char *const no_size[] = {
		"",   "K",   "-1",    "+1",  " 1",  "1e3",  "0x10", "1.5.2", "1.",
		".5", "12Q", "1KiBx", "nan", "inf", "1,5G", "1\n",  "1\xff",
	};
	static const char *const too_large[] = {
		"18446744073709551616",
		"16777216T",
		"16777216.0T",
		"99999999999999999999999999999999999999999999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(no_size); i++)
		check_parse(mp_size_parse, &(struct parse_case){no_size[i], -EINVAL, 0}, 1);
	for (size_t i = 0; i < MP_ARRAY_SIZE(too_large); i++)
		check_parse(mp_size_parse, &(struct parse_case){too_large[i], -ERANGE, 0}, 1);
}

static void test_duration_parse(void **state)
{
	static const struct parse_case cases[] = {
		{"10", 0, 10000000000},	 {"250ms", 0, 250000000},  {"1.5s", 0, 1500000000},
		{"2m", 0, 120000000000}, {"1h", 0, 3600000000000}, {"7us", 0, 7000},
		{"3 ns", 0, 3},		 {"0.5", 0, 500000000},	   {"1d", -EINVAL, 0},
		{"soon", -EINVAL, 0},	 {"-1s", -EINVAL, 0},	   {"5124096h", -ERANGE, 0},
	};

	(void)state;
	check_parse(mp_duration_parse, cases, MP_ARRAY_SIZE(cases));
}

static void test_number_parse(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_int_equal(mp_number_parse("18446744073709551615", UINT64_MAX, &value), 0);
	assert_int_equal(value, UINT64_MAX);
	assert_int_equal(mp_number_parse("007", 7, &value), 0);
	assert_int_equal(value, 7);
	assert_int_equal(mp_number_parse("8", 7, &value), -ERANGE);
	assert_int_equal(mp_number_parse("18446744073709551616", UINT64_MAX, &value), -ERANGE);
	assert_int_equal(mp_number_parse("", 9, &value), -EINVAL);
	assert_int_equal(mp_number_parse("-1", 9, &value), -EINVAL);
	assert_int_equal(mp_number_parse(" 1", 9, &value), -EINVAL);
	assert_int_equal(mp_number_parse("1 ", 9, &value), -EINVAL);
	assert_int_equal(mp_number_parse("0x1", 9, &value), -EINVAL);
	assert_int_equal(mp_number_parse("\xb2", 9, &value), -EINVAL);
	assert_int_equal(value, 7);
}

static void test_percent(void **state)
{
	(void)state;
	assert_true(mp_percent(0, 1) == 0);
	assert_true(mp_percent(1, 3) == 33.33);
	assert_true(mp_percent(2, 3) == 66.67);
	assert_true(mp_percent(3, 2) == 150);
	assert_true(mp_percent(UINT64_MAX - 1, UINT64_MAX - 1) == 100);
	assert_true(mp_percent(1, 0) == -1);
	assert_true(mp_percent(UINT64_MAX, 1) == -1);
	assert_true(mp_percent(1, UINT64_MAX) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_format),
		cmocka_unit_test(test_size_format_rounds_up_a_digit),
		cmocka_unit_test(test_size_format_delta),
		cmocka_unit_test(test_duration_format),
		cmocka_unit_test(test_count_format),
		cmocka_unit_test(test_size_parse),
		cmocka_unit_test(test_size_parse_refuses),
		cmocka_unit_test(test_duration_parse),
		cmocka_unit_test(test_number_parse),
		cmocka_unit_test(test_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
