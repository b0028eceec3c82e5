/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct mp_event: the one form in which everything that happens travels
 * through the program: from a source, or from a recording, to state, policy,
 * output and report. docs/events.md describes the same as JSON.
 *
 * Strings are borrowed: they live until the function that was handed the event
 * returns. They may hold foreign bytes; whoever prints them cleans them.
 * Sizes are bytes. Unknown is MP_UNKNOWN for unsigned values, MP_UNKNOWN_DELTA
 * for signed ones, NULL for strings, a negative number for percentages.
 */
#ifndef MP_BASE_EVENT_H
#define MP_BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define MP_EVENT_VERSION 1

enum mp_event_type {
	MP_EVENT_START = 0,
	MP_EVENT_SITE,
	MP_EVENT_PROBE,
	MP_EVENT_PROCESS,
	MP_EVENT_PRESSURE,
	MP_EVENT_OOM,
	MP_EVENT_DECISION,
	MP_EVENT_ACTION,
	MP_EVENT_LOST,
	MP_EVENT_SUMMARY,
	MP_EVENT_STOP,
	MP_EVENT_TYPE_COUNT
};

enum mp_site_kind {
	MP_SITE_UPROBE = 0,
	MP_SITE_USDT,
	MP_SITE_PYTHON,	    /* a wrapper in the interpreter, by way of markers */
	MP_SITE_WATCHPOINT, /* a Python function's first bytecode */
	MP_SITE_KIND_COUNT
};

enum mp_site_status {
	MP_SITE_ATTACHED = 0,
	MP_SITE_WAITING, /* no binary with it yet; attached when one appears */
	MP_SITE_FAILED,
	MP_SITE_STATUS_COUNT
};

enum mp_action_result {
	MP_RESULT_DONE = 0,
	MP_RESULT_WOULD, /* needs --enforce, or this is a replay */
	MP_RESULT_FAILED,
	MP_RESULT_SKIPPED,
	MP_RESULT_COUNT
};

/* Whether a call of a critical point was stopped before its first instruction. */
enum mp_gate {
	MP_GATE_NONE = 0,
	MP_GATE_WOULD, /* with --enforce it would have been */
	MP_GATE_HELD,
	MP_GATE_COUNT
};

struct mp_event_start {
	const char *version;
	const char *kernel;
	const char *cgroup_mode;    /* v1, v2, hybrid, none */
	const char *const *targets; /* as given */
	size_t n_targets;
	const char *const *features; /* e.g. "uprobe_multi" */
	size_t n_features;
	/* Of the policy, percent of a limit, from 1 on; less in [MP_SEVERITY_WARNING]: not known.
	 */
	double threshold_pct[MP_SEVERITY_COUNT];
};

/* Stands for all points that programs tell of by the markers of one file. */
#define MP_MARKED_POINTS "memprobe:*"

struct mp_event_site {
	const char *point;
	enum mp_level level;
	enum mp_site_kind kind;
	const char *binary; /* as the target sees it */
	const char *symbol; /* demangled where it is mangled */
	uint64_t offset;    /* of the probe in the file */
	const char *insn;   /* class of the first instruction */
	const char *cost;   /* cost class, see docs/probes.md */
	const char *risk;   /* NULL: none known */
	enum mp_site_status status;
	const char *reason; /* of waiting or failed */
};

struct mp_event_arg {
	const char *name;
	enum mp_arg_type type;
	uint64_t value;	 /* u64, s64 (as its bits), ptr */
	const char *str; /* type str; NULL when it could not be read */
};

