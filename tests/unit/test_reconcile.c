// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel side has and has missed is the test's script; /proc is a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/private.h"
#include "tree.h"

#define MAX 16

static struct kernel_side {
	uint64_t missed;
	uint64_t lost;
	pid_t targets[MAX];
	size_t n;
	char told[256];
	int all_dirty;
	const struct scene *ends_when_added;
} k;

struct scene {
	struct tree tree;
	struct mp_monitor_options o;
	struct mp_target_spec target;
	struct mp_monitor m;
};

static void add_process_with(const struct scene *s, pid_t pid, const char *comm, pid_t parent,
			     uint64_t start_time, unsigned int flags)
{
	char path[64];
	char text[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	snprintf(text, sizeof(text), "%d (%s) S %d 7 7 0 -1 %u 1 0 0 0 1 1 0 0 20 0 1 0 %llu\n",
		 (int)pid, comm, (int)parent, flags, (unsigned long long)start_time);
	tree_write(&s->tree, path, text);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	snprintf(text, sizeof(text), "Tgid:\t%d\n", (int)pid);
	tree_write(&s->tree, path, text);
}

static void add_process(const struct scene *s, pid_t pid, const char *comm, pid_t parent,
			uint64_t start_time)
{
	add_process_with(s, pid, comm, parent, start_time, 4194304);
}

uint64_t __wrap_mp_bpf_missed_processes(const struct mp_bpf *bpf);
uint64_t __wrap_mp_bpf_lost_processes(const struct mp_bpf *bpf);
bool __wrap_mp_bpf_is_target(const struct mp_bpf *bpf, pid_t pid);
int __wrap_mp_bpf_add_target(struct mp_bpf *bpf, pid_t pid, bool follow);
void __wrap_mp_bpf_remove_target(struct mp_bpf *bpf, pid_t pid);
int __wrap_mp_bpf_for_each_target(const struct mp_bpf *bpf, int (*fn)(void *data, pid_t pid),
				  void *data);
void __wrap_mp_monitor_take_process(struct mp_monitor *m, struct mp_event *event);
void __wrap_mp_monitor_mark_dirty(struct mp_monitor *m, pid_t pid);

uint64_t __wrap_mp_bpf_missed_processes(const struct mp_bpf *bpf)
{
	(void)bpf;
	return k.missed;
}

uint64_t __wrap_mp_bpf_lost_processes(const struct mp_bpf *bpf)
{
	(void)bpf;
	return k.lost;
}

bool __wrap_mp_bpf_is_target(const struct mp_bpf *bpf, pid_t pid)
{
	(void)bpf;
	for (size_t i = 0; i < k.n; i++) {
		if (k.targets[i] == pid)
			return true;
	}
	return false;
}

int __wrap_mp_bpf_add_target(struct mp_bpf *bpf, pid_t pid, bool follow)
{
	(void)follow;
	if (__wrap_mp_bpf_is_target(bpf, pid))
		return 0;
	assert_in_range(k.n, 0, MAX - 1);
	k.targets[k.n++] = pid;
	if (k.ends_when_added)
		add_process_with(k.ends_when_added, pid, "child", 5000007, 200, 4194304 | 4);
	return 1;
}

void __wrap_mp_bpf_remove_target(struct mp_bpf *bpf, pid_t pid)
{
	(void)bpf;
	for (size_t i = 0; i < k.n; i++) {
		if (k.targets[i] == pid)
			k.targets[i] = k.targets[--k.n];
	}
}

int __wrap_mp_bpf_for_each_target(const struct mp_bpf *bpf, int (*fn)(void *data, pid_t pid),
				  void *data)
{
	int stop = 0;

	(void)bpf;
	for (size_t i = 0; i < k.n && !stop; i++)
		stop = fn(data, k.targets[i]);
	return stop;
}

/* Told in words: "fork 42 by 7; ". */
void __wrap_mp_monitor_take_process(struct mp_monitor *m, struct mp_event *event)
{
	const struct mp_event_process *e = &event->process;
	size_t len = strlen(k.told);

	(void)m;
	assert_int_equal(event->type, MP_EVENT_PROCESS);
	assert_int_equal(e->exit_code, MP_EXIT_STATUS_UNKNOWN);
	snprintf(k.told + len, sizeof(k.told) - len, "%s %u %s by %u; ", mp_process_op_name(e->op),
		 e->pid, e->comm ? e->comm : "-", e->parent);
}

void __wrap_mp_monitor_mark_dirty(struct mp_monitor *m, pid_t pid)
{
	(void)m;
	assert_int_equal(pid, 0);
	k.all_dirty++;
}

/* 5000007 is the target, from before the watch began, which was at tick 100. */
static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	k = (struct kernel_side){.targets = {5000007}, .n = 1};
	tree_make(&s->tree);
	s->target = (struct mp_target_spec){.kind = MP_TARGET_PID, .pid = 5000007};
	s->o = (struct mp_monitor_options){.targets = &s->target, .n_targets = 1, .follow = true};
	s->m = (struct mp_monitor){.o = &s->o, .fs = {s->tree.root}, .followed_since = 100};
	s->m.cgroups = (struct mp_cgroups){.mode = MP_CGROUP_V1, .memory_mount = "/m"};
	s->m.cgroups.fs.root = s->tree.root;
	s->m.features.process_tracking = true;
	add_process(s, 5000007, "app", 1, 50);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	tree_remove(&s->tree);
	free(s);
	return 0;
}

