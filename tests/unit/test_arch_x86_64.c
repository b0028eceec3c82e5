// SPDX-License-Identifier: GPL-2.0-only
/* The x86-64 file, on a machine of any processor: it is taken in under other names. */
#define mp_arch_elf_machine x86_elf_machine
#define mp_arch_decode x86_decode
#define mp_arch_jumps_to x86_jumps_to
#define mp_arch_exits x86_exits
#define mp_arch_pt_regs_offset x86_pt_regs_offset
#define mp_arch_usdt_operand x86_usdt_operand
#include "base/arch_x86_64.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CODE(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static enum mp_insn_class class_of(const uint8_t *code, size_t len, unsigned int insn_len)
{
	struct mp_insn insn;

	assert_int_equal(mp_arch_decode(code, len, 0x1000, &insn), 0);
	assert_int_equal(insn.len, insn_len);
	return insn.class;
}

static void test_class_names(void **state)
{
	(void)state;
	assert_string_equal(mp_insn_class_name(MP_INSN_NOP5), "nop5");
	assert_string_equal(mp_insn_class_name(MP_INSN_REFUSED), "refused");
	assert_string_equal(mp_insn_class_name((enum mp_insn_class)77), "?");
}

static void test_cheap(void **state)
{
	(void)state;
	assert_int_equal(class_of(CODE(0x0f, 0x1f, 0x44, 0x00, 0x00), 5), MP_INSN_NOP5);
	assert_int_equal(class_of(CODE(0x90, 0xc3), 1), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0x66, 0x90), 2), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0x55), 1), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0x41, 0x57), 2), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0xe8, 0, 0, 0, 0), 5), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0xe9, 0, 0, 0, 0), 5), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0xeb, 0x10), 2), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0x74, 0x10), 2), MP_INSN_EMULATED);
	assert_int_equal(class_of(CODE(0x0f, 0x84, 0, 1, 0, 0), 6), MP_INSN_EMULATED);
	/* bnd jmp, as in a PLT */
	assert_int_equal(class_of(CODE(0xf2, 0xe9, 0, 0, 0, 0), 6), MP_INSN_EMULATED);
}

static void test_single_stepped(void **state)
{
	(void)state;
	assert_int_equal(class_of(CODE(0x48, 0x89, 0xe5), 3), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0x48, 0x83, 0xec, 0x18), 4), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0xc3), 1), MP_INSN_SINGLE_STEPPED);
	/* push of an immediate, of memory, and of 16 bits are not emulated */
	assert_int_equal(class_of(CODE(0x6a, 0x00), 2), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0xff, 0x30), 2), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0x66, 0x55), 2), MP_INSN_SINGLE_STEPPED);
	/* xchg r8, rax has the opcode of nop */
	assert_int_equal(class_of(CODE(0x49, 0x90), 2), MP_INSN_SINGLE_STEPPED);
	/* other long nops; popcnt; mov %fs:0x28,%rax */
	assert_int_equal(class_of(CODE(0x0f, 0x1f, 0x40, 0x00), 4), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0xf3, 0x48, 0x0f, 0xb8, 0xc7), 5), MP_INSN_SINGLE_STEPPED);
	assert_int_equal(class_of(CODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0), 9),
			 MP_INSN_SINGLE_STEPPED);
	/* vzeroupper: VEX */
	assert_int_equal(class_of(CODE(0xc5, 0xf8, 0x77), 3), MP_INSN_SINGLE_STEPPED);
}

static void test_landing(void **state)
{
	(void)state;
	assert_int_equal(class_of(CODE(0xf3, 0x0f, 0x1e, 0xfa), 4), MP_INSN_LANDING);
}

static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(class_of(CODE(0xcc), 1), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0xcd, 0x80), 2), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0xf4), 1), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0xfa), 1), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0xec), 1), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0xe7, 0x10), 2), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0x0f, 0x05), 2), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0x0f, 0x0b), 2), MP_INSN_REFUSED);
	/* lock incl (%rax); cs nopw; a branch with 66 */
	assert_int_equal(class_of(CODE(0xf0, 0xff, 0x00), 3), MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0), 10),
			 MP_INSN_REFUSED);
	assert_int_equal(class_of(CODE(0x66, 0x74, 0x10), 3), MP_INSN_REFUSED);
}

