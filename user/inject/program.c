// SPDX-License-Identifier: GPL-2.0-only
#include "inject/program.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "inject/memory.h"
#include "target/target.h"

#define MAX_AUXV (64U << 10)
#define MAX_MAPS (64U << 20)
#define NS_PER_SEC 1000000000ULL

/* A value that the kernel gave the program at its start; 0: none. */
static int read_auxv(const struct mp_fsroot *fs, pid_t pid, uint64_t type, uint64_t *ret)
{
	MP_FREE char *data = NULL;
	uint64_t entry[2];
	size_t len;
	int err = mp_read_file_at(fs, MAX_AUXV, &data, &len, "/proc/%d/auxv", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	*ret = 0;
	for (size_t i = 0; i + sizeof(entry) <= len; i += sizeof(entry)) {
		memcpy(entry, data + i, sizeof(entry));
		if (entry[0] == type)
			*ret = entry[1];
	}
	return 0;
}

int mp_program_id_read(const struct mp_fsroot *fs, pid_t pid, struct mp_program_id *ret)
{
	struct mp_program_id id;
	struct mp_process process;
	uint64_t at;
	int err = mp_process_read(fs, pid, &process);

	err = err ?: read_auxv(fs, pid, AT_RANDOM, &at);
	err = err ?: mp_memory_read(pid, at, id.random, sizeof(id.random));
	/* Without memory it has ended, or begins with another program just now. */
	if (err)
		return err == -EFAULT ? -ESRCH : err;
	id.start_time = process.start_time;
	*ret = id;
	return 0;
}

bool mp_program_is_copy(const struct mp_program_id *a, const struct mp_program_id *b)
{
	return memcmp(a->random, b->random, sizeof(a->random)) == 0;
}

bool mp_program_is_same(const struct mp_program_id *a, const struct mp_program_id *b)
{
	return a->start_time == b->start_time && mp_program_is_copy(a, b);
}

uint64_t mp_program_ticks_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return ((uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec) /
	       (NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t mp_program_vdso(const struct mp_fsroot *fs, pid_t pid)
{
	uint64_t at;

	return read_auxv(fs, pid, AT_SYSINFO_EHDR, &at) ? 0 : at;
}

bool mp_program_has_markers(const struct mp_fsroot *fs, pid_t pid)
{
	MP_FREE char *maps = NULL;

	return mp_read_file_at(fs, MAX_MAPS, &maps, NULL, "/proc/%d/maps", pid) == 0 &&
	       strstr(maps, "memprobe-marker");
}
