// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "action/action.h"
#include "action/hook.h"
#include "action/symbolize.h"
#include "base/clock.h"
#include "base/fsroot.h"
#include "base/text.h"

#define MAX_RESULTS 32
#define SEC 1000000000ULL

/* An action event that outlives the call. */
struct result {
	char *action;
	char *point;
	char *cgroup;
	char *detail;
	char *frames[MP_STACK_DEPTH];
	size_t n_frames;
	enum mp_action_result result;
	uint32_t pid;
	uint64_t ts_ns;
	uint64_t realtime_ns;
	uint64_t duration_ns;
};

struct fixture {
	struct mp_actions *actions;
	struct result results[MAX_RESULTS];
	size_t n;
	char dir[64];
	struct mp_event cause;
	struct mp_event_decision decision;
};

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int keep(void *data, const struct mp_event *event)
{
	struct fixture *f = data;
	struct result *r = &f->results[f->n];

	assert_true(f->n < MAX_RESULTS);
	assert_int_equal(event->type, MP_EVENT_ACTION);
	*r = (struct result){
		.action = copy(event->action.action),
		.point = copy(event->action.point),
		.cgroup = copy(event->action.cgroup),
		.detail = copy(event->action.detail),
		.n_frames = event->action.n_stack,
		.result = event->action.result,
		.pid = event->action.pid,
		.ts_ns = event->ts_ns,
		.realtime_ns = event->realtime_ns,
		.duration_ns = event->action.duration_ns,
	};
	for (size_t i = 0; i < r->n_frames; i++)
		r->frames[i] = copy(event->action.stack[i]);
	f->n++;
	return 0;
}

static void drop_results(struct fixture *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct result *r = &f->results[i];

		free(r->action);
		free(r->point);
		free(r->cgroup);
		free(r->detail);
		for (size_t j = 0; j < r->n_frames; j++)
			free(r->frames[j]);
	}
	f->n = 0;
}

/* What root may run lies where only root can write, which /tmp is not. */
static const char *scratch(void)
{
	return geteuid() == 0 ? "/var/lib/mp_action_XXXXXX" : "/tmp/mp_action_XXXXXX";
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "%s", scratch());
	if (!mkdtemp(f->dir))
		return -1;
	f->actions = mp_actions_new(&(struct mp_actions_options){.emit = keep, .data = f});
	f->cause = (struct mp_event){.type = MP_EVENT_PROBE, .ts_ns = 1000, .realtime_ns = 5000000};
	f->cause.probe = (struct mp_event_probe){
		.point = "load", .pid = 7, .comm = "app", .cgroup = "/app", .rss = 123456};
	f->decision = (struct mp_event_decision){
		.severity = MP_SEVERITY_CRITICAL,
		.previous = MP_SEVERITY_GC,
		.level = MP_LEVEL_HIGH,
		.point = "load",
		.pid = 7,
		.cgroup = "/app",
		.reason = "working set 91.0 % of the limit, above critical (90 %)",
		.usage_pct = 91.04,
		.working_set = 910,
		.limit = 1000,
	};
	*state = f;
	return f->actions ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	mp_actions_free(f->actions);
	drop_results(f);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	free(f);
	return system(command);
}

static const char *path_in(const struct fixture *f, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", f->dir, name);
	return out;
}