static void test_decode_text_and_errors(void **state)
{
	struct mp_insn insn = {.len = 99};

	(void)state;
	assert_int_equal(mp_arch_decode(CODE(0x55), 0, &insn), 0);
	assert_string_equal(insn.text, "push rbp");
	assert_int_equal(mp_arch_decode(CODE(0xc3), 0, &insn), 0);
	assert_string_equal(insn.text, "ret");
	insn.len = 99;
	assert_int_equal(mp_arch_decode(CODE(0x06), 0, &insn), -EINVAL);
	assert_int_equal(mp_arch_decode(CODE(0xe9, 0x00), 0, &insn), -EINVAL);
	assert_int_equal(mp_arch_decode((const uint8_t *)"", 0, 0, &insn), -EINVAL);
	assert_int_equal(insn.len, 99);
}

static bool is_bare(const char *code, size_t len)
{
	return mp_arch_is_bare_nop((const uint8_t *)code, len);
}

static void test_bare_nop(void **state)
{
	(void)state;
	assert_true(is_bare("\x0f\x1f\x44\x00\x00\xc3", 6));
	assert_true(is_bare("\x90\xc3\xcc", 3));
	/* Cut, another nop, something behind it. */
	assert_false(is_bare("\x0f\x1f\x44\x00\x00\xc3", 5));
	assert_false(is_bare("\x90\xc3", 1));
	assert_false(is_bare("", 0));
	assert_false(is_bare("\x0f\x1f\x44\x00\x08\xc3", 6));
	assert_false(is_bare("\x0f\x1f\x44\x00\x00\x90\xc3", 7));
	assert_false(is_bare("\x90\x90\xc3", 3));
	assert_false(is_bare("\xc3\xc3", 2));
}

static void test_jumps_to(void **state)
{
	/* 0: endbr64; 4: push; 5: jne 4; 7: ret */
	static const uint8_t loop[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x75, 0xfd, 0xc3};
	/* 0: nop; 1: jmp 1 (32 bits); */
	static const uint8_t jmp32[] = {0x90, 0xe9, 0xfb, 0xff, 0xff, 0xff};
	/* 0: nop; 1: jb 0 (32 bits) */
	static const uint8_t jcc32[] = {0x90, 0x0f, 0x82, 0xf9, 0xff, 0xff, 0xff};
	/* 0: nop; 1: loop 0 */
	static const uint8_t loop8[] = {0x90, 0xe2, 0xfd};
	/* 0: nop; 1: call 0: that is a call, and is to be counted as one */
	static const uint8_t call[] = {0x90, 0xe8, 0xfa, 0xff, 0xff, 0xff};
	static const uint8_t cut[] = {0x90, 0xe9, 0x00};

	(void)state;
	assert_int_equal(mp_arch_jumps_to(loop, sizeof(loop), 0x400, 0x404), 1);
	assert_int_equal(mp_arch_jumps_to(loop, sizeof(loop), 0x400, 0x405), 0);
	assert_int_equal(mp_arch_jumps_to(jmp32, sizeof(jmp32), 0, 1), 1);
	assert_int_equal(mp_arch_jumps_to(jmp32, sizeof(jmp32), 0, 0), 0);
	assert_int_equal(mp_arch_jumps_to(jcc32, sizeof(jcc32), 0, 0), 1);
	assert_int_equal(mp_arch_jumps_to(loop8, sizeof(loop8), 0, 0), 1);
	assert_int_equal(mp_arch_jumps_to(call, sizeof(call), 0, 0), 0);
	assert_int_equal(mp_arch_jumps_to(cut, sizeof(cut), 0, 0), -EINVAL);
	/* at the top of the address space nothing overflows */
	assert_int_equal(mp_arch_jumps_to(loop, sizeof(loop), UINT64_MAX - 3, 0), 1);
}

