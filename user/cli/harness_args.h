/* SPDX-License-Identifier: GPL-2.0-only */
/* Options that the commands which put a group under pressure share. */
#ifndef MP_CLI_HARNESS_ARGS_H
#define MP_CLI_HARNESS_ARGS_H

#include "cli/save.h"
#include "harness/harness.h"

/* The state of such a command is, or begins with, this. */
struct mp_harness_args {
	struct mp_harness_options o;
	struct mp_profiles profiles;
	const char *env;
	struct mp_save_args save;
};

int mp_harness_set_mode(void *args, const char *value, struct mp_error *err);
int mp_harness_set_step_size(void *args, const char *value, struct mp_error *err);
int mp_harness_set_interval(void *args, const char *value, struct mp_error *err);
int mp_harness_set_steps(void *args, const char *value, struct mp_error *err);
int mp_harness_set_target(void *args, const char *value, struct mp_error *err);
int mp_harness_set_duration(void *args, const char *value, struct mp_error *err);
int mp_harness_set_min(void *args, const char *value, struct mp_error *err);
int mp_harness_set_max(void *args, const char *value, struct mp_error *err);
int mp_harness_set_cycles(void *args, const char *value, struct mp_error *err);
int mp_harness_set_margin(void *args, const char *value, struct mp_error *err);
int mp_harness_set_of(void *args, const char *value, struct mp_error *err);
int mp_harness_set_entropy(void *args, const char *value, struct mp_error *err);
int mp_harness_set_cold(void *args, const char *value, struct mp_error *err);
int mp_harness_set_env(void *args, const char *value, struct mp_error *err);
int mp_harness_set_force(void *args, const char *value, struct mp_error *err);
int mp_harness_set_no_monitor(void *args, const char *value, struct mp_error *err);
int mp_harness_set_save(void *args, const char *value, struct mp_error *err);
int mp_harness_set_report_format(void *args, const char *value, struct mp_error *err);
int mp_harness_set_output_dir(void *args, const char *value, struct mp_error *err);

/* Their rows. */
#define MP_HARNESS_STEPS 20
#define MP_HARNESS_CYCLES 3
#define MP_HARNESS_OPTIONS                                                                         \
	{"step-size", 0, "MB", "staircase: of a step (100)", mp_harness_set_step_size},            \
		{"interval", 0, "TIME", "staircase: from a step to the next (1)",                  \
		 mp_harness_set_interval},                                                         \
		{"steps", 0, "N", "staircase: how many (20)", mp_harness_set_steps},               \
		{"target", 0, "PCT", "burst: how full (70)", mp_harness_set_target},               \
		{"min", 0, "PCT", "sawtooth: its lowest (30)", mp_harness_set_min},                \
		{"max", 0, "PCT", "sawtooth: its highest (70)", mp_harness_set_max},               \
		{"cycles", 0, "N", "sawtooth: how many (3)", mp_harness_set_cycles},               \
		{"duration", 'd', "TIME", "of the hold; sawtooth: of a cycle with both ramps (5)", \
		 mp_harness_set_duration},                                                         \
		{"safety-margin", 0, "MB",                                                         \
		 "never filled (500, and at most a tenth of a limit under 5 GB)",                  \
		 mp_harness_set_margin},                                                           \
		{"of", 0, "WHAT", "what percentages are of: auto, cgroup or host (auto)",          \
		 mp_harness_set_of},                                                               \
		{"entropy", 0, "PCT", "of the content: 0 zeros to 100 random (0)",                 \
		 mp_harness_set_entropy},                                                          \
		{"cold", 0, NULL, "do not touch memory again once it is filled",                   \
		 mp_harness_set_cold},                                                             \
		MP_DEVICE_OPTIONS

/* Of all that run something in a device, patterns or not. */
#define MP_DEVICE_OPTIONS                                                                          \
	{"env", 0, "PROFILE", "in a device profile: see env list", mp_harness_set_env},            \
		{"force", 0, NULL,                                                                 \
		 "--env: also when there is less memory here than the profile allows",             \
		 mp_harness_set_force},                                                            \
		{"save-report", 0, NULL, "keep a report of the run", mp_harness_set_save},         \
		{"report-format", 0, "FORMAT", "json, csv, html or all (all)",                     \
		 mp_harness_set_report_format},                                                    \
		{"output-dir", 0, "DIR", "where reports go (logs/memory_tests)",                   \
		 mp_harness_set_output_dir},                                                       \
	{                                                                                          \
		"no-monitor", 0, NULL, "do not watch meanwhile", mp_harness_set_no_monitor         \
	}

/* Whole number of seconds or a duration, above zero. */
int mp_harness_parse_time(const char *option, const char *value, uint64_t *ret,
			  struct mp_error *err);

/* What was not given, the profile, the command line behind the options, the folder of reports. */
int mp_harness_args_ready(const struct mp_cli *cli, struct mp_harness_args *args, char **rest,
			  struct mp_error *err);
void mp_harness_args_free(void *args);

#endif
