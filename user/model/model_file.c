// SPDX-License-Identifier: GPL-2.0-only
#include "model/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/fsroot.h"
#include "base/size.h"
#include "model/new_file.h"

#define TEMPORARY_DIR "/var/tmp" /* on a disk, where /tmp is often memory */

/* What is wanted, and in which words. */
struct wanted {
	const struct mp_model *model;
	const struct mp_quant_level *level;
	const struct mp_model_file_options *options;
	struct mp_model_shape shape;
	struct mp_synth_options synth;
	char name[MP_SYNTH_NAME_LEN];
	char file_name[MP_SYNTH_NAME_LEN + 64];
	struct mp_error *err;
};

static void MP_PRINTF(2, 3) tell(const struct wanted *w, const char *fmt, ...)
{
	char note[PATH_MAX + 512];
	va_list ap;

	if (!w->options->tell)
		return;
	va_start(ap, fmt);
	vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	w->options->tell(w->options->data, note);
}

/* --- any file --------------------------------------------------------------------------- */

static void drop(struct mp_model_file *file)
{
	mp_gguf_close(&file->gguf);
	if (file->is_temporary) {
		unlink(file->path);
		mp_close_p(&file->fd);
	}
	free(file->path);
	*file = (struct mp_model_file){0};
}
#define MODEL_FILE MP_CLEANUP(drop)

void mp_model_file_release(struct mp_model_file *file)
{
	drop(file);
}

int mp_model_file_open(const char *path, struct mp_model_file *ret, struct mp_error *err)
{
	struct mp_model_file MODEL_FILE file = {.path = strdup(path)};
	uint64_t seed;
	int error;

	if (!file.path)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	error = mp_gguf_open(path, &file.gguf, err);
	error = error ?: mp_gguf_shape(&file.gguf, &file.shape, err);
	if (error)
		return error;
	file.level = mp_gguf_level(&file.gguf);
	file.is_synthesized = mp_gguf_u64(&file.gguf.parts[0].gguf, MP_SYNTH_SEED, &seed) == 0;
	*ret = file;
	file = (struct mp_model_file){0};
	return 0;
}

/* --- files that are there ----------------------------------------------------------------- */

static const char *other_dimension(const struct mp_model_shape *is,
				   const struct mp_model_shape *should, uint64_t *ret_is,
				   uint64_t *ret_should)
{
	const struct {
		const char *name;
		uint64_t is, should;
	} dimensions[] = {
		{"layers", is->layers, should->layers},
		{"hidden", is->hidden, should->hidden},
		{"ff", is->ff, should->ff},
		{"heads", is->heads, should->heads},
		{"kv_heads", is->kv_heads, should->kv_heads},
		{"head_dim", is->head_dim, should->head_dim},
		{"vocab", is->vocab, should->vocab},
		{"tied", is->tied, should->tied},
	};

	for (size_t i = 0; i < MP_ARRAY_SIZE(dimensions); i++) {
		if (dimensions[i].is != dimensions[i].should) {
			*ret_is = dimensions[i].is;
			*ret_should = dimensions[i].should;
			return dimensions[i].name;
		}
	}
	return NULL;
}

/* A mix of its own is taken for the level that it is named for. */
static int check_real(const struct wanted *w, struct mp_model_file *file)
{
	const struct mp_model_shape *is = &file->shape;
	uint64_t has, should;
	const char *dimension;

	if (strcmp(is->architecture, w->shape.architecture) != 0)
		return mp_fail(w->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: it is no %s: its architecture is %s, not %s", file->path,
			       w->model->id, is->architecture, w->shape.architecture);
	dimension = other_dimension(is, &w->shape, &has, &should);
	if (dimension)
		return mp_fail(w->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: it is no %s: %s is %llu, not %llu", file->path, w->model->id,
			       dimension, (unsigned long long)has, (unsigned long long)should);
	if (file->level && file->level != w->level)
		return mp_fail(w->err, MP_EXIT_CONFIG, EINVAL, "%s: it is of level %s, not %s",
			       file->path, file->level->name, w->level->name);
	if (!file->level)
		tell(w, "%s is of a mix of its own, and taken for %s", file->path, w->level->name);
	return 0;
}

