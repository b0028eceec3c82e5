// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which sources, and why these: reading statm costs a fifth of reading the status file, and
 * a group's usage or sysinfo() an eighth of /proc/meminfo. What only the costly ones tell
 * changes slowly, or shows in the cheap ones when it changes: it is kept, and corrected when
 * they have moved.
 */
#include "lib/sample.h"

#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STATM_TEXT 128
#define NUMBER_TEXT 32

static struct mp_lib_ram live_ram(void)
{
	struct sysinfo info = {0};

	sysinfo(&info);
	return (struct mp_lib_ram){(uint64_t)info.totalram * info.mem_unit,
				   (uint64_t)info.freeram * info.mem_unit};
}

const struct mp_lib_system mp_lib_live = {.root = "", .ram = live_ram};

/* --- resident set ------------------------------------------------------------------- */

/* "size resident shared …" in pages. -ESRCH: all zero, as of a thread that has ended. */
static int parse_statm(const char *text, uint64_t *ret_rss)
{
	uint64_t pages;
	uint64_t size;
	uint64_t rss;

	if (mp_lib_number(&text, &size) || *text++ != ' ' || mp_lib_number(&text, &pages) ||
	    *text != ' ' || __builtin_mul_overflow(pages, (uint64_t)sysconf(_SC_PAGESIZE), &rss))
		return -EBADMSG;
	if (!size)
		return -ESRCH;
	*ret_rss = rss;
	return 0;
}

static int read_statm(struct mp_lib_file *statm, uint64_t *ret_rss)
{
	char text[STATM_TEXT];
	ssize_t n = mp_lib_file_read(statm, text, sizeof(text));

	return n < 0 ? (int)n : parse_statm(text, ret_rss);
}

/*
 * When the main thread has ended before others, the process's own file is all zero, but not
 * that of a thread: which in turn ends with it.
 */
static int open_statm(const struct mp_lib_system *system, struct mp_lib_file *statm,
		      uint64_t *ret_rss)
{
	static const char *const paths[] = {"/proc/self/statm", "/proc/thread-self/statm"};
	char path[MP_LIB_PATH_MAX];
	int err = -ENOENT;

	for (size_t i = 0; i < MP_ARRAY_SIZE(paths); i++) {
		mp_lib_file_close(statm);
		err = mp_lib_join(path, sizeof(path), system->root, paths[i], "");
		if (!err)
			err = mp_lib_file_open(statm, path);
		if (!err)
			err = read_statm(statm, ret_rss);
		if (err != -ESRCH)
			break;
	}
	return err;
}

int mp_lib_sample_rss(const struct mp_lib_system *system, struct mp_lib_sources *sources,
		      uint64_t *ret_rss)
{
	if (sources->statm.is_open && read_statm(&sources->statm, ret_rss) == 0)
		return 0;
	return open_statm(system, &sources->statm, ret_rss);
}

/* --- usage, the cheap part ------------------------------------------------------------- */

static uint64_t read_group_usage(struct mp_lib_file *file)
{
	char text[NUMBER_TEXT];
	const char *at = text;
	uint64_t usage;

	if (mp_lib_file_read(file, text, sizeof(text)) < 0 || mp_lib_number(&at, &usage) ||
	    *at != '\n')
		return MEMPROBE_UNKNOWN;
	return usage;
}

static uint64_t read_raw(const struct mp_lib_system *system, struct mp_lib_sources *s)
{
	uint64_t free_ram;

	if (s->limit == MEMPROBE_UNKNOWN)
		return MEMPROBE_UNKNOWN;
	if (s->group_usage.is_open)
		return read_group_usage(&s->group_usage);
	free_ram = system->ram().free;
	return s->limit > free_ram ? s->limit - free_ram : 0;
}

static uint64_t usage_of(const struct mp_lib_sources *s, uint64_t raw)
{
	int64_t usage;

	if (raw == MEMPROBE_UNKNOWN || __builtin_sub_overflow(raw, s->spare, &usage))
		return MEMPROBE_UNKNOWN;
	return usage > 0 ? (uint64_t)usage : 0;
}

/* --- what is kept ---------------------------------------------------------------------- */

/* Reads up to two "Key: N kB" of a file; those that it lacks stay as they are. */
static void read_fields(const struct mp_lib_system *system, const char *file,
			const char *const keys[2], uint64_t ret_bytes[2])
{
	char path[MP_LIB_PATH_MAX];
	struct mp_lib_lines lines;
	unsigned int missing = 2;
	const char *line;

	if (mp_lib_join(path, sizeof(path), system->root, file, "") ||
	    mp_lib_lines_open(&lines, path))
		return;
	while (missing && (line = mp_lib_lines_next(&lines)))
		for (size_t i = 0; i < 2; i++)
			if (keys[i] && !mp_lib_kib_field(line, keys[i], &ret_bytes[i]))
				missing--;
	mp_lib_lines_close(&lines);
}

/* Keeps the file open while it is the same group's. */
static bool open_usage(struct mp_lib_sources *s, const struct mp_lib_group *group)
{
	char path[MP_LIB_PATH_MAX];

	if (mp_lib_join(path, sizeof(path), group->folder, mp_lib_group_usage_file(&s->tree), ""))
		return false;
	if (mp_lib_file_is_at(&s->group_usage, path))
		return true;
	mp_lib_file_close(&s->group_usage);
	return mp_lib_file_open(&s->group_usage, path) == 0;
}