/* Writes a file of the fixture's folder, for scripts executable. Returns its path, to be freed. */
static char *write_file(const struct fixture *f, const char *name, mode_t mode, const char *text)
{
	char path[128];
	int fd = open(path_in(f, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return copy(path);
}

static void run(struct fixture *f, const char *name, const char *arg, bool dry_run)
{
	struct mp_action_list list = {.n = 1};

	list.refs[0].name = (char *)name;
	list.refs[0].arg = (char *)arg;
	mp_actions_run(f->actions, &list, &f->decision, &f->cause, dry_run);
}

/* Lets hooks go on until there are `n` results; a hook that never ends fails the test. */
static void wait_for_results(struct fixture *f, size_t n)
{
	while (f->n < n) {
		struct pollfd p = {.fd = mp_actions_fd(f->actions), .events = POLLIN};

		assert_int_equal(poll(&p, 1, 60000), 1);
		mp_actions_dispatch(f->actions, mp_clock_now_ns());
	}
}

/* Runs a hook of that script text to its end. */
static const struct result *run_script(struct fixture *f, const char *text)
{
	MP_FREE char *path = write_file(f, "hook.sh", 0700, text);

	run(f, "hook", path, false);
	wait_for_results(f, 1);
	assert_int_equal(f->n, 1);
	return &f->results[0];
}

static void wait_for_file(const struct fixture *f, const char *name)
{
	char path[128];

	path_in(f, name, path);
	for (int i = 0; access(path, F_OK) < 0; i++) {
		assert_true(i < 6000);
		usleep(10000);
	}
}

static void expect_file(const struct fixture *f, const char *name, const char *text)
{
	MP_FREE char *data = NULL;
	char path[128];

	assert_int_equal(mp_read_file(path_in(f, name, path), 65536, &data, NULL), 0);
	assert_string_equal(data, text);
}

/* --- the table and the runner --- */

static void kinds_are_the_table(void **state)
{
	static const struct {
		const char *name;
		bool destructive;
		bool takes_arg;
	} rows[] = {
		{"log", false, false},	   {"stack", false, false},   {"notify", false, false},
		{"relieve", false, false}, {"reclaim", false, false}, {"throttle", true, false},
		{"freeze", true, false},   {"gate", false, false},    {"hook", false, true},
		{"kill", true, false},
	};
	size_t n_kinds = 0;
	size_t n_ops = 0;
	const struct mp_action_kind *kinds = mp_action_kinds(&n_kinds);
	const struct mp_action_ops *ops = mp_action_table(&n_ops);

	(void)state;
	assert_int_equal(n_ops, MP_ARRAY_SIZE(rows));
	assert_int_equal(n_kinds, n_ops);
	for (size_t i = 0; i < n_ops; i++) {
		assert_string_equal(ops[i].name, rows[i].name);
		assert_string_equal(kinds[i].name, rows[i].name);
		assert_int_equal(kinds[i].takes_arg, rows[i].takes_arg);
		assert_int_equal(ops[i].takes_arg, rows[i].takes_arg);
		assert_int_equal(ops[i].destructive, rows[i].destructive);
		/* One of the two, and a phrase for what is not done without --enforce. */
		assert_true(!ops[i].run != !ops[i].work);
		assert_int_equal(ops[i].would != NULL, rows[i].destructive);
		assert_int_equal(ops[i].check != NULL, rows[i].takes_arg);
	}
}

static void actions_are_found_in_a_policy(void **state)
{
	struct mp_policy policy = {0};

	(void)state;
	assert_false(mp_actions_named(&policy, "gate"));
	policy.on[MP_LEVEL_CRITICAL][MP_SEVERITY_CRITICAL] =
		(struct mp_action_list){.refs = {{.name = "log"}, {.name = "gate"}}, .n = 2};
	assert_true(mp_actions_named(&policy, "gate"));
	assert_true(mp_actions_named(&policy, "log"));
	assert_false(mp_actions_named(&policy, "gat"));
	assert_false(mp_actions_named(&policy, "kill"));
}

/* A replay has neither threads nor anything to act on. */
static void work_without_workers_fails(void **state)
{
	struct fixture *f = *state;

	mp_actions_free(f->actions);
	f->actions = mp_actions_new(
		&(struct mp_actions_options){.emit = keep, .data = f, .enforce = true});
	run(f, "throttle", NULL, false);
	run(f, "throttle", NULL, true);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, strerror(ENOTSUP));
	assert_int_equal(f->results[1].result, MP_RESULT_WOULD);
	assert_string_equal(f->results[1].detail, "not run in a replay");
	mp_actions_process_gone(f->actions, 7);
}

static void log_tells_the_reason(void **state)
{
	struct fixture *f = *state;

	run(f, "log", NULL, false);
	assert_int_equal(f->n, 1);
	assert_string_equal(f->results[0].action, "log");
	assert_int_equal(f->results[0].result, MP_RESULT_DONE);
	assert_string_equal(f->results[0].detail, f->decision.reason);
	assert_string_equal(f->results[0].point, "load");
	assert_string_equal(f->results[0].cgroup, "/app");
	assert_int_equal(f->results[0].pid, 7);
	assert_int_equal(f->results[0].ts_ns, 1000);
	assert_int_equal(f->results[0].realtime_ns, 5000000);
	assert_true(f->results[0].duration_ns == MP_UNKNOWN);
}

static void a_replay_only_says_what_it_would_do(void **state)
{
	struct fixture *f = *state;
	static const uint64_t stack[] = {1, 2, 3};
	MP_FREE char *path = write_file(f, "hook.sh", 0700, "#!/bin/sh\n>\"${0%/*}/ran\"\n");
	MP_FREE char *name = NULL;

	assert_true(asprintf(&name, "hook:%s", path) > 0);
	f->cause.probe.stack = stack;
	f->cause.probe.n_stack = 3;
	run(f, "log", NULL, true);
	run(f, "stack", NULL, true);
	run(f, "hook", path, true);
	run(f, "hook", "not/even/absolute", true);
	assert_int_equal(f->n, 4);
	for (size_t i = 0; i < f->n; i++) {
		assert_int_equal(f->results[i].result, MP_RESULT_WOULD);
		assert_int_equal(f->results[i].ts_ns, 1000);
		assert_int_equal(f->results[i].n_frames, 0);
	}
	assert_string_equal(f->results[2].action, name);

	/* Ends all that was started: the hook was not. */
	mp_actions_free(f->actions);
	f->actions = NULL;
	assert_int_equal(f->n, 4);
	assert_int_equal(access(path_in(f, "ran", (char[128]){0}), F_OK), -1);
}

static void a_list_runs_in_order_and_an_empty_one_does_nothing(void **state)
{
	struct fixture *f = *state;
	struct mp_action_list list = {.refs = {{.name = "stack"}, {.name = "log"}}, .n = 2};

	mp_actions_run(f->actions, NULL, &f->decision, &f->cause, false);
	assert_int_equal(f->n, 0);
	mp_actions_run(f->actions, &list, &f->decision, &f->cause, false);
	assert_int_equal(f->n, 2);
	assert_string_equal(f->results[0].action, "stack");
	assert_string_equal(f->results[1].action, "log");
}

static void an_unknown_action_is_not_silent(void **state)
{
	struct fixture *f = *state;
	struct mp_policy policy = {0};
	struct mp_error err;

	run(f, "shrink", NULL, false);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);

	policy.on[MP_LEVEL_LOW][MP_SEVERITY_GC] =
		(struct mp_action_list){.refs = {{.name = "log"}, {.name = "shrink"}}, .n = 2};
	assert_int_equal(mp_actions_check(&policy, &err), -ENOTSUP);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_string_equal(err.text, "this build has no action 'shrink'");
}

