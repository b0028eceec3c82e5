// SPDX-License-Identifier: GPL-2.0-only
/* gguf advise: which level of quantization fits a device, and by what arithmetic. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cgroup/cgroup.h"
#include "cli/advise.h"
#include "cli/gguf.h"
#include "model/disk.h"

#define SELF "/proc/self/exe"

struct device {
	struct mp_profiles profiles;
	const struct mp_profile *profile; /* or NULL */
	char *group;			  /* whose limit it is; NULL: of the option, or the host */
	const char *of;			  /* what the limit is, in words */
};

struct disk {
	struct mp_disk_speed speed;
	const char *path; /* that it was measured on */
	int error;	  /* why it is not known, or 0 */
};

static void device_free(struct device *device)
{
	mp_profiles_free(&device->profiles);
	free(device->group);
}

/* --- the device ---------------------------------------------------------------------------- */

/* The limit that holds for whoever asks, and what is in use of it now. */
static int take_here(struct device *device, struct mp_advice_input *input, struct mp_error *err)
{
	const struct mp_fsroot fs = {""};
	struct mp_cgroups cg;
	struct mp_domain_sample now;
	uint64_t limit;
	int error;

	if (mp_cgroups_detect(&fs, &cg))
		cg = (struct mp_cgroups){.fs = fs};
	error = mp_domain_of_pid(&cg, getpid(), &limit, &device->group);
	error = error ?: mp_domain_sample(&cg, device->group, &now);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "how much memory there is here cannot be told (%s): use --limit or "
			       "--env",
			       strerror(-error));
	device->of = device->group ? device->group : "the host";
	input->limit = now.limit;
	input->used = now.working_set;
	return 0;
}

static int take_device(const struct mp_cli *cli, const struct mp_gguf_args *args,
		       struct device *device, struct mp_advice_input *input, struct mp_error *err)
{
	int error;

	if (args->env && args->limit)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf advise: a --limit or the one of --env, not both");
	error = mp_cli_find_profile(cli, args->env, &device->profiles, &device->profile, err);
	if (error)
		return error;
	if (device->profile) {
		device->of = device->profile->name;
		input->limit = device->profile->limit_bytes;
	} else if (args->limit) {
		device->of = "--limit";
		input->limit = args->limit;
	} else {
		error = take_here(device, input, err);
	}
	input->margin = args->margin_given ? args->margin : mp_advice_margin(input->limit);
	return error;
}

/* --- its disk ------------------------------------------------------------------------------ */

/*
 * On the file itself; of a model without one on this program, which is what is surely there: where
 * models will be is not known yet.
 */
static void measure_disk(const struct mp_advising *a, struct disk *ret)
{
	ret->path = a->path ? a->path : SELF;
	for (size_t i = 0; a->model && i < a->model->n_paths; i++) {
		if (access(a->model->paths[i].path, R_OK) == 0)
			ret->path = a->model->paths[i].path;
	}
	ret->error = mp_disk_measure(ret->path, &ret->speed);
}

static const char *disk_name(const struct disk *disk)
{
	return strcmp(disk->path, SELF) == 0 ? "this program" : disk->path;
}

static const char *why_unknown(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		return "it lies in memory";
	case -ENODATA:
		return "it has holes, or is too small";
	default:
		return strerror(-error);
	}
}

/* --- what is said beside it ---------------------------------------------------------------- */

static void warn(const struct mp_advising *a)
{
	const struct mp_advice_input *input = &a->input;
	uint64_t kv = mp_kv_bytes(input->shape, input->context, input->kv_type);
	char human[MP_HUMAN_LEN];

	if (input->shape->context_length && input->context > input->shape->context_length)
		fprintf(stderr,
			"memprobe-bpf: warning: --context %u is more than the %u tokens that the "
			"model was trained for\n",
			input->context, input->shape->context_length);
	if (kv > mp_advice_usable(input))
		fprintf(stderr,
			"memprobe-bpf: warning: the cache of %u tokens alone takes %s, more than "
			"may be taken: a smaller --context, or --kv-type q8_0\n",
			input->context, mp_size_format(kv, human));
}

/* --- text ---------------------------------------------------------------------------------- */

static void print_head(const struct mp_advising *a, const struct device *device,
		       const struct disk *disk)
{
	char name[1024], of[1024], on[1024], x[MP_HUMAN_LEN], y[MP_HUMAN_LEN], z[MP_HUMAN_LEN];
	char usable[MP_HUMAN_LEN];
	const struct mp_advice_input *input = &a->input;

	mp_text_clean(a->model ? a->model->id : a->path, name, sizeof(name));
	mp_text_clean(device->of, of, sizeof(of));
	mp_text_clean(disk_name(disk), on, sizeof(on));
	printf("model   %s: %s, %u layers, %s weights\n", name, a->shape.architecture,
	       a->shape.layers, mp_count_format(mp_model_parameters(&a->shape), x));
	printf("context %u tokens, cache of %s%s%s\n", input->context,
	       mp_kv_type_name(input->kv_type), input->repack ? "" : ", --no-repack",
	       input->no_mmap ? ", --no-mmap" : "");
	printf("device  %s of %s: %s in use, %s left free, %s usable\n",
	       mp_size_format(input->limit, x), of, mp_size_format(input->used, y),
	       mp_size_format(input->margin, z), mp_size_format(mp_advice_usable(input), usable));
	if (disk->error)
		printf("disk    not known: measured on %s, and %s\n\n", on,
		       why_unknown(disk->error));
	else
		printf("disk    %s/s, measured on %s\n\n", mp_size_format(disk->speed.per_s, x),
		       on);
}

