// SPDX-License-Identifier: GPL-2.0-only
/* Any header of a GGUF file as one whose shape, level and sizes are asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/quant.h"

#define FILE_BYTES (1ULL << 62) /* as if the data of any tensors were there */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_message(const struct mp_error *err)
{
	require(err->exit_code == MP_EXIT_CONFIG || err->exit_code == MP_EXIT_UNSUPPORTED);
	require(strncmp(err->text, "F: ", 3) == 0 && !strpbrk(err->text, "\n\033"));
}

static void try_sizes(const struct mp_gguf_file *file)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	for (size_t i = 0; i < n; i++) {
		struct mp_error err = {.text = ""};
		struct mp_model_size size;

		if (mp_gguf_size(file, &levels[i], &size, &err))
			require_message(&err);
		else
			require(size.repack_bytes <= size.tensor_bytes);
	}
}

static void try_shape(const struct mp_gguf_file *file)
{
	struct mp_error err = {.text = ""};
	struct mp_model_shape shape;

	if (mp_gguf_shape(file, &shape, &err)) {
		require_message(&err);
		require(mp_gguf_level(file) == NULL);
		return;
	}
	require(mp_model_shape_wrong(&shape) == NULL && shape.architecture[0]);
	require(shape.rope_base > 0 && shape.rms_eps > 0);
	(void)mp_gguf_level(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[] = "F";
	struct mp_gguf_part part = {.path = path};
	const struct mp_gguf_file file = {.parts = &part, .n_parts = 1};
	struct mp_model_size bytes;

	if (mp_gguf_parse(data, size, FILE_BYTES, path, &part.gguf, NULL))
		return 0;
	require(mp_gguf_size(&file, NULL, &bytes, NULL) == 0);
	require(bytes.tensor_bytes == part.gguf.tensor_bytes);
	require(bytes.n_tensors == part.gguf.n_tensors);
	try_shape(&file);
	try_sizes(&file);
	mp_gguf_free(&part.gguf);
	return 0;
}
