/* SPDX-License-Identifier: GPL-2.0-only */
/* Arrays that grow by doubling: a pointer, how many are used, and how many there is room for. */
#ifndef MP_BASE_ARRAY_H
#define MP_BASE_ARRAY_H

#include <stddef.h>

/* Use MP_RESERVE_ONE(); `items` is the address of the pointer. */
int mp_array_reserve_one(void *items, size_t n, size_t *cap, size_t item_size);

/*
 * Makes room for one item behind the `n` of the array `items`, of any type,
 * whose room `cap` counts; the new room is not initialized. Returns 0, or
 * -ENOMEM with the array as it was.
 */
#define MP_RESERVE_ONE(items, n, cap) mp_array_reserve_one(&(items), (n), &(cap), sizeof(*(items)))

/* Of two uint64_t, for qsort(3): the smaller first. */
int mp_compare_u64(const void *a, const void *b);

#endif
