/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel side, loaded: its programs and maps behind plain functions. */
#ifndef MP_PROBE_BPF_H
#define MP_PROBE_BPF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "base/error.h"
#include "base/event.h"
#include "config/points.h"
#include "config/policy_file.h"
#include "probe/features.h"
#include "probe/site.h"

struct mp_bpf;

/* Of the ring when the caller leaves it to the policy: for rate-limited records, and for all of
 * them. */
#define MP_RING_BYTES (256ULL << 10)
#define MP_RING_BYTES_FIREHOSE (8ULL << 20)

struct mp_bpf_options {
	const struct mp_features *features;
	const struct mp_points *points;
	const struct mp_policy *policy;
	uint64_t
		ring_bytes; /* rounded up to a power of two times the page size; 0: by the policy */
	uint64_t host_bytes; /* MemTotal */
	bool follow;
	bool want_comm; /* mp_bpf_want_*() will be called */
	bool want_exe;
	bool want_cgroup;
	bool has_usdt;
	size_t max_usdt_sites;
	bool watchpoints; /* MP_PROGRAM_WATCH will be used */
	bool pressure;	  /* mp_bpf_track_pressure() will be called */
	enum mp_gate
		gate; /* what a point whose level has the gate action does: HELD with --enforce */
};

/*
 * Loads what this kernel supports; attaches nothing. -ENOMEM with exit code 6
 * when the ring is larger than the kernel gives.
 */
int mp_bpf_load(const struct mp_bpf_options *options, struct mp_bpf **ret, struct mp_error *err);
void mp_bpf_free(struct mp_bpf *bpf);

/* From now on hits count. Called when all probes are in, so that entries and returns agree. */
void mp_bpf_enable(struct mp_bpf *bpf);
/* No more hits count: called before the probes go, one after the other. */
void mp_bpf_disable(struct mp_bpf *bpf);

/* Starts to follow processes. Before the first scan, so that none is missed. */
int mp_bpf_track_processes(struct mp_bpf *bpf, struct mp_error *err);

/* Returns 1, or 0 when it is a target already. */
int mp_bpf_add_target(struct mp_bpf *bpf, pid_t pid, bool follow);
void mp_bpf_remove_target(struct mp_bpf *bpf, pid_t pid);
bool mp_bpf_is_target(const struct mp_bpf *bpf, pid_t pid);
/* Calls `fn` for every process under watch now. */
int mp_bpf_for_each_target(const struct mp_bpf *bpf, int (*fn)(void *data, pid_t pid), void *data);

int mp_bpf_want_comm(struct mp_bpf *bpf, const char *comm);
int mp_bpf_want_exe(struct mp_bpf *bpf, const char *path);
int mp_bpf_want_cgroup(struct mp_bpf *bpf, uint64_t id);

/* What BPF takes for the reclaimable part of a group's usage, and for the host's use. */
void mp_bpf_set_reclaimable(struct mp_bpf *bpf, uint64_t cgroup_id, uint64_t bytes);
void mp_bpf_set_host_used(struct mp_bpf *bpf, uint64_t bytes);

/*
 * Watches a domain (id of the limiting group, 0: the host) for pressure: crossings
 * of thresholds by any task that it charges, at the next of its page faults, and
 * reclaim. -E2BIG: too many.
 */
int mp_bpf_watch_domain(struct mp_bpf *bpf, uint64_t id);
void mp_bpf_forget_domain(struct mp_bpf *bpf, uint64_t id);
/*
 * Takes the sums that the kernel side has not told for MP_RECLAIM_EVERY_NS: those of the end of
 * a burst of reclaim. Fills in the source and its figures. False: there are none.
 */
bool mp_bpf_take_reclaim(struct mp_bpf *bpf, uint64_t id, uint64_t now_ns,
			 struct mp_event_pressure *ret);
/* From which severity on a crossing was told already: what the policy holds the domain to be at. */
void mp_bpf_set_severity(struct mp_bpf *bpf, uint64_t id, enum mp_severity severity);
/*
 * Attaches what tells of pressure. What this kernel lacks is left out (see
 * features); 0 also when nothing is left.
 */
int mp_bpf_track_pressure(struct mp_bpf *bpf, struct mp_error *err);
/*
 * Counts of pages scanned and stolen by group come with every page fault of the
 * system, so they are only taken while there is an incident.
 */
void mp_bpf_count_memcg_events(struct mp_bpf *bpf, bool on);

/*
 * For the guardian: the map of gated processes, and the map that holds `live`. That
 * one is written by way of mmap(): an update would undo what BPF keeps beside it.
 */
int mp_bpf_gated_map(const struct mp_bpf *bpf);
int mp_bpf_live_map(const struct mp_bpf *bpf);
/* Where `live.gates_open` lies in the live map's only value. */
size_t mp_bpf_gates_open_offset(const struct mp_bpf *bpf);
/*
 * Marks a gated process as let go; its calls pass until then. SIGCONT comes after
 * it: BPF takes a stop back that it finds opened. -ENOENT: it is not gated.
 */
int mp_bpf_open_gate(struct mp_bpf *bpf, pid_t pid, uint64_t pass_until_ns);

int mp_bpf_set_usdt_site(struct mp_bpf *bpf, uint32_t site, const struct mp_usdt_site *args);

/* Sums the per-CPU counters of a point. */
int mp_bpf_read_stats(const struct mp_bpf *bpf, uint32_t point, struct mp_point_stats *ret);

/*
 * Hits that were not counted, because a thread's first one found no memory for its
 * state, or because a program declared more points than there is room for.
 */
uint64_t mp_bpf_lost_hits(const struct mp_bpf *bpf);
/* Whether the second has happened. */
bool mp_bpf_lost_points(const struct mp_bpf *bpf);
/* Records lost so far: by the events ring and by the process ring. */
uint64_t mp_bpf_lost_records(const struct mp_bpf *bpf);
uint64_t mp_bpf_lost_processes(const struct mp_bpf *bpf);

/*
 * Runs of the programs that follow processes which the kernel left out, because a
 * task on that CPU had been preempted in one.
 */
uint64_t mp_bpf_missed_processes(const struct mp_bpf *bpf);

/* Whether the events ring wakes its reader for batches only: then look at it by the clock, too. */
bool mp_bpf_is_batched(const struct mp_bpf *bpf);

int mp_bpf_events_ring(const struct mp_bpf *bpf);
int mp_bpf_processes_ring(const struct mp_bpf *bpf);

enum mp_program {
	MP_PROGRAM_ENTER = 0,
	MP_PROGRAM_RETURN,
	MP_PROGRAM_LEAVE, /* at an instruction by which a function is left */
	MP_PROGRAM_USDT,
	MP_PROGRAM_MARKER, /* its cookie has an mp_phase in place of a point */
	MP_PROGRAM_WATCH,  /* for perf events of hardware watchpoints, with options.watchpoints */
	MP_PROGRAM_COUNT
};
/* Its file descriptor; -1 when it was not loaded. */
int mp_bpf_program(const struct mp_bpf *bpf, enum mp_program program);

#endif
