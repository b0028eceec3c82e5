// SPDX-License-Identifier: GPL-2.0-only
#include "elf/elf_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A .note.stapsdt section in the making. */
struct section {
	uint8_t bytes[1024];
	size_t len;
};

static void put(struct section *s, const void *data, size_t len)
{
	assert_true(s->len + len <= sizeof(s->bytes));
	memcpy(s->bytes + s->len, data, len);
	s->len += len;
}

static void put_u32(struct section *s, uint32_t value)
{
	put(s, &value, sizeof(value));
}

static void pad(struct section *s)
{
	while (s->len % 4)
		s->bytes[s->len++] = 0;
}

static void put_note(struct section *s, const char *owner, uint32_t type, const void *desc,
		     size_t len)
{
	put_u32(s, (uint32_t)strlen(owner) + 1);
	put_u32(s, (uint32_t)len);
	put_u32(s, type);
	put(s, owner, strlen(owner) + 1);
	pad(s);
	put(s, desc, len);
	pad(s);
}

/* `strings` holds the three with their NULs, and one more that the literal adds. */
static void put_probe(struct section *s, uint64_t addr, const char *strings, size_t size)
{
	struct section desc = {.len = 0};
	uint64_t base = 0x2000;
	uint64_t semaphore = 0x4000;

	put(&desc, &addr, sizeof(addr));
	put(&desc, &base, sizeof(base));
	put(&desc, &semaphore, sizeof(semaphore));
	put(&desc, strings, size);
	put_note(s, "stapsdt", 3, desc.bytes, desc.len);
}
#define PUT_PROBE(s, addr, strings) put_probe(s, addr, strings, sizeof(strings))

struct seen {
	unsigned int n;
	char text[256];
	int ret;
};

static int see(void *data, const struct mp_usdt_note *note)
{
	struct seen *seen = data;
	size_t used = strlen(seen->text);

	seen->n++;
	snprintf(seen->text + used, sizeof(seen->text) - used, "%s:%s(%s)@%lx ", note->provider,
		 note->name, note->args, (unsigned long)note->addr);
	return seen->ret;
}

/* On the heap at its exact length, so that the sanitizer sees a byte too far. */
static int parse(const struct section *s, size_t len, struct seen *seen)
{
	MP_FREE uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, s->bytes, len);
	return mp_usdt_parse_notes(copy, len, true, see, seen);
}

static void test_notes(void **state)
{
	struct section s = {.len = 0};
	struct seen seen = {.n = 0};

	(void)state;
	PUT_PROBE(&s, 0x1234, "app\0load\0008@%rdi -4@$3");
	put_note(&s, "GNU", 3, "\1\2\3\4\5", 5);
	put_note(&s, "stapsdt", 4, "x", 1);
	PUT_PROBE(&s, 0xffffffffffffffffULL, "a\0b\0");
	assert_int_equal(parse(&s, s.len, &seen), 0);
	assert_string_equal(seen.text, "app:load(8@%rdi -4@$3)@1234 a:b()@ffffffffffffffff ");
}

static void test_notes_of_32_bits(void **state)
{
	static const char desc[] = "\x34\x12\0\0\0\0\0\0\0\0\0\0p\0n\0";
	struct section s = {.len = 0};
	struct seen seen = {.n = 0};

	(void)state;
	put_note(&s, "stapsdt", 3, desc, sizeof(desc));
	assert_int_equal(mp_usdt_parse_notes(s.bytes, s.len, false, see, &seen), 0);
	assert_string_equal(seen.text, "p:n()@1234 ");
}

static void test_notes_stop(void **state)
{
	struct section s = {.len = 0};
	struct seen seen = {.ret = 7};

	(void)state;
	PUT_PROBE(&s, 1, "a\0b\0");
	PUT_PROBE(&s, 2, "a\0c\0");
	assert_int_equal(parse(&s, s.len, &seen), 7);
	assert_int_equal(seen.n, 1);
}

static void test_notes_cut(void **state)
{
	struct section s = {.len = 0};

	(void)state;
	PUT_PROBE(&s, 1, "ab\0cd\0");
	for (size_t len = 1; len < s.len; len++) {
		struct seen seen = {.n = 0};
		int r = parse(&s, len, &seen);

		/* what is cut off at the very end may be padding only */
		if (s.len - len > 3)
			assert_int_equal(r, -EBADMSG);
		assert_int_equal(seen.n, r == 0);
	}
}

static void test_notes_hostile(void **state)
{
	static const uint32_t sizes[] = {0xffffffff, 0xfffffffd, 0x80000000, 0x7fffffff, 1000};
	struct seen seen = {.n = 0};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(sizes); i++) {
		struct section s = {.len = 0};

		PUT_PROBE(&s, 1, "a\0b\0");
		memcpy(s.bytes, &sizes[i], 4);
		assert_int_equal(parse(&s, s.len, &seen), -EBADMSG);
		s.len = 0;
		PUT_PROBE(&s, 1, "a\0b\0");
		memcpy(s.bytes + 4, &sizes[i], 4);
		assert_int_equal(parse(&s, s.len, &seen), -EBADMSG);
	}
	assert_int_equal(seen.n, 0);
}

