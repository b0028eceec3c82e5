// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a policy file. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "config/policy_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_list(const struct mp_action_list *list)
{
	require(list->n <= MP_MAX_ACTIONS);
	for (size_t i = 0; i < list->n; i++) {
		bool is_hook = strcmp(list->refs[i].name, "hook") == 0;

		require(is_hook == (list->refs[i].arg != NULL));
		require(!is_hook || list->refs[i].arg[0]);
	}
}

static void require_between(uint64_t ns, uint64_t least_ms, uint64_t most_ms)
{
	require(ns >= least_ms * 1000000 && ns <= most_ms * 1000000);
}

static void require_policy(const struct mp_policy *p)
{
	require(p->threshold_pct[MP_SEVERITY_WARNING] > p->hysteresis_pct);
	require(p->threshold_pct[MP_SEVERITY_WARNING] < p->threshold_pct[MP_SEVERITY_GC]);
	require(p->threshold_pct[MP_SEVERITY_GC] < p->threshold_pct[MP_SEVERITY_CRITICAL]);
	require(p->threshold_pct[MP_SEVERITY_CRITICAL] <= 100);
	require(p->window_ns >= 500000000 && p->window_ns <= 10000000000);
	require((size_t)p->pressure_level < MP_LEVEL_COUNT);
	require_between(p->dwell_ns, 0, 86400000);
	require_between(p->gate_deadline_ns, 10, 600000);
	require_between(p->freeze_max_ns, 10, 600000);
	require_between(p->throttle_max_ns, 10, 3600000);
	require_between(p->kill_grace_ns, 0, 60000);
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++) {
		require(mp_policy_interval_ns(p, (enum mp_level)i) <= 8640000000000000);
		for (size_t j = 0; j < MP_SEVERITY_COUNT; j++)
			require_list(&p->on[i][j]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mp_action_kind kinds[] = {
		{"log", 0},	 {"stack", 0},	{"notify", 0}, {"relieve", 0}, {"reclaim", 0},
		{"throttle", 0}, {"freeze", 0}, {"gate", 0},   {"hook", 1},    {"kill", 0},
	};
	MP_POLICY struct mp_policy policy = {0};
	struct mp_error err = {0};

	if (mp_policy_parse(&policy, "f", (const char *)data, size, kinds, MP_ARRAY_SIZE(kinds),
			    &err)) {
		require(err.exit_code == MP_EXIT_CONFIG);
		require(err.text[0] && !strpbrk(err.text, "\n\033"));
		require(policy.check_interval_ns == 0);
	} else {
		require_policy(&policy);
	}
	return 0;
}
