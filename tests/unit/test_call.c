// SPDX-License-Identifier: GPL-2.0-only
/* Having a stopped thread call something; and that it comes back with nobody's help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "../targets/registers.h"
#include "inject/call.h"
#include "target/target.h"

static const struct mp_fsroot live = {""};

struct child {
	pid_t pid;
	int *stop; /* shared */
	struct mp_tracee tracee;
	struct mp_call_code code;
	struct mp_call_saved saved;
	struct mp_call_frame frame;
};

static int search(void *data, const struct mp_binary *binary)
{
	struct mp_call_code *code = data;

	return strstr(binary->path, "/libc.") &&
	       mp_call_find_code((const uint8_t *)(uintptr_t)binary->start,
				 binary->end - binary->start, binary->start, code);
}

static void start(struct child *c, int (*run)(const volatile int *stop))
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(mp_process_mappings(&live, getpid(), search, &c->code), 1);
	c->stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	c->pid = fork();
	if (c->pid == 0)
		_exit(run(c->stop));
	usleep(10000);
}

static void stop(struct child *c)
{
	struct mp_error err = {0};

	assert_int_equal(mp_tracee_stop(c->pid, c->pid, &c->tracee, &err), 0);
	assert_int_equal(mp_call_save(&c->tracee, &c->saved, &err), 0);
	assert_int_equal(mp_call_frame_make(&c->saved, &c->code, &c->frame), 0);
	assert_int_equal(mp_tracee_write(&c->tracee, c->frame.addr, c->frame.bytes, c->frame.len),
			 0);
}

static void begin_syscall(struct child *c, long nr)
{
	const uint64_t args[6] = {0};
	struct user_regs_struct regs;

	mp_call_regs_syscall(&c->saved, &c->frame, &c->code, nr, args, &regs);
	assert_int_equal(mp_call_begin(&c->tracee, &regs), 0);
}

static void expect_unharmed(struct child *c)
{
	int status;

	*c->stop = 1;
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	munmap(c->stop, 4096);
}

static int count_up(const volatile int *stop)
{
	return hold_registers(stop);
}

/* All signals were blocked for the call: none may stay so. */
static int count_up_and_look_at_mask(const volatile int *stop)
{
	sigset_t mask;

	if (hold_registers(stop))
		return 1;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGTERM) ? 2 : 0;
}

static void test_call_and_restore(void **state)
{
	struct __ptrace_syscall_info info;
	struct child c;

	(void)state;
	start(&c, count_up_and_look_at_mask);
	stop(&c);
	begin_syscall(&c, SYS_getppid);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(info.op, PTRACE_SYSCALL_INFO_ENTRY);
	assert_int_equal(info.entry.nr, SYS_getppid);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(info.op, PTRACE_SYSCALL_INFO_EXIT);
	assert_int_equal(info.exit.rval, getpid());
	assert_int_equal(mp_tracee_park(&c.tracee), 0);
	assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
	mp_tracee_release(&c.tracee);
	expect_unharmed(&c);
}

/* As when the tracer is killed: at each of the stops of a call. */
static void let_go_after(int stops)
{
	struct __ptrace_syscall_info info;
	struct child c;

	start(&c, count_up_and_look_at_mask);
	stop(&c);
	begin_syscall(&c, SYS_getppid);
	for (int i = 0; i < stops; i++)
		assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	mp_tracee_release(&c.tracee);
	usleep(10000);
	expect_unharmed(&c);
}

static void test_comes_back_by_itself(void **state)
{
	(void)state;
	for (int stops = 0; stops <= 3; stops++)
		let_go_after(stops);
}

/* With registers set and the mask not yet. */
static void test_comes_back_with_its_mask(void **state)
{
	const uint64_t args[6] = {0};
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};
	struct child c;

	(void)state;
	start(&c, count_up_and_look_at_mask);
	stop(&c);
	mp_call_regs_syscall(&c.saved, &c.frame, &c.code, SYS_getppid, args, &regs);
	assert_int_equal(ptrace(PTRACE_SETREGSET, c.pid, (void *)1, &iov), 0);
	mp_tracee_release(&c.tracee);
	expect_unharmed(&c);
}

/* A time in poll(2) is kept by the kernel only, and goes on as if nothing had been. */
static int sleep_whole(const volatile int *stop)
{
	struct timespec begin;
	struct timespec end;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	r = poll(NULL, 0, 300);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec -= begin.tv_sec;
	end.tv_nsec -= begin.tv_nsec;
	(void)stop;
	return r != 0 || end.tv_sec * 1000000000L + end.tv_nsec < 300000000L;
}

static void test_poll_goes_on(void **state)
{
	struct __ptrace_syscall_info info;
	struct child c;

	(void)state;
	start(&c, sleep_whole);
	stop(&c);
	begin_syscall(&c, SYS_getppid);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(mp_tracee_park(&c.tracee), 0);
	assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
	mp_tracee_release(&c.tracee);
	expect_unharmed(&c);
}

