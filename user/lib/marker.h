/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions that a monitor probes, each of which does nothing. Their first instruction is
 * the cheapest place for a uprobe (x86-64: a 5-byte nop, which newer kernels turn into a
 * call: safe here alone, at the entry of a function that keeps nothing below the stack
 * pointer). SystemTap notes describe them, provider "memprobe", names "enter", "exit" and
 * "check", with the arguments below and a semaphore, so that memprobe-bpf, bpftrace and perf
 * find them. They are in libmemprobe.so, and alone in memprobe-marker.so, which needs no libc
 * and is what gets into interpreters that libmemprobe is not installed for.
 *
 *   id     FNV-1a (64 bit) of the name's bytes
 *   name   the point's, NUL-terminated, at most 127 bytes
 *   level  enum memprobe_level, in the low 8 bits; above them enum memprobe_marker_flags
 *   call   tells the calls of a thread apart: an exit is given its entry's. Not 0
 *   size   bytes that the call asks for; 0: not known
 *   rss    of a check: the resident set that the process measured, in bytes
 */
#ifndef MEMPROBE_MARKER_H
#define MEMPROBE_MARKER_H

#include <stdint.h>

enum memprobe_marker_flags {
	MEMPROBE_MARKER_PYTHON = 1 << 8, /* a Python function, by the injected wrapper */
};

void memprobe_marker_enter(uint64_t id, const char *name, uint64_t level, uint64_t call,
			   uint64_t size);
void memprobe_marker_exit(uint64_t id, const char *name, uint64_t level, uint64_t call);
void memprobe_marker_check(uint64_t id, const char *name, uint64_t level, uint64_t rss);

/* How many probes are on each; the kernel counts them. */
extern volatile unsigned short memprobe_enter_semaphore;
extern volatile unsigned short memprobe_exit_semaphore;
extern volatile unsigned short memprobe_check_semaphore;

static inline uint64_t memprobe_marker_id(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return hash;
}

#endif
