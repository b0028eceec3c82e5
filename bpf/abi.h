/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel side and the user side agree on: records, read-only
 * configuration, map keys and counters. The only header both include.
 *
 * Numbers are append-only. Every record starts with struct mp_record_header.
 */
#ifndef MP_ABI_H
#define MP_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define MP_ABI_VERSION 1

#define MP_COMM_LEN 16
#define MP_MAX_ARGS 6
#define MP_ARG_STR_LEN 64	       /* bytes kept of a str argument, with its NUL */
#define MP_STR_UNREADABLE ((char)0xff) /* a string that could not be read; never valid UTF-8 */
#define MP_STACK_DEPTH 48	       /* user frames kept of a stack */
#define MP_RSS_KINDS 4
#define MP_FRAME_DEPTH 32     /* probed calls one thread can be inside at once */
#define MP_KEYED_FRAMES 16    /* and calls that are told apart by a marker's key */
#define MP_SPARE_POINTS 256   /* points that programs under watch can declare */
#define MP_POINT_NAME_LEN 128 /* of a declared point, with its NUL */

/* Duration histogram: MP_HIST_SUB linear steps in each power of two, in ns. */
#define MP_HIST_SUB_BITS 2
#define MP_HIST_SUB (1 << MP_HIST_SUB_BITS)
#define MP_HIST_OCTAVES 44 /* the last one starts near 4.9 hours */
#define MP_HIST_BUCKETS (MP_HIST_OCTAVES * MP_HIST_SUB)

/* A size that is not known: no memory cgroup, a kernel thread, no limit. */
#define MP_UNKNOWN ((__u64)-1)
#define MP_UNKNOWN_DELTA ((__s64)(1ULL << 63)) /* the same for a change */
#define MP_UNKNOWN_ADJ ((__s32)(1U << 31))     /* and for oom_score_adj */

enum mp_level {
	MP_LEVEL_LOW = 0,
	MP_LEVEL_MEDIUM = 1,
	MP_LEVEL_HIGH = 2,
	MP_LEVEL_CRITICAL = 3,
	MP_LEVEL_COUNT
};

enum mp_severity {
	MP_SEVERITY_NORMAL = 0,
	MP_SEVERITY_WARNING = 1,
	MP_SEVERITY_GC = 2,
	MP_SEVERITY_CRITICAL = 3,
	MP_SEVERITY_COUNT
};

/* Two phases are counted; a check (USDT, markers) is counted as an enter. */
enum mp_phase {
	MP_PHASE_ENTER = 0,
	MP_PHASE_EXIT = 1,
	MP_PHASE_CHECK = 2,
	MP_PHASE_COUNT
};
#define MP_COUNTED_PHASES 2

/* Same order as the kernel's MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
enum mp_rss_kind {
	MP_RSS_FILE = 0,
	MP_RSS_ANON = 1,
	MP_RSS_SWAP = 2,
	MP_RSS_SHMEM = 3,
};

enum mp_record_kind {
	MP_RECORD_PROBE = 1,
	MP_RECORD_PROCESS = 2,
	MP_RECORD_OOM = 3,
	MP_RECORD_IN_FLIGHT = 4,
	MP_RECORD_PRESSURE = 5,
	MP_RECORD_POINT = 6,
};

/* Where pressure was noticed. The kernel side tells of the first, second and last. */
enum mp_pressure_source {
	MP_PRESSURE_RECLAIM = 0,	/* a task had to reclaim memory of a group at its limit */
	MP_PRESSURE_DIRECT_RECLAIM = 1, /* the same for the host */
	MP_PRESSURE_PSI = 2,
	MP_PRESSURE_MEMORY_EVENTS = 3,
	MP_PRESSURE_MEMCG_V1 = 4,
	MP_PRESSURE_USAGE = 5, /* usage crossed a threshold, or is sampled while it is above */
	MP_PRESSURE_SOURCE_COUNT
};

/* Counted by the kernel for each memory cgroup while it reclaims (count_memcg_events, 6.13). */
enum mp_memcg_event {
	MP_MEMCG_PGSCAN = 0,
	MP_MEMCG_PGSTEAL = 1,
	MP_MEMCG_PGMAJFAULT = 2,
	MP_MEMCG_EVENT_COUNT
};

enum mp_process_op {
	MP_PROCESS_FORK = 1, /* a followed process has a child, which is followed too */
	MP_PROCESS_EXEC = 2, /* a followed process runs another program, or a new one matches */
	MP_PROCESS_EXIT = 3, /* a followed process is gone */
};

struct mp_record_header {
	__u32 size; /* of the whole record, this header included */
	__u16 kind; /* enum mp_record_kind */
	__u16 version;
	__u64 ts_ns; /* CLOCK_MONOTONIC */
	__u64 lost;  /* records lost so far by the ring that this one came through */
};

