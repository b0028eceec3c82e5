// SPDX-License-Identifier: GPL-2.0-only
/* What is required, what is said when it is missing, and the rows that doctor shows. */
#include "probe/features.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tree.h"

static struct mp_features everything(void)
{
	return (struct mp_features){
		.btf = true,
		.ringbuf = true,
		.uprobe_perf = true,
		.uprobe_multi = true,
		.uprobe_multi_pid = true,
		.preempt_disable = true,
		.rss_per_cpu = true,
		.process_tracking = true,
		.oom_victims = true,
		.reclaim_events = true,
		.memcg_events = true,
		.fault_clock = true,
		.watchpoints = true,
		.send_signal = true,
		.memory_cgroup = true,
		.cap_sys_admin = true,
		.cap_bpf = true,
		.cap_perfmon = true,
		.cap_sys_ptrace = true,
		.initial_pid_namespace = true,
	};
}

static void check_missing(const struct mp_features *f, int expected, enum mp_exit code,
			  const char *named)
{
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	assert_int_equal(mp_features_require(f, &err), expected);
	assert_int_equal(err.exit_code, code);
	if (!strstr(err.text, named))
		fail_msg("\"%s\" is not in: %s", named, err.text);
}

static void test_nothing_missing(void **state)
{
	struct mp_features f = everything();
	struct mp_error err = {.text = "untouched"};

	(void)state;
	assert_int_equal(mp_features_require(&f, &err), 0);
	assert_string_equal(err.text, "untouched");
}

static void test_privileges(void **state)
{
	struct mp_features f = everything();

	(void)state;
	f.cap_bpf = false;
	check_missing(&f, -EPERM, MP_EXIT_PRIVILEGE, "CAP_BPF is missing");
	f.cap_perfmon = false;
	check_missing(&f, -EPERM, MP_EXIT_PRIVILEGE, "CAP_BPF is missing");
	f.cap_bpf = true;
	check_missing(&f, -EPERM, MP_EXIT_PRIVILEGE, "CAP_PERFMON is missing");
	/* A privilege comes first: without it the kernel cannot be asked. */
	f.btf = false;
	check_missing(&f, -EPERM, MP_EXIT_PRIVILEGE, "CAP_PERFMON is missing");
}

static void test_sys_admin(void **state)
{
	struct mp_features f = everything();

	(void)state;
	f.cap_sys_admin = false;
	f.uprobe_perf = false;
	/* With uprobe_multi it is not needed … */
	assert_int_equal(mp_features_require(&f, NULL), 0);
	f.uprobe_multi = false;
	check_missing(&f, -EPERM, MP_EXIT_PRIVILEGE, "CAP_SYS_ADMIN is missing");
	/* … and where nothing can be had with it, the kernel is what lacks something. */
	f.cap_sys_admin = true;
	check_missing(&f, -ENOTSUP, MP_EXIT_UNSUPPORTED, "uprobes with a cookie");
}

static void test_kernel(void **state)
{
	struct mp_features f = everything();

	(void)state;
	f.btf = false;
	f.ringbuf = false;
	check_missing(&f, -ENOTSUP, MP_EXIT_UNSUPPORTED, "/sys/kernel/btf/vmlinux");
	check_missing(&f, -ENOTSUP, MP_EXIT_UNSUPPORTED, "CONFIG_DEBUG_INFO_BTF=y");
	f.btf = true;
	check_missing(&f, -ENOTSUP, MP_EXIT_UNSUPPORTED, "ring buffer");
}

/* Each of these alone is enough or done without. */
static void test_optional(void **state)
{
	struct mp_features f = everything();

	(void)state;
	f.uprobe_perf = false;
	f.uprobe_multi_pid = false;
	f.preempt_disable = false;
	f.rss_per_cpu = false;
	f.process_tracking = false;
	f.oom_victims = false;
	f.reclaim_events = false;
	f.memcg_events = false;
	f.fault_clock = false;
	f.watchpoints = false;
	f.send_signal = false;
	f.memory_cgroup = false;
	f.cap_sys_ptrace = false;
	f.initial_pid_namespace = false;
	assert_int_equal(mp_features_require(&f, NULL), 0);
	f.uprobe_perf = true;
	f.uprobe_multi = false;
	assert_int_equal(mp_features_require(&f, NULL), 0);
}

