// SPDX-License-Identifier: GPL-2.0-only
/* What groups are told, and what they have counted, on trees as v1, v2 and a hybrid have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "cgroup/control.h"
#include "cgroup/private.h"
#include "tree.h"

static struct tree tree;

static int make_tree(void **state)
{
	(void)state;
	tree_make(&tree);
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	tree_remove(&tree);
	return 0;
}

static struct mp_cgroups groups(enum mp_cgroup_mode mode)
{
	struct mp_cgroups cg = {.fs = {tree.root},
				.mode = mode,
				.memory_mount = "/cg",
				.memory_root = "/",
				.unified_mount = "/cg"};

	if (mode != MP_CGROUP_V2)
		strcpy(cg.memory_mount, "/cg/memory");
	if (mode == MP_CGROUP_HYBRID)
		strcpy(cg.unified_mount, "/cg/unified");
	else if (mode == MP_CGROUP_V1)
		cg.unified_mount[0] = '\0';
	return cg;
}

static void check_file(const char *path, const char *expected)
{
	MP_FREE char *text = NULL;

	assert_int_equal(
		mp_read_file_at(&(struct mp_fsroot){tree.root}, 4096, &text, NULL, "%s", path), 0);
	assert_string_equal(text, expected);
}

static void check_path(const char *whole, const char *below)
{
	assert_memory_equal(whole, tree.root, strlen(tree.root));
	assert_string_equal(whole + strlen(tree.root), below);
}

/* --- memory.high and memory.reclaim --------------------------------------------- */

static void test_high(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V2);
	struct mp_cgroup_knob knob = {.set = "untouched"};

	(void)state;
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 1, &knob), -ENOENT);
	tree_write(&tree, "/cg/app/memory.current", "5\n");
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 1, &knob), -EOPNOTSUPP);
	tree_write(&tree, "/cg/app/memory.high", "12x\n");
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 1, &knob), -EBADMSG);
	assert_string_equal(knob.set, "untouched");
	tree_write(&tree, "/cg/app/memory.high", "max\n");
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 104857600, &knob), 0);
	assert_string_equal(knob.set, "104857600");
	assert_string_equal(knob.restore, "max");
	check_path(knob.path, "/cg/app/memory.high");
	tree_write(&tree, "/cg/app/memory.high", "18446744073709551614\n");
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 0, &knob), 0);
	assert_string_equal(knob.set, "0");
	assert_string_equal(knob.restore, "18446744073709551614");
	cg = groups(MP_CGROUP_V1);
	assert_int_equal(mp_cgroup_high_knob(&cg, "/app", 1, &knob), -EOPNOTSUPP);
}

static void test_write(void **state)
{
	char path[PATH_MAX];

	(void)state;
	tree_path(&tree, "/cg/knob", path);
	assert_int_equal(mp_cgroup_write(path, "1"), -ENOENT);
	tree_write(&tree, "/cg/knob", "");
	assert_int_equal(mp_cgroup_write(path, "THAWED"), 0);
	check_file("/cg/knob", "THAWED");
	assert_int_equal(mp_cgroup_write(tree.root, "1"), -EISDIR);
	assert_int_equal(mp_cgroup_write("/dev/full", "1"), -ENOSPC);
}

static void test_reclaim(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V2);

	(void)state;
	assert_int_equal(mp_cgroup_reclaim(&cg, "/app", 4096), -ENOENT);
	tree_write(&tree, "/cg/app/memory.current", "5\n");
	assert_int_equal(mp_cgroup_reclaim(&cg, "/app", 4096), -EOPNOTSUPP); /* before 5.19 */
	tree_write(&tree, "/cg/app/memory.reclaim", "");
	assert_int_equal(mp_cgroup_reclaim(&cg, "/app", 18446744073709551615ULL), 0);
	check_file("/cg/app/memory.reclaim", "18446744073709551615");
	cg = groups(MP_CGROUP_HYBRID);
	assert_int_equal(mp_cgroup_reclaim(&cg, "/app", 4096), -EOPNOTSUPP);
}

/* --- what was counted ----------------------------------------------------------- */

