// SPDX-License-Identifier: GPL-2.0-only
/*
 * Here the kernel has prepared the restart of an interrupted system call when the thread
 * stops, so that it is made again whoever puts the registers back. One with a relative
 * timeout (poll(2), nanosleep(2)) then begins with all of it.
 */
#include "inject/call.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/fsroot.h"

#define INSN_LEN 4
#define LR 30
#define INSN_SVC 0xd4000001U
#define INSN_RET 0xd65f03c0U
#define INSN_CMN_X0_4095 0xb13ffc1fU
#define INSN_MOV_X8_RT_SIGRETURN 0xd2801168U

#ifndef NT_ARM_SVE
#define NT_ARM_SVE 0x405
#endif

/* --- code of the target ------------------------------------------------------------- */

static uint32_t insn_at(const uint8_t *code)
{
	uint32_t insn;

	memcpy(&insn, code, sizeof(insn));
	return insn;
}

/* "svc; ret", or with a libc's look at the error in between: "cmn x0, #4095; b.cs 1f; ret". */
static bool is_syscall_and_return(const uint8_t *code, size_t len)
{
	if (len < 2 * INSN_LEN || insn_at(code) != INSN_SVC)
		return false;
	if (insn_at(code + INSN_LEN) == INSN_RET)
		return true;
	return len >= 4 * INSN_LEN && insn_at(code + INSN_LEN) == INSN_CMN_X0_4095 &&
	       (insn_at(code + 2 * INSN_LEN) & 0xff00001fU) == 0x54000002U &&
	       insn_at(code + 3 * INSN_LEN) == INSN_RET;
}

static bool is_restore(const uint8_t *code, size_t len)
{
	return len >= 2 * INSN_LEN && insn_at(code) == INSN_MOV_X8_RT_SIGRETURN &&
	       insn_at(code + INSN_LEN) == INSN_SVC;
}

bool mp_call_find_code(const uint8_t *code, size_t len, uint64_t addr, struct mp_call_code *ret)
{
	for (size_t i = 0; i + INSN_LEN <= len && !(ret->syscall && ret->restore); i += INSN_LEN) {
		if (!ret->syscall && is_syscall_and_return(code + i, len - i))
			ret->syscall = addr + i;
		if (!ret->restore && is_restore(code + i, len - i))
			ret->restore = addr + i;
	}
	return ret->restore && ret->syscall;
}

/* --- saving and restoring ----------------------------------------------------------- */

/* The basic state first, behind it that of SVE where the thread has one. */
struct fp_basic {
	uint8_t registers[32 * 16];
	uint32_t status;
	uint32_t control;
	uint32_t reserved[2];
};
static_assert(sizeof(struct fp_basic) == 528, "kernel ABI");

static int save_fp(const struct mp_tracee *t, struct mp_call_saved *saved)
{
	size_t len = sizeof(struct fp_basic);
	size_t sve_len = sizeof(saved->fp) - sizeof(struct fp_basic);
	int err = mp_tracee_get(t, NT_PRFPREG, saved->fp, &len);

	if (!err && len != sizeof(struct fp_basic))
		return -ENOTSUP;
	if (mp_tracee_get(t, NT_ARM_SVE, saved->fp + sizeof(struct fp_basic), &sve_len))
		sve_len = 0;
	saved->fp_len = sizeof(struct fp_basic) + sve_len;
	return err;
}

static int restore_fp(const struct mp_tracee *t, const struct mp_call_saved *saved)
{
	const size_t basic = sizeof(struct fp_basic);

	if (saved->fp_len > basic)
		return mp_tracee_put(t, NT_ARM_SVE, saved->fp + basic, saved->fp_len - basic);
	return mp_tracee_put(t, NT_PRFPREG, saved->fp, basic);
}

uint64_t mp_call_ip(const struct mp_call_saved *saved)
{
	return saved->regs.pc;
}

int mp_call_save(const struct mp_tracee *t, struct mp_call_saved *ret, struct mp_error *err)
{
	size_t len = sizeof(ret->regs);
	int error = mp_tracee_get(t, NT_PRSTATUS, &ret->regs, &len);

	if (!error && len != sizeof(ret->regs))
		return mp_fail(err, MP_EXIT_TARGET, ENOTSUP, "the thread runs 32-bit code");
	error = error ?: save_fp(t, ret);
	error = error ?: mp_tracee_get_mask(t, &ret->signal_mask);
	return error ? mp_fail(err, MP_EXIT_TARGET, -error, "its registers cannot be read: %s",
			       strerror(-error))
		     : 0;
}

int mp_call_restore(const struct mp_tracee *t, const struct mp_call_saved *saved)
{
	int err = mp_tracee_set_mask(t, saved->signal_mask);

	err = err ?: restore_fp(t, saved);
	return err ?: mp_tracee_put(t, NT_PRSTATUS, &saved->regs, sizeof(saved->regs));
}

