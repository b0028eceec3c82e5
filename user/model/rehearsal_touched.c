// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much of a mapped file must stay in memory for passes not to read it again. Of repacked
 * matrices passes read the copies, but their originals lie between what is read of the file, and
 * the kernel reads ahead into them: docs/models.md.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fsroot.h"
#include "base/size.h"
#include "model/rehearsal_touched.h"

#define READAHEAD_KB 128 /* the kernel's own, where the disk does not say */
#define SEQUENTIAL 2	 /* POSIX_FADV_SEQUENTIAL doubles it */
#define MAX_NUMBER 64

static uint64_t more_of(const struct mp_load_tensor *tensors, size_t n, uint64_t readahead)
{
	uint64_t touched = 0, gap = 0;
	bool has_begun = false;

	for (size_t i = 0; i < n; i++) {
		if (tensors[i].repacked) {
			gap += tensors[i].bytes;
			continue;
		}
		if (has_begun)
			touched += gap < readahead ? gap : readahead;
		touched += tensors[i].bytes;
		has_begun = true;
		gap = 0;
	}
	if (has_begun)
		touched += gap < readahead ? gap : readahead;
	return touched;
}

uint64_t mp_rehearsal_touched(const struct mp_load_plan *plan, uint64_t readahead)
{
	uint64_t touched = 0;

	for (size_t i = 0; i < plan->n_parts; i++)
		touched +=
			more_of(plan->tensors + plan->parts[i].first, plan->parts[i].n, readahead);
	return touched;
}

static int read_kb(const struct mp_fsroot *fs, const char *format, dev_t dev, uint64_t *ret)
{
	MP_FREE char *text = NULL;
	char path[128];
	int error;

	snprintf(path, sizeof(path), format, major(dev), minor(dev));
	error = mp_read_file_at(fs, MAX_NUMBER, &text, NULL, "%s", path);
	if (error)
		return error;
	text[strcspn(text, "\n")] = '\0';
	return mp_number_parse(text, UINT64_MAX >> 12, ret);
}

/* A partition has its disk's. */
uint64_t mp_rehearsal_readahead(const struct mp_fsroot *fs, dev_t dev)
{
	uint64_t kb = READAHEAD_KB;

	if (read_kb(fs, "/sys/class/bdi/%u:%u/read_ahead_kb", dev, &kb))
		read_kb(fs, "/sys/dev/block/%u:%u/../queue/read_ahead_kb", dev, &kb);
	return kb * 1024 * SEQUENTIAL;
}
