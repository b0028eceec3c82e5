// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "config/profiles.h"

#define MB (1ULL << 20)
#define ONE(rest)                                                                                  \
	"simulation_profiles:\n"                                                                   \
	"  - name: one\n"                                                                          \
	"    total_mem: 2048\n"                                                                    \
	"    swap_size: 0\n" rest
#define LIMIT "    cgroups: {memory.limit_in_bytes: 1G}\n"

static int parse(struct mp_profiles *profiles, const char *text, struct mp_error *err)
{
	return mp_profiles_parse(profiles, "e.yaml", text, strlen(text), err);
}

static void assert_fails(const char *text, const char *message)
{
	MP_PROFILES struct mp_profiles profiles = {0};
	struct mp_error err = {0};

	assert_int_equal(parse(&profiles, ONE(LIMIT), &err), 0);
	assert_int_equal(parse(&profiles, text, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(profiles.n, 1);
}

static void test_the_shipped_file(void **state)
{
	static const struct {
		const char *name, *id;
		uint64_t total, swap, limit;
	} expected[] = {
		{"4GB连线", "4gb", 4096 * MB, 1024 * MB, 4080218931},
		{"极限2GB模式", "2gb-extreme", 2048 * MB, 0, 2104533975},
		{"手机模拟", "phone", 3072 * MB, 512 * MB, 3006477107},
		{"老旧设备", "old-device", 2560 * MB, 512 * MB, 2362232012},
	};
	MP_PROFILES struct mp_profiles profiles = {0};
	struct mp_error err = {0};

	(void)state;
	if (mp_profiles_load(&profiles, "configs/low_mem_env.yaml", &err))
		fail_msg("%s", err.text);
	assert_int_equal(profiles.n, MP_ARRAY_SIZE(expected));
	for (size_t i = 0; i < profiles.n; i++) {
		const struct mp_profile *p = mp_profile_find(&profiles, expected[i].id, &err);

		assert_ptr_equal(p, &profiles.items[i]);
		assert_ptr_equal(p, mp_profile_find(&profiles, expected[i].name, &err));
		assert_int_equal(p->total_bytes, expected[i].total);
		assert_int_equal(p->swap_bytes, expected[i].swap);
		assert_in_range(p->limit_bytes, expected[i].limit - 1, expected[i].limit + 1);
	}
}

static void test_optional_keys(void **state)
{
	MP_PROFILES struct mp_profiles profiles = {0};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(parse(&profiles,
			       "version: 1\n" ONE(LIMIT "    cpus: 1.5\n    id: o\n"
							"    description: a thing\n"),
			       &err),
			 0);
	assert_true(profiles.items[0].cpus == 1.5);
	assert_string_equal(profiles.items[0].description, "a thing");
	assert_string_equal(profiles.items[0].origin, "e.yaml:3:5");
	assert_int_equal(parse(&profiles, ONE(LIMIT), &err), 0);
	assert_true(profiles.items[0].cpus == 0);
	assert_null(profiles.items[0].id);
}

static void test_malformed_files(void **state)
{
	(void)state;
	assert_fails("", "e.yaml:1:1: the file is empty");
	assert_fails(ONE(""), "e.yaml:2:5: a profile has no \"cgroups\"");
	assert_fails(ONE("    cgroups: {}\n"),
		     "e.yaml:5:14: cgroups has no \"memory.limit_in_bytes\"");
	assert_fails(ONE("    cgroups: {memory.limit_in_bytes: 3G}\n"),
		     "e.yaml:2:5: profile \"one\": memory.limit_in_bytes is above total_mem");
	assert_fails(ONE("    cgroups: {memory.limit_in_bytes: 1000}\n"),
		     "e.yaml:5:38: memory.limit_in_bytes \"1000\": a size of at least 1M, such as "
		     "1.96G or 512M");
	assert_fails(ONE("    cgroups: {memory.limit_in_bytes: much}\n"),
		     "e.yaml:5:38: memory.limit_in_bytes \"much\": a size of at least 1M, such as "
		     "1.96G or 512M");
	assert_fails(ONE(LIMIT "  - name: one\n    total_mem: 1\n    swap_size: 0\n"
			       "    cgroups: {memory.limit_in_bytes: 1M}\n"),
		     "e.yaml:6:5: profile \"one\": its name or id is that of e.yaml:2:5");
	assert_fails(ONE(LIMIT "    id: --list\n"),
		     "e.yaml:6:9: id \"--list\": a name begins with no dash and has no slash, "
		     "backslash or control character");
	assert_fails(ONE(LIMIT "    id: \"a\\nb\"\n"),
		     "e.yaml:6:9: id \"a\\nb\": a name begins with no dash and has no slash, "
		     "backslash or control character");
}

static void test_unknown_profile_lists_all(void **state)
{
	MP_PROFILES struct mp_profiles profiles = {0};
	struct mp_error err = {0};

	(void)state;
	assert_int_equal(mp_profiles_load(&profiles, "configs/low_mem_env.yaml", &err), 0);
	assert_null(mp_profile_find(&profiles, "phnoe", &err));
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_string_equal(err.text, "there is no profile phnoe (did you mean phone?); there are "
				      "4GB连线 (4gb), 极限2GB模式 (2gb-extreme), 手机模拟 (phone), "
				      "老旧设备 (old-device)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_shipped_file),
		cmocka_unit_test(test_optional_keys),
		cmocka_unit_test(test_malformed_files),
		cmocka_unit_test(test_unknown_profile_lists_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