int mp_call_begin(const struct mp_tracee *t, const struct user_regs_struct *regs)
{
	int err = mp_tracee_put(t, NT_PRSTATUS, regs, sizeof(*regs));

	return err ?: mp_tracee_set_mask(t, UINT64_MAX);
}

/* --- the signal frame ----------------------------------------------------------------- */

/* struct rt_sigframe of the kernel, with its records of the floating point state and of the end. */
struct signal_frame {
	uint8_t info[128];
	uint64_t flags;
	uint64_t link;
	uint64_t stack_addr;
	uint64_t stack_flags;
	uint64_t stack_size;
	uint64_t mask;
	uint8_t unused[128];
	uint64_t fault_address;
	uint64_t regs[31];
	uint64_t sp, pc, pstate;
	uint64_t padding;
	uint32_t fp_magic, fp_size;
	uint32_t fp_status, fp_control;
	uint8_t fp_registers[32 * 16];
	uint32_t end_magic, end_size;
	uint8_t rest[4096 - 528 - 8];
};
static_assert(sizeof(struct signal_frame) == 4688, "kernel ABI");
static_assert(offsetof(struct signal_frame, fault_address) == 304, "kernel ABI");
static_assert(offsetof(struct signal_frame, fp_magic) == 592, "kernel ABI");

#define STACK_UNCHANGED 0x7f /* no flags of sigaltstack(2): it is then left as it is */
#define FP_MAGIC 0x46508001U
#define FP_SIZE 528

int mp_call_frame_make(const struct mp_call_saved *saved, const struct mp_call_code *code,
		       struct mp_call_frame *ret)
{
	struct signal_frame frame = {
		.stack_flags = STACK_UNCHANGED,
		.mask = saved->signal_mask,
		.sp = saved->regs.sp,
		.pc = saved->regs.pc,
		.pstate = saved->regs.pstate,
		.fp_magic = FP_MAGIC,
		.fp_size = FP_SIZE,
	};
	struct fp_basic fp;

	(void)code;
	memcpy(&fp, saved->fp, sizeof(fp));
	memcpy(frame.regs, saved->regs.regs, sizeof(frame.regs));
	memcpy(frame.fp_registers, fp.registers, sizeof(frame.fp_registers));
	frame.fp_status = fp.status;
	frame.fp_control = fp.control;
	ret->addr = (saved->regs.sp - sizeof(frame)) & ~15ULL;
	ret->len = sizeof(frame);
	memcpy(ret->bytes, &frame, sizeof(frame));
	return 0;
}

/* --- calls ---------------------------------------------------------------------------- */

void mp_call_regs_syscall(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			  const struct mp_call_code *code, long nr, const uint64_t args[6],
			  struct user_regs_struct *ret)
{
	struct user_regs_struct regs = saved->regs;

	memcpy(regs.regs, args, 6 * sizeof(args[0]));
	regs.regs[8] = (uint64_t)nr;
	regs.regs[LR] = code->restore;
	regs.sp = frame->addr;
	regs.pc = code->syscall;
	*ret = regs;
}

/* x19: errno's location; x20: the function; x21, x22: its arguments. */
__asm__(".pushsection .rodata\n"
	".balign 4\n"
	"mp_call_stub_begin:\n"
	"	blr x19\n"
	"	mov x23, x0\n"
	"	ldr w24, [x0]\n"
	"	mov x0, x21\n"
	"	mov x1, x22\n"
	"	blr x20\n"
	"	str w24, [x23]\n"
	"	sxtw x0, w0\n"
	"	mov x1, #0\n"
	"	mov x2, #5\n"	 /* PROT_READ | PROT_EXEC */
	"	mov x3, #0x22\n" /* MAP_PRIVATE | MAP_ANONYMOUS */
	"	mov x4, #-1\n"
	"	mov x5, #0\n"
	"	mov x8, #222\n" /* mmap */
	"	svc #0\n"
	"	mov x8, #139\n" /* rt_sigreturn */
	"	svc #0\n"
	"mp_call_stub_end:\n"
	".popsection\n");

extern const uint8_t mp_call_stub_begin[];
extern const uint8_t mp_call_stub_end[];

size_t mp_call_stub(const uint8_t **ret)
{
	*ret = mp_call_stub_begin;
	return (uintptr_t)mp_call_stub_end - (uintptr_t)mp_call_stub_begin;
}

void mp_call_regs_function(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			   const struct mp_call_function *call, struct user_regs_struct *ret)
{
	struct user_regs_struct regs = saved->regs;

	regs.regs[19] = call->errno_location;
	regs.regs[20] = call->function;
	regs.regs[21] = call->args[0];
	regs.regs[22] = call->args[1];
	regs.sp = frame->addr;
	regs.pc = call->stub;
	*ret = regs;
}
