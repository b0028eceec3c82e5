// SPDX-License-Identifier: GPL-2.0-only
/* What the calls of libmemprobe cost in a program that uses the shared library: "name ns". */
#include "lib/memprobe.h"
#include "timed.h"

#define CALLS 50000
#define FEWER 5000
#define NAME "model_loader_adapter.load_model_with_config" /* the longest of the shipped ones */

int main(void)
{
	struct memprobe_point *point = memprobe_point(NAME, MEMPROBE_CRITICAL);
	struct memprobe_info info;
	volatile uint64_t sink = 0;

	TIMED("nothing", CALLS, sink = (uint64_t)timed_i);
	TIMED("enter", CALLS, sink = memprobe_enter(point, 0));
	TIMED("enter_exit", CALLS, memprobe_exit(point, memprobe_enter(point, 0)));
	TIMED("fast_check", CALLS, sink = (uint64_t)memprobe_fast_check(1ULL << 40));
	TIMED("check_reused", FEWER, memprobe_check(NAME, &info));
	TIMED("check_point_reused", FEWER, memprobe_check_point(point, &info));
	return sink == 1;
}
