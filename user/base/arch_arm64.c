// SPDX-License-Identifier: GPL-2.0-only
/*
 * arm64: what arch/arm64/kernel/probes/decode-insn.c does with an instruction,
 * and the kernel's struct pt_regs.
 */
#include "base/arch_internal.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INSN_LEN 4
#define REG_LR 30
#define REG_SP 31
#define REG_PC 32

/* Capstone 6 names the architecture as LLVM does. */
#if CS_API_MAJOR >= 6
#define CS_ARM64 CS_ARCH_AARCH64
#else
#define CS_ARM64 CS_ARCH_ARM64
#endif

uint16_t mp_arch_elf_machine(void)
{
	return EM_AARCH64;
}

struct encoding {
	uint32_t mask;
	uint32_t value;
	enum mp_insn_class class;
};

/*
 * The first that fits. Literal loads are refused since the kernel dropped its
 * broken simulation of them (acc450aa0709), exclusive loads and stores never
 * succeed when stepped, and what changes system state is not stepped at all.
 */
static const struct encoding encodings[] = {
	{0xffffffff, 0xd503201f, MP_INSN_EMULATED},	  /* nop */
	{0xffffff3f, 0xd503241f, MP_INSN_LANDING},	  /* bti, bti c, bti j, bti jc */
	{0xffffffff, 0xd50320ff, MP_INSN_SINGLE_STEPPED}, /* xpaclri */
	{0xffffff3f, 0xd503211f, MP_INSN_SINGLE_STEPPED}, /* paci*1716, auti*1716 */
	{0xffffff1f, 0xd503231f, MP_INSN_SINGLE_STEPPED}, /* paci*sp, auti*sp … */
	{0xfffff01f, 0xd503201f, MP_INSN_REFUSED},	  /* other hints: yield, wfe … */
	{0x7c000000, 0x14000000, MP_INSN_EMULATED},	  /* b, bl */
	{0xff000010, 0x54000000, MP_INSN_EMULATED},	  /* b.cond */
	{0x7e000000, 0x34000000, MP_INSN_EMULATED},	  /* cbz, cbnz */
	{0x7e000000, 0x36000000, MP_INSN_EMULATED},	  /* tbz, tbnz */
	{0x1f000000, 0x10000000, MP_INSN_EMULATED},	  /* adr, adrp */
	{0xff9ffc1f, 0xd61f0000, MP_INSN_EMULATED},	  /* br, blr, ret */
	{0xfe000000, 0xd6000000, MP_INSN_REFUSED},	  /* eret, authenticated branches */
	{0x3b000000, 0x18000000, MP_INSN_REFUSED},	  /* ldr, ldrsw, prfm of a literal */
	{0x3f000000, 0x08000000, MP_INSN_REFUSED},	  /* exclusive and ordered accesses */
	{0xff000000, 0xd4000000, MP_INSN_REFUSED},	  /* svc, brk, hlt … */
	{0xfff00000, 0xd5100000, MP_INSN_REFUSED},	  /* msr */
	{0xfff8f01f, 0xd500401f, MP_INSN_REFUSED},	  /* msr of a field */
};

static uint32_t read_insn(const uint8_t *code)
{
	return (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
	       (uint32_t)code[3] << 24;
}

static enum mp_insn_class classify(uint32_t insn)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(encodings); i++) {
		if ((insn & encodings[i].mask) == encodings[i].value)
			return encodings[i].class;
	}
	return MP_INSN_SINGLE_STEPPED;
}

int mp_arch_decode(const uint8_t *code, size_t len, uint64_t addr, struct mp_insn *ret)
{
	struct mp_insn insn;
	int err;

	if (len < INSN_LEN)
		return -EINVAL;
	err = mp_disassemble(CS_ARM64, CS_MODE_ARM, code, INSN_LEN, addr, &insn);
	if (err)
		return err;
	insn.class = classify(read_insn(code));
	*ret = insn;
	return 0;
}

/* The `bits` wide signed word offset at bit `shift`, in bytes. */
static uint64_t branch_offset(uint32_t insn, unsigned int shift, unsigned int bits)
{
	int32_t words = (int32_t)(insn << (32 - shift - bits)) >> (32 - bits);

	return (uint64_t)((int64_t)words * INSN_LEN);
}

static bool is_jump_to(uint32_t insn, uint64_t addr, uint64_t dest)
{
	if ((insn & 0xfc000000) == 0x14000000) /* b */
		return addr + branch_offset(insn, 0, 26) == dest;
	if ((insn & 0xff000010) == 0x54000000 || (insn & 0x7e000000) == 0x34000000)
		return addr + branch_offset(insn, 5, 19) == dest;
	if ((insn & 0x7e000000) == 0x36000000) /* tbz, tbnz */
		return addr + branch_offset(insn, 5, 14) == dest;
	return false;
}

int mp_arch_jumps_to(const uint8_t *code, size_t len, uint64_t addr, uint64_t dest)
{
	if (len % INSN_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i += INSN_LEN) {
		if (is_jump_to(read_insn(code + i), addr + i, dest))
			return 1;
	}
	return 0;
}

static bool is_exit(uint32_t insn, uint64_t addr, uint64_t begin, uint64_t end)
{
	uint64_t dest;

	if ((insn & 0xff9ffc1f) == 0xd61f0000) /* br, ret; blr is a call */
		return (insn & 0x00600000) != 0x00200000;
	if ((insn & 0xfc000000) != 0x14000000) /* b */
		return false;
	dest = addr + branch_offset(insn, 0, 26);
	return dest < begin || dest >= end;
}

/* retaa and retab, which the kernel does not step. */
static bool is_authenticated_return(uint32_t insn)
{
	return (insn & 0xfffffbff) == 0xd65f0bff;
}

