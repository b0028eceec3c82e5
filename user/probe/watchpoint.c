// SPDX-License-Identifier: GPL-2.0-only
#include "probe/watchpoint.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/array.h"
#include "base/size.h"
#include "probe/loaded.h"

#define MAX_TRIES 50
#define CLONE_NS 2000000L /* more than a clone(2) under way takes */

/* --- which point an address is of ------------------------------------------------------ */

int mp_bpf_watch_code(struct mp_bpf *bpf, uint64_t addr, const struct mp_watched *watched)
{
	int map = bpf_map__fd(bpf->skel->maps.watched);
	struct mp_watched there;
	int err = bpf_map_update_elem(map, &addr, watched, BPF_NOEXIST);

	if (err != -EEXIST || bpf_map_lookup_elem(map, &addr, &there))
		return err;
	/* The same program in several processes, without random addresses. */
	return memcmp(&there, watched, sizeof(there)) == 0 ? 0 : -EEXIST;
}

void mp_bpf_forget_code(struct mp_bpf *bpf, uint64_t addr)
{
	bpf_map_delete_elem(bpf_map__fd(bpf->skel->maps.watched), &addr);
}

/* --- threads --------------------------------------------------------------------------- */

struct threads {
	pid_t *ids; /* sorted */
	size_t n;
	size_t cap;
};

static void threads_free(struct threads *threads)
{
	free(threads->ids);
}
#define MP_THREADS MP_CLEANUP(threads_free)

static int compare_ids(const void *a, const void *b)
{
	const pid_t *x = a;
	const pid_t *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int list_threads(const struct mp_fsroot *fs, pid_t pid, struct threads *ret)
{
	char path[PATH_MAX];
	MP_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	int err = mp_fsroot_path(fs, path, "/proc/%d/task", pid);

	if (err)
		return err;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	ret->n = 0;
	while ((entry = readdir(dir))) {
		uint64_t id;

		if (mp_number_parse(entry->d_name, INT32_MAX, &id))
			continue;
		if (MP_RESERVE_ONE(ret->ids, ret->n, ret->cap))
			return -ENOMEM;
		ret->ids[ret->n++] = (pid_t)id;
	}
	if (ret->n == 0)
		return -ESRCH;
	qsort(ret->ids, ret->n, sizeof(*ret->ids), compare_ids);
	return 0;
}

/* Whether no thread is in `now` that was not in `before`. */
static bool none_is_new(const struct threads *before, const struct threads *now)
{
	for (size_t i = 0; i < now->n; i++) {
		if (!bsearch(&now->ids[i], before->ids, before->n, sizeof(pid_t), compare_ids))
			return false;
	}
	return true;
}

/* --- events ---------------------------------------------------------------------------- */

/* Closing them takes the watchpoint away, from those who inherited it, too. */
struct mp_watchpoint {
	int *events;
	size_t n;
	size_t cap;
};

static void close_events(struct mp_watchpoint *w)
{
	while (w->n)
		close(w->events[--w->n]);
}

void mp_watchpoint_free(struct mp_watchpoint *w)
{
	if (!w)
		return;
	close_events(w);
	free(w->events);
	free(w);
}

struct attacher {
	int program;
	pid_t pid;
	uint64_t addr;
	bool children;
};

/*
 * One byte: interpreters read the opcode once, but some builds the argument behind it apart. x86
 * cannot watch for reads alone. Another program has other things at that address.
 */
static int open_event(const struct attacher *a, pid_t thread)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_RW,
		.bp_addr = a->addr,
		.bp_len = HW_BREAKPOINT_LEN_1,
		.sample_period = 1,
		.disabled = 1,
		.inherit = 1,
		.inherit_thread = !a->children,
		.remove_on_exec = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	MP_CLOSE int fd =
		(int)syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, a->program))
		return -errno;
	return mp_take_fd(&fd);
}

static int open_all(const struct attacher *a, const struct threads *threads,
		    struct mp_watchpoint *w)
{
	for (size_t i = 0; i < threads->n; i++) {
		int fd = open_event(a, threads->ids[i]);

		if (fd == -ESRCH)
			continue; /* ended since */
		if (fd < 0)
			return fd;
		if (MP_RESERVE_ONE(w->events, w->n, w->cap)) {
			close(fd);
			return -ENOMEM;
		}
		w->events[w->n++] = fd;
	}
	return w->n ? 0 : -ESRCH;
}

/*
 * A thread inherits what its parent is watched for. One that started while the others were being
 * opened may have inherited it or not, which nobody tells: then all is done again. A clone(2)
 * that was under way shows within the time that it takes.
 *
 * Returns 1 when every thread is watched once, 0 when that is not sure.
 */
static int try_all(const struct attacher *a, const struct mp_fsroot *fs, struct mp_watchpoint *w)
{
	const struct timespec clone_time = {.tv_nsec = CLONE_NS};
	MP_THREADS struct threads before = {0};
	MP_THREADS struct threads now = {0};
	int err = list_threads(fs, a->pid, &before);

	err = err ?: open_all(a, &before, w);
	if (err)
		return err;
	nanosleep(&clone_time, NULL);
	err = list_threads(fs, a->pid, &now);
	return err ? err : none_is_new(&before, &now);
}

static int watch_all(const struct attacher *a, const struct mp_fsroot *fs, struct mp_watchpoint *w)
{
	for (int i = 0; i < MAX_TRIES; i++) {
		int r = try_all(a, fs, w);

		if (r)
			return r < 0 ? r : 0;
		close_events(w);
	}
	return -EAGAIN;
}

int mp_watchpoint_attach(const struct mp_bpf *bpf, const struct mp_fsroot *fs, pid_t pid,
			 uint64_t addr, bool children, struct mp_watchpoint **ret)
{
	struct attacher a = {mp_bpf_program(bpf, MP_PROGRAM_WATCH), pid, addr, children};
	struct mp_watchpoint *w = calloc(1, sizeof(*w));
	int err = w ? watch_all(&a, fs, w) : -ENOMEM;

	for (size_t i = 0; !err && i < w->n; i++) {
		if (ioctl(w->events[i], PERF_EVENT_IOC_ENABLE, 0))
			err = -errno;
	}
	if (err) {
		mp_watchpoint_free(w);
		return err;
	}
	*ret = w;
	return 0;
}
