// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "config/policy_file.h"

#define MS 1000000ULL

static const struct mp_action_kind kinds[] = {
	{"log", 0},	 {"stack", 0},	{"notify", 0}, {"relieve", 0}, {"reclaim", 0},
	{"throttle", 0}, {"freeze", 0}, {"gate", 0},   {"hook", 1},    {"kill", 0},
};
#define KINDS "log, stack, notify, relieve, reclaim, throttle, freeze, gate, hook:PATH, kill"

static int parse(struct mp_policy *policy, const char *text, struct mp_error *err)
{
	return mp_policy_parse(policy, "p.yaml", text, strlen(text), kinds, MP_ARRAY_SIZE(kinds),
			       err);
}

static void assert_parses(struct mp_policy *policy, const char *text)
{
	struct mp_error err = {0};

	if (parse(policy, text, &err))
		fail_msg("%s", err.text);
}

/* `body` stands behind a line with the version. Nothing changes on failure. */
static void assert_fails(const char *body, const char *message)
{
	MP_POLICY struct mp_policy policy = {0};
	struct mp_error err = {0};
	char text[2048];

	assert_parses(&policy, "version: 1\ncooldown_ms: 7\nlevels: {low: {on: {gc: [stack]}}}\n");
	snprintf(text, sizeof(text), "version: 1\n%s", body);
	assert_int_equal(parse(&policy, text, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(policy.cooldown_ns, 7 * MS);
	assert_string_equal(policy.on[MP_LEVEL_LOW][MP_SEVERITY_GC].refs[0].name, "stack");
}

/* "log stack" */
static void assert_list(const struct mp_action_list *list, const char *names)
{
	char joined[256] = "";

	for (size_t i = 0; i < list->n; i++) {
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
			 i ? " " : "", list->refs[i].name);
		assert_null(list->refs[i].arg);
	}
	assert_string_equal(joined, names);
}

static void default_is_the_documented_policy(void **state)
{
	static const char *const actions[MP_LEVEL_COUNT][MP_SEVERITY_COUNT] = {
		[MP_LEVEL_LOW] = {"", "", "", "log"},
		[MP_LEVEL_MEDIUM] = {"", "log", "log relieve", "log relieve"},
		[MP_LEVEL_HIGH] = {"", "log", "log relieve", "log relieve reclaim"},
		[MP_LEVEL_CRITICAL] = {"", "log stack", "log relieve",
				       "log stack relieve reclaim gate"},
	};
	static const double factors[MP_LEVEL_COUNT] = {2.0, 1.0, 0.5, 0.25};
	MP_POLICY struct mp_policy p = {0};

	(void)state;
	assert_int_equal(mp_policy_default(&p), 0);
	assert_int_equal(p.check_interval_ns, 500 * MS);
	assert_true(p.threshold_pct[MP_SEVERITY_NORMAL] == 0);
	assert_true(p.threshold_pct[MP_SEVERITY_WARNING] == 75);
	assert_true(p.threshold_pct[MP_SEVERITY_GC] == 85);
	assert_true(p.threshold_pct[MP_SEVERITY_CRITICAL] == 90);
	assert_true(p.hysteresis_pct == 3);
	assert_true(p.some_pct == 10);
	assert_true(p.full_pct == 5);
	assert_int_equal(p.window_ns, 2000 * MS);
	assert_int_equal(p.pressure_level, MP_LEVEL_HIGH);
	assert_int_equal(p.dwell_ns, 1000 * MS);
	assert_int_equal(p.cooldown_ns, 1000 * MS);
	assert_int_equal(p.gate_deadline_ns, 10000 * MS);
	assert_int_equal(p.freeze_max_ns, 10000 * MS);
	assert_int_equal(p.throttle_max_ns, 60000 * MS);
	assert_int_equal(p.kill_grace_ns, 500 * MS);
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++) {
		assert_true(p.interval_factor[i] == factors[i]);
		for (size_t j = 0; j < MP_SEVERITY_COUNT; j++)
			assert_list(&p.on[i][j], actions[i][j]);
	}
	assert_int_equal(p.n_protect_comm, 2);
	assert_string_equal(p.protect_comm[0], "systemd");
	assert_string_equal(p.protect_comm[1], "sshd");
	assert_int_equal(p.n_protect_cgroup, 0);
}

