// SPDX-License-Identifier: GPL-2.0-only
#include "probe/features.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MAX_BTF_BYTES (64U << 20)

/* The kernel's union bpf_attr for BPF_LINK_CREATE with uprobe_multi, 6.6. */
struct link_create_attr {
	__u32 prog_fd;
	__u32 target_fd;
	__u32 attach_type;
	__u32 flags;
	struct {
		__aligned_u64 path;
		__aligned_u64 offsets;
		__aligned_u64 ref_ctr_offsets;
		__aligned_u64 cookies;
		__u32 cnt;
		__u32 flags;
		__u32 pid;
		__u32 pad;
	} uprobe_multi;
};

int mp_multi_link(const struct mp_multi_spec *spec)
{
	struct link_create_attr attr = {
		.prog_fd = (__u32)spec->prog_fd,
		.attach_type = MP_BPF_TRACE_UPROBE_MULTI,
		.uprobe_multi =
			{
				.path = (__u64)(unsigned long)spec->path,
				.offsets = (__u64)(unsigned long)spec->offsets,
				.ref_ctr_offsets = (__u64)(unsigned long)spec->ref_ctr_offsets,
				.cookies = (__u64)(unsigned long)spec->cookies,
				.cnt = spec->n,
				.flags = spec->is_return ? MP_BPF_F_UPROBE_MULTI_RETURN : 0,
				.pid = (__u32)spec->pid,
			},
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

static int load_trivial_multi(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	opts.expected_attach_type = (enum bpf_attach_type)MP_BPF_TRACE_UPROBE_MULTI;
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", insns, MP_ARRAY_SIZE(insns), &opts);
}

/*
 * A link on "/" cannot be made: a kernel that knows uprobe_multi says EBADF
 * for it. One whose process filter is right (6.10) refuses pid -1 with EINVAL.
 */
static void detect_multi(struct mp_features *f)
{
	MP_CLOSE int prog = load_trivial_multi();
	const unsigned long offset = 0;
	struct mp_multi_spec spec = {.prog_fd = prog, .path = "/", .offsets = &offset, .n = 1};

	if (prog < 0)
		return;
	f->uprobe_multi = mp_multi_link(&spec) == -EBADF;
	spec.pid = -1;
	f->uprobe_multi_pid = f->uprobe_multi && mp_multi_link(&spec) == -EINVAL;
}

/*
 * A program that looks into a map as the fault clock does: before 6.1 programs
 * on perf events may not, when the map's memory is allocated as it fills.
 */
static int load_fault_clock(int map)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ST | BPF_MEM, .dst_reg = BPF_REG_10, .off = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 /* BPF_ADD | BPF_K */, .dst_reg = BPF_REG_2, .imm = -4},
		{.code = BPF_DW, /* BPF_LD | BPF_IMM */
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, NULL, "GPL", insns, MP_ARRAY_SIZE(insns),
			     NULL);
}

static void detect_fault_clock(struct mp_features *f)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1,
		.disabled = 1,
	};
	MP_CLOSE int map = bpf_map_create(BPF_MAP_TYPE_HASH, NULL, sizeof(__u32), 1, 1, &opts);
	MP_CLOSE int prog = map < 0 ? -1 : load_fault_clock(map);
	MP_CLOSE int event = -1;

	if (prog < 0)
		return;
	event = (int)syscall(SYS_perf_event_open, &attr, -1, sched_getcpu(), -1,
			     PERF_FLAG_FD_CLOEXEC);
	f->fault_clock = event >= 0 && ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) == 0;
}

