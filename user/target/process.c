// SPDX-License-Identifier: GPL-2.0-only
/* What /proc says of one process. */
#include "target/target.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "target/private.h"

#define MAX_PROC_FILE (64U << 10)
/* include/linux/sched.h */
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

/* Places in /proc/PID/stat, counted from the first word behind the comm. */
enum stat_word {
	STAT_STATE = 0,
	STAT_PARENT = 1,
	STAT_FLAGS = 6,
	STAT_START_TIME = 19,
	STAT_WORDS
};

static int parse_words(char *text, struct mp_process *process)
{
	char *words[STAT_WORDS];
	uint64_t parent;
	uint64_t flags;

	for (size_t i = 0; i < STAT_WORDS; i++) {
		words[i] = strtok_r(i ? NULL : text, " \n", &text);
		if (!words[i])
			return -EBADMSG;
	}
	if (strlen(words[STAT_STATE]) != 1 ||
	    mp_number_parse(words[STAT_PARENT], INT32_MAX, &parent) ||
	    mp_number_parse(words[STAT_FLAGS], UINT32_MAX, &flags) ||
	    mp_number_parse(words[STAT_START_TIME], UINT64_MAX, &process->start_time))
		return -EBADMSG;
	process->state = words[STAT_STATE][0];
	process->parent = (pid_t)parent;
	process->is_kernel_thread = flags & PF_KTHREAD;
	process->is_exiting = flags & PF_EXITING;
	return 0;
}

/* The comm is written raw and may hold anything, but behind it no ')' follows. */
static int parse_stat(char *text, size_t len, struct mp_process *process)
{
	const char *open = memchr(text, '(', len);
	char *close = memrchr(text, ')', len);
	size_t n;

	if (!open || !close || close < open)
		return -EBADMSG;
	n = (size_t)(close - open - 1);
	if (n >= sizeof(process->comm))
		n = sizeof(process->comm) - 1; /* a kernel worker adds what it works on */
	memcpy(process->comm, open + 1, n);
	return parse_words(close + 1, process);
}

static int parse_thread_group(char *status, pid_t *ret)
{
	static const char key[] = "Tgid:\t";
	char *line;
	uint64_t tgid;

	while ((line = strsep(&status, "\n"))) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		if (mp_number_parse(line + strlen(key), INT32_MAX, &tgid))
			return -EBADMSG;
		*ret = (pid_t)tgid;
		return 0;
	}
	return -EBADMSG;
}

int mp_process_read_stat(const struct mp_fsroot *fs, pid_t pid, struct mp_process *ret)
{
	struct mp_process process = {.pid = pid};
	MP_FREE char *text = NULL;
	size_t len;
	int err = mp_read_file_at(fs, MAX_PROC_FILE, &text, &len, "/proc/%d/stat", pid);

	if (!err)
		err = parse_stat(text, len, &process);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	*ret = process;
	return 0;
}

int mp_process_thread_group(const struct mp_fsroot *fs, pid_t pid, pid_t *ret)
{
	MP_FREE char *status = NULL;
	int err = mp_read_file_at(fs, MAX_PROC_FILE, &status, NULL, "/proc/%d/status", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	return parse_thread_group(status, ret);
}

int mp_process_read(const struct mp_fsroot *fs, pid_t pid, struct mp_process *ret)
{
	struct mp_process process;
	int err = mp_process_read_stat(fs, pid, &process);

	if (!err)
		err = mp_process_thread_group(fs, pid, &process.pid);
	if (err)
		return err;
	*ret = process;
	return 0;
}

/* The second number, in pages. */
uint64_t mp_process_rss(const struct mp_fsroot *fs, pid_t pid)
{
	MP_FREE char *text = NULL;
	char *second;

	if (pid <= 0 || mp_read_file_at(fs, MAX_PROC_FILE, &text, NULL, "/proc/%d/statm", pid))
		return MP_UNKNOWN;
	second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : MP_UNKNOWN;
}

int mp_process_rss_kinds(const struct mp_fsroot *fs, pid_t pid, struct mp_rss_kinds *ret)
{
	MP_FREE char *text = NULL;
	struct mp_rss_kinds rss;

	if (mp_read_file_at(fs, MAX_PROC_FILE, &text, NULL, "/proc/%d/status", pid) ||
	    mp_meminfo_field(text, "RssAnon", &rss.anon) ||
	    mp_meminfo_field(text, "RssFile", &rss.file) ||
	    mp_meminfo_field(text, "RssShmem", &rss.shmem))
		return -ESRCH;
	*ret = rss;
	return 0;
}

bool mp_process_has_ended(const struct mp_process *process)
{
	return process->state == 'Z' || process->state == 'X' || process->state == 'x';
}

int mp_process_exe(const struct mp_fsroot *fs, pid_t pid, struct stat *ret)
{
	char path[PATH_MAX];
	int err = mp_fsroot_path(fs, path, "/proc/%d/exe", pid);

	if (err)
		return err;
	return stat(path, ret) < 0 ? -errno : 0;
}
