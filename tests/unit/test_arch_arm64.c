// SPDX-License-Identifier: GPL-2.0-only
/* The arm64 file, on a machine of any processor: it is taken in under other names. */
#define mp_arch_elf_machine arm64_elf_machine
#define mp_arch_decode arm64_decode
#define mp_arch_jumps_to arm64_jumps_to
#define mp_arch_exits arm64_exits
#define mp_arch_pt_regs_offset arm64_pt_regs_offset
#define mp_arch_usdt_operand arm64_usdt_operand
#include "base/arch_arm64.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void put(uint8_t out[4], uint32_t insn)
{
	for (unsigned int i = 0; i < 4; i++)
		out[i] = (uint8_t)(insn >> (8 * i));
}

static enum mp_insn_class class_of(uint32_t word)
{
	struct mp_insn insn;
	uint8_t code[4];

	put(code, word);
	assert_int_equal(mp_arch_decode(code, sizeof(code), 0x1000, &insn), 0);
	assert_int_equal(insn.len, 4);
	return insn.class;
}

static void test_classes(void **state)
{
	(void)state;
	assert_int_equal(class_of(0xd503201f), MP_INSN_EMULATED);	/* nop */
	assert_int_equal(class_of(0xd503245f), MP_INSN_LANDING);	/* bti c */
	assert_int_equal(class_of(0xd50324df), MP_INSN_LANDING);	/* bti jc */
	assert_int_equal(class_of(0xd503233f), MP_INSN_SINGLE_STEPPED); /* paciasp */
	assert_int_equal(class_of(0xd503203f), MP_INSN_REFUSED);	/* yield */
	assert_int_equal(class_of(0x14000002), MP_INSN_EMULATED);	/* b */
	assert_int_equal(class_of(0x94000002), MP_INSN_EMULATED);	/* bl */
	assert_int_equal(class_of(0x54000041), MP_INSN_EMULATED);	/* b.ne */
	assert_int_equal(class_of(0xb4000040), MP_INSN_EMULATED);	/* cbz x0 */
	assert_int_equal(class_of(0x37000040), MP_INSN_EMULATED);	/* tbnz w0, #0 */
	assert_int_equal(class_of(0x90000000), MP_INSN_EMULATED);	/* adrp */
	assert_int_equal(class_of(0xd65f03c0), MP_INSN_EMULATED);	/* ret */
	assert_int_equal(class_of(0x58000040), MP_INSN_REFUSED);	/* ldr x0, literal */
	assert_int_equal(class_of(0xc85f7c00), MP_INSN_REFUSED);	/* ldxr */
	assert_int_equal(class_of(0xd4000001), MP_INSN_REFUSED);	/* svc */
	assert_int_equal(class_of(0xd51bd040), MP_INSN_REFUSED);	/* msr tpidr_el0 */
	assert_int_equal(class_of(0xa9be7bfd), MP_INSN_SINGLE_STEPPED); /* stp x29, x30 */
	assert_int_equal(class_of(0xd10083ff), MP_INSN_SINGLE_STEPPED); /* sub sp, sp */
}

static void test_decode_errors(void **state)
{
	static const uint8_t undefined[4] = {0xff, 0xff, 0xff, 0xff};
	struct mp_insn insn;

	(void)state;
	assert_int_equal(mp_arch_decode(undefined, 3, 0, &insn), -EINVAL);
	assert_int_equal(mp_arch_decode(undefined, 4, 0, &insn), -EINVAL);
}

static int jumps(uint32_t word, uint64_t addr, uint64_t dest)
{
	uint8_t code[4];

	put(code, word);
	return mp_arch_jumps_to(code, sizeof(code), addr, dest);
}

static void test_jumps_to(void **state)
{
	uint8_t code[8];

	(void)state;
	assert_int_equal(jumps(0x17ffffff, 0x100, 0xfc), 1); /* b -4 */
	assert_int_equal(jumps(0x17ffffff, 0x100, 0x100), 0);
	assert_int_equal(jumps(0x54ffffe1, 0x100, 0xfc), 1);  /* b.ne -4 */
	assert_int_equal(jumps(0xb4000040, 0x100, 0x108), 1); /* cbz +8 */
	assert_int_equal(jumps(0x3707ffe0, 0x100, 0xfc), 1);  /* tbnz -4 */
	assert_int_equal(jumps(0x97ffffff, 0x100, 0xfc), 0);  /* bl is a call */
	put(code, 0xd503245f);
	put(code + 4, 0x14000000);
	assert_int_equal(mp_arch_jumps_to(code, 8, 0x100, 0x104), 1);
	assert_int_equal(mp_arch_jumps_to(code, 7, 0x100, 0x104), -EINVAL);
}