static int exits(const uint8_t *code, size_t len, uint64_t ret[4])
{
	return mp_arch_exits(code, len, 0x1000, ret, 4);
}

static void test_exits(void **state)
{
	uint64_t at[4] = {0};

	(void)state;
	/* 0: test; 3: jne 6; 5: ret; 6: repz ret */
	assert_int_equal(exits(CODE(0x48, 0x85, 0xff, 0x75, 0x01, 0xc3, 0xf3, 0xc3), at), 2);
	assert_int_equal(at[0], 5);
	assert_int_equal(at[1], 6);
	/* 0: ret 8; 3: bnd ret */
	assert_int_equal(exits(CODE(0xc2, 0x08, 0x00, 0xf2, 0xc3), at), 2);
	assert_int_equal(at[1], 3);
	/* 0: jmp 0; 2: jmp 7, just behind the end */
	assert_int_equal(exits(CODE(0xeb, 0xfe, 0xe9, 0x00, 0x00, 0x00, 0x00), at), 1);
	assert_int_equal(at[0], 2);
	/* 0: jmp -1, just before the beginning */
	assert_int_equal(exits(CODE(0xeb, 0xfd), at), 1);
	/* 0: jmp *%rax; 2: jmp *8(%rip); 8: call *%rax; 10: notrack jmp *%rax */
	assert_int_equal(exits(CODE(0xff, 0xe0, 0xff, 0x25, 0x08, 0x00, 0x00, 0x00, 0xff, 0xd0,
				    0x3e, 0xff, 0xe0),
			       at),
			 2);
	assert_int_equal(at[1], 2);
	/* A branch that may go elsewhere, and a call, are none. */
	assert_int_equal(exits(CODE(0x75, 0x70, 0xe8, 0x00, 0x00, 0x00, 0x00), at), 0);
	assert_int_equal(exits(CODE(0xc3, 0xc3, 0xc3, 0xc3), at), 4);
	assert_int_equal(exits(CODE(0xc3, 0xc3, 0xc3, 0xc3, 0xc3), at), -E2BIG);
	assert_int_equal(exits(CODE(0xc3, 0xe9, 0x00), at), -EINVAL);
	/* 0: jmp 3; 2: a byte of data, which takes the ret behind it for its own; 4: ret */
	assert_int_equal(exits(CODE(0xeb, 0x01, 0x04, 0xc3, 0xc3), at), -EINVAL);
	/* 0: jmp 4, over two bytes that are an instruction, too */
	assert_int_equal(exits(CODE(0xeb, 0x02, 0x04, 0xc3, 0xc3), at), 1);
	assert_int_equal(at[0], 4);
}

static int reg(const char *name, unsigned int *ret_bytes)
{
	return mp_arch_pt_regs_offset(name, strlen(name), ret_bytes);
}

static void test_pt_regs(void **state)
{
	unsigned int bytes = 0;

	(void)state;
	assert_int_equal(reg("r15", &bytes), 0);
	assert_int_equal(bytes, 8);
	assert_int_equal(reg("rbp", &bytes), 32);
	assert_int_equal(reg("r8b", &bytes), 72);
	assert_int_equal(bytes, 1);
	assert_int_equal(reg("eax", &bytes), 80);
	assert_int_equal(bytes, 4);
	assert_int_equal(reg("al", &bytes), 80);
	assert_int_equal(bytes, 1);
	assert_int_equal(reg("rcx", &bytes), 88);
	assert_int_equal(reg("dx", &bytes), 96);
	assert_int_equal(bytes, 2);
	assert_int_equal(reg("rsi", &bytes), 104);
	assert_int_equal(reg("rdi", &bytes), 112);
	assert_int_equal(reg("rip", &bytes), 128);
	assert_int_equal(reg("rsp", &bytes), 152);
	assert_int_equal(reg("ah", &bytes), -ENOENT);
	assert_int_equal(reg("xmm0", &bytes), -ENOENT);
	assert_int_equal(reg("ra", &bytes), -ENOENT);
	assert_int_equal(reg("", &bytes), -ENOENT);
}

