// SPDX-License-Identifier: GPL-2.0-only
#include "action/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "action/report.h"
#include "base/clock.h"
#include "base/text.h"
#include "target/target.h"

#define NS_PER_SEC 1000000000ULL
#define NS_PER_MS 1000000ULL
#define NO_DEADLINE UINT64_MAX
#define ALL_RUNNING "8 hooks are running"
_Static_assert(MP_MAX_HOOKS == 8, "the number is in the text");

enum hook_phase {
	HOOK_FREE = 0,
	HOOK_RUNNING,
	HOOK_TERMINATED, /* ran out of time: SIGTERM was sent */
	HOOK_KILLED,	 /* SIGKILL was sent */
};

struct hook {
	enum hook_phase phase;
	bool stopped; /* by the end of the monitor, not by its own time */
	pid_t pid;    /* of its process group too */
	int pidfd;
	int err_fd; /* its stderr, or -1 once nothing writes there any more */
	char said[MP_HOOK_STDERR_BYTES];
	size_t n_said;
	int undo; /* slot in the journal; negative: none */
	uint64_t start_ns;
	uint64_t deadline_ns;		/* of this phase */
	struct mp_action_origin origin; /* its strings are owned */
};

struct mp_hooks {
	int epoll_fd;
	int timer_fd; /* the nearest deadline */
	struct mp_undo *undo;
	struct hook slots[MP_MAX_HOOKS];
};

int mp_hook_check(const char *arg, struct mp_error *err)
{
	if (!arg)
		return mp_fail(err, MP_EXIT_CONFIG, EINVAL, "hook needs a path: hook:/PATH");
	return mp_hook_check_path(arg, geteuid() == 0, err);
}

