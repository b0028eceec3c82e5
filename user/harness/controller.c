// SPDX-License-Identifier: GPL-2.0-only
#include "harness/controller.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Usage is the filler and all others, and what the filler populates is charged at once:
 * so one step is exact, and needs no gain. Pages that were swapped out or are not
 * yet charged make the others look smaller than they are, down to nothing; never larger.
 */
uint64_t mp_controller_filler(const struct mp_controller_input *in)
{
	uint64_t others = less(in->usage, in->filler);
	uint64_t wanted =
		in->want.kind == MP_WANT_FILLER ? in->want.bytes : less(in->want.bytes, others);
	uint64_t room = less(in->ceiling, others);

	if (in->want.kind == MP_WANT_DONE)
		return 0;
	return smaller(wanted, room) / in->page_bytes * in->page_bytes;
}
