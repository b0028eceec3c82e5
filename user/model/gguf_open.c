// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files, and models that are split over several. A header is read where it is mapped, since its
 * vocabulary alone takes several megabytes: those pages are the page cache's, which takes them back
 * under pressure, and count as nobody's anonymous memory. The little that is of use later is copied
 * and the mapping is gone when the file is open: whoever cuts the file short then (a download that
 * begins anew, cp over it) ends nobody with SIGBUS. For the few milliseconds of the reading itself
 * nothing but a handler for the whole process would help, which is not a library's to set.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "model/gguf_internal.h"

#define SUFFIX "-%05u-of-%05u.gguf"
#define SUFFIX_LEN (sizeof("-00001-of-00003.gguf") - 1)

/* What a part says about itself. */
struct split {
	uint64_t no; /* from 0 */
	uint64_t n;  /* 0: it is the whole model */
	uint64_t n_tensors;
};

static void close_part(struct mp_gguf_part *part)
{
	mp_gguf_free(&part->gguf);
	free(part->kept);
	free(part->path);
	*part = (struct mp_gguf_part){.path = NULL};
}

static int fail_open(const char *path, int errnum, struct mp_error *err)
{
	return mp_fail(err, errnum == EACCES ? MP_EXIT_PRIVILEGE : MP_EXIT_TARGET, errnum,
		       "%s: cannot open: %s", path, strerror(errnum));
}

/* O_NONBLOCK: a FIFO would have us wait for a writer. */
static int open_regular(const char *path, uint64_t *ret_bytes, struct mp_error *err)
{
	MP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_open(path, errno, err);
	if (!S_ISREG(st.st_mode))
		return mp_fail(err, MP_EXIT_TARGET, EINVAL, "%s: not a regular file", path);
	if (st.st_size == 0)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "%s: not a GGUF file: it is empty",
			       path);
	*ret_bytes = (uint64_t)st.st_size;
	return mp_take_fd(&fd);
}

static int read_part(struct mp_gguf_part *part, struct mp_error *err)
{
	MP_CLOSE int fd = open_regular(part->path, &part->file_bytes, err);
	void *map;
	int error;

	if (fd < 0)
		return fd;
	map = mmap(NULL, part->file_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return fail_open(part->path, errno, err);
	error = mp_gguf_parse(map, part->file_bytes, part->file_bytes, part->path, &part->gguf,
			      err);
	if (!error && mp_gguf_detach(&part->gguf, &part->kept))
		error = mp_fail(err, MP_EXIT_OOM, ENOMEM, "%s: out of memory", part->path);
	munmap(map, part->file_bytes);
	return error;
}

/* Takes over `path`, which may be NULL: no memory. */
static int open_part(char *path, struct mp_gguf_part *ret, struct mp_error *err)
{
	struct mp_gguf_part part = {.path = path};
	int error;

	if (!path)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	error = read_part(&part, err);
	if (error) {
		close_part(&part);
		return error;
	}
	*ret = part;
	return 0;
}

static int read_split_key(const struct mp_gguf_part *part, const char *key, uint64_t *ret,
			  struct mp_error *err)
{
	int error = mp_gguf_u64(&part->gguf, key, ret);

	if (error == -ENOENT)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "%s: %s is missing", part->path, key);
	if (error || *ret > INT32_MAX)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "%s: %s is no number that can be",
			       part->path, key);
	return 0;
}

static int read_split(const struct mp_gguf_part *part, struct split *ret, struct mp_error *err)
{
	struct split split = {.n = 0};
	int error;

	*ret = split;
	if (!mp_gguf_find(&part->gguf, "split.count"))
		return 0;
	error = read_split_key(part, "split.count", &split.n, err);
	if (!error && split.n < 2)
		return 0;
	error = error ?: read_split_key(part, "split.no", &split.no, err);
	error = error ?: read_split_key(part, "split.tensors.count", &split.n_tensors, err);
	if (error)
		return error;
	if (split.n > UINT16_MAX || split.no >= split.n)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
			       "%s: split.no %" PRIu64 " and split.count %" PRIu64
			       " are of no part that can be",
			       part->path, split.no, split.n);
	*ret = split;
	return 0;
}

/* The path of part `no`, by that of another; NULL: no memory. */
static char *path_of_part(const char *path, uint64_t no, uint64_t n)
{
	char *made;

	if (asprintf(&made, "%.*s" SUFFIX, (int)(strlen(path) - SUFFIX_LEN), path,
		     (unsigned int)no + 1, (unsigned int)n) < 0)
		return NULL;
	return made;
}

/* The others are found by their names, so it must have the one that belongs to its number. */
static int check_name(const char *path, const struct split *split, struct mp_error *err)
{
	char suffix[64];
	size_t len = strlen(path);

	snprintf(suffix, sizeof(suffix), SUFFIX, (unsigned int)split->no + 1,
		 (unsigned int)split->n);
	if (len > SUFFIX_LEN && strcmp(path + len - SUFFIX_LEN, suffix) == 0)
		return 0;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: part %" PRIu64 " of %" PRIu64
		       ", so its name must end in %s for the others to be found",
		       path, split->no + 1, split->n, suffix);
}

static int check_part(const struct mp_gguf_part *part, const struct split *want, uint64_t no,
		      struct mp_error *err)
{
	struct split split;
	int error = read_split(part, &split, err);