static int watch(const struct mp_hooks *hooks, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(hooks->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void slot_clear(struct hook *hook)
{
	mp_close_p(&hook->pidfd);
	mp_close_p(&hook->err_fd);
	free((char *)hook->origin.action);
	free((char *)hook->origin.point);
	free((char *)hook->origin.cgroup);
	*hook = (struct hook){.pidfd = -1, .err_fd = -1, .undo = -1};
}

static int copy_string(const char **ret, const char *s)
{
	*ret = s ? strdup(s) : NULL;
	return s && !*ret ? -ENOMEM : 0;
}

/* The event's strings are gone by the time the hook ends. */
static int keep_origin(struct hook *hook, const struct mp_action_request *request)
{
	struct mp_action_origin from = mp_action_origin(request);
	int err;

	hook->origin = from;
	hook->origin.action = hook->origin.point = hook->origin.cgroup = NULL;
	err = copy_string(&hook->origin.action, from.action);
	if (!err)
		err = copy_string(&hook->origin.point, from.point);
	if (!err)
		err = copy_string(&hook->origin.cgroup, from.cgroup);
	return err;
}

/* Only our end must not block: the hook is free to write slowly. */
static int open_stderr(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* Ends a hook that cannot be watched. */
static int abandon(pid_t pid, int err)
{
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

/*
 * Its number is known only once it runs: in the microseconds until it is in the
 * journal, a monitor that is killed leaves it running without its time limit.
 */
static int arm_undo(const struct mp_hooks *hooks, struct hook *hook)
{
	const struct mp_fsroot fs = {""};
	struct mp_undo_what what = {.kind = MP_UNDO_KILL_GROUP, .pid = hook->pid};
	struct mp_process process;

	if (!hooks->undo)
		return 0;
	if (mp_process_read(&fs, hook->pid, &process) == 0)
		what.start_time = process.start_time;
	hook->undo = mp_undo_arm(hooks->undo, &what);
	return hook->undo < 0 ? hook->undo : 0;
}

static int hook_start(const struct mp_hooks *hooks, struct hook *hook,
		      const struct mp_action_request *request)
{
	MP_CLOSE int err_write = -1;
	int err = keep_origin(hook, request);

	if (!err)
		err = open_stderr(&hook->err_fd, &err_write);
	if (!err)
		err = watch(hooks, hook->err_fd);
	if (!err)
		err = mp_hook_spawn(request, err_write, &hook->pid);
	if (err)
		return err;
	hook->pidfd = pidfd_open(hook->pid, 0);
	if (hook->pidfd < 0)
		return abandon(hook->pid, -errno);
	err = watch(hooks, hook->pidfd);
	if (!err)
		err = arm_undo(hooks, hook);
	if (err)
		return abandon(hook->pid, err);
	hook->start_ns = mp_clock_now_ns();
	hook->deadline_ns = hook->start_ns + MP_HOOK_TIMEOUT_NS;
	hook->phase = HOOK_RUNNING;
	return 0;
}

/* Wakes the epoll fd at the nearest deadline. */
static void set_timer(const struct mp_hooks *hooks)
{
	uint64_t nearest = NO_DEADLINE;
	struct itimerspec timer = {0};

	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		const struct hook *hook = &hooks->slots[i];

		if (hook->phase != HOOK_FREE && hook->deadline_ns < nearest)
			nearest = hook->deadline_ns;
	}
	if (nearest != NO_DEADLINE) {
		timer.it_value.tv_sec = (time_t)(nearest / NS_PER_SEC);
		timer.it_value.tv_nsec = (long)(nearest % NS_PER_SEC);
	}
	timerfd_settime(hooks->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

static struct hook *free_slot(struct mp_hooks *hooks)
{
	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		if (hooks->slots[i].phase == HOOK_FREE)
			return &hooks->slots[i];
	}
	return NULL;
}

/*
 * Checked again because it may have been replaced since the policy was loaded.
 * Then it is run by its path, and not by a descriptor of the checked file: for
 * a script that would have to stay open in the interpreter, and $0 would be
 * /dev/fd/N. Nobody can win the race in between: when it matters, the check
 * has just found that only root can change any part of the path.
 */
int mp_hook_run(struct mp_actions *actions, const struct mp_action_request *request)
{
	struct hook *hook = free_slot(actions->hooks);
	struct mp_error why;
	int err;

	if (!hook) {
		mp_action_report_now(actions, request, MP_RESULT_SKIPPED, ALL_RUNNING);
		return 0;
	}
	err = mp_hook_check(request->arg, &why);
	if (!err) {
		err = hook_start(actions->hooks, hook, request);
		if (err)
			mp_fail(&why, MP_EXIT_CHECK, -err, "cannot be started: %s", strerror(-err));
	}
	if (err) {
		slot_clear(hook);
		mp_action_report_now(actions, request, MP_RESULT_FAILED, why.text);
	}
	set_timer(actions->hooks);
	return 0;
}

/* Keeps the first bytes; the rest is read so that the hook is not held up. */
static void read_stderr(struct hook *hook)
{
	char data[4096];
	size_t room = sizeof(hook->said) - hook->n_said;
	ssize_t n;

	if (hook->err_fd < 0)
		return;
	n = read(hook->err_fd, data, sizeof(data));
	if (n == 0) {
		close(hook->err_fd);
		hook->err_fd = -1;
	}
	if (n <= 0)
		return;
	if ((size_t)n < room)
		room = (size_t)n;
	memcpy(hook->said + hook->n_said, data, room);
	hook->n_said += room;
}

/* How it ended, in words; returns whether that is well. */
static bool describe_end(const struct hook *hook, const siginfo_t *info, struct mp_text *out)
{
	const char *name = sigabbrev_np(info->si_status);

	if (hook->stopped)
		mp_text_puts(out, "stopped with the monitor");
	else if (hook->phase != HOOK_RUNNING)
		mp_text_printf(out, "timed out after %llu s", MP_HOOK_TIMEOUT_NS / NS_PER_SEC);
	else if (info->si_code == CLD_EXITED)
		mp_text_printf(out, "exit status %d", info->si_status);
	else if (info->si_pid == 0)
		mp_text_puts(out, "exit status unknown");
	else if (name)
		mp_text_printf(out, "killed by SIG%s", name);
	else
		mp_text_printf(out, "killed by signal %d", info->si_status);
	return hook->phase == HOOK_RUNNING && info->si_code == CLD_EXITED && info->si_status == 0;
}

static void add_said(const struct hook *hook, struct mp_text *out)
{
	size_t len = strnlen(hook->said, hook->n_said);

	while (len > 0 && strchr(" \t\r\n", hook->said[len - 1]))
		len--;
	if (len == 0)
		return;
	mp_text_puts(out, ": ");
	mp_text_add(out, hook->said, len);
}

static void finish(struct hook *hook, const struct mp_actions *actions, const siginfo_t *info,
		   uint64_t now_ns)
{
	struct mp_text MP_TEXT detail = {0};
	struct mp_action_outcome outcome = {
		.ended_ns = now_ns,
		.duration_ns = now_ns > hook->start_ns ? now_ns - hook->start_ns : 0,
	};

	outcome.result = describe_end(hook, info, &detail) ? MP_RESULT_DONE : MP_RESULT_FAILED;
	add_said(hook, &detail);
	outcome.detail = detail.data;
	mp_action_report(actions, &hook->origin, &outcome);
	mp_undo_disarm(actions->o.undo, hook->undo);
	slot_clear(hook);
}

/* Whether it has ended; then it is gone from the process table too. */
static bool reap(const struct hook *hook, siginfo_t *info)
{
	*info = (siginfo_t){0};
	if (waitid(P_PIDFD, (id_t)hook->pidfd, info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return errno == ECHILD;
	if (info->si_pid == 0)
		return false;
	/* The group's number is ours only as long as its leader is not reaped. */
	if (hook->phase != HOOK_RUNNING)
		kill(-hook->pid, SIGKILL);
	waitid(P_PIDFD, (id_t)hook->pidfd, info, WEXITED);
	return true;
}

static void escalate(struct hook *hook, uint64_t now_ns)
{
	if (hook->phase == HOOK_RUNNING) {
		kill(-hook->pid, SIGTERM);
		hook->phase = HOOK_TERMINATED;
		hook->deadline_ns = now_ns + MP_HOOK_GRACE_NS;
	} else {
		kill(-hook->pid, SIGKILL);
		hook->phase = HOOK_KILLED;
		hook->deadline_ns = NO_DEADLINE;
	}
}

void mp_hooks_dispatch(struct mp_hooks *hooks, const struct mp_actions *actions, uint64_t now_ns)
{
	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		struct hook *hook = &hooks->slots[i];
		siginfo_t info;
		bool ended;

		if (hook->phase == HOOK_FREE)
			continue;
		ended = reap(hook, &info);
		read_stderr(hook);
		if (ended)
			finish(hook, actions, &info, now_ns);
		else if (now_ns >= hook->deadline_ns)
			escalate(hook, now_ns);
	}
	set_timer(hooks);
}

int mp_hooks_fd(const struct mp_hooks *hooks)
{
	return hooks->epoll_fd;
}

static bool any_running(const struct mp_hooks *hooks)
{
	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		if (hooks->slots[i].phase != HOOK_FREE)
			return true;
	}
	return false;
}

static void hooks_close(struct mp_hooks *hooks)
{
	if (!hooks)
		return;
	mp_close_p(&hooks->timer_fd);
	mp_close_p(&hooks->epoll_fd);
	free(hooks);
}

static void hooks_close_p(struct mp_hooks **hooks)
{
	hooks_close(*hooks);
}

struct mp_hooks *mp_hooks_new(struct mp_undo *undo)
{
	MP_CLEANUP(hooks_close_p) struct mp_hooks *hooks = calloc(1, sizeof(*hooks));

	if (!hooks)
		return NULL;
	for (size_t i = 0; i < MP_MAX_HOOKS; i++)
		hooks->slots[i] = (struct hook){.pidfd = -1, .err_fd = -1, .undo = -1};
	hooks->undo = undo;
	hooks->timer_fd = -1;
	hooks->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hooks->epoll_fd < 0)
		return NULL;
	hooks->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (hooks->timer_fd < 0 || watch(hooks, hooks->timer_fd) < 0)
		return NULL;
	return MP_TAKE(hooks);
}

static void wait_until(struct mp_hooks *hooks, const struct mp_actions *actions, uint64_t until_ns)
{
	uint64_t now_ns = mp_clock_now_ns();

	while (now_ns < until_ns && any_running(hooks)) {
		struct pollfd p = {.fd = hooks->epoll_fd, .events = POLLIN};

		poll(&p, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1);
		now_ns = mp_clock_now_ns();
		mp_hooks_dispatch(hooks, actions, now_ns);
	}
}

static void stop(struct hook *hook)
{
	kill(-hook->pid, SIGKILL);
	hook->phase = HOOK_KILLED;
	hook->stopped = true;
	hook->deadline_ns = NO_DEADLINE;
}

void mp_hooks_free(struct mp_hooks *hooks, const struct mp_actions *actions)
{
	static const siginfo_t unknown;

	if (!hooks)
		return;
	wait_until(hooks, actions, mp_clock_now_ns() + MP_HOOK_STOP_NS);
	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		if (hooks->slots[i].phase != HOOK_FREE)
			stop(&hooks->slots[i]);
	}
	/* A process that the kernel holds outlives even this. */
	wait_until(hooks, actions, mp_clock_now_ns() + MP_HOOK_GRACE_NS);
	for (size_t i = 0; i < MP_MAX_HOOKS; i++) {
		if (hooks->slots[i].phase != HOOK_FREE)
			finish(&hooks->slots[i], actions, &unknown, mp_clock_now_ns());
	}
	hooks_close(hooks);
}