static void test_rows_are_complete(void **state)
{
	const struct mp_features none = {0};
	const struct mp_features all = everything();
	struct mp_feature_row rows[MP_FEATURE_ROWS];

	(void)state;
	assert_int_equal(mp_features_rows(&none, rows), MP_FEATURE_ROWS);
	for (size_t i = 0; i < MP_FEATURE_ROWS; i++) {
		assert_non_null(rows[i].name);
		assert_false(rows[i].present);
		assert_true(strlen(rows[i].meaning) > 0);
		assert_true(strlen(rows[i].without) > 0);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(rows[j].name, rows[i].name);
	}
	assert_int_equal(mp_features_rows(&all, rows), MP_FEATURE_ROWS);
	for (size_t i = 0; i < MP_FEATURE_ROWS; i++)
		assert_true(rows[i].present);
}

static const struct mp_feature_row *find_row(const struct mp_feature_row *rows, const char *name)
{
	for (size_t i = 0; i < MP_FEATURE_ROWS; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	fail_msg("no row %s", name);
	return NULL;
}

/* Each row shows its own feature. */
static void test_rows_match(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows_of[] = {
#define ROW(field) {#field, offsetof(struct mp_features, field)}
		ROW(cap_bpf),
		ROW(cap_perfmon),
		ROW(cap_sys_admin),
		ROW(cap_sys_ptrace),
		ROW(btf),
		ROW(ringbuf),
		ROW(uprobe_multi),
		ROW(uprobe_multi_pid),
		ROW(uprobe_perf),
		ROW(preempt_disable),
		ROW(process_tracking),
		ROW(oom_victims),
		ROW(fault_clock),
		ROW(watchpoints),
		ROW(reclaim_events),
		ROW(memcg_events),
		ROW(send_signal),
		ROW(memory_cgroup),
#undef ROW
	};
	struct mp_feature_row rows[MP_FEATURE_ROWS];

	(void)state;
	assert_int_equal(MP_ARRAY_SIZE(rows_of), MP_FEATURE_ROWS);
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows_of); i++) {
		struct mp_features f = {0};

		*(bool *)((char *)&f + rows_of[i].offset) = true;
		mp_features_rows(&f, rows);
		for (size_t j = 0; j < MP_FEATURE_ROWS; j++)
			assert_int_equal(rows[j].present,
					 strcmp(rows[j].name, rows_of[i].name) == 0);
	}
}

/* A row that doctor marks as needed is one that attach refuses to go without. */
static void test_required_rows(void **state)
{
	struct mp_features f = everything();
	struct mp_feature_row rows[MP_FEATURE_ROWS];
	size_t required = 0;

	(void)state;
	mp_features_rows(&f, rows);
	for (size_t i = 0; i < MP_FEATURE_ROWS; i++)
		required += rows[i].required;
	assert_int_equal(required, 4);
	assert_true(find_row(rows, "cap_bpf")->required);
	assert_true(find_row(rows, "cap_perfmon")->required);
	assert_true(find_row(rows, "btf")->required);
	assert_true(find_row(rows, "ringbuf")->required);
	f.uprobe_multi = false;
	mp_features_rows(&f, rows);
	assert_true(find_row(rows, "uprobe_perf")->required);
}

/* Without type information nothing of the kernel is known, and nothing breaks. */
static void check_no_btf(const struct tree *tree)
{
	const struct mp_fsroot fs = {tree->root};
	struct mp_features f;

	memset(&f, 1, sizeof(f));
	mp_features_detect(&fs, &f);
	assert_false(f.btf);
	assert_false(f.ringbuf);
	assert_false(f.uprobe_perf);
	assert_false(f.preempt_disable);
	assert_false(f.rss_per_cpu);
	assert_false(f.process_tracking);
	assert_false(f.oom_victims);
	assert_false(f.reclaim_events);
	assert_false(f.memcg_events);
	assert_false(f.send_signal);
	assert_false(f.memory_cgroup);
}

static void test_detect_without_btf(void **state)
{
	struct tree tree;

	(void)state;
	tree_make(&tree);
	check_no_btf(&tree);
	tree_write(&tree, "/proc/self/cgroup", "0::/\n");
	tree_write(&tree, "/sys/kernel/btf/vmlinux", "");
	check_no_btf(&tree);
	tree_write(&tree, "/sys/kernel/btf/vmlinux", "\x9f");
	check_no_btf(&tree);
	tree_write(&tree, "/sys/kernel/btf/vmlinux", "no type information");
	check_no_btf(&tree);
	tree_remove(&tree);
}

