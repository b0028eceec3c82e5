/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions whose first instruction is known, because what a uprobe costs
 * depends on it. Each returns its argument plus one. Written in assembly where
 * the compiler could choose otherwise; a program includes this once.
 */
#ifndef MP_TESTS_PROBED_H
#define MP_TESTS_PROBED_H

#include "target.h"

uint64_t probe_push(uint64_t n);
uint64_t probe_endbr(uint64_t n);
uint64_t probe_empty(uint64_t n);

#if defined(__x86_64__)

#define PROBED_ASM(name, body)                                                                     \
	__asm__(".text\n"                                                                          \
		".p2align 4\n"                                                                     \
		".globl " name "\n"                                                                \
		".type " name ", @function\n" name ":\n"                                           \
		".cfi_startproc\n" body ".cfi_endproc\n"                                           \
		".size " name ", . - " name "\n")

#define PROBED_FRAME                                                                               \
	"push %rbp\n"                                                                              \
	".cfi_def_cfa_offset 16\n"                                                                 \
	".cfi_offset %rbp, -16\n"                                                                  \
	"mov %rsp, %rbp\n"                                                                         \
	".cfi_def_cfa_register %rbp\n"                                                             \
	"lea 1(%rdi), %rax\n"                                                                      \
	"pop %rbp\n"                                                                               \
	".cfi_def_cfa %rsp, 8\n"                                                                   \
	"ret\n"

PROBED_ASM("probe_push", PROBED_FRAME);
PROBED_ASM("probe_endbr", "endbr64\n" PROBED_FRAME);
/* The least a function can be; its first instruction is single-stepped. */
PROBED_ASM("probe_empty", "lea 1(%rdi), %rax\nret\n");

#else

PROBED uint64_t probe_push(uint64_t n)
{
	return n + 1;
}

PROBED uint64_t probe_endbr(uint64_t n)
{
	return n + 1;
}

PROBED uint64_t probe_empty(uint64_t n)
{
	return n + 1;
}

#endif
#endif
