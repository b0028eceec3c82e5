// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/watch.h"
#include "inject/python.h"
#include "monitor/programs.h"
#include "monitor/python.h"
#include "monitor/watchpoints.h"
#include "probe/prober.h"
#include "report/ndjson.h"

struct probes_args {
	struct mp_watch_args watch; /* the first */
	const char *binary;
};

static int set_binary(void *args, const char *value, struct mp_error *err)
{
	(void)err;
	((struct probes_args *)args)->binary = value;
	return 0;
}

static const struct mp_option options[] = {
	{"target", 't', "SPEC", "resolve in what this target has mapped, may be repeated",
	 mp_watch_set_target},
	{"binary", 'b', "PATH", "resolve in this program and its libraries", set_binary},
	{"points", 0, "FILE", "injection points (default injection_points.yaml)",
	 mp_watch_set_points},
	{"point", 'p', "POINT", "one more point, may be repeated: NAME=LEVEL@[BINARY:]SYMBOL",
	 mp_watch_set_point},
	{"python-mode", 0, "MODE",
	 "auto, inject, watchpoint or off: how Python functions are reached",
	 mp_watch_set_python_mode},
	{"format", 0, "FORMAT", "text or json (an array of site records)", mp_watch_set_format},
};

#define MP_PYTHON_FOUND_FROM 11 /* the oldest 3.x whose functions are found from outside */

struct listing {
	struct mp_points *points;
	struct mp_fsroot fs;
	struct mp_cgroups cgroups;
	struct mp_prober *prober;
	struct mp_watchpoints *watchpoints; /* finds Python functions; NULL: they are left out */
	bool injects;			    /* and would not watch them so */
	bool told_python;		    /* of injection into one */
	struct mp_python python;	    /* that is looked at */
	struct mp_error *err;
	enum mp_format format;
	struct mp_text text;
	bool first;
};

static void print_site(const struct mp_event_site *s)
{
	char binary[256];
	char symbol[256];

	mp_text_clean(s->binary ? s->binary : "-", binary, sizeof(binary));
	mp_text_clean(s->symbol ? s->symbol : "-", symbol, sizeof(symbol));
	if (s->status == MP_SITE_WAITING) {
		printf("%-30s %-8s %s\n", s->point, mp_site_status_name(s->status), s->reason);
		return;
	}
	printf("%-30s %-8s %s\n", s->point,
	       s->status == MP_SITE_FAILED ? "refused" : mp_site_kind_name(s->kind), symbol);
	if (s->offset != MP_UNKNOWN)
		printf("    %s+0x%" PRIx64 "  %s, about %s a hit\n", binary, s->offset, s->insn,
		       s->cost);
	else if (s->cost)
		printf("    %s, about %s a hit\n", binary, s->cost);
	if (s->reason)
		printf("    refused: %s\n", s->reason);
	if (s->risk)
		printf("    risk: %s\n", s->risk);
}

static int on_site(void *data, const struct mp_event *event)
{
	struct listing *l = data;
	struct mp_event stamped = *event;

	stamped.ts_ns = mp_clock_now_ns();
	stamped.realtime_ns = stamped.ts_ns + (uint64_t)mp_clock_realtime_offset_ns();

	if (l->format == MP_FORMAT_TEXT) {
		print_site(&event->site);
		return 0;
	}
	mp_text_reset(&l->text);
	mp_ndjson_write(&l->text, &stamped);
	printf("%s%.*s", l->first ? "[" : ",\n ", (int)l->text.len - 1, l->text.data);
	l->first = false;
	return 0;
}

/* --- what would be injected -------------------------------------------------------------- */

static const char *way_of(const struct mp_python *python)
{
	return python->way == MP_PYTHON_REMOTE_DEBUG
		       ? "injected by the interpreter's interface for debuggers: nothing is called "
			 "from outside"
		       : "injected by one call of Py_AddPendingCall() in the process";
}