static void assert_same_lists(const struct mp_action_list *a, const struct mp_action_list *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_string_equal(a->refs[i].name, b->refs[i].name);
		assert_null(a->refs[i].arg);
		assert_null(b->refs[i].arg);
	}
}

static void assert_same(const struct mp_policy *a, const struct mp_policy *b)
{
	assert_int_equal(a->check_interval_ns, b->check_interval_ns);
	assert_memory_equal(a->threshold_pct, b->threshold_pct, sizeof(a->threshold_pct));
	assert_true(a->hysteresis_pct == b->hysteresis_pct);
	assert_true(a->some_pct == b->some_pct);
	assert_true(a->full_pct == b->full_pct);
	assert_int_equal(a->window_ns, b->window_ns);
	assert_int_equal(a->pressure_level, b->pressure_level);
	assert_int_equal(a->dwell_ns, b->dwell_ns);
	assert_int_equal(a->gate_deadline_ns, b->gate_deadline_ns);
	assert_int_equal(a->freeze_max_ns, b->freeze_max_ns);
	assert_int_equal(a->throttle_max_ns, b->throttle_max_ns);
	assert_int_equal(a->kill_grace_ns, b->kill_grace_ns);
	assert_memory_equal(a->interval_factor, b->interval_factor, sizeof(a->interval_factor));
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++) {
		for (size_t j = 0; j < MP_SEVERITY_COUNT; j++)
			assert_same_lists(&a->on[i][j], &b->on[i][j]);
	}
	assert_int_equal(a->cooldown_ns, b->cooldown_ns);
	assert_int_equal(a->n_protect_comm, b->n_protect_comm);
	for (size_t i = 0; i < a->n_protect_comm; i++)
		assert_string_equal(a->protect_comm[i], b->protect_comm[i]);
	assert_int_equal(a->n_protect_cgroup, b->n_protect_cgroup);
}

static void shipped_file_is_the_default(void **state)
{
	MP_POLICY struct mp_policy file = {0};
	MP_POLICY struct mp_policy built_in = {0};
	struct mp_error err = {0};

	(void)state;
	if (mp_policy_load(&file, "configs/policy.yaml", kinds, MP_ARRAY_SIZE(kinds), &err))
		fail_msg("%s", err.text);
	assert_int_equal(mp_policy_default(&built_in), 0);
	assert_same(&file, &built_in);
}

static void what_is_left_out_keeps_its_default(void **state)
{
	MP_POLICY struct mp_policy file = {0};
	MP_POLICY struct mp_policy built_in = {0};

	(void)state;
	assert_int_equal(mp_policy_default(&built_in), 0);
	assert_parses(&file, "version: 1\n");
	assert_same(&file, &built_in);
	assert_parses(
		&file,
		"{version: 1, thresholds: {}, pressure: {}, actions: {}, protect: {}, levels: {}}");
	assert_same(&file, &built_in);
	/* A level with no table keeps its row. */
	assert_parses(&file, "{version: 1, levels: {critical: {interval_factor: 0.25}}}");
	assert_same(&file, &built_in);
}

