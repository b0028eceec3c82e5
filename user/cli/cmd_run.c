// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "cli/watch.h"

static const struct mp_option options[] = {
	{"points", 0, "FILE", "injection points (default injection_points.yaml)",
	 mp_watch_set_points},
	{"point", 'p', "POINT", "one more point, may be repeated: NAME=LEVEL@[BINARY:]SYMBOL",
	 mp_watch_set_point},
	{"policy", 0, "FILE", "thresholds and actions (default policy.yaml)", mp_watch_set_policy},
	{"no-follow", 0, NULL, "do not watch the command's children", mp_watch_set_no_follow},
	{"enforce", 0, NULL, "let gate, freeze, throttle and kill act; else they are only told",
	 mp_watch_set_enforce},
	{"python-mode", 0, "MODE",
	 "auto, inject, watchpoint or off: how Python functions are reached",
	 mp_watch_set_python_mode},
	{"agent", 0, NULL,
	 "preload libmemprobe into the command, so that it gives memory back when asked",
	 mp_watch_set_agent},
	{"no-pressure", 0, NULL, "leave out the sources of memory pressure",
	 mp_watch_set_no_pressure},
	{"duration", 'd', "TIME", "stop watching after TIME; the command goes on",
	 mp_watch_set_duration},
	{"format", 0, "FORMAT", "text or json (one object a line)", mp_watch_set_format},
	{"record", 0, "FILE", "write the events to FILE as well", mp_watch_set_record},
	{"save-report", 0, NULL, "keep a report of the run", mp_watch_set_save},
	{"report-format", 0, "FORMAT", "json, csv, html or all (all)", mp_watch_set_report_format},
	{"output-dir", 0, "DIR", "where reports go (logs/memory_tests)", mp_watch_set_output_dir},
	{"ring-size", 0, "SIZE",
	 "ring buffer between kernel and monitor (default 256K; 8M when every call is shown)",
	 mp_watch_set_ring_size},
};

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	if (!rest[0])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "a command is needed: memprobe-bpf run [OPTION]... -- COMMAND...");
	return mp_watch(cli, state, rest, err);
}

const struct mp_command mp_cmd_run = {
	.name = "run",
	.usage = "run [OPTION]... -- COMMAND [ARG]...",
	.summary = "start a command and watch it from its first instruction",
	.details =
		"The probes are in place before the command starts. Exits with the command's exit\n"
		"code, or 128 + N when signal N ended it. A signal sent to memprobe-bpf is passed\n"
		"on to the command; a second one ends the watch and leaves the command running.\n"
		"With --agent every program of the command that is linked dynamically answers the\n"
		"action relieve by returning what its allocator keeps: docs/relief.md.\n",
	.examples =
		"  sudo memprobe-bpf run -- ./server --port 8080\n"
		"  sudo memprobe-bpf run --agent -- ./server --port 8080\n"
		"  sudo memprobe-bpf run --point 'step=high@libsqlite3.so*:sqlite3_step' -- \\\n"
		"      python3 app.py\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct mp_watch_args),
	.run = run,
	.end = mp_watch_args_free,
};
