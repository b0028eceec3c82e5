/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libmemprobe: injection points in a program's own source, seen by memprobe-bpf, bpftrace and
 * perf; what memory is left, in a few microseconds or nanoseconds; and giving memory back when
 * the monitor asks.
 *
 * Everything may be called from any thread, and after fork() in the child. Nothing
 * allocates memory but memprobe_on_pressure() and memprobe_agent_start(). Without a monitor a
 * point costs a call and a compare. Sizes are in bytes; what is not known is MEMPROBE_UNKNOWN.
 */
#ifndef MEMPROBE_H
#define MEMPROBE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Exported by what defines them: the library is built with all else hidden. */
#pragma GCC visibility push(default)

#define MEMPROBE_VERSION_MAJOR 0
#define MEMPROBE_VERSION_MINOR 1

#define MEMPROBE_UNKNOWN UINT64_MAX

/* How closely a point is watched: decides how often it is sampled and what is done. */
enum memprobe_level {
	MEMPROBE_LOW = 0,
	MEMPROBE_MEDIUM = 1,
	MEMPROBE_HIGH = 2,
	MEMPROBE_CRITICAL = 3,
};

enum memprobe_severity {
	MEMPROBE_NORMAL = 0,
	MEMPROBE_WARNING = 1,
	MEMPROBE_GC = 2,
	MEMPROBE_PRESSURE_CRITICAL = 3,
};

/* "0.1.0" of the library that is loaded. */
const char *memprobe_version(void);

/* --- points --------------------------------------------------------------- */

struct memprobe_point; /* lives as long as the library is loaded */

/*
 * The point of that name; the first call for a name makes it and decides its level.
 * Names are 1 to 127 bytes. NULL with errno EINVAL (name or level), ENOSPC (more than 1024
 * points). Look it up once and keep it: it is a search by name.
 */
struct memprobe_point *memprobe_point(const char *name, enum memprobe_level level);

/*
 * The call that the point is about begins, and asks for `size` bytes (0: not known). Returns
 * what memprobe_exit() is to be given: 0 when nobody watches. A NULL point is passed over.
 * Where the monitor gates this point, the process is stopped in here until there is room.
 */
uint64_t memprobe_enter(struct memprobe_point *point, uint64_t size);
void memprobe_exit(struct memprobe_point *point, uint64_t call);

/*
 * A point for the rest of the block: MEMPROBE_SCOPE("cache.fill", MEMPROBE_HIGH);
 * Left by break, goto, return and C++ exceptions (built with -fexceptions), not by longjmp().
 */
#define MEMPROBE_SCOPE(name, level) MEMPROBE_SCOPE_(name, level, __COUNTER__)

/* --- how much memory is left ----------------------------------------------- */

enum memprobe_info_flags {
	/* The last sample: the level's interval allows it, or another thread takes one now. */
	MEMPROBE_REUSED = 1 << 0,
};

struct memprobe_info {
	uint64_t ts_ns;	    /* CLOCK_MONOTONIC (coarse, within 4 ms) of the sample */
	uint64_t rss;	    /* resident set of the process */
	uint64_t peak_rss;  /* highest seen; refreshed from the kernel every 100 ms at most */
	uint64_t limit;	    /* effective: smallest limit of the memory cgroups on the way up,
			       or the host's memory */
	uint64_t usage;	    /* of the limiting group, or of the host: without what the kernel
			       drops by itself (inactive page cache) */
	uint64_t available; /* limit - usage */
	double usage_ratio; /* usage / limit, 0 to 1 */
	uint32_t severity;  /* enum memprobe_severity: 75, 85 and 90 % of the limit */
	uint32_t flags;	    /* enum memprobe_info_flags */
};

/*
 * Samples memory for the point called `name` (made at medium level when there is none) and
 * tells the monitor, if any. Returns 0; -1 with errno EINVAL, ENOSPC as memprobe_point(), or
 * what /proc said (ENOENT: /proc is not mounted). `info` may be NULL.
 */
