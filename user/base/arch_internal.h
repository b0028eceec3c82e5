/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the processors share. */
#ifndef MP_BASE_ARCH_INTERNAL_H
#define MP_BASE_ARCH_INTERNAL_H

#include <capstone/capstone.h>

#include "base/arch.h"
#include "base/cleanup.h"

static inline void mp_cs_close_p(csh *handle)
{
	if (*handle)
		cs_close(handle);
}
#define MP_CSH MP_CLEANUP(mp_cs_close_p)

static inline void mp_cs_insn_free_p(cs_insn **insn)
{
	if (*insn)
		cs_free(*insn, 1);
}
#define MP_CS_INSN MP_CLEANUP(mp_cs_insn_free_p)

/* Length and text of the first instruction. Returns 0, -EINVAL or -ENOMEM. */
int mp_disassemble(cs_arch arch, cs_mode mode, const uint8_t *code, size_t len, uint64_t addr,
		   struct mp_insn *ret);

/*
 * A whole number as assemblers write it: decimal, octal or hex, signed, up to
 * the largest unsigned one (kept as its bits). Returns 0, -EINVAL or -ERANGE.
 */
int mp_operand_number(const char *text, size_t len, long long *ret);

#endif
