// SPDX-License-Identifier: GPL-2.0-only
/*
 * x86-64: what arch/x86/kernel/uprobes.c does with an instruction, and the
 * kernel's struct pt_regs.
 */
#include "base/arch_internal.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

uint16_t mp_arch_elf_machine(void)
{
	return EM_X86_64;
}

/* An instruction without its prefixes. */
struct opcode {
	const uint8_t *bytes;
	size_t len;
	uint8_t rex;	   /* 0: none */
	bool has_prefix;   /* any but REX */
	bool has_opsize;   /* 66 */
	bool is_forbidden; /* es, cs, ss, ds, lock: the kernel probes none of these */
};

static bool is_legacy_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					   0x66, 0x67, 0xf0, 0xf2, 0xf3};

	return memchr(prefixes, byte, sizeof(prefixes)) != NULL;
}

static bool is_forbidden_prefix(uint8_t byte)
{
	return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0xf0;
}

/* `len` is the instruction's, so there is at least one byte behind the prefixes. */
static struct opcode strip_prefixes(const uint8_t *code, size_t len)
{
	struct opcode op = {.bytes = code, .len = len};

	while (op.len > 1 && is_legacy_prefix(*op.bytes)) {
		op.has_prefix = true;
		op.has_opsize |= *op.bytes == 0x66;
		op.is_forbidden |= is_forbidden_prefix(*op.bytes);
		op.bytes++;
		op.len--;
	}
	if (op.len > 1 && (*op.bytes & 0xf0) == 0x40) {
		op.rex = *op.bytes++;
		op.len--;
	}
	return op;
}

static bool is_jcc(const struct opcode *op)
{
	return (op->bytes[0] & 0xf0) == 0x70 ||
	       (op->bytes[0] == 0x0f && op->len > 1 && (op->bytes[1] & 0xf0) == 0x80);
}

static bool is_jmp(const struct opcode *op)
{
	return op->bytes[0] == 0xeb || op->bytes[0] == 0xe9;
}

static bool is_loop(const struct opcode *op)
{
	return op->bytes[0] >= 0xe0 && op->bytes[0] <= 0xe3;
}

static bool is_call(const struct opcode *op)
{
	return op->bytes[0] == 0xe8;
}

static bool is_push(const struct opcode *op)
{
	return op->len == 1 && (op->bytes[0] & 0xf8) == 0x50 && !op->has_prefix &&
	       (op->rex == 0 || op->rex == 0x41);
}

/* 90 with REX.B is xchg %r8. */
static bool is_nop(const struct opcode *op)
{
	return op->len == 1 && op->bytes[0] == 0x90 && !(op->rex & 1);
}

/* System instructions behind 0f: descriptor tables, syscall, sysret, ud2, wrmsr, VMX, fences. */
static bool is_refused_0f(uint8_t second)
{
	static const uint8_t refused[] = {0x00, 0x01, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b,
					  0x30, 0x34, 0x35, 0x37, 0x78, 0x79, 0xae};

	return memchr(refused, second, sizeof(refused)) != NULL;
}

/*
 * The valid 64-bit instructions that are missing from good_insns_64 and
 * good_2byte_insns: port I/O, traps, hlt, cli, sti, EVEX (62) and the system
 * instructions.
 */
static bool is_refused(const struct opcode *op)
{
	static const uint8_t refused[] = {0x62, 0x6c, 0x6d, 0x6e, 0x6f, 0xcc, 0xcd,
					  0xce, 0xcf, 0xe4, 0xe5, 0xe6, 0xe7, 0xec,
					  0xed, 0xee, 0xef, 0xf1, 0xf4, 0xfa, 0xfb};

	if (op->is_forbidden)
		return true;
	if (op->bytes[0] == 0x0f)
		return op->len > 1 && is_refused_0f(op->bytes[1]);
	return memchr(refused, op->bytes[0], sizeof(refused)) != NULL;
}

