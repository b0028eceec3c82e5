// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/utsname.h>

#include "base/size.h"
#include "cgroup/cgroup.h"
#include "cli/watch.h"
#include "probe/features.h"
#include "report/json.h"
#include "source/pressure.h"

struct doctor_args {
	enum mp_format format;
};

static int set_format(void *args, const char *value, struct mp_error *err)
{
	return mp_format_parse(value, &((struct doctor_args *)args)->format, err);
}

static const struct mp_option options[] = {
	{"format", 0, "FORMAT", "text or json", set_format},
};

struct findings {
	struct utsname name;
	struct mp_features features;
	struct mp_feature_row rows[MP_FEATURE_ROWS];
	size_t n_rows;
	struct mp_cgroups cgroups;
	struct mp_pressure_support support;
	struct mp_pressure_row pressure[MP_PRESSURE_ROWS];
	size_t n_pressure;
	uint64_t total;
	uint64_t available;
	bool can_attach;
	struct mp_error verdict;
};

/* The sources are tried as the built-in policy asks for them. */
static void look_at_pressure(struct findings *f)
{
	MP_POLICY struct mp_policy policy = {0};

	if (mp_policy_default(&policy))
		return;
	mp_pressure_support_detect(&f->cgroups, &policy, &f->support);
	f->n_pressure = mp_pressure_rows(&f->support, f->pressure);
}

static void look(struct findings *f)
{
	const struct mp_fsroot fs = {""};

	uname(&f->name);
	mp_features_detect(&fs, &f->features);
	f->n_rows = mp_features_rows(&f->features, f->rows);
	if (mp_cgroups_detect(&fs, &f->cgroups))
		f->cgroups = (struct mp_cgroups){.fs = fs};
	look_at_pressure(f);
	if (mp_host_memory(&fs, &f->total, &f->available)) {
		f->total = MP_UNKNOWN;
		f->available = MP_UNKNOWN;
	}
	f->can_attach = mp_features_require(&f->features, &f->verdict) == 0;
}

static void print_pressure(const struct findings *f)
{
	char window[MP_HUMAN_LEN];

	printf("\npressure\n");
	for (size_t i = 0; i < f->n_pressure; i++) {
		const struct mp_pressure_row *row = &f->pressure[i];

		printf("%-5s %-17s %s\n", row->live ? "ok" : "-", row->name,
		       row->live ? row->meaning : row->without);
	}
	if (f->support.psi_trigger)
		printf("%-5s %-17s %s\n", "", "psi window",
		       mp_duration_format(f->support.psi_window_ns, window));
}

static void print_text(const struct findings *f)
{
	char total[MP_HUMAN_LEN];
	char available[MP_HUMAN_LEN];

	printf("kernel   %s (%s)\n", f->name.release, f->name.machine);
	printf("memory   %s, %s available\n", mp_size_format(f->total, total),
	       mp_size_format(f->available, available));
	printf("cgroups  %s%s%s\n\n", mp_cgroup_mode_name(f->cgroups.mode),
	       f->cgroups.memory_mount[0] ? ", memory at " : "", f->cgroups.memory_mount);
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct mp_feature_row *row = &f->rows[i];

		printf("%-5s %-17s %s\n",
		       row->present    ? "ok"
		       : row->required ? "NO"
				       : "-",
		       row->name, row->present ? row->meaning : row->without);
	}
	if (!f->features.initial_pid_namespace)
		printf("%-5s %-17s %s\n", "NO", "pid_namespace",
		       "this is not the host's: pids here are not the kernel's; run on the host");
	print_pressure(f);
	printf("\n%s\n", f->can_attach ? "attach works here." : f->verdict.text);
}

static void add_pressure(struct mp_json *j, const struct findings *f)
{
	mp_json_array(j, "pressure");
	for (size_t i = 0; i < f->n_pressure; i++) {
		const struct mp_pressure_row *row = &f->pressure[i];

		mp_json_object(j, NULL);
		mp_json_string(j, "name", row->name);
		mp_json_bool(j, "live", row->live);
		mp_json_string(j, "meaning", row->meaning);
		mp_json_string(j, "without", row->without);
		mp_json_object_end(j);
	}
	mp_json_array_end(j);
	mp_json_u64(j, "psi_window_ns",
		    f->support.psi_trigger ? f->support.psi_window_ns : MP_UNKNOWN);
}

static void print_json(const struct findings *f)
{
	MP_TEXT struct mp_text text = {0};
	struct mp_json j = {.out = &text};

	mp_json_object(&j, NULL);
	mp_json_string(&j, "version", MP_VERSION);
	mp_json_string(&j, "kernel", f->name.release);
	mp_json_string(&j, "machine", f->name.machine);
	mp_json_string(&j, "cgroup_mode", mp_cgroup_mode_name(f->cgroups.mode));
	mp_json_u64(&j, "memory_total", f->total);
	mp_json_u64(&j, "memory_available", f->available);
	mp_json_bool(&j, "initial_pid_namespace", f->features.initial_pid_namespace);
	mp_json_array(&j, "features");
	for (size_t i = 0; i < f->n_rows; i++) {
		const struct mp_feature_row *row = &f->rows[i];

		mp_json_object(&j, NULL);
		mp_json_string(&j, "name", row->name);
		mp_json_bool(&j, "present", row->present);
		mp_json_bool(&j, "required", row->required);
		mp_json_string(&j, "meaning", row->meaning);
		mp_json_string(&j, "without", row->without);
		mp_json_object_end(&j);
	}
	mp_json_array_end(&j);
	add_pressure(&j, f);
	mp_json_bool(&j, "can_attach", f->can_attach);
	mp_json_string(&j, "reason", f->can_attach ? NULL : f->verdict.text);
	mp_json_object_end(&j);
	printf("%s\n", text.data);
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	const struct doctor_args *args = state;
	struct findings f = {0};

	(void)cli;
	(void)rest;
	(void)err;
	look(&f);
	if (args->format == MP_FORMAT_JSON)
		print_json(&f);
	else
		print_text(&f);
	return f.can_attach ? MP_EXIT_OK : (int)f.verdict.exit_code;
}

const struct mp_command mp_cmd_doctor = {
	.name = "doctor",
	.usage = "doctor [--format json]",
	.summary = "tell what this machine can do, what is missing and what is used instead",
	.details =
		"Exits 0 when attach can work, 4 when a privilege is missing, 6 when the kernel\n"
		"lacks something that is needed.\n",
	.examples = "  sudo memprobe-bpf doctor\n"
		    "  sudo memprobe-bpf doctor --format json\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.size = sizeof(struct doctor_args),
	.run = run,
};