/* The program is found by the fault clock: it looks into the same maps. In use is not absent. */
static void detect_watchpoints(struct mp_features *f)
{
	const int watched = 0;
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_RW,
		.bp_addr = (__u64)(unsigned long)&watched,
		.bp_len = HW_BREAKPOINT_LEN_1,
		.sample_period = 1,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	MP_CLOSE int event =
		(int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	f->watchpoints = f->fault_clock && (event >= 0 || errno == ENOSPC);
}

/*
 * Whether the kernel has a function or type of that name. libbpf parses the
 * whole of the type information when it loads the programs; here, a look at
 * its strings is enough, and ten times as fast.
 */
static bool has_name(const char *btf, size_t len, const char *name)
{
	char entry[64];
	int n = snprintf(entry, sizeof(entry), "%c%s", '\0', name);

	return memmem(btf, len, entry, (size_t)n + 1) != NULL;
}

static bool path_exists(const struct mp_fsroot *fs, const char *path)
{
	char full[256];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", fs->root, path);
	return stat(full, &st) == 0;
}

static void detect_btf(const struct mp_fsroot *fs, struct mp_features *f)
{
	const __u16 magic = BTF_MAGIC;
	MP_FREE char *btf = NULL;
	size_t len;

	if (mp_read_file_at(fs, MAX_BTF_BYTES, &btf, &len, "/sys/kernel/btf/vmlinux") ||
	    len < sizeof(magic) || memcmp(btf, &magic, sizeof(magic)) != 0)
		return;
	f->btf = true;
	f->ringbuf = has_name(btf, len, "bpf_ringbuf_reserve");
	f->uprobe_perf = has_name(btf, len, "bpf_get_attach_cookie_trace");
	f->preempt_disable =
		has_name(btf, len, "bpf_preempt_disable") && has_name(btf, len, "bpf_rdonly_cast");
	f->rss_per_cpu = !has_name(btf, len, "mm_rss_stat");
	/* Guards the calls of tracepoints in the place of disabled preemption. */
	f->preemptible_tracing =
		f->preempt_disable && has_name(btf, len, "tracepoint_srcu_srcu_data");
	f->process_tracking = has_name(btf, len, "btf_trace_sched_process_fork");
	f->oom_victims = has_name(btf, len, "btf_trace_mark_victim");
	f->reclaim_events = has_name(btf, len, "btf_trace_mm_vmscan_memcg_reclaim_begin") &&
			    has_name(btf, len, "btf_trace_mm_vmscan_direct_reclaim_begin");
	f->memcg_events = has_name(btf, len, "btf_trace_count_memcg_events");
	f->send_signal = has_name(btf, len, "bpf_send_signal");
	f->memory_cgroup = has_name(btf, len, "memory_cgrp_id");
}

static bool has_capability(const __u32 effective[2], unsigned int cap)
{
	return effective[cap / 32] >> (cap % 32) & 1;
}

static void detect_capabilities(struct mp_features *f)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	__u32 effective[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return;
	effective[0] = data[0].effective;
	effective[1] = data[1].effective;
	f->cap_sys_admin = has_capability(effective, CAP_SYS_ADMIN);
	f->cap_bpf = f->cap_sys_admin || has_capability(effective, CAP_BPF);
	f->cap_perfmon = f->cap_sys_admin || has_capability(effective, CAP_PERFMON);
	f->cap_sys_ptrace = has_capability(effective, CAP_SYS_PTRACE);
}

/* The initial namespace has a fixed inode number: PROC_PID_INIT_INO in the kernel. */
static bool in_initial_pid_namespace(const struct mp_fsroot *fs)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/proc/self/ns/pid", fs->root);
	return stat(path, &st) != 0 || st.st_ino == 0xeffffffcU;
}

static void detect_tried(struct mp_features *f)
{
	detect_multi(f);
	detect_fault_clock(f);
	detect_watchpoints(f);
}

void mp_features_detect(const struct mp_fsroot *fs, struct mp_features *ret)
{
	*ret = (struct mp_features){0};
	detect_capabilities(ret);
	detect_btf(fs, ret);
	ret->memory_cgroup = ret->memory_cgroup && path_exists(fs, "/proc/self/cgroup");
	ret->initial_pid_namespace = in_initial_pid_namespace(fs);
	if (ret->cap_bpf && ret->cap_perfmon)
		detect_tried(ret);
	/* Since the fix of CVE-2025-38466 perf uprobes ask for CAP_SYS_ADMIN. */
	ret->uprobe_perf = ret->uprobe_perf && ret->cap_sys_admin;
}