/* False when there is none below what the host has. */
static bool use_group(const struct mp_lib_system *system, struct mp_lib_sources *s)
{
	struct mp_lib_group group;

	if (!mp_lib_group_find(system->root, &s->tree, &group) ||
	    group.limit >= system->ram().total || !open_usage(s, &group))
		return false;
	s->limit = group.limit;
	s->spare = (int64_t)mp_lib_group_inactive_file(&s->tree, &group);
	return true;
}

static void use_host(const struct mp_lib_system *system, struct mp_lib_sources *s)
{
	static const char *const keys[2] = {"MemTotal:", "MemAvailable:"};
	uint64_t host[2] = {MEMPROBE_UNKNOWN, MEMPROBE_UNKNOWN};

	mp_lib_file_close(&s->group_usage);
	read_fields(system, "/proc/meminfo", keys, host);
	s->limit = host[1] == MEMPROBE_UNKNOWN ? MEMPROBE_UNKNOWN : host[0];
	s->spare = (int64_t)(host[1] - system->ram().free);
}

/* All of it: limits may be others, and the process in another group. */
static void refresh(const struct mp_lib_system *system, struct mp_lib_sources *s, uint64_t now_ns)
{
	static const char *const keys[2] = {"VmHWM:", NULL};
	uint64_t peak[2] = {0};

	if (s->tree.kind == MP_LIB_TREE_UNKNOWN)
		mp_lib_tree_find(system->root, &s->tree);
	if (!use_group(system, s))
		use_host(system, s);
	read_fields(system, "/proc/self/status", keys, peak);
	if (peak[0] > s->peak_rss)
		s->peak_rss = peak[0];
	s->refreshed_ns = now_ns;
}

static bool has_moved(const struct mp_lib_sources *s, uint64_t then, uint64_t now)
{
	return (now > then ? now - then : then - now) > s->limit / 64;
}

/*
 * What is kept may be old while usage is far from any threshold and stands still. It may not
 * when a group is full, as far as one can tell from the raw usage: then page cache gives way
 * to other memory, and nothing else shows.
 */
static bool is_refresh_due(const struct mp_lib_sources *s, uint64_t now_ns, uint64_t raw,
			   uint64_t rss)
{
	uint64_t age = now_ns - s->refreshed_ns;

	if (!s->refreshed_ns || age >= MP_LIB_KEPT_NS)
		return true;
	if (age < MP_LIB_FRESH_NS || s->limit == MEMPROBE_UNKNOWN)
		return false;
	if (s->group_usage.is_open && raw >= s->limit / 10 * 9)
		return true;
	return usage_of(s, raw) >= s->limit / 10 * 7 || has_moved(s, s->raw_then, raw) ||
	       has_moved(s, s->rss_then, rss);
}

/* --- the sample ---------------------------------------------------------------------------- */

enum memprobe_severity mp_lib_severity(double usage_ratio)
{
	if (usage_ratio >= 0.90)
		return MEMPROBE_PRESSURE_CRITICAL;
	if (usage_ratio >= 0.85)
		return MEMPROBE_GC;
	return usage_ratio >= 0.75 ? MEMPROBE_WARNING : MEMPROBE_NORMAL;
}

static void fill(const struct mp_lib_sources *s, uint64_t now_ns, uint64_t rss, uint64_t usage,
		 struct memprobe_info *ret)
{
	*ret = (struct memprobe_info){
		.ts_ns = now_ns,
		.rss = rss,
		.peak_rss = s->peak_rss,
		.limit = s->limit,
		.usage = usage,
		.available = MEMPROBE_UNKNOWN,
	};
	if (usage == MEMPROBE_UNKNOWN)
		return;
	ret->available = s->limit > usage ? s->limit - usage : 0;
	ret->usage_ratio = usage < s->limit ? (double)usage / (double)s->limit : 1.0;
	ret->severity = mp_lib_severity(ret->usage_ratio);
}

/* The resident set that is given only helps to tell whether what is kept is still good. */
static uint64_t read_usage(const struct mp_lib_system *system, struct mp_lib_sources *s,
			   uint64_t now_ns, uint64_t rss)
{
	uint64_t raw = MEMPROBE_UNKNOWN;

	if (s->refreshed_ns)
		raw = read_raw(system, s);
	/* A group that cannot be read any more is gone. */
	if (is_refresh_due(s, now_ns, raw, rss) ||
	    (raw == MEMPROBE_UNKNOWN && s->limit != MEMPROBE_UNKNOWN)) {
		refresh(system, s, now_ns);
		raw = read_raw(system, s);
		s->raw_then = raw;
		s->rss_then = rss;
	}
	return usage_of(s, raw);
}

int mp_lib_sample(const struct mp_lib_system *system, struct mp_lib_sources *s, uint64_t now_ns,
		  struct memprobe_info *ret)
{
	uint64_t usage;
	uint64_t rss;
	int err = mp_lib_sample_rss(system, s, &rss);

	if (err)
		return err;
	usage = read_usage(system, s, now_ns, rss);
	if (rss > s->peak_rss)
		s->peak_rss = rss;
	fill(s, now_ns, rss, usage, ret);
	return 0;
}

enum memprobe_severity mp_lib_glance(const struct mp_lib_system *system, struct mp_lib_sources *s,
				     uint64_t now_ns)
{
	struct memprobe_info info;

	fill(s, now_ns, 0, read_usage(system, s, now_ns, s->rss_then), &info);
	return (enum memprobe_severity)info.severity;
}

void mp_lib_sources_close(struct mp_lib_sources *sources)
{
	mp_lib_file_close(&sources->statm);
	mp_lib_file_close(&sources->group_usage);
}
