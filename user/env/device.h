/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A profile made real on this machine: a group with its limits, what a command inside sees of
 * /proc, and an entry in the journal, so that the group goes whatever happens to its maker.
 */
#ifndef MP_ENV_DEVICE_H
#define MP_ENV_DEVICE_H

#include "action/undo.h"
#include "config/profiles.h"
#include "env/lxcfs.h"
#include "monitor/child.h"

/* A group's folders in the journal. */
struct mp_group_notes {
	struct mp_undo *undo;
	enum mp_undo_kind kind;
	int slots[MP_GROUP_TREES];
	size_t n;
};

/* mp_group_make() whose folders are in the journal from before they are made. */
int mp_group_make_noted(const struct mp_cgroups *cg, const char *parent, const char *name,
			const struct mp_group_limits *limits, struct mp_group_notes *notes,
			struct mp_group *ret, struct mp_group_held *ret_held, struct mp_error *err);
/* The folders are gone. */
void mp_group_forget(struct mp_group_notes *notes);

struct mp_device_options {
	const struct mp_profile *profile;
	bool force;    /* also when this machine has less memory than the profile allows */
	bool no_lxcfs; /* /proc inside is left as it is */
};

struct mp_device {
	struct mp_group group; /* without folders: there is no device */
	struct mp_group_held held;
	char notes[1024];	     /* what does not hold here, or "" */
	struct mp_child_place place; /* for commands inside */
	struct mp_lxcfs lxcfs;
	struct mp_group_notes journal;
};

/*
 * The most that the profile could ever allow below `parent`, NULL: of the own group: the smallest
 * limit on the way up, or the host's memory.
 */
int mp_device_room(const struct mp_cgroups *cg, const char *parent, uint64_t *ret_bytes);

/* Whether a profile makes sense where there is so much: exit code 6, unless forced. */
int mp_device_check(const struct mp_device_options *o, uint64_t room, struct mp_error *err);

/*
 * Makes it below a group as mp_group_place() finds them. A profile that allows more than there is
 * has exit code 6, unless forced; the others are those of mp_group_make(). `device` must stay
 * where it is: its place points to it.
 */
int mp_device_make(const struct mp_cgroups *cg, const char *parent,
		   const struct mp_device_options *o, struct mp_undo *undo,
		   struct mp_device *device, struct mp_error *err);

/*
 * Removes the group when nobody is in it (any more). -EBUSY: somebody is; it stays in the journal,
 * and the guardian removes it after the last of them.
 */
int mp_device_leave(struct mp_device *device);
/* Ends whatever is inside, waits for it, and removes the group. */
void mp_device_clear(struct mp_device *device, int wait_ms);

#endif