static void reads_every_key(void **state)
{
	MP_POLICY struct mp_policy p = {0};

	(void)state;
	assert_parses(&p,
		      "version: 1\n"
		      "check_interval_ms: 0\n"
		      "thresholds: {warning: 50.5, gc: 60, critical: 100, hysteresis: 0}\n"
		      "pressure: {some_pct: 0, full_pct: 100, window_ms: 10000, level: critical}\n"
		      "dwell_ms: 0\n"
		      "actions:\n"
		      "  gate_deadline_ms: 600000\n"
		      "  freeze_max_ms: 10\n"
		      "  throttle_max_ms: 3600000\n"
		      "  kill_grace_ms: 0\n"
		      "levels:\n"
		      "  low:\n"
		      "    interval_factor: 100\n"
		      "    on:\n"
		      "      normal: log\n"
		      "      critical: [\"hook:/bin/a b:c\", hook:/bin/x, stack]\n"
		      "  high: {on: {}}\n"
		      "cooldown_ms: 86400000\n"
		      "protect: {comm: [a], cgroup: [/x, /y]}\n");
	assert_int_equal(p.check_interval_ns, 0);
	assert_true(p.threshold_pct[MP_SEVERITY_WARNING] == 50.5);
	assert_true(p.threshold_pct[MP_SEVERITY_CRITICAL] == 100);
	assert_true(p.hysteresis_pct == 0);
	assert_true(p.some_pct == 0);
	assert_true(p.full_pct == 100);
	assert_int_equal(p.window_ns, 10000 * MS);
	assert_int_equal(p.pressure_level, MP_LEVEL_CRITICAL);
	assert_int_equal(p.dwell_ns, 0);
	assert_int_equal(p.gate_deadline_ns, 600000 * MS);
	assert_int_equal(p.freeze_max_ns, 10 * MS);
	assert_int_equal(p.throttle_max_ns, 3600000 * MS);
	assert_int_equal(p.kill_grace_ns, 0);
	assert_true(p.interval_factor[MP_LEVEL_LOW] == 100);
	assert_list(&p.on[MP_LEVEL_LOW][MP_SEVERITY_NORMAL], "log");
	assert_int_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_WARNING].n, 0);
	assert_int_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_CRITICAL].n, 3);
	assert_string_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_CRITICAL].refs[0].name, "hook");
	assert_string_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_CRITICAL].refs[0].arg, "/bin/a b:c");
	assert_string_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_CRITICAL].refs[1].arg, "/bin/x");
	assert_string_equal(p.on[MP_LEVEL_LOW][MP_SEVERITY_CRITICAL].refs[2].name, "stack");
	/* A table that is given replaces the row; the factor stays. */
	assert_int_equal(p.on[MP_LEVEL_HIGH][MP_SEVERITY_CRITICAL].n, 0);
	assert_true(p.interval_factor[MP_LEVEL_HIGH] == 0.5);
	assert_list(&p.on[MP_LEVEL_MEDIUM][MP_SEVERITY_GC], "log relieve");
	assert_int_equal(p.cooldown_ns, 86400000 * MS);
	assert_int_equal(p.n_protect_comm, 1);
	assert_string_equal(p.protect_comm[0], "a");
	assert_int_equal(p.n_protect_cgroup, 2);
	assert_string_equal(p.protect_cgroup[1], "/y");
}

static void refuses_unknown_actions(void **state)
{
	static const char hook[] = "{version: 1, levels: {low: {on: {gc: ['hook:/x']}}}}";
	MP_POLICY struct mp_policy policy = {0};
	struct mp_error err;

	(void)state;
	assert_fails("levels: {low: {on: {gc: [lgo]}}}\n",
		     "p.yaml:2:26: unknown action \"lgo\" (did you mean \"log\"?): this build "
		     "has " KINDS);
	assert_fails("levels: {low: {on: {gc: [hok:/bin/x]}}}\n",
		     "p.yaml:2:26: unknown action \"hok\" (did you mean \"hook\"?): this build "
		     "has " KINDS);
	assert_fails(
		"levels: {low: {on: {gc: [log, relive]}}}\n",
		"p.yaml:2:31: unknown action \"relive\" (did you mean \"relieve\"?): this build "
		"has " KINDS);
	assert_fails("levels: {low: {on: {gc: [\"\\e[31m\"]}}}\n",
		     "p.yaml:2:26: unknown action \"\\e[31m\": this build has " KINDS);
	assert_fails("levels: {low: {on: {gc: [':x']}}}\n",
		     "p.yaml:2:26: unknown action \"\": this build has " KINDS);
	/* Known is what is handed in. */
	assert_int_equal(mp_policy_parse(&policy, "p.yaml", hook, strlen(hook), kinds, 1, &err),
			 -EINVAL);
	assert_string_equal(err.text, "p.yaml:1:39: unknown action \"hook\": this build has log");
}