/* --- stack --- */

static void frames_are_written_in_three_ways(void **state)
{
	static const struct {
		struct mp_place place;
		const char *text;
	} rows[] = {
		{{.addr = 0x7f001234}, "0x7f001234"},
		{{.addr = 0x7f001234, .path = "/usr/lib/libfoo.so", .offset = 0x1234},
		 "0x7f001234 (libfoo.so+0x1234)"},
		{{.addr = 0x7f001234,
		  .path = "/usr/lib/libfoo.so",
		  .offset = 0x1234,
		  .function = "foo(int)",
		  .function_offset = 0x1222},
		 "foo(int)+0x12 (libfoo.so)"},
		{{.addr = 1, .path = "bare", .offset = 0, .function = "f", .function_offset = 0},
		 "f+0x0 (bare)"},
		{{.addr = UINT64_MAX, .path = "/a/", .offset = UINT64_MAX},
		 "0xffffffffffffffff (+0xffffffffffffffff)"},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		MP_FREE char *text = mp_frame_format(&rows[i].place);

		assert_string_equal(text, rows[i].text);
	}
}

/* Two functions whose addresses are looked up below, with nothing in common for the linker to fold.
 */
int mp_test_first(int x);
int mp_test_first(int x)
{
	return x * 3 + 1;
}

static void stack_names_the_functions_of_a_live_process(void **state)
{
	struct fixture *f = *state;
	uint64_t at = (uint64_t)(uintptr_t)mp_test_first;
	const uint64_t stack[] = {at, at + 1, 8};

	f->cause.probe.pid = (uint32_t)getpid();
	f->cause.probe.stack = stack;
	f->cause.probe.n_stack = 3;
	run(f, "stack", NULL, false);
	run(f, "stack", NULL, false);
	assert_int_equal(f->n, 2);
	for (size_t i = 0; i < f->n; i++) {
		assert_int_equal(f->results[i].result, MP_RESULT_DONE);
		assert_int_equal(f->results[i].n_frames, 3);
		assert_string_equal(f->results[i].frames[0], "mp_test_first+0x0 (test_action)");
		assert_string_equal(f->results[i].frames[1], "mp_test_first+0x1 (test_action)");
		assert_string_equal(f->results[i].frames[2], "0x8");
		assert_string_equal(f->results[i].detail, "1 of 3 frames have no symbol");
	}
}

static void a_return_address_belongs_to_the_call_before_it(void **state)
{
	struct fixture *f = *state;
	uint64_t at = (uint64_t)(uintptr_t)mp_test_first;
	const uint64_t stack[] = {at + 1, at};

	f->cause.probe.pid = (uint32_t)getpid();
	f->cause.probe.phase = MP_PHASE_EXIT;
	f->cause.probe.stack = stack;
	f->cause.probe.n_stack = 2;
	run(f, "stack", NULL, false);
	assert_string_equal(f->results[0].frames[0], "mp_test_first+0x1 (test_action)");
	/* Right behind the function before: not this one's. */
	assert_null(strstr(f->results[0].frames[1], "mp_test_first"));
}