static enum mp_insn_class classify(const uint8_t *code, size_t len)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	struct opcode op = strip_prefixes(code, len);

	if (len == sizeof(endbr64) && memcmp(code, endbr64, len) == 0)
		return MP_INSN_LANDING;
	if (len == sizeof(nop5) && memcmp(code, nop5, len) == 0)
		return MP_INSN_NOP5;
	if (is_refused(&op))
		return MP_INSN_REFUSED;
	/* Intel and AMD disagree about a branch with 66, so the kernel takes none. */
	if (is_jmp(&op) || is_jcc(&op) || is_call(&op))
		return op.has_opsize ? MP_INSN_REFUSED : MP_INSN_EMULATED;
	return is_push(&op) || is_nop(&op) ? MP_INSN_EMULATED : MP_INSN_SINGLE_STEPPED;
}

int mp_arch_decode(const uint8_t *code, size_t len, uint64_t addr, struct mp_insn *ret)
{
	struct mp_insn insn;
	int err = mp_disassemble(CS_ARCH_X86, CS_MODE_64, code, len, addr, &insn);

	if (err)
		return err;
	insn.class = classify(code, insn.len);
	*ret = insn;
	return 0;
}

/* Where a jump that is no other than by a distance goes; 0 for one whose distance is of 16 bits. */
static uint64_t jump_dest(const cs_insn *insn, const struct opcode *op)
{
	uint64_t next = insn->address + insn->size;
	int32_t rel;

	if (op->len == 2)
		return next + (uint64_t)(int64_t)(int8_t)op->bytes[1];
	if (op->len < 1 + sizeof(rel))
		return 0;
	memcpy(&rel, op->bytes + op->len - sizeof(rel), sizeof(rel));
	return next + (uint64_t)(int64_t)rel;
}

static bool is_jump_to(const cs_insn *insn, uint64_t dest)
{
	struct opcode op = strip_prefixes(insn->bytes, insn->size);

	return (is_jmp(&op) || is_jcc(&op) || is_loop(&op)) && jump_dest(insn, &op) == dest;
}

int mp_arch_jumps_to(const uint8_t *code, size_t len, uint64_t addr, uint64_t dest)
{
	MP_CSH csh handle = 0;
	MP_CS_INSN cs_insn *insn = NULL;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
		return -ENOMEM;
	insn = cs_malloc(handle);
	if (!insn)
		return -ENOMEM;
	while (len) {
		if (!cs_disasm_iter(handle, &code, &len, &addr, insn))
			return -EINVAL;
		if (is_jump_to(insn, dest))
			return 1;
	}
	return 0;
}

static bool is_ret(const struct opcode *op)
{
	return op->bytes[0] == 0xc3 || op->bytes[0] == 0xc2;
}

/* jmp *reg, jmp *mem */
static bool is_indirect_jmp(const struct opcode *op)
{
	return op->bytes[0] == 0xff && op->len > 1 && (op->bytes[1] >> 3 & 7) == 4;
}

/* A function's code, as it is gone through from its beginning. */
struct sweep {
	uint64_t begin;
	uint64_t end;
	uint8_t *marks; /* of each byte */
};
#define MARK_INSN 1	 /* an instruction begins there */
#define MARK_JUMPED_TO 2 /* a jump inside goes there */

static bool is_inside(const struct sweep *s, uint64_t addr)
{
	return addr >= s->begin && addr < s->end;
}

static bool is_exit(const struct sweep *s, const cs_insn *insn)
{
	struct opcode op = strip_prefixes(insn->bytes, insn->size);

	/* The kernel probes no jump with a notrack prefix: those are a switch's. */
	if (is_ret(&op) || is_indirect_jmp(&op))
		return !op.is_forbidden;
	return is_jmp(&op) && !op.has_opsize && !is_inside(s, jump_dest(insn, &op));
}

