// SPDX-License-Identifier: GPL-2.0-only
#include "config/policy_file.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/level.h"
#include "base/names.h"
#include "config/yaml.h"

#define NS_PER_MS 1000000ULL
#define MAX_MS 86400000 /* a day */
#define MAX_FACTOR 100
#define MAX_HYSTERESIS 20
#define MIN_HOLD_MS 10	   /* of a process or group that an action stops */
#define MAX_HOLD_MS 600000 /* ten minutes */
#define MAX_THROTTLE_MS 3600000
#define MAX_GRACE_MS 60000
#define MAX_KINDS 32	   /* of actions that a misspelt one is compared with */
#define MAX_ACTION 4200	   /* bytes: a name and a path of PATH_MAX */
#define MAX_PROTECTED 4096 /* bytes of a comm or a cgroup path */

/* --- the struct ------------------------------------------------------------- */

static void list_free(struct mp_action_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->refs[i].name);
		free(list->refs[i].arg);
	}
	*list = (struct mp_action_list){0};
}

static void strings_free(char **strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(strings[i]);
	free(strings);
}

void mp_policy_free(struct mp_policy *policy)
{
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++) {
		for (size_t j = 0; j < MP_SEVERITY_COUNT; j++)
			list_free(&policy->on[i][j]);
	}
	strings_free(policy->protect_comm, policy->n_protect_comm);
	strings_free(policy->protect_cgroup, policy->n_protect_cgroup);
	*policy = (struct mp_policy){0};
}

static void policy_replace(struct mp_policy *policy, struct mp_policy *by)
{
	mp_policy_free(policy);
	*policy = *by;
	*by = (struct mp_policy){0};
}

uint64_t mp_policy_interval_ns(const struct mp_policy *policy, enum mp_level level)
{
	return (uint64_t)round((double)policy->check_interval_ns * policy->interval_factor[level]);
}

/* --- the default ------------------------------------------------------------ */

static int list_add(struct mp_action_list *list, const char *name, size_t len, const char *arg)
{
	struct mp_action_ref ref = {.name = strndup(name, len), .arg = arg ? strdup(arg) : NULL};

	if (!ref.name || (arg && !ref.arg)) {
		free(ref.name);
		free(ref.arg);
		return -ENOMEM;
	}
	list->refs[list->n++] = ref;
	return 0;
}

static int list_fill(struct mp_action_list *list, const char *const names[MP_MAX_ACTIONS])
{
	int err = 0;

	for (size_t i = 0; i < MP_MAX_ACTIONS && names[i] && !err; i++)
		err = list_add(list, names[i], strlen(names[i]), NULL);
	return err;
}