static int get_real(const struct wanted *w, const char *path, struct mp_model_file *ret)
{
	struct mp_model_file MODEL_FILE file = {0};
	int error = mp_model_file_open(path, &file, w->err);

	error = error ?: check_real(w, &file);
	if (error)
		return error;
	*ret = file;
	file = (struct mp_model_file){0};
	return 0;
}

static const char *listed_path(const struct wanted *w)
{
	for (size_t i = 0; i < w->model->n_paths; i++) {
		if (strcasecmp(w->model->paths[i].level, w->level->name) == 0)
			return w->model->paths[i].path;
	}
	return NULL;
}

/* --- files that are made ------------------------------------------------------------------ */

static int open_made(const struct wanted *w, const char *path, struct mp_model_file *file)
{
	int error;

	file->path = file->path ?: strdup(path);
	if (!file->path)
		return mp_fail(w->err, MP_EXIT_OOM, ENOMEM, "out of memory");
	error = mp_gguf_open(path, &file->gguf, w->err);
	if (error)
		return error;
	file->is_synthesized = true;
	file->shape = w->shape;
	file->level = w->level;
	return 0;
}

/* 1: the header and the size are those that are written today. */
static int is_as_written(const struct wanted *w, const char *path)
{
	struct mp_text MP_TEXT header = {0};
	MP_FREE char *found = NULL;
	MP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t data_bytes;
	struct stat st;
	int error = mp_synth_header(&w->synth, &header, &data_bytes);

	if (error)
		return error;
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	found = malloc(header.len);
	if (!found)
		return -ENOMEM;
	return (uint64_t)st.st_size == header.len + data_bytes &&
	       pread(fd, found, header.len, 0) == (ssize_t)header.len &&
	       memcmp(found, header.data, header.len) == 0;
}

/* Whether a file that is there was made by this program, so that it may be written over. */
static int is_made(const char *path, bool *ret, struct mp_error *err)
{
	struct mp_gguf_file file = {0};
	uint64_t seed;
	int error = mp_gguf_open(path, &file, err);

	if (error)
		return error;
	*ret = mp_gguf_u64(&file.parts[0].gguf, MP_SYNTH_SEED, &seed) == 0;
	mp_gguf_close(&file);
	return 0;
}

