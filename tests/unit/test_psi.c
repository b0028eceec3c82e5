// SPDX-License-Identifier: GPL-2.0-only
/* Pressure stall information: read, between two readings, and as a trigger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "cgroup/psi.h"
#include "source/psi.h"
#include "tree.h"

#define MS 1000000ULL
#define SEC (1000 * MS)
#define FORMAT                                                                                     \
	"some avg10=0.00 avg60=1.05 avg300=0.21 total=%llu\n"                                      \
	"full avg10=0.00 avg60=0.00 avg300=0.00 total=%llu\n"

static void test_parse(void **state)
{
	struct mp_psi_totals t = {7, 7};

	(void)state;
	assert_int_equal(mp_psi_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=2289434\n"
				      "full avg10=0.00 avg60=0.00 avg300=0.00 total=1180161\n",
				      &t),
			 0);
	assert_int_equal(t.some_us, 2289434);
	assert_int_equal(t.full_us, 1180161);
	assert_int_equal(mp_psi_parse("some avg10=0.00 total=18446744073709551615", &t), 0);
	assert_int_equal(t.some_us, UINT64_MAX);
	assert_int_equal(t.full_us, 0);
	assert_int_equal(mp_psi_parse("full a total=3\nnew total=9\nsome b total=4\n", &t), 0);
	assert_int_equal(t.some_us, 4);
	assert_int_equal(t.full_us, 3);
}

static void test_parse_hostile(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"some",
		"some \n",
		"some avg10=0.00\n",
		"some avg10=0.00\nfull avg10=0.00 total=5\n", /* the other line's total */
		"some total=5\n",			      /* nothing before it */
		"some avg10=0.00 total=\n",
		"some avg10=0.00 total=-1\n",
		"some avg10=0.00 total=12x\n",
		"some avg10=0.00 total=12 13\n",
		"some avg10=0.00 total=18446744073709551616\n",
		"some avg10=0.00 total=00000000000000000000000000000000000000000001\n",
		"somewhat avg10=0.00 total=1\n",
		"full avg10=0.00 total=1\n",
		"some avg10=0.00 total=1\nfull avg10=0.00 total=x\n",
		"some avg10=0.00 total=1\nfull avg10=0.00\n",
	};
	struct mp_psi_totals t = {7, 8};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(texts); i++) {
		if (mp_psi_parse(texts[i], &t) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
	}
	assert_int_equal(t.some_us, 7);
	assert_int_equal(t.full_us, 8);
}

static void test_read(void **state)
{
	struct mp_psi_totals t = {7, 8};
	struct tree tree;
	char path[PATH_MAX];

	(void)state;
	tree_make(&tree);
	tree_path(&tree, "/memory.pressure", path);
	assert_int_equal(mp_psi_totals_read(path, &t), -ENOENT);
	tree_write(&tree, "/memory.pressure", "nothing\n");
	assert_int_equal(mp_psi_totals_read(path, &t), -EBADMSG);
	assert_int_equal(t.some_us, 7);
	tree_write(&tree, "/memory.pressure", "some avg10=0.00 total=12\n");
	assert_int_equal(mp_psi_totals_read(path, &t), 0);
	assert_int_equal(t.some_us, 12);
	tree_remove(&tree);
}

static void check_between(struct mp_psi_totals before, struct mp_psi_totals now, uint64_t window_ns,
			  double some_pct, double full_pct)
{
	struct mp_psi_share share;

	assert_true(mp_psi_between(&before, 5, &now, 5 + window_ns, &share));
	assert_true(share.some_pct == some_pct);
	assert_true(share.full_pct == full_pct);
	assert_int_equal(share.window_ns, window_ns);
}

