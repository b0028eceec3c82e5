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
	bool no_monitor;
	const char *policy_path;	 /* of the monitor, or NULL */
	const char *const *monitor_args; /* more of them, NULL-terminated, or NULL */
	uint64_t sample_ns;		 /* between samples; 0: 100 ms */
	/* Of a run that was cut short, which this goes on with: the pattern, its time and what is
	   kept for the report; or NULL. */
	const struct mp_memory_report *earlier;
	/* Called after each sample, for a progress line; non-zero ends the run as interrupted. */
	int (*progress)(void *data, const struct mp_memory_report *so_far,
			const struct mp_want *want);
	void *data;
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
/* 0; 1: the limit was not reached; 7: OOM-killed; 130: interrupted. */
int mp_harness_exit_code(const struct mp_harness_result *result);
void mp_harness_result_free(struct mp_harness_result *result);

#endif
