// SPDX-License-Identifier: GPL-2.0-only
#include "cgroup/group.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "cgroup/control.h"
#include "cgroup/private.h"

#define CPU_PERIOD_US 100000
#define MAX_TRIES 1000 /* of a name that is taken */
#define NUMBER_LEN 64

/* --- files of a group ----------------------------------------------------------- */

static int write_file(const char *folder, const char *file, const char *text)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, file) >= sizeof(path))
		return -ENAMETOOLONG;
	return mp_cgroup_write(path, text);
}

static int write_number(const char *folder, const char *file, uint64_t n)
{
	char text[NUMBER_LEN];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return write_file(folder, file, text);
}

static bool has_file(const char *folder, const char *file)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", folder, file) < sizeof(path) &&
	       access(path, F_OK) == 0;
}

static void note(struct mp_group_held *held, const char *sentence)
{
	size_t len = strlen(held->notes);

	snprintf(held->notes + len, sizeof(held->notes) - len, "%s%s", len ? "; " : "", sentence);
}

/* --- where ----------------------------------------------------------------------- */

static bool is_denied(int error)
{
	return error == -EACCES || error == -EPERM || error == -EROFS;
}

static int fail_group(struct mp_error *err, int error, const char *what, const char *path)
{
	return mp_fail(err, is_denied(error) ? MP_EXIT_PRIVILEGE : MP_EXIT_UNSUPPORTED, -error,
		       "%s %s: %s%s", what, path, strerror(-error),
		       is_denied(error) ? ": run as root, or have the group delegated "
					  "(systemd-run --user --scope -p Delegate=yes)"
					: "");
}

static int folder_of(const struct mp_cgroups *cg, const char *path, char out[PATH_MAX])
{
	return mp_fsroot_path(&cg->fs, out, "%s%s", cg->memory_mount,
			      strcmp(path, "/") == 0 ? "" : path);
}

/* v2: whether groups below have the memory controller; turned on where that may be. */
static int give_children_memory(const struct mp_cgroups *cg, const char *path)
{
	MP_FREE char *text = NULL;
	char folder[PATH_MAX];
	int error = mp_cgroup_read(cg, path, "cgroup.subtree_control", PATH_MAX, &text);

	error = error ?: folder_of(cg, path, folder);
	if (error)
		return error;
	write_file(folder, "cgroup.subtree_control", "+cpu"); /* there may be none: noted later */
	if (mp_cgroup_has_word(text, "memory"))
		return 0;
	return write_file(folder, "cgroup.subtree_control", "+memory");
}

int mp_group_place(const struct mp_cgroups *cg, bool limited, char **ret_parent,
		   struct mp_error *err)
{
	MP_FREE char *path = NULL;
	int error;

	if (cg->mode == MP_CGROUP_NONE)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENODEV,
			       "this system has no memory controller for cgroups: without a limit "
			       "nothing is filled (boot with cgroup_enable=memory)");
	error = mp_cgroup_of_pid(cg, getpid(), &path);
	if (error)
		return fail_group(err, error, "cannot tell the own cgroup below", cg->memory_mount);
	/* Busy: the group has processes of its own, which then would compete with its children. */
	while (limited && cg->mode == MP_CGROUP_V2) {
		error = give_children_memory(cg, path);
		if (!error)
			break;
		if (error != -EBUSY || !mp_cgroup_go_up(path))
			return fail_group(err, error, "cannot limit groups below", path);
	}
	*ret_parent = MP_TAKE(path);
	return 0;
}

/* --- limits ---------------------------------------------------------------------- */

/* v1 counts memory and swap together, and never below memory alone. */
static void limit_swap_v1(const char *folder, const struct mp_group_limits *limits,
			  struct mp_group_held *held)
{
	if (has_file(folder, "memory.memsw.limit_in_bytes")) {
		if (limits->limit_bytes != MP_UNKNOWN &&
		    write_number(folder, "memory.memsw.limit_in_bytes",
				 limits->limit_bytes + limits->swap_bytes) == 0)
			held->swap_bytes = limits->swap_bytes;
		else
			note(held, "the limit of swap was refused");
		return;
	}
	if (limits->swap_bytes == 0 && write_number(folder, "memory.swappiness", 0) == 0) {
		held->swap_bytes = 0;
		note(held, "swap is not accounted here (boot with swapaccount=1): it is avoided by "
			   "swappiness 0");
		return;
	}
	note(held, "swap is not accounted here (boot with swapaccount=1): it is not limited");
}

static void limit_swap_v2(const char *folder, const struct mp_group_limits *limits,
			  struct mp_group_held *held)
{
	int error = write_number(folder, "memory.swap.max", limits->swap_bytes);

	if (!error)
		held->swap_bytes = limits->swap_bytes;
	else
		note(held, error == -ENOENT
				   ? "this kernel has no swap accounting: it is not limited"
				   : "the limit of swap was refused");
}

