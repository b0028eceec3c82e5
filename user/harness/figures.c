// SPDX-License-Identifier: GPL-2.0-only
/* What the command takes beside the filler, and what it came to in its group. */
#include "base/clock.h"
#include "harness/private.h"
#include "target/target.h"

#define INBLOCK_BYTES 512 /* of ru_inblock, whatever the disk has */
#define MAXRSS_BYTES 1024

static void raise_to(uint64_t *peak, uint64_t now)
{
	if (*peak == MP_UNKNOWN || now > *peak)
		*peak = now;
}

void mp_figures_begin(struct mp_harness *h)
{
	h->figures = (struct mp_harness_figures){
		.major_faults = MP_UNKNOWN,
		.read_bytes = MP_UNKNOWN,
		.peak_rss = MP_UNKNOWN,
		.peak_anon = MP_UNKNOWN,
		.peak_file = MP_UNKNOWN,
		.peak_shmem = MP_UNKNOWN,
		.peak_group = MP_UNKNOWN,
		.reclaimed_bytes = MP_UNKNOWN,
		.refaulted_bytes = MP_UNKNOWN,
		.some_ns = MP_UNKNOWN,
		.full_ns = MP_UNKNOWN,
		.begin_ns = h->begin_ns,
		.start_ns = mp_clock_now_ns() - h->begin_ns,
	};
}

/* Of a device's group all are the command's: the filler is in one below. */
static void add_processes(const struct mp_harness *h, struct mp_rss_kinds *sum)
{
	MP_FREE pid_t *pids = NULL;
	struct mp_rss_kinds one;
	size_t n = 0;

	if (!h->device.group.path || mp_cgroup_pids(&h->cg, h->device.group.path, &pids, &n)) {
		mp_process_rss_kinds(&h->cg.fs, h->command.pid, sum);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (mp_process_rss_kinds(&h->cg.fs, pids[i], &one))
			continue;
		sum->anon += one.anon;
		sum->file += one.file;
		sum->shmem += one.shmem;
	}
}

void mp_figures_look(struct mp_harness *h)
{
	struct mp_harness_figures *f = &h->figures;
	struct mp_rss_kinds rss = {0};

	if (!h->o->command || h->command.ended)
		return;
	add_processes(h, &rss);
	raise_to(&f->peak_anon, rss.anon);
	raise_to(&f->peak_file, rss.file);
	raise_to(&f->peak_shmem, rss.shmem);
	raise_to(&f->peak_rss, rss.anon + rss.file + rss.shmem);
}

static void close_group(struct mp_harness *h)
{
	const struct mp_memory_report *r = &h->report;
	struct mp_harness_figures *f = &h->figures;
	struct mp_cgroup_tally tally;

	if (r->pressure.some_ns != MP_UNKNOWN) {
		f->some_ns = r->pressure.some_ns - h->stall_before.some_us * 1000;
		f->full_ns = r->pressure.full_ns - h->stall_before.full_us * 1000;
	}
	if (!h->device.group.path || mp_cgroup_tally(&h->cg, h->device.group.path, &tally))
		return;
	f->peak_group = tally.peak;
	f->reclaimed_bytes = tally.reclaimed;
	f->refaulted_bytes = tally.refaulted;
	if (f->reclaimed_bytes == MP_UNKNOWN && h->watcher.started)
		f->reclaimed_bytes = h->reclaimed_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* When all is over, and the command has been ended. The kernel has seen peaks of each process that
 * no look has. */
void mp_figures_close(struct mp_harness *h)
{
	const struct rusage *usage = &h->command.usage;
	struct mp_harness_figures *f = &h->figures;

	f->end_ns = h->report.duration_ns;
	close_group(h);
	if (!h->o->command || !h->command.ended)
		return;
	f->status = h->command.status;
	f->major_faults = (uint64_t)usage->ru_majflt;
	f->read_bytes = (uint64_t)usage->ru_inblock * INBLOCK_BYTES;
	raise_to(&f->peak_rss, (uint64_t)usage->ru_maxrss * MAXRSS_BYTES);
}