static void test_between(void **state)
{
	const struct mp_psi_totals zero = {0, 0};
	const struct mp_psi_totals late = {UINT64_MAX - 1000, UINT64_MAX - 1000};
	struct mp_psi_share share = {.some_pct = 3};

	(void)state;
	check_between(zero, zero, 2 * SEC, 0, 0);
	check_between((struct mp_psi_totals){1000, 500}, (struct mp_psi_totals){201000, 100500},
		      2 * SEC, 10, 5);
	check_between(zero, (struct mp_psi_totals){100, 50}, 3 * MS, 3.33, 1.67);
	/* Not above the whole, and not below nothing: totals are added up CPU by CPU. */
	check_between(zero, (struct mp_psi_totals){1000000, UINT64_MAX}, 500 * MS, 100, 100);
	check_between((struct mp_psi_totals){1000, 1000}, (struct mp_psi_totals){999, 2000}, SEC, 0,
		      0.1);
	check_between(late, (struct mp_psi_totals){UINT64_MAX, UINT64_MAX - 500}, SEC, 0.1, 0.05);
	check_between(zero, zero, 1, 0, 0);
	assert_false(mp_psi_between(&zero, 7, &late, 7, &share));
	assert_false(mp_psi_between(&zero, 8, &late, 7, &share));
	assert_true(share.some_pct == 3);
}

/* A pressure file, as a plain one: it keeps the trigger that is written to it. */
struct file {
	struct tree tree;
	char path[PATH_MAX];
};

static void set_totals(const struct file *f, unsigned long long some_us, unsigned long long full_us)
{
	char text[256];

	snprintf(text, sizeof(text), FORMAT, some_us, full_us);
	tree_write(&f->tree, "/memory.pressure", text);
}

static void make_file(struct file *f)
{
	tree_make(&f->tree);
	tree_path(&f->tree, "/memory.pressure", f->path);
	set_totals(f, 0, 0);
}

static struct mp_psi *new_psi(const struct file *f, double some_pct, uint64_t window_ns)
{
	struct mp_psi *psi = NULL;

	assert_int_equal(mp_psi_new(f->path, some_pct, window_ns, &psi), 0);
	assert_non_null(psi);
	return psi;
}

static void check_trigger(double some_pct, uint64_t window_ns, const char *expected,
			  uint64_t got_ns)
{
	struct file f;
	struct mp_psi *psi;
	char text[64] = "";
	FILE *file;

	make_file(&f);
	psi = new_psi(&f, some_pct, window_ns);
	file = fopen(f.path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > strlen(expected));
	fclose(file);
	if (got_ns)
		assert_string_equal(text, expected);
	else
		assert_memory_equal(text, "some avg10", 10);
	assert_int_equal(mp_psi_window_ns(psi), got_ns);
	assert_int_equal(mp_psi_fd(psi) >= 0, got_ns != 0);
	mp_psi_free(psi);
	tree_remove(&f.tree);
}

static void test_trigger(void **state)
{
	(void)state;
	check_trigger(10, 2 * SEC, "some 200000 2000000", 2 * SEC);
	check_trigger(2.5, 3 * SEC, "some 75000 3000000", 3 * SEC);
	check_trigger(100, 100 * MS, "some 500000 500000", 500 * MS);
	check_trigger(50, 60 * SEC, "some 5000000 10000000", 10 * SEC);
	/* Nothing that the kernel would take. */
	check_trigger(0, 2 * SEC, "", 0);
	check_trigger(-1, 2 * SEC, "", 0);
	check_trigger(0.00001, 2 * SEC, "", 0);
	check_trigger(101, 2 * SEC, "", 0);
}

static void test_new_fails(void **state)
{
	struct file f;
	struct mp_psi *psi = NULL;

	(void)state;
	make_file(&f);
	tree_write(&f.tree, "/memory.pressure", "none of it\n");
	assert_int_equal(mp_psi_new(f.path, 10, SEC, &psi), -EBADMSG);
	assert_int_equal(mp_psi_new(f.tree.root, 10, SEC, &psi), -EISDIR);
	unlink(f.path);
	assert_int_equal(mp_psi_new(f.path, 10, SEC, &psi), -ENOENT);
	assert_null(psi);
	mp_psi_free(NULL);
	tree_remove(&f.tree);
}