enum mp_probe_flags {
	MP_PROBE_MATCHED = 1 << 0,  /* exit: its entry was seen, so the deltas are valid */
	MP_PROBE_HAS_TAIL = 1 << 1, /* the record is a struct mp_probe_record_full */
	MP_PROBE_HAS_RET = 1 << 2,
	MP_PROBE_GATED = 1 << 3,      /* the process is being stopped before the call */
	MP_PROBE_WOULD_GATE = 1 << 4, /* it would be with --enforce */
	MP_PROBE_BY_MARKER = 1 << 5,  /* args[0] is the size asked for, 0: not known; n_args is 0 */
};

/* Sizes in bytes, MP_UNKNOWN where not known. */
struct mp_probe_record {
	struct mp_record_header h;
	__u32 point; /* index into the points map */
	__u8 phase;  /* enum mp_phase */
	__u8 level;  /* enum mp_level */
	__u8 flags;  /* enum mp_probe_flags */
	__u8 n_args;
	__u32 pid; /* thread group id, initial pid namespace */
	__u32 tid;
	char comm[MP_COMM_LEN];
	__u64 ip;	       /* address of the probe site in the process */
	__u64 cgroup_id;       /* the task's own memory cgroup; 0: none */
	__u64 limit_cgroup_id; /* the group whose limit is the effective one; 0: the host */
	__u64 rss[MP_RSS_KINDS];
	__u64 usage;	   /* charged to the limiting group; to the own group without a limit */
	__u64 limit;	   /* effective limit: smallest on the way up, or the host's memory */
	__u64 reclaimable; /* inactive file bytes last stored by user space for that group */
	__u64 duration_ns; /* exit: time inside the call */
	__s64 rss_delta;   /* exit: change since the entry, all kinds but swap */
	__s64 usage_delta; /* exit: change of usage since the entry */
	__u64 ret;
	__u64 args[MP_MAX_ARGS]; /* value; of a str its address, with the text in the tail */
};

/* What only some points ask for; a record without it is a third of the size. */
struct mp_probe_record_full {
	struct mp_probe_record base;
	__u64 caller; /* return address found at the stack pointer on entry, or 0 */
	__u32 stack_bytes;
	__u32 pad;
	__u64 stack[MP_STACK_DEPTH];
	char str[MP_MAX_ARGS][MP_ARG_STR_LEN];
};

struct mp_process_record {
	struct mp_record_header h;
	__u32 op; /* enum mp_process_op */
	__u32 pid;
	__u32 parent;	 /* fork: thread group id of the parent */
	__s32 exit_code; /* exit: as wait(2) gives it */
	char comm[MP_COMM_LEN];
};

enum mp_declared_flags {
	MP_DECLARED_PYTHON = 1 << 0, /* MEMPROBE_MARKER_PYTHON, 8 bits further down */
};

/*
 * The first hit of a point by a marker. One that user space has not named in
 * marker_points is declared by it. Comes through the ring of process records, and
 * not later than the first probe record of the point by more than a race of threads.
 */
struct mp_point_record {
	struct mp_record_header h;
	__u32 point; /* index into the points map */
	__u32 site;  /* of the marker, as in its cookie */
	__u64 id;
	__u32 pid;
	__u8 level;
	__u8 flags; /* enum mp_declared_flags */
	__u8 pad[2];
	char name[MP_POINT_NAME_LEN]; /* what the process says it is; "": could not be read */
};

/* The OOM killer has chosen a process; any process, target or not. */
struct mp_oom_record {
	struct mp_record_header h;
	__u32 pid; /* thread group id of the victim */
	__u32 is_target;
	__u32 by_pid; /* who ran into the limit */
	__s32 oom_score_adj;
	char comm[MP_COMM_LEN];
	char by_comm[MP_COMM_LEN];
	__u64 cgroup_id; /* the victim's memory cgroup; 0: not known */
	__u64 rss[MP_RSS_KINDS];
};

/* A call that a thread of a victim was inside of when it ended. One record each, outermost first.
 */
struct mp_in_flight_record {
	struct mp_record_header h;
	__u32 pid;
	__u32 tid;
	__u32 point;
	__u32 pad;
	__u64 duration_ns; /* until the thread ended */
	__s64 rss_delta;   /* from the entry to when the victim was chosen */
};

/*
 * Memory pressure on a domain: the group whose limit is the effective one, or
 * the host. Reclaim is told in sums since the domain's last such record.
 */