static void test_exits(void **state)
{
	static const uint32_t words[] = {
		0xd65f03c0, /* ret */
		0xd61f0200, /* br x16 */
		0xd63f0200, /* blr x16 is a call */
		0x14000000, /* b . */
		0x17fffffb, /* b to just before the beginning */
		0x14000003, /* b to just behind the end */
		0x54000060, /* b.eq may go elsewhere */
		0x97ffffff, /* bl */
	};
	uint8_t code[sizeof(words)];
	uint64_t at[4] = {0};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(words); i++)
		put(code + 4 * i, words[i]);
	assert_int_equal(mp_arch_exits(code, sizeof(code), 0x1000, at, 4), 4);
	assert_int_equal(at[0], 0);
	assert_int_equal(at[1], 4);
	assert_int_equal(at[2], 16);
	assert_int_equal(at[3], 20);
	assert_int_equal(mp_arch_exits(code, sizeof(code), 0x1000, at, 3), -E2BIG);
	assert_int_equal(mp_arch_exits(code, 6, 0x1000, at, 4), -EINVAL);
	put(code + 4, 0xd65f0bff); /* retaa */
	assert_int_equal(mp_arch_exits(code, sizeof(code), 0x1000, at, 4), -ENOTSUP);
}

static int reg(const char *name, unsigned int *ret_bytes)
{
	return mp_arch_pt_regs_offset(name, strlen(name), ret_bytes);
}

static void test_pt_regs(void **state)
{
	unsigned int bytes = 0;

	(void)state;
	assert_int_equal(reg("x0", &bytes), 0);
	assert_int_equal(bytes, 8);
	assert_int_equal(reg("w30", &bytes), 240);
	assert_int_equal(bytes, 4);
	assert_int_equal(reg("fp", &bytes), 232);
	assert_int_equal(reg("lr", &bytes), 240);
	assert_int_equal(reg("sp", &bytes), 248);
	assert_int_equal(reg("pc", &bytes), 256);
	assert_int_equal(reg("x31", &bytes), -ENOENT);
	assert_int_equal(reg("x01", &bytes), -ENOENT);
	assert_int_equal(reg("x", &bytes), -ENOENT);
	assert_int_equal(reg("d0", &bytes), -ENOENT);
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
	arg = operand("-5");
	assert_int_equal(arg.kind, MP_USDT_CONST);
	assert_int_equal(arg.value, -5);
	assert_int_equal(operand("xzr").kind, MP_USDT_CONST);
	arg = operand("w3");
	assert_int_equal(arg.kind, MP_USDT_REG);
	assert_int_equal(arg.reg, 24);
	arg = operand("[sp, 16]");
	assert_int_equal(arg.kind, MP_USDT_DEREF);
	assert_int_equal(arg.reg, 248);
	assert_int_equal(arg.value, 16);
	assert_int_equal(operand("[x1]").reg, 8);
	assert_int_equal(operand("[x1,#-8]").value, -8);
	arg = operand("[x1, x2, lsl 3]");
	assert_int_equal(arg.kind, MP_USDT_SIB);
	assert_int_equal(arg.index_reg, 16);
	assert_int_equal(arg.scale, 8);
	assert_int_equal(operand("[x1, x2]").scale, 1);
}

static void test_bad_operands(void **state)
{
	(void)state;
	assert_int_equal(operand_error("[x1, w2, sxtw 3]"), -ENOTSUP);
	assert_int_equal(operand_error("[x1, :lo12:sym]"), -ENOTSUP);
	assert_int_equal(operand_error("d0"), -ENOTSUP);
	assert_int_equal(operand_error("sym"), -ENOTSUP);
	assert_int_equal(operand_error(""), -EINVAL);
	assert_int_equal(operand_error("["), -EINVAL);
	assert_int_equal(operand_error("[x1"), -EINVAL);
	assert_int_equal(operand_error("[x1, x2, lsl 9]"), -EINVAL);
	assert_int_equal(operand_error("[x1, x2, lsl 3, 4]"), -EINVAL);
}

static void test_bare_nop(void **state)
{
	static const uint8_t bare[] = {0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6};
	static const uint8_t more[] = {0x1f, 0x20, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5};

	(void)state;
	assert_true(mp_arch_is_bare_nop(bare, sizeof(bare)));
	assert_false(mp_arch_is_bare_nop(bare, sizeof(bare) - 1));
	assert_false(mp_arch_is_bare_nop(more, sizeof(more)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),	     cmocka_unit_test(test_decode_errors),
		cmocka_unit_test(test_jumps_to),     cmocka_unit_test(test_exits),
		cmocka_unit_test(test_pt_regs),	     cmocka_unit_test(test_operands),
		cmocka_unit_test(test_bad_operands), cmocka_unit_test(test_bare_nop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