static pid_t gone_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void a_process_that_is_gone_leaves_its_addresses(void **state)
{
	struct fixture *f = *state;
	uint64_t stack[MP_STACK_DEPTH + 5];

	for (size_t i = 0; i < MP_ARRAY_SIZE(stack); i++)
		stack[i] = 0x1000 + i;
	f->cause.probe.pid = (uint32_t)gone_pid();
	f->cause.probe.stack = stack;
	f->cause.probe.n_stack = MP_ARRAY_SIZE(stack);
	run(f, "stack", NULL, false);
	assert_int_equal(f->results[0].result, MP_RESULT_DONE);
	assert_string_equal(f->results[0].detail, "the process is gone: addresses only");
	assert_int_equal(f->results[0].n_frames, MP_STACK_DEPTH);
	assert_string_equal(f->results[0].frames[0], "0x1000");
	assert_string_equal(f->results[0].frames[MP_STACK_DEPTH - 1], "0x102f");
}

static void no_stack_is_skipped(void **state)
{
	struct fixture *f = *state;

	run(f, "stack", NULL, false);
	assert_int_equal(f->results[0].result, MP_RESULT_SKIPPED);
	assert_string_equal(f->results[0].detail, "no stack was captured for this event");
	assert_int_equal(f->results[0].n_frames, 0);
}

/* --- which hooks may run --- */

static void who_may_change_a_hook_is_judged_by_its_attributes(void **state)
{
	static const struct {
		uid_t uid;
		mode_t mode;
		const char *weakness;
	} rows[] = {
		{0, S_IFREG | 0755, NULL},
		{0, S_IFREG | 0700, NULL},
		{0, S_IFDIR | 0755, NULL},
		{1000, S_IFREG | 0700, "does not belong to root"},
		{0, S_IFREG | 0775, "can be written by its group"},
		{0, S_IFREG | 0757, "can be written by everyone"},
		{0, S_IFDIR | 01777, "can be written by everyone"},
		{0, S_IFDIR | 01775, "can be written by its group"},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct stat st = {.st_uid = rows[i].uid, .st_mode = rows[i].mode};
		const char *weakness = mp_hook_weakness(&st);

		if (rows[i].weakness)
			assert_string_equal(weakness, rows[i].weakness);
		else
			assert_null(weakness);
	}
}

static void expect_refused(const char *path, bool as_root, int errnum, const char *text)
{
	struct mp_error err = {0};

	assert_int_equal(mp_hook_check_path(path, as_root, &err), -errnum);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_string_equal(err.text, text);
}

static void a_hook_is_an_absolute_executable_file(void **state)
{
	const struct fixture *f = *state;
	MP_FREE char *plain = write_file(f, "plain", 0600, "#!/bin/sh\n");
	MP_FREE char *good = write_file(f, "good", 0700, "#!/bin/sh\n");
	MP_FREE char *text = NULL;
	char longer[PATH_MAX + 1];
	struct mp_error err;

	expect_refused("", false, EINVAL, "hook: is not an absolute path: it must start with /");
	expect_refused("bin/true", false, EINVAL,
		       "hook:bin/true is not an absolute path: it must start with /");
	expect_refused("/", false, EINVAL, "hook:/ is not a regular file");
	expect_refused("/dev/null", false, EINVAL, "hook:/dev/null is not a regular file");
	expect_refused("/no/such\n\033[31mhook", false, ENOENT,
		       "hook:/no/such\\n\\e[31mhook: No such file or directory");
	assert_true(asprintf(&text, "hook:%s cannot be executed: Permission denied (chmod +x?)",
			     plain) > 0);
	expect_refused(plain, false, EACCES, text);
	memset(longer, '/', PATH_MAX);
	longer[PATH_MAX] = '\0';
	assert_int_equal(mp_hook_check_path(longer, true, &err), -ENAMETOOLONG);
	assert_int_equal(mp_hook_check_path(longer + 1, true, &err), -EINVAL);
	assert_int_equal(mp_hook_check_path(good, false, &err), 0);
}

