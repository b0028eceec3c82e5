// SPDX-License-Identifier: GPL-2.0-only
#include "state/stall.h"

#include "abi.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Records of several CPUs can be slightly out of order: the past is not entered again. */
static void advance(struct mp_stall_sum *sum, uint64_t period)
{
	if (sum->known && period <= sum->period)
		return;
	*sum = (struct mp_stall_sum){
		.known = true,
		.period = period,
		.before_ns = sum->known && period == sum->period + 1 ? sum->now_ns : 0,
	};
}

/* How far `ts_ns` lies in the current period. */
static uint64_t into_period(const struct mp_stall_sum *sum, uint64_t length_ns, uint64_t ts_ns)
{
	uint64_t start_ns = sum->period * length_ns;

	return ts_ns > start_ns ? ts_ns - start_ns : 0;
}

void mp_stall_add(struct mp_stall_sum *sum, uint64_t length_ns, uint64_t ts_ns, uint64_t window_ns,
		  uint64_t stall_ns)
{
	uint64_t in_now;
	uint64_t in_before;
	double rate;

	if (window_ns == MP_UNKNOWN)
		window_ns = stall_ns;
	advance(sum, ts_ns / length_ns);
	if (!window_ns)
		return;
	rate = (double)min_u64(stall_ns, window_ns) / (double)window_ns;
	in_now = min_u64(window_ns, into_period(sum, length_ns, ts_ns));
	in_before = min_u64(window_ns - in_now, length_ns);
	sum->now_ns += rate * (double)in_now;
	sum->before_ns += rate * (double)in_before;
}

double mp_stall_pct(const struct mp_stall_sum *sum, uint64_t length_ns, uint64_t ts_ns)
{
	struct mp_stall_sum at = *sum;
	double left;
	double pct;

	if (!sum->known || ts_ns / length_ns > sum->period + 1)
		return -1;
	advance(&at, ts_ns / length_ns);
	left = 1 - (double)into_period(&at, length_ns, ts_ns) / (double)length_ns;
	pct = 100 * (at.now_ns + left * at.before_ns) / (double)length_ns;
	return pct < 100 ? pct : 100;
}
