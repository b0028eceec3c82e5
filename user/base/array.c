// SPDX-License-Identifier: GPL-2.0-only
#include "base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16

int mp_array_reserve_one(void *items, size_t n, size_t *cap, size_t item_size)
{
	size_t room = *cap ? *cap * 2 : FIRST_ROOM;
	void *old;
	void *grown;

	if (n < *cap)
		return 0;
	/* Copied: the pointer is one to a type that is not known here. */
	memcpy(&old, items, sizeof(old));
	grown = reallocarray(old, room, item_size);
	if (!grown)
		return -ENOMEM;
	memcpy(items, &grown, sizeof(grown));
	*cap = room;
	return 0;
}

int mp_compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}
