/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few kernel fields that are read, declared by hand: CO-RE moves each
 * access to where the running kernel has it, so no vmlinux.h of a build
 * machine is needed. A ___suffix is another shape of the same struct.
 */
#ifndef MP_KERNEL_H
#define MP_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/ptrace.h>

typedef __s8 s8;
typedef __u8 u8;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;
typedef _Bool bool;
enum {
	false = 0,
	true = 1
};
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	s64 counter;
} atomic_long_t;

typedef struct {
	s32 counter;
} atomic_t;

struct kernfs_node {
	u64 id; /* a bare u64 since 5.10 (67c0496e87d1) */
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct page_counter {
	atomic_long_t usage; /* pages */
	unsigned long max;
	struct page_counter *parent;
};

/* Their sizes and offsets are asked for; only the declared fields are read. */
struct zone {
	unsigned long present_pages;
	atomic_long_t vm_stat[1];
};

struct pglist_data {
	struct zone node_zones[1];
	s32 nr_zones;
	s32 node_id;
	atomic_long_t vm_stat[1];
};

struct lruvec {
	struct pglist_data *pgdat;
};

struct mem_cgroup_per_node {
	struct lruvec lruvec;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct mem_cgroup_per_node *nodeinfo[1];
};

/* CO-RE knows the numbers; what a kernel lacks is never equal. */
enum zone_stat_item {
	NR_FREE_PAGES = 0,
};

enum node_stat_item {
	NR_INACTIVE_FILE = 2, /* the numbers differ, as above */
	NR_ACTIVE_FILE = 3,
};

enum vm_event_item {
	PGMAJFAULT,
	PGSTEAL_KSWAPD,
	PGSTEAL_DIRECT,
	PGSTEAL_KHUGEPAGED,
	PGSTEAL_PROACTIVE,
	PGSCAN_KSWAPD,
	PGSCAN_DIRECT,
	PGSCAN_KHUGEPAGED,
	PGSCAN_PROACTIVE,
};

enum cgroup_subsys_id {
	memory_cgrp_id = 4, /* the number differs; CO-RE knows it */
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
};

struct super_block {
	u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
};

struct percpu_counter {
	s64 count;
	s32 *counters;
};

/* Since 6.2 (f1a7941243c1): a per-CPU counter for each kind. */
struct mm_struct {
	struct percpu_counter rss_stat[4];
	struct file *exe_file;
};

/* Before 6.2: shared counters, and up to 64 pages kept back in each task. */
struct mm_rss_stat {
	atomic_long_t count[4];
};

struct mm_struct___before_6_2 {
	struct mm_rss_stat rss_stat;
};

struct task_rss_stat {
	s32 count[4];
};

struct signal_struct {
	atomic_t live;
	short oom_score_adj;
	struct mm_struct *oom_mm; /* set once the OOM killer has chosen the process */
};

/* What mark_victim hands over: a task since 6.9 (72ba14deb40a), a pid before. */
struct trace_event_raw_mark_victim {
	unsigned long anon_rss;
};

struct task_struct {
	s32 pid;
	s32 tgid;
	s32 exit_code;
	char comm[16];
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct task_struct *group_leader;
	u64 self_exec_id; /* counts execs; 64 bits since 5.7 (d1e7fd6462ca) */
	u64 start_boottime;
};

struct task_struct___before_6_2 {
	struct task_rss_stat rss_stat;
};

struct linux_binprm;

/* Two whole words, for reading four counters with two loads. */
struct timespec64 {
	s64 tv_sec;
	s64 tv_nsec;
};

struct bpf_array {
	void *pptrs[1]; /* of a per-CPU array: its elements */
};

#pragma clang attribute pop

#endif