/* The functions are found as for watchpoints; what is told of them is another thing. */
static int on_found(void *data, const struct mp_event *event)
{
	struct listing *l = data;
	struct mp_event copy = *event;

	copy.site.kind = MP_SITE_PYTHON;
	/* What only watchpoints cannot do with a function that was found, such as a fifth one. */
	if (event->site.status == MP_SITE_FAILED && event->site.binary) {
		copy.site.status = MP_SITE_ATTACHED;
		copy.site.reason = NULL;
	}
	if (copy.site.status == MP_SITE_ATTACHED) {
		copy.site.cost = MP_PYTHON_COST;
		copy.site.risk = way_of(&l->python);
	}
	return on_site(l, &copy);
}

static void tell_python(struct listing *l, enum mp_site_status status, const char *reason)
{
	for (size_t i = 0; i < l->points->n; i++) {
		const struct mp_point *point = &l->points->items[i];
		const struct mp_event event = {
			.type = MP_EVENT_SITE,
			.site = {.point = point->name,
				 .level = point->level,
				 .kind = MP_SITE_PYTHON,
				 .binary = l->python.binary,
				 .symbol = point->python,
				 .offset = MP_UNKNOWN,
				 .status = status,
				 .reason = reason},
		};

		if (point->python)
			on_site(l, &event);
	}
}

static void look_for_injection(struct listing *l, pid_t pid)
{
	struct mp_error err = {0};
	char reason[256];

	if (mp_python_inspect(&l->fs, pid, &l->python, &err))
		return;
	l->told_python = true;
	if (l->python.way == MP_PYTHON_NO_WAY) {
		tell_python(l, MP_SITE_FAILED, l->python.why);
	} else if (l->python.minor < MP_PYTHON_FOUND_FROM) {
		snprintf(reason, sizeof(reason),
			 "would be %s; which functions are loaded is not seen from outside in "
			 "Python 3.%u",
			 way_of(&l->python), l->python.minor);
		tell_python(l, MP_SITE_WAITING, reason);
	} else {
		mp_watchpoints_add(l->watchpoints, pid);
		mp_watchpoints_finish_looks(l->watchpoints, UINT64_MAX);
	}
}

/* Goes through the memory of a Python at once: nothing else waits. */
static void look_for_functions(struct listing *l, pid_t pid)
{
	if (l->watchpoints && !l->injects) {
		mp_watchpoints_add(l->watchpoints, pid);
		mp_watchpoints_finish_looks(l->watchpoints, UINT64_MAX);
	} else if (l->watchpoints) {
		look_for_injection(l, pid);
	}
}

static int add_process(void *data, const struct mp_process *process)
{
	struct listing *l = data;
	int error = mp_prober_add_process(l->prober, process->pid, l->err);

	look_for_functions(l, process->pid);
	return error == -E2BIG || error == -ENOMEM ? error : 0;
}

static int add_target(struct listing *l, struct mp_target_spec *spec)
{
	int error = mp_target_resolve(spec, &l->cgroups, l->err);

	if (error)
		return error;
	if (spec->kind == MP_TARGET_EXE)
		error = mp_programs_add(l->prober, spec->text, l->err);
	else if (spec->kind == MP_TARGET_PID)
		error = mp_prober_add_process(l->prober, spec->pid, l->err);
	if (error == -EACCES || error == -EPERM)
		return mp_fail(l->err, MP_EXIT_PRIVILEGE, EPERM,
			       "--target %s: its memory map cannot be read: CAP_SYS_PTRACE is "
			       "needed, run with sudo",
			       spec->origin);
	return error ? error : mp_target_scan(spec, &l->cgroups, add_process, l);
}

static int resolve(struct listing *l, struct probes_args *args)
{
	int error = 0;

	for (size_t i = 0; i < args->watch.n_targets && !error; i++)
		error = add_target(l, &args->watch.targets[i]);
	if (!error && args->binary) {
		error = mp_programs_add(l->prober, args->binary, l->err);
		if (error == -ENOENT)
			return mp_fail(l->err, MP_EXIT_USAGE, ENOENT, "--binary %s: %s",
				       args->binary, strerror(ENOENT));
	}
	error = error ?: mp_prober_add_candidates(l->prober, l->err);
	return error ? error : mp_prober_attach(l->prober);
}