static void mark(const struct sweep *s, const cs_insn *insn)
{
	struct opcode op = strip_prefixes(insn->bytes, insn->size);
	uint64_t dest;

	s->marks[insn->address - s->begin] |= MARK_INSN;
	if (!is_jmp(&op) && !is_jcc(&op) && !is_loop(&op))
		return;
	dest = jump_dest(insn, &op);
	if (is_inside(s, dest))
		s->marks[dest - s->begin] |= MARK_JUMPED_TO;
}

/*
 * Data between the instructions may be taken for some, which end in the middle of a real one. A
 * probe there would change it. Then a jump goes to where none was seen to begin.
 */
static bool is_in_step(const struct sweep *s)
{
	for (uint64_t i = 0; i < s->end - s->begin; i++) {
		if (s->marks[i] == MARK_JUMPED_TO)
			return false;
	}
	return true;
}

static int find_exits(const struct sweep *s, const uint8_t *code, uint64_t *ret, size_t max)
{
	size_t len = s->end - s->begin;
	uint64_t addr = s->begin;
	MP_CSH csh handle = 0;
	MP_CS_INSN cs_insn *insn = NULL;
	size_t n = 0;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
		return -ENOMEM;
	insn = cs_malloc(handle);
	if (!insn)
		return -ENOMEM;
	while (len) {
		if (!cs_disasm_iter(handle, &code, &len, &addr, insn))
			return -EINVAL;
		mark(s, insn);
		if (!is_exit(s, insn))
			continue;
		if (n == max)
			return -E2BIG;
		ret[n++] = insn->address - s->begin;
	}
	return is_in_step(s) ? (int)n : -EINVAL;
}

int mp_arch_exits(const uint8_t *code, size_t len, uint64_t addr, uint64_t *ret, size_t max)
{
	MP_FREE uint8_t *marks = calloc(len + 1, 1);
	const struct sweep sweep = {addr, addr + len, marks};

	return marks ? find_exits(&sweep, code, ret, max) : -ENOMEM;
}

/* In the order of the kernel's struct pt_regs; names by width: 8, 4, 2, 1 bytes. */
static const char *const pt_regs[][4] = {
	{"r15", "r15d", "r15w", "r15b"},
	{"r14", "r14d", "r14w", "r14b"},
	{"r13", "r13d", "r13w", "r13b"},
	{"r12", "r12d", "r12w", "r12b"},
	{"rbp", "ebp", "bp", "bpl"},
	{"rbx", "ebx", "bx", "bl"},
	{"r11", "r11d", "r11w", "r11b"},
	{"r10", "r10d", "r10w", "r10b"},
	{"r9", "r9d", "r9w", "r9b"},
	{"r8", "r8d", "r8w", "r8b"},
	{"rax", "eax", "ax", "al"},
	{"rcx", "ecx", "cx", "cl"},
	{"rdx", "edx", "dx", "dl"},
	{"rsi", "esi", "si", "sil"},
	{"rdi", "edi", "di", "dil"},
	{NULL}, /* orig_ax: not a register of the program */
	{"rip", "eip", "ip", NULL},
	{NULL}, /* cs */
	{NULL}, /* flags */
	{"rsp", "esp", "sp", "spl"},
};

int mp_arch_pt_regs_offset(const char *name, size_t len, unsigned int *ret_bytes)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(pt_regs); i++) {
		for (unsigned int w = 0; w < 4; w++) {
			const char *known = pt_regs[i][w];

			if (!known || strlen(known) != len || memcmp(known, name, len) != 0)
				continue;
			*ret_bytes = 8U >> w;
			return (int)(i * sizeof(uint64_t));
		}
	}
	return -ENOENT;
}

/* "%rax". An address takes the full width only; -ENOTSUP for %xmm0, %fs, %ah … */
static int parse_register(const char *text, size_t len, bool is_address, uint16_t *ret)
{
	unsigned int bytes;
	int offset;

	if (len < 2 || text[0] != '%')
		return -EINVAL;
	offset = mp_arch_pt_regs_offset(text + 1, len - 1, &bytes);
	if (offset < 0 || (is_address && bytes != sizeof(uint64_t)))
		return -ENOTSUP;
	*ret = (uint16_t)offset;
	return 0;
}

