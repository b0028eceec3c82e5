// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/privileges.h"

#define BIT(cap) (1ULL << (cap))

static void test_observer_keeps_what_attaching_needs(void **state)
{
	const struct mp_features features = {.uprobe_multi = true};
	uint64_t needed = mp_privileges_needed(&features, false, false);

	(void)state;
	assert_true(needed & BIT(CAP_BPF));
	assert_true(needed & BIT(CAP_PERFMON));
	assert_true(needed & BIT(CAP_SYS_PTRACE));
	assert_false(needed & BIT(CAP_SYS_ADMIN));
	assert_false(needed & BIT(CAP_KILL));
	assert_false(needed & BIT(CAP_DAC_OVERRIDE));
	assert_false(needed & BIT(CAP_NET_ADMIN));
	assert_false(needed & BIT(CAP_SYS_MODULE));
	assert_false(needed & BIT(CAP_SETUID));
}

static void test_old_kernels_need_more(void **state)
{
	const struct mp_features features = {.uprobe_multi = false};

	(void)state;
	assert_true(mp_privileges_needed(&features, false, false) & BIT(CAP_SYS_ADMIN));
}

static void test_perf_events_may_need_more(void **state)
{
	const struct mp_features features = {.uprobe_multi = true};

	(void)state;
	assert_false(mp_privileges_needed(&features, false, false) & BIT(CAP_SYS_ADMIN));
	assert_true(mp_privileges_needed(&features, false, true) & BIT(CAP_SYS_ADMIN));
}

static void test_acting_needs_more(void **state)
{
	const struct mp_features features = {.uprobe_multi = true};
	uint64_t more = mp_privileges_needed(&features, true, false) ^
			mp_privileges_needed(&features, false, false);

	(void)state;
	assert_int_equal(more, BIT(CAP_KILL) | BIT(CAP_SYS_NICE) | BIT(CAP_DAC_OVERRIDE));
}

/* The guardian has nothing that the monitor that it guards has not. */
static void test_guardian_keeps_what_undoing_needs(void **state)
{
	const struct mp_features features = {.uprobe_multi = true};
	uint64_t kept = mp_privileges_of_guardian();

	(void)state;
	assert_int_equal(kept & ~mp_privileges_needed(&features, true, false), 0);
	assert_true(kept & BIT(CAP_KILL));
	assert_true(kept & BIT(CAP_DAC_OVERRIDE));
	assert_false(kept & BIT(CAP_PERFMON));
	assert_false(kept & BIT(CAP_SYS_NICE));
}

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

/* In a child, which loses them. What it did not have it does not get. */
static void test_keeps_no_more_than_asked(void **state)
{
	uint64_t wanted = BIT(CAP_BPF) | BIT(CAP_KILL);
	uint64_t expected = permitted() & wanted;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(mp_privileges_keep(wanted) == 0 && permitted() == expected ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_observer_keeps_what_attaching_needs),
		cmocka_unit_test(test_old_kernels_need_more),
		cmocka_unit_test(test_perf_events_may_need_more),
		cmocka_unit_test(test_acting_needs_more),
		cmocka_unit_test(test_guardian_keeps_what_undoing_needs),
		cmocka_unit_test(test_keeps_no_more_than_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