int mp_arch_exits(const uint8_t *code, size_t len, uint64_t addr, uint64_t *ret, size_t max)
{
	size_t n = 0;

	if (len % INSN_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i += INSN_LEN) {
		uint32_t insn = read_insn(code + i);

		if (is_authenticated_return(insn))
			return -ENOTSUP;
		if (!is_exit(insn, addr + i, addr, addr + len))
			continue;
		if (n == max)
			return -E2BIG;
		ret[n++] = i;
	}
	return (int)n;
}

static bool is_name(const char *name, size_t len, const char *known)
{
	return strlen(known) == len && memcmp(known, name, len) == 0;
}

/* x0 to x30 and w0 to w30; -ENOENT. */
static int numbered_register(const char *name, size_t len)
{
	int number = 0;

	if (len < 2 || len > 3 || (name[0] != 'x' && name[0] != 'w') ||
	    (len == 3 && name[1] == '0'))
		return -ENOENT;
	for (size_t i = 1; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		number = number * 10 + (name[i] - '0');
	}
	return number <= REG_LR ? number : -ENOENT;
}

int mp_arch_pt_regs_offset(const char *name, size_t len, unsigned int *ret_bytes)
{
	static const struct {
		const char *name;
		int number;
	} named[] = {{"fp", 29}, {"lr", REG_LR}, {"sp", REG_SP}, {"wsp", REG_SP}, {"pc", REG_PC}};
	int number = numbered_register(name, len);

	for (size_t i = 0; i < MP_ARRAY_SIZE(named) && number < 0; i++) {
		if (is_name(name, len, named[i].name))
			number = named[i].number;
	}
	if (number < 0)
		return number;
	*ret_bytes = name[0] == 'w' ? 4 : 8;
	return number * (int)sizeof(uint64_t);
}

static int parse_register(const char *text, size_t len, bool is_address, uint16_t *ret)
{
	unsigned int bytes;
	int offset = mp_arch_pt_regs_offset(text, len, &bytes);

	if (offset < 0 || (is_address && bytes != sizeof(uint64_t)))
		return -ENOTSUP;
	*ret = (uint16_t)offset;
	return 0;
}

static void skip_spaces(const char **text, size_t *len)
{
	while (*len && **text == ' ') {
		(*text)++;
		(*len)--;
	}
}

/* Cuts off what stands before the next comma, without the spaces around it. */
static size_t next_field(const char **text, size_t *len, const char **ret_field)
{
	const char *comma;
	size_t field_len;

	skip_spaces(text, len);
	comma = memchr(*text, ',', *len);
	field_len = comma ? (size_t)(comma - *text) : *len;
	*ret_field = *text;
	*text += field_len + (comma != NULL);
	*len -= field_len + (comma != NULL);
	while (field_len && (*ret_field)[field_len - 1] == ' ')
		field_len--;
	return field_len;
}

static int parse_number(const char *text, size_t len, long long *ret)
{
	if (len && text[0] == '#') {
		text++;
		len--;
	}
	return mp_operand_number(text, len, ret);
}

/* "lsl 3" or "lsl #3"; an index that is extended is not supported. */
static int parse_shift(const char *text, size_t len, uint8_t *ret_scale)
{
	long long shift;

	if (len < 4 || memcmp(text, "lsl", 3) != 0)
		return -ENOTSUP;
	text += 3;
	len -= 3;
	skip_spaces(&text, &len);
	if (parse_number(text, len, &shift) || shift < 0 || shift > 4)
		return -EINVAL;
	*ret_scale = (uint8_t)(1U << shift);
	return 0;
}

/* What is between the brackets: "sp", "sp, 16", "x0, x1", "x0, x1, lsl 3". */
static int parse_address(const char *text, size_t len, struct mp_usdt_arg *arg)
{
	const char *field;
	size_t field_len = next_field(&text, &len, &field);
	int err = parse_register(field, field_len, true, &arg->reg);

	arg->kind = MP_USDT_DEREF;
	if (err || len == 0)
		return err;
	field_len = next_field(&text, &len, &field);
	if (len == 0 && parse_number(field, field_len, &arg->value) == 0)
		return 0;
	err = parse_register(field, field_len, true, &arg->index_reg);
	if (err)
		return err;
	arg->kind = MP_USDT_SIB;
	arg->scale = 1;
	if (len == 0)
		return 0;
	field_len = next_field(&text, &len, &field);
	return len ? -EINVAL : parse_shift(field, field_len, &arg->scale);
}

int mp_arch_usdt_operand(const char *text, size_t len, struct mp_usdt_arg *ret)
{
	struct mp_usdt_arg arg = {0};
	int err = 0;

	if (len == 0)
		return -EINVAL;
	if (text[0] == '[') {
		err = text[len - 1] == ']' ? parse_address(text + 1, len - 2, &arg) : -EINVAL;
	} else if (parse_number(text, len, &arg.value) == 0 || is_name(text, len, "xzr") ||
		   is_name(text, len, "wzr")) {
		arg.kind = MP_USDT_CONST;
	} else {
		arg.kind = MP_USDT_REG;
		err = parse_register(text, len, false, &arg.reg);
	}
	if (!err)
		*ret = arg;
	return err;
}

bool mp_arch_is_bare_nop(const uint8_t *code, size_t len)
{
	static const uint8_t nop[] = {0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6};

	return len >= sizeof(nop) && memcmp(code, nop, sizeof(nop)) == 0;
}

uint16_t mp_arch_arg_register(unsigned int index)
{
	return (uint16_t)((index - 1) * sizeof(uint64_t));
}
