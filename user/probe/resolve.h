/* SPDX-License-Identifier: GPL-2.0-only */
/* Which sites the points have in one file. */
#ifndef MP_PROBE_RESOLVE_H
#define MP_PROBE_RESOLVE_H

#include "config/points.h"
#include "elf/elf_file.h"
#include "probe/site.h"
#include "target/target.h"

/*
 * Appends a site for each function and USDT note of the file that a point
 * names. Sites that should not be probed are appended as failed, with the
 * reason. Returns how many were appended; -E2BIG with the count and exit code
 * 3 when a point matches more than its max_sites (nothing is appended then);
 * -ENOEXEC and the like when the file cannot be read as ELF.
 */
int mp_resolve_binary(struct mp_sites *sites, const struct mp_points *points,
		      const struct mp_binary *binary, unsigned int *ret_elf_flags,
		      struct mp_error *err);

#endif
