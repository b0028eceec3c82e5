// SPDX-License-Identifier: GPL-2.0-only
#include "inject/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "base/size.h"

#define MAX_STATUS (64U << 10)
#define MAX_ENTRIES 1000
#define NAME_PREFIX ".memprobe-"
#define NAME_TRIES 16

/* Where everybody may write. The target's TMPDIR would be its own word. */
static const char *const places[] = {"tmp", "var/tmp", "dev/shm"};

/* --- whose folder it is ------------------------------------------------------------------ */

/* The last number of "Uid:\treal\teffective\tsaved\tfile system". */
static int parse_ids(const char *status, const char *key, uint32_t *ret)
{
	const char *line = strstr(status, key);
	uint64_t id;
	char word[16];
	int n = 0;

	if (!line || sscanf(line + strlen(key), "%*u %*u %*u %15[0-9]%n", word, &n) != 1 || !n ||
	    mp_number_parse(word, UINT32_MAX, &id))
		return -EBADMSG;
	*ret = (uint32_t)id;
	return 0;
}

static int read_owner(const struct mp_fsroot *fs, pid_t pid, struct mp_folder *folder)
{
	MP_FREE char *status = NULL;
	int err = mp_read_file_at(fs, MAX_STATUS, &status, NULL, "/proc/%d/status", pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	err = parse_ids(status, "\nUid:\t", &folder->uid);
	return err ?: parse_ids(status, "\nGid:\t", &folder->gid);
}

/*
 * Of this thread alone (glibc's setuid() would take all threads along), and with it goes what
 * a capability would allow on files. Neither call tells of a failure; a second one does.
 */
static int set_fs_ids(uid_t uid, gid_t gid)
{
	syscall(SYS_setfsgid, gid);
	syscall(SYS_setfsuid, uid);
	return syscall(SYS_setfsuid, -1) == (long)uid && syscall(SYS_setfsgid, -1) == (long)gid
		       ? 0
		       : -EPERM;
}

static void be_self_p(const int *taken)
{
	(void)taken;
	set_fs_ids(geteuid(), getegid());
}

/* For the rest of the block. */
#define AS_OWNER(folder)                                                                           \
	MP_CLEANUP(be_self_p) int as_owner = set_fs_ids((folder)->uid, (folder)->gid)

/* --- making it --------------------------------------------------------------------------- */

/* Part by part: a link on the way would lead out of the process's root, or to elsewhere in it. */
static int open_place(int root, const char *place)
{
	int fd = dup(root);
	char part[16];

	while (fd >= 0 && *place) {
		size_t len = strcspn(place, "/");
		MP_CLOSE int above = fd;

		snprintf(part, sizeof(part), "%.*s", (int)len, place);
		place += len + (place[len] == '/');
		fd = openat(above, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static const char *name_of(const struct mp_folder *folder)
{
	return strrchr(folder->path, '/') + 1;
}

static int make_in(struct mp_folder *folder, const char *place)
{
	uint64_t random;

	for (int i = 0; i < NAME_TRIES; i++) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		snprintf(folder->path, sizeof(folder->path), "/%s/" NAME_PREFIX "%012" PRIx64,
			 place, random & UINT64_C(0xffffffffffff));
		if (mkdirat(folder->parent, name_of(folder), 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Another may have put something in its place by now, if anybody may rename there. */
static int open_made(struct mp_folder *folder)
{
	struct stat st;

	folder->fd = openat(folder->parent, name_of(folder),
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->fd < 0 || fstat(folder->fd, &st))
		return -errno;
	return st.st_uid == folder->uid && fchmod(folder->fd, 0700) == 0 ? 0 : -EPERM;
}

static int make_at(struct mp_folder *folder, int root, const char *place)
{
	int err;

	folder->parent = open_place(root, place);
	err = folder->parent < 0 ? folder->parent : make_in(folder, place);
	err = err ?: open_made(folder);
	if (!err)
		return 0;
	mp_close_p(&folder->fd);
	mp_close_p(&folder->parent);
	folder->fd = folder->parent = -1;
	return err;
}

static int make_anywhere(struct mp_folder *folder, int root)
{
	AS_OWNER(folder);
	int err = as_owner;

	if (err)
		return err;
	for (size_t i = 0; i < MP_ARRAY_SIZE(places); i++) {
		err = make_at(folder, root, places[i]);
		if (!err)
			return 0;
	}
	return err;
}

static int fail_to_make(int error, struct mp_error *err)
{
	if (error == -ESRCH || error == -ENOENT)
		return mp_fail(err, MP_EXIT_TARGET, -error, "it has ended, or has no /tmp");
	if (error == -EPERM)
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "files cannot be made as its user: CAP_SETUID and CAP_SETGID are "
			       "needed, run with sudo");
	return mp_fail(err, MP_EXIT_TARGET, -error,
		       "no folder for the script can be made in its /tmp, /var/tmp or /dev/shm: %s",
		       strerror(-error));
}

int mp_folder_make(const struct mp_fsroot *fs, pid_t pid, struct mp_folder *ret,
		   struct mp_error *err)
{
	struct mp_folder folder = {.parent = -1, .fd = -1};
	char path[PATH_MAX];
	MP_CLOSE int root = -1;
	int error = read_owner(fs, pid, &folder);

	error = error ?: mp_fsroot_path(fs, path, "/proc/%d/root", pid);
	if (!error) {
		root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		error = root < 0 ? -errno : make_anywhere(&folder, root);
	}
	if (error)
		return fail_to_make(error, err);
	*ret = folder;
	return 0;
}

/* --- files in it ------------------------------------------------------------------------- */

static int create(const struct mp_folder *folder, const char *name)
{
	AS_OWNER(folder);
	int fd;

	if (as_owner)
		return as_owner;
	fd = openat(folder->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int mp_folder_write(const struct mp_folder *folder, const char *name, const char *data, size_t len)
{
	MP_CLOSE int fd = create(folder, name);

	if (fd < 0)
		return fd;
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int mp_folder_lock(const struct mp_folder *folder, const char *name)
{
	MP_CLOSE int fd = create(folder, name);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	return mp_take_fd(&fd);
}

/* Neither waits for a FIFO nor follows a link. */
static int open_there(const struct mp_folder *folder, const char *name)
{
	AS_OWNER(folder);
	int fd;

	if (as_owner)
		return as_owner;
	fd = openat(folder->fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_whole(int fd, size_t size, char **ret_data, size_t *ret_len)
{
	MP_FREE char *data = malloc(size + 1);
	size_t len = 0;
	ssize_t n = 1;

	if (!data)
		return -ENOMEM;
	while (len < size && n > 0) {
		n = pread(fd, data + len, size - len, (off_t)len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return -errno;
	data[len] = '\0';
	*ret_data = MP_TAKE(data);
	*ret_len = len;
	return 0;
}

int mp_folder_read(struct mp_folder *folder, const char *name, size_t max, char **ret_data,
		   size_t *ret_len)
{
	MP_CLOSE int fd = open_there(folder, name);
	struct stat st;
	int err;

	if (fd < 0)
		return fd == -ENOENT ? -EAGAIN : fd == -ELOOP ? -EBADMSG : fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_ino == folder->seen_ino &&
	    memcmp(&st.st_mtim, &folder->seen_time, sizeof(st.st_mtim)) == 0)
		return -EAGAIN;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	err = read_whole(fd, (size_t)st.st_size, ret_data, ret_len);
	if (err)
		return err;
	folder->seen_ino = st.st_ino;
	folder->seen_time = st.st_mtim;
	return 0;
}

bool mp_folder_take(const struct mp_folder *folder, const char *name)
{
	AS_OWNER(folder);

	return !as_owner && unlinkat(folder->fd, name, 0) == 0;
}

/* --- taking it away ---------------------------------------------------------------------- */

void mp_folder_empty(int fd)
{
	MP_CLOSEDIR DIR *dir = fdopendir(dup(fd));
	const struct dirent *entry;

	for (int i = 0; dir && i < MAX_ENTRIES && (entry = readdir(dir)); i++)
		unlinkat(fd, entry->d_name, 0);
}

static void remove_there(const struct mp_folder *folder)
{
	AS_OWNER(folder);

	if (as_owner)
		return;
	mp_folder_empty(folder->fd);
	unlinkat(folder->parent, name_of(folder), AT_REMOVEDIR);
}

void mp_folder_remove(struct mp_folder *folder)
{
	if (folder->fd >= 0)
		remove_there(folder);
	mp_close_p(&folder->fd);
	mp_close_p(&folder->parent);
	folder->fd = folder->parent = -1;
}
