// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "action/safety.h"
#include "tree.h"

#define SELF 4000
#define GUARDIAN 4001

static struct mp_suspect harmless(void)
{
	return (struct mp_suspect){
		.pid = 77, .start_time = 5, .comm = "worker", .cgroup = (char *)"/app/one"};
}

static const char *objection(const struct mp_policy *policy, const struct mp_suspect *suspect)
{
	return mp_safety_objection(policy, suspect, SELF, GUARDIAN);
}

static void an_ordinary_process_may_be_touched(void **state)
{
	const struct mp_policy policy = {0};
	struct mp_suspect suspect = harmless();

	(void)state;
	assert_null(objection(&policy, &suspect));
	suspect.oom_score_adj = -999;
	assert_null(objection(&policy, &suspect));
	suspect.cgroup = NULL;
	assert_null(objection(&policy, &suspect));
}

static void some_are_never_touched(void **state)
{
	const struct mp_policy policy = {0};
	const struct {
		struct mp_suspect suspect;
		const char *why;
	} rows[] = {
		{{.pid = 0}, "it is no process"},
		{{.pid = -5}, "it is no process"},
		{{.pid = 1}, "it is pid 1"},
		{{.pid = SELF}, "it is the monitor itself"},
		{{.pid = GUARDIAN}, "it is the guardian of the monitor"},
		{{.pid = 77, .is_kernel_thread = true}, "it is a kernel thread"},
		{{.pid = 77, .is_dead = true}, "it has ended already"},
		{{.pid = 77, .oom_score_adj = -1000}, "its oom_score_adj is -1000"},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++)
		assert_string_equal(objection(&policy, &rows[i].suspect), rows[i].why);
}

/* A name is compared whole, as the kernel keeps it, whatever bytes are in it. */
static void names_are_protected(void **state)
{
	char *names[] = {(char *)"sshd", (char *)"systemd-journald", (char *)"a\n\033[31m) R",
			 (char *)"sch\xf6n"};
	const struct mp_policy policy = {.protect_comm = names, .n_protect_comm = 4};
	const struct {
		const char *comm;
		bool is_protected;
	} rows[] = {
		{"sshd", true},
		{"sshd2", false},
		{"ssh", false},
		{"", false},
		{"SSHD", false},
		{"systemd-journal", true}, /* 15 bytes of it */
		{"systemd-journa", false},
		{"a\n\033[31m) R", true},
		{"a", false},
		{"sch\xf6n", true},
		{"sch\xc3\xb6n", false},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct mp_suspect suspect = harmless();
		const char *why;

		memset(suspect.comm, 0, sizeof(suspect.comm));
		memcpy(suspect.comm, rows[i].comm, strlen(rows[i].comm));
		why = objection(&policy, &suspect);
		if (rows[i].is_protected)
			assert_string_equal(why, "its name is protected by the policy");
		else
			assert_null(why);
	}
}

static void groups_are_protected_with_all_below(void **state)
{
	char *groups[] = {(char *)"/system", (char *)"user/me/"};
	const struct mp_policy policy = {.protect_cgroup = groups, .n_protect_cgroup = 2};
	const struct {
		const char *cgroup;
		bool is_protected;
	} rows[] = {
		{"/system", true},	{"/system/a/b", true}, {"/systems", false},
		{"/", false},		{"/sys", false},       {"/a/system", false},
		{"/user/me", true},	{"/user/me/x", true},  {"/user", false},
		{"/user/men/x", false},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		struct mp_suspect suspect = harmless();
		const char *why;

		suspect.cgroup = (char *)rows[i].cgroup;
		why = objection(&policy, &suspect);
		if (rows[i].is_protected)
			assert_string_equal(why, "its cgroup is protected by the policy");
		else
			assert_null(why);
	}
}

static void the_root_group_protects_everything(void **state)
{
	char *groups[] = {(char *)"/"};
	const struct mp_policy policy = {.protect_cgroup = groups, .n_protect_cgroup = 1};
	struct mp_suspect suspect = harmless();

	(void)state;
	assert_string_equal(objection(&policy, &suspect), "its cgroup is protected by the policy");
	suspect.cgroup = NULL;
	assert_string_equal(objection(&policy, &suspect),
			    "its cgroup is not known, and the policy protects some");
}

