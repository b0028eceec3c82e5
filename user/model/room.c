// SPDX-License-Identifier: GPL-2.0-only
#include "model/room.h"

#include <errno.h>
#include <string.h>

static int open_room(struct mp_model_room *room, struct mp_error *err)
{
	int error;

	if (room->undo)
		return 0;
	room->undo = mp_undo_new();
	if (!room->undo)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	error = mp_guardian_start(room->undo, &room->guardian, err);
	if (error) {
		mp_undo_free(room->undo);
		room->undo = NULL;
	}
	return error;
}

int mp_model_room_note(struct mp_model_room *room, const char *path, struct mp_error *err)
{
	const struct mp_undo_what what = {.kind = MP_UNDO_UNLINK, .path = path};
	int error = open_room(room, err);

	if (error)
		return error;
	room->slot = mp_undo_arm(room->undo, &what);
	if (room->slot < 0)
		return mp_fail(err, MP_EXIT_USAGE, -room->slot, "TMPDIR: %s: %s", path,
			       strerror(-room->slot));
	return 0;
}

void mp_model_room_forget(struct mp_model_room *room)
{
	if (room->undo)
		mp_undo_disarm(room->undo, room->slot);
}

void mp_model_room_end(struct mp_model_room *room)
{
	if (!room->undo)
		return;
	mp_guardian_end(room->guardian);
	mp_undo_free(room->undo);
	*room = (struct mp_model_room){0};
}