struct mp_pressure_record {
	struct mp_record_header h;
	__u32 pid; /* the task that filled or reclaimed */
	__u32 tid;
	char comm[MP_COMM_LEN];
	__u8 source;   /* enum mp_pressure_source */
	__u8 severity; /* by usage, before hysteresis; enum mp_severity */
	__u8 is_target;
	__u8 has_events; /* events[] were counted */
	__u32 reclaims;
	__u64 cgroup_id;       /* the task's own memory cgroup; 0: none */
	__u64 limit_cgroup_id; /* the domain; 0: the host */
	__u64 usage;	       /* as in a probe record; host: memory in use */
	__u64 limit;
	__u64 reclaimable;
	__u64 window_ns; /* that the sums cover; MP_UNKNOWN in a domain's first record */
	__u64 stall_ns;	 /* of all tasks together, inside reclaim */
	__u64 reclaimed_pages;
	__u64 events[MP_MEMCG_EVENT_COUNT];
};

enum mp_arg_type {
	MP_ARG_U64 = 0,
	MP_ARG_S64 = 1,
	MP_ARG_STR = 2,
	MP_ARG_PTR = 3,
	MP_ARG_TYPE_COUNT
};

enum mp_point_flags {
	MP_POINT_HAS_STR = 1 << 0,
	MP_POINT_HAS_RET = 1 << 1,
	MP_POINT_RET_STR = 1 << 2,
	MP_POINT_GATE = 1 << 3, /* its entries are gated at critical usage */
};

#define MP_NO_SIZE_ARG MP_MAX_ARGS

/* One point, as the programs need it. Key of the points map: its index. */
struct mp_point_config {
	__u8 level;
	__u8 flags; /* enum mp_point_flags */
	__u8 n_args;
	__u8 stack_severity; /* keep the stack from this severity on; MP_SEVERITY_COUNT: never */
	__u16 arg_reg[MP_MAX_ARGS]; /* the register that holds it: offset into struct pt_regs */
	__u8 arg_type[MP_MAX_ARGS]; /* enum mp_arg_type */
	__u8 size_arg; /* which argument says how many bytes the call asks for; MP_NO_SIZE_ARG */
	__u8 pad[5];
	__u64 threshold_bytes; /* records only when RSS is above; 0: always */
};

enum mp_usdt_arg_kind {
	MP_USDT_NONE = 0,
	MP_USDT_CONST = 1,
	MP_USDT_REG = 2,
	MP_USDT_DEREF = 3, /* value at (register + offset) */
	MP_USDT_SIB = 4,   /* value at (register + index * scale + offset) */
};

/* One USDT argument of one site. Registers are byte offsets into struct pt_regs. */
struct mp_usdt_arg {
	__u8 kind;  /* enum mp_usdt_arg_kind */
	__u8 bytes; /* 1, 2, 4 or 8 */
	__u8 is_signed;
	__u8 scale;
	__u16 reg;
	__u16 index_reg;
	__s64 value; /* the constant, or the offset */
};

/* Arguments of one USDT site, in the order the point asks for. Key: the site's index. */
struct mp_usdt_site {
	struct mp_usdt_arg args[MP_MAX_ARGS];
};

/* A probe's cookie: the point in the low half, the site in the high half. */
#define MP_COOKIE(point, site) (((__u64)(site) << 32) | (__u32)(point))

struct mp_phase_stats {
	__u64 hits; /* = emitted + suppressed + lost */
	__u64 emitted;
	__u64 suppressed; /* by the level's interval or by threshold_mb */
	__u64 lost;	  /* the ring had no room */
};

/* Exact for every call. One copy per CPU; user space sums them. */
struct mp_point_stats {
	struct mp_phase_stats phase[MP_COUNTED_PHASES];
	__u64 missed;  /* entries that could not be remembered, returns without an entry */
	__u64 matched; /* returns with an entry: what the figures below are about */
	__u64 duration_sum_ns;
	__u64 duration_max_ns;
	__s64 rss_sum;
	__s64 rss_max;
	__u64 duration_hist[MP_HIST_BUCKETS];
};

enum mp_target_flags {
	MP_TARGET_FOLLOW = 1 << 0, /* its children become targets */
};

#define MP_EXEC_UNKNOWN 0xffffffffU

/* Value of the targets map. Key: thread group id. */
struct mp_target {
	__u32 flags;   /* enum mp_target_flags */
	__u32 exec_id; /* low half of task_struct.self_exec_id when an exec was last told */
};

/* Key of the wanted_exe map: an executable whose processes become targets. */
struct mp_exe_key {
	__u64 dev; /* as the kernel writes it: major << 20 | minor */
	__u64 ino;
};

#define MP_RECLAIM_EVERY_NS 20000000ULL /* least time between two reclaim records of a domain */