static int strings_add(char ***strings, size_t *n, const char *text)
{
	char **grown = reallocarray(*strings, *n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*strings = grown;
	grown[*n] = strdup(text);
	if (!grown[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

static int default_actions(struct mp_policy *policy)
{
	static const char *const table[MP_LEVEL_COUNT][MP_SEVERITY_COUNT][MP_MAX_ACTIONS] = {
		[MP_LEVEL_LOW] = {[MP_SEVERITY_CRITICAL] = {"log"}},
		[MP_LEVEL_MEDIUM] = {[MP_SEVERITY_WARNING] = {"log"},
				     [MP_SEVERITY_GC] = {"log", "relieve"},
				     [MP_SEVERITY_CRITICAL] = {"log", "relieve"}},
		[MP_LEVEL_HIGH] = {[MP_SEVERITY_WARNING] = {"log"},
				   [MP_SEVERITY_GC] = {"log", "relieve"},
				   [MP_SEVERITY_CRITICAL] = {"log", "relieve", "reclaim"}},
		[MP_LEVEL_CRITICAL] = {[MP_SEVERITY_WARNING] = {"log", "stack"},
				       [MP_SEVERITY_GC] = {"log", "relieve"},
				       [MP_SEVERITY_CRITICAL] = {"log", "stack", "relieve",
								 "reclaim", "gate"}},
	};
	int err = 0;

	for (size_t i = 0; i < MP_LEVEL_COUNT; i++) {
		for (size_t j = 0; j < MP_SEVERITY_COUNT && !err; j++)
			err = list_fill(&policy->on[i][j], table[i][j]);
	}
	return err;
}

static int default_protect(struct mp_policy *policy)
{
	static const char *const comms[] = {"systemd", "sshd"};
	int err = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(comms) && !err; i++)
		err = strings_add(&policy->protect_comm, &policy->n_protect_comm, comms[i]);
	return err;
}

int mp_policy_default(struct mp_policy *policy)
{
	MP_POLICY struct mp_policy made = {
		.check_interval_ns = 500 * NS_PER_MS,
		.threshold_pct = {[MP_SEVERITY_WARNING] = 75,
				  [MP_SEVERITY_GC] = 85,
				  [MP_SEVERITY_CRITICAL] = 90},
		.hysteresis_pct = 3,
		.dwell_ns = 1000 * NS_PER_MS,
		.some_pct = 10,
		.full_pct = 5,
		.window_ns = 2000 * NS_PER_MS,
		.pressure_level = MP_LEVEL_HIGH,
		.interval_factor = {[MP_LEVEL_LOW] = 2.0,
				    [MP_LEVEL_MEDIUM] = 1.0,
				    [MP_LEVEL_HIGH] = 0.5,
				    [MP_LEVEL_CRITICAL] = 0.25},
		.cooldown_ns = 1000 * NS_PER_MS,
		.gate_deadline_ns = 10000 * NS_PER_MS,
		.freeze_max_ns = 10000 * NS_PER_MS,
		.throttle_max_ns = 60000 * NS_PER_MS,
		.kill_grace_ns = 500 * NS_PER_MS,
	};

	if (default_actions(&made) || default_protect(&made))
		return -ENOMEM;
	policy_replace(policy, &made);
	return 0;
}

/* --- actions ---------------------------------------------------------------- */

struct policy_reader {
	struct mp_policy policy;
	const struct mp_action_kind *kinds;
	size_t n_kinds;
	enum mp_level level; /* whose row is being read */
};

/* "log, stack, hook:PATH" */
static const char *list_kinds(const struct policy_reader *reader, char out[MP_LIST_LEN])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < reader->n_kinds && used < MP_LIST_LEN; i++)
		used += (size_t)snprintf(out + used, MP_LIST_LEN - used, "%s%s%s", i ? ", " : "",
					 reader->kinds[i].name,
					 reader->kinds[i].takes_arg ? ":PATH" : "");
	return out;
}

static int fail_unknown_action(struct mp_yaml *y, const struct policy_reader *reader,
			       const yaml_node_t *node, const char *text, size_t len)
{
	const char *names[MAX_KINDS];
	char list[MP_LIST_LEN];
	char hint[MP_HINT_LEN];
	char name[64];
	size_t n = 0;

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	list_kinds(reader, list);
	for (; n < reader->n_kinds && n < MAX_KINDS; n++)
		names[n] = reader->kinds[n].name;
	return mp_yaml_fail(y, node, "unknown action \"%s\"%s: this build has %s", name,
			    mp_yaml_hint(names, n, name, hint), list);
}

static const struct mp_action_kind *find_kind(const struct policy_reader *reader, const char *name,
					      size_t len)
{
	for (size_t i = 0; i < reader->n_kinds; i++) {
		const char *kind = reader->kinds[i].name;

		if (strncmp(kind, name, len) == 0 && !kind[len])
			return &reader->kinds[i];
	}
	return NULL;
}

static bool list_has(const struct mp_action_list *list, const char *name, const char *arg)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct mp_action_ref *ref = &list->refs[i];

		if (strcmp(ref->name, name) == 0 && !ref->arg == !arg &&
		    (!arg || strcmp(ref->arg, arg) == 0))
			return true;
	}
	return false;
}

struct cell_reader {
	struct policy_reader *policy;
	struct mp_action_list *list;
};

static int read_action(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct cell_reader *reader = data;
	const struct mp_action_kind *kind;
	const char *text;
	const char *arg;
	size_t len;
	int err;

	if (item->type == YAML_MAPPING_NODE)
		return mp_yaml_fail(y, item,
				    "an action and its path are written without a space: "
				    "hook:PATH");
	err = mp_yaml_text(y, "an action", item, MAX_ACTION, &text);
	if (err)
		return err;
	len = strcspn(text, ":");
	arg = text[len] ? text + len + 1 : NULL;
	kind = find_kind(reader->policy, text, len);
	if (!kind)
		return fail_unknown_action(y, reader->policy, item, text, len);
	if (!kind->takes_arg && arg)
		return mp_yaml_fail(y, item, "action \"%s\" takes no argument", kind->name);
	if (kind->takes_arg && (!arg || !*arg))
		return mp_yaml_fail(y, item, "action \"%s\" needs a path: %s:PATH", kind->name,
				    kind->name);
	if (list_has(reader->list, kind->name, arg))
		return mp_yaml_fail(y, item, "action \"%.80s\" is given twice", text);
	if (reader->list->n == MP_MAX_ACTIONS)
		return mp_yaml_fail(y, item, "more than %d actions", MP_MAX_ACTIONS);
	return list_add(reader->list, kind->name, len, arg) ? mp_yaml_no_memory(y) : 0;
}

