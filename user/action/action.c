// SPDX-License-Identifier: GPL-2.0-only
#include "action/action.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "action/hold.h"
#include "action/hook.h"
#include "action/notify.h"
#include "action/report.h"
#include "action/symbolize.h"
#include "base/text.h"

#define STOP_NS 2000000000ULL /* what the end of the monitor leaves running work */
#define ALL_JOBS "16 jobs are under way"
_Static_assert(MP_JOBS == 16, "the number is in the text");

/* name, takes an argument, the rest of struct mp_action_ops */
#define ACTIONS(ROW)                                                                               \
	ROW("log", false, .run = mp_log_run)                                                       \
	ROW("stack", false, .run = mp_stack_run)                                                   \
	ROW("notify", false, .run = mp_notify_run)                                                 \
	ROW("relieve", false, .work = mp_relieve_work)                                             \
	ROW("reclaim", false, .work = mp_reclaim_work, .whole_domain = true)                       \
	ROW("throttle", false, .work = mp_throttle_work, .destructive = true,                      \
	    .whole_domain = true, .would = "lower memory.high of its domain to the working set")   \
	ROW("freeze", false, .work = mp_freeze_work, .destructive = true,                          \
	    .would = "freeze the group of the process")                                            \
	ROW("gate", false, .run = mp_gate_run)                                                     \
	ROW("hook", true, .check = mp_hook_check, .run = mp_hook_run)                              \
	ROW("kill", false, .work = mp_kill_work, .destructive = true, .urgent = true,              \
	    .whole_domain = true, .would = "end a process")

#define OPS_ROW(name_, arg_, ...) {.name = (name_), .takes_arg = (arg_), __VA_ARGS__},
#define KIND_ROW(name_, arg_, ...) {.name = (name_), .takes_arg = (arg_)},

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