/* "index" or "index,scale". */
static int parse_index(const char *text, size_t len, struct mp_usdt_arg *arg)
{
	const char *comma = memchr(text, ',', len);
	size_t reg_len = comma ? (size_t)(comma - text) : len;
	long long scale = 1;
	int err = parse_register(text, reg_len, true, &arg->index_reg);

	if (err)
		return err;
	if (comma) {
		err = mp_operand_number(comma + 1, len - reg_len - 1, &scale);
		if (err)
			return err;
	}
	if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
		return -EINVAL;
	arg->scale = (uint8_t)scale;
	arg->kind = MP_USDT_SIB;
	return 0;
}

/*
 * What is between the parentheses: "base", "base,index,scale", ",index,scale".
 * An index without a base is its own base, scaled by one less.
 */
static int parse_address(const char *text, size_t len, struct mp_usdt_arg *arg)
{
	const char *comma = memchr(text, ',', len);
	size_t base_len = comma ? (size_t)(comma - text) : len;
	int err = 0;

	arg->kind = MP_USDT_DEREF;
	if (base_len)
		err = parse_register(text, base_len, true, &arg->reg);
	if (!err && comma)
		err = parse_index(comma + 1, len - base_len - 1, arg);
	if (err)
		return err;
	if (base_len)
		return 0;
	if (!comma)
		return -EINVAL;
	arg->reg = arg->index_reg;
	arg->scale--;
	return 0;
}

/* "-16(%rbp)", "8(%rax,%rbx,4)". What has no register, a symbol or a segment is not supported. */
static int parse_memory(const char *text, size_t len, struct mp_usdt_arg *arg)
{
	const char *open = memchr(text, '(', len);
	size_t disp_len = open ? (size_t)(open - text) : len;
	int err;

	if (!open)
		return -ENOTSUP;
	if (text[len - 1] != ')')
		return -EINVAL;
	if (disp_len && mp_operand_number(text, disp_len, &arg->value))
		return -ENOTSUP;
	err = parse_address(open + 1, len - disp_len - 2, arg);
	if (!err && arg->reg == mp_arch_pt_regs_offset("rip", 3, &(unsigned int){0}))
		return -ENOTSUP; /* relative to a place in the file, which the form does not give */
	return err;
}

int mp_arch_usdt_operand(const char *text, size_t len, struct mp_usdt_arg *ret)
{
	struct mp_usdt_arg arg = {0};
	int err;

	if (len == 0)
		return -EINVAL;
	if (text[0] == '$') {
		arg.kind = MP_USDT_CONST;
		err = mp_operand_number(text + 1, len - 1, &arg.value) ? -ENOTSUP : 0;
	} else if (text[0] == '%' && !memchr(text, ':', len)) {
		arg.kind = MP_USDT_REG;
		err = parse_register(text, len, false, &arg.reg);
	} else {
		err = parse_memory(text, len, &arg);
	}
	if (!err)
		*ret = arg;
	return err;
}

bool mp_arch_is_bare_nop(const uint8_t *code, size_t len)
{
	static const uint8_t nop[] = {0x90, 0xc3};
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3};

	return (len >= sizeof(nop) && memcmp(code, nop, sizeof(nop)) == 0) ||
	       (len >= sizeof(nop5) && memcmp(code, nop5, sizeof(nop5)) == 0);
}

uint16_t mp_arch_arg_register(unsigned int index)
{
	static const char *const names[] = {"rdi", "rsi", "rdx", "rcx", "r8", "r9"};
	const char *name = names[(index - 1) % MP_ARRAY_SIZE(names)];
	unsigned int bytes;

	return (uint16_t)mp_arch_pt_regs_offset(name, strlen(name), &bytes);
}
