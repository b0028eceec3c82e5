/* SPDX-License-Identifier: GPL-2.0-only */
/* The device profiles that --env and `env` name, and the models of --model-id. */
#ifndef MP_CLI_PROFILE_H
#define MP_CLI_PROFILE_H

#include "cli/cli.h"
#include "config/models.h"
#include "config/profiles.h"

int mp_cli_load_profiles(const struct mp_cli *cli, struct mp_profiles *ret, struct mp_error *err);

/* The same, and the one of a name or id; `*ret` lies in `profiles`. With NULL it is NULL. */
int mp_cli_find_profile(const struct mp_cli *cli, const char *name, struct mp_profiles *profiles,
			const struct mp_profile **ret, struct mp_error *err);

int mp_cli_load_models(const struct mp_cli *cli, struct mp_models *ret, struct mp_error *err);

/* A line on stderr, but with --quiet. `cli` is a struct mp_cli. */
void mp_cli_note(void *cli, const char *note);

#endif