/* --- reading ------------------------------------------------------------------ */

struct proc {
	struct tree tree;
	struct mp_cgroups cg;
};

static int setup(void **state)
{
	struct proc *p = calloc(1, sizeof(*p));

	tree_make(&p->tree);
	p->cg.fs.root = p->tree.root;
	p->cg.mode = MP_CGROUP_V2;
	strcpy(p->cg.memory_mount, "/cg");
	strcpy(p->cg.memory_root, "/");
	tree_write(&p->tree, "/cg/app/memory.current", "1\n");
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct proc *p = *state;

	tree_remove(&p->tree);
	free(p);
	return 0;
}

/* Flags 0x200000: a kernel thread. */
static void write_process(const struct proc *p, const char *comm, char run_state, unsigned flags,
			  unsigned threads)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "42 (%s) %c 1 42 42 0 -1 %u 1 2 3 4 5 6 7 8 20 0 %u 0 98765 1 2\n", comm,
		 run_state, flags, threads);
	tree_write(&p->tree, "/proc/42/stat", text);
	snprintf(text, sizeof(text), "Name:\tx\nTgid:\t42\nThreads:\t%u\n", threads);
	tree_write(&p->tree, "/proc/42/status", text);
	tree_write(&p->tree, "/proc/42/oom_score_adj", "-998\n");
	tree_write(&p->tree, "/proc/42/cgroup", "0::/app\n");
}

static void a_suspect_is_read(void **state)
{
	const struct proc *p = *state;
	struct mp_suspect suspect;

	write_process(p, "evil) R 1 (x", 'S', 0x400040, 3);
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), 0);
	assert_int_equal(suspect.pid, 42);
	assert_int_equal(suspect.start_time, 98765);
	assert_string_equal(suspect.comm, "evil) R 1 (x");
	assert_false(suspect.is_kernel_thread);
	assert_false(suspect.is_dead);
	assert_int_equal(suspect.oom_score_adj, -998);
	assert_string_equal(suspect.cgroup, "/app");
	mp_suspect_free(&suspect);
}

static void a_zombie_main_thread_is_not_the_end_of_its_process(void **state)
{
	const struct proc *p = *state;
	struct mp_suspect suspect;

	write_process(p, "x", 'Z', 0, 2);
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), 0);
	assert_false(suspect.is_dead);
	mp_suspect_free(&suspect);
	write_process(p, "x", 'Z', 0, 1);
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), 0);
	assert_true(suspect.is_dead);
	mp_suspect_free(&suspect);
}

static void a_kernel_thread_is_known(void **state)
{
	const struct proc *p = *state;
	struct mp_suspect suspect;

	write_process(p, "kworker/0:1", 'I', 0x200040, 1);
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), 0);
	assert_true(suspect.is_kernel_thread);
	mp_suspect_free(&suspect);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	const struct proc *p = *state;
	struct mp_suspect suspect;

	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), -ESRCH);
	write_process(p, "x", 'S', 0, 1);
	tree_write(&p->tree, "/proc/42/oom_score_adj", "none\n");
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), -EBADMSG);
	tree_write(&p->tree, "/proc/42/oom_score_adj", "99999999999\n");
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), -EBADMSG);
	tree_write(&p->tree, "/proc/42/oom_score_adj", "0\n");
	/* It may have no memory cgroup. */
	tree_write(&p->tree, "/proc/42/cgroup", "3:cpu:/x\n");
	assert_int_equal(mp_suspect_read(&p->cg, 42, &suspect), 0);
	assert_null(suspect.cgroup);
	mp_suspect_free(&suspect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ordinary_process_may_be_touched),
		cmocka_unit_test(some_are_never_touched),
		cmocka_unit_test(names_are_protected),
		cmocka_unit_test(groups_are_protected_with_all_below),
		cmocka_unit_test(the_root_group_protects_everything),
		cmocka_unit_test_setup_teardown(a_suspect_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_zombie_main_thread_is_not_the_end_of_its_process,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_kernel_thread_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
