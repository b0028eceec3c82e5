/* SPDX-License-Identifier: GPL-2.0-only */
/* What depends on the processor in user space; one file each: arch_x86_64.c, arch_arm64.c. */
#ifndef MP_BASE_ARCH_H
#define MP_BASE_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

/* What the kernel does with the instruction under a uprobe, which decides its cost. */
enum mp_insn_class {
	MP_INSN_NOP5 = 0,	/* turned into a call where the kernel can */
	MP_INSN_EMULATED,	/* the kernel carries it out itself: one trap */
	MP_INSN_SINGLE_STEPPED, /* run out of line: two traps */
	MP_INSN_LANDING,	/* endbr64, bti: single-stepped, and may be probed behind */
	MP_INSN_REFUSED,	/* the kernel will not probe it */
	MP_INSN_CLASS_COUNT
};

struct mp_insn {
	enum mp_insn_class class;
	unsigned int len; /* bytes */
	char text[64];	  /* disassembly, e.g. "push rbp" */
};

const char *mp_insn_class_name(enum mp_insn_class class);

/*
 * Decodes the first instruction of `code`, which is `len` bytes at `addr`.
 * Returns 0, or -EINVAL when the bytes are no instruction.
 */
int mp_arch_decode(const uint8_t *code, size_t len, uint64_t addr, struct mp_insn *ret);

/*
 * Whether any direct jump in the `len` bytes of a function at `addr` goes to
 * `dest`: then a probe there would also fire inside the call.
 * Returns 1, 0, or a negative errno when the code cannot be disassembled to its end.
 */
int mp_arch_jumps_to(const uint8_t *code, size_t len, uint64_t addr, uint64_t dest);

/*
 * Where control leaves the `len` bytes of a function at `addr`, but by an exception: its returns,
 * its jumps to elsewhere (tail calls), and those to where a register or memory says, which may
 * stay inside. Puts the instructions' offsets, at most `max`, into `ret`. Returns how many;
 * -E2BIG when there are more, -EINVAL when the code cannot be disassembled to its end, -ENOTSUP
 * when the kernel does not probe one of the returns.
 */
int mp_arch_exits(const uint8_t *code, size_t len, uint64_t addr, uint64_t *ret, size_t max);

/*
 * Whether the code is a nop (on x86-64: of 1 or 5 bytes) with nothing behind it but the
 * return: then whatever the kernel makes of the nop, the function has nothing to lose.
 */
bool mp_arch_is_bare_nop(const uint8_t *code, size_t len);

/* Offset of a named register in the kernel's struct pt_regs, with its width in bytes; -ENOENT. */
int mp_arch_pt_regs_offset(const char *name, size_t len, unsigned int *ret_bytes);

/*
 * Offset in struct pt_regs of the register that holds integer argument `index`
 * (1-6) at a function's entry. 1-6 only; the caller has checked.
 */
uint16_t mp_arch_arg_register(unsigned int index);

/*
 * The operand of a USDT argument, as this processor's assembler writes it:
 * what stands behind the '@' in "-4@-20(%rbp)". Sets all but the width and the
 * sign. Returns 0, -EINVAL (not an operand) or -ENOTSUP (nothing that can be
 * read from a thread's general registers and memory).
 */
int mp_arch_usdt_operand(const char *text, size_t len, struct mp_usdt_arg *ret);

/* ELF e_machine of this processor. */
uint16_t mp_arch_elf_machine(void);

#endif
