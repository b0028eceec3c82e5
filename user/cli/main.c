// SPDX-License-Identifier: GPL-2.0-only
#include <malloc.h>

#include "cli/cli.h"

#define LARGE_BYTES (128 << 10)

/*
 * A monitor for machines that are short of memory keeps little of its own:
 * large blocks go back to the system when they are freed, and threads share
 * one heap.
 */
static void keep_heap_small(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
	mallopt(M_ARENA_MAX, 1);
}

int main(int argc, char **argv)
{
	keep_heap_small();
	return mp_cli_main(argc, argv);
}