static void limit_swap(const struct mp_group *group, const struct mp_group_limits *limits,
		       struct mp_group_held *held)
{
	MP_FREE char *text = NULL;
	uint64_t total = 0;

	held->swap_bytes = MP_UNKNOWN;
	if (limits->swap_bytes == MP_GROUP_SWAP_ANY)
		return;
	if (mp_read_file_at(&group->cg.fs, MP_CGROUP_MAX_STAT, &text, NULL, "/proc/meminfo") == 0 &&
	    mp_meminfo_field(text, "SwapTotal", &total) == 0 && total < limits->swap_bytes)
		note(held, total ? "the host has less swap than the profile"
				 : "the host has no swap, so the group has none");
	if (group->cg.mode == MP_CGROUP_V2)
		limit_swap_v2(group->folders[0], limits, held);
	else
		limit_swap_v1(group->folders[0], limits, held);
}

static void limit_cpus(const struct mp_group *group, double cpus, struct mp_group_held *held)
{
	const char *folder = group->folders[group->n_folders > 1 ? 1 : 0];
	long quota = lround(cpus * CPU_PERIOD_US);
	char text[NUMBER_LEN];
	int error;

	if (cpus <= 0)
		return;
	if (has_file(folder, "cpu.max")) {
		snprintf(text, sizeof(text), "%ld %d", quota, CPU_PERIOD_US);
		error = write_file(folder, "cpu.max", text);
	} else {
		error = write_number(folder, "cpu.cfs_quota_us", (uint64_t)quota);
	}
	if (!error)
		held->cpus = cpus;
	else
		note(held, "there is no cpu controller here: processors are not limited");
}

static int limit_memory(const struct mp_group *group, uint64_t bytes, struct mp_group_held *held,
			struct mp_error *err)
{
	const char *file = group->cg.mode == MP_CGROUP_V2 ? "memory.max" : "memory.limit_in_bytes";
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t read;
	int error;

	held->limit_bytes = MP_UNKNOWN;
	if (bytes == MP_UNKNOWN)
		return 0;
	error = write_number(group->folders[0], file, bytes);
	error = error ?: mp_cgroup_read_value(&group->cg, group->path, file, &read);
	if (error)
		return fail_group(err, error, "cannot limit", group->folders[0]);
	if (read > bytes || bytes - read >= page)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, EIO,
			       "the limit of %s is %llu bytes after %llu were written to it",
			       group->folders[0], (unsigned long long)read,
			       (unsigned long long)bytes);
	held->limit_bytes = read;
	return 0;
}

static int set_limits(const struct mp_group *group, const struct mp_group_limits *limits,
		      struct mp_group_held *held, struct mp_error *err)
{
	int error = limit_memory(group, limits->limit_bytes, held, err);

	if (error)
		return error;
	limit_swap(group, limits, held);
	limit_cpus(group, limits->cpus, held);
	return 0;
}

/* --- making one ------------------------------------------------------------------ */

struct making {
	struct mp_group *group;
	const struct mp_group_hook *hook; /* or NULL */
	char name[NAME_MAX];
};

static int make_folder(const char *folder, const struct mp_group_hook *hook)
{
	int error = hook ? hook->before(hook->data, folder) : 0;

	if (error || mkdir(folder, 0755) == 0)
		return error;
	error = -errno;
	if (hook)
		hook->not_made(hook->data);
	return error;
}

static int add_folder(struct making *m, const char *tree, const char *parent)
{
	MP_FREE char *folder = NULL;
	int error;

	if (asprintf(&folder, "%s%s%s/%s", m->group->cg.fs.root, tree,
		     strcmp(parent, "/") == 0 ? "" : parent, m->name) < 0) {
		folder = NULL;
		return -ENOMEM;
	}
	error = make_folder(folder, m->hook);
	if (!error)
		m->group->folders[m->group->n_folders++] = MP_TAKE(folder);
	return error;
}

/* The same name below the caller's group of another tree; without it goes, too. */
static void add_other_tree(struct making *m, const char *controller)
{
	struct mp_cgroup_tree tree;
	MP_FREE char *parent = NULL;

	if (mp_cgroup_find_tree(&m->group->cg.fs, controller, &tree) || !tree.point[0])
		return;
	if (mp_cgroup_path_of_pid(&m->group->cg.fs, getpid(), controller, tree.root, &parent))
		return;
	add_folder(m, tree.point, parent);
}

