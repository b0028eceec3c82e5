// SPDX-License-Identifier: GPL-2.0-only
#include "action/undo.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/control.h"
#include "target/target.h"

#define MP_UNDO_TEXT 64
#define PATIENCE_NS 1000000000ULL /* between SIGTERM and SIGKILL; for a group to become empty */
#define POLL_NS 10000000L
#define LATER_POLL_NS 500000000L

enum entry_state {
	ENTRY_FREE = 0,
	ENTRY_TAKEN, /* being filled in: what it is for has not been done */
	ENTRY_ARMED,
};

struct entry {
	_Atomic uint32_t state;
	enum mp_undo_kind kind;
	uint64_t order; /* of arming */
	pid_t pid;
	uint64_t start_time;
	char path[MP_UNDO_PATH];
	char text[MP_UNDO_TEXT];
};

/* Other processes see these, so they must be atomic without a lock of one process. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "shared atomics");

struct mp_undo {
	_Atomic uint64_t armed; /* so far */
	struct entry entries[MP_UNDO_SLOTS];
};

struct mp_undo *mp_undo_new(void)
{
	/* Its pages are there from the start: arming must not wait for memory. */
	struct mp_undo *undo = mmap(NULL, sizeof(*undo), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return undo == MAP_FAILED ? NULL : undo;
}

void mp_undo_free(struct mp_undo *undo)
{
	if (undo)
		munmap(undo, sizeof(*undo));
}

static int copy_text(char *to, size_t size, const char *from)
{
	size_t len = from ? strlen(from) : 0;

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, from ? from : "", len + 1);
	return 0;
}

static struct entry *take_entry(struct mp_undo *undo)
{
	for (size_t i = 0; i < MP_UNDO_SLOTS; i++) {
		uint32_t expected = ENTRY_FREE;

		if (atomic_compare_exchange_strong(&undo->entries[i].state, &expected, ENTRY_TAKEN))
			return &undo->entries[i];
	}
	return NULL;
}

static void set_state(struct entry *entry, enum entry_state state)
{
	atomic_store_explicit(&entry->state, state, memory_order_release);
}

static bool is_armed(struct entry *entry)
{
	return atomic_load_explicit(&entry->state, memory_order_acquire) == ENTRY_ARMED;
}

int mp_undo_arm(struct mp_undo *undo, const struct mp_undo_what *what)
{
	struct entry *entry;
	int err;

	if (what->kind <= MP_UNDO_NONE || what->kind >= MP_UNDO_KIND_COUNT)
		return -EINVAL;
	entry = take_entry(undo);
	if (!entry)
		return -ENOSPC;
	err = copy_text(entry->path, sizeof(entry->path), what->path);
	if (!err)
		err = copy_text(entry->text, sizeof(entry->text), what->text);
	if (err) {
		set_state(entry, ENTRY_FREE);
		return err;
	}
	entry->kind = what->kind;
	entry->pid = what->pid;
	entry->start_time = what->start_time;
	entry->order = atomic_fetch_add(&undo->armed, 1);
	/* Last: whoever sees it armed sees all of it, and it is seen before the action. */
	set_state(entry, ENTRY_ARMED);
	return (int)(entry - undo->entries);
}

void mp_undo_disarm(struct mp_undo *undo, int slot)
{
	if (slot >= 0 && slot < MP_UNDO_SLOTS)
		set_state(&undo->entries[slot], ENTRY_FREE);
}

/* --- undoing ------------------------------------------------------------------ */

