// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "cli/watch.h"

static int set_replay(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_watch_args *)args)->replay = value;
	return 0;
}

static const struct mp_option options[] = {
	{"target", 't', "SPEC",
	 "what to watch, may be repeated: PID, comm:NAME, exe:PATH, cgroup:PATH, container:ID",
	 mp_watch_set_target},
	{"points", 0, "FILE", "injection points (default injection_points.yaml)",
	 mp_watch_set_points},
	{"point", 'p', "POINT", "one more point, may be repeated: NAME=LEVEL@[BINARY:]SYMBOL",
	 mp_watch_set_point},
	{"policy", 0, "FILE", "thresholds and actions (default policy.yaml)", mp_watch_set_policy},
	{"follow", 'f', NULL, "watch the children of targets, too", mp_watch_set_follow},
	{"enforce", 0, NULL, "let gate, freeze, throttle and kill act; else they are only told",
	 mp_watch_set_enforce},
	{"python-mode", 0, "MODE",
	 "auto, inject, watchpoint or off: how Python functions are reached",
	 mp_watch_set_python_mode},
	{"no-pressure", 0, NULL, "leave out the sources of memory pressure",
	 mp_watch_set_no_pressure},
	{"duration", 'd', "TIME", "stop after TIME: 30, 1.5s, 10m, 2h", mp_watch_set_duration},
	{"format", 0, "FORMAT", "text or json (one object a line)", mp_watch_set_format},
	{"record", 0, "FILE", "write the events to FILE as well", mp_watch_set_record},
	{"save-report", 0, NULL, "keep a report of the run", mp_watch_set_save},
	{"report-format", 0, "FORMAT", "json, csv, html or all (all)", mp_watch_set_report_format},
	{"output-dir", 0, "DIR", "where reports go (logs/memory_tests)", mp_watch_set_output_dir},
	{"replay", 0, "FILE", "instead of watching, feed a recording to the policy", set_replay},
	{"ring-size", 0, "SIZE",
	 "ring buffer between kernel and monitor (default 256K; 8M when every call is shown)",
	 mp_watch_set_ring_size},
};

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct mp_watch_args *args = state;

	(void)rest;
	if (args->replay && args->n_targets)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--replay reads a recording: it goes without --target");
	if (!args->replay && args->n_targets == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--target is needed: what to watch, such as --target 1234 or "
			       "--target comm:redis-server");
	return mp_watch(cli, args, NULL, err);
}

const struct mp_command mp_cmd_attach = {
	.name = "attach",
	.usage = "attach --target SPEC [OPTION]...",
	.summary = "watch running processes, and those that match later",
	.details =
		"Every call of an injection point is counted; events are shown as often as the\n"
		"point's level allows. Stops at SIGINT, SIGTERM, --duration, or when the last pid\n"
		"target ends, with a summary of exact totals. The targets are not changed, and\n"
		"not stopped unless --enforce lets the policy do so.\n",
	.examples =
		"  sudo memprobe-bpf attach --target 1234\n"
		"  sudo memprobe-bpf attach --target comm:redis-server -d 10 \\\n"
		"      --point 'alloc=high@libjemalloc.so*:malloc'\n"
		"  sudo memprobe-bpf attach --target cgroup:/app --policy strict.yaml --enforce\n"
		"  sudo memprobe-bpf attach --target 1234 --record run.ndjson\n"
		"  sudo memprobe-bpf attach --target 1234 -d 60 --save-report\n"
		"  memprobe-bpf attach --replay run.ndjson --policy stricter.yaml\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.size = sizeof(struct mp_watch_args),
	.run = run,
	.end = mp_watch_args_free,
};
