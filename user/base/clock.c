// SPDX-License-Identifier: GPL-2.0-only
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_SEC 1000000000ULL

static uint64_t read_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mp_clock_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t mp_clock_realtime_offset_ns(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) - read_ns(CLOCK_MONOTONIC));
}

const char *mp_clock_format(uint64_t realtime_ns, char out[MP_TIME_LEN])
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_SEC);
	char date[24];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, MP_TIME_LEN, "%s.%06uZ", date,
		 (unsigned int)(realtime_ns % NS_PER_SEC / 1000));
	return out;
}
