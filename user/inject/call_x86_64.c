// SPDX-License-Identifier: GPL-2.0-only
#include "inject/call.h"

#include <assert.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/fsroot.h"

#define RED_ZONE 128
#define USER_CS 0x33
#define FLAGS_CLEARED (0x400UL | 0x100UL | 0x40000UL | 0x4000UL | 0x10000UL) /* DF TF AC NT RF */

/* include/linux/errno.h: a system call that was interrupted before it did anything. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516
#define SYSCALL_LEN 2

/* --- code of the target ------------------------------------------------------------- */

static const uint8_t restore_code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

/*
 * "syscall; ret", or with a libc's look at the error in between, whose way without an
 * error leads to the return: "cmp $-4095,%rax; jae 1f; ret", "cmp $-4096,%rax; ja 1f; ret".
 */
static bool is_syscall_and_return(const uint8_t *code, size_t len)
{
	static const uint8_t at_least[] = {0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x73};
	static const uint8_t above[] = {0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77};

	if (len < 11 || code[0] != 0x0f || code[1] != 0x05)
		return false;
	if (code[2] == 0xc3)
		return true;
	return (memcmp(code + 2, at_least, sizeof(at_least)) == 0 ||
		memcmp(code + 2, above, sizeof(above)) == 0) &&
	       code[10] == 0xc3;
}

bool mp_call_find_code(const uint8_t *code, size_t len, uint64_t addr, struct mp_call_code *ret)
{
	const uint8_t *restore = memmem(code, len, restore_code, sizeof(restore_code));

	if (restore && !ret->restore)
		ret->restore = addr + (uint64_t)(restore - code);
	for (size_t i = 0; i < len && !ret->syscall; i++) {
		if (is_syscall_and_return(code + i, len - i))
			ret->syscall = addr + i;
	}
	return ret->restore && ret->syscall;
}

/* --- saving and restoring ----------------------------------------------------------- */

/* A return address that no call has put there would be a fault to a shadow stack. */
static bool has_shadow_stack(const struct mp_tracee *t)
{
	MP_FREE char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", t->tid);
	return mp_read_file(path, 64U << 10, &text, NULL) == 0 && strstr(text, "shstk");
}

uint64_t mp_call_ip(const struct mp_call_saved *saved)
{
	return saved->regs.rip;
}

int mp_call_save(const struct mp_tracee *t, struct mp_call_saved *ret, struct mp_error *err)
{
	size_t len = sizeof(ret->regs);
	int error = mp_tracee_get(t, NT_PRSTATUS, &ret->regs, &len);

	if (!error && (len != sizeof(ret->regs) || ret->regs.cs != USER_CS))
		return mp_fail(err, MP_EXIT_TARGET, ENOTSUP, "the thread runs 32-bit code");
	if (!error && has_shadow_stack(t))
		return mp_fail(err, MP_EXIT_TARGET, ENOTSUP,
			       "it has a shadow stack: start it by `memprobe-bpf run`, or without "
			       "glibc.cpu.x86_shstk");
	ret->fp_len = sizeof(ret->fp);
	error = error ?: mp_tracee_get(t, NT_X86_XSTATE, ret->fp, &ret->fp_len);
	error = error ?: mp_tracee_get_mask(t, &ret->signal_mask);
	return error ? mp_fail(err, MP_EXIT_TARGET, -error, "its registers cannot be read: %s",
			       strerror(-error))
		     : 0;
}

int mp_call_restore(const struct mp_tracee *t, const struct mp_call_saved *saved)
{
	int err = mp_tracee_set_mask(t, saved->signal_mask);

	err = err ?: mp_tracee_put(t, NT_X86_XSTATE, saved->fp, saved->fp_len);
	return err ?: mp_tracee_put(t, NT_PRSTATUS, &saved->regs, sizeof(saved->regs));
}

int mp_call_begin(const struct mp_tracee *t, const struct user_regs_struct *regs)
{
	int err = mp_tracee_put(t, NT_PRSTATUS, regs, sizeof(*regs));

	return err ?: mp_tracee_set_mask(t, UINT64_MAX);
}

/* --- the signal frame ----------------------------------------------------------------- */