static int watch(const struct mp_actions *actions, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(actions->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_workers(struct mp_actions *actions)
{
	int err;

	if (!actions->o.cgroups)
		return 0;
	actions->holds = mp_holds_new(actions);
	if (!actions->holds)
		return -errno;
	actions->workers = mp_workers_new(actions);
	if (!actions->workers)
		return -errno;
	err = watch(actions, mp_holds_fd(actions->holds));
	return err ? err : watch(actions, mp_workers_fd(actions->workers));
}

static int open_notify(struct mp_actions *actions)
{
	if (!actions->o.notify_path)
		return 0;
	actions->notify = mp_notify_new(actions->o.notify_path, actions->o.undo, &actions->o.host);
	return actions->notify ? watch(actions, mp_notify_fd(actions->notify)) : -errno;
}

static int open_all(struct mp_actions *actions)
{
	int err;

	actions->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (actions->epoll_fd < 0)
		return -errno;
	actions->symbolizer = mp_symbolizer_new();
	if (!actions->symbolizer)
		return -errno;
	actions->hooks = mp_hooks_new(actions->o.undo);
	if (!actions->hooks)
		return -errno;
	err = watch(actions, mp_hooks_fd(actions->hooks));
	err = err ?: open_workers(actions);
	return err ? err : open_notify(actions);
}

struct mp_actions *mp_actions_new(const struct mp_actions_options *options)
{
	struct mp_actions *actions = calloc(1, sizeof(*actions));
	int err;

	if (!actions)
		return NULL;
	actions->o = *options;
	err = open_all(actions);
	if (!err)
		return actions;
	mp_actions_free(actions);
	errno = -err;
	return NULL;
}

/* Work that left something held goes on as a hold. */
static void on_job_done(struct mp_actions *actions, struct mp_job *job)
{
	int err = 0;

	if (job->held)
		err = mp_holds_begin(actions->holds, job->held, job, job->ended_ns,
				     job->ended_ns + job->hold_max_ns);
	if (err) {
		mp_undo_run(actions->o.undo, job->undo);
		mp_job_end(job, MP_RESULT_FAILED, "undone at once: %d are held already", MP_HOLDS);
	}
	mp_action_report_job(actions, job, job->ended_ns,
			     job->held && !err ? MP_UNKNOWN : job->ended_ns - job->started_ns);
	mp_action_look(actions, job);
}

/* Who is held is let go first, since work may take its time to end, and may leave something held.
 */
void mp_actions_free(struct mp_actions *actions)
{
	if (!actions)
		return;
	/* Nobody acts any more on what a domain looks like afterwards. */
	actions->o.host.look = NULL;
	mp_holds_release_all(actions->holds);
	mp_workers_stop(actions->workers, STOP_NS);
	if (actions->workers)
		mp_workers_collect(actions->workers, on_job_done);
	mp_workers_free(actions->workers);
	mp_holds_free(actions->holds);
	mp_hooks_free(actions->hooks, actions);
	mp_notify_free(actions->notify);
	mp_symbolizer_free(actions->symbolizer);
	mp_close_p(&actions->epoll_fd);
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

bool mp_actions_named(const struct mp_policy *policy, const char *name)
{
	for (size_t level = 0; level < MP_LEVEL_COUNT; level++) {
		for (size_t severity = 0; severity < MP_SEVERITY_COUNT; severity++) {
			const struct mp_action_list *list = &policy->on[level][severity];

			for (size_t i = 0; i < list->n; i++) {
				if (strcmp(list->refs[i].name, name) == 0)
					return true;
			}
		}
	}
	return false;
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

static void put_effect(struct mp_event_action *action, const struct mp_job *job)
{
	bool known = job->before.limit && job->after.limit;

	action->limit_cgroup = job->has_domain ? job->domain : NULL;
	if (job->before.limit)
		action->usage_before = job->before.usage;
	if (job->after.limit)
		action->usage_after = job->after.usage;
	if (known && action->usage_before != MP_UNKNOWN && action->usage_after != MP_UNKNOWN)
		action->freed_bytes = action->usage_before > action->usage_after
					      ? action->usage_before - action->usage_after
					      : 0;
	action->some_before_pct = job->some_before_pct;
	action->some_after_pct = job->some_after_pct;
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
	if (outcome->effect)
		put_effect(&event.action, outcome->effect);
	/* An output that fails says so itself; an action that is over stays over. */
	(void)actions->o.emit(actions->o.data, &event);
}

void mp_action_report_job(const struct mp_actions *actions, const struct mp_job *job,
			  uint64_t ended_ns, uint64_t duration_ns)
{
	const struct mp_action_origin origin = {
		.action = job->name,
		.point = job->point[0] ? job->point : NULL,
		.pid = (uint32_t)(job->acted_on ? job->acted_on : job->pid),
		.cgroup = job->has_cgroup ? job->cgroup : NULL,
		.ts_ns = job->ts_ns,
		.realtime_ns = job->realtime_ns,
	};
	const struct mp_action_outcome outcome = {
		.result = job->result,
		.ended_ns = ended_ns,
		.duration_ns = duration_ns,
		.detail = job->detail[0] ? job->detail : NULL,
		.effect = job,
	};

	mp_action_report(actions, &origin, &outcome);
}

void mp_action_look(const struct mp_actions *actions, const struct mp_job *job)
{
	const struct mp_action_host *host = &actions->o.host;
	char domain[MP_JOB_PATH];

	if (!host->look)
		return;
	strcpy(domain, job->domain);
	host->look(host->data, job->has_domain ? domain : NULL);
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

static void report_would(struct mp_actions *actions, const struct mp_action_ops *ops,
			 const struct mp_action_request *request)
{
	char detail[MP_JOB_DETAIL];

	snprintf(detail, sizeof(detail), "with --enforce it would %s", ops->would);
	mp_action_report_now(actions, request, MP_RESULT_WOULD, detail);
}

/* Whether it is at work on the whole domain already, by whatever process. */
static bool is_held(const struct mp_actions *actions, const struct mp_action_ops *ops,
		    const struct mp_action_request *request)
{
	return ops->whole_domain &&
	       mp_holds_has(actions->holds, ops->name, 0, request->decision->limit_cgroup);
}

static int submit(struct mp_actions *actions, const struct mp_action_ops *ops,
		  const struct mp_action_request *request)
{
	int err;

	if (!actions->workers)
		return -ENOTSUP;
	err = is_held(actions, ops, request) ? -EBUSY
					     : mp_workers_submit(actions->workers, ops, request);
	if (err == -EBUSY || err == -ENOSPC) {
		mp_action_report_now(actions, request, MP_RESULT_SKIPPED,
				     err == -EBUSY ? "under way already" : ALL_JOBS);
		return 0;
	}
	return err;
}

static void run_one(struct mp_actions *actions, const struct mp_action_ops *ops,
		    const struct mp_action_request *request, bool dry_run)
{
	int err;

	if (dry_run) {
		mp_action_report_now(actions, request, MP_RESULT_WOULD, "not run in a replay");
		return;
	}
	if (ops && ops->destructive && !actions->o.enforce) {
		report_would(actions, ops, request);
		return;
	}
	if (!ops)
		err = -ENOTSUP;
	else if (ops->work)
		err = submit(actions, ops, request);
	else
		err = ops->run(actions, request);
	if (err < 0)
		mp_action_report_now(actions, request, MP_RESULT_FAILED, strerror(-err));
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
	return actions->epoll_fd;
}

void mp_actions_dispatch(struct mp_actions *actions, uint64_t now_ns)
{
	mp_hooks_dispatch(actions->hooks, actions, now_ns);
	if (actions->notify)
		mp_notify_dispatch(actions->notify);
	if (!actions->workers)
		return;
	mp_workers_collect(actions->workers, on_job_done);
	mp_holds_tick(actions->holds, now_ns);
}

void mp_actions_process_gone(struct mp_actions *actions, pid_t pid)
{
	if (actions->holds)
		mp_holds_process_gone(actions->holds, pid);
}
