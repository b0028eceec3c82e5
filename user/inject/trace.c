// SPDX-License-Identifier: GPL-2.0-only
#include "inject/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/fsroot.h"

#define PATIENCE_NS 500000000ULL
#define NAP_NS 20000L
#define MAX_STATUS (64U << 10)

/* Kernel ABI since 4.3; not in every libc. */
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

#define OPTIONS PTRACE_O_TRACESYSGOOD

/* --- why it cannot be ------------------------------------------------------------- */

/* A number of a line "Key:\tN" in /proc/PID/status; -1: not told. */
static long status_field(pid_t pid, const char *key)
{
	const struct mp_fsroot live = {""};
	MP_FREE char *text = NULL;
	const char *line;

	if (mp_read_file_at(&live, MAX_STATUS, &text, NULL, "/proc/%d/status", pid))
		return -1;
	line = strstr(text, key);
	return line ? strtol(line + strlen(key), NULL, 10) : -1;
}

static long yama_scope(void)
{
	MP_FREE char *text = NULL;

	if (mp_read_file("/proc/sys/kernel/yama/ptrace_scope", 16, &text, NULL))
		return 0;
	return strtol(text, NULL, 10);
}

static bool in_other_user_namespace(pid_t pid)
{
	struct stat own;
	struct stat other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	return stat("/proc/self/ns/user", &own) == 0 && stat(path, &other) == 0 &&
	       (own.st_ino != other.st_ino || own.st_dev != other.st_dev);
}

static int fail_to_seize(pid_t pid, int errnum, struct mp_error *err)
{
	long tracer = status_field(pid, "\nTracerPid:\t");

	if (errnum == ESRCH)
		return mp_fail(err, MP_EXIT_TARGET, ESRCH, "the process has ended");
	if (tracer > 0)
		return mp_fail(err, MP_EXIT_TARGET, EBUSY,
			       "process %ld is tracing it (a debugger, strace): end that first",
			       tracer);
	if (yama_scope() == 3)
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "kernel.yama.ptrace_scope is 3: nothing can be traced before the "
			       "next boot; use --python-mode watchpoint, or `memprobe-bpf run`");
	if (in_other_user_namespace(pid))
		return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
			       "it is in another user namespace, over which there is no "
			       "CAP_SYS_PTRACE here: run this as root of the host");
	return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM, "CAP_SYS_PTRACE is needed%s: run with sudo",
		       yama_scope() ? " (kernel.yama.ptrace_scope is set)" : "");
}

/* --- waiting ---------------------------------------------------------------------- */

/* The next stop of the thread. -ESRCH when it ended instead. */
static int wait_stop(struct mp_tracee *t, int *ret_status)
{
	const uint64_t since = mp_clock_now_ns();
	const struct timespec nap = {.tv_nsec = NAP_NS};
	int status;
	pid_t got;

	while ((got = waitpid(t->tid, &status, __WALL | __WNOTHREAD | WNOHANG)) == 0) {
		if (mp_clock_now_ns() - since > PATIENCE_NS)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL); /* not sched_yield(): this thread goes before others */
	}
	if (got < 0 || !WIFSTOPPED(status))
		return -ESRCH;
	t->stopped = true;
	*ret_status = status;
	return 0;
}

static bool is_syscall_stop(int status)
{
	return WSTOPSIG(status) == (SIGTRAP | 0x80);
}

static bool is_event_stop(int status)
{
	return status >> 16 == PTRACE_EVENT_STOP;
}

static bool tells_of_fault(int signum)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};

	for (size_t i = 0; i < MP_ARRAY_SIZE(faults); i++) {
		if (signum == faults[i])
			return true;
	}
	return false;
}

static int resume(struct mp_tracee *t, enum __ptrace_request how, int signum)
{
	if (ptrace(how, t->tid, NULL, (void *)(intptr_t)signum))
		return errno == ESRCH ? -ESRCH : -errno;
	t->stopped = false;
	t->at_restart = false;
	return 0;
}

/* --- the steps -------------------------------------------------------------------- */

int mp_tracee_park(struct mp_tracee *t)
{
	int signum = 0;
	int status;
	int err = 0;

	while (!err && !t->at_restart) {
		if (ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL))
			return -errno;
		if (t->stopped)
			err = resume(t, PTRACE_CONT, signum);
		err = err ?: wait_stop(t, &status);
		t->at_restart = !err && is_event_stop(status);
		/* One that was just coming: it is the program's. */
		signum = err || is_syscall_stop(status) ? 0 : WSTOPSIG(status);
	}
	return err;
}

/*
 * A filter of system calls must not kill the target for what is done in it. Where it cannot
 * be lifted for that while, nothing is done.
 */