static void check_events(const struct mp_cgroups *cg, const char *path, uint64_t low, uint64_t high,
			 uint64_t max, uint64_t oom, uint64_t oom_kill)
{
	struct mp_cgroup_events e;

	assert_int_equal(mp_cgroup_read_events(cg, path, &e), 0);
	assert_int_equal(e.low, low);
	assert_int_equal(e.high, high);
	assert_int_equal(e.max, max);
	assert_int_equal(e.oom, oom);
	assert_int_equal(e.oom_kill, oom_kill);
}

static void test_events_v2(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V2);
	struct mp_cgroup_events e = {.low = 7};

	(void)state;
	assert_int_equal(mp_cgroup_read_events(&cg, "/app", &e), -ENOENT);
	tree_write(&tree, "/cg/app/memory.events",
		   "low 1\nhigh 22\nmax 333\noom 4\noom_kill 5\noom_group_kill 6\n");
	check_events(&cg, "/app", 1, 22, 333, 4, 5);
	tree_write(&tree, "/cg/app/memory.events", "max 18446744073709551615\nhigh 0\n");
	check_events(&cg, "/app", MP_UNKNOWN, 0, UINT64_MAX, MP_UNKNOWN, MP_UNKNOWN);
	tree_write(&tree, "/cg/app/memory.events", "");
	check_events(&cg, "/app", MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN);
	tree_write(&tree, "/cg/app/memory.events", "low 1\nmax 18446744073709551616\n");
	assert_int_equal(mp_cgroup_read_events(&cg, "/app", &e), -EBADMSG);
	tree_write(&tree, "/cg/app/memory.events", "low 1\nhigh -1\n");
	assert_int_equal(mp_cgroup_read_events(&cg, "/app", &e), -EBADMSG);
	assert_int_equal(e.low, 7);
	cg.mode = MP_CGROUP_NONE;
	assert_int_equal(mp_cgroup_read_events(&cg, "/app", &e), -ENOENT);
}

static void test_events_v1(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V1);
	struct mp_cgroup_events e;
	uint64_t kills = 9;

	(void)state;
	assert_int_equal(mp_cgroup_read_events(&cg, "/app", &e), -ENOENT);
	tree_write(&tree, "/cg/memory/app/memory.oom_control",
		   "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	check_events(&cg, "/app", MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, MP_UNKNOWN, 3);
	tree_write(&tree, "/cg/memory/app/memory.failcnt", "41\n");
	check_events(&cg, "/app", MP_UNKNOWN, MP_UNKNOWN, 41, MP_UNKNOWN, 3);
	assert_int_equal(mp_cgroup_oom_kills(&cg, "/app", &kills), 0);
	assert_int_equal(kills, 3);
	tree_write(&tree, "/cg/memory/app/memory.oom_control", "oom_kill_disable 0\n");
	assert_int_equal(mp_cgroup_oom_kills(&cg, "/app", &kills), -ENOENT);
	assert_int_equal(kills, 3);
}

/* --- PSI ------------------------------------------------------------------------- */

static void test_psi_path(void **state)
{
	struct mp_cgroups v1 = groups(MP_CGROUP_V1);
	struct mp_cgroups v2 = groups(MP_CGROUP_V2);
	struct mp_cgroups hybrid = groups(MP_CGROUP_HYBRID);
	char path[PATH_MAX];

	(void)state;
	tree_write(&tree, "/cg/app/memory.pressure", "");
	tree_write(&tree, "/cg/unified/app/memory.pressure", "");
	assert_int_equal(mp_cgroup_psi_path(&v1, "/app", path), -EOPNOTSUPP);
	assert_int_equal(mp_cgroup_psi_path(&v2, "/none", path), -EOPNOTSUPP);
	assert_int_equal(mp_cgroup_psi_path(&v2, "/app", path), 0);
	check_path(path, "/cg/app/memory.pressure");
	assert_int_equal(mp_cgroup_psi_path(&hybrid, "/app", path), 0);
	check_path(path, "/cg/unified/app/memory.pressure");
}

/* --- processes ------------------------------------------------------------------- */

