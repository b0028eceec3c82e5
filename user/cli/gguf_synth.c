// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/size.h"
#include "cli/gguf.h"
#include "model/synth.h"
#include "report/json.h"

struct writing {
	bool on_terminal;
	int percent; /* that is shown; -1: nothing is */
};

static int show_progress(void *data, uint64_t done, uint64_t total)
{
	struct writing *w = data;
	int percent = (int)(100 * (double)done / (double)total);
	char written[MP_HUMAN_LEN], all[MP_HUMAN_LEN];

	if (w->on_terminal && percent != w->percent)
		fprintf(stderr, "\r%3d %%  %s of %s   ", percent, mp_size_format(done, written),
			mp_size_format(total, all));
	w->percent = percent;
	return 0;
}

/* What there is to tell of a file that was written. */
struct written {
	const char *id, *path;
	struct mp_synth_options synth;
	struct mp_model_size size;
	uint64_t file_bytes, disk_bytes, duration_ns;
};

static int print_text(const struct written *w)
{
	const struct mp_model_shape *s = w->synth.shape;
	char file[MP_HUMAN_LEN], disk[MP_HUMAN_LEN], time[MP_HUMAN_LEN];

	printf("%s: %s at %s\n", w->path, w->synth.name, w->synth.level->name);
	printf("  file      %s (%llu bytes), %s of it on the disk\n",
	       mp_size_format(w->file_bytes, file), (unsigned long long)w->file_bytes,
	       mp_size_format(w->disk_bytes, disk));
	printf("  tensors   %zu, %llu bytes\n", w->size.n_tensors,
	       (unsigned long long)w->size.tensor_bytes);
	printf("  model     %s, %u layer%s, %u tokens\n", s->architecture, s->layers,
	       s->layers == 1 ? "" : "s", s->vocab);
	printf("  contents  %s, seed %llu\n", w->synth.sparse ? "none (sparse)" : "random",
	       (unsigned long long)w->synth.seed);
	printf("  written   in %s\n", mp_duration_format(w->duration_ns, time));
	return MP_EXIT_OK;
}

static int print_json(const struct mp_gguf_args *args, const struct written *w)
{
	struct mp_text MP_TEXT text = {0};
	struct mp_json j = {.out = &text};

	mp_json_object(&j, NULL);
	mp_json_string(&j, "model_id", w->id);
	mp_json_string(&j, "level", w->synth.level->name);
	mp_json_string(&j, "path", w->path);
	mp_json_u64(&j, "file_bytes", w->file_bytes);
	mp_json_u64(&j, "disk_bytes", w->disk_bytes);
	mp_json_u64(&j, "tensor_bytes", w->size.tensor_bytes);
	mp_json_u64(&j, "n_tensors", w->size.n_tensors);
	mp_json_u64(&j, "layers", w->synth.shape->layers);
	mp_json_u64(&j, "vocab", w->synth.shape->vocab);
	mp_json_number(&j, "scale",
		       args->scale_den ? (double)args->scale_num / args->scale_den : 1);
	mp_json_bool(&j, "sparse", w->synth.sparse);
	mp_json_u64(&j, "seed", w->synth.seed);
	mp_json_u64(&j, "duration_ns", w->duration_ns);
	mp_json_object_end(&j);
	if (text.failed)
		return -ENOMEM;
	printf("%s\n", text.data);
	return MP_EXIT_OK;
}

static int check_args(const struct mp_gguf_args *args, struct mp_error *err)
{
	if (!args->model_id)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf synth: --model-id is needed: see gguf sizes for models");
	if (args->n_levels != 1)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf synth: --quant with one level is needed, such as Q4_K_M");
	if (args->file)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf synth: %s: the file's name goes to --output", args->file);
	if (!args->output)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "gguf synth: --output is needed: where the file goes");
	return 0;
}

static int write_file(const struct mp_cli *cli, struct written *w, struct mp_error *err)
{
	struct writing progress = {.on_terminal = !cli->quiet && isatty(STDERR_FILENO),
				   .percent = -1};
	uint64_t begin = mp_clock_now_ns();
	struct stat st;
	int error;

	w->synth.progress = show_progress;
	w->synth.data = &progress;
	error = mp_synth(&w->synth, w->path, err);
	if (progress.on_terminal && progress.percent >= 0)
		fputc('\n', stderr);
	if (error)
		return error;
	w->duration_ns = mp_clock_now_ns() - begin;
	if (stat(w->path, &st))
		return mp_fail(err, MP_EXIT_CHECK, errno, "%s: %s", w->path, strerror(errno));
	w->file_bytes = (uint64_t)st.st_size;
	w->disk_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

/* An interruption is an error like others, so that it is told and has its exit code. */
static void hold_interruptions(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int mp_gguf_synth(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	const struct mp_model *model;
	struct mp_model_shape shape;
	char name[MP_SYNTH_NAME_LEN];
	struct written w = {
		.path = args->output,
		.synth = {
			.name = name, .shape = &shape, .sparse = args->sparse, .seed = args->seed}};
	int error = check_args(args, err);

	error = error ?: mp_gguf_args_model(cli, args, &model, err);
	error = error ?: mp_synth_shape(model, args->scale_num, args->scale_den, &shape, name, err);
	if (error)
		return error;
	w.id = model->id;
	w.synth.level = args->levels[0];
	hold_interruptions();
	if (mp_model_size(&shape, w.synth.level, &w.size))
		return mp_fail(err, MP_EXIT_USAGE, EOVERFLOW, "%s: it is too large", model->id);
	error = write_file(cli, &w, err);
	if (error)
		return error;
	return args->format == MP_FORMAT_JSON ? print_json(args, &w) : print_text(&w);
}
