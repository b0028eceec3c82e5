// SPDX-License-Identifier: GPL-2.0-only
#include "env/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

static int make_device(struct mp_session *s, const struct mp_device_options *o,
		       struct mp_error *err)
{
	MP_FREE char *parent = NULL;
	int error = mp_group_place(&s->cg, true, &parent, err);

	return error ?: mp_device_make(&s->cg, parent, o, s->undo, &s->device, err);
}

int mp_session_open(const struct mp_device_options *o, struct mp_session *session,
		    struct mp_error *err)
{
	const struct mp_fsroot fs = {.root = ""};
	int error;

	*session = (struct mp_session){.device = {.group = {.fd = -1}}};
	mp_cgroups_detect(&fs, &session->cg);
	session->undo = mp_undo_new();
	if (!session->undo)
		return -ENOMEM;
	error = mp_guardian_start(session->undo, &session->guardian, err);
	error = error ?: make_device(session, o, err);
	if (!error)
		return 0;
	mp_guardian_end(session->guardian);
	mp_undo_free(session->undo);
	return error;
}

void mp_session_tell(const struct mp_session *session, mp_tell_fn tell, void *data)
{
	if (session->device.notes[0])
		tell(data, session->device.notes);
	if (session->device.lxcfs.note)
		tell(data, session->device.lxcfs.note);
}

void mp_session_close(struct mp_session *session, mp_tell_fn tell, void *data)
{
	if (mp_device_leave(&session->device) == -EBUSY)
		tell(data, "processes that the command has started still run in the device; it "
			   "goes with the last of them");
	mp_guardian_end(session->guardian);
	mp_undo_free(session->undo);
}

/* --- one command ------------------------------------------------------------------ */

static int take_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* One from the terminal has reached the command already. */
static void pass_on(int signals, const struct mp_child *child)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
	    (info.ssi_code == SI_USER || info.ssi_code == SI_QUEUE))
		syscall(SYS_pidfd_send_signal, child->pidfd, (int)info.ssi_signo, NULL, 0);
}

static void wait_for_end(int signals, struct mp_child *child)
{
	struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN},
			       {.fd = signals, .events = POLLIN}};

	while (!mp_child_reap(child)) {
		if (poll(fds, MP_ARRAY_SIZE(fds), -1) > 0 && fds[1].revents)
			pass_on(signals, child);
	}
}

static uint64_t tell_oom_kills(const struct mp_group *group, mp_tell_fn tell, void *data)
{
	uint64_t kills = 0;
	char note[128];

	if (mp_cgroup_oom_kills(&group->cg, group->path, &kills) || !kills)
		return 0;
	snprintf(note, sizeof(note), "memory ran out in the device: OOM kills: %llu",
		 (unsigned long long)kills);
	tell(data, note);
	return kills;
}

int mp_session_run(struct mp_session *session, char *const argv[], mp_tell_fn tell, void *data,
		   struct mp_error *err)
{
	MP_CLOSE int signals = take_signals();
	struct mp_child child;
	uint64_t kills;
	int error;
	int code;

	if (signals < 0)
		return signals;
	error = mp_child_start_in(argv, &session->device.place, &child, err);
	if (error)
		return error;
	signal(SIGPIPE, SIG_IGN);
	error = mp_child_release(&child, argv[0], err);
	wait_for_end(signals, &child);
	code = mp_child_exit_code(&child);
	mp_child_free(&child);
	if (error)
		return error;
	kills = tell_oom_kills(&session->device.group, tell, data);
	/* A shell tells of its own child that it was killed by the same code. */
	return kills && code == 128 + SIGKILL ? MP_EXIT_OOM : code;
}
