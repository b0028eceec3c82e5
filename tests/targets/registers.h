/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps known values in registers until `*stop` is set, and looks all the time whether they
 * are still there. Returns 0, or 1 when one was changed. It makes no system call and keeps
 * a value in the red zone, too.
 */
#ifndef MP_TEST_REGISTERS_H
#define MP_TEST_REGISTERS_H

#ifdef __x86_64__
static inline int hold_registers(const volatile int *stop)
{
	int wrong;

	__asm__ volatile("	movabs $0x1111111111111111, %%r8\n"
			 "	lea 1(%%r8), %%r9\n"
			 "	lea 2(%%r8), %%r10\n"
			 "	lea 3(%%r8), %%r11\n"
			 "	lea 4(%%r8), %%r12\n"
			 "	lea 5(%%r8), %%r13\n"
			 "	lea 6(%%r8), %%r14\n"
			 "	lea 7(%%r8), %%r15\n"
			 "	lea 8(%%r8), %%rbx\n"
			 "	lea 9(%%r8), %%rcx\n"
			 "	lea 10(%%r8), %%rdx\n"
			 "	mov %%rcx, -128(%%rsp)\n"
			 "	mov %%rdx, -8(%%rsp)\n"
			 "	movq %%r9, %%xmm0\n"
			 "	movq %%r10, %%xmm7\n"
			 "	movq %%r11, %%xmm15\n"
			 "	fldpi\n"
			 "1:	mov $1, %%eax\n"
			 "	lea 1(%%r8), %%rsi\n"
			 "	cmp %%rsi, %%r9\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r10\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r11\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r12\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r13\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r14\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%r15\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%rbx\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%rcx\n	jne 2f\n"
			 "	cmp %%rsi, -128(%%rsp)\n	jne 2f\n"
			 "	inc %%rsi\n	cmp %%rsi, %%rdx\n	jne 2f\n"
			 "	cmp %%rsi, -8(%%rsp)\n	jne 2f\n"
			 "	movq %%xmm0, %%rsi\n	cmp %%rsi, %%r9\n	jne 2f\n"
			 "	movq %%xmm7, %%rsi\n	cmp %%rsi, %%r10\n	jne 2f\n"
			 "	movq %%xmm15, %%rsi\n	cmp %%rsi, %%r11\n	jne 2f\n"
			 "	fldpi\n	fcomip %%st(1), %%st\n	jne 2f\n	jp 2f\n"
			 "	xor %%eax, %%eax\n"
			 "	cmpl $0, (%%rdi)\n"
			 "	je 1b\n"
			 "2:	fstp %%st(0)\n"
			 : "=&a"(wrong)
			 : "D"(stop)
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm7", "xmm15", "cc", "memory");
	return wrong;
}
#else
static inline int hold_registers(const volatile int *stop)
{
	while (!*stop)
		;
	return 0;
}
#endif

#endif
