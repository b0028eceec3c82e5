// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "state/state.h"

#define MAX_DOMAINS 4096
#define MAX_PROCESSES 16384

static int setup(void **state)
{
	*state = mp_state_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	mp_state_free(*state);
	return 0;
}

static struct mp_domain_state *numbered(struct mp_state *state, unsigned int n)
{
	char path[32];

	snprintf(path, sizeof(path), "/g%u", n);
	return mp_state_domain(state, path);
}

static void new_domains_are_normal(void **state)
{
	const struct mp_domain_state *domain = mp_state_domain(*state, "/a");

	assert_non_null(domain);
	assert_int_equal(domain->severity, MP_SEVERITY_NORMAL);
	assert_int_equal(domain->since_ns, 0);
}

static void domains_are_kept_apart(void **state)
{
	mp_state_domain(*state, "/a")->severity = MP_SEVERITY_GC;
	mp_state_domain(*state, "/a/b")->severity = MP_SEVERITY_CRITICAL;
	mp_state_domain(*state, NULL)->severity = MP_SEVERITY_WARNING;

	assert_int_equal(mp_state_domain(*state, "/a")->severity, MP_SEVERITY_GC);
	assert_int_equal(mp_state_domain(*state, "/a/b")->severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(mp_state_domain(*state, NULL)->severity, MP_SEVERITY_WARNING);
	assert_int_equal(mp_state_domain(*state, "")->severity, MP_SEVERITY_NORMAL);
	assert_int_equal(mp_state_domain(*state, "/")->severity, MP_SEVERITY_NORMAL);
}

static void keys_are_copied_byte_for_byte(void **state)
{
	char path[] = "/a\n\033[31m\xff";

	mp_state_domain(*state, path)->severity = MP_SEVERITY_GC;
	path[1] = 'b';
	assert_int_equal(mp_state_domain(*state, path)->severity, MP_SEVERITY_NORMAL);
	assert_int_equal(mp_state_domain(*state, "/a\n\033[31m\xff")->severity, MP_SEVERITY_GC);
}

static void the_domain_longest_untouched_is_dropped(void **state)
{
	for (unsigned int i = 0; i < MAX_DOMAINS; i++)
		numbered(*state, i)->severity = MP_SEVERITY_CRITICAL;
	assert_int_equal(numbered(*state, 0)->severity, MP_SEVERITY_CRITICAL);

	/* One too many: /g1 is now the oldest, since /g0 was just asked for. */
	assert_int_equal(mp_state_domain(*state, "/new")->severity, MP_SEVERITY_NORMAL);
	assert_int_equal(numbered(*state, 0)->severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(numbered(*state, 2)->severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(numbered(*state, 1)->severity, MP_SEVERITY_NORMAL);
}

static void cooldowns_are_kept_by_process_and_level(void **state)
{
	struct mp_cooldown_state *high = mp_state_cooldown(*state, 7, MP_LEVEL_HIGH);

	assert_false(high->acted);
	*high = (struct mp_cooldown_state){
		.acted = true, .last_ns = 42, .severity = MP_SEVERITY_GC};

	assert_false(mp_state_cooldown(*state, 7, MP_LEVEL_LOW)->acted);
	assert_false(mp_state_cooldown(*state, 8, MP_LEVEL_HIGH)->acted);
	high = mp_state_cooldown(*state, 7, MP_LEVEL_HIGH);
	assert_true(high->acted);
	assert_int_equal(high->last_ns, 42);
	assert_int_equal(high->severity, MP_SEVERITY_GC);
}

static void a_forgotten_process_starts_anew(void **state)
{
	for (int level = 0; level < MP_LEVEL_COUNT; level++)
		mp_state_cooldown(*state, 7, (enum mp_level)level)->acted = true;
	mp_state_cooldown(*state, UINT32_MAX, MP_LEVEL_LOW)->acted = true;

	mp_state_forget(*state, 7);
	mp_state_forget(*state, 7);
	mp_state_forget(*state, 12345);

	for (int level = 0; level < MP_LEVEL_COUNT; level++)
		assert_false(mp_state_cooldown(*state, 7, (enum mp_level)level)->acted);
	assert_true(mp_state_cooldown(*state, UINT32_MAX, MP_LEVEL_LOW)->acted);
}

static void lost_exits_do_not_grow_it_for_ever(void **state)
{
	for (uint32_t pid = 1; pid <= MAX_PROCESSES + 1; pid++)
		mp_state_cooldown(*state, pid, MP_LEVEL_LOW)->acted = true;

	assert_true(mp_state_cooldown(*state, 2, MP_LEVEL_LOW)->acted);
	assert_true(mp_state_cooldown(*state, MAX_PROCESSES + 1, MP_LEVEL_LOW)->acted);
	assert_false(mp_state_cooldown(*state, 1, MP_LEVEL_LOW)->acted);
}

/* --- stall -------------------------------------------------------------------- */

#define SEC 1000000000ULL
#define MS 1000000ULL
#define UNKNOWN UINT64_MAX

static void assert_about(double value, double expected)
{
	if (value < expected - 1e-6 || value > expected + 1e-6)
		fail_msg("%g is not %g", value, expected);
}

static double pct_at(const struct mp_stall_sum *sum, uint64_t ts_ms)
{
	return mp_stall_pct(sum, 2 * SEC, ts_ms * MS);
}

static void stall_is_not_known_at_first_and_after_a_calm(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	assert_true(pct_at(&sum, 0) < 0);
	assert_true(mp_stall_pct(&sum, 0, 5) < 0); /* asked of nothing, it divides by nothing */
	mp_stall_add(&sum, 2 * SEC, 4500 * MS, 20 * MS, 0);
	assert_about(pct_at(&sum, 4500), 0);
	assert_about(pct_at(&sum, 7999), 0);
	assert_true(pct_at(&sum, 8000) < 0);
}

static void a_steady_stall_shows_its_share(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	for (uint64_t ts = 20; ts <= 9000; ts += 20)
		mp_stall_add(&sum, 2 * SEC, ts * MS, 20 * MS, 5 * MS);
	assert_about(pct_at(&sum, 9000), 25);
	/* When it stops it fades, at last within two windows. */
	assert_about(pct_at(&sum, 9500), 18.75);
	assert_about(pct_at(&sum, 10000), 12.5);
	assert_about(pct_at(&sum, 11000), 6.25);
	assert_about(pct_at(&sum, 11999), 12.5 * 0.0005);
}

static void a_first_record_was_all_stall(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	mp_stall_add(&sum, 2 * SEC, 3000 * MS, UNKNOWN, 500 * MS);
	assert_about(pct_at(&sum, 3000), 25);
	mp_stall_add(&sum, 2 * SEC, 3020 * MS, 20 * MS, 20 * MS);
	assert_about(pct_at(&sum, 3020), 26);
}

static void a_record_counts_where_its_window_lies(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	/* Half of the second before 2.5 s: as much on either side of 2 s. */
	mp_stall_add(&sum, 2 * SEC, 2500 * MS, 1000 * MS, 500 * MS);
	assert_about(pct_at(&sum, 2500), 12.5 + 12.5 * 0.75);
	/* Of an hour, the last seconds have their even share alone. */
	sum = (struct mp_stall_sum){0};
	mp_stall_add(&sum, 2 * SEC, 4000 * SEC, 3600 * SEC, 360 * SEC);
	assert_about(mp_stall_pct(&sum, 2 * SEC, 4000 * SEC), 10);
}

static void what_was_before_a_calm_is_forgotten(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	mp_stall_add(&sum, 2 * SEC, 3000 * MS, 1000 * MS, 1000 * MS);
	mp_stall_add(&sum, 2 * SEC, 6100 * MS, 20 * MS, 20 * MS);
	assert_about(pct_at(&sum, 6100), 1);
}

static void stalls_at_once_take_no_more_than_the_time(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	for (uint64_t ts = 2020; ts <= 2200; ts += 20)
		mp_stall_add(&sum, 2 * SEC, ts * MS, 20 * MS, 64 * 20 * MS);
	assert_about(pct_at(&sum, 2200), 10);
	for (uint64_t i = 0; i < 1000; i++)
		mp_stall_add(&sum, 2 * SEC, 2200 * MS, 20 * MS, UNKNOWN - 1);
	assert_about(pct_at(&sum, 2200), 100);
}

static void odd_records_do_no_harm(void **state)
{
	struct mp_stall_sum sum = {0};

	(void)state;
	mp_stall_add(&sum, 2 * SEC, 5000 * MS, 0, 5 * MS);
	assert_about(pct_at(&sum, 5000), 0);
	mp_stall_add(&sum, 2 * SEC, 5000 * MS, UNKNOWN, 0);
	assert_about(pct_at(&sum, 5000), 0);
	/* A late one belongs to the time before; it does not bring that back. */
	mp_stall_add(&sum, 2 * SEC, 3000 * MS, 20 * MS, 20 * MS);
	assert_about(pct_at(&sum, 5000), 0.5);
	assert_int_equal(sum.period, 2);
	mp_stall_add(&sum, 2 * SEC, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 1);
	assert_about(mp_stall_pct(&sum, 2 * SEC, UINT64_MAX), 100);
}

static void nothing_can_be_freed(void **state)
{
	(void)state;
	mp_state_free(NULL);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(new_domains_are_normal),
		TEST(domains_are_kept_apart),
		TEST(keys_are_copied_byte_for_byte),
		TEST(the_domain_longest_untouched_is_dropped),
		TEST(cooldowns_are_kept_by_process_and_level),
		TEST(a_forgotten_process_starts_anew),
		TEST(lost_exits_do_not_grow_it_for_ever),
		cmocka_unit_test(stall_is_not_known_at_first_and_after_a_calm),
		cmocka_unit_test(a_steady_stall_shows_its_share),
		cmocka_unit_test(a_first_record_was_all_stall),
		cmocka_unit_test(a_record_counts_where_its_window_lies),
		cmocka_unit_test(what_was_before_a_calm_is_forgotten),
		cmocka_unit_test(stalls_at_once_take_no_more_than_the_time),
		cmocka_unit_test(odd_records_do_no_harm),
		cmocka_unit_test(nothing_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
