// SPDX-License-Identifier: GPL-2.0-only
#include "action/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "action/report.h"

#define MAX_EVENTS 32
#define MAX_ACCEPTS 32 /* at a time: a crowd must not hold up the loop */
#define DISCARD_BYTES 4096

struct client {
	int fd; /* -1: free */
	struct ucred who;
};

struct mp_notify {
	int epoll_fd;
	int listen_fd;
	int undo_folder;
	int undo_socket;
	struct mp_undo *undo;
	struct mp_action_host host;
	struct client clients[MP_NOTIFY_CLIENTS];
};

/* --- where -------------------------------------------------------------------------- */

int mp_notify_default_path(char out[MP_NOTIFY_PATH])
{
	const char *base = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	int n;

	if (!base || *base != '/')
		return -ENOENT;
	n = snprintf(path, sizeof(path), "%s/memprobe-bpf.%d/pressure", base, (int)getpid());
	if (n < 0 || (size_t)n >= MP_NOTIFY_PATH)
		return -ENAMETOOLONG;
	memcpy(out, path, (size_t)n + 1);
	return 0;
}

int mp_notify_set_environment(const char *path)
{
	if (setenv("MEMORY_PRESSURE_WATCH", path, 1) < 0 || unsetenv("MEMORY_PRESSURE_WRITE") < 0)
		return -errno;
	return 0;
}

static int arm(struct mp_undo *undo, enum mp_undo_kind kind, const char *path)
{
	return mp_undo_arm(undo, &(struct mp_undo_what){.kind = kind, .path = path});
}

/*
 * The command may change its user, so that everyone may pass through the folder, and
 * connect; who is told is decided by who they are. What an earlier process with this
 * number left there is taken away.
 */
static int make_folder(struct mp_notify *notify, const char *path)
{
	char folder[MP_NOTIFY_PATH];

	*stpncpy(folder, path, (size_t)(strrchr(path, '/') - path)) = '\0';
	notify->undo_folder = arm(notify->undo, MP_UNDO_RMDIR, folder);
	if (notify->undo_folder < 0)
		return notify->undo_folder;
	if (mkdir(folder, 0711) < 0) {
		if (errno != EEXIST || (unlink(path) < 0 && errno != ENOENT) || rmdir(folder) < 0 ||
		    mkdir(folder, 0711) < 0)
			return -errno;
	}
	/* Whatever the umask is. */
	return chmod(folder, 0711) < 0 ? -errno : 0;
}

