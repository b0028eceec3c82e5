// SPDX-License-Identifier: GPL-2.0-only
#include "base/arch_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/names.h"

const char *mp_insn_class_name(enum mp_insn_class class)
{
	static const char *const names[] = {"nop5", "emulated", "single-stepped", "landing",
					    "refused"};

	_Static_assert(MP_ARRAY_SIZE(names) == MP_INSN_CLASS_COUNT, "a name for every class");
	return mp_name_of(names, MP_ARRAY_SIZE(names), class);
}

int mp_disassemble(cs_arch arch, cs_mode mode, const uint8_t *code, size_t len, uint64_t addr,
		   struct mp_insn *ret)
{
	MP_CSH csh handle = 0;
	MP_CS_INSN cs_insn *insn = NULL;

	if (cs_open(arch, mode, &handle) != CS_ERR_OK)
		return -ENOMEM;
	insn = cs_malloc(handle);
	if (!insn)
		return -ENOMEM;
	if (!cs_disasm_iter(handle, &code, &len, &addr, insn))
		return -EINVAL;
	ret->len = insn->size;
	snprintf(ret->text, sizeof(ret->text), "%.16s%s%.46s", insn->mnemonic,
		 insn->op_str[0] ? " " : "", insn->op_str);
	return 0;
}

int mp_operand_number(const char *text, size_t len, long long *ret)
{
	char buf[32];
	char *end;
	bool negative = len && text[0] == '-';

	if (len == 0 || len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (!isdigit((unsigned char)buf[negative]))
		return -EINVAL;
	errno = 0;
	*ret = negative ? strtoll(buf, &end, 0) : (long long)strtoull(buf, &end, 0);
	if (end != buf + len)
		return -EINVAL;
	return errno ? -ERANGE : 0;
}
