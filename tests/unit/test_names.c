// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/event.h"
#include "base/level.h"
#include "base/names.h"

static const char *const kinds[] = {"pid", "comm", NULL, "exe", "cgroup", "container", ""};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void test_name_of(void **state)
{
	(void)state;
	assert_string_equal(mp_name_of(kinds, N_KINDS, 4), "cgroup");
	assert_string_equal(mp_name_of(kinds, N_KINDS, 2), "?");
	assert_string_equal(mp_name_of(kinds, N_KINDS, N_KINDS), "?");
	assert_string_equal(mp_name_of(kinds, N_KINDS, SIZE_MAX), "?");
}

static void test_name_find(void **state)
{
	(void)state;
	assert_int_equal(mp_name_find(kinds, N_KINDS, "pid"), 0);
	assert_int_equal(mp_name_find(kinds, N_KINDS, "container"), 5);
	assert_int_equal(mp_name_find(kinds, N_KINDS, "contain"), -ENOENT);
	assert_int_equal(mp_name_find(kinds, N_KINDS, "PID"), -ENOENT);
	assert_int_equal(mp_name_find(kinds, 0, "pid"), -ENOENT);
}

static void test_suggest_near_misses(void **state)
{
	(void)state;
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "exec"), "exe");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "exe"), "exe");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "com"), "comm");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "cgruop"), "cgroup"); /* swapped */
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "cgrop"), "cgroup");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "containr"), "container");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "contaimer"), "container");
	assert_string_equal(mp_name_suggest(kinds, N_KINDS, "pids"), "pid");
}

static void test_suggest_nothing_far(void **state)
{
	static const char long_name[] = "containercontainercontainercontainercontainercont";

	(void)state;
	assert_null(mp_name_suggest(kinds, N_KINDS, ""));
	assert_null(mp_name_suggest(kinds, N_KINDS, "nginx"));
	assert_null(mp_name_suggest(kinds, N_KINDS, "\xff\033\n"));
	assert_int_equal(sizeof(long_name) - 1, 49);
	assert_null(mp_name_suggest(kinds, N_KINDS, long_name));
	assert_null(mp_name_suggest(kinds, N_KINDS, long_name + 1));
	assert_null(mp_name_suggest(kinds, 0, "pid"));
}

static void test_suggest_takes_the_nearest(void **state)
{
	static const char *const names[] = {"warning", "warn", "warnings"};

	(void)state;
	assert_string_equal(mp_name_suggest(names, 3, "warnin"), "warning");
	assert_string_equal(mp_name_suggest(names, 3, "wan"), "warn");
	assert_string_equal(mp_name_suggest(names, 3, "warningz"), "warning");
}

static void test_longest_names_compare(void **state)
{
	static const char *const names[] = {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"};

	(void)state;
	assert_string_equal(
		mp_name_suggest(names, 1, "bacdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstvu"),
		names[0]);
}

static void test_tables_go_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < MP_LEVEL_COUNT; i++)
		assert_int_equal(mp_level_parse(mp_level_name((enum mp_level)i)), i);
	for (int i = 0; i < MP_SEVERITY_COUNT; i++)
		assert_int_equal(mp_severity_parse(mp_severity_name((enum mp_severity)i)), i);
	for (int i = 0; i < MP_PHASE_COUNT; i++)
		assert_int_equal(mp_phase_parse(mp_phase_name((enum mp_phase)i)), i);
	for (int i = 0; i < MP_EVENT_TYPE_COUNT; i++)
		assert_int_equal(mp_event_type_parse(mp_event_type_name((enum mp_event_type)i)), i);
	for (int i = MP_PROCESS_FORK; i <= MP_PROCESS_EXIT; i++)
		assert_int_equal(mp_process_op_parse(mp_process_op_name((enum mp_process_op)i)), i);
	assert_string_equal(mp_level_name(MP_LEVEL_CRITICAL), "critical");
	assert_string_equal(mp_severity_name(MP_SEVERITY_GC), "gc");
	assert_string_equal(mp_level_name((enum mp_level)99), "?");
	assert_int_equal(mp_level_parse("urgent"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_of),
		cmocka_unit_test(test_name_find),
		cmocka_unit_test(test_suggest_near_misses),
		cmocka_unit_test(test_suggest_nothing_far),
		cmocka_unit_test(test_suggest_takes_the_nearest),
		cmocka_unit_test(test_longest_names_compare),
		cmocka_unit_test(test_tables_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