static void test_pids(void **state)
{
	static const char *const bad[] = {"12\nx\n", "-1\n", "2147483648\n", "1 2\n"};
	MP_FREE pid_t *pids = NULL;
	MP_FREE pid_t *none = NULL;
	char folder[PATH_MAX];
	size_t n = 99;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/cg/app", tree.root);
	assert_int_equal(mp_cgroup_pids_in(folder, &pids, &n), -ENOENT);
	for (size_t i = 0; i < MP_ARRAY_SIZE(bad); i++) {
		tree_write(&tree, "/cg/app/cgroup.procs", bad[i]);
		assert_int_equal(mp_cgroup_pids_in(folder, &pids, &n), -EBADMSG);
	}
	assert_int_equal(n, 99);
	assert_null(pids);
	tree_write(&tree, "/cg/app/cgroup.procs", "1\n2147483647\n0");
	assert_int_equal(mp_cgroup_pids_in(folder, &pids, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(pids[0], 1);
	assert_int_equal(pids[1], 2147483647);
	assert_int_equal(pids[2], 0);
	tree_write(&tree, "/cg/app/cgroup.procs", "");
	assert_int_equal(mp_cgroup_pids_in(folder, &none, &n), 0);
	assert_int_equal(n, 0);
}

/* --- the freezer ------------------------------------------------------------------ */

struct judge {
	pid_t no; /* may not be frozen */
	size_t asked;
};

static bool may_freeze(void *data, pid_t pid)
{
	struct judge *judge = data;

	judge->asked++;
	return pid != judge->no;
}

static int freeze(const struct mp_cgroups *cg, pid_t pid, pid_t no, struct mp_cgroup_knob *ret,
		  size_t *ret_others)
{
	struct judge judge = {.no = no};

	return mp_cgroup_freeze_knob(cg, pid, may_freeze, &judge, ret, ret_others);
}

#define MOUNT_V2(point) "1 2 0:3 / " point " rw - cgroup2 c rw\n"
#define MOUNT_V1(point, what) "1 2 0:4 / " point " rw - cgroup c rw," what "\n"

static void make_v2_group(void)
{
	tree_write(&tree, "/proc/self/mountinfo", MOUNT_V2("/cg"));
	tree_write(&tree, "/proc/7/cgroup", "0::/app\n");
	tree_write(&tree, "/cg/app/cgroup.freeze", "0\n");
	tree_write(&tree, "/cg/app/cgroup.procs", "7\n8\n");
	tree_write(&tree, "/cg/app/below/cgroup.procs", "9\n");
	tree_write(&tree, "/cg/app/below/deeper/cgroup.procs", "10\n11\n");
	tree_write(&tree, "/cg/app/empty/cgroup.procs", "");
	tree_write(&tree, "/cg/application/cgroup.procs", "12\n");
}

static void test_freeze_v2(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V2);
	struct mp_cgroup_knob knob = {.set = "untouched"};
	size_t others = 99;

	(void)state;
	make_v2_group();
	for (pid_t no = 7; no <= 11; no++)
		assert_int_equal(freeze(&cg, 7, no, &knob, &others), -EBUSY);
	assert_string_equal(knob.set, "untouched");
	assert_int_equal(others, 99);
	assert_int_equal(freeze(&cg, 7, 12, &knob, &others), 0);
	assert_int_equal(others, 4);
	assert_string_equal(knob.set, "1");
	assert_string_equal(knob.restore, "0");
	check_path(knob.path, "/cg/app/cgroup.freeze");
	tree_write(&tree, "/cg/app/cgroup.events", "populated 1\nfrozen 0\n");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), 0);
	tree_write(&tree, "/cg/app/cgroup.events", "populated 1\nfrozen 1\n");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), 1);
	tree_write(&tree, "/cg/app/cgroup.events", "frozen one\n");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), -EBADMSG);
	strcpy(strstr(knob.path, "/app"), "/gone/cgroup.freeze");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), -ENOENT);
}