/* The names that the strings of type information hold: whole ones, between two NULs. */
static void test_detect_names(void **state)
{
	static const char whole[] = "\x9f\xeb\x01\0bpf_ringbuf_reserve\0mm_rss_stat\0"
				    "btf_trace_sched_process_fork\0btf_trace_mark_victim\0"
				    "btf_trace_mm_vmscan_memcg_reclaim_begin\0"
				    "btf_trace_mm_vmscan_direct_reclaim_begin\0"
				    "btf_trace_count_memcg_events\0bpf_send_signal\0"
				    "memory_cgrp_id";
	static const char newer[] = "\x9f\xeb\x01\0bpf_preempt_disable\0bpf_rdonly_cast\0"
				    "tracepoint_srcu_srcu_data";
	static const char older[] = "\x9f\xeb\x01\0tracepoint_srcu_srcu_data";
	static const char parts[] = "\x9f\xeb\x01\0my_bpf_ringbuf_reserve\0mm_rss_stat_x\0"
				    "btf_trace_sched_process_forks\0btf_trace_mark_victims\0"
				    "btf_trace_mm_vmscan_memcg_reclaim_begin\0"
				    "trace_count_memcg_events\0bpf_send_signal_thread\0"
				    "mem_cgroup";
	struct mp_fsroot fs;
	struct mp_features f;
	struct tree tree;

	(void)state;
	tree_make(&tree);
	fs = (struct mp_fsroot){tree.root};
	tree_write(&tree, "/proc/self/cgroup", "0::/\n");
	tree_write_bytes(&tree, "/sys/kernel/btf/vmlinux", whole, sizeof(whole));
	mp_features_detect(&fs, &f);
	assert_true(f.btf && f.ringbuf && f.process_tracking && f.memory_cgroup);
	assert_true(f.oom_victims);
	assert_true(f.reclaim_events && f.memcg_events && f.send_signal);
	assert_false(f.rss_per_cpu);
	assert_false(f.preempt_disable || f.preemptible_tracing);
	tree_write_bytes(&tree, "/sys/kernel/btf/vmlinux", newer, sizeof(newer));
	mp_features_detect(&fs, &f);
	assert_true(f.preempt_disable && f.preemptible_tracing);
	/* Up to 6.10 tracepoints without RCU were guarded by it. */
	tree_write_bytes(&tree, "/sys/kernel/btf/vmlinux", older, sizeof(older));
	mp_features_detect(&fs, &f);
	assert_false(f.preemptible_tracing);
	/* Cut within its last name. */
	tree_write_bytes(&tree, "/sys/kernel/btf/vmlinux", whole, sizeof(whole) - 1);
	mp_features_detect(&fs, &f);
	assert_false(f.memory_cgroup);
	tree_write_bytes(&tree, "/sys/kernel/btf/vmlinux", parts, sizeof(parts));
	mp_features_detect(&fs, &f);
	assert_true(f.btf && f.rss_per_cpu);
	assert_false(f.ringbuf || f.process_tracking || f.memory_cgroup || f.oom_victims);
	/* One half of reclaim alone does not count. */
	assert_false(f.reclaim_events || f.memcg_events || f.send_signal);
	tree_remove(&tree);
}

/* The kernel tells a namespace by the number of its file. */
static void test_detect_pid_namespace(void **state)
{
	const struct mp_fsroot live = {""};
	struct mp_features f;
	struct mp_fsroot fs;
	struct tree tree;
	struct stat st;

	(void)state;
	tree_make(&tree);
	fs = (struct mp_fsroot){tree.root};
	mp_features_detect(&fs, &f);
	assert_true(f.initial_pid_namespace); /* a kernel without namespaces */
	tree_write(&tree, "/proc/self/ns/pid", "");
	mp_features_detect(&fs, &f);
	assert_false(f.initial_pid_namespace);
	tree_remove(&tree);
	mp_features_detect(&live, &f);
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	assert_int_equal(f.initial_pid_namespace, st.st_ino == 0xeffffffcU);
	/* CAP_SYS_ADMIN stands for the two that were split off it. */
	if (f.cap_sys_admin)
		assert_true(f.cap_bpf && f.cap_perfmon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_missing),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_sys_admin),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_rows_are_complete),
		cmocka_unit_test(test_rows_match),
		cmocka_unit_test(test_required_rows),
		cmocka_unit_test(test_detect_without_btf),
		cmocka_unit_test(test_detect_names),
		cmocka_unit_test(test_detect_pid_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
