// SPDX-License-Identifier: GPL-2.0-only
/* A model in memory: its weights by one of the loaders, copies of some, and what decoding needs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/size.h"
#include "model/loader.h"

/* What --loader exec runs is no business of ours. */
static const mp_loader_fn loaders[MP_LOADER_COUNT] = {
	[MP_LOADER_MMAP] = mp_loader_mmap,
	[MP_LOADER_READ] = mp_loader_read,
};

int mp_loaded_keep(struct mp_loaded *m, void *begin, size_t bytes, struct mp_error *err)
{
	if (MP_RESERVE_ONE(m->regions, m->n_regions, m->cap_regions)) {
		munmap(begin, bytes);
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "no memory for a list of mappings");
	}
	m->regions[m->n_regions++] = (struct mp_load_region){.begin = begin, .bytes = bytes};
	return 0;
}

static MP_LOAD_POINT int allocate(struct mp_loaded *m, uint64_t bytes, bool written, uint8_t **ret,
				  struct mp_error *err)
{
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char size[MP_HUMAN_LEN];
	int error;

	if (room == MAP_FAILED)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM,
			       "no memory for %s: a smaller level, or a smaller --context",
			       mp_size_format(bytes, size));
	error = mp_loaded_keep(m, room, bytes, err);
	if (error)
		return error;
	if (written)
		memset(room, 0, bytes);
	*ret = room;
	return 0;
}

int mp_loaded_allocate(struct mp_loaded *m, uint64_t bytes, bool written, uint8_t **ret,
		       struct mp_error *err)
{
	return allocate(m, bytes, written, ret, err);
}

void mp_loaded_free(struct mp_loaded *m)
{
	for (size_t i = 0; i < m->n_regions; i++)
		munmap(m->regions[i].begin, m->regions[i].bytes);
	free(m->regions);
	free(m->weights);
	mp_load_plan_free(&m->plan);
	memset(m, 0, sizeof(*m));
}

/* --- loading ------------------------------------------------------------------------------- */

static uint64_t repacked_bytes(const struct mp_loaded *m, const struct mp_load_part *part)
{
	uint64_t bytes = 0;

	for (size_t i = part->first; i < part->first + part->n; i++)
		bytes += m->plan.tensors[i].repacked ? m->plan.tensors[i].bytes : 0;
	return bytes;
}

/* From here on passes read the copies; what they were made of stays mapped. */
static int repack(struct mp_loaded *m, const struct mp_load_part *part, struct mp_error *err)
{
	uint64_t bytes = repacked_bytes(m, part);
	uint8_t *to = NULL;
	int error = bytes ? allocate(m, bytes, false, &to, err) : 0;

	if (!to)
		return error;
	for (size_t i = part->first; i < part->first + part->n && !error; i++) {
		struct mp_load_weight *weight = &m->weights[i];

		if (!m->plan.tensors[i].repacked)
			continue;
		memcpy(to, weight->data, weight->bytes);
		weight->data = to;
		to += weight->bytes;
		error = mp_load_signals_check();
	}
	return error;
}

int mp_load_truncated(struct mp_error *err, const char *path, uint64_t bytes, uint64_t expected)
{
	return mp_fail(err, MP_EXIT_CONFIG, EBADMSG,
		       "%s: truncated to %lu bytes while it was in use: it had %lu", path, bytes,
		       expected);
}

static int open_part(const struct mp_load_part *part, int *ret, struct mp_error *err)
{
	MP_CLOSE int fd = open(part->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return mp_fail(err, MP_EXIT_TARGET, errno, "%s: %s", part->path, strerror(errno));
	if ((uint64_t)st.st_size < part->bytes)
		return mp_load_truncated(err, part->path, (uint64_t)st.st_size, part->bytes);
	*ret = mp_take_fd(&fd);
	return 0;
}

static MP_LOAD_POINT int load_shard(struct mp_loaded *m, const struct mp_load_part *part,
				    mp_loader_fn loader, struct mp_error *err)
{
	MP_CLOSE int fd = -1;
	int error = open_part(part, &fd, err);

	error = error ?: loader(m, part, fd, err);
	error = error ?: mp_load_signals_check();
	return error ?: repack(m, part, err);
}

/* As llama.cpp does, which clears it. */
static MP_LOAD_POINT int allocate_cache(struct mp_loaded *m, struct mp_error *err)
{
	return m->plan.kv ? allocate(m, m->plan.kv, true, &m->kv, err) : 0;
}

static int allocate_compute(struct mp_loaded *m, struct mp_error *err)
{
	return m->plan.compute ? allocate(m, m->plan.compute, true, &m->compute, err) : 0;
}

static MP_LOAD_POINT int load_model(const struct mp_load_options *options, struct mp_loaded *m,
				    struct mp_error *err)
{
	int error = mp_load_plan_make(options, &m->plan, err);

	if (error)
		return error;
	m->weights = calloc(m->plan.n_tensors, sizeof(*m->weights));
	if (!m->weights)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "no memory for a list of tensors");
	for (size_t i = 0; i < m->plan.n_parts && !error; i++)
		error = load_shard(m, &m->plan.parts[i], loaders[options->loader], err);
	error = error ?: allocate_cache(m, err);
	return error ?: allocate_compute(m, err);
}

int mp_loaded_make(const struct mp_load_options *options, struct mp_loaded *m, struct mp_error *err)
{
	if (!loaders[options->loader])
		return mp_fail(err, MP_EXIT_USAGE, EINVAL, "loader %s is a command's to run",
			       mp_loader_name(options->loader));
	return load_model(options, m, err);
}