static bool is_folder(const char *mount, const char *path)
{
	struct stat st;
	char folder[PATH_MAX];

	return (size_t)snprintf(folder, sizeof(folder), "%s%s", mount, path) < sizeof(folder) &&
	       stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * On a hybrid the stall figures are those of a group in v2's tree, where the caller is
 * elsewhere than in the memory controller's. A group of ours has the same name in both, so that
 * one that is made below another of ours is below it in both.
 */
static void add_unified(struct making *m, const char *parent)
{
	struct mp_cgroup_tree tree;
	MP_FREE char *own = NULL;
	MP_FREE char *below = NULL;
	struct mp_group *group = m->group;

	if (mp_cgroup_find_tree(&group->cg.fs, NULL, &tree) || !tree.point[0] ||
	    mp_cgroup_path_of_pid(&group->cg.fs, getpid(), NULL, tree.root, &own) ||
	    asprintf(&below, "%s%s", strcmp(own, "/") == 0 ? "" : own, strrchr(parent, '/')) < 0)
		return;
	if (add_folder(m, tree.point, is_folder(tree.point, below) ? below : own) == 0)
		group->unified = group->folders[group->n_folders - 1];
}

int mp_group_psi_path(const struct mp_group *group, char out[PATH_MAX])
{
	if (!group->unified)
		return -EOPNOTSUPP;
	if (snprintf(out, PATH_MAX, "%s/memory.pressure", group->unified) >= PATH_MAX)
		return -ENAMETOOLONG;
	return access(out, R_OK) ? -EOPNOTSUPP : 0;
}

static int make_folders(struct making *m, const char *parent, const char *prefix)
{
	int error = -EEXIST;

	for (unsigned int i = 0; i < MAX_TRIES && error == -EEXIST; i++) {
		snprintf(m->name, sizeof(m->name), "memprobe-%.100s-%d-%u", prefix, getpid(), i);
		error = add_folder(m, m->group->cg.memory_mount, parent);
	}
	return error;
}

static int make(struct making *m, const char *parent, const char *prefix, double cpus)
{
	struct mp_group *group = m->group;
	int error = make_folders(m, parent, prefix);

	if (error)
		return error;
	if (asprintf(&group->path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, m->name) < 0) {
		group->path = NULL;
		return -ENOMEM;
	}
	if (group->cg.mode == MP_CGROUP_V2) {
		group->fd = open(group->folders[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return group->fd < 0 ? -errno : 0;
	}
	if (cpus > 0)
		add_other_tree(m, "cpu");
	if (group->cg.mode == MP_CGROUP_HYBRID)
		add_unified(m, parent);
	return 0;
}

int mp_group_make(const struct mp_cgroups *cg, const char *parent, const char *name,
		  const struct mp_group_limits *limits, const struct mp_group_hook *hook,
		  struct mp_group *ret, struct mp_group_held *ret_held, struct mp_error *err)
{
	struct mp_group group = {.cg = *cg, .fd = -1};
	struct making m = {.group = &group, .hook = hook};
	struct mp_group_held held = {0};
	int error = make(&m, parent, name, limits->cpus);

	if (error)
		fail_group(err, error, "cannot make a group below", parent);
	else
		error = set_limits(&group, limits, &held, err);
	if (error) {
		mp_group_remove(&group, 0);
		mp_group_free(&group);
		return error;
	}
	*ret = group;
	*ret_held = held;
	return 0;
}

/* --- living in it ---------------------------------------------------------------- */

static void join(const struct mp_group *group)
{
	for (size_t i = 0; i < group->n_folders; i++) {
		/* Only the memory controller's is what this is about. */
		if (write_file(group->folders[i], "cgroup.procs", "0") && i == 0)
			_exit(125);
	}
}

static pid_t clone_into(int fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (__u64)fd};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 ? -errno : (pid_t)pid;
}

pid_t mp_group_fork(const struct mp_group *group)
{
	pid_t pid;

	if (group->fd >= 0)
		return clone_into(group->fd);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		join(group);
	return pid;
}

/* --- its end ----------------------------------------------------------------------- */

static void kill_all(const char *folder)
{
	MP_FREE pid_t *pids = NULL;
	size_t n = 0;

	if (write_file(folder, "cgroup.kill", "1") == 0)
		return;
	if (mp_cgroup_pids_in(folder, &pids, &n))
		return;
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
}

/* A killed process leaves its group a little later, when its memory is free. */
static int remove_folder(const char *folder, uint64_t until_ns)
{
	for (;;) {
		if (rmdir(folder) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || mp_clock_now_ns() >= until_ns)
			return -errno;
		kill_all(folder);
		poll(NULL, 0, 2);
	}
}

int mp_group_remove(struct mp_group *group, int wait_ms)
{
	uint64_t until = mp_clock_now_ns() + (uint64_t)wait_ms * 1000000;
	int first = 0;

	for (size_t i = 0; i < group->n_folders; i++) {
		int error = remove_folder(group->folders[i], until);

		first = first ? first : error;
	}
	return first;
}

void mp_group_free(struct mp_group *group)
{
	for (size_t i = 0; i < group->n_folders; i++)
		free(group->folders[i]);
	free(group->path);
	mp_close_p(&group->fd);
	*group = (struct mp_group){.fd = -1};
}