/* struct rt_sigframe of the kernel. */
struct signal_frame {
	uint64_t return_to;
	uint64_t flags;
	uint64_t link;
	uint64_t stack_addr;
	uint64_t stack_flags;
	uint64_t stack_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trap, old_mask, cr2;
	uint64_t fp; /* address */
	uint64_t reserved[8];
	uint64_t mask;
	uint8_t info[128];
};
static_assert(sizeof(struct signal_frame) == 440, "kernel ABI");

#define FRAME_FLAGS 7	     /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
#define STACK_UNCHANGED 0x7f /* no flags of sigaltstack(2): it is then left as it is */

/* What the kernel keeps in the part of the XSAVE area that is for software. */
struct fp_software {
	uint32_t magic;
	uint32_t extended_size;
	uint64_t features;
	uint32_t size;
	uint32_t padding[7];
};
#define FP_SOFTWARE_AT 464
#define FP_FEATURES_AT 512
#define FP_MAGIC1 0x46505853U
#define FP_MAGIC2 0x46505845U
#define FP_BASIC_LEN 576	/* FXSAVE and the header */
#define FP_DYNAMIC (1ULL << 18) /* tiles: in a frame only of who has asked for them */

/* Bytes of the state that the kernel takes back from a frame: what it would have written itself. */
static size_t fp_frame_len(uint64_t features)
{
	size_t len = FP_BASIC_LEN;

	for (unsigned int i = 2; i < 63; i++) {
		unsigned int size = 0;
		unsigned int offset = 0;
		unsigned int c, d;

		if (features >> i & 1 && __get_cpuid_count(0xd, i, &size, &offset, &c, &d) &&
		    offset + size > len)
			len = offset + size;
	}
	return len;
}

static int make_fp(const struct mp_call_saved *saved, uint8_t *out, size_t *ret_len)
{
	struct fp_software software = {.magic = FP_MAGIC1};
	const uint32_t end = FP_MAGIC2;
	uint64_t present;
	size_t len;

	if (saved->fp_len < FP_BASIC_LEN)
		return -ENOTSUP;
	memcpy(&software.features, saved->fp + FP_SOFTWARE_AT, sizeof(software.features));
	software.features &= ~FP_DYNAMIC;
	len = fp_frame_len(software.features);
	if (len > saved->fp_len)
		return -ENOTSUP;
	software.size = (uint32_t)len;
	software.extended_size = (uint32_t)(len + sizeof(end));
	memcpy(out, saved->fp, len);
	memcpy(&present, out + FP_FEATURES_AT, sizeof(present));
	present &= software.features;
	memcpy(out + FP_FEATURES_AT, &present, sizeof(present));
	memcpy(out + FP_SOFTWARE_AT, &software, sizeof(software));
	memcpy(out + len, &end, sizeof(end));
	*ret_len = len + sizeof(end);
	return 0;
}

/*
 * What the thread goes on with when nobody puts its own registers back: a system call that
 * was interrupted is made again, as after a signal without a handler; one that would have
 * needed the kernel's own notes for that ends with EINTR, as after one with.
 */
static void settle_syscall(struct user_regs_struct *regs)
{
	if ((int64_t)regs->orig_rax < 0)
		return;
	switch (-(int64_t)regs->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		regs->rip -= SYSCALL_LEN;
		regs->rax = regs->orig_rax;
		break;
	case ERESTART_RESTARTBLOCK:
		regs->rax = (uint64_t)-EINTR;
		break;
	default:
		break;
	}
}

static struct signal_frame make_frame(const struct mp_call_saved *saved,
				      const struct mp_call_code *code, uint64_t fp)
{
	struct user_regs_struct r = saved->regs;

	settle_syscall(&r);
	return (struct signal_frame){
		.return_to = code->restore,
		.flags = FRAME_FLAGS,
		.stack_flags = STACK_UNCHANGED,
		.r8 = r.r8,
		.r9 = r.r9,
		.r10 = r.r10,
		.r11 = r.r11,
		.r12 = r.r12,
		.r13 = r.r13,
		.r14 = r.r14,
		.r15 = r.r15,
		.rdi = r.rdi,
		.rsi = r.rsi,
		.rbp = r.rbp,
		.rbx = r.rbx,
		.rdx = r.rdx,
		.rax = r.rax,
		.rcx = r.rcx,
		.rsp = r.rsp,
		.rip = r.rip,
		.eflags = r.eflags,
		.cs = (uint16_t)r.cs,
		.gs = (uint16_t)r.gs,
		.fs = (uint16_t)r.fs,
		.ss = (uint16_t)r.ss,
		.fp = fp,
		.mask = saved->signal_mask,
	};
}

