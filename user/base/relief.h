/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a process is asked to give memory back, and answers: the protocol between
 * the monitor and the agent in the process (libmemprobe's, or anyone's).
 *
 * The agent listens on a SOCK_SEQPACKET Unix socket at MP_RELIEF_PATH, as its own
 * mount namespace sees it, the number being its process id in its own pid namespace. The
 * socket is its user's, mode 0600, and close-on-exec. The process itself calls listen(), after
 * it has changed its user and, again, after a fork: SO_PEERCRED shows who called that, and
 * a file that an earlier process left there is removed first.
 *
 * The monitor connects (through /proc/PID/root), checks by SO_PEERCRED that the peer is
 * the process it means to ask, with that process's effective user, sends one request, and
 * waits for one reply until the deadline; then it closes. A request and a reply are one
 * record each, of exactly the size below. The agent serves one peer at a time, accepts
 * only its own user and root, and closes without an answer on what is not exactly one
 * request of its version. It answers by the deadline with what it has given back until
 * then; nobody reads a later answer. Numbers are in the machine's byte order.
 */
#ifndef MP_BASE_RELIEF_H
#define MP_BASE_RELIEF_H

#include <stdint.h>

#define MP_RELIEF_PATH "/tmp/.memprobe-relief.%d"
#define MP_RELIEF_MAGIC 0x4652504dU /* "MPRF" */
#define MP_RELIEF_VERSION 1

enum mp_relief_status {
	MP_RELIEF_DONE = 0,
	MP_RELIEF_NOTHING = 1, /* there was nothing to give back, or nobody registered */
	MP_RELIEF_FAILED = 2,
	MP_RELIEF_BUSY = 3, /* an earlier request is still being served */
};

struct mp_relief_request {
	uint32_t magic;
	uint16_t version;
	uint16_t severity;     /* enum mp_severity of abi.h */
	uint64_t id;	       /* repeated in the reply */
	uint64_t wanted_bytes; /* that would bring usage below the threshold; 0: all there is */
	uint64_t deadline_ns;  /* how long the monitor waits for the reply, from the sending on */
};

struct mp_relief_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t status; /* enum mp_relief_status */
	uint64_t id;
	uint64_t freed_bytes; /* by the process's own measure, of its RSS; 0 unless done */
	uint64_t duration_ns;
	uint32_t callbacks; /* how many were called */
	uint32_t pad;
};

_Static_assert(sizeof(struct mp_relief_request) == 32, "relief request");
_Static_assert(sizeof(struct mp_relief_reply) == 40, "relief reply");

#endif