/*
 * What is known of a limiting group, or of the host. They lie in an array that
 * user space has mapped, so that both sides write single fields and never undo
 * what the other wrote. The domain_slots map says where, by the group's id, 0 for
 * the host. The first two are user space's, the others BPF's; what is left of its sums when
 * reclaim ends is taken by user space.
 */
struct mp_domain {
	__u64 reclaimable;   /* of usage, as last sampled: inactive file pages; or MP_UNKNOWN */
	__u32 watched;	     /* pressure on it is told */
	__u32 severity_told; /* crossings above this are told; both sides write it */
	__u32 reclaims;	     /* sums since the last record: see struct mp_pressure_record */
	__u32 pad;
	__u64 stall_ns;
	__u64 reclaimed_pages;
	__u64 events[MP_MEMCG_EVENT_COUNT];
	__u64 told_ns; /* when the last reclaim record was put out; both sides write it */
};

/* Value of the gated map. Key: thread group id. */
enum mp_gate_state {
	MP_GATE_OPEN = 0,    /* let go; stops again from pass_until_ns on */
	MP_GATE_STOPPED = 1, /* SIGSTOP was sent: whoever finds it so owes a SIGCONT */
};

struct mp_gated {
	__u32 state; /* enum mp_gate_state */
	__u32 tid;   /* of the call that was stopped */
	__u32 point;
	__u32 pad;
	__u64 stopped_ns; /* CLOCK_MONOTONIC */
	__u64 start_time; /* of the process, CLOCK_BOOTTIME ns as in /proc/PID/stat: tells a reused
			     pid */
	__u64 pass_until_ns; /* open: no new stop before this */
};

#define MP_MAX_WATCHED 1024

/* Value of the watched map. Key: address of a Python function's first bytecode. */
struct mp_watched {
	__u64 object; /* address of its code object … */
	__u64 type;   /* … and of that object's type */
	__u32 point;
	__u32 pad;
};

struct mp_comm_key {
	char comm[MP_COMM_LEN];
};

/* Read-only once loaded. */
struct mp_bpf_config {
	__u64 interval_ns[MP_LEVEL_COUNT]; /* least time between two records of a point */
	__u64 host_bytes;		   /* MemTotal */
	__u32 page_size;
	__u32 nr_cpus;
	__u8 threshold_pct[MP_SEVERITY_COUNT]; /* [0] is not used */
	__u8 want_comm;			       /* wanted_comm holds names */
	__u8 want_exe;			       /* wanted_exe holds files */
	__u8 want_cgroup;		       /* wanted_cgroup holds groups */
	__u8 follow;
	__u32 self;	  /* the monitor's own thread group id, never a target */
	__u32 wake_bytes; /* wake the reader when this much waits; 0: at every record */
	__u8 gate;	  /* 0: no point is gated; 1: told, nothing stops; 2: enforced */
	__u8 pad[3];
	__u32 n_points; /* that are configured: from there on lie the declared ones */
	__u32 pad2;
	struct mp_point_config declared[MP_LEVEL_COUNT]; /* what a declared point starts with */
};

/* Written by user space while the programs run. */
struct mp_bpf_live {
	__u64 host_used; /* MemTotal - MemAvailable, bytes, last sample */
	__u64 host_base; /* that and what was spare then: less what is spare now, it is used now */
	__u64 targets_generation; /* changes when a process may have stopped being a target */
	__u64 enabled;	     /* hits count: set once all probes are in, so that pairs are whole */
	__u64 gates_open;    /* set for good when nobody is there to let a stopped process go */
	__u64 counts_events; /* events of memory cgroups are being counted */
	__u64 counts_pages;  /* BPF's: pages scanned and stolen are among them */
};

#ifndef __bpf__
_Static_assert(sizeof(struct mp_record_header) == 24, "record header");
_Static_assert(sizeof(struct mp_probe_record) % 8 == 0, "probe record padding");
_Static_assert(sizeof(struct mp_probe_record_full) % 8 == 0, "full record padding");
_Static_assert(sizeof(struct mp_process_record) == 56, "process record");
_Static_assert(sizeof(struct mp_point_record) == 176, "point record");
_Static_assert(sizeof(struct mp_oom_record) == 112, "oom record");
_Static_assert(sizeof(struct mp_in_flight_record) == 56, "in flight record");
_Static_assert(sizeof(struct mp_pressure_record) == 144, "pressure record");
_Static_assert(sizeof(struct mp_domain) == 72, "domain");
_Static_assert(sizeof(struct mp_gated) == 40, "gated process");
_Static_assert(sizeof(struct mp_watched) == 24, "watched function");
_Static_assert(sizeof(struct mp_point_config) == 40, "point config");
_Static_assert(sizeof(struct mp_usdt_arg) == 16, "usdt argument");
#endif

#endif
