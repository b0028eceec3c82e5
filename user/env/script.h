/* SPDX-License-Identifier: GPL-2.0-only */
/* Scripts that run a command in a profile, and need nothing but a shell and root. */
#ifndef MP_ENV_SCRIPT_H
#define MP_ENV_SCRIPT_H

#include <limits.h>

#include "base/text.h"
#include "config/profiles.h"

void mp_script_write(struct mp_text *out, const struct mp_profile *profile);

/* "DIR/run_in_ID.sh", with the name when there is no id. -ENAMETOOLONG. */
int mp_script_path(const char *dir, const struct mp_profile *profile, char out[PATH_MAX]);

/*
 * One for each profile, into a folder that is made if need be. A file of that name that is not such
 * a script stays, and none is written: exit code 2. No access: exit code 4.
 */
int mp_scripts_create(const char *dir, const struct mp_profiles *profiles, struct mp_error *err);

#endif
