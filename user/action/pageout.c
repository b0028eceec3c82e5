// SPDX-License-Identifier: GPL-2.0-only
#include "action/pageout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "base/array.h"

#define MAX_MAPS (32U << 20)
#define STEP_BYTES (8ULL << 20)

/* The kernel's own mappings have no file either, but hold nothing: [vvar], [vdso], [uprobes]. */
static bool is_special(const char *name)
{
	return *name == '[' && strncmp(name, "[heap]", 6) != 0 && strncmp(name, "[stack", 6) != 0 &&
	       strncmp(name, "[anon:", 6) != 0;
}

static bool parse_line(const char *line, enum mp_pageout_kind kind, struct mp_range *ret)
{
	struct mp_range range;
	char perms[5];
	uint64_t inode;
	bool anonymous;
	int used = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 "%n", &range.start,
		   &range.end, perms, &inode, &used) != 4 ||
	    range.end <= range.start || (perms[0] != 'r' && perms[1] != 'w'))
		return false;
	line += used;
	line += strspn(line, " ");
	anonymous = inode == 0 && perms[3] == 'p';
	if (kind == MP_PAGEOUT_ANON ? !anonymous || is_special(line) : inode == 0)
		return false;
	*ret = range;
	return true;
}

static int larger_first(const void *a, const void *b)
{
	const struct mp_range *x = a;
	const struct mp_range *y = b;
	uint64_t size_x = x->end - x->start;
	uint64_t size_y = y->end - y->start;

	return (size_x < size_y) - (size_x > size_y);
}

int mp_pageout_plan(const char *maps, enum mp_pageout_kind kind, struct mp_range **ret,
		    size_t *ret_n)
{
	MP_FREE struct mp_range *ranges = NULL;
	size_t n = 0;
	size_t cap = 0;

	for (const char *line = maps; line && *line; line = strchr(line, '\n')) {
		int err = MP_RESERVE_ONE(ranges, n, cap);

		if (err)
			return err;
		line += *line == '\n';
		n += parse_line(line, kind, &ranges[n]);
	}
	if (n)
		qsort(ranges, n, sizeof(*ranges), larger_first);
	*ret = MP_TAKE(ranges);
	*ret_n = n;
	return 0;
}

/*
 * 0 at its end, 1 when there shall be no more. Locked and special memory says EINVAL, what was
 * unmapped meanwhile ENOMEM: the rest of that mapping is left alone.
 */
static int advise_range(int pidfd, struct mp_range range, mp_pageout_more_fn more, void *data,
			uint64_t *advised)
{
	while (range.start < range.end) {
		uint64_t left = range.end - range.start;
		struct iovec iov = {(void *)(uintptr_t)range.start,
				    left < STEP_BYTES ? left : STEP_BYTES};

		if (!more(data))
			return 1;
		if (process_madvise(pidfd, &iov, 1, MADV_PAGEOUT, 0) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EINVAL || errno == ENOMEM ? 0 : -errno;
		}
		*advised += iov.iov_len;
		range.start += iov.iov_len;
	}
	return 0;
}

int mp_pageout_process(const struct mp_fsroot *fs, pid_t pid, enum mp_pageout_kind kind,
		       mp_pageout_more_fn more, void *data, uint64_t *advised)
{
	MP_CLOSE int pidfd = pidfd_open(pid, 0);
	MP_FREE struct mp_range *ranges = NULL;
	MP_FREE char *maps = NULL;
	size_t n = 0;
	int err = pidfd < 0 ? -errno : 0;

	if (!err)
		err = mp_read_file_at(fs, MAX_MAPS, &maps, NULL, "/proc/%d/maps", pid);
	if (!err)
		err = mp_pageout_plan(maps, kind, &ranges, &n);
	for (size_t i = 0; i < n && !err; i++)
		err = advise_range(pidfd, ranges[i], more, data, advised);
	if (err == -ENOENT)
		return -ESRCH;
	return err < 0 ? err : 0;
}
