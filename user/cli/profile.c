// SPDX-License-Identifier: GPL-2.0-only
#include "cli/profile.h"

#include <errno.h>
#include <stdio.h>

int mp_cli_load_profiles(const struct mp_cli *cli, struct mp_profiles *ret, struct mp_error *err)
{
	MP_FREE char *path = NULL;
	int error = mp_cli_find_config(cli, "low_mem_env.yaml", &path, err);

	return error ?: mp_profiles_load(ret, path, err);
}

int mp_cli_find_profile(const struct mp_cli *cli, const char *name, struct mp_profiles *profiles,
			const struct mp_profile **ret, struct mp_error *err)
{
	const struct mp_profile *found;
	int error = name ? mp_cli_load_profiles(cli, profiles, err) : 0;

	if (error || !name)
		return error;
	found = mp_profile_find(profiles, name, err);
	if (!found)
		return -ENOENT;
	*ret = found;
	return 0;
}

int mp_cli_load_models(const struct mp_cli *cli, struct mp_models *ret, struct mp_error *err)
{
	MP_FREE char *path = NULL;
	int error = mp_cli_find_config(cli, "models.yaml", &path, err);

	return error ?: mp_models_load(ret, path, err);
}

void mp_cli_note(void *cli, const char *note)
{
	if (!((const struct mp_cli *)cli)->quiet)
		fprintf(stderr, "memprobe-bpf: note: %s\n", note);
}
