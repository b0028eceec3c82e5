// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "model/loader.h"

#define ROUNDS 5

/* Whatever the processor's vectors are, the compiler makes this of them; unaligned on purpose. */
typedef uint64_t mp_lanes __attribute__((vector_size(32), aligned(1), may_alias));
#define STEP (4 * sizeof(mp_lanes))

uint64_t mp_load_sum(const uint8_t *data, uint64_t bytes)
{
	mp_lanes a = {0}, b = {0}, c = {0}, d = {0};
	uint64_t sum = 0;

	for (; bytes >= STEP; data += STEP, bytes -= STEP) {
		const mp_lanes *from = (const mp_lanes *)data;

		a += from[0];
		b += from[1];
		c += from[2];
		d += from[3];
	}
	for (; bytes > 0; bytes--)
		sum += *data++;
	a += b + c + d;
	return sum + a[0] + a[1] + a[2] + a[3];
}

uint64_t mp_load_memory_per_s(uint64_t bytes)
{
	void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t best_ns = UINT64_MAX;
	volatile uint64_t sum = 0;

	if (room == MAP_FAILED)
		return 0;
	memset(room, 1, bytes);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin_ns = mp_clock_now_ns(), ns;

		sum += mp_load_sum(room, bytes);
		ns = mp_clock_now_ns() - begin_ns;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	munmap(room, bytes);
	return (uint64_t)((double)bytes * 1e9 / (double)(best_ns ?: 1));
}
