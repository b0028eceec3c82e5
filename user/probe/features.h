/* SPDX-License-Identifier: GPL-2.0-only */
/* What this kernel offers and what this process may do: found by trying, never by version. */
#ifndef MP_PROBE_FEATURES_H
#define MP_PROBE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/fsroot.h"

/* What Debian 12's linux/bpf.h does not know yet (kernel ABI, 6.6). */
#define MP_BPF_TRACE_UPROBE_MULTI 48
#define MP_BPF_F_UPROBE_MULTI_RETURN 1U

struct mp_features {
	bool btf;		  /* /sys/kernel/btf/vmlinux: CO-RE can work */
	bool ringbuf;		  /* 5.8 */
	bool uprobe_perf;	  /* perf uprobe events with a BPF link and cookie, 5.15 */
	bool uprobe_multi;	  /* 6.6 */
	bool uprobe_multi_pid;	  /* its process filter covers all threads, 6.10 */
	bool preempt_disable;	  /* kfunc, 6.10 */
	bool rss_per_cpu;	  /* 6.2: RSS kept per CPU */
	bool preemptible_tracing; /* tracing programs can be preempted, and then miss events, 7.0 */
	bool process_tracking;	  /* BTF tracepoints sched_process_* */
	bool oom_victims;	  /* BTF tracepoint mark_victim */
	bool reclaim_events;	  /* BTF tracepoints mm_vmscan_{memcg,direct}_reclaim_* */
	bool memcg_events;	  /* BTF tracepoint count_memcg_events, 6.13 */
	bool fault_clock;	  /* a BPF program on the page-faults software event */
	bool watchpoints;	  /* the same on a hardware watchpoint's event */
	bool send_signal;	  /* bpf_send_signal(): the gate */
	bool memory_cgroup;
	bool cap_sys_admin;
	bool cap_bpf;	  /* or CAP_SYS_ADMIN */
	bool cap_perfmon; /* or CAP_SYS_ADMIN */
	bool cap_sys_ptrace;
	bool initial_pid_namespace;
};

void mp_features_detect(const struct mp_fsroot *fs, struct mp_features *ret);

/* Whether attach can work at all; else the error says what is missing and what to do (exit code 4
 * or 6). */
int mp_features_require(const struct mp_features *features, struct mp_error *err);

/* One row of what doctor shows. */
struct mp_feature_row {
	const char *name;
	bool present;
	bool required;
	const char *meaning; /* when present */
	const char *without; /* what is lost, and the fallback */
};
#define MP_FEATURE_ROWS 18
size_t mp_features_rows(const struct mp_features *features,
			struct mp_feature_row rows[MP_FEATURE_ROWS]);

/* Raw bpf(2) with BPF_LINK_CREATE for uprobe_multi, which libbpf 1.1 cannot do. */
struct mp_multi_spec {
	int prog_fd;
	const char *path;
	const unsigned long *offsets;
	const unsigned long *ref_ctr_offsets; /* NULL: no semaphores */
	const unsigned long long *cookies;
	unsigned int n;
	bool is_return;
	int pid; /* 0: every process */
};
/* Returns the link's fd or a negative errno. */
int mp_multi_link(const struct mp_multi_spec *spec);

#endif
