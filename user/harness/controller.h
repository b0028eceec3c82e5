/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How large the filler should be so that the whole group holds what is wanted while its
 * neighbours grow and shrink. Pure.
 */
#ifndef MP_HARNESS_CONTROLLER_H
#define MP_HARNESS_CONTROLLER_H

#include "harness/pattern.h"

struct mp_controller_input {
	struct mp_want want;
	uint64_t usage;	  /* of the group, now: working set */
	uint64_t filler;  /* bytes that the filler has populated, by its own count */
	uint64_t ceiling; /* usage that must never be passed: limit - margin */
	uint64_t page_bytes;
};

/* The filler's size to ask for, a multiple of the page size; never above what the ceiling leaves
 * beside the others. */
uint64_t mp_controller_filler(const struct mp_controller_input *in);

#endif
