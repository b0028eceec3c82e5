/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The supervisor of a rehearsal: makes the groups, starts the filler and the program beside it, has
 * the monitor watch, plays the pattern, samples, and reports. Whatever happens to it, nothing that
 * it made stays: the journal and the guardian of the actions undo it when it is killed.
 */
#ifndef MP_HARNESS_HARNESS_H
#define MP_HARNESS_HARNESS_H

#include "base/error.h"
#include "config/profiles.h"
#include "harness/filler.h"
#include "harness/pattern.h"
#include "report/memory_report.h"

/* What percentages are of. */
enum mp_harness_of {
	MP_OF_AUTO = 0, /* the profile's limit, else the effective limit where the caller stands */
	MP_OF_CGROUP,	/* an error when no group has a limit */
	MP_OF_HOST,
};

struct mp_harness_options {
	const struct mp_pattern *pattern;
	struct mp_pattern_options pattern_options;
	bool margin_given; /* else min(500 MB, a tenth of a limit under 5 GB) */
	enum mp_harness_of of;
	const struct mp_profile *profile; /* or NULL */
	bool force; /* also when there is less memory here than the profile allows */
	struct mp_filler_options filler;
	char *const *command; /* runs in the same group as the filler; NULL: none */
	/* Called in the command's process before it runs: for its environment and descriptors. */
	void (*prepare)(void *data);
	void *prepare_data;
	bool no_monitor;
	const char *policy_path;	 /* of the monitor, or NULL */
	const char *const *monitor_args; /* more of them, NULL-terminated, or NULL */
	uint64_t sample_ns;		 /* between samples; 0: 100 ms */
	/* Of a run that was cut short, which this goes on with: the pattern, its time and what is
	   kept for the report; or NULL. */
	const struct mp_memory_report *earlier;
	bool earlier_is_whole; /* it went to its end: this is another run behind it, of one report
				*/
	/* Called after each sample, for a progress line; non-zero ends the run as interrupted. */
	int (*progress)(void *data, const struct mp_memory_report *so_far,
			const struct mp_want *want);
	void *data;
};

enum mp_harness_victim {
	MP_VICTIM_NONE = 0,
	MP_VICTIM_FILLER,
	MP_VICTIM_COMMAND,
};

/*
 * What became of the command, and of the group it was in. Bytes; MP_UNKNOWN where not known.
 * Peaks by kind are of all processes that the command became, as they were seen at each look.
 */
struct mp_harness_figures {
	enum mp_harness_victim victim; /* of the OOM killer */
	bool has_ended;		       /* by itself, before the pattern did */
	int status;		       /* of wait(2), however it ended */
	uint64_t major_faults, read_bytes;
	uint64_t peak_rss, peak_anon, peak_file, peak_shmem;
	uint64_t peak_group;			   /* usage, with page cache */
	uint64_t reclaimed_bytes, refaulted_bytes; /* of the group */
	uint64_t some_ns, full_ns;
	uint64_t begin_ns;	   /* CLOCK_MONOTONIC: time 0 of the report */
	uint64_t start_ns, end_ns; /* of this run, in the report's time */
};

/*
 * Plays the pattern once. SIGINT and SIGTERM end it early with outcome `interrupted`, and a report.
 * `*ret` is owned by the caller (mp_harness_result_free()). Errors from before the filler started
 * have their exit code: 2 (options do not fit the limit), 4 (no write access to cgroups: nothing is
 * ever filled without a limit), 6.
 */
struct mp_harness_result;
int mp_harness_run(const struct mp_harness_options *options, struct mp_harness_result **ret,
		   struct mp_error *err);
const struct mp_memory_report *mp_harness_report(const struct mp_harness_result *result);
const struct mp_harness_figures *mp_harness_figures(const struct mp_harness_result *result);
/* 0; 1: the limit was not reached, or it thrashes; 7: OOM-killed; 130: interrupted. */
int mp_harness_outcome_code(enum mp_outcome outcome);
int mp_harness_exit_code(const struct mp_harness_result *result);
void mp_harness_result_free(struct mp_harness_result *result);

/* What is left to a host of so much memory, whatever a pattern wants: bytes. */
uint64_t mp_harness_reserve(uint64_t host_bytes);

#endif
