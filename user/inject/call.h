/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Having a stopped thread call something: what depends on the processor. One file each:
 * call_x86_64.c, call_arm64.c.
 *
 * The thread must come back to where it was even when this process is killed in the middle.
 * So the call is set up as the kernel sets up a signal handler: below the thread's stack lies
 * a signal frame with everything that the thread had, and what is called returns to code that
 * calls rt_sigreturn(), which takes up that frame. The registers are set in one step; before
 * it nothing has changed for the thread, and after it the thread finds back by itself. When
 * all goes well it is not left to: at the call's end it is stopped, and gets back exactly what
 * it had, so that a system call that was interrupted is restarted as if nothing had been.
 */
#ifndef MP_INJECT_CALL_H
#define MP_INJECT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "inject/trace.h"

#define MP_CALL_FP_MAX (16U << 10)
#define MP_CALL_FRAME_MAX (MP_CALL_FP_MAX + 1024)

/* Code of the target that a call is made with: of its libc, in practice. */
struct mp_call_code {
	uint64_t syscall; /* a system call, then a return */
	uint64_t restore; /* rt_sigreturn() */
};

/*
 * Looks for both in `len` bytes of code that are mapped at `addr`; what is found already
 * stays. Returns whether both are there.
 */
bool mp_call_find_code(const uint8_t *code, size_t len, uint64_t addr,
		       struct mp_call_code *code_ret);

/* What a thread has that a call changes. */
struct mp_call_saved {
	struct user_regs_struct regs;
	uint64_t signal_mask;
	size_t fp_len;
	uint8_t fp[MP_CALL_FP_MAX]; /* as ptrace(2) gives it */
};
/* The address of its next instruction. */
uint64_t mp_call_ip(const struct mp_call_saved *saved);

/*
 * Reads it. -ENOTSUP, with why: a thread that cannot be made to call anything (32-bit
 * code, a shadow stack).
 */
int mp_call_save(const struct mp_tracee *tracee, struct mp_call_saved *ret, struct mp_error *err);
/* Puts it back, the registers last. The thread is parked. */
int mp_call_restore(const struct mp_tracee *tracee, const struct mp_call_saved *saved);

/* The signal frame, and where on the thread's stack it belongs. */
struct mp_call_frame {
	uint64_t addr;
	size_t len;
	uint8_t bytes[MP_CALL_FRAME_MAX];
};
int mp_call_frame_make(const struct mp_call_saved *saved, const struct mp_call_code *code,
		       struct mp_call_frame *ret);

/* Registers to make one system call with; then the thread restores itself. */
void mp_call_regs_syscall(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			  const struct mp_call_code *code, long nr, const uint64_t args[6],
			  struct user_regs_struct *ret);

/*
 * Code to be copied into the target: calls a function of two arguments, keeps errno, makes the
 * marker call with the function's result as first argument, and restores the thread. The
 * marker is mmap(result, 0, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), which fails
 * and does nothing.
 */
size_t mp_call_stub(const uint8_t **ret);

struct mp_call_function {
	uint64_t stub; /* where it was copied to */
	uint64_t errno_location;
	uint64_t function;
	uint64_t args[2];
};
void mp_call_regs_function(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			   const struct mp_call_function *call, struct user_regs_struct *ret);

/* Sets the registers, and then has every signal wait that can. In that order: see above. */
int mp_call_begin(const struct mp_tracee *tracee, const struct user_regs_struct *regs);

#endif
