// SPDX-License-Identifier: GPL-2.0-only
#include "action/action.h"

#include <errno.h>
#include <string.h>

#include "action/hook.h"
#include "action/report.h"
#include "action/symbolize.h"
#include "base/text.h"

/* name, takes an argument, check, run */
#define ACTIONS(ROW)                                                                               \
	ROW("log", false, NULL, mp_log_run)                                                        \
	ROW("stack", false, NULL, mp_stack_run)                                                    \
	ROW("hook", true, mp_hook_check, mp_hook_run)

#define OPS_ROW(name_, arg_, check_, run_)                                                         \
	{.name = (name_), .takes_arg = (arg_), .check = (check_), .run = (run_)},
#define KIND_ROW(name_, arg_, check_, run_) {.name = (name_), .takes_arg = (arg_)},

static const struct mp_action_ops ops_table[] = {ACTIONS(OPS_ROW)};
static const struct mp_action_kind kind_table[] = {ACTIONS(KIND_ROW)};

const struct mp_action_ops *mp_action_table(size_t *ret_n)
{
	*ret_n = MP_ARRAY_SIZE(ops_table);
	return ops_table;
}

const struct mp_action_kind *mp_action_kinds(size_t *ret_n)
{
	*ret_n = MP_ARRAY_SIZE(kind_table);
	return kind_table;
}

static const struct mp_action_ops *find_ops(const char *name)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(ops_table); i++) {
		if (strcmp(ops_table[i].name, name) == 0)
			return &ops_table[i];
	}
	return NULL;
}

struct mp_actions *mp_actions_new(const struct mp_actions_options *options)
{
	struct mp_actions *actions = calloc(1, sizeof(*actions));

	if (!actions)
		return NULL;
	actions->o = *options;
	actions->hooks = mp_hooks_new();
	actions->symbolizer = mp_symbolizer_new();
	if (!actions->hooks || !actions->symbolizer) {
		int err = errno;

		mp_actions_free(actions);
		errno = err;
		return NULL;
	}
	return actions;
}

void mp_actions_free(struct mp_actions *actions)
{
	if (!actions)
		return;
	mp_hooks_free(actions->hooks, actions);
	mp_symbolizer_free(actions->symbolizer);
	free(actions);
}

static int check_list(const struct mp_action_list *list, struct mp_error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct mp_action_ref *ref = &list->refs[i];
		const struct mp_action_ops *ops = find_ops(ref->name);
		int ret;

		if (!ops)
			return mp_fail(err, MP_EXIT_CONFIG, ENOTSUP,
				       "this build has no action '%s'", ref->name);
		ret = ops->check ? ops->check(ref->arg, err) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

int mp_actions_check(const struct mp_policy *policy, struct mp_error *err)
{
	for (size_t level = 0; level < MP_LEVEL_COUNT; level++) {
		for (size_t severity = 0; severity < MP_SEVERITY_COUNT; severity++) {
			int ret = check_list(&policy->on[level][severity], err);

			if (ret)
				return ret;
		}
	}
	return 0;
}

struct mp_action_origin mp_action_origin(const struct mp_action_request *request)
{
	return (struct mp_action_origin){
		.action = request->name,
		.point = request->decision->point,
		.pid = request->decision->pid,
		.cgroup = request->decision->cgroup,
		.ts_ns = request->cause->ts_ns,
		.realtime_ns = request->cause->realtime_ns,
	};
}

void mp_action_report(const struct mp_actions *actions, const struct mp_action_origin *origin,
		      const struct mp_action_outcome *outcome)
{
	struct mp_event event = {
		.type = MP_EVENT_ACTION,
		.ts_ns = outcome->ended_ns,
		.realtime_ns = origin->realtime_ns + (outcome->ended_ns - origin->ts_ns),
	};

	event.action = (struct mp_event_action){
		.action = origin->action,
		.result = outcome->result,
		.point = origin->point,
		.pid = origin->pid,
		.cgroup = origin->cgroup,
		.freed_bytes = MP_UNKNOWN,
		.usage_before = MP_UNKNOWN,
		.usage_after = MP_UNKNOWN,
		.some_before_pct = -1,
		.some_after_pct = -1,
		.duration_ns = outcome->duration_ns,
		.detail = outcome->detail,
		.stack = outcome->stack,
		.n_stack = outcome->n_stack,
	};
	/* An output that fails says so itself; an action that is over stays over. */
	(void)actions->o.emit(actions->o.data, &event);
}

void mp_action_report_now(const struct mp_actions *actions, const struct mp_action_request *request,
			  enum mp_action_result result, const char *detail)
{
	struct mp_action_origin origin = mp_action_origin(request);
	struct mp_action_outcome outcome = {
		.result = result,
		.ended_ns = request->cause->ts_ns,
		.duration_ns = MP_UNKNOWN,
		.detail = detail,
	};

	mp_action_report(actions, &origin, &outcome);
}

static void run_one(struct mp_actions *actions, const struct mp_action_ops *ops,
		    const struct mp_action_request *request, bool dry_run)
{
	int ret;

	if (dry_run) {
		mp_action_report_now(actions, request, MP_RESULT_WOULD, "not run in a replay");
		return;
	}
	ret = ops ? ops->run(actions, request) : -ENOTSUP;
	if (ret < 0)
		mp_action_report_now(actions, request, MP_RESULT_FAILED, strerror(-ret));
}

void mp_actions_run(struct mp_actions *actions, const struct mp_action_list *list,
		    const struct mp_event_decision *decision, const struct mp_event *cause,
		    bool dry_run)
{
	for (size_t i = 0; list && i < list->n; i++) {
		const struct mp_action_ref *ref = &list->refs[i];
		struct mp_text MP_TEXT name = {0};
		struct mp_action_request request = {
			.decision = decision,
			.cause = cause,
			.arg = ref->arg,
		};

		mp_text_puts(&name, ref->name);
		if (ref->arg)
			mp_text_printf(&name, ":%s", ref->arg);
		request.name = name.failed ? ref->name : name.data;
		run_one(actions, find_ops(ref->name), &request, dry_run);
	}
}

int mp_actions_fd(const struct mp_actions *actions)
{
	return mp_hooks_fd(actions->hooks);
}

void mp_actions_dispatch(struct mp_actions *actions, uint64_t now_ns)
{
	mp_hooks_dispatch(actions->hooks, actions, now_ns);
}