static int lift_filter(const struct mp_tracee *t, struct mp_error *err)
{
	if (status_field(t->tid, "\nSeccomp:\t") <= 0 ||
	    ptrace(PTRACE_SETOPTIONS, t->tid, NULL, OPTIONS | PTRACE_O_SUSPEND_SECCOMP) == 0)
		return 0;
	return mp_fail(err, MP_EXIT_PRIVILEGE, EPERM,
		       "its system calls are filtered (seccomp), which only CAP_SYS_ADMIN outside "
		       "of any filter can lift for a moment: use --python-mode watchpoint, or "
		       "`memprobe-bpf run`");
}

static int open_memory(pid_t pid, pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", pid, tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * What is stopped waits for this thread: it goes before others meanwhile. Without the privilege
 * for that it takes its turn.
 */
static void hurry(bool on)
{
	const struct sched_param priority = {.sched_priority = on};

	pthread_setschedparam(pthread_self(), on ? SCHED_FIFO : SCHED_OTHER, &priority);
}

static int fail_to_stop(int error, struct mp_error *err)
{
	return mp_fail(err, MP_EXIT_TARGET, -error,
		       error == -ETIMEDOUT
			       ? "the thread does not stop: it waits for something in the kernel"
			       : "the thread has ended");
}

static int prepare(struct mp_tracee *t, pid_t pid, struct mp_error *err)
{
	int error = lift_filter(t, err);

	if (error)
		return error;
	t->mem = open_memory(pid, t->tid);
	return t->mem >= 0 ? 0
			   : mp_fail(err, MP_EXIT_PRIVILEGE, -t->mem, "/proc/%d/mem: %s", pid,
				     strerror(-t->mem));
}

int mp_tracee_stop(pid_t pid, pid_t tid, struct mp_tracee *ret, struct mp_error *err)
{
	struct mp_tracee tracee = {.tid = tid, .mem = -1};
	int error;

	if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS))
		return fail_to_seize(pid, errno, err);
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	hurry(true);
	error = mp_tracee_park(&tracee);
	tracee.stopped_since_ns = mp_clock_now_ns();
	error = error ? fail_to_stop(error, err) : prepare(&tracee, pid, err);
	if (error)
		mp_tracee_release(&tracee);
	else
		*ret = tracee;
	return error;
}

int mp_tracee_to_syscall(struct mp_tracee *t, struct __ptrace_syscall_info *ret)
{
	int signum = 0;
	int status;
	int err;

	for (;;) {
		err = resume(t, PTRACE_SYSCALL, signum);
		err = err ?: wait_stop(t, &status);
		if (err)
			return err;
		if (is_syscall_stop(status))
			break;
		t->at_restart = true;
		signum = is_event_stop(status) ? 0 : WSTOPSIG(status);
		if (tells_of_fault(signum))
			return -EFAULT;
	}
	return ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof(*ret), ret) < 0 ? -errno : 0;
}

static int whole(ssize_t n, size_t len)
{
	return n == (ssize_t)len ? 0 : -EFAULT;
}

int mp_tracee_write(const struct mp_tracee *t, uint64_t addr, const void *buf, size_t len)
{
	return whole(pwrite(t->mem, buf, len, (off_t)addr), len);
}

int mp_tracee_read(const struct mp_tracee *t, uint64_t addr, void *buf, size_t len)
{
	return whole(pread(t->mem, buf, len, (off_t)addr), len);
}

int mp_tracee_get(const struct mp_tracee *t, unsigned int type, void *data, size_t *len)
{
	struct iovec iov = {data, *len};

	if (ptrace(PTRACE_GETREGSET, t->tid, (void *)(uintptr_t)type, &iov))
		return -errno;
	*len = iov.iov_len;
	return 0;
}

int mp_tracee_put(const struct mp_tracee *t, unsigned int type, const void *data, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};

	return ptrace(PTRACE_SETREGSET, t->tid, (void *)(uintptr_t)type, &iov) ? -errno : 0;
}

int mp_tracee_get_mask(const struct mp_tracee *t, uint64_t *ret)
{
	return ptrace(PTRACE_GETSIGMASK, t->tid, (void *)sizeof(*ret), ret) ? -errno : 0;
}

int mp_tracee_set_mask(const struct mp_tracee *t, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(mask), &mask) ? -errno : 0;
}

uint64_t mp_tracee_release(struct mp_tracee *t)
{
	uint64_t stopped_ns = t->stopped ? mp_clock_now_ns() - t->stopped_since_ns : 0;

	ptrace(PTRACE_DETACH, t->tid, NULL, NULL);
	mp_close_p(&t->mem);
	t->mem = -1;
	hurry(false);
	return stopped_ns;
}