static void for_root_every_part_of_the_path_counts(void **state)
{
	char dir[] = "/tmp/mp_action_XXXXXX";
	char link[64];
	struct mp_error err;
	struct stat st;

	(void)state;
	if (lstat("/tmp", &st) < 0 || !S_ISDIR(st.st_mode) || !(st.st_mode & S_IWOTH)) {
		print_message("skipped: /tmp is not a folder that everyone can write\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("/usr/bin/env", link), 0);
	assert_int_equal(mp_hook_check_path(link, true, &err), -EPERM);
	assert_non_null(strstr(err.text, ": /tmp can be written by everyone: "));
	assert_int_equal(mp_hook_check_path(link, false, &err), 0);
	assert_int_equal(mp_hook_check_path("/usr/bin/env", true, &err), 0);
	assert_int_equal(mp_hook_check_path("//usr//./bin/../bin/env", true, &err), 0);
	assert_int_equal(mp_hook_check_path("/usr/bin/mp no such", true, &err), -ENOENT);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void for_root_links_are_refused(void **state)
{
	const struct fixture *f = *state;
	MP_FREE char *target = NULL;
	MP_FREE char *text = NULL;
	char link[128];
	struct mp_error err;

	if (geteuid() != 0) {
		print_message("skipped: needs root, to have a link that only root can change\n");
		skip();
	}
	target = write_file(f, "target", 0700, "#!/bin/sh\n");
	assert_int_equal(symlink(target, path_in(f, "link", link)), 0);
	assert_true(asprintf(&text, "hook:%s: %s is a symbolic link: name the real path, hook:%s",
			     link, link, target) > 0);
	expect_refused(link, true, ELOOP, text);
	assert_int_equal(mp_hook_check_path(target, true, &err), 0);
	assert_int_equal(chmod(f->dir, 0770), 0);
	assert_int_equal(mp_hook_check_path(target, true, &err), -EPERM);
	assert_non_null(strstr(err.text, " can be written by its group: "));
	assert_int_equal(chown(f->dir, 65534, 0), 0);
	assert_int_equal(mp_hook_check_path(target, true, &err), -EPERM);
	assert_non_null(strstr(err.text, " does not belong to root: "));
}

static void a_policy_with_a_bad_hook_is_refused(void **state)
{
	const struct fixture *f = *state;
	MP_FREE char *good = write_file(f, "good", 0700, "#!/bin/sh\n");
	struct mp_policy policy = {0};
	struct mp_error err;

	policy.on[MP_LEVEL_CRITICAL][MP_SEVERITY_CRITICAL] = (struct mp_action_list){
		.refs = {{.name = "log"}, {.name = "hook", .arg = good}}, .n = 2};
	assert_int_equal(mp_actions_check(&policy, &err), 0);
	policy.on[MP_LEVEL_LOW][MP_SEVERITY_WARNING] =
		(struct mp_action_list){.refs = {{.name = "hook", .arg = "relative"}}, .n = 1};
	assert_int_equal(mp_actions_check(&policy, &err), -EINVAL);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	policy.on[MP_LEVEL_LOW][MP_SEVERITY_WARNING].refs[0].arg = NULL;
	assert_int_equal(mp_actions_check(&policy, &err), -EINVAL);
	assert_string_equal(err.text, "hook needs a path: hook:/PATH");
}

/* --- hooks with real processes --- */

static void a_hook_reports_when_it_has_ended(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700, "#!/bin/sh\nexit 0\n");
	MP_FREE char *name = NULL;

	assert_true(asprintf(&name, "hook:%s", path) > 0);
	run(f, "hook", path, false);
	assert_int_equal(f->n, 0);
	wait_for_results(f, 1);
	assert_string_equal(f->results[0].action, name);
	assert_int_equal(f->results[0].result, MP_RESULT_DONE);
	assert_string_equal(f->results[0].detail, "exit status 0");
	assert_string_equal(f->results[0].point, "load");
	assert_string_equal(f->results[0].cgroup, "/app");
	assert_int_equal(f->results[0].pid, 7);
	assert_true(f->results[0].duration_ns > 0 && f->results[0].duration_ns < MP_UNKNOWN);
	assert_int_equal(f->results[0].realtime_ns - 5000000, f->results[0].ts_ns - 1000);
}

static void a_hook_gets_the_documented_environment_and_no_more(void **state)
{
	struct fixture *f = *state;

	f->decision.point = "load\n\033[31m\xff";
	f->decision.cgroup = NULL;
	f->decision.limit = MP_UNKNOWN;
	f->cause.probe.comm = "a b\\";
	setenv("MEMPROBE_SECRET", "x", 1);
	run_script(f, "#!/bin/sh\n"
		      "/usr/bin/env -u PWD -u _ -u OLDPWD -u SHLVL | sort >\"${0%/*}/env\"\n");
	unsetenv("MEMPROBE_SECRET");
	expect_file(f, "env",
		    "LANG=C\n"
		    "MEMPROBE_CGROUP=\n"
		    "MEMPROBE_COMM=a b\\\\\n"
		    "MEMPROBE_LEVEL=high\n"
		    "MEMPROBE_LIMIT=\n"
		    "MEMPROBE_PID=7\n"
		    "MEMPROBE_POINT=load\\n\\e[31m\\xff\n"
		    "MEMPROBE_PREVIOUS=gc\n"
		    "MEMPROBE_REASON=working set 91.0 % of the limit, above critical (90 %)\n"
		    "MEMPROBE_RSS=123456\n"
		    "MEMPROBE_SEVERITY=critical\n"
		    "MEMPROBE_USAGE_PCT=91.0\n"
		    "MEMPROBE_WORKING_SET=910\n"
		    "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
}

static void pressure_has_no_point_and_perhaps_no_process(void **state)
{
	struct fixture *f = *state;

	/* Bytes of a probe event that a pressure event must not be taken for. */
	f->cause.type = MP_EVENT_PRESSURE;
	f->cause.pressure = (struct mp_event_pressure){.comm = "filler", .usage = MP_UNKNOWN};
	f->decision.point = NULL;
	f->decision.pid = 0;
	run(f, "stack", NULL, false);
	assert_int_equal(f->results[0].result, MP_RESULT_SKIPPED);
	drop_results(f);
	run_script(f, "#!/bin/sh\n"
		      "echo \"$MEMPROBE_COMM,$MEMPROBE_RSS,$MEMPROBE_POINT,$MEMPROBE_PID\" "
		      ">\"${0%/*}/env\"\n");
	expect_file(f, "env", "filler,,,0\n");
	assert_null(f->results[0].point);
}

static void a_hook_starts_from_a_clean_slate(void **state)
{
	struct fixture *f = *state;
	int leak = fcntl(STDERR_FILENO, F_DUPFD, 77); /* without O_CLOEXEC, as a library might */
	sigset_t usr1;

	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	/* Signals 32 and 33 are the C library's own: the 31 of the hook are in the last 8 digits.
	 */
	run_script(f, "#!/bin/sh\n"
		      "files=$(readlink /proc/$$/fd/0 /proc/$$/fd/1)\n"
		      "ids=$(cut -d' ' -f5,6 /proc/$$/stat)\n"
		      "exec >\"${0%/*}/seen\"\n"
		      "echo \"$files\"; pwd\n"
		      "[ \"$ids\" = \"$$ $$\" ] && echo leader\n"
		      "[ -e /proc/$$/fd/77 ] || echo closed\n"
		      "sed -n 's/^SigBlk:.*\\(.\\{8\\}\\)$/blocked \\1/p' /proc/self/status\n"
		      "ignored=$(sed -n 's/^SigIgn:.*\\(.\\{8\\}\\)$/\\1/p' /proc/self/status)\n"
		      "echo ignored $((0x$ignored & 0x7fffffff))\n");
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	signal(SIGUSR2, SIG_DFL);
	close(leak);
	expect_file(f, "seen",
		    "/dev/null\n/dev/null\n/\nleader\nclosed\nblocked 00000000\nignored 0\n");
}

static void what_a_hook_says_on_stderr_becomes_the_detail(void **state)
{
	const struct result *r =
		run_script(*state, "#!/bin/sh\necho unseen\necho 'cannot do it' >&2\nexit 3\n");

	assert_int_equal(r->result, MP_RESULT_FAILED);
	assert_string_equal(r->detail, "exit status 3: cannot do it");
}

static void only_the_first_bytes_of_stderr_are_kept(void **state)
{
	const struct result *r = run_script(*state, "#!/bin/sh\n"
						    "i=0; while [ $i -lt 5000 ]; do\n"
						    "echo 0123456789abcdef0123456789abcde >&2\n"
						    "i=$((i + 1)); done\n");

	assert_int_equal(r->result, MP_RESULT_DONE);
	assert_int_equal(strlen(r->detail), strlen("exit status 0: ") + MP_HOOK_STDERR_BYTES - 1);
}

static void a_nul_byte_ends_what_was_said(void **state)
{
	const struct result *r = run_script(*state, "#!/bin/sh\nprintf 'a\\0b' >&2\n");

	assert_string_equal(r->detail, "exit status 0: a");
}

static void a_signal_that_ends_a_hook_is_named(void **state)
{
	const struct result *r = run_script(*state, "#!/bin/sh\nkill -SEGV $$\n");

	assert_int_equal(r->result, MP_RESULT_FAILED);
	assert_string_equal(r->detail, "killed by SIGSEGV");
}

static void what_cannot_be_executed_fails_at_once(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *no_magic = write_file(f, "no_magic", 0700, "exit 0\n");
	MP_FREE char *no_shell = write_file(f, "no_shell", 0700, "#!/no/such/shell\n");

	run(f, "hook", no_magic, false);
	run(f, "hook", no_shell, false);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, "cannot be started: Exec format error");
	assert_int_equal(f->results[1].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[1].detail, "cannot be started: No such file or directory");
}

static void a_hook_is_checked_again_before_it_runs(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700, "#!/bin/sh\n>\"${0%/*}/ran\"\n");
	struct mp_error err;

	assert_int_equal(mp_hook_check_path(path, geteuid() == 0, &err), 0);
	assert_int_equal(chmod(path, 0600), 0);
	run(f, "hook", path, false);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_non_null(strstr(f->results[0].detail, "cannot be executed"));
	assert_int_equal(unlink(path), 0);
	run(f, "hook", path, false);
	assert_int_equal(f->results[1].result, MP_RESULT_FAILED);
	assert_non_null(strstr(f->results[1].detail, "No such file"));
	assert_int_equal(access(path_in(f, "ran", (char[128]){0}), F_OK), -1);
}

static void a_hook_that_takes_too_long_gets_sigterm(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700,
					"#!/bin/sh\n"
					"exec 3>&2 2>/dev/null\n"
					"trap 'echo tidying >&3; exit 0' TERM\n"
					">\"${0%/*}/ready\"\n"
					"while :; do sleep 0.01; done\n");

	run(f, "hook", path, false);
	wait_for_file(f, "ready");
	mp_actions_dispatch(f->actions, mp_clock_now_ns());
	assert_int_equal(f->n, 0);
	mp_actions_dispatch(f->actions, mp_clock_now_ns() + MP_HOOK_TIMEOUT_NS);
	wait_for_results(f, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, "timed out after 10 s: tidying");
}