static void test_freeze_v2_refused(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V2);
	struct mp_cgroup_knob knob;
	size_t others;

	(void)state;
	make_v2_group();
	assert_int_equal(freeze(&cg, 6, 0, &knob, &others), -ESRCH);
	tree_write(&tree, "/cg/app/cgroup.freeze", "1\n"); /* somebody else's */
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), -EALREADY);
	tree_write(&tree, "/cg/app/cgroup.freeze", "0\n");
	tree_write(&tree, "/cg/app/below/cgroup.procs", "0\n"); /* not in this pid namespace */
	assert_int_equal(freeze(&cg, 7, -1, &knob, &others), -EBUSY);
	tree_write(&tree, "/cg/app/below/cgroup.procs", "x\n");
	assert_int_equal(freeze(&cg, 7, -1, &knob, &others), -EBADMSG);
	tree_write(&tree, "/proc/8/cgroup", "0::/\n");
	tree_write(&tree, "/cg/cgroup.procs", "8\n");
	assert_int_equal(freeze(&cg, 8, 0, &knob, &others), -EBUSY);
	tree_write(&tree, "/proc/9/cgroup", "0::/gone (deleted)\n");
	assert_int_equal(freeze(&cg, 9, 0, &knob, &others), -ESRCH);
	tree_write(&tree, "/proc/9/cgroup", "0::/../outside\n");
	assert_int_equal(freeze(&cg, 9, 0, &knob, &others), -EOPNOTSUPP);
	tree_write(&tree, "/cg/empty/cgroup.freeze", "0\n");
	tree_write(&tree, "/cg/empty/cgroup.procs", "");
	tree_write(&tree, "/proc/9/cgroup", "0::/empty\n"); /* it has left meanwhile */
	assert_int_equal(freeze(&cg, 9, 0, &knob, &others), -ESRCH);
}

static void test_freeze_v1(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_V1);
	struct mp_cgroup_knob knob;
	size_t others;

	(void)state;
	tree_write(&tree, "/proc/self/mountinfo",
		   MOUNT_V1("/cg/memory", "memory") MOUNT_V1("/cg/frost", "freezer"));
	tree_write(&tree, "/proc/7/cgroup", "5:freezer:/batch/job\n4:memory:/app\n");
	tree_write(&tree, "/cg/frost/batch/job/freezer.state", "THAWED\n");
	tree_write(&tree, "/cg/frost/batch/job/cgroup.procs", "7\n");
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), 0);
	assert_int_equal(others, 0);
	assert_string_equal(knob.set, "FROZEN");
	assert_string_equal(knob.restore, "THAWED");
	check_path(knob.path, "/cg/frost/batch/job/freezer.state");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), 0);
	tree_write(&tree, "/cg/frost/batch/job/freezer.state", "FREEZING\n");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), 0);
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), -EALREADY);
	tree_write(&tree, "/cg/frost/batch/job/freezer.state", "FROZEN\n");
	assert_int_equal(mp_cgroup_is_frozen(&cg, &knob), 1);
	tree_write(&tree, "/proc/7/cgroup", "5:freezer:/\n4:memory:/app\n");
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), -EBUSY);
	tree_write(&tree, "/proc/self/mountinfo", MOUNT_V1("/cg/memory", "memory"));
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), -EOPNOTSUPP);
}

/* As systemd's hybrid has it: nobody uses the freezer of v1, and the v2 tree has the groups. */
static void test_freeze_hybrid(void **state)
{
	struct mp_cgroups cg = groups(MP_CGROUP_HYBRID);
	struct mp_cgroup_knob knob;
	size_t others;

	(void)state;
	tree_write(&tree, "/proc/self/mountinfo",
		   MOUNT_V1("/cg/freezer", "freezer") MOUNT_V2("/cg/unified"));
	tree_write(&tree, "/cg/freezer/cgroup.procs", "7\n");
	tree_write(&tree, "/proc/7/cgroup", "5:freezer:/\n4:memory:/app\n0::/unit\n");
	tree_write(&tree, "/cg/unified/unit/cgroup.freeze", "0\n");
	tree_write(&tree, "/cg/unified/unit/cgroup.procs", "7\n8\n");
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), 0);
	assert_int_equal(others, 1);
	check_path(knob.path, "/cg/unified/unit/cgroup.freeze");
	tree_write(&tree, "/proc/7/cgroup", "5:freezer:/\n4:memory:/app\n0::/\n");
	assert_int_equal(freeze(&cg, 7, 0, &knob, &others), -EBUSY);
}

#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTROL_TEST(test_high),
		CONTROL_TEST(test_write),
		CONTROL_TEST(test_reclaim),
		CONTROL_TEST(test_events_v2),
		CONTROL_TEST(test_events_v1),
		CONTROL_TEST(test_psi_path),
		CONTROL_TEST(test_pids),
		CONTROL_TEST(test_freeze_v2),
		CONTROL_TEST(test_freeze_v2_refused),
		CONTROL_TEST(test_freeze_v1),
		CONTROL_TEST(test_freeze_hybrid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
