/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that $MEMORY_PRESSURE_WATCH names, by systemd's protocol
 * (systemd.io/MEMORY_PRESSURE): a PSI file, a FIFO, or a stream socket.
 */
#ifndef MP_LIB_AGENT_WATCH_H
#define MP_LIB_AGENT_WATCH_H

#include <stdbool.h>

#include "lib/private.h"

struct mp_lib_watch {
	int fd;	      /* -1: none */
	short events; /* to poll for */
};

/*
 * Opens it and writes what $MEMORY_PRESSURE_WRITE holds, decoded. -ENOENT when there is none
 * or it is /dev/null, -EINVAL when it is no such file or the data no Base64, or what the
 * system says.
 */
MP_LIB_HIDDEN int mp_lib_watch_open(const char *path, const char *data, struct mp_lib_watch *ret);

/* Whether what poll(2) found is pressure. The file is closed when no more will come. */
MP_LIB_HIDDEN bool mp_lib_watch_hear(struct mp_lib_watch *watch, short events);

#endif