static void a_hook_that_ignores_sigterm_is_killed_with_its_children(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700,
					"#!/bin/sh\n"
					"trap '' TERM\n"
					"sleep 1000 &\n"
					"echo $! >\"${0%/*}/child\"\n"
					">\"${0%/*}/ready\"\n"
					"wait\n");
	uint64_t late = mp_clock_now_ns() + MP_HOOK_TIMEOUT_NS + SEC;
	MP_FREE char *child = NULL;
	char name[128];

	run(f, "hook", path, false);
	wait_for_file(f, "ready");
	assert_int_equal(mp_read_file(path_in(f, "child", name), 64, &child, NULL), 0);
	mp_actions_dispatch(f->actions, late);
	assert_int_equal(f->n, 0);
	assert_int_equal(kill(atoi(child), 0), 0);
	mp_actions_dispatch(f->actions, late + MP_HOOK_GRACE_NS);
	wait_for_results(f, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, "timed out after 10 s");
	/* Whoever adopts it reaps it; until then it is a zombie, which runs nothing. */
	for (int i = 0; kill(atoi(child), 0) == 0; i++) {
		MP_FREE char *stat = NULL;

		snprintf(name, sizeof(name), "/proc/%d/stat", atoi(child));
		if (mp_read_file(name, 4096, &stat, NULL) < 0 || strstr(stat, ") Z "))
			break;
		assert_true(i < 6000);
		usleep(10000);
	}
}

