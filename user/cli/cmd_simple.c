// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cli/harness_args.h"

static const struct mp_option options[] = {
	{"mode", 'm', "MODE", "staircase, burst, sawtooth or allocate_full", mp_harness_set_mode},
	MP_HARNESS_OPTIONS,
};

static void print_phases(const struct mp_memory_report *r)
{
	char duration[MP_HUMAN_LEN];

	printf("%-12s %9s %11s %11s %9s\n", "phase", "from", "requested", "achieved", "off");
	for (size_t i = 0; i < r->n_phases; i++) {
		const struct mp_memory_phase *p = &r->phases[i];

		printf("%-12s %9s %9.2f %% %9.2f %% %+7.2f %%\n", p->name,
		       mp_duration_format(p->start_ns, duration), p->requested_pct, p->achieved_pct,
		       p->error_pct);
	}
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	struct mp_harness_args *args = state;
	struct mp_harness_result *result;
	struct mp_report_name name = {0};
	int exit_code;
	int error;

	if (!args->o.pattern)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--mode is needed: staircase, burst, sawtooth or allocate_full");
	error = mp_harness_args_ready(cli, args, rest, err);
	error = error ?: mp_harness_run(&args->o, &result, err);
	if (error)
		return error;
	if (!cli->quiet)
		print_phases(mp_harness_report(result));
	printf("%s\n", mp_harness_report(result)->verdict);
	error = mp_save_report(cli, &args->save, mp_harness_report(result), &name, err);
	exit_code = mp_harness_exit_code(result);
	mp_harness_result_free(result);
	return error ? error : exit_code;
}

const struct mp_command mp_cmd_simple = {
	.name = "simple",
	.usage = "simple --mode MODE [OPTION]... [-- COMMAND [ARG]...]",
	.summary = "memory pressure by a pattern, with a verdict",
	.details = "Takes memory as the pattern says, in a group below the one that this runs in\n"
		   "(below the profile's with --env), watches what becomes of it, and tells what\n"
		   "was reached. Nothing outside that group runs out of memory by it.\n",
	.examples =
		"  memprobe-bpf simple --mode staircase --step-size 50 --steps 10\n"
		"  memprobe-bpf simple --mode burst --target 80 --duration 10 --env 2gb-extreme\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.size = sizeof(struct mp_harness_args),
	.run = run,
	.end = mp_harness_args_free,
};