static void tell_writing(const struct wanted *w, const char *dir, const char *until)
{
	char size[MP_HUMAN_LEN];
	struct statfs fs;
	uint64_t bytes;

	if (mp_synth_bytes(&w->synth, &bytes))
		return;
	tell(w, "writing %s at %s, %s, to %s%s", w->name, w->level->name,
	     mp_size_format(bytes, size), dir, until);
	if (statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		tell(w,
		     "%s is in memory: nothing there is ever read from a disk; take a folder on "
		     "one",
		     dir);
}

static int make_kept(const struct wanted *w, const char *path, struct mp_model_file *file)
{
	int error = mp_make_dirs(w->options->dir);

	if (error)
		return mp_fail(w->err, MP_EXIT_PRIVILEGE, -error, "%s: it cannot be made: %s",
			       w->options->dir, strerror(-error));
	tell_writing(w, w->options->dir, ", where it is kept");
	error = mp_synth(&w->synth, path, w->err);
	return error ?: open_made(w, path, file);
}

static int get_kept(const struct wanted *w, struct mp_model_file *file)
{
	char path[PATH_MAX];
	bool made = true;
	int error;

	if (snprintf(path, sizeof(path), "%s/%s", w->options->dir, w->file_name) >=
	    (int)sizeof(path))
		return mp_fail(w->err, MP_EXIT_USAGE, ENAMETOOLONG,
			       "%s: a name that long cannot be", w->options->dir);
	if (access(path, F_OK))
		return make_kept(w, path, file);
	error = is_made(path, &made, w->err);
	if (error || !made)
		return error ?: get_real(w, path, file);
	return is_as_written(w, path) == 1 ? open_made(w, path, file) : make_kept(w, path, file);
}

/* --- files that are gone at the end --------------------------------------------------------- */

/*
 * Other processes can follow a link into this one's descriptors as long as it is one that they may
 * look into: one that has got privileges by its file is none.
 */
static bool others_may_look(void)
{
	return prctl(PR_GET_DUMPABLE) == 1;
}

/* A name for a file without one: loaders tell models by it, and some by its end. */
static int link_to(const struct wanted *w, const char *path, int fd)
{
	char target[64];

	snprintf(target, sizeof(target), "/proc/%d/fd/%d", getpid(), fd);
	if (symlink(target, path) == 0)
		return 0;
	return mp_fail(w->err, MP_EXIT_CHECK, errno, "%s: %s", path, strerror(errno));
}

static int make_nameless(const struct wanted *w, const char *path, int dir_fd,
			 struct mp_model_file *file)
{
	MP_CLOSE int fd = dir_fd;
	int error = mp_synth_to(&w->synth, fd, path, w->err);

	error = error ?: link_to(w, path, fd);
	if (error)
		return error;
	file->is_temporary = true;
	file->fd = mp_take_fd(&fd);
	return open_made(w, path, file);
}

static int make_named(const struct wanted *w, const char *path, struct mp_model_file *file)
{
	int error = mp_synth(&w->synth, path, w->err);

	if (error)
		return error;
	file->is_temporary = true;
	file->fd = -1;
	return open_made(w, path, file);
}

static int make_temporary(const struct wanted *w, struct mp_model_file *file)
{
	const char *dir = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd = -1;

	dir = dir && *dir ? dir : TEMPORARY_DIR;
	if (snprintf(path, sizeof(path), "%s/memprobe-%d-%llx-%s", dir, getpid(),
		     (unsigned long long)mp_clock_now_ns(), w->file_name) >= (int)sizeof(path))
		return mp_fail(w->err, MP_EXIT_USAGE, ENAMETOOLONG, "TMPDIR: %s is too long", dir);
	file->path = strdup(path);
	if (!file->path)
		return mp_fail(w->err, MP_EXIT_OOM, ENOMEM, "out of memory");
	tell_writing(w, dir, ", until the end");
	if (others_may_look() && mp_new_file_open_nameless(dir, &fd) == 0)
		return make_nameless(w, path, fd, file);
	return make_named(w, path, file);
}

/* --- what is wanted ------------------------------------------------------------------------- */

/* As the model's name is, but that no path is in it. */
static void set_file_name(struct wanted *w)
{
	const struct mp_model_file_options *o = w->options;
	char part[64] = "";

	if (o->scale_den)
		snprintf(part, sizeof(part), "-%uof%u", o->scale_num, o->scale_den);
	snprintf(w->file_name, sizeof(w->file_name), "%s%s-%s.gguf", w->model->id, part,
		 w->level->name);
}

static int get(const struct wanted *w, struct mp_model_file *file)
{
	const char *listed = w->options->scale_den ? NULL : listed_path(w);

	if (listed && access(listed, F_OK) == 0)
		return get_real(w, listed, file);
	if (listed)
		tell(w, "%s of %s is not there: a file is made instead", listed, w->model->origin);
	return w->options->dir ? get_kept(w, file) : make_temporary(w, file);
}

int mp_model_file_get(const struct mp_model *model, const struct mp_quant_level *level,
		      const struct mp_model_file_options *options, struct mp_model_file *ret,
		      struct mp_error *err)
{
	struct wanted w = {.model = model, .level = level, .options = options, .err = err};
	struct mp_model_file MODEL_FILE file = {0};
	int error = mp_synth_shape(model, options->scale_num, options->scale_den, &w.shape, w.name,
				   err);

	if (error)
		return error;
	set_file_name(&w);
	w.synth = (struct mp_synth_options){.name = w.name, .shape = &w.shape, .level = level};
	error = get(&w, &file);
	if (error)
		return error;
	*ret = file;
	file = (struct mp_model_file){0};
	return 0;
}