static void test_notes_bad_strings(void **state)
{
	static const char unterminated[24 + 4] = "\1\0\0\0\0\0\0\0"
						 "\0\0\0\0\0\0\0\0"
						 "\0\0\0\0\0\0\0\0"
						 "a\0b";
	struct section s = {.len = 0};
	struct seen seen = {.n = 0};

	(void)state;
	put_note(&s, "stapsdt", 3, unterminated, sizeof(unterminated));
	assert_int_equal(parse(&s, s.len, &seen), -EBADMSG); /* no args */
	s.len = 0;
	put_note(&s, "stapsdt", 3, unterminated, 8);
	assert_int_equal(parse(&s, s.len, &seen), -EBADMSG);
	s.len = 0;
	PUT_PROBE(&s, 1, "\0b\0");
	assert_int_equal(parse(&s, s.len, &seen), -EBADMSG); /* no provider */
	assert_int_equal(seen.n, 0);
	assert_int_equal(parse(&s, 0, &seen), 0);
}

#ifdef __x86_64__

static struct mp_usdt_arg arg_of(const char *args, unsigned int index)
{
	struct mp_usdt_arg arg = {0};

	assert_int_equal(mp_usdt_parse_arg(args, index, &arg, NULL), 0);
	return arg;
}

static void test_args(void **state)
{
	static const char args[] = "-4@%eax 8@-16(%rbp)  1@$5 2@8(%rax,%rbx,4) -8@(,%rcx,8)";
	struct mp_usdt_arg arg = arg_of(args, 1);

	(void)state;
	assert_int_equal(arg.kind, MP_USDT_REG);
	assert_int_equal(arg.bytes, 4);
	assert_int_equal(arg.is_signed, 1);
	assert_int_equal(arg.reg, 80);
	arg = arg_of(args, 2);
	assert_int_equal(arg.kind, MP_USDT_DEREF);
	assert_int_equal(arg.bytes, 8);
	assert_int_equal(arg.is_signed, 0);
	assert_int_equal(arg.value, -16);
	arg = arg_of(args, 3);
	assert_int_equal(arg.kind, MP_USDT_CONST);
	assert_int_equal(arg.bytes, 1);
	assert_int_equal(arg.value, 5);
	arg = arg_of(args, 4);
	assert_int_equal(arg.kind, MP_USDT_SIB);
	assert_int_equal(arg.bytes, 2);
	arg = arg_of(args, 5);
	assert_int_equal(arg.kind, MP_USDT_SIB);
	assert_int_equal(arg.reg, arg.index_reg);
}

static void test_bad_args(void **state)
{
	static const struct {
		const char *args;
		int ret;
	} cases[] = {
		{"8f@%xmm0", -ENOTSUP}, {"-8f@%xmm0", -ENOTSUP}, {"8@counter(%rip)", -ENOTSUP},
		{"8@%xmm0", -ENOTSUP},	{"3@%eax", -EINVAL},	 {"16@%eax", -EINVAL},
		{"%eax", -EINVAL},	{"@%eax", -EINVAL},	 {"-@%eax", -EINVAL},
		{"8@", -EINVAL},	{"8", -EINVAL},		 {"\xff@\xff", -EINVAL},
		{"-", -EINVAL},		{"--4@%eax", -EINVAL},	 {"", -ENOENT},
		{"    ", -ENOENT},
	};
	struct mp_usdt_arg arg = {.bytes = 99};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(cases); i++)
		assert_int_equal(mp_usdt_parse_arg(cases[i].args, 1, &arg, NULL), cases[i].ret);
	assert_int_equal(mp_usdt_parse_arg("8@%rax 8@%rbx", 3, &arg, NULL), -ENOENT);
	assert_int_equal(mp_usdt_parse_arg("8@%rax", 0, &arg, NULL), -ENOENT);
	assert_int_equal(arg.bytes, 99);
}

static void test_error_names_the_form(void **state)
{
	struct mp_usdt_arg arg;
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_usdt_parse_arg("8@%rax 8@x(%rip) 4@$1", 2, &arg, &err), -ENOTSUP);
	assert_string_equal(err.text,
			    "argument 2 of the probe has a form that cannot be read: 8@x(%rip)");
	assert_int_equal(err.exit_code, MP_EXIT_UNSUPPORTED);
	assert_int_equal(mp_usdt_parse_arg("9@\033[31m\n", 1, &arg, &err), -EINVAL);
	assert_string_equal(err.text, "argument 1 of the probe is malformed: 9@\\e[31m\\n");
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_notes_of_32_bits),
		cmocka_unit_test(test_notes_stop),
		cmocka_unit_test(test_notes_cut),
		cmocka_unit_test(test_notes_hostile),
		cmocka_unit_test(test_notes_bad_strings),
#ifdef __x86_64__
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_bad_args),
		cmocka_unit_test(test_error_names_the_form),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