/* --- levels ----------------------------------------------------------------- */

static int read_cell(struct mp_yaml *y, size_t severity, yaml_node_t *value, void *data)
{
	struct policy_reader *policy = data;
	struct cell_reader reader = {.policy = policy,
				     .list = &policy->policy.on[policy->level][severity]};

	return mp_yaml_each_text(y, "the list of actions", value, read_action, &reader);
}

/* A row that is given replaces the default one: a severity left out does nothing. */
static int read_row(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		    void *data)
{
	struct policy_reader *reader = data;
	const char *names[MP_SEVERITY_COUNT];

	for (size_t i = 0; i < MP_SEVERITY_COUNT; i++) {
		names[i] = mp_severity_name((enum mp_severity)i);
		list_free(&reader->policy.on[reader->level][i]);
	}
	return mp_yaml_each_key(y, value, field->name, names, MP_SEVERITY_COUNT, read_cell, reader);
}

static int read_factor(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	struct policy_reader *reader = data;

	return mp_yaml_to_double(y, field, value, &reader->policy.interval_factor[reader->level]);
}

static int read_level(struct mp_yaml *y, size_t level, yaml_node_t *value, void *data)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "interval_factor", .read = read_factor, .max = MAX_FACTOR},
		{.name = "on", .read = read_row},
	};
	struct policy_reader *reader = data;

	reader->level = (enum mp_level)level;
	return mp_yaml_fields(y, value, "a level", fields, MP_ARRAY_SIZE(fields), reader);
}

static void level_names(const char *names[MP_LEVEL_COUNT])
{
	for (size_t i = 0; i < MP_LEVEL_COUNT; i++)
		names[i] = mp_level_name((enum mp_level)i);
}

static int read_levels(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	const char *names[MP_LEVEL_COUNT];

	level_names(names);
	return mp_yaml_each_key(y, value, field->name, names, MP_LEVEL_COUNT, read_level, data);
}

/* --- the rest of the file ----------------------------------------------------- */

#define AT(member) offsetof(struct policy_reader, policy.member)
#define MILLISECONDS(key, member, least, most)                                                     \
	{                                                                                          \
		.name = (key), .read = mp_yaml_to_ns, .offset = AT(member), .min = (least),        \
		.max = (most)                                                                      \
	}
#define PERCENT(key, member)                                                                       \
	{                                                                                          \
		.name = (key), .read = mp_yaml_to_double, .offset = AT(member), .max = 100         \
	}

static int check_thresholds(struct mp_yaml *y, const yaml_node_t *node,
			    const struct mp_policy *policy)
{
	const double *pct = policy->threshold_pct;

	if (pct[MP_SEVERITY_WARNING] >= pct[MP_SEVERITY_GC] ||
	    pct[MP_SEVERITY_GC] >= pct[MP_SEVERITY_CRITICAL])
		return mp_yaml_fail(
			y, node, "thresholds must rise: warning %g, gc %g, critical %g do not",
			pct[MP_SEVERITY_WARNING], pct[MP_SEVERITY_GC], pct[MP_SEVERITY_CRITICAL]);
	if (pct[MP_SEVERITY_WARNING] <= policy->hysteresis_pct)
		return mp_yaml_fail(y, node, "warning %g must lie above the hysteresis %g",
				    pct[MP_SEVERITY_WARNING], policy->hysteresis_pct);
	return 0;
}

static int read_thresholds(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			   void *data)
{
	static const struct mp_yaml_field fields[] = {
		PERCENT("warning", threshold_pct[MP_SEVERITY_WARNING]),
		PERCENT("gc", threshold_pct[MP_SEVERITY_GC]),
		PERCENT("critical", threshold_pct[MP_SEVERITY_CRITICAL]),
		{.name = "hysteresis",
		 .read = mp_yaml_to_double,
		 .offset = AT(hysteresis_pct),
		 .max = MAX_HYSTERESIS},
	};
	struct policy_reader *reader = data;
	int err = mp_yaml_fields(y, value, field->name, fields, MP_ARRAY_SIZE(fields), reader);

	return err ? err : check_thresholds(y, value, &reader->policy);
}

static int read_pressure_level(struct mp_yaml *y, const struct mp_yaml_field *field,
			       yaml_node_t *value, void *data)
{
	struct policy_reader *reader = data;
	const char *names[MP_LEVEL_COUNT];
	int level;

	level_names(names);
	level = mp_yaml_choice(y, field->name, value, names, MP_LEVEL_COUNT);
	if (level < 0)
		return level;
	reader->policy.pressure_level = (enum mp_level)level;
	return 0;
}

