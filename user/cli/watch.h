/* SPDX-License-Identifier: GPL-2.0-only */
/* Options that attach and run share. */
#ifndef MP_CLI_WATCH_H
#define MP_CLI_WATCH_H

#include "cli/cli.h"
#include "cli/save.h"
#include "config/points.h"
#include "monitor/monitor.h"

#define MP_MAX_TARGETS 64

struct mp_watch_args {
	struct mp_target_spec targets[MP_MAX_TARGETS];
	size_t n_targets;
	struct mp_points points; /* of --point */
	const char *points_file;
	const char *policy_file;
	bool follow;
	bool no_follow;
	bool enforce;
	bool no_pressure;
	enum mp_python_mode python_mode;
	bool agent;
	uint64_t duration_ns;
	uint64_t ring_bytes;
	enum mp_format format;
	const char *record;
	const char *replay;
	struct mp_save_args save;
};

int mp_watch_set_target(void *args, const char *value, struct mp_error *err);
int mp_watch_set_points(void *args, const char *value, struct mp_error *err);
int mp_watch_set_point(void *args, const char *value, struct mp_error *err);
int mp_watch_set_policy(void *args, const char *value, struct mp_error *err);
int mp_watch_set_follow(void *args, const char *value, struct mp_error *err);
int mp_watch_set_no_follow(void *args, const char *value, struct mp_error *err);
int mp_watch_set_enforce(void *args, const char *value, struct mp_error *err);
int mp_watch_set_no_pressure(void *args, const char *value, struct mp_error *err);
int mp_watch_set_python_mode(void *args, const char *value, struct mp_error *err);
int mp_watch_set_agent(void *args, const char *value, struct mp_error *err);
int mp_watch_set_duration(void *args, const char *value, struct mp_error *err);
int mp_watch_set_ring_size(void *args, const char *value, struct mp_error *err);
int mp_watch_set_format(void *args, const char *value, struct mp_error *err);
int mp_watch_set_record(void *args, const char *value, struct mp_error *err);
int mp_watch_set_save(void *args, const char *value, struct mp_error *err);
int mp_watch_set_report_format(void *args, const char *value, struct mp_error *err);
int mp_watch_set_output_dir(void *args, const char *value, struct mp_error *err);

/* "text" or "json", for the commands that list things. */
int mp_format_parse(const char *value, enum mp_format *ret, struct mp_error *err);

/* The points: --points FILE and --point; the default file when neither was given. */
int mp_watch_load_points(const struct mp_cli *cli, struct mp_watch_args *args,
			 struct mp_error *err);
int mp_watch_load_policy(const struct mp_cli *cli, const struct mp_watch_args *args,
			 struct mp_policy *ret, struct mp_error *err);

/* The `end` of commands whose state is, or begins with, a struct mp_watch_args. */
void mp_watch_args_free(void *args);

/* Loads the files and watches; `command` is NULL for attach. Returns the exit code or a negative
 * errno. */
int mp_watch(const struct mp_cli *cli, struct mp_watch_args *args, char *const *command,
	     struct mp_error *err);

#endif