static void at_most_eight_hooks_run_at_once(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700,
					"#!/bin/sh\n"
					"while [ ! -e \"${0%/*}/go\" ]; do sleep 0.01; done\n");

	for (int i = 0; i < MP_MAX_HOOKS; i++)
		run(f, "hook", path, false);
	assert_int_equal(f->n, 0);
	run(f, "hook", path, false);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_SKIPPED);
	assert_string_equal(f->results[0].detail, "8 hooks are running");

	free(write_file(f, "go", 0600, ""));
	wait_for_results(f, 1 + MP_MAX_HOOKS);
	for (size_t i = 1; i < f->n; i++)
		assert_string_equal(f->results[i].detail, "exit status 0");
	run(f, "hook", path, false);
	wait_for_results(f, 2 + MP_MAX_HOOKS);
	assert_int_equal(f->results[1 + MP_MAX_HOOKS].result, MP_RESULT_DONE);
}

static void a_job_left_behind_does_not_hold_up_the_hook(void **state)
{
	struct fixture *f = *state;
	const struct result *r = run_script(
		f, "#!/bin/sh\n"
		   "d=${0%/*}\n"
		   "(while [ -d \"$d\" ] && [ ! -e \"$d/go\" ]; do sleep 0.01; done) &\n");

	assert_int_equal(r->result, MP_RESULT_DONE);
	assert_string_equal(r->detail, "exit status 0");
	free(write_file(f, "go", 0600, ""));
}

static void the_end_waits_for_a_hook_that_is_nearly_done(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path = write_file(f, "hook.sh", 0700, "#!/bin/sh\nexit 4\n");

	run(f, "hook", path, false);
	mp_actions_free(f->actions);
	f->actions = NULL;
	assert_int_equal(f->n, 1);
	assert_string_equal(f->results[0].detail, "exit status 4");
}

static void the_end_does_not_wait_for_ever(void **state)
{
	struct fixture *f = *state;
	MP_FREE char *path =
		write_file(f, "hook.sh", 0700, "#!/bin/sh\ntrap '' TERM INT\nsleep 1000\n");

	run(f, "hook", path, false);
	mp_actions_free(f->actions);
	f->actions = NULL;
	assert_int_equal(f->n, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, "stopped with the monitor");
}