struct mp_event_probe {
	const char *point;
	enum mp_level level;
	enum mp_phase phase;
	uint32_t pid;
	uint32_t tid;
	const char *comm;
	const char *cgroup;	  /* path of the task's memory cgroup */
	const char *limit_cgroup; /* the group whose limit it is, the domain; NULL: the host */
	uint64_t rss;		  /* anon + file + shmem */
	uint64_t rss_anon;
	uint64_t rss_file;
	uint64_t rss_shmem;
	uint64_t swap;
	uint64_t usage;
	uint64_t working_set;
	uint64_t limit;
	double usage_pct;     /* of working_set in limit */
	uint64_t duration_ns; /* exit, where its entry was seen */
	int64_t rss_delta;
	int64_t usage_delta;
	enum mp_gate gate;
	uint64_t gate_deadline_ns; /* from ts_ns on; MP_UNKNOWN without a gate */
	uint64_t size; /* bytes that the call asks for, by its size argument; MP_UNKNOWN: none */
	const struct mp_event_arg *args;
	size_t n_args;
	const struct mp_event_arg *ret; /* NULL: none */
	const uint64_t *stack;		/* return addresses, innermost first */
	size_t n_stack;
	const char *const *stack_text; /* the same, symbolized; NULL before that */
};

/*
 * Memory pressure on a domain, whatever noticed it. Figures that its source
 * does not have are unknown. Counts are increments since the source's last record.
 */
struct mp_event_pressure {
	enum mp_pressure_source source;
	const char *cgroup; /* the domain: the group whose limit it is; NULL: the host */
	uint32_t pid;	    /* the task that filled or reclaimed; 0: not known */
	const char *comm;
	bool is_target;
	uint64_t usage;
	uint64_t working_set;
	uint64_t limit;
	double usage_pct;   /* of working_set in limit */
	uint64_t window_ns; /* that stalls and reclaim are counted over */
	double some_pct;    /* share of it in which some task was stalled on memory */
	double full_pct;    /* … in which all were */
	uint64_t stall_ns;  /* of all tasks together */
	uint64_t reclaims;
	uint64_t reclaimed_pages;
	uint64_t pgscan; /* memory cgroup event counts */
	uint64_t pgsteal;
	uint64_t pgmajfault;
	uint64_t low; /* memory.events */
	uint64_t high;
	uint64_t max;
	uint64_t oom;
	uint64_t oom_kill;
	const char *v1_level; /* memory.pressure_level: low, medium, critical; oom of oom_control */
	uint64_t incident; /* number of the incident in this domain, from 1; 0: not numbered yet */
	bool repeated;	   /* the incident was known before this record */
};

#define MP_EXIT_STATUS_UNKNOWN (-1)

struct mp_event_process {
	enum mp_process_op op;
	uint32_t pid;
	uint32_t parent;
	int exit_code; /* as wait(2) gives it; or MP_EXIT_STATUS_UNKNOWN */
	const char *comm;
};

/* A call that a thread of an OOM victim was inside of. */
struct mp_in_flight {
	const char *point;
	uint32_t tid;
	uint64_t duration_ns; /* until the thread ended */
	int64_t rss_delta;    /* of the process, from the entry to when it was chosen */
};

/* What was decided and done about a victim's domain before it was killed, newest last. */
struct mp_history_entry {
	uint64_t ts_ns;
	bool is_action;
	enum mp_severity severity;    /* of a decision */
	enum mp_action_result result; /* of an action */
	const char
		*text; /* the decision's reason; the action's name, and its detail if it has one */
};

/* memory.events of a group, in total. */
struct mp_cgroup_events {
	uint64_t low;
	uint64_t high;
	uint64_t max;
	uint64_t oom;
	uint64_t oom_kill;
};

struct mp_event_oom {
	uint32_t pid; /* the victim */
	const char *comm;
	const char *cgroup;
	bool is_target;
	int64_t oom_score_adj; /* MP_UNKNOWN_DELTA: the kernel does not tell, as comm and rss */
	uint64_t rss;	       /* when it was chosen */
	uint64_t rss_anon;
	uint64_t rss_file;
	uint64_t rss_shmem;
	uint64_t swap;
	uint32_t by_pid; /* who asked for the memory that there was not */
	const char *by_comm;
	const struct mp_in_flight *in_flight; /* a thread's outermost call first */
	size_t n_in_flight;
	const struct mp_history_entry *history;
	size_t n_history;
	struct mp_cgroup_events events; /* of its cgroup, after the kill */
};

