// SPDX-License-Identifier: GPL-2.0-only
#include "model/synth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/random.h"
#include "base/size.h"
#include "model/gguf_write.h"
#include "model/new_file.h"

#define BUFFER_BYTES (1UL << 20)
#define WINDOW_BYTES (32UL << 20)

struct stream {
	const struct mp_synth_options *o;
	const char *path;
	int fd;
	uint8_t *buffer;
	size_t used;
	uint64_t done, total; /* bytes in the file */
	uint64_t settled;     /* of them on the disk */
	uint64_t random;
	struct mp_error *err;
};

/* --- signals, which are held back until there is nothing to clean up ----------------------- */

static void ending_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
}

static sigset_t hold_signals(void)
{
	sigset_t set, before;

	ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	return before;
}

static void let_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}
#define HOLD_SIGNALS MP_CLEANUP(let_signals) __attribute__((unused))

static bool is_signalled(void)
{
	sigset_t set, pending;

	ending_signals(&set);
	sigpending(&pending);
	sigandset(&pending, &pending, &set);
	return !sigisemptyset(&pending);
}

/* --- to the disk ------------------------------------------------------------------------ */

static int write_failed(const struct stream *s, int errnum)
{
	return mp_fail(s->err, MP_EXIT_CHECK, errnum, "%s: writing it failed: %s", s->path,
		       strerror(errnum));
}

static int put_bytes(struct stream *s, const void *data, size_t len)
{
	int error = mp_write_all(s->fd, data, len);

	if (error)
		return write_failed(s, -error);
	s->done += len;
	return 0;
}

/*
 * The disk works while the next window is filled, so that the end is no long wait; and what it has
 * leaves the page cache, where it would count for this process's group instead of the loader's.
 */
static int settle(struct stream *s)
{
	const unsigned int all =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	while (s->done - s->settled >= 2 * WINDOW_BYTES) {
		off_t at = (off_t)s->settled;

		if (sync_file_range(s->fd, at + (off_t)WINDOW_BYTES, WINDOW_BYTES,
				    SYNC_FILE_RANGE_WRITE) ||
		    sync_file_range(s->fd, at, WINDOW_BYTES, all)) {
			if (errno == EIO || errno == ENOSPC || errno == EDQUOT)
				return write_failed(s, errno);
		}
		posix_fadvise(s->fd, at, WINDOW_BYTES, POSIX_FADV_DONTNEED);
		s->settled += WINDOW_BYTES;
	}
	return 0;
}

static int finish(struct stream *s)
{
	if (fsync(s->fd))
		return write_failed(s, errno);
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int flush(struct stream *s)
{
	int error = put_bytes(s, s->buffer, s->used);

	s->used = 0;
	error = error ?: settle(s);
	if (error)
		return error;
	if (is_signalled() || (s->o->progress && s->o->progress(s->o->data, s->done, s->total)))
		return mp_fail(s->err, MP_EXIT_INTERRUPTED, EINTR,
			       "%s: interrupted, nothing of it is left", s->path);
	return 0;
}

/* --- tensors ---------------------------------------------------------------------------- */

/* Of norms, which layers are multiplied by: 1, and up to an eighth more. */
static void fill_gains(uint64_t *state, uint8_t *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		float gain = 1 + (float)(mp_random_next(state) >> 40) * 0x1p-27F;

		memcpy(at + i * sizeof(gain), &gain, sizeof(gain));
	}
}

static bool is_gain(const struct mp_model_tensor *tensor)
{
	size_t len = strlen(tensor->name);

	return tensor->n_dims == 1 && tensor->type->id == MP_GGML_F32 && len > 7 &&
	       strcmp(tensor->name + len - 7, ".weight") == 0;
}

static void fill(struct stream *s, const struct mp_model_tensor *tensor, uint64_t n_blocks)
{
	uint8_t *at = s->buffer + s->used;

	if (is_gain(tensor))
		fill_gains(&s->random, at, n_blocks);
	else
		mp_synth_blocks(tensor->type, tensor->ne[0], &s->random, at, n_blocks);
	s->used += n_blocks * tensor->type->block_bytes;
}

static int pad(struct stream *s, uint64_t bytes)
{
	size_t padding = mp_gguf_padded(bytes, MP_GGUF_ALIGNMENT) - bytes;
	int error = BUFFER_BYTES - s->used < padding ? flush(s) : 0;

	if (error)
		return error;
	memset(s->buffer + s->used, 0, padding);
	s->used += padding;
	return 0;
}

