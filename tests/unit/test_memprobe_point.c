// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/elf_file.h"
#include "lib/memprobe.h"
#include "markers.h"

static void test_version(void **state)
{
	(void)state;
	assert_string_equal(memprobe_version(), MP_VERSION);
}

static void test_same_name_is_same_point(void **state)
{
	char name[] = "cache.fill";
	const struct memprobe_point *point = memprobe_point("cache.fill", MEMPROBE_HIGH);

	(void)state;
	assert_non_null(point);
	assert_ptr_equal(memprobe_point(name, MEMPROBE_HIGH), point);
	assert_ptr_equal(memprobe_point(name, MEMPROBE_LOW), point);
	assert_int_equal(point->level, MEMPROBE_HIGH);
	assert_string_equal(point->name, "cache.fill");
	/* The name is the library's own from then on. */
	name[0] = 'x';
	assert_string_equal(point->name, "cache.fill");
	assert_ptr_not_equal(memprobe_point(name, MEMPROBE_HIGH), point);
}

/* Names of all lengths, each the beginning of the next, and each differing in one byte. */
static void test_names_of_all_lengths(void **state)
{
	const struct memprobe_point *points[MP_LIB_NAME_LEN] = {NULL};
	char name[MP_LIB_NAME_LEN + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t len = 1; len < MP_LIB_NAME_LEN; len++) {
		name[len] = '\0';
		points[len] = memprobe_point(name, MEMPROBE_LOW);
		assert_non_null(points[len]);
		assert_string_equal(points[len]->name, name);
		assert_true(points[len]->id == memprobe_marker_id(name));
		name[len] = 'n';
	}
	for (size_t len = 1; len < MP_LIB_NAME_LEN; len++) {
		name[len] = '\0';
		assert_ptr_equal(memprobe_point(name, MEMPROBE_LOW), points[len]);
		name[len - 1] = '\xff';
		assert_ptr_not_equal(memprobe_point(name, MEMPROBE_LOW), points[len]);
		name[len - 1] = 'n';
		name[len] = 'n';
	}
}

static void expect_refused(const char *name, int level, int err)
{
	errno = 0;
	assert_null(memprobe_point(name, (enum memprobe_level)level));
	assert_int_equal(errno, err);
}

static void test_refused(void **state)
{
	char name[200];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[MP_LIB_NAME_LEN] = '\0';
	expect_refused(NULL, MEMPROBE_LOW, EINVAL);
	expect_refused("", MEMPROBE_LOW, EINVAL);
	expect_refused(name, MEMPROBE_LOW, EINVAL);
	expect_refused("new.point", -1, EINVAL);
	expect_refused("new.point", 4, EINVAL);
	expect_refused("cache.fill", 4, EINVAL);
}

static void test_id(void **state)
{
	(void)state;
	/* of the algorithm's authors */
	assert_true(memprobe_marker_id("") == 0xcbf29ce484222325ULL);
	assert_true(memprobe_marker_id("a") == 0xaf63dc4c8601ec8cULL);
	assert_true(memprobe_marker_id("foobar") == 0x85944171f73967e8ULL);
}

/* --- calls ---------------------------------------------------------------------- */

static void test_nobody_watches(void **state)
{
	struct memprobe_point *point = memprobe_point("calls", MEMPROBE_CRITICAL);

	(void)state;
	attach_markers(0);
	assert_int_equal(memprobe_enter(point, 1), 0);
	memprobe_exit(point, 0);
	/* what began while somebody watched ends when nobody does any more */
	memprobe_exit(point, 17);
	assert_int_equal(heard()->enters + heard()->exits, 0);
}

static void test_somebody_watches(void **state)
{
	struct memprobe_point *point = memprobe_point("calls", MEMPROBE_CRITICAL);
	uint64_t first;
	uint64_t second;

	(void)state;
	attach_markers(2);
	first = memprobe_enter(point, 4096);
	assert_int_not_equal(first, 0);
	assert_int_equal(heard()->enters, 1);
	assert_true(heard()->id == memprobe_marker_id("calls"));
	assert_string_equal(heard()->name, "calls");
	assert_int_equal(heard()->level, MEMPROBE_CRITICAL);
	assert_int_equal(heard()->size, 4096);
	assert_true(heard()->call == first);
	second = memprobe_enter(point, 0);
	assert_true(second != first && second != 0);
	memprobe_exit(point, first);
	assert_true(heard()->call == first);
	memprobe_exit(point, second);
	assert_true(heard()->call == second);
	assert_int_equal(heard()->exits, 2);
	/* one that began before the monitor came */
	memprobe_exit(point, 0);
	assert_int_equal(heard()->exits, 2);
	attach_markers(0);
}

static void test_only_exits_are_watched(void **state)
{
	struct memprobe_point *point = memprobe_point("calls", MEMPROBE_CRITICAL);

	(void)state;
	attach_markers(0);
	memprobe_exit_semaphore = 1;
	memprobe_exit(point, memprobe_enter(point, 0));
	assert_int_equal(heard()->enters, 0);
	assert_int_equal(heard()->exits, 1);
	attach_markers(0);
}

