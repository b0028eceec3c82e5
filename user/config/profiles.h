/* SPDX-License-Identifier: GPL-2.0-only */
/* low_mem_env.yaml: devices with little memory; described in docs/environments.md. */
#ifndef MP_CONFIG_PROFILES_H
#define MP_CONFIG_PROFILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct mp_profile {
	char *name;	      /* "4GB连线" */
	char *id;	      /* "4gb", or NULL */
	char *description;    /* or NULL */
	uint64_t total_bytes; /* what the device has */
	uint64_t swap_bytes;  /* 0: none */
	uint64_t limit_bytes; /* what is left for programs: the limit of the group */
	double cpus;	      /* 0: all that there are */
	char *origin;	      /* "file:line:column" */
};

struct mp_profiles {
	struct mp_profile *items;
	size_t n;
};

/*
 * Loads a file. Unknown and missing keys, wrong types, a limit above total_mem, two of a name
 * or id, and names that could not be an argument (empty, a leading dash, control characters)
 * are errors with file:line:column and exit code 3.
 */
int mp_profiles_load(struct mp_profiles *profiles, const char *path, struct mp_error *err);
int mp_profiles_parse(struct mp_profiles *profiles, const char *name, const char *text, size_t len,
		      struct mp_error *err);
void mp_profiles_free(struct mp_profiles *profiles);
#define MP_PROFILES MP_CLEANUP(mp_profiles_free)

/* By name or id. NULL with exit code 2 and all names (with the nearest one first) in `err`. */
const struct mp_profile *mp_profile_find(const struct mp_profiles *profiles, const char *name,
					 struct mp_error *err);

#endif
