// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "config/models.h"

int mp_models_load(struct mp_models *ret, const char *path, struct mp_error *err)
{
	(void)ret;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOSYS, "%s: not yet", path);
}
void mp_models_free(struct mp_models *models)
{
	(void)models;
}
const struct mp_model *mp_models_find(const struct mp_models *models, const char *id,
				      struct mp_error *err)
{
	(void)models;
	mp_fail(err, MP_EXIT_USAGE, ENOENT, "%s: not yet", id);
	return NULL;
}
