// SPDX-License-Identifier: GPL-2.0-only
#include "action/relief_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"

#define NS_PER_MS 1000000ULL
#define RETRY_MS 5

const char *mp_relief_check(const struct mp_relief_request *request, const void *data, size_t len)
{
	struct mp_relief_reply reply;

	if (len == 0)
		return "it closed without an answer";
	if (len != sizeof(reply))
		return "its answer has a wrong length";
	memcpy(&reply, data, sizeof(reply));
	if (reply.magic != MP_RELIEF_MAGIC)
		return "its answer is no relief reply";
	if (reply.version != MP_RELIEF_VERSION)
		return "its answer is of another version";
	if (reply.id != request->id)
		return "it answered another request";
	if (reply.status > MP_RELIEF_BUSY)
		return "its answer has an unknown status";
	return NULL;
}

/* Rounded up, so that what is left is never waited for in a busy loop. */
static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = mp_clock_now_ns();

	return now >= deadline_ns ? 0 : (int)((deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

static int wait_for(int fd, short events, uint64_t deadline_ns, const char **ret_why)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	int n;

	do
		n = poll(&poll_fd, 1, left_ms(deadline_ns));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	*ret_why = "it has not answered in time";
	return n < 0 ? -errno : -ETIMEDOUT;
}

static int fill_address(const struct mp_fsroot *fs, const struct mp_relief_peer *peer,
			struct sockaddr_un *address)
{
	char path[PATH_MAX];
	int err =
		mp_fsroot_path(fs, path, "/proc/%d/root" MP_RELIEF_PATH, peer->pid, peer->own_pid);

	if (err)
		return err;
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	return 0;
}

/* What connect() says when nobody is there: no file, a stale one, no process. */
static int connect_error(int err, const char **ret_why)
{
	if (err == ENOENT || err == ECONNREFUSED || err == ESRCH || err == ENOTDIR)
		return -ENOENT;
	*ret_why = err == EPROTOTYPE || err == ENOTSOCK ? "what is there is no relief socket"
							: "it cannot be connected to";
	return -err;
}

/* A full queue of a peer that does not accept cannot be polled for: it says EAGAIN. */
static int connect_until(int fd, const struct sockaddr_un *address, uint64_t deadline_ns,
			 const char **ret_why)
{
	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return connect_error(errno, ret_why);
		if (!left_ms(deadline_ns)) {
			*ret_why = "it accepts no connection";
			return -ETIMEDOUT;
		}
		poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

/* The path leads through folders that others may change: only the process itself will do. */
static int check_peer(int fd, const struct mp_relief_peer *peer, const char **ret_why)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		*ret_why = "who listens cannot be told";
		return -errno;
	}
	if (cred.pid == peer->pid && cred.uid == peer->uid)
		return 0;
	*ret_why = cred.pid != peer->pid ? "another process listens on its socket"
					 : "its socket belongs to another user";
	return -EPERM;
}

static int send_request(int fd, struct mp_relief_request *request, uint64_t deadline_ns,
			const char **ret_why)
{
	uint64_t now = mp_clock_now_ns();
	ssize_t n;

	request->magic = MP_RELIEF_MAGIC;
	request->version = MP_RELIEF_VERSION;
	request->deadline_ns = now < deadline_ns ? deadline_ns - now : 0;
	/* A record goes as a whole or not at all. */
	n = send(fd, request, sizeof(*request), MSG_NOSIGNAL);
	if (n >= 0)
		return 0;
	*ret_why = "it closed before it was asked";
	return -errno;
}

/* One byte more than a reply has, so that a longer one shows. */
static int receive_reply(int fd, const struct mp_relief_request *request, uint64_t deadline_ns,
			 struct mp_relief_reply *ret, const char **ret_why)
{
	char data[sizeof(*ret) + 1];
	ssize_t n;
	int err = wait_for(fd, POLLIN, deadline_ns, ret_why);

	if (err)
		return err;
	n = recv(fd, data, sizeof(data), 0);
	if (n < 0 && errno != ECONNRESET) {
		*ret_why = "its answer cannot be read";
		return -errno;
	}
	*ret_why = mp_relief_check(request, data, n < 0 ? 0 : (size_t)n);
	if (*ret_why)
		return -EBADMSG;
	memcpy(ret, data, sizeof(*ret));
	return 0;
}

int mp_relief_ask(const struct mp_fsroot *fs, const struct mp_relief_peer *peer,
		  struct mp_relief_request *request, uint64_t deadline_ns,
		  struct mp_relief_reply *ret, const char **ret_why)
{
	MP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {0};
	int err;

	*ret_why = "there is no socket to be had";
	if (fd < 0)
		return -errno;
	err = fill_address(fs, peer, &address);
	if (!err)
		err = connect_until(fd, &address, deadline_ns, ret_why);
	if (!err)
		err = check_peer(fd, peer, ret_why);
	if (!err)
		err = send_request(fd, request, deadline_ns, ret_why);
	if (!err)
		err = receive_reply(fd, request, deadline_ns, ret, ret_why);
	return err;
}