static struct mp_usdt_arg operand(const char *text)
{
	struct mp_usdt_arg arg = {0};

	assert_int_equal(mp_arch_usdt_operand(text, strlen(text), &arg), 0);
	return arg;
}

static int operand_error(const char *text)
{
	struct mp_usdt_arg arg;

	return mp_arch_usdt_operand(text, strlen(text), &arg);
}

static void test_operands(void **state)
{
	struct mp_usdt_arg arg;

	(void)state;
	arg = operand("$-5");
	assert_int_equal(arg.kind, MP_USDT_CONST);
	assert_int_equal(arg.value, -5);
	assert_int_equal(operand("$18446744073709551615").value, -1);
	assert_int_equal(operand("$0x10").value, 16);
	arg = operand("%eax");
	assert_int_equal(arg.kind, MP_USDT_REG);
	assert_int_equal(arg.reg, 80);
	arg = operand("-16(%rbp)");
	assert_int_equal(arg.kind, MP_USDT_DEREF);
	assert_int_equal(arg.reg, 32);
	assert_int_equal(arg.value, -16);
	arg = operand("(%rax)");
	assert_int_equal(arg.kind, MP_USDT_DEREF);
	assert_int_equal(arg.value, 0);
	arg = operand("8(%rax,%rbx,4)");
	assert_int_equal(arg.kind, MP_USDT_SIB);
	assert_int_equal(arg.reg, 80);
	assert_int_equal(arg.index_reg, 40);
	assert_int_equal(arg.scale, 4);
	assert_int_equal(arg.value, 8);
	assert_int_equal(operand("(%rax,%rbx)").scale, 1);
}

/* index * 8 is index + index * 7: a base of zero is not needed. */
static void test_index_without_base(void **state)
{
	struct mp_usdt_arg arg = operand("16(,%rax,8)");

	(void)state;
	assert_int_equal(arg.kind, MP_USDT_SIB);
	assert_int_equal(arg.reg, 80);
	assert_int_equal(arg.index_reg, 80);
	assert_int_equal(arg.scale, 7);
	assert_int_equal(arg.value, 16);
}

static void test_bad_operands(void **state)
{
	(void)state;
	assert_int_equal(operand_error("sym(%rip)"), -ENOTSUP);
	assert_int_equal(operand_error("8(%rip)"), -ENOTSUP);
	assert_int_equal(operand_error("sym+4(%rip)"), -ENOTSUP);
	assert_int_equal(operand_error("counter"), -ENOTSUP);
	assert_int_equal(operand_error("$counter"), -ENOTSUP);
	assert_int_equal(operand_error("%xmm0"), -ENOTSUP);
	assert_int_equal(operand_error("%ah"), -ENOTSUP);
	assert_int_equal(operand_error("%fs:8(%rax)"), -ENOTSUP);
	assert_int_equal(operand_error("8(%eax)"), -ENOTSUP);
	assert_int_equal(operand_error(""), -EINVAL);
	assert_int_equal(operand_error("%"), -EINVAL);
	assert_int_equal(operand_error("("), -EINVAL);
	assert_int_equal(operand_error("()"), -EINVAL);
	assert_int_equal(operand_error("8(%rax"), -EINVAL);
	assert_int_equal(operand_error("8(%rax,%rbx,3)"), -EINVAL);
	assert_int_equal(operand_error("8(%rax,)"), -EINVAL);
	assert_int_equal(operand_error("8(rax)"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class_names),
		cmocka_unit_test(test_cheap),
		cmocka_unit_test(test_single_stepped),
		cmocka_unit_test(test_landing),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_decode_text_and_errors),
		cmocka_unit_test(test_bare_nop),
		cmocka_unit_test(test_jumps_to),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_pt_regs),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_index_without_base),
		cmocka_unit_test(test_bad_operands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
