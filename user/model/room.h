/* SPDX-License-Identifier: GPL-2.0-only */
/* A temporary folder for files that are made, which goes whatever happens to its maker. */
#ifndef MP_MODEL_ROOM_H
#define MP_MODEL_ROOM_H

#include "monitor/guardian.h"

struct mp_model_room {
	char *dir; /* NULL: there is none */
	struct mp_undo *undo;
	struct mp_guardian *guardian;
	int slot;
};

/* In $TMPDIR, else /var/tmp: what is made is large, and /tmp is often in memory. */
int mp_model_room_make(struct mp_model_room *room, struct mp_error *err);
/* Removes it, with the files in it. */
void mp_model_room_remove(struct mp_model_room *room);

#endif
