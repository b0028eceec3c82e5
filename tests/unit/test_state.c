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
		cmocka_unit_test(nothing_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