int memprobe_check(const char *name, struct memprobe_info *info);
int memprobe_check_point(struct memprobe_point *point, struct memprobe_info *info);

/* The same for no point: always a new sample, and no monitor is told. */
int memprobe_sample(struct memprobe_info *info);

/*
 * Only how full the limit is now, as enum memprobe_severity: half of the cost. Not known is
 * MEMPROBE_NORMAL. Never fails.
 */
int memprobe_severity(void);

/*
 * Whether the resident set is above `threshold_bytes`, by a sample that is at most 10 ms old
 * when calls are rare, and for up to 8 calls longer in a burst. 1, 0, or -1 with errno.
 */
int memprobe_fast_check(uint64_t threshold_bytes);

/* --- giving memory back ---------------------------------------------------- */

struct memprobe_pressure {
	uint32_t severity; /* enum memprobe_severity */
	uint32_t reserved;
	uint64_t wanted_bytes; /* that would end it; 0: all that can be spared */
	uint64_t deadline_ns;  /* CLOCK_MONOTONIC; nobody reads an answer after it */
};

/* Gives back what can be spared; returns the bytes, or 0 when it does not know. */
typedef uint64_t (*memprobe_pressure_fn)(const struct memprobe_pressure *pressure, void *data);

/*
 * Calls `fn` when memory is asked for, in the agent's thread, the last registered first.
 * Returns a handle above 0, or -1 with errno (ENOSPC: more than 64, ENOMEM).
 */
int memprobe_on_pressure(memprobe_pressure_fn fn, void *data);
/* When it returns, the function does not run and will not (unless called from within it). */
int memprobe_off_pressure(int handle);

/*
 * Asks all callbacks now, and then the allocator (malloc_trim, jemalloc, mimalloc), as the
 * agent does. Returns the bytes by which the resident set shrank, 0 when it did not.
 */
uint64_t memprobe_relieve(const struct memprobe_pressure *pressure);

/*
 * Starts a thread that listens for requests of the monitor (docs/relief.md) and on
 * $MEMORY_PRESSURE_WATCH. Once a process; 0 also when it runs already. It is started anew in
 * a child after fork() when the child calls this. -1 with errno.
 */
int memprobe_agent_start(void);
int memprobe_agent_stop(void);

/* --- what the macros are made of ------------------------------------------- */

struct memprobe_scope {
	struct memprobe_point *point;
	uint64_t call;
};

static inline void memprobe_scope_end(struct memprobe_scope *scope)
{
	memprobe_exit(scope->point, scope->call);
}

/* `*cached` keeps the point between calls; threads that race store the same one. */
static inline struct memprobe_point *
memprobe_point_once(struct memprobe_point **cached, const char *name, enum memprobe_level level)
{
	struct memprobe_point *point = __atomic_load_n(cached, __ATOMIC_ACQUIRE);

	if (!point) {
		point = memprobe_point(name, level);
		__atomic_store_n(cached, point, __ATOMIC_RELEASE);
	}
	return point;
}

static inline struct memprobe_scope memprobe_scope_begin(struct memprobe_point *point)
{
	struct memprobe_scope scope = {point, memprobe_enter(point, 0)};

	return scope;
}

#define MEMPROBE_JOIN_(a, b) a##b
#define MEMPROBE_NAME_(a, b) MEMPROBE_JOIN_(a, b)
#define MEMPROBE_SCOPE_(name, level, n)                                                            \
	static struct memprobe_point *MEMPROBE_NAME_(memprobe_point_, n);                          \
	__attribute__((cleanup(memprobe_scope_end), unused)) struct memprobe_scope MEMPROBE_NAME_( \
		memprobe_scope_, n) =                                                              \
		memprobe_scope_begin(                                                              \
			memprobe_point_once(&MEMPROBE_NAME_(memprobe_point_, n), (name), (level)))

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
