// SPDX-License-Identifier: GPL-2.0-only
#include "env/device.h"

#include <errno.h>
#include <string.h>

#include "base/size.h"

static int note_folder(void *data, const char *folder)
{
	struct mp_group_notes *notes = data;
	const struct mp_undo_what what = {.kind = notes->kind, .path = folder};
	int slot = mp_undo_arm(notes->undo, &what);

	if (slot < 0)
		return slot;
	notes->slots[notes->n++] = slot;
	return 0;
}

static void forget_last(void *data)
{
	struct mp_group_notes *notes = data;

	mp_undo_disarm(notes->undo, notes->slots[--notes->n]);
}

void mp_group_forget(struct mp_group_notes *notes)
{
	while (notes->n)
		forget_last(notes);
}

int mp_group_make_noted(const struct mp_cgroups *cg, const char *parent, const char *name,
			const struct mp_group_limits *limits, struct mp_group_notes *notes,
			struct mp_group *ret, struct mp_group_held *ret_held, struct mp_error *err)
{
	const struct mp_group_hook hook = {
		.before = note_folder, .not_made = forget_last, .data = notes};
	int error = mp_group_make(cg, parent, name, limits, &hook, ret, ret_held, err);

	if (error)
		mp_group_forget(notes);
	return error;
}

int mp_device_room(const struct mp_cgroups *cg, const char *parent, uint64_t *ret_bytes)
{
	MP_FREE char *own = NULL;
	MP_FREE char *owner = NULL;
	uint64_t total, available, limit;
	int error = mp_host_memory(&cg->fs, &total, &available);

	if (!error && !parent)
		error = mp_cgroup_of_pid(cg, getpid(), &own);
	error = error ?: mp_cgroup_effective_limit(cg, parent ? parent : own, &limit, &owner);
	if (error)
		return error;
	*ret_bytes = limit < total ? limit : total;
	return 0;
}

/* A limit that is never reached would be none, silently. */
int mp_device_check(const struct mp_device_options *o, uint64_t room, struct mp_error *err)
{
	char allowed[MP_HUMAN_LEN];
	char there[MP_HUMAN_LEN];

	if (o->profile->limit_bytes <= room || o->force)
		return 0;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOMEM,
		       "%s allows %s, more than the %s that there are here, so its limit would "
		       "never be reached: choose a smaller profile (memprobe-bpf env list), or "
		       "--force",
		       o->profile->name, mp_size_format(o->profile->limit_bytes, allowed),
		       mp_size_format(room, there));
}

static int check_room(const struct mp_cgroups *cg, const char *parent,
		      const struct mp_device_options *o, struct mp_error *err)
{
	uint64_t room;
	int error = mp_device_room(cg, parent, &room);

	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot tell how much memory there is: %s", strerror(-error));
	return mp_device_check(o, room, err);
}

static void note_room(struct mp_device *device, const struct mp_profile *profile)
{
	size_t len =
		(size_t)snprintf(device->notes, sizeof(device->notes), "%s", device->held.notes);
	char there[MP_HUMAN_LEN];
	uint64_t room;

	if (mp_device_room(&device->group.cg, device->group.path, &room) ||
	    room >= device->held.limit_bytes)
		return;
	snprintf(device->notes + len, sizeof(device->notes) - len,
		 "%sthere are %s here, less than %s allows", len ? "; " : "",
		 mp_size_format(room, there), profile->name);
}

static void prepare(void *data)
{
	const struct mp_device *device = data;

	mp_lxcfs_show(&device->lxcfs);
}

int mp_device_make(const struct mp_cgroups *cg, const char *parent,
		   const struct mp_device_options *o, struct mp_undo *undo,
		   struct mp_device *device, struct mp_error *err)
{
	const struct mp_profile *p = o->profile;
	const struct mp_group_limits limits = {
		.limit_bytes = p->limit_bytes, .swap_bytes = p->swap_bytes, .cpus = p->cpus};
	int error = check_room(cg, parent, o, err);

	*device = (struct mp_device){
		.group = {.fd = -1},
		.journal = {.undo = undo, .kind = MP_UNDO_RMDIR_LATER},
	};
	error = error
			?: mp_group_make_noted(cg, parent, "env", &limits, &device->journal,
					       &device->group, &device->held, err);
	if (error)
		return error;
	note_room(device, p);
	mp_lxcfs_find(&device->lxcfs, o->no_lxcfs, p->cpus > 0);
	device->place = (struct mp_child_place){
		.group = &device->group, .prepare = prepare, .data = device};
	return 0;
}

int mp_device_leave(struct mp_device *device)
{
	int error = 0;

	/* All its folders have the same processes in them: the first says it for all. */
	for (size_t i = 0; i < device->journal.n && !error; i++)
		error = mp_undo_run(device->journal.undo, device->journal.slots[i]);
	mp_group_free(&device->group);
	return error;
}

void mp_device_clear(struct mp_device *device, int wait_ms)
{
	if (!device->group.n_folders)
		return;
	if (mp_group_remove(&device->group, wait_ms) == 0)
		mp_group_forget(&device->journal);
	mp_group_free(&device->group);
}