static void pause_for(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* Whether the pid is still the process with that start time. -ESRCH: it is not. */
static int check_process(pid_t pid, uint64_t start_time)
{
	const struct mp_fsroot fs = {""};
	struct mp_process process;
	int err = mp_process_read(&fs, pid, &process);

	if (err)
		return err;
	return process.start_time == start_time ? 0 : -ESRCH;
}

int mp_undo_continue(pid_t pid, uint64_t start_time)
{
	/* Opened first: what is checked then is the process that the signal goes to. */
	MP_CLOSE int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	int err;

	if (pid <= 0)
		return -EINVAL;
	if (pidfd < 0)
		return -errno;
	err = check_process(pid, start_time);
	if (err)
		return err;
	return pidfd_send_signal(pidfd, SIGCONT, NULL, 0) < 0 ? -errno : 0;
}

/*
 * The number of a group is not given away as long as it has a member. So either
 * its leader is the one that was started, or there is no process of that number,
 * or the group is gone and the number is another's.
 */
static bool is_our_group(const struct entry *entry)
{
	const struct mp_fsroot fs = {""};
	struct mp_process process;

	if (entry->pid <= 1)
		return false;
	if (!entry->start_time || mp_process_read(&fs, entry->pid, &process))
		return true;
	return process.start_time == entry->start_time;
}

static void terminate_group(const struct entry *entry)
{
	if (is_our_group(entry))
		kill(-entry->pid, SIGTERM);
}

static int kill_group(const struct entry *entry, uint64_t deadline_ns)
{
	while (is_our_group(entry) && kill(-entry->pid, 0) == 0) {
		if (mp_clock_now_ns() >= deadline_ns)
			return kill(-entry->pid, SIGKILL) < 0 && errno != ESRCH ? -errno : 0;
		pause_for(POLL_NS);
	}
	return 0;
}

static int remove_file(const char *path)
{
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* A cgroup is busy until the last of its processes, killed just now, is gone. */
static int remove_folder(const char *path, uint64_t deadline_ns)
{
	while (rmdir(path) < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY || mp_clock_now_ns() >= deadline_ns)
			return -errno;
		pause_for(POLL_NS);
	}
	return 0;
}

static int undo_entry(struct entry *entry, uint64_t deadline_ns)
{
	int err = -EINVAL;

	if (entry->kind == MP_UNDO_CONTINUE)
		err = mp_undo_continue(entry->pid, entry->start_time);
	else if (entry->kind == MP_UNDO_WRITE)
		err = mp_cgroup_write(entry->path, entry->text);
	else if (entry->kind == MP_UNDO_KILL_GROUP)
		err = kill_group(entry, deadline_ns);
	else if (entry->kind == MP_UNDO_UNLINK)
		err = remove_file(entry->path);
	else if (entry->kind == MP_UNDO_RMDIR || entry->kind == MP_UNDO_RMDIR_LATER)
		err = remove_folder(entry->path, deadline_ns);
	if (!err || entry->kind != MP_UNDO_RMDIR_LATER)
		set_state(entry, ENTRY_FREE);
	return err;
}

int mp_undo_run(struct mp_undo *undo, int slot)
{
	struct entry *entry;

	if (slot < 0 || slot >= MP_UNDO_SLOTS)
		return -EINVAL;
	entry = &undo->entries[slot];
	if (!is_armed(entry))
		return 0;
	if (entry->kind == MP_UNDO_KILL_GROUP)
		terminate_group(entry);
	return undo_entry(entry, mp_clock_now_ns() + PATIENCE_NS);
}

/* What holds somebody up, as against what only lies around. */
static bool is_a_hold(const struct entry *entry)
{
	return entry->kind == MP_UNDO_CONTINUE || entry->kind == MP_UNDO_WRITE;
}

static struct entry *latest(struct mp_undo *undo, bool holds_only)
{
	struct entry *found = NULL;

	for (size_t i = 0; i < MP_UNDO_SLOTS; i++) {
		struct entry *entry = &undo->entries[i];

		if (is_armed(entry) && entry->kind != MP_UNDO_RMDIR_LATER &&
		    (!holds_only || is_a_hold(entry)) && (!found || entry->order > found->order))
			found = entry;
	}
	return found;
}

static size_t undo_each(struct mp_undo *undo, bool holds_only, uint64_t deadline_ns)
{
	struct entry *entry;
	size_t n = 0;

	while ((entry = latest(undo, holds_only))) {
		undo_entry(entry, deadline_ns);
		n++;
	}
	return n;
}

size_t mp_undo_run_all(struct mp_undo *undo)
{
	uint64_t deadline_ns = mp_clock_now_ns() + PATIENCE_NS;
	size_t n = undo_each(undo, true, deadline_ns);

	/* All groups have the same second. */
	for (size_t i = 0; i < MP_UNDO_SLOTS; i++) {
		struct entry *entry = &undo->entries[i];

		if (is_armed(entry) && entry->kind == MP_UNDO_KILL_GROUP)
			terminate_group(entry);
	}
	return n + undo_each(undo, false, deadline_ns);
}

/* --- what takes its time -------------------------------------------------------- */

static bool is_later(struct entry *entry)
{
	return is_armed(entry) && entry->kind == MP_UNDO_RMDIR_LATER;
}

bool mp_undo_has_later(struct mp_undo *undo)
{
	for (size_t i = 0; i < MP_UNDO_SLOTS; i++) {
		if (is_later(&undo->entries[i]))
			return true;
	}
	return false;
}

/* Version 1 tells nobody that a group has become empty, so it is tried: one call each half second.
 */
void mp_undo_run_later(struct mp_undo *undo)
{
	for (; mp_undo_has_later(undo); pause_for(LATER_POLL_NS)) {
		for (size_t i = 0; i < MP_UNDO_SLOTS; i++) {
			struct entry *entry = &undo->entries[i];

			if (is_later(entry) && remove_folder(entry->path, 0) != -EBUSY)
				set_state(entry, ENTRY_FREE);
		}
	}
}
