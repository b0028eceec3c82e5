// SPDX-License-Identifier: GPL-2.0-only
/* The freezer of v1 and that of v2. */
#include "cgroup/control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/private.h"

#define MAX_STATE 64
#define MAX_EVENTS 4096

static const struct freezer {
	const char *controller; /* NULL: the tree of v2 */
	const char *file;
	const char *freeze;
	const char *thaw;
} freezers[] = {
	{"freezer", "freezer.state", "FROZEN", "THAWED"},
	{NULL, "cgroup.freeze", "1", "0"},
};

static int read_state(const char *path, char state[MAX_STATE])
{
	MP_FREE char *text = NULL;
	size_t len;
	int err = mp_cgroup_gone(mp_read_file(path, MAX_STATE - 1, &text, &len));

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	strcpy(state, text);
	return 0;
}

/* The folder of the process's group in the freezer's tree. */
static int find_group(const struct mp_fsroot *fs, pid_t pid, const struct freezer *freezer,
		      char out[PATH_MAX])
{
	struct mp_cgroup_tree tree;
	MP_FREE char *path = NULL;
	int err = mp_cgroup_find_tree(fs, freezer->controller, &tree);

	if (!err && !tree.point[0])
		err = -EOPNOTSUPP;
	if (!err)
		err = mp_cgroup_path_of_pid(fs, pid, freezer->controller, tree.root, &path);
	if (err)
		return err == -ENOENT ? -EOPNOTSUPP : err;
	return mp_fsroot_path(fs, out, "%s%s", tree.point, strcmp(path, "/") ? path : "");
}

static int find_knob(const struct mp_fsroot *fs, pid_t pid, const struct freezer *freezer,
		     struct mp_cgroup_knob *knob)
{
	char folder[PATH_MAX];
	char state[MAX_STATE];
	int err = find_group(fs, pid, freezer, folder);

	if (err)
		return err;
	if ((size_t)snprintf(knob->path, sizeof(knob->path), "%s/%s", folder, freezer->file) >=
	    sizeof(knob->path))
		return -ENAMETOOLONG;
	err = read_state(knob->path, state);
	if (err == -ENOENT)
		return access(folder, F_OK) == 0 ? -EBUSY : -ESRCH; /* the root has no such file */
	if (!err && strcmp(state, freezer->thaw) != 0)
		err = -EALREADY;
	strcpy(knob->set, freezer->freeze);
	strcpy(knob->restore, freezer->thaw);
	return err;
}

struct census {
	const char *top;
	mp_may_freeze_fn may_freeze;
	void *data;
	size_t n;
};

static int count_group(void *data, const char *path)
{
	struct census *census = data;
	MP_FREE pid_t *pids = NULL;
	char folder[PATH_MAX];
	size_t n;
	int err;

	if ((size_t)snprintf(folder, sizeof(folder), "%s%s", census->top, path) >= sizeof(folder))
		return -ENAMETOOLONG;
	err = mp_cgroup_pids_in(folder, &pids, &n);
	/* A group of threads below: its processes are listed above. Or it has gone meanwhile. */
	if ((err == -EOPNOTSUPP && strcmp(path, "/") != 0) || err == -ENOENT)
		return 0;
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		/* 0: a process that this pid namespace does not show. */
		if (!pids[i] || !census->may_freeze(census->data, pids[i]))
			return -EBUSY;
	}
	census->n += n;
	return 0;
}

/* The first freezer that the process is not in the root of. */
static int choose_knob(const struct mp_fsroot *fs, pid_t pid, struct mp_cgroup_knob *knob)
{
	int err = -EOPNOTSUPP;

	for (size_t i = 0; i < MP_ARRAY_SIZE(freezers); i++) {
		int tried = find_knob(fs, pid, &freezers[i], knob);

		if (tried == -EOPNOTSUPP)
			continue;
		err = tried;
		if (err != -EBUSY)
			break;
	}
	return err;
}

int mp_cgroup_freeze_knob(const struct mp_cgroups *cg, pid_t pid, mp_may_freeze_fn may_freeze,
			  void *data, struct mp_cgroup_knob *ret, size_t *ret_others)
{
	struct census census = {.may_freeze = may_freeze, .data = data};
	struct mp_cgroup_knob knob;
	char folder[PATH_MAX];
	int err = choose_knob(&cg->fs, pid, &knob);

	if (err)
		return err;
	strcpy(folder, knob.path);
	*strrchr(folder, '/') = '\0';
	census.top = folder;
	err = mp_cgroup_walk_folder(folder, count_group, &census);
	if (!err && census.n == 0)
		err = -ESRCH;
	if (err)
		return err;
	*ret = knob;
	*ret_others = census.n - 1;
	return 0;
}

/* v2 tells whether all have stopped in another file than the one that asks for it. */
static int is_frozen_v2(const char *freeze_file)
{
	MP_FREE char *text = NULL;
	char path[PATH_MAX];
	uint64_t frozen;
	const char *end = strrchr(freeze_file, '/');
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%.*s/cgroup.events", (int)(end - freeze_file),
			     freeze_file) >= sizeof(path))
		return -ENAMETOOLONG;
	err = mp_cgroup_gone(mp_read_file(path, MAX_EVENTS, &text, NULL));
	if (!err)
		err = mp_cgroup_field(text, "frozen", &frozen);
	return err ? err : frozen == 1;
}

int mp_cgroup_is_frozen(const struct mp_cgroups *cg, const struct mp_cgroup_knob *knob)
{
	char state[MAX_STATE];
	int err;

	(void)cg;
	if (strcmp(knob->set, "1") == 0)
		return is_frozen_v2(knob->path);
	err = read_state(knob->path, state);
	return err ? err : strcmp(state, "FROZEN") == 0;
}

int mp_cgroup_thaw(const struct mp_cgroups *cg, pid_t pid)
{
	struct mp_cgroup_knob knob;
	int err = choose_knob(&cg->fs, pid, &knob);

	if (err != -EALREADY)
		return err;
	err = mp_cgroup_write(knob.path, knob.restore);
	return err ? err : 1;
}