struct mp_event_decision {
	enum mp_severity severity;
	enum mp_severity previous;
	enum mp_level level;
	const char *point;
	uint32_t pid; /* 0: the domain as a whole */
	const char *cgroup;
	const char *limit_cgroup; /* the domain; NULL: the host */
	const char *reason;	  /* a short sentence */
	double usage_pct;	  /* evidence */
	uint64_t working_set;
	uint64_t limit;
	double some_pct; /* instantaneous stall, negative: not known */
	double full_pct;
	uint64_t latency_ns; /* from the event to the decision; MP_UNKNOWN in a replay */
};

struct mp_event_action {
	const char *action; /* log, stack, hook:/path … */
	enum mp_action_result result;
	const char *point;
	uint32_t pid;
	const char *cgroup;
	const char *limit_cgroup; /* the domain, when its usage was measured; NULL: the host */
	uint64_t freed_bytes;	  /* usage_before - usage_after, at least 0 */
	uint64_t usage_before;	  /* of the domain */
	uint64_t usage_after;
	double some_before_pct; /* its instantaneous stall; negative: not known */
	double some_after_pct;
	uint64_t duration_ns;
	const char *detail;
	const char *const *stack; /* action stack: symbolized frames, innermost first */
	size_t n_stack;
};

struct mp_event_lost {
	const char *source; /* ring, output, record … */
	uint64_t count;
};

struct mp_summary_point {
	const char *point;
	enum mp_level level;
	uint64_t hits;
	uint64_t returns;
	uint64_t emitted; /* enter and exit records together */
	uint64_t suppressed;
	uint64_t lost;
	struct mp_phase_stats phase[MP_COUNTED_PHASES];
	uint64_t missed;
	uint64_t duration_p50_ns; /* MP_UNKNOWN without a return */
	uint64_t duration_p99_ns;
	uint64_t duration_max_ns;
	int64_t rss_total;
	int64_t rss_max;
};

struct mp_event_summary {
	const struct mp_summary_point *points;
	size_t n_points;
	uint64_t duration_ns; /* from the start */
	uint64_t received;    /* probe records that reached user space */
	bool complete;	      /* everything emitted was received and put out */
};

struct mp_event_stop {
	const char *reason; /* a word: signal, duration, target_exit, error */
	int exit_code;
};

struct mp_event {
	enum mp_event_type type;
	uint64_t ts_ns;	      /* CLOCK_MONOTONIC */
	uint64_t realtime_ns; /* since 1970, UTC */
	union {
		struct mp_event_start start;
		struct mp_event_site site;
		struct mp_event_probe probe;
		struct mp_event_process process;
		struct mp_event_pressure pressure;
		struct mp_event_oom oom;
		struct mp_event_decision decision;
		struct mp_event_action action;
		struct mp_event_lost lost;
		struct mp_event_summary summary;
		struct mp_event_stop stop;
	};
};

/* Takes one event; returns 0 or a negative errno. */
typedef int (*mp_event_fn)(void *data, const struct mp_event *event);

/* A pressure event of that source with nothing known yet. */
struct mp_event_pressure mp_event_pressure_blank(enum mp_pressure_source source);

const char *mp_event_type_name(enum mp_event_type type);
const char *mp_site_kind_name(enum mp_site_kind kind);
const char *mp_site_status_name(enum mp_site_status status);
const char *mp_action_result_name(enum mp_action_result result);
const char *mp_process_op_name(enum mp_process_op op);
const char *mp_gate_name(enum mp_gate gate);
const char *mp_pressure_source_name(enum mp_pressure_source source);
int mp_event_type_parse(const char *name);
int mp_site_kind_parse(const char *name);
int mp_site_status_parse(const char *name);
int mp_action_result_parse(const char *name);
int mp_process_op_parse(const char *name);
int mp_gate_parse(const char *name);
int mp_pressure_source_parse(const char *name);

#endif