static void test_readings(void **state)
{
	struct file f;
	struct mp_psi *psi;
	struct mp_psi_share share = {.some_pct = 3};
	uint64_t start;

	(void)state;
	make_file(&f);
	psi = new_psi(&f, 10, 2 * SEC);
	start = mp_clock_now_ns() + SEC;
	set_totals(&f, 1000, 100);
	assert_int_equal(mp_psi_read(psi, start, &share), 1);
	set_totals(&f, 51000, 25100);
	assert_int_equal(mp_psi_read(psi, start + 10 * MS - 1, &share), 0);
	assert_int_equal(mp_psi_read(psi, start - SEC, &share), 0);
	assert_int_equal(mp_psi_read(psi, start + 500 * MS, &share), 1);
	assert_true(share.some_pct == 10);
	assert_true(share.full_pct == 5);
	assert_int_equal(share.window_ns, 500 * MS);
	/* What is not understood leaves the readings as they were. */
	tree_write(&f.tree, "/memory.pressure", "");
	assert_int_equal(mp_psi_read(psi, start + 600 * MS, &share), -EBADMSG);
	assert_true(share.some_pct == 10);
	set_totals(&f, 52000, 25100);
	assert_int_equal(mp_psi_read(psi, start + 700 * MS, &share), 1);
	assert_true(share.some_pct == 0.5);
	assert_true(share.full_pct == 0);
	assert_int_equal(share.window_ns, 200 * MS);
	mp_psi_free(psi);
	tree_remove(&f.tree);
}

/* The trigger fires for a stall that the clock's readings have already gone past. */
static void test_reading_over_the_window(void **state)
{
	struct file f;
	struct mp_psi *psi;
	struct mp_psi_share share;
	uint64_t start;

	(void)state;
	make_file(&f);
	psi = new_psi(&f, 10, 2 * SEC);
	start = mp_clock_now_ns() + 60 * SEC; /* the opening is out of the window */
	for (uint64_t i = 0; i <= 8; i++) {
		set_totals(&f, 1000000 + i * 100000, 1000000);
		assert_int_equal(mp_psi_read(psi, start + i * 500 * MS, &share), 1);
	}
	assert_int_equal(mp_psi_read(psi, start + 4001 * MS, &share), 0);
	assert_int_equal(mp_psi_read_window(psi, start + 4001 * MS, &share), 1);
	/* From 2.5 s on: 800 ms to 500 ms ago of the totals, in 1501 ms. */
	assert_int_equal(share.window_ns, 1501 * MS);
	assert_true(share.some_pct == 19.99);
	assert_true(share.full_pct == 0);
	/* Without older readings, since the last. */
	assert_int_equal(mp_psi_read_window(psi, start + 60 * SEC, &share), 1);
	assert_int_equal(share.window_ns, 60 * SEC - 4001 * MS);
	assert_int_equal(mp_psi_read_window(psi, start + 60 * SEC + 5 * MS, &share), 0);
	mp_psi_free(psi);
	tree_remove(&f.tree);
}

/* This machine's own, if it has one: the trigger's window is as asked for, or whole 2 s. */
static void test_live(void **state)
{
	struct mp_psi *psi = NULL;
	struct mp_psi_share share;
	uint64_t window;

	(void)state;
	if (mp_psi_new("/proc/pressure/memory", 10, SEC, &psi))
		skip();
	window = mp_psi_window_ns(psi);
	assert_true(window == 0 || window == SEC || window == 2 * SEC);
	assert_int_equal(mp_psi_read(psi, mp_clock_now_ns() + SEC, &share), 1);
	assert_true(share.some_pct >= 0 && share.some_pct <= 100);
	mp_psi_free(psi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	 cmocka_unit_test(test_parse_hostile),
		cmocka_unit_test(test_read),	 cmocka_unit_test(test_between),
		cmocka_unit_test(test_trigger),	 cmocka_unit_test(test_new_fails),
		cmocka_unit_test(test_readings), cmocka_unit_test(test_reading_over_the_window),
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