static int read_all(const volatile int *stop)
{
	int fds[2];
	char c;

	(void)stop;
	if (pipe(fds) || fork() == 0) {
		usleep(100000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	return read(fds[0], &c, 1) != 1 || c != 'x';
}

/* A read(2) that was interrupted is made again, by the kernel or by the frame alone. */
static void test_read_goes_on(void **state)
{
	(void)state;
	for (int help = 0; help < 2; help++) {
		struct child c;

		start(&c, read_all);
		stop(&c);
		begin_syscall(&c, SYS_getppid);
		if (help) {
			struct __ptrace_syscall_info info;

			assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
			assert_int_equal(mp_tracee_park(&c.tracee), 0);
			assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
		}
		mp_tracee_release(&c.tracee);
		expect_unharmed(&c);
	}
}

static volatile sig_atomic_t signals;

static void count_signal(int signum)
{
	(void)signum;
	signals = signals + 1;
}

static int take_signals(const volatile int *stop)
{
	signal(SIGUSR1, count_signal);
	while (!*stop)
		;
	return signals != 1;
}

/* A signal that comes during a call waits until it is over, and is not lost. */
static void test_signal_waits(void **state)
{
	struct __ptrace_syscall_info info;
	struct child c;

	(void)state;
	start(&c, take_signals);
	stop(&c);
	begin_syscall(&c, SYS_getppid);
	kill(c.pid, SIGUSR1);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(mp_tracee_park(&c.tracee), 0);
	assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
	mp_tracee_release(&c.tracee);
	usleep(20000);
	expect_unharmed(&c);
}

/* What faults in a call is no business of the program's handlers. */
static void test_fault_in_a_call(void **state)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct regs;
	const uint64_t args[6] = {0};
	struct mp_call_code nowhere = {.syscall = 16, .restore = 16};
	struct child c;

	(void)state;
	start(&c, count_up);
	stop(&c);
	mp_call_regs_syscall(&c.saved, &c.frame, &nowhere, SYS_getppid, args, &regs);
	assert_int_equal(mp_call_begin(&c.tracee, &regs), 0);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), -EFAULT);
	assert_int_equal(mp_tracee_park(&c.tracee), 0);
	assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
	mp_tracee_release(&c.tracee);
	expect_unharmed(&c);
}

/* A process that job control has stopped stays stopped. */
static void test_stopped_stays_stopped(void **state)
{
	struct __ptrace_syscall_info info;
	struct mp_process process;
	struct child c;

	(void)state;
	start(&c, count_up);
	kill(c.pid, SIGSTOP);
	assert_int_equal(waitpid(c.pid, NULL, WUNTRACED), c.pid);
	stop(&c);
	begin_syscall(&c, SYS_getppid);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), 0);
	assert_int_equal(mp_tracee_park(&c.tracee), 0);
	assert_int_equal(mp_call_restore(&c.tracee, &c.saved), 0);
	mp_tracee_release(&c.tracee);
	usleep(20000);
	assert_int_equal(mp_process_read(&live, c.pid, &process), 0);
	assert_int_equal(process.state, 'T');
	kill(c.pid, SIGCONT);
	expect_unharmed(&c);
}

static void test_gone(void **state)
{
	struct __ptrace_syscall_info info;
	struct mp_error err = {0};
	struct child c;

	(void)state;
	start(&c, count_up);
	stop(&c);
	kill(c.pid, SIGKILL);
	assert_int_equal(mp_tracee_to_syscall(&c.tracee, &info), -ESRCH);
	mp_tracee_release(&c.tracee);
	assert_int_equal(mp_tracee_stop(INT32_MAX, INT32_MAX, &c.tracee, &err), -ESRCH);
}

static void test_find_code(void **state)
{
	static const uint8_t code[] = {0x0f, 0x05, 0xc3, 0,    0,    0,	   0,	 0,    0,    0,	  0,
				       0,    0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
	struct mp_call_code found = {0};

	(void)state;
	assert_false(mp_call_find_code(code, sizeof(code) - 1, 0x1000, &found));
	assert_int_equal(found.syscall, 0x1000);
	assert_int_equal(found.restore, 0);
	assert_true(mp_call_find_code(code, sizeof(code), 0x1000, &found));
	assert_int_equal(found.restore, 0x100c);
	found = (struct mp_call_code){0};
	assert_false(mp_call_find_code(code, 3, 0x1000, &found));
	assert_false(mp_call_find_code(code, 0, 0x1000, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_and_restore),
		cmocka_unit_test(test_comes_back_by_itself),
		cmocka_unit_test(test_comes_back_with_its_mask),
		cmocka_unit_test(test_poll_goes_on),
		cmocka_unit_test(test_read_goes_on),
		cmocka_unit_test(test_signal_waits),
		cmocka_unit_test(test_fault_in_a_call),
		cmocka_unit_test(test_stopped_stays_stopped),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_find_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
