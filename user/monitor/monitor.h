/* SPDX-License-Identifier: GPL-2.0-only */
/* Composition root: everything that attach and run do, around one loop. */
#ifndef MP_MONITOR_MONITOR_H
#define MP_MONITOR_MONITOR_H

#include "base/error.h"
#include "config/points.h"
#include "config/policy_file.h"
#include "monitor/output.h"
#include "report/gather.h"
#include "target/target.h"

/* How points on Python functions are reached. */
enum mp_python_mode {
	MP_PYTHON_AUTO = 0, /* as inject */
	MP_PYTHON_INJECT,
	MP_PYTHON_WATCHPOINT,
	MP_PYTHON_OFF,
	MP_PYTHON_MODE_COUNT
};
const char *mp_python_mode_name(enum mp_python_mode mode);
int mp_python_mode_parse(const char *name);

struct mp_monitor_options {
	struct mp_target_spec *targets;
	size_t n_targets;
	struct mp_points *points; /* those that programs declare are added */
	const struct mp_policy *policy;
	bool follow;
	bool enforce;	  /* gate, throttle, freeze and kill act, and are not only told */
	bool no_pressure; /* probe events alone */
	enum mp_python_mode python_mode;
	uint64_t duration_ns; /* 0: no end */
	uint64_t ring_bytes;
	struct mp_output_options output;
	bool agent; /* of libmemprobe, in the command */
	struct mp_gather
		*gather;      /* takes what a report of the run is made of; NULL: none is made */
	char *const *command; /* run: argv; NULL: attach */
};

/*
 * Runs until a signal, the duration, or the end of the last pid target or of
 * the command; a summary is put out in each case. `ret_exit_code` is what the
 * program should exit with. Errors from before the first record are returned with their exit code.
 */
int mp_monitor_run(const struct mp_monitor_options *options, int *ret_exit_code,
		   struct mp_error *err);

/* Feeds a recording through state and policy again; actions are reported, not taken. */
int mp_monitor_replay(const char *path, const struct mp_policy *policy,
		      const struct mp_output_options *output, struct mp_error *err);

#endif