static void refuses_wrong_cells(void **state)
{
	(void)state;
	assert_fails("levels: {low: {on: {gc: [hook]}}}\n",
		     "p.yaml:2:26: action \"hook\" needs a path: hook:PATH");
	assert_fails("levels: {low: {on: {gc: ['hook:']}}}\n",
		     "p.yaml:2:26: action \"hook\" needs a path: hook:PATH");
	assert_fails("levels: {low: {on: {gc: [hook: /bin/x]}}}\n",
		     "p.yaml:2:26: an action and its path are written without a space: hook:PATH");
	assert_fails("levels: {low: {on: {gc: ['log:x']}}}\n",
		     "p.yaml:2:26: action \"log\" takes no argument");
	assert_fails("levels: {low: {on: {gc: [log, log]}}}\n",
		     "p.yaml:2:31: action \"log\" is given twice");
	assert_fails("levels: {low: {on: {gc: ['hook:/x', 'hook:/x']}}}\n",
		     "p.yaml:2:37: action \"hook:/x\" is given twice");
	assert_fails("levels: {low: {on: {gc: ['hook:1', 'hook:2', 'hook:3', 'hook:4', 'hook:5', "
		     "'hook:6', 'hook:7', 'hook:8', log]}}}\n",
		     "p.yaml:2:106: more than 8 actions");
	assert_fails("levels: {low: {on: {gc: }}}\n",
		     "p.yaml:2:25: an action must be text, not nothing");
	assert_fails("levels: {low: {on: [log]}}\n",
		     "p.yaml:2:20: on must be a mapping, not a list");
	assert_fails("levels: {low: {on: {gs: [log]}}}\n",
		     "p.yaml:2:21: unknown key \"gs\" (did you mean \"gc\"?)");
	assert_fails("levels: {lwo: {on: {}}}\n",
		     "p.yaml:2:10: unknown key \"lwo\" (did you mean \"low\"?)");
	assert_fails("levels: {low: [log]}\n",
		     "p.yaml:2:15: a level must be a mapping, not a list");
}

static void refuses_wrong_thresholds(void **state)
{
	(void)state;
	assert_fails("thresholds: {warning: 95}\n",
		     "p.yaml:2:13: thresholds must rise: warning 95, gc 85, critical 90 do not");
	assert_fails("thresholds: {gc: 90}\n",
		     "p.yaml:2:13: thresholds must rise: warning 75, gc 90, critical 90 do not");
	assert_fails("thresholds: {critical: 100.5}\n",
		     "p.yaml:2:24: critical 100.5 is out of range: 0 to 100");
	assert_fails("thresholds: {warning: 3}\n",
		     "p.yaml:2:13: warning 3 must lie above the hysteresis 3");
	assert_fails("thresholds: {hysteresis: 21}\n",
		     "p.yaml:2:26: hysteresis 21 is out of range: 0 to 20");
	assert_fails("thresholds: {warning: -1}\n",
		     "p.yaml:2:23: warning -1 is out of range: 0 to 100");
	assert_fails("thresholds: {warnign: 1}\n",
		     "p.yaml:2:14: unknown key \"warnign\" (did you mean \"warning\"?)");
}

static void refuses_wrong_numbers(void **state)
{
	(void)state;
	assert_fails("check_interval_ms: 86400001\n",
		     "p.yaml:2:20: check_interval_ms 86400001 is out of range: 0 to 86400000");
	assert_fails("check_interval_ms: 500ms\n",
		     "p.yaml:2:20: check_interval_ms \"500ms\" is not a whole number");
	assert_fails("cooldown_ms: -1\n",
		     "p.yaml:2:14: cooldown_ms -1 is out of range: 0 to 86400000");
	assert_fails("pressure: {window_ms: 499}\n",
		     "p.yaml:2:23: window_ms 499 is out of range: 500 to 10000");
	assert_fails("pressure: {window_ms: 10001}\n",
		     "p.yaml:2:23: window_ms 10001 is out of range: 500 to 10000");
	assert_fails("pressure: {some_pct: 101}\n",
		     "p.yaml:2:22: some_pct 101 is out of range: 0 to 100");
	assert_fails(
		"pressure: {level: hihg}\n",
		"p.yaml:2:19: level \"hihg\" is not one of low, medium, high, critical (did you "
		"mean \"high\"?)");
	assert_fails("dwell_ms: 86400001\n",
		     "p.yaml:2:11: dwell_ms 86400001 is out of range: 0 to 86400000");
	assert_fails("actions: {gate_deadline_ms: 9}\n",
		     "p.yaml:2:29: gate_deadline_ms 9 is out of range: 10 to 600000");
	assert_fails("actions: {freeze_max_ms: 600001}\n",
		     "p.yaml:2:26: freeze_max_ms 600001 is out of range: 10 to 600000");
	assert_fails("actions: {throttle_max_ms: 3600001}\n",
		     "p.yaml:2:28: throttle_max_ms 3600001 is out of range: 10 to 3600000");
	assert_fails("actions: {kill_grace_ms: 60001}\n",
		     "p.yaml:2:26: kill_grace_ms 60001 is out of range: 0 to 60000");
	assert_fails("actions: {kill_grace_ms: 0.5}\n",
		     "p.yaml:2:26: kill_grace_ms \"0.5\" is not a whole number");
	assert_fails(
		"actions: {gate_deadline: 1000}\n",
		"p.yaml:2:11: unknown key \"gate_deadline\" (did you mean \"gate_deadline_ms\"?)");
	assert_fails("actions: [kill]\n", "p.yaml:2:10: actions must be a mapping, not a list");
	assert_fails("levels: {low: {interval_factor: 100.1}}\n",
		     "p.yaml:2:33: interval_factor 100.1 is out of range: 0 to 100");
	assert_fails("protect: {comm: [a, [b]]}\n", "p.yaml:2:21: comm must be text, not a list");
	assert_fails("protect: {cgroup: ''}\n", "p.yaml:2:19: cgroup is empty");
	assert_fails("levels: {low: {}, low: {}}\n", "p.yaml:2:19: \"low\" is given twice");
	assert_fails("cooldown: 5\n",
		     "p.yaml:2:1: unknown key \"cooldown\" (did you mean \"cooldown_ms\"?)");
}