static void use_journal(struct fixture *f, struct mp_undo *undo)
{
	mp_actions_free(f->actions);
	f->actions =
		mp_actions_new(&(struct mp_actions_options){.emit = keep, .data = f, .undo = undo});
	assert_non_null(f->actions);
}

/* What the guardian would do when the monitor is killed. */
static void a_hook_does_not_outlive_a_monitor_that_is_killed(void **state)
{
	struct fixture *f = *state;
	struct mp_undo *undo = mp_undo_new();
	MP_FREE char *path = write_file(f, "hook.sh", 0700,
					"#!/bin/sh\n"
					">\"${0%/*}/ready\"\n"
					"sleep 1000\n");

	use_journal(f, undo);
	run(f, "hook", path, false);
	wait_for_file(f, "ready");
	assert_int_equal(mp_undo_run_all(undo), 1);
	wait_for_results(f, 1);
	assert_string_equal(f->results[0].detail, "killed by SIGTERM");
	assert_int_equal(mp_undo_run_all(undo), 0);
	mp_actions_free(f->actions);
	f->actions = NULL;
	mp_undo_free(undo);
}

static void a_hook_that_has_ended_is_not_in_the_journal(void **state)
{
	struct fixture *f = *state;
	struct mp_undo *undo = mp_undo_new();

	use_journal(f, undo);
	run_script(f, "#!/bin/sh\nexit 0\n");
	assert_int_equal(mp_undo_run_all(undo), 0);
	mp_actions_free(f->actions);
	f->actions = NULL;
	mp_undo_free(undo);
}

static void a_hook_without_room_in_the_journal_does_not_run(void **state)
{
	struct fixture *f = *state;
	const struct mp_undo_what what = {.kind = MP_UNDO_UNLINK, .path = "/no/such/file"};
	MP_FREE char *path = write_file(f, "hook.sh", 0700, "#!/bin/sh\nsleep 1000\n");
	struct mp_undo *undo = mp_undo_new();

	for (size_t i = 0; i < MP_UNDO_SLOTS; i++)
		assert_true(mp_undo_arm(undo, &what) >= 0);
	use_journal(f, undo);
	run(f, "hook", path, false);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->results[0].result, MP_RESULT_FAILED);
	assert_string_equal(f->results[0].detail, "cannot be started: No space left on device");
	mp_actions_free(f->actions);
	f->actions = NULL;
	mp_undo_free(undo);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_the_table),
		cmocka_unit_test(actions_are_found_in_a_policy),
		TEST(work_without_workers_fails),
		TEST(log_tells_the_reason),
		TEST(a_replay_only_says_what_it_would_do),
		TEST(a_list_runs_in_order_and_an_empty_one_does_nothing),
		TEST(an_unknown_action_is_not_silent),
		cmocka_unit_test(frames_are_written_in_three_ways),
		TEST(stack_names_the_functions_of_a_live_process),
		TEST(a_return_address_belongs_to_the_call_before_it),
		TEST(a_process_that_is_gone_leaves_its_addresses),
		TEST(no_stack_is_skipped),
		cmocka_unit_test(who_may_change_a_hook_is_judged_by_its_attributes),
		TEST(a_hook_is_an_absolute_executable_file),
		TEST(for_root_every_part_of_the_path_counts),
		TEST(for_root_links_are_refused),
		TEST(a_policy_with_a_bad_hook_is_refused),
		TEST(a_hook_reports_when_it_has_ended),
		TEST(a_hook_gets_the_documented_environment_and_no_more),
		TEST(pressure_has_no_point_and_perhaps_no_process),
		TEST(a_hook_starts_from_a_clean_slate),
		TEST(what_a_hook_says_on_stderr_becomes_the_detail),
		TEST(only_the_first_bytes_of_stderr_are_kept),
		TEST(a_nul_byte_ends_what_was_said),
		TEST(a_signal_that_ends_a_hook_is_named),
		TEST(what_cannot_be_executed_fails_at_once),
		TEST(a_hook_is_checked_again_before_it_runs),
		TEST(a_hook_that_takes_too_long_gets_sigterm),
		TEST(a_hook_that_ignores_sigterm_is_killed_with_its_children),
		TEST(at_most_eight_hooks_run_at_once),
		TEST(a_job_left_behind_does_not_hold_up_the_hook),
		TEST(the_end_waits_for_a_hook_that_is_nearly_done),
		TEST(the_end_does_not_wait_for_ever),
		TEST(a_hook_does_not_outlive_a_monitor_that_is_killed),
		TEST(a_hook_that_has_ended_is_not_in_the_journal),
		TEST(a_hook_without_room_in_the_journal_does_not_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
