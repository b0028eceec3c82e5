// SPDX-License-Identifier: GPL-2.0-only
#include "action/pageout.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "base/array.h"

#define STEP_BYTES (8ULL << 20) /* of resident memory */
#define CALL_BYTES (1ULL << 30) /* one call takes less than 2 GiB of addresses */
#define PAGE_MASK 4095ULL	/* coarser pages are rounded to by the kernel */

/* The kernel's own mappings have no file either, but hold nothing: [vvar], [vdso], [uprobes]. */
static bool is_special(const char *name)
{
	return *name == '[' && strncmp(name, "[heap]", 6) != 0 && strncmp(name, "[stack", 6) != 0 &&
	       strncmp(name, "[anon:", 6) != 0;
}

/* A number and what must follow it; moves `line` behind both. */
static bool take_number(const char **line, int base, char delimiter, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(*line, &end, base);
	if (errno || end == *line || *end != delimiter)
		return false;
	*line = end + 1;
	return true;
}

/* "start-end perms offset dev inode name"; `ret_takes`: whether it is of that kind. */
static bool parse_header(const char *line, enum mp_pageout_kind kind, struct mp_range *ret,
			 bool *ret_takes)
{
	struct mp_range range = {0};
	const char *perms;
	uint64_t number;

	if (!take_number(&line, 16, '-', &range.start) ||
	    !take_number(&line, 16, ' ', &range.end) || range.end <= range.start ||
	    strcspn(line, " \n") != 4 || line[4] != ' ')
		return false;
	perms = line;
	line += strlen("rw-p ");
	if (!take_number(&line, 16, ' ', &number) || !take_number(&line, 16, ':', &number) ||
	    !take_number(&line, 16, ' ', &number))
		return false;
	number = strtoull(line, NULL, 10); /* the inode; behind it a blank or the line's end */
	line += strspn(line, "0123456789");
	line += strspn(line, " ");
	*ret = range;
	if (kind == MP_PAGEOUT_FILE)
		*ret_takes = number != 0;
	else
		*ret_takes = number == 0 && perms[3] == 'p' && !is_special(line);
	return true;
}

/* Private pages of a file's mapping are its copies in memory: neither of both kinds here. */
static void parse_field(const char *line, enum mp_pageout_kind kind, struct mp_range *range)
{
	uint64_t bytes;

	if (mp_meminfo_field(line, kind == MP_PAGEOUT_ANON ? "Anonymous" : "Rss", &bytes) == 0)
		range->resident_bytes = bytes;
	else if (kind == MP_PAGEOUT_FILE && mp_meminfo_field(line, "Anonymous", &bytes) == 0)
		range->resident_bytes -=
			bytes < range->resident_bytes ? bytes : range->resident_bytes;
}

static int more_first(const void *a, const void *b)
{
	const struct mp_range *x = a;
	const struct mp_range *y = b;

	return (x->resident_bytes < y->resident_bytes) - (x->resident_bytes > y->resident_bytes);
}

struct plan {
	struct mp_range *ranges;
	size_t n;
	size_t cap;
	bool takes; /* the mapping whose lines are being read */
};

static void plan_free(struct plan *plan)
{
	free(plan->ranges);
}

static void end_mapping(struct plan *plan)
{
	if (plan->takes && plan->ranges[plan->n - 1].resident_bytes == 0)
		plan->n--;
	plan->takes = false;
}

static int add_line(struct plan *plan, const char *line, enum mp_pageout_kind kind)
{
	struct mp_range range;
	bool takes;
	int err;

	if (!parse_header(line, kind, &range, &takes)) {
		if (plan->takes)
			parse_field(line, kind, &plan->ranges[plan->n - 1]);
		return 0;
	}
	end_mapping(plan);
	if (!takes)
		return 0;
	err = MP_RESERVE_ONE(plan->ranges, plan->n, plan->cap);
	if (err)
		return err;
	plan->ranges[plan->n++] = range;
	plan->takes = true;
	return 0;
}

int mp_pageout_plan(FILE *smaps, enum mp_pageout_kind kind, struct mp_range **ret, size_t *ret_n)
{
	MP_CLEANUP(plan_free) struct plan plan = {0};
	MP_FREE char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, smaps) > 0) {
		int err = add_line(&plan, line, kind);

		if (err)
			return err;
	}
	end_mapping(&plan);
	if (plan.n)
		qsort(plan.ranges, plan.n, sizeof(*plan.ranges), more_first);
	*ret = MP_TAKE(plan.ranges);
	*ret_n = plan.n;
	return 0;
}

/* Addresses that hold about one step's worth of memory: of sparse mappings, many. */
static uint64_t span_of_step(const struct mp_range *range)
{
	double density = (double)range->resident_bytes / (double)(range->end - range->start);
	double span = (double)STEP_BYTES / density;

	return span < (double)CALL_BYTES ? ((uint64_t)span + PAGE_MASK) & ~PAGE_MASK : CALL_BYTES;
}

/*
 * 0 at its end, 1 when there shall be no more. Locked and special memory says EINVAL, what was
 * unmapped meanwhile ENOMEM: the rest of that mapping is left alone.
 */
static int advise_range(int pidfd, const struct mp_range *range, mp_pageout_more_fn more,
			void *data, uint64_t *advised)
{
	uint64_t span = span_of_step(range);
	double density = (double)range->resident_bytes / (double)(range->end - range->start);
	uint64_t at = range->start;

	while (at < range->end) {
		uint64_t left = range->end - at;
		struct iovec iov = {(void *)(uintptr_t)at, left < span ? left : span};

		if (!more(data))
			return 1;
		if (process_madvise(pidfd, &iov, 1, MADV_PAGEOUT, 0) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EINVAL || errno == ENOMEM ? 0 : -errno;
		}
		*advised += (uint64_t)((double)iov.iov_len * density + 0.5);
		at += iov.iov_len;
	}
	return 0;
}

static int read_plan(const struct mp_fsroot *fs, pid_t pid, enum mp_pageout_kind kind,
		     struct mp_range **ret, size_t *ret_n)
{
	MP_FCLOSE FILE *smaps = NULL;
	char path[PATH_MAX];
	int err = mp_fsroot_path(fs, path, "/proc/%d/smaps", pid);

	if (err)
		return err;
	smaps = fopen(path, "re");
	return smaps ? mp_pageout_plan(smaps, kind, ret, ret_n) : -errno;
}

int mp_pageout_process(const struct mp_fsroot *fs, pid_t pid, enum mp_pageout_kind kind,
		       mp_pageout_more_fn more, void *data, uint64_t *advised)
{
	MP_CLOSE int pidfd = pidfd_open(pid, 0);
	MP_FREE struct mp_range *ranges = NULL;
	size_t n = 0;
	int err = pidfd < 0 ? -errno : read_plan(fs, pid, kind, &ranges, &n);

	for (size_t i = 0; i < n && !err; i++)
		err = advise_range(pidfd, &ranges[i], more, data, advised);
	if (err == -ENOENT)
		return -ESRCH;
	return err < 0 ? err : 0;
}