static int put_tensor(void *data, const struct mp_model_tensor *tensor)
{
	struct stream *s = data;
	uint64_t left = tensor->bytes / tensor->type->block_bytes;
	int error = 0;

	while (left && !error) {
		uint64_t n = (BUFFER_BYTES - s->used) / tensor->type->block_bytes;

		n = n < left ? n : left;
		fill(s, tensor, n);
		left -= n;
		if (left)
			error = flush(s);
	}
	return error ?: pad(s, tensor->bytes);
}

/* --- the file ----------------------------------------------------------------------------- */

static int check_room(const struct stream *s, uint64_t need)
{
	char needed[MP_HUMAN_LEN], there[MP_HUMAN_LEN], missing[MP_HUMAN_LEN];
	struct statvfs fs;
	uint64_t room;

	if (fstatvfs(s->fd, &fs))
		return write_failed(s, errno);
	if (__builtin_mul_overflow(fs.f_bavail, fs.f_frsize, &room) || room >= need)
		return 0;
	return mp_fail(s->err, MP_EXIT_UNSUPPORTED, ENOSPC,
		       "%s: it takes %s, its disk has %s: %s are missing; take another folder, or "
		       "a smaller model by --scale",
		       s->path, mp_size_format(need, needed), mp_size_format(room, there),
		       mp_size_format(need - room, missing));
}

static int put_data(struct stream *s)
{
	int error;

	if (s->o->sparse)
		return ftruncate(s->fd, (off_t)s->total) ? write_failed(s, errno) : 0;
	error = mp_model_each_tensor(s->o->shape, s->o->level, put_tensor, s);
	return error ?: flush(s);
}

static int put_file(struct stream *s)
{
	struct mp_text MP_TEXT header = {0};
	uint64_t data_bytes;
	int error = mp_synth_header(s->o, &header, &data_bytes);

	if (error == -ENOMEM)
		return mp_fail(s->err, MP_EXIT_OOM, ENOMEM, "out of memory");
	if (error || data_bytes > INT64_MAX - header.len)
		return mp_fail(s->err, MP_EXIT_USAGE, EOVERFLOW, "%s: no model can be that large",
			       s->o->name);
	s->total = header.len + data_bytes;
	error = check_room(s, s->o->sparse ? header.len : s->total);
	error = error ?: put_bytes(s, header.data, header.len);
	error = error ?: put_data(s);
	return error ?: finish(s);
}

int mp_synth_to(const struct mp_synth_options *o, int fd, const char *path, struct mp_error *err)
{
	const sigset_t HOLD_SIGNALS before = hold_signals();
	MP_FREE uint8_t *buffer = malloc(BUFFER_BYTES);
	struct stream s = {
		.o = o, .path = path, .fd = fd, .buffer = buffer, .random = o->seed, .err = err};

	return buffer ? put_file(&s) : mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
}

static int check_place(const char *path, struct mp_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "%s: there is something else than a file; give another name", path);
	return 0;
}

static int open_failed(const char *path, int error, struct mp_error *err)
{
	bool is_missing = error == -ENOENT || error == -ENOTDIR;
	bool is_denied = error == -EACCES || error == -EPERM || error == -EROFS;

	return mp_fail(err,
		       is_missing  ? MP_EXIT_USAGE
		       : is_denied ? MP_EXIT_PRIVILEGE
				   : MP_EXIT_CHECK,
		       -error, "%s: no file can be made there: %s%s", path, strerror(-error),
		       is_missing ? ": make its folder first" : "");
}

int mp_synth(const struct mp_synth_options *o, const char *path, struct mp_error *err)
{
	const sigset_t HOLD_SIGNALS before = hold_signals();
	struct mp_new_file MP_NEW_FILE file = MP_NEW_FILE_NONE;
	int error = check_place(path, err);

	if (error)
		return error;
	error = mp_new_file_open(&file, path);
	if (error)
		return open_failed(path, error, err);
	error = mp_synth_to(o, file.fd, path, err);
	if (error)
		return error;
	error = mp_new_file_publish(&file, path);
	return error ? mp_fail(err, MP_EXIT_CHECK, -error, "%s: %s", path, strerror(-error)) : 0;
}
