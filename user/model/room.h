/* SPDX-License-Identifier: GPL-2.0-only */
/* Sees to it that a temporary file goes, whatever happens to its maker. */
#ifndef MP_MODEL_ROOM_H
#define MP_MODEL_ROOM_H

#include "monitor/guardian.h"

/* Zero-initialized is empty. */
struct mp_model_room {
	struct mp_undo *undo;
	struct mp_guardian *guardian;
	int slot;
};

/* Before threads are made. One file at a time. */
int mp_model_room_note(struct mp_model_room *room, const char *path, struct mp_error *err);
/* It is gone. */
void mp_model_room_forget(struct mp_model_room *room);
void mp_model_room_end(struct mp_model_room *room);

#endif
