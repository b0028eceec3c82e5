// SPDX-License-Identifier: GPL-2.0-only
#include "action/status.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/size.h"

#define MAX_STATUS (64U << 10)
#define SIGKILL_BIT (1ULL << (SIGKILL - 1))

/* The value behind "Key:\t" on a line of its own, or NULL. */
static const char *find(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, "\t ");
	}
	return NULL;
}

static int parse_uid(const char *text, uid_t *ret)
{
	const char *value = find(text, "Uid");
	char *real_end;
	char *end;
	unsigned long effective;

	if (!value)
		return -EBADMSG;
	(void)strtoul(value, &real_end, 10);
	if (*real_end != '\t')
		return -EBADMSG;
	effective = strtoul(real_end, &end, 10);
	if (end == real_end || (*end != '\t' && *end != '\n') || effective > UINT32_MAX)
		return -EBADMSG;
	*ret = (uid_t)effective;
	return 0;
}

/* The last number of "NSpid:\t123\t4"; Pid where the kernel has no pid namespaces. */
static int parse_own_pid(const char *text, pid_t *ret)
{
	const char *value = find(text, "NSpid");
	long pid = 0;

	if (!value)
		value = find(text, "Pid");
	while (value && *value != '\n') {
		char *end;

		pid = strtol(value, &end, 10);
		if (end == value || pid <= 0 || pid > INT32_MAX)
			return -EBADMSG;
		value = end + strspn(end, "\t ");
	}
	if (!pid)
		return -EBADMSG;
	*ret = (pid_t)pid;
	return 0;
}

static bool is_pending(const char *text, const char *key)
{
	const char *value = find(text, key);

	return value && (strtoull(value, NULL, 16) & SIGKILL_BIT);
}

static void parse_memory(const char *text, struct mp_status *status)
{
	status->has_memory = mp_meminfo_field(text, "VmRSS", &status->rss) == 0;
	if (!status->has_memory)
		status->rss = 0;
	if (mp_meminfo_field(text, "VmSwap", &status->swap))
		status->swap = 0;
	if (mp_meminfo_field(text, "VmPTE", &status->page_tables))
		status->page_tables = 0;
}

int mp_status_parse(const char *text, struct mp_status *ret)
{
	const char *state = find(text, "State");
	struct mp_status status = {0};
	int err = state && isalpha((unsigned char)*state) ? 0 : -EBADMSG;

	if (!err)
		err = parse_uid(text, &status.uid);
	if (!err)
		err = parse_own_pid(text, &status.own_pid);
	if (err)
		return err;
	status.state = *state;
	status.kill_pending = is_pending(text, "SigPnd") || is_pending(text, "ShdPnd");
	parse_memory(text, &status);
	*ret = status;
	return 0;
}

static int read_one(const struct mp_fsroot *fs, const char *path, struct mp_status *ret)
{
	MP_FREE char *text = NULL;
	int err = mp_read_file_at(fs, MAX_STATUS, &text, NULL, "%s", path);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	return mp_status_parse(text, ret);
}

/* A thread that still has the memory of the process. -ESRCH: there is none. */
static int read_other_thread(const struct mp_fsroot *fs, pid_t pid, struct mp_status *ret)
{
	char path[PATH_MAX];
	MP_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	int err = mp_fsroot_path(fs, path, "/proc/%d/task", pid);

	if (err)
		return err;
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		uint64_t tid;

		if (mp_number_parse(entry->d_name, INT32_MAX, &tid) || (pid_t)tid == pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, (int)tid);
		if (read_one(fs, path, ret) == 0 && ret->has_memory)
			return 0;
	}
	return -ESRCH;
}

int mp_status_read(const struct mp_fsroot *fs, pid_t pid, struct mp_status *ret)
{
	char path[64];
	struct mp_status main_thread;
	struct mp_status other;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	err = read_one(fs, path, &main_thread);
	if (err)
		return err;
	if (!main_thread.has_memory && read_other_thread(fs, pid, &other) == 0) {
		other.own_pid = main_thread.own_pid;
		other.kill_pending |= main_thread.kill_pending;
		main_thread = other;
	}
	*ret = main_thread;
	return 0;
}