/* Aligned as at a function's first instruction, so that what is called returns through the frame.
 */
int mp_call_frame_make(const struct mp_call_saved *saved, const struct mp_call_code *code,
		       struct mp_call_frame *ret)
{
	struct signal_frame frame;
	size_t fp_len = 0;
	uint64_t fp;
	uint8_t *state = malloc(MP_CALL_FP_MAX + sizeof(uint32_t));
	int err = state ? make_fp(saved, state, &fp_len) : -ENOMEM;

	if (!err) {
		fp = (saved->regs.rsp - RED_ZONE - fp_len) & ~63ULL;
		ret->addr = ((fp - sizeof(frame)) & ~15ULL) - 8;
		ret->len = fp + fp_len - ret->addr;
		frame = make_frame(saved, code, fp);
		memset(ret->bytes, 0, ret->len);
		memcpy(ret->bytes, &frame, sizeof(frame));
		memcpy(ret->bytes + (fp - ret->addr), state, fp_len);
	}
	free(state);
	return err;
}

/* --- calls ---------------------------------------------------------------------------- */

/* No system call is under way in them: there is nothing to be restarted. */
static struct user_regs_struct base_regs(const struct mp_call_saved *saved)
{
	struct user_regs_struct regs = saved->regs;

	regs.orig_rax = UINT64_MAX;
	regs.eflags &= ~FLAGS_CLEARED;
	return regs;
}

void mp_call_regs_syscall(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			  const struct mp_call_code *code, long nr, const uint64_t args[6],
			  struct user_regs_struct *ret)
{
	struct user_regs_struct regs = base_regs(saved);

	regs.rip = code->syscall;
	regs.rsp = frame->addr;
	regs.rax = (uint64_t)nr;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	*ret = regs;
}

/* rbx: errno's location; r12: the function; r13, r14: its arguments. */
__asm__(".pushsection .rodata\n"
	"mp_call_stub_begin:\n"
	"	call *%rbx\n"
	"	mov %rax, %rbp\n"
	"	mov (%rax), %ebx\n"
	"	mov %r13, %rdi\n"
	"	mov %r14, %rsi\n"
	"	call *%r12\n"
	"	mov %ebx, (%rbp)\n"
	"	movslq %eax, %rdi\n"
	"	xor %esi, %esi\n"
	"	mov $5, %edx\n"	    /* PROT_READ | PROT_EXEC */
	"	mov $0x22, %r10d\n" /* MAP_PRIVATE | MAP_ANONYMOUS */
	"	mov $-1, %r8\n"
	"	xor %r9d, %r9d\n"
	"	mov $9, %eax\n" /* mmap */
	"	syscall\n"
	"	mov $15, %eax\n" /* rt_sigreturn */
	"	syscall\n"
	"mp_call_stub_end:\n"
	".popsection\n");

extern const uint8_t mp_call_stub_begin[];
extern const uint8_t mp_call_stub_end[];

size_t mp_call_stub(const uint8_t **ret)
{
	*ret = mp_call_stub_begin;
	return (uintptr_t)mp_call_stub_end - (uintptr_t)mp_call_stub_begin;
}

/* rt_sigreturn looks for the frame where the stack pointer is behind its return address. */
void mp_call_regs_function(const struct mp_call_saved *saved, const struct mp_call_frame *frame,
			   const struct mp_call_function *call, struct user_regs_struct *ret)
{
	struct user_regs_struct regs = base_regs(saved);

	regs.rip = call->stub;
	regs.rsp = frame->addr + sizeof(uint64_t);
	regs.rbx = call->errno_location;
	regs.r12 = call->function;
	regs.r13 = call->args[0];
	regs.r14 = call->args[1];
	*ret = regs;
}
