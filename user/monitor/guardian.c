// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <bpf/bpf.h>

#include "abi.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "monitor/privileges.h"

#define GUARDIAN_NAME "memprobe-guard"
#define WATCH_MS 500
#define HUNG_NS 1000000000ULL /* beyond a gate's deadline */
#define OPENING_NS 1000000000ULL
#define OPENING_PAUSE_NS 50000000L
#define N_FDS 2

struct mp_guardian {
	pid_t pid;
	int socket;
};

enum message_kind {
	MESSAGE_WATCH_GATES = 1, /* comes with the two maps */
	MESSAGE_END,
};

struct message {
	uint32_t kind;
	uint32_t pad;
	uint64_t gates_open_offset;
	uint64_t deadline_ns;
};

/* --- the guardian's side ---------------------------------------------------------- */

struct watch {
	struct mp_undo *undo;
	int monitor; /* pidfd */
	int socket;
	int gated; /* map; -1: no gates are watched */
	uint64_t *gates_open;
	uint64_t deadline_ns;
};

/* /proc/PID/stat, and so the journal, has it in ticks. */
static uint64_t ticks(uint64_t ns)
{
	return ns / (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

typedef void (*gated_fn)(const struct watch *w, uint32_t pid, struct mp_gated *gated);

/* The map changes while it is walked: an entry that is missed comes with the next walk. */
static void for_each_stopped(const struct watch *w, gated_fn fn)
{
	uint32_t *previous = NULL;
	uint32_t pid;

	while (w->gated >= 0 && bpf_map_get_next_key(w->gated, previous, &pid) == 0) {
		struct mp_gated gated;

		previous = &pid;
		if (bpf_map_lookup_elem(w->gated, &pid, &gated) == 0 &&
		    gated.state == MP_GATE_STOPPED)
			fn(w, pid, &gated);
	}
}

static void let_go(const struct watch *w, uint32_t pid, struct mp_gated *gated)
{
	(void)w;
	mp_undo_continue((pid_t)pid, ticks(gated->start_time));
}

/* The monitor should have done this long ago. What it knows of the process is true again then. */
static void let_go_if_late(const struct watch *w, uint32_t pid, struct mp_gated *gated)
{
	uint64_t now_ns = mp_clock_now_ns();

	if (now_ns < gated->stopped_ns + w->deadline_ns + HUNG_NS)
		return;
	gated->state = MP_GATE_OPEN;
	gated->pass_until_ns = now_ns + w->deadline_ns;
	bpf_map_update_elem(w->gated, &pid, gated, BPF_EXIST);
	let_go(w, pid, gated);
}

/*
 * With the gates open nobody is stopped any more, but a program on another CPU may
 * have looked before. Its signal comes after its entry in the map, so an entry may be seen
 * before the process stops: hence more than one round, unless the programs are gone for long.
 */
static void undo_all(const struct watch *w, bool insist)
{
	const struct timespec pause = {.tv_nsec = OPENING_PAUSE_NS};
	uint64_t until_ns = mp_clock_now_ns() + OPENING_NS;

	if (w->gates_open)
		__atomic_store_n(w->gates_open, 1, __ATOMIC_SEQ_CST);
	for_each_stopped(w, let_go);
	/* Who is held in another way need not wait for the rounds. */
	mp_undo_run_all(w->undo);
	while (insist && w->gates_open && mp_clock_now_ns() < until_ns) {
		nanosleep(&pause, NULL);
		for_each_stopped(w, let_go);
	}
}

/* Single fields are written through a mapping; the monitor may be writing others. */
static int map_gates(struct watch *w, const struct message *message, const int fds[N_FDS])
{
	size_t len = message->gates_open_offset + sizeof(uint64_t);
	char *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
	int err = page == MAP_FAILED ? -errno : 0;

	close(fds[1]);
	if (err) {
		close(fds[0]);
		return err;
	}
	w->gated = fds[0];
	w->gates_open = (uint64_t *)(page + message->gates_open_offset);
	w->deadline_ns = message->deadline_ns;
	return 0;
}

static bool take_fds(struct msghdr *header, int fds[N_FDS])
{
	const struct cmsghdr *control = CMSG_FIRSTHDR(header);

	if (!control || control->cmsg_type != SCM_RIGHTS ||
	    control->cmsg_len != CMSG_LEN(N_FDS * sizeof(int)))
		return false;
	memcpy(fds, CMSG_DATA(control), N_FDS * sizeof(int));
	return true;
}

/*
 * Returns whether the monitor has ended well. When the other end is closed without a word it
 * is dying, and its death is waited for: only then its files, and so its links, are gone.
 */
static bool take_message(struct watch *w)
{
	char control[CMSG_SPACE(N_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct message message;
	struct iovec data = {&message, sizeof(message)};
	struct msghdr header = {.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(w->socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int fds[N_FDS];
	int status;

	if (n <= 0) {
		mp_close_p(&w->socket);
		w->socket = -1;
		return false;
	}
	if (n != (ssize_t)sizeof(message) || message.kind != MESSAGE_WATCH_GATES)
		return true;
	status = take_fds(&header, fds) ? map_gates(w, &message, fds) : -EBADMSG;
	(void)!send(w->socket, &status, sizeof(status), MSG_NOSIGNAL);
	return false;
}

/* Returns whether the monitor has died, instead of ending. */
static bool watch_monitor(struct watch *w)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = w->monitor, .events = POLLIN},
				       {.fd = w->socket, .events = POLLIN}};
		int n = poll(fds, 2, w->gated >= 0 ? WATCH_MS : -1);

		if (n < 0 && errno != EINTR)
			return true;
		if (n > 0 && fds[0].revents)
			return true;
		if (n > 0 && fds[1].revents && take_message(w))
			return false;
		for_each_stopped(w, let_go_if_late);
	}
}

static void ignore_signals(void)
{
	static const int signals[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGTERM, SIGPIPE, SIGALRM,
				      SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU};
	sigset_t none;

	for (size_t i = 0; i < MP_ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Whoever reads what the monitor writes must see its end when the monitor is gone. */
static void close_others(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b);
	unsigned int high = (unsigned int)(a < b ? b : a);
	int null;

	if (low > 0)
		close_range(0, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	/* So that no file is opened as 0, 1 or 2, where a library may write what it has to say. */
	do {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (null >= 0 && null < STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

/* The last one that memory should be taken from. Not allowed everywhere; then it goes without. */
static void protect_from_oom(void)
{
	MP_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, "-1000", 5);

	(void)n;
	mlockall(MCL_CURRENT | MCL_ONFAULT);
}

/*
 * A group whose processes outlive the monitor may be there for hours. Who waits for the guardian's
 * end must not wait for that: a child of it does.
 */
static void undo_later(const struct watch *w)
{
	if (!mp_undo_has_later(w->undo) || fork() > 0)
		return;
	mp_close_p(&w->socket);
	mp_undo_run_later(w->undo);
}

static _Noreturn void guardian_main(struct watch *w)
{
	ignore_signals();
	setsid();
	close_others(w->monitor, w->socket);
	protect_from_oom();
	(void)mp_privileges_keep(mp_privileges_of_guardian());
	prctl(PR_SET_NAME, GUARDIAN_NAME);
	if (chdir("/") < 0)
		_exit(1);
	undo_all(w, watch_monitor(w));
	undo_later(w);
	_exit(0);
}

/* --- the monitor's side ------------------------------------------------------------- */

/* Without an instant in which a signal to both would end it before it ignores that. */
static pid_t fork_shielded(void)
{
	sigset_t all;
	sigset_t before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0) {
		int err = errno;

		sigprocmask(SIG_SETMASK, &before, NULL);
		errno = err;
	}
	return pid;
}

static int make_guardian(struct mp_undo *undo, struct mp_guardian *guardian)
{
	MP_CLOSE int self = pidfd_open(getpid(), 0); /* inherited: no pid to be reused meanwhile */
	int pair[2];
	int err;

	if (self < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	guardian->pid = fork_shielded();
	if (guardian->pid == 0) {
		struct watch w = {.undo = undo, .monitor = self, .socket = pair[1], .gated = -1};

		guardian_main(&w);
	}
	err = guardian->pid < 0 ? -errno : 0;
	close(pair[1]);
	guardian->socket = pair[0];
	return err;
}

int mp_guardian_start(struct mp_undo *undo, struct mp_guardian **ret, struct mp_error *err)
{
	struct mp_guardian *guardian = calloc(1, sizeof(*guardian));
	int error = -ENOMEM;

	if (guardian) {
		guardian->socket = -1;
		error = make_guardian(undo, guardian);
	}
	if (!error) {
		*ret = guardian;
		return 0;
	}
	if (guardian)
		mp_close_p(&guardian->socket);
	free(guardian);
	return mp_fail(
		err, MP_EXIT_UNSUPPORTED, -error,
		"cannot start the guardian, which undoes what is done when this is killed: %s",
		strerror(-error));
}

pid_t mp_guardian_pid(const struct mp_guardian *guardian)
{
	return guardian ? guardian->pid : 0;
}

static int send_fds(int socket, const struct message *message, const int fds[N_FDS])
{
	char control[CMSG_SPACE(N_FDS * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec data = {(void *)message, sizeof(*message)};
	struct msghdr header = {.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(N_FDS * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, N_FDS * sizeof(int));
	return sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int mp_guardian_watch_gates(struct mp_guardian *guardian, int gated_map_fd, int live_map_fd,
			    size_t gates_open_offset, uint64_t deadline_ns)
{
	const struct message message = {
		.kind = MESSAGE_WATCH_GATES,
		.gates_open_offset = gates_open_offset,
		.deadline_ns = deadline_ns,
	};
	const int fds[N_FDS] = {gated_map_fd, live_map_fd};
	int status = 0;
	ssize_t n;
	int err = send_fds(guardian->socket, &message, fds);

	if (err)
		return err;
	do {
		n = recv(guardian->socket, &status, sizeof(status), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(status) ? status : -EPIPE;
}

void mp_guardian_end(struct mp_guardian *guardian)
{
	const struct message message = {.kind = MESSAGE_END};

	if (!guardian)
		return;
	/* When it is gone already there is nobody to tell, only something to collect. */
	(void)!send(guardian->socket, &message, sizeof(message), MSG_NOSIGNAL);
	close(guardian->socket);
	while (waitpid(guardian->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(guardian);
}