int mp_features_require(const struct mp_features *f, struct mp_error *err)
{
	if (!f->cap_bpf)
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "CAP_BPF is missing: run with sudo, or give the binary cap_bpf and "
			       "cap_perfmon");
	if (!f->cap_perfmon)
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "CAP_PERFMON is missing: run with sudo, or give the binary cap_bpf "
			       "and cap_perfmon");
	if (!f->btf)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "this kernel offers no type information at /sys/kernel/btf/vmlinux: "
			       "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current "
			       "Debian, Ubuntu and Fedora kernel is)");
	if (!f->ringbuf)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "this kernel has no BPF ring buffer: 5.15 or newer is needed");
	if (!f->uprobe_perf && !f->uprobe_multi && !f->cap_sys_admin)
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "CAP_SYS_ADMIN is missing: without uprobe_multi (kernel 6.6) "
			       "uprobes need it; run with sudo");
	if (!f->uprobe_perf && !f->uprobe_multi)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "this kernel cannot attach BPF programs to uprobes with a cookie: "
			       "5.15 or newer is needed");
	return 0;
}

size_t mp_features_rows(const struct mp_features *f, struct mp_feature_row rows[MP_FEATURE_ROWS])
{
	const struct mp_feature_row all[] = {
		{"cap_bpf", f->cap_bpf, true, "may load BPF programs",
		 "nothing works: run with sudo"},
		{"cap_perfmon", f->cap_perfmon, true, "may read kernel memory and attach probes",
		 "nothing works: run with sudo"},
		{"cap_sys_admin", f->cap_sys_admin, false,
		 "may use perf uprobes and deleted binaries", "uprobe_multi alone is used"},
		{"cap_sys_ptrace", f->cap_sys_ptrace, false, "may look at processes of other users",
		 "only the own user's processes can be targets"},
		{"btf", f->btf, true, "field offsets of this kernel are known",
		 "nothing works: boot a kernel with CONFIG_DEBUG_INFO_BTF=y"},
		{"ringbuf", f->ringbuf, true, "records stream to user space",
		 "nothing works: 5.15 or newer is needed"},
		{"uprobe_multi", f->uprobe_multi, false, "thousands of probes attach in one call",
		 "perf uprobes: slower to attach and detach, the same per call"},
		{"uprobe_multi_pid", f->uprobe_multi_pid, false,
		 "probes go into the target process alone",
		 "probes go into every process with that file; others are filtered in the kernel"},
		{"uprobe_perf", f->uprobe_perf, !f->uprobe_multi,
		 "probes one by one as perf events", "uprobe_multi is used"},
		{"preempt_disable", f->preempt_disable, false, "programs run unpreempted",
		 "programs keep their state with the thread"},
		{"process_tracking", f->process_tracking, false,
		 "forks, execs and exits are followed",
		 "--follow, comm:, exe: and cgroup: see only processes that run at the start"},
		{"oom_victims", f->oom_victims, false,
		 "OOM kills are told, with what the victim was doing",
		 "an OOM kill shows as a process that ended"},
		{"fault_clock", f->fault_clock, false,
		 "usage that crosses a threshold is seen within a few page faults",
		 "it is seen at the next probe, or at the next look by the clock"},
		{"watchpoints", f->watchpoints, false,
		 "Python functions are watched with nothing injected: --python-mode watchpoint",
		 "--python-mode inject alone"},
		{"reclaim_events", f->reclaim_events, false,
		 "reclaim is told, with who waited for it and how long",
		 "reclaim shows only in pressure stall information and in memory.events"},
		{"memcg_events", f->memcg_events, false,
		 "pages scanned and stolen are counted by group during an incident",
		 "reclaim is told without them"},
		{"send_signal", f->send_signal, false,
		 "the gate stops a critical call before its first instruction",
		 "the gate only says what it would have stopped"},
		{"memory_cgroup", f->memory_cgroup, false, "usage and limit of cgroups are read",
		 "the host's memory is the limit"},
	};

	_Static_assert(MP_ARRAY_SIZE(all) == MP_FEATURE_ROWS, "rows");
	memcpy(rows, all, sizeof(all));
	return MP_ARRAY_SIZE(all);
}
