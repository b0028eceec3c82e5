/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that look random and are the same for the same seed: for contents, never for secrets. */
#ifndef MP_BASE_RANDOM_H
#define MP_BASE_RANDOM_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014): any seed gives a good sequence. */
static inline uint64_t mp_random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

#endif