static int read_pressure(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			 void *data)
{
	static const struct mp_yaml_field fields[] = {
		PERCENT("some_pct", some_pct),
		PERCENT("full_pct", full_pct),
		MILLISECONDS("window_ms", window_ns, 500, 10000),
		{.name = "level", .read = read_pressure_level},
	};

	return mp_yaml_fields(y, value, field->name, fields, MP_ARRAY_SIZE(fields), data);
}

/* How long actions may hold what they hold. */
static int read_limits(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		       void *data)
{
	static const struct mp_yaml_field fields[] = {
		MILLISECONDS("gate_deadline_ms", gate_deadline_ns, MIN_HOLD_MS, MAX_HOLD_MS),
		MILLISECONDS("freeze_max_ms", freeze_max_ns, MIN_HOLD_MS, MAX_HOLD_MS),
		MILLISECONDS("throttle_max_ms", throttle_max_ns, MIN_HOLD_MS, MAX_THROTTLE_MS),
		MILLISECONDS("kill_grace_ms", kill_grace_ns, 0, MAX_GRACE_MS),
	};

	return mp_yaml_fields(y, value, field->name, fields, MP_ARRAY_SIZE(fields), data);
}

struct strings_reader {
	const char *what;
	char **strings;
	size_t n;
};

static int read_string(struct mp_yaml *y, yaml_node_t *item, void *data)
{
	struct strings_reader *reader = data;
	const char *text;
	int err = mp_yaml_text(y, reader->what, item, MAX_PROTECTED, &text);

	if (err)
		return err;
	return strings_add(&reader->strings, &reader->n, text) ? mp_yaml_no_memory(y) : 0;
}

/* Replaces the default list. */
static int read_strings(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			char ***strings, size_t *n)
{
	struct strings_reader reader = {.what = field->name};
	int err = mp_yaml_each_text(y, field->name, value, read_string, &reader);

	if (err) {
		strings_free(reader.strings, reader.n);
		return err;
	}
	strings_free(*strings, *n);
	*strings = reader.strings;
	*n = reader.n;
	return 0;
}

static int read_comms(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	struct mp_policy *policy = &((struct policy_reader *)data)->policy;

	return read_strings(y, field, value, &policy->protect_comm, &policy->n_protect_comm);
}

static int read_cgroups(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			void *data)
{
	struct mp_policy *policy = &((struct policy_reader *)data)->policy;

	return read_strings(y, field, value, &policy->protect_cgroup, &policy->n_protect_cgroup);
}

static int read_protect(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
			void *data)
{
	static const struct mp_yaml_field fields[] = {
		{.name = "comm", .read = read_comms},
		{.name = "cgroup", .read = read_cgroups},
	};

	return mp_yaml_fields(y, value, field->name, fields, MP_ARRAY_SIZE(fields), data);
}

static const struct mp_yaml_field policy_fields[] = {
	{.name = "version", .read = mp_yaml_version, .required = true},
	MILLISECONDS("check_interval_ms", check_interval_ns, 0, MAX_MS),
	{.name = "thresholds", .read = read_thresholds},
	MILLISECONDS("dwell_ms", dwell_ns, 0, MAX_MS),
	{.name = "pressure", .read = read_pressure},
	{.name = "levels", .read = read_levels},
	MILLISECONDS("cooldown_ms", cooldown_ns, 0, MAX_MS),
	{.name = "actions", .read = read_limits},
	{.name = "protect", .read = read_protect},
};

static void policy_reader_free(struct policy_reader *reader)
{
	mp_policy_free(&reader->policy);
}

int mp_policy_parse(struct mp_policy *policy, const char *name, const char *text, size_t len,
		    const struct mp_action_kind *kinds, size_t n_kinds, struct mp_error *err)
{
	MP_CLEANUP(policy_reader_free)
	struct policy_reader reader = {.kinds = kinds, .n_kinds = n_kinds};
	MP_YAML struct mp_yaml y = {0};
	int ret = mp_yaml_open(&y, name, text, len, err);

	if (ret)
		return ret;
	if (mp_policy_default(&reader.policy))
		return mp_yaml_no_memory(&y);
	ret = mp_yaml_fields(&y, mp_yaml_root(&y), "the file", policy_fields,
			     MP_ARRAY_SIZE(policy_fields), &reader);
	if (ret)
		return ret;
	policy_replace(policy, &reader.policy);
	return 0;
}

int mp_policy_load(struct mp_policy *policy, const char *path, const struct mp_action_kind *kinds,
		   size_t n_kinds, struct mp_error *err)
{
	MP_FREE char *text = NULL;
	size_t len;
	int ret = mp_yaml_read_file(path, &text, &len, err);

	if (ret)
		return ret;
	return mp_policy_parse(policy, path, text, len, kinds, n_kinds, err);
}