static void test_no_point(void **state)
{
	(void)state;
	attach_markers(1);
	assert_int_equal(memprobe_enter(NULL, 1), 0);
	memprobe_exit(NULL, 1);
	assert_int_equal(heard()->enters + heard()->exits, 0);
	attach_markers(0);
}

static unsigned int leave_scope(int how)
{
	for (;;) {
		MEMPROBE_SCOPE("outer", MEMPROBE_LOW);
		MEMPROBE_SCOPE("inner", MEMPROBE_HIGH);
		if (how == 0)
			break;
		if (how == 1)
			goto out;
		return heard()->enters;
	}
out:
	return heard()->enters;
}

static void test_scope(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		attach_markers(1);
		assert_int_equal(leave_scope(how), 2);
		assert_int_equal(heard()->exits, 2);
		assert_string_equal(heard()->name, "outer");
		assert_int_equal(heard()->level, MEMPROBE_LOW);
		attach_markers(0);
		leave_scope(how);
		assert_int_equal(heard()->enters + heard()->exits, 0);
	}
}

/* --- notes ---------------------------------------------------------------------- */

struct notes {
	FILE *file;
	unsigned int found;
	char text[512];
};

static void bytes_at(const struct notes *notes, uint64_t offset, uint8_t *bytes, size_t n)
{
	assert_int_equal(fseek(notes->file, (long)offset, SEEK_SET), 0);
	assert_int_equal(fread(bytes, 1, n, notes->file), n);
}

/* At each note the file has the nop and a return, and its semaphore at 0. */
static int look_at_note(void *data, const struct mp_usdt_note *note)
{
#if defined(__x86_64__)
	static const uint8_t insns[] = {0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3};
#else
	static const uint8_t insns[] = {0x1f, 0x20, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6};
#endif
	struct notes *notes = data;
	size_t used = strlen(notes->text);
	uint8_t bytes[8];

	if (strcmp(note->provider, "memprobe") != 0)
		return 0;
	notes->found++;
	bytes_at(notes, note->offset, bytes, sizeof(insns));
	assert_memory_equal(bytes, insns, sizeof(insns));
	assert_int_equal(note->addr % 16, 0);
	assert_int_not_equal(note->semaphore_offset, 0);
	bytes_at(notes, note->semaphore_offset, bytes, 2);
	assert_int_equal(bytes[0] | bytes[1], 0);
	snprintf(notes->text + used, sizeof(notes->text) - used, "%s(%s) ", note->name, note->args);
	return 0;
}

/* This very program, which the library is linked into. */
static void test_notes(void **state)
{
	MP_FCLOSE FILE *file = fopen("/proc/self/exe", "re");
	struct notes notes = {.file = file};
	MP_CLEANUP(mp_elf_free_p) struct mp_elf *elf = NULL;

	(void)state;
	assert_non_null(file);
	assert_int_equal(mp_elf_open("/proc/self/exe", "", &elf, NULL), 0);
	assert_int_equal(mp_elf_for_each_usdt(elf, look_at_note, &notes), 0);
	assert_int_equal(notes.found, 3);
#if defined(__x86_64__)
	assert_string_equal(notes.text, "enter(8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8) "
					"exit(8@%rdi 8@%rsi 8@%rdx 8@%rcx) "
					"check(8@%rdi 8@%rsi 8@%rdx 8@%rcx) ");
#endif
}

static void test_note_arguments_can_be_read(void **state)
{
	struct mp_usdt_arg arg;

	(void)state;
#if !defined(__x86_64__)
	skip();
#endif
	for (unsigned int i = 1; i <= 5; i++) {
		assert_int_equal(
			mp_usdt_parse_arg("8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8", i, &arg, NULL), 0);
		assert_int_equal(arg.bytes, 8);
		assert_int_equal(arg.is_signed, 0);
	}
}

/* --- a full table: the last test, for no point is ever removed ----------------------- */

static void test_full(void **state)
{
	const struct memprobe_point *point = memprobe_point("cache.fill", MEMPROBE_LOW);
	unsigned int made = 0;
	char name[32];

	(void)state;
	do {
		snprintf(name, sizeof(name), "full.%u", made++);
	} while (memprobe_point(name, MEMPROBE_LOW));
	assert_int_equal(errno, ENOSPC);
	expect_refused("one.more", MEMPROBE_LOW, ENOSPC);
	expect_refused("", MEMPROBE_LOW, EINVAL);
	/* those that are there are still found */
	assert_ptr_equal(memprobe_point("cache.fill", MEMPROBE_LOW), point);
	for (unsigned int i = 0; i < made - 1; i++) {
		snprintf(name, sizeof(name), "full.%u", i);
		assert_string_equal(memprobe_point(name, MEMPROBE_LOW)->name, name);
	}
	errno = 0;
	assert_int_equal(memprobe_check("one.more", NULL), -1);
	assert_int_equal(errno, ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_same_name_is_same_point),
		cmocka_unit_test(test_names_of_all_lengths),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_nobody_watches),
		cmocka_unit_test(test_somebody_watches),
		cmocka_unit_test(test_only_exits_are_watched),
		cmocka_unit_test(test_no_point),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_note_arguments_can_be_read),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
