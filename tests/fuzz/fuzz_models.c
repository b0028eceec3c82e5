// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as models.yaml: what comes of it has sizes at every level, or none at all. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "model/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_model(const struct mp_models *models, const struct mp_model *model)
{
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	require(model->id[0] && !strpbrk(model->id, "/ \n"));
	require(mp_models_find(models, model->id, NULL) == model);
	require(mp_model_shape_wrong(&model->shape) == NULL);
	require(mp_model_parameters(&model->shape) > 0);
	for (size_t i = 0; i < n; i++) {
		struct mp_model_size bytes;
		int error = mp_model_size(&model->shape, &levels[i], &bytes);

		require(error == 0 || error == -EOVERFLOW);
		require(error || bytes.repack_bytes <= bytes.tensor_bytes);
	}
	for (size_t i = 0; i < model->n_paths; i++)
		require(mp_quant_find(model->paths[i].level, NULL) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MP_MODELS struct mp_models models = {0};
	struct mp_error err = {0};

	if (mp_models_parse(&models, "f", (const char *)data, size, &err)) {
		require(err.exit_code == MP_EXIT_CONFIG);
		require(err.text[0] && !strpbrk(err.text, "\n\033"));
		require(models.n == 0);
	}
	for (size_t i = 0; i < models.n; i++)
		require_model(&models, &models.items[i]);
	return 0;
}
