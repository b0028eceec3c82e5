// SPDX-License-Identifier: GPL-2.0-only
/* llama.cpp's --no-mmap: a buffer of a part's weights, read tensor by tensor. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "model/gguf_write.h"
#include "model/loader.h"

#define CHUNK_BYTES (64UL << 20) /* a call, as llama_file::read_raw() has it */
#define TENSOR_ALIGNMENT 32	 /* in ggml's buffers */

/* Returns what was read: less than asked for where the file ends. */
static MP_LOAD_POINT ssize_t read_large_file(int fd, uint8_t *to, uint64_t bytes, uint64_t offset)
{
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t left = bytes - done;
		ssize_t n = pread(fd, to + done, left < CHUNK_BYTES ? left : CHUNK_BYTES,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return (ssize_t)done;
}

static int read_tensor(const struct mp_load_tensor *tensor, const struct mp_load_part *part, int fd,
		       uint8_t *to, struct mp_error *err)
{
	ssize_t n = read_large_file(fd, to, tensor->bytes, tensor->offset);

	if (n < 0)
		return mp_fail(err, MP_EXIT_CONFIG, (int)-n, "%s: cannot be read: %s", part->path,
			       strerror((int)-n));
	if ((uint64_t)n < tensor->bytes)
		return mp_load_truncated(err, part->path, tensor->offset + (uint64_t)n,
					 part->bytes);
	return 0;
}

static uint64_t buffer_bytes(const struct mp_loaded *m, const struct mp_load_part *part)
{
	uint64_t bytes = 0;

	for (size_t i = part->first; i < part->first + part->n; i++)
		bytes += mp_gguf_padded(m->plan.tensors[i].bytes, TENSOR_ALIGNMENT);
	return bytes;
}

int mp_loader_read(struct mp_loaded *m, const struct mp_load_part *part, int fd,
		   struct mp_error *err)
{
	uint8_t *to = NULL;
	int error = mp_loaded_allocate(m, buffer_bytes(m, part), false, &to, err);

	for (size_t i = part->first; i < part->first + part->n && !error; i++) {
		const struct mp_load_tensor *tensor = &m->plan.tensors[i];

		m->weights[i] = (struct mp_load_weight){.data = to, .bytes = tensor->bytes};
		error = read_tensor(tensor, part, fd, to, err) ?: mp_load_signals_check();
		to += mp_gguf_padded(tensor->bytes, TENSOR_ALIGNMENT);
	}
	return error;
}