static int make_socket(struct mp_notify *notify, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	notify->undo_socket = arm(notify->undo, MP_UNDO_UNLINK, path);
	if (notify->undo_socket < 0)
		return notify->undo_socket;
	notify->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(address.sun_path, path);
	if (notify->listen_fd < 0 ||
	    bind(notify->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, 0666) < 0 || listen(notify->listen_fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

static int watch(const struct mp_notify *notify, int fd, uint32_t slot)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = slot};

	return epoll_ctl(notify->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start(struct mp_notify *notify, const char *path)
{
	int err = notify->epoll_fd < 0 ? -errno : 0;

	if (!err)
		err = make_folder(notify, path);
	if (!err)
		err = make_socket(notify, path);
	return err ? err : watch(notify, notify->listen_fd, MP_NOTIFY_CLIENTS);
}

struct mp_notify *mp_notify_new(const char *path, struct mp_undo *undo,
				const struct mp_action_host *host)
{
	struct mp_notify *notify;
	int err;

	if (*path != '/' || strlen(path) >= MP_NOTIFY_PATH || !undo) {
		errno = EINVAL;
		return NULL;
	}
	notify = calloc(1, sizeof(*notify));
	if (!notify)
		return NULL;
	*notify = (struct mp_notify){.listen_fd = -1, .undo_folder = -1, .undo_socket = -1};
	for (size_t i = 0; i < MP_NOTIFY_CLIENTS; i++)
		notify->clients[i].fd = -1;
	notify->undo = undo;
	notify->host = *host;
	notify->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = start(notify, path);
	if (err) {
		mp_notify_free(notify);
		errno = -err;
		return NULL;
	}
	return notify;
}

static void drop(struct client *client)
{
	mp_close_p(&client->fd);
	client->fd = -1;
}

void mp_notify_free(struct mp_notify *notify)
{
	if (!notify)
		return;
	for (size_t i = 0; i < MP_NOTIFY_CLIENTS; i++)
		drop(&notify->clients[i]);
	mp_close_p(&notify->listen_fd);
	mp_close_p(&notify->epoll_fd);
	if (notify->undo_socket >= 0)
		(void)mp_undo_run(notify->undo, notify->undo_socket);
	if (notify->undo_folder >= 0)
		(void)mp_undo_run(notify->undo, notify->undo_folder);
	free(notify);
}

/* --- who ---------------------------------------------------------------------------- */

/* Asked when it counts, not when it connects: a new process may not be known as a target yet. */
static bool is_welcome(const struct mp_notify *notify, const struct ucred *who)
{
	if (who->uid == 0 || who->uid == geteuid())
		return true;
	return notify->host.is_target && notify->host.is_target(notify->host.data, who->pid);
}

static void drop_strangers(struct mp_notify *notify)
{
	for (size_t i = 0; i < MP_NOTIFY_CLIENTS; i++) {
		struct client *client = &notify->clients[i];

		if (client->fd >= 0 && !is_welcome(notify, &client->who))
			drop(client);
	}
}

static int find_free(const struct mp_notify *notify)
{
	for (int i = 0; i < MP_NOTIFY_CLIENTS; i++) {
		if (notify->clients[i].fd < 0)
			return i;
	}
	return -ENOSPC;
}

static void add_client(struct mp_notify *notify, int accepted)
{
	MP_CLOSE int fd = accepted;
	struct ucred who;
	socklen_t len = sizeof(who);
	int slot = find_free(notify);

	if (slot < 0) {
		drop_strangers(notify);
		slot = find_free(notify);
	}
	if (slot < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    watch(notify, fd, (uint32_t)slot))
		return;
	notify->clients[slot] = (struct client){mp_take_fd(&fd), who};
}

static void accept_all(struct mp_notify *notify)
{
	for (int i = 0; i < MAX_ACCEPTS; i++) {
		int fd = accept4(notify->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		add_client(notify, fd);
	}
}

int mp_notify_fd(const struct mp_notify *notify)
{
	return notify->epoll_fd;
}

/*
 * A client has nothing to say but, perhaps, the $MEMORY_PRESSURE_WRITE of someone else.
 * One that closes its own direction only still listens: from then on the end alone is news.
 */
static void hear(const struct mp_notify *notify, struct client *client, uint32_t events)
{
	struct epoll_event none = {.data.u32 = (uint32_t)(client - notify->clients)};
	char discarded[DISCARD_BYTES];
	ssize_t n;

	if (client->fd < 0)
		return;
	n = recv(client->fd, discarded, sizeof(discarded), 0);
	if (events & (EPOLLHUP | EPOLLERR) || (n < 0 && errno != EAGAIN && errno != EINTR))
		drop(client);
	else if (n == 0)
		(void)epoll_ctl(notify->epoll_fd, EPOLL_CTL_MOD, client->fd, &none);
}

void mp_notify_dispatch(struct mp_notify *notify)
{
	struct epoll_event events[MAX_EVENTS];
	int n = epoll_wait(notify->epoll_fd, events, MAX_EVENTS, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == MP_NOTIFY_CLIENTS)
			accept_all(notify);
		else
			hear(notify, &notify->clients[events[i].data.u32], events[i].events);
	}
}

/* --- the action --------------------------------------------------------------------- */

/* One whose buffer is full has been told often enough, and has not looked yet. */
static bool tell(struct client *client)
{
	if (send(client->fd, "\n", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN)
		return true;
	drop(client);
	return false;
}

/* Those who wait to be let in count too. */
size_t mp_notify_tell(struct mp_notify *notify)
{
	size_t told = 0;

	mp_notify_dispatch(notify);
	drop_strangers(notify);
	for (size_t i = 0; i < MP_NOTIFY_CLIENTS; i++)
		told += notify->clients[i].fd >= 0 && tell(&notify->clients[i]);
	return told;
}

int mp_notify_run(struct mp_actions *actions, const struct mp_action_request *request)
{
	size_t told = actions->notify ? mp_notify_tell(actions->notify) : 0;
	char detail[64];

	if (!actions->notify) {
		mp_action_report_now(actions, request, MP_RESULT_SKIPPED,
				     "only what `run` starts can be told");
		return 0;
	}
	if (!told) {
		mp_action_report_now(actions, request, MP_RESULT_SKIPPED,
				     "nobody listens on $MEMORY_PRESSURE_WATCH");
		return 0;
	}
	snprintf(detail, sizeof(detail), "told %zu %s", told, told == 1 ? "process" : "processes");
	mp_action_report_now(actions, request, MP_RESULT_DONE, detail);
	return 0;
}