static void test_nothing_missed_nothing_looked_at(void **state)
{
	struct scene *s = *state;

	add_process(s, 5000008, "child", 5000007, 200);
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "");
	assert_int_equal(k.all_dirty, 0);
	/* Once for each time that something was missed. */
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	mp_monitor_reconcile(&s->m);
	assert_int_equal(k.all_dirty, 1);
	k.lost = 1;
	mp_monitor_reconcile(&s->m);
	assert_int_equal(k.all_dirty, 2);
	assert_string_equal(k.told, "fork 5000008 child by 5000007; ");
}

/* Pids are given anew from the start: a grandchild can have a lower one than its parent. */
static void test_generations(void **state)
{
	struct scene *s = *state;

	add_process(s, 5000003, "c", 5000004, 203);
	add_process(s, 5000004, "b", 5000009, 202);
	add_process(s, 5000009, "a", 5000007, 201);
	add_process(s, 5000010, "other", 1, 201);
	k.missed = 3;
	mp_monitor_reconcile(&s->m);
	assert_true(strstr(k.told, "fork 5000009 a by 5000007; "));
	assert_true(strstr(k.told, "fork 5000004 b by 5000009; "));
	assert_true(strstr(k.told, "fork 5000003 c by 5000004; "));
	assert_int_equal(k.n, 4);
}

static void test_children_from_before_are_left_alone(void **state)
{
	struct scene *s = *state;

	add_process(s, 5000008, "old", 5000007, 99);
	add_process(s, 5000009, "new", 5000007, 100);
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "fork 5000009 new by 5000007; ");
}

/* Seen alive, and ending by the time that it is a target: the kernel side has told of that. */
static void test_child_that_ends_meanwhile(void **state)
{
	struct scene *s = *state;

	add_process(s, 5000008, "child", 5000007, 200);
	k.ends_when_added = s;
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "");
	assert_int_equal(k.n, 1);
}

static void test_children_are_not_followed_unasked(void **state)
{
	struct scene *s = *state;

	s->o.follow = false;
	add_process(s, 5000008, "child", 5000007, 200);
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "");
}

static void test_a_match_that_was_missed(void **state)
{
	struct scene *s = *state;
	char name[] = "worker";

	s->target = (struct mp_target_spec){.kind = MP_TARGET_COMM, .text = name};
	s->o.follow = false;
	add_process(s, 5000008, "worker", 1, 200);
	add_process(s, 5000009, "workers", 1, 200);
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "exec 5000008 worker by 0; ");
}

static void test_ends_that_were_missed(void **state)
{
	struct scene *s = *state;

	k.targets[k.n++] = 5000008;
	k.targets[k.n++] = 5000009;
	k.missed = 1;
	mp_monitor_reconcile(&s->m);
	assert_string_equal(k.told, "exit 5000008 - by 0; exit 5000009 - by 0; ");
	assert_int_equal(k.n, 1);
	/* One whose end a pidfd told. */
	k.told[0] = '\0';
	mp_monitor_forget_ended(&s->m, 5000007);
	assert_string_equal(k.told, "exit 5000007 - by 0; ");
	mp_monitor_forget_ended(&s->m, 5000007);
	assert_string_equal(k.told, "exit 5000007 - by 0; ");
}

/* Where the kernel side cannot follow processes no ends are told at all. */
static void test_ends_without_tracking(void **state)
{
	struct scene *s = *state;

	s->m.features.process_tracking = false;
	mp_monitor_forget_ended(&s->m, 5000007);
	assert_string_equal(k.told, "");
	assert_int_equal(k.n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_missed_nothing_looked_at),
		TEST(test_generations),
		TEST(test_children_from_before_are_left_alone),
		TEST(test_child_that_ends_meanwhile),
		TEST(test_children_are_not_followed_unasked),
		TEST(test_a_match_that_was_missed),
		TEST(test_ends_that_were_missed),
		TEST(test_ends_without_tracking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
