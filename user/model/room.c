// SPDX-License-Identifier: GPL-2.0-only
#include "model/room.h"

#include <errno.h>
#include <string.h>

static int make_dir(struct mp_model_room *room)
{
	const char *base = getenv("TMPDIR");

	if (asprintf(&room->dir, "%s/memprobe-model-XXXXXX", base && *base ? base : "/var/tmp") < 0) {
		room->dir = NULL;
		return -ENOMEM;
	}
	return mkdtemp(room->dir) ? 0 : -errno;
}

/* In the journal as soon as its name is known; until then there is nothing in it. */
static int note_dir(struct mp_model_room *room)
{
	const struct mp_undo_what what = {.kind = MP_UNDO_RMFILES, .path = room->dir};

	room->slot = mp_undo_arm(room->undo, &what);
	if (room->slot >= 0)
		return 0;
	rmdir(room->dir);
	return room->slot;
}

int mp_model_room_make(struct mp_model_room *room, struct mp_error *err)
{
	int error;

	*room = (struct mp_model_room){.undo = mp_undo_new(), .slot = -1};
	if (!room->undo)
		return -ENOMEM;
	error = mp_guardian_start(room->undo, &room->guardian, err);
	if (!error) {
		error = make_dir(room);
		error = error ?: note_dir(room);
		if (error)
			mp_fail(err, MP_EXIT_PRIVILEGE, -error, "%s: cannot be made: %s",
				room->dir ? room->dir : "a folder", strerror(-error));
	}
	if (error)
		mp_model_room_remove(room);
	return error;
}

void mp_model_room_remove(struct mp_model_room *room)
{
	if (!room->undo)
		return;
	mp_undo_run(room->undo, room->slot);
	mp_guardian_end(room->guardian);
	mp_undo_free(room->undo);
	free(room->dir);
	*room = (struct mp_model_room){.slot = -1};
}