/* Points that must resolve and do not; told on stderr. */
static size_t count_missing(const struct listing *l)
{
	size_t missing = 0;

	for (size_t i = 0; i < l->points->n; i++) {
		const struct mp_point *point = &l->points->items[i];

		if (point->optional || mp_prober_point_sites(l->prober, i) ||
		    (l->watchpoints && mp_watchpoints_point_functions(l->watchpoints, i)))
			continue;
		fprintf(stderr,
			"memprobe-bpf: %s: point \"%s\" resolves nowhere, and it is not optional\n",
			point->origin, point->name);
		missing++;
	}
	return missing;
}

static int open_watchpoints(struct listing *l, const struct probes_args *args)
{
	const struct mp_watchpoints_options o = {
		.fs = &l->fs,
		.points = l->points,
		.emit = args->watch.python_mode == MP_PYTHON_WATCHPOINT ? on_site : on_found,
		.data = l,
	};

	l->injects = args->watch.python_mode != MP_PYTHON_WATCHPOINT;
	if (args->watch.python_mode == MP_PYTHON_OFF)
		return 0;
	l->watchpoints = mp_watchpoints_new(&o);
	return l->watchpoints ? 0 : -ENOMEM;
}

static int list(struct listing *l, struct probes_args *args, bool check)
{
	struct mp_features features = {0};
	struct mp_prober_options o = {.fs = &l->fs,
				      .points = l->points,
				      .features = &features,
				      .python_elsewhere = args->watch.python_mode != MP_PYTHON_OFF,
				      .emit = on_site,
				      .data = l};
	size_t missing = 0;
	int error;

	mp_cgroups_detect(&l->fs, &l->cgroups);
	l->prober = mp_prober_new(&o);
	error = l->prober ? open_watchpoints(l, args) : -ENOMEM;
	error = error ?: resolve(l, args);
	if (!error) {
		mp_prober_emit(l->prober);
		mp_prober_emit_waiting(l->prober);
		if (l->watchpoints && !l->told_python)
			mp_watchpoints_emit_waiting(l->watchpoints);
		if (l->format == MP_FORMAT_JSON)
			printf("%s]\n", l->first ? "[" : "");
		missing = check ? count_missing(l) : 0;
	}
	mp_prober_free(l->prober);
	mp_watchpoints_free(l->watchpoints);
	mp_text_free(&l->text);
	return error ? error : missing ? MP_EXIT_CHECK : MP_EXIT_OK;
}

enum {
	VERB_LIST = 0,
	VERB_CHECK
};
static const char *const verbs[] = {[VERB_LIST] = "list", [VERB_CHECK] = "check", NULL};

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct probes_args *args = state;
	struct listing l = {.points = &args->watch.points,
			    .fs = {""},
			    .err = err,
			    .format = args->watch.format,
			    .first = true};
	int error;

	(void)rest;
	if (args->watch.n_targets == 0 && !args->binary)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--target or --binary is needed: where to look for the points");
	error = mp_watch_load_points(cli, &args->watch, err);
	return error ? error : list(&l, args, cli->verb == VERB_CHECK);
}

const struct mp_command mp_cmd_probes = {
	.name = "probes",
	.usage = "probes list|check [OPTION]...",
	.summary = "show where the injection points would be probed, at what cost and risk",
	.details = "Nothing is attached. check exits 1 when a point that is not optional resolves\n"
		   "nowhere.\n",
	.examples = "  sudo memprobe-bpf probes list --target 1234\n"
		    "  memprobe-bpf probes check --binary ./server --points points.yaml\n"
		    "  memprobe-bpf probes list --binary /usr/bin/redis-server \\\n"
		    "      --point 'alloc=high@libjemalloc.so*:malloc' --format json\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.verbs = verbs,
	.size = sizeof(struct probes_args),
	.run = run,
	.end = mp_watch_args_free,
};