static void refuses_other_versions(void **state)
{
	MP_POLICY struct mp_policy policy = {0};
	struct mp_error err;

	(void)state;
	assert_int_equal(parse(&policy, "cooldown_ms: 5\n", &err), -EINVAL);
	assert_string_equal(err.text, "p.yaml:1:1: the file has no \"version\"");
	assert_int_equal(parse(&policy, "version: 2\n", &err), -EINVAL);
	assert_string_equal(err.text,
			    "p.yaml:1:10: version 2 is not known: this program reads version 1");
	assert_int_equal(mp_policy_load(&policy, "configs/no.yaml", kinds, 2, &err), -ENOENT);
	assert_string_equal(err.text, "configs/no.yaml: cannot be read: No such file or directory");
	/* Nothing was ever filled in. */
	assert_int_equal(policy.check_interval_ns, 0);
}

static void interval_goes_with_the_level(void **state)
{
	MP_POLICY struct mp_policy p = {0};

	(void)state;
	assert_int_equal(mp_policy_default(&p), 0);
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_LOW), 1000 * MS);
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_MEDIUM), 500 * MS);
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_HIGH), 250 * MS);
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_CRITICAL), 125 * MS);
	p.interval_factor[MP_LEVEL_LOW] = 0;
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_LOW), 0);
	p.check_interval_ns = 86400000 * MS;
	p.interval_factor[MP_LEVEL_LOW] = 100;
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_LOW), 8640000000 * MS);
	p.check_interval_ns = 1;
	p.interval_factor[MP_LEVEL_LOW] = 0.7;
	assert_int_equal(mp_policy_interval_ns(&p, MP_LEVEL_LOW), 1);
}

static void default_replaces_what_was_there(void **state)
{
	MP_POLICY struct mp_policy p = {0};

	(void)state;
	assert_parses(&p, "{version: 1, protect: {comm: [a, b, c]}, cooldown_ms: 1}");
	assert_int_equal(p.n_protect_comm, 3);
	assert_int_equal(mp_policy_default(&p), 0);
	assert_int_equal(p.n_protect_comm, 2);
	assert_int_equal(p.cooldown_ns, 1000 * MS);
	mp_policy_free(&p);
	mp_policy_free(&p);
	assert_int_equal(p.n_protect_comm, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_is_the_documented_policy),
		cmocka_unit_test(shipped_file_is_the_default),
		cmocka_unit_test(what_is_left_out_keeps_its_default),
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(refuses_unknown_actions),
		cmocka_unit_test(refuses_wrong_cells),
		cmocka_unit_test(refuses_wrong_thresholds),
		cmocka_unit_test(refuses_wrong_numbers),
		cmocka_unit_test(refuses_other_versions),
		cmocka_unit_test(interval_goes_with_the_level),
		cmocka_unit_test(default_replaces_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