	if (error)
		return error;
	if (split.n == 0)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
			       "%s: a whole model, where part %" PRIu64 " of %" PRIu64 " belongs",
			       part->path, no + 1, want->n);
	if (split.no == no && split.n == want->n && split.n_tensors == want->n_tensors)
		return 0;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: part %" PRIu64 " of %" PRIu64 " with %" PRIu64
		       " tensors in all, where part %" PRIu64 " of %" PRIu64 " with %" PRIu64
		       " belongs",
		       part->path, split.no + 1, split.n, split.n_tensors, no + 1, want->n,
		       want->n_tensors);
}

static int open_other(const char *path, const struct split *split, uint64_t no,
		      struct mp_gguf_part *ret, struct mp_error *err)
{
	int error = open_part(path_of_part(path, no, split->n), ret, err);

	if (error == -ENOENT) {
		/* It was found what was asked for; it is not whole. */
		if (err)
			err->exit_code = MP_EXIT_CONFIG;
		return -EBADMSG;
	}
	return error ?: check_part(ret, split, no, err);
}

static int open_others(struct mp_gguf_file *file, const struct split *split, struct mp_error *err)
{
	const char *path = file->parts[split->no].path;

	for (size_t no = 0; no < file->n_parts; no++) {
		int error =
			no == split->no ? 0 : open_other(path, split, no, &file->parts[no], err);

		if (error)
			return error;
	}
	return 0;
}

/* Keys of the first are of all; one that repeats the architecture must mean the same model. */
static int check_architecture(const struct mp_gguf_file *file, size_t no, struct mp_error *err)
{
	struct mp_gguf_string first;
	struct mp_gguf_string other;

	if (mp_gguf_text(&file->parts[no].gguf, MP_GGUF_KEY_ARCHITECTURE, &other) ||
	    mp_gguf_text(&file->parts[0].gguf, MP_GGUF_KEY_ARCHITECTURE, &first) ||
	    mp_gguf_same(&other, first.data, first.len))
		return 0;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: of another model: its architecture is \"%.*s\", and \"%.*s\" in part 1",
		       file->parts[no].path, (int)other.len, other.data, (int)first.len,
		       first.data);
}

static size_t part_of_tensor(const struct mp_gguf_file *file, size_t tensor)
{
	size_t no = 0;

	while (tensor >= file->parts[no].gguf.n_tensors)
		tensor -= file->parts[no++].gguf.n_tensors;
	return no;
}

static int check_names(const struct mp_gguf_file *file, struct mp_error *err)
{
	MP_FREE struct mp_gguf_string *names = calloc(file->n_tensors + 1, sizeof(*names));
	size_t first;
	size_t second;
	size_t n = 0;
	int found = -ENOMEM;

	for (size_t no = 0; names && no < file->n_parts; no++) {
		for (size_t i = 0; i < file->parts[no].gguf.n_tensors; i++)
			names[n++] = file->parts[no].gguf.tensors[i].name;
	}
	if (names)
		found = mp_gguf_find_twins(names, sizeof(*names), n, &first, &second);
	if (found < 0)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "%s: out of memory", file->parts[0].path);
	if (!found)
		return 0;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: its tensor \"%.*s\" is in part %zu as well",
		       file->parts[part_of_tensor(file, second)].path, (int)names[second].len,
		       names[second].data, part_of_tensor(file, first) + 1);
}

static void add_up(struct mp_gguf_file *file)
{
	for (size_t i = 0; i < file->n_parts; i++) {
		file->n_tensors += file->parts[i].gguf.n_tensors;
		file->tensor_bytes += file->parts[i].gguf.tensor_bytes;
		file->file_bytes += file->parts[i].file_bytes;
	}
}

static int check_whole(const struct mp_gguf_file *file, const struct split *split,
		       struct mp_error *err)
{
	for (size_t no = 1; no < file->n_parts; no++) {
		int error = check_architecture(file, no, err);

		if (error)
			return error;
	}
	if (split->n == 0 || file->n_tensors == split->n_tensors)
		return file->n_parts > 1 ? check_names(file, err) : 0;
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: %zu tensors in its %zu parts, where split.tensors.count is %" PRIu64,
		       file->parts[0].path, file->n_tensors, file->n_parts, split->n_tensors);
}

/* The part at `path` tells how many there are, and which of them it is. */
static int open_given(const char *path, struct mp_gguf_part *ret, struct split *ret_split,
		      struct mp_error *err)
{
	int error = open_part(strdup(path), ret, err);

	if (error)
		return error;
	error = read_split(ret, ret_split, err);
	if (!error && ret_split->n)
		error = check_name(path, ret_split, err);
	if (error)
		close_part(ret);
	return error;
}

static int open_all(const char *path, struct mp_gguf_file *file, struct mp_error *err)
{
	struct mp_gguf_part given = {.path = NULL};
	struct split split = {.n = 0};
	int error = open_given(path, &given, &split, err);

	if (error)
		return error;
	file->parts = calloc(split.n ?: 1, sizeof(*file->parts));
	if (!file->parts) {
		close_part(&given);
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "%s: out of memory", path);
	}
	file->n_parts = split.n ?: 1;
	file->parts[split.no] = given;
	error = open_others(file, &split, err);
	add_up(file);
	return error ?: check_whole(file, &split, err);
}

int mp_gguf_open(const char *path, struct mp_gguf_file *ret, struct mp_error *err)
{
	struct mp_gguf_file file = {.parts = NULL};
	int error = open_all(path, &file, err);

	if (error) {
		mp_gguf_close(&file);
		return error;
	}
	*ret = file;
	return 0;
}

void mp_gguf_close(struct mp_gguf_file *file)
{
	for (size_t i = 0; i < file->n_parts; i++)
		close_part(&file->parts[i]);
	free(file->parts);
	*file = (struct mp_gguf_file){.parts = NULL};
}
