// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a check costs that takes a sample, and what reading the same by text costs, as
 * monitors usually do: "name ns". The last sample is made old before each check, without what
 * is kept for longer.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "lib/process.h"
#include "timed.h"

#define CALLS 100
#define FEWER 10
#define CHECKS 24
#define NAME "model_loader_adapter.load_model_with_config"

static void check_anew(struct memprobe_info *info)
{
	__atomic_fetch_sub(&mp_lib_process()->sample[0], 2000000000, __ATOMIC_RELAXED);
	if (memprobe_check(NAME, info) || info->flags)
		abort();
}

static void refresh_and_check(struct memprobe_info *info)
{
	mp_lib_process()->sources.refreshed_ns = 0;
	check_anew(info);
}

/* A field of a /proc file, with stdio and anew each time. */
static long read_field(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long kib = -1;

	if (!f)
		abort();
	while (kib < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	fclose(f);
	return kib;
}

/* As the documented fast check: VmRSS of the status file. */
static long text_fast_check(void)
{
	return read_field("/proc/self/status", "VmRSS:");
}

/* As the documented full check: what the machine has left, too. */
static long text_check(void)
{
	return text_fast_check() + read_field("/proc/meminfo", "MemAvailable:");
}

/* At the pace of a critical point: the rest in between leaves caches to others. */
static void time_rested(const char *name, bool by_text)
{
	struct memprobe_point *point = memprobe_point(NAME, MEMPROBE_CRITICAL);
	struct memprobe_info info;
	double ns[CHECKS];

	for (int i = 0; i < CHECKS; i++) {
		uint64_t begin_ns;

		usleep(135000);
		begin_ns = timed_now_ns();
		if (by_text)
			text_check();
		else
			memprobe_check_point(point, &info);
		ns[i] = (double)(timed_now_ns() - begin_ns);
	}
	timed_report(name, ns, CHECKS);
}

int main(void)
{
	struct memprobe_info info;
	volatile long sink = 0;

	TIMED("check_sampled", CALLS, check_anew(&info));
	TIMED("text_fast_check", CALLS, sink = text_fast_check());
	TIMED("text_check", CALLS, sink = text_check());
	TIMED("check_refreshed", FEWER, refresh_and_check(&info));
	time_rested("check_rested", false);
	time_rested("text_check_rested", true);
	return sink < 0;
}