static void print_row(const char *name, const struct mp_quant_level *level,
		      const struct mp_level_advice *a, bool best)
{
	char weights[MP_HUMAN_LEN], must[MP_HUMAN_LEN], comfortable[MP_HUMAN_LEN];
	char rise[MP_HUMAN_LEN] = "-", speed[MP_HUMAN_LEN] = "-";

	if (level && !isnan(level->perplexity))
		snprintf(rise, sizeof(rise), "+%.4f", level->perplexity);
	if (!isnan(a->most_per_s))
		snprintf(speed, sizeof(speed), "%.2g/s", a->most_per_s);
	printf("%-9s %9s %9s %11s  %-10s %8s %7s%s\n", name,
	       mp_size_format(a->tensor_bytes, weights), mp_size_format(a->must, must),
	       mp_size_format(a->comfortable, comfortable), mp_fit_name(a->fit), rise, speed,
	       best ? "  <-" : "");
}

static const char legend[] =
	"\n"
	"MUST         anonymous memory: with less it is OOM-killed\n"
	"COMFORTABLE  with the weights: with less they are read again for every token\n"
	"PPL+         rise of perplexity over F16, by llama.cpp's table of Llama-3-8B\n"
	"AT MOST      tokens a second, by the disk, when weights are read again\n"
	"\n";

static void print_table(const struct mp_advising *a)
{
	printf("%-9s %9s %9s %11s  %-10s %8s %7s\n", "LEVEL", "WEIGHTS", "MUST", "COMFORTABLE",
	       "FIT", "PPL+", "AT MOST");
	if (a->path)
		print_row("as it is", a->own, &a->as_it_is.levels[0], false);
	for (size_t i = 0; i < a->advice.n; i++) {
		const struct mp_level_advice *level = &a->advice.levels[i];

		print_row(level->level->name, level->level, level, level == a->advice.best);
	}
	fputs(legend, stdout);
}

static void explain(struct mp_text *out, const struct mp_advising *a)
{
	if (a->path)
		mp_advice_explain(out, &a->input, &a->as_it_is.levels[0]);
	for (size_t i = 0; i < a->advice.n; i++)
		mp_advice_explain(out, &a->input, &a->advice.levels[i]);
	mp_text_putc(out, '\n');
}

static int print_text(const struct mp_advising *a, const struct device *device,
		      const struct disk *disk, bool with_arithmetic, struct mp_error *err)
{
	MP_TEXT struct mp_text text = {0};

	if (with_arithmetic)
		explain(&text, a);
	mp_advising_say(&text, a);
	if (text.failed)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	print_head(a, device, disk);
	print_table(a);
	printf("%s\n", text.data);
	return 0;
}

/* --- JSON ---------------------------------------------------------------------------------- */

static void put_device(struct mp_json *j, const struct device *device,
		       const struct mp_advice_input *input)
{
	mp_json_object(j, "device");
	mp_json_string(j, "profile_name", device->profile ? device->profile->name : NULL);
	mp_json_string(j, "cgroup", device->group);
	mp_json_u64(j, "limit", input->limit);
	mp_json_u64(j, "used", input->used);
	mp_json_u64(j, "margin", input->margin);
	mp_json_u64(j, "usable", mp_advice_usable(input));
	mp_json_object_end(j);
}

static void put_disk(struct mp_json *j, const struct disk *disk)
{
	mp_json_object(j, "disk");
	mp_json_u64(j, "bytes_per_second", disk->error ? UINT64_MAX : disk->speed.per_s);
	mp_json_string(j, "measured_on", disk->path);
	mp_json_u64(j, "read_bytes", disk->speed.read_bytes);
	mp_json_string(j, "unknown_because", disk->error ? why_unknown(disk->error) : NULL);
	mp_json_object_end(j);
}

static int print_json(const struct mp_advising *a, const struct device *device,
		      const struct disk *disk, struct mp_error *err)
{
	MP_TEXT struct mp_text text = {0};
	struct mp_json j = {.out = &text};

	mp_json_object(&j, NULL);
	mp_advising_put(&j, a);
	mp_json_string(&j, "kv_type", mp_kv_type_name(a->input.kv_type));
	mp_json_bool(&j, "repack", a->input.repack);
	mp_json_bool(&j, "no_mmap", a->input.no_mmap);
	mp_json_u64(&j, "n_ubatch", a->input.n_ubatch);
	mp_json_u64(&j, "trained_context", a->shape.context_length);
	put_device(&j, device, &a->input);
	put_disk(&j, disk);
	mp_json_object_end(&j);
	if (text.failed)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	printf("%s\n", text.data);
	return 0;
}

int mp_gguf_advise(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	struct device MP_CLEANUP(device_free) device = {0};
	MP_ADVISING struct mp_advising a = {0};
	struct disk disk = {0};
	int error = mp_advising_find(cli, "gguf advise", args->model_id, args->file, &a, err);

	error = error ?: take_device(cli, args, &device, &a.input, err);
	if (error)
		return error;
	if (args->context_given)
		a.input.context = args->context;
	a.input.kv_type = args->kv_type;
	a.input.repack = !args->no_repack;
	a.input.no_mmap = args->no_mmap;
	measure_disk(&a, &disk);
	a.input.disk_per_s = disk.error ? 0 : disk.speed.per_s;
	error = mp_advising_work_out(&a, args->levels, args->n_levels, err);
	if (error)
		return error;
	if (!cli->quiet)
		warn(&a);
	error = args->format == MP_FORMAT_JSON ? print_json(&a, &device, &disk, err)
					       : print_text(&a, &device, &disk, args->explain, err);
	return error ?: mp_advising_fits(&a) ? MP_EXIT_OK : MP_EXIT_CHECK;
}
