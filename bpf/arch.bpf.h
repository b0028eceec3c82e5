/* SPDX-License-Identifier: GPL-2.0-only */
/* What depends on the processor on the kernel side. */
#ifndef MP_ARCH_BPF_H
#define MP_ARCH_BPF_H

#if defined(__TARGET_ARCH_x86)

#define MP_REG_SP(ctx) ((ctx)->rsp)
#define MP_REG_IP(ctx) ((ctx)->rip)
#define MP_REG_RET(ctx) ((ctx)->rax)
/* `call` pushed the return address and `ret` took it off again. */
#define MP_RET_POPS 8

/* Where the caller goes on, known only before the function has moved the stack pointer. */
static __always_inline u64 mp_reg_caller(const bpf_user_pt_regs_t *ctx)
{
	u64 caller = 0;

	bpf_probe_read_user(&caller, sizeof(caller), (void *)ctx->rsp);
	return caller;
}

#elif defined(__TARGET_ARCH_arm64)

#define MP_REG_SP(ctx) ((ctx)->sp)
#define MP_REG_IP(ctx) ((ctx)->pc)
#define MP_REG_RET(ctx) ((ctx)->regs[0])
#define MP_RET_POPS 0

static __always_inline u64 mp_reg_caller(const bpf_user_pt_regs_t *ctx)
{
	return (ctx)->regs[30];
}

#else
#error "this processor has no arch section yet"
#endif

#endif
