// SPDX-License-Identifier: GPL-2.0-only
/* Sources of pressure on recorded trees, whose signals the test gives itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "source/pressure.h"
#include "tree.h"

#define MS 1000000ULL
#define SEC (1000 * MS)
#define LONG_MS 60000 /* never reached */
#define MAX_EVENTS 32
#define GB (1ULL << 30)

struct told {
	struct mp_event event;
	char cgroup[64];
	char v1_level[16];
};

struct fixture {
	struct tree tree;
	struct mp_cgroups cg;
	struct mp_policy policy;
	struct mp_loop *loop;
	struct mp_pressure *pressure;
	struct told told[MAX_EVENTS];
	size_t n;
	const char *remove; /* a group that goes away as soon as an event is told … */
	const char *look;   /* … and one that is looked at then */
};

static int remember(void *data, const struct mp_event *event)
{
	struct fixture *f = data;
	struct told *told = &f->told[f->n++];
	const char *look = f->look;
	char path[PATH_MAX];

	assert_true(f->n <= MAX_EVENTS);
	told->event = *event;
	snprintf(told->cgroup, sizeof(told->cgroup), "%s",
		 event->pressure.cgroup ? event->pressure.cgroup : "host");
	snprintf(told->v1_level, sizeof(told->v1_level), "%s",
		 event->pressure.v1_level ? event->pressure.v1_level : "");
	if (f->remove) {
		tree_path(&f->tree, f->remove, path);
		nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	f->look = NULL;
	if (look)
		mp_pressure_look(f->pressure, look, event->ts_ns);
	return 0;
}

static void set_host(const struct fixture *f, unsigned int used_pct)
{
	char text[128];

	snprintf(text, sizeof(text), "MemTotal: 1000000 kB\nMemAvailable: %u kB\n",
		 1000000 - used_pct * 10000);
	tree_write(&f->tree, "/proc/meminfo", text);
}

static void set_psi(const struct fixture *f, const char *path, unsigned int some_ms,
		    unsigned int full_ms)
{
	char text[128];

	snprintf(text, sizeof(text), "some avg10=0.00 total=%u000\nfull avg10=0.00 total=%u000\n",
		 some_ms, full_ms);
	tree_write(&f->tree, path, text);
}

static void set_file(const struct fixture *f, const char *group, const char *file, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s/%s", f->cg.memory_mount, group, file);
	tree_write(&f->tree, path, text);
}

/* Percent of a limit of 1 GB. */
static void set_group(const struct fixture *f, const char *group, unsigned int usage_pct,
		      unsigned int cache_pct)
{
	bool v2 = f->cg.mode == MP_CGROUP_V2;
	char text[64];

	snprintf(text, sizeof(text), "%llu\n", GB / 100 * usage_pct);
	set_file(f, group, v2 ? "memory.current" : "memory.usage_in_bytes", text);
	snprintf(text, sizeof(text), "%llu\n", GB / 100 * 100);
	set_file(f, group, v2 ? "memory.max" : "memory.limit_in_bytes", text);
	snprintf(text, sizeof(text), "%sinactive_file %llu\n", v2 ? "" : "total_",
		 GB / 100 * cache_pct);
	set_file(f, group, "memory.stat", text);
}

static int begin(void **state, enum mp_cgroup_mode mode)
{
	struct fixture *f = calloc(1, sizeof(*f));

	tree_make(&f->tree);
	f->cg = (struct mp_cgroups){.fs = {f->tree.root},
				    .mode = mode,
				    .memory_mount = "/cg",
				    .memory_root = "/",
				    .unified_mount = "/cg"};
	if (mp_policy_default(&f->policy))
		return -1;
	f->policy.some_pct = 10;
	f->policy.full_pct = 5;
	f->policy.window_ns = 2 * SEC;
	f->policy.dwell_ns = SEC;
	f->loop = mp_loop_new();
	f->pressure = mp_pressure_new(f->loop, &f->cg, &f->policy, remember, f);
	*state = f;
	set_host(f, 10);
	return f->pressure ? 0 : -1;
}

static int begin_v1(void **state)
{
	return begin(state, MP_CGROUP_V1);
}

static int begin_v2(void **state)
{
	return begin(state, MP_CGROUP_V2);
}

static int begin_hybrid(void **state)
{
	return begin(state, MP_CGROUP_HYBRID);
}

static int end(void **state)
{
	struct fixture *f = *state;

	mp_pressure_free(f->pressure);
	mp_loop_free(f->loop);
	mp_policy_free(&f->policy);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

/* The clock's part; how many events it gave. */
static size_t tick(struct fixture *f, uint64_t now_ns)
{
	size_t before = f->n;

	mp_pressure_tick(f->pressure, now_ns);
	return f->n - before;
}

static const struct mp_event_pressure *last(const struct fixture *f)
{
	assert_true(f->n > 0);
	return &f->told[f->n - 1].event.pressure;
}

/* --- the clock ------------------------------------------------------------------ */

static void test_calm(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 74, 0);
	assert_int_equal(mp_pressure_add(f->pressure, NULL), 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/none"), -ENOENT);
	for (unsigned int i = 1; i < 5; i++)
		assert_int_equal(tick(f, now + i * SEC), 0);
}

static void test_usage(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();
	const struct mp_event_pressure *p;

	set_group(f, "/a", 80, 4);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(tick(f, now), 1);
	assert_int_equal(f->told[0].event.type, MP_EVENT_PRESSURE);
	assert_int_equal(f->told[0].event.ts_ns, now);
	assert_true(f->told[0].event.realtime_ns > now);
	assert_string_equal(f->told[0].cgroup, "/a");
	p = last(f);
	assert_int_equal(p->source, MP_PRESSURE_USAGE);
	assert_int_equal(p->usage, GB / 100 * 80);
	assert_int_equal(p->working_set, GB / 100 * 76);
	assert_int_equal(p->limit, GB / 100 * 100);
	assert_true(p->usage_pct == 76);
	assert_true(p->some_pct < 0 && p->full_pct < 0);
	assert_int_equal(p->window_ns, MP_UNKNOWN);
	assert_int_equal(p->stall_ns, MP_UNKNOWN);
	assert_int_equal(p->reclaims, MP_UNKNOWN);
	assert_int_equal(p->pgscan, MP_UNKNOWN);
	assert_int_equal(p->max, MP_UNKNOWN);
	assert_int_equal(p->oom_kill, MP_UNKNOWN);
	assert_int_equal(p->pid, 0);
	assert_int_equal(p->incident, 0);
	assert_null(p->v1_level);
}

/* A program that reads a big file is at its limit, and in no trouble. */
static void test_page_cache_is_calm(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 100, 26);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(tick(f, now), 0);
	set_group(f, "/a", 100, 25);
	assert_int_equal(tick(f, now + SEC), 1);
	assert_true(last(f)->usage_pct == 75);
}

/* The policy leaves a severity below its hysteresis, and after a while only. */
static void test_fall(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 75, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(tick(f, now), 1);
	set_group(f, "/a", 72, 0); /* not below the hysteresis of 3 */
	for (unsigned int i = 1; i <= 20; i++)
		assert_int_equal(tick(f, now + i * SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_USAGE);
	set_group(f, "/a", 71, 0);
	now += 20 * SEC;
	for (unsigned int i = 1; i <= 4; i++)
		assert_int_equal(tick(f, now + i * SEC), 1);
	assert_true(last(f)->usage_pct == 71);
	assert_int_equal(tick(f, now + 5 * SEC), 0);
	/* Calm again: what counts is the threshold. */
	set_group(f, "/a", 74, 0);
	assert_int_equal(tick(f, now + 6 * SEC), 0);
}

static void test_fall_is_told_as_long_as_the_policy_holds(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	f->policy.dwell_ns = 10 * SEC;
	set_host(f, 90);
	assert_int_equal(mp_pressure_add(f->pressure, NULL), 0);
	assert_int_equal(tick(f, now), 1);
	assert_string_equal(f->told[0].cgroup, "host");
	assert_true(last(f)->usage_pct == 90);
	assert_int_equal(last(f)->limit, 1024000000);
	set_host(f, 10);
	for (unsigned int i = 1; i <= 11; i++)
		assert_int_equal(tick(f, now + i * SEC), 1);
	assert_int_equal(tick(f, now + 12 * SEC), 0);
}

static void test_stall(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns() + SEC;

	set_psi(f, "/proc/pressure/memory", 0, 0);
	assert_int_equal(mp_pressure_add(f->pressure, NULL), 0);
	set_psi(f, "/proc/pressure/memory", 0, 0);
	assert_int_equal(tick(f, now), 0);
	set_psi(f, "/proc/pressure/memory", 99, 49);
	assert_int_equal(tick(f, now + SEC), 0);
	set_psi(f, "/proc/pressure/memory", 199, 49);
	assert_int_equal(tick(f, now + 2 * SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_PSI);
	assert_true(last(f)->some_pct == 10);
	assert_true(last(f)->full_pct == 0);
	assert_int_equal(last(f)->window_ns, SEC);
	assert_true(last(f)->usage_pct == 10);
	set_psi(f, "/proc/pressure/memory", 199, 99);
	assert_int_equal(tick(f, now + 3 * SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_PSI);
	assert_true(last(f)->full_pct == 5);
	/* The calm after it is a look by the clock; both at once is usage. */
	assert_int_equal(tick(f, now + 4 * SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_USAGE);
	assert_true(last(f)->some_pct == 0);
	set_psi(f, "/proc/pressure/memory", 1199, 99);
	set_host(f, 95);
	assert_int_equal(tick(f, now + 5 * SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_USAGE);
	assert_true(last(f)->some_pct == 100);
}

/* In a hybrid the tasks of a memory group can be in any group of the v2 tree. */
static void test_stall_of_a_group_is_known_on_v2_alone(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns() + SEC;

	set_group(f, "/a", 10, 0);
	set_psi(f, "/cg/a/memory.pressure", 0, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	set_psi(f, "/cg/a/memory.pressure", 900, 900);
	assert_int_equal(tick(f, now), f->cg.mode == MP_CGROUP_V2);
}

static void test_look(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 20, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	mp_pressure_look(f->pressure, "/b", now);
	mp_pressure_look(f->pressure, NULL, now);
	assert_int_equal(f->n, 0);
	mp_pressure_look(f->pressure, "/a", now);
	assert_int_equal(f->n, 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_USAGE);
	assert_true(last(f)->usage_pct == 20);
	assert_int_equal(tick(f, now + 5 * SEC - 1), 1);
	assert_int_equal(tick(f, now + 5 * SEC), 0);
}

static void remove_group(const struct fixture *f, const char *group)
{
	char path[PATH_MAX];

	tree_path(&f->tree, group, path);
	nftw(path, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_group_goes_away(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 90, 0);
	set_group(f, "/b", 90, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/b"), 0);
	assert_int_equal(tick(f, now), 2);
	remove_group(f, "/cg/a");
	assert_int_equal(tick(f, now + SEC), 1);
	assert_string_equal(f->told[f->n - 1].cgroup, "/b");
	/* One of the same name is another group, and has to be added anew. */
	set_group(f, "/a", 90, 0);
	assert_int_equal(tick(f, now + 2 * SEC), 1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(tick(f, now + 3 * SEC), 2);
}

/* What is done upon an event can be the end of another domain, in the midst of a tick. */
static void test_group_goes_away_while_told(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 90, 0);
	set_group(f, "/b", 90, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/b"), 0);
	f->remove = "/cg/a";
	f->look = "/a";
	assert_int_equal(tick(f, now), 1);
	assert_string_equal(f->told[0].cgroup, "/b");
	/* One of the same name is another group, even before the next tick. */
	f->remove = NULL;
	set_group(f, "/a", 90, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	assert_int_equal(tick(f, now + SEC), 2);
}

/* A value that is not understood is no evidence: nothing is told, and the domain stays. */
static void test_malformed(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();

	set_group(f, "/a", 90, 0);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	set_file(f, "/a", "memory.current", "lots\n");
	assert_int_equal(tick(f, now), 0);
	set_group(f, "/a", 90, 0);
	set_file(f, "/a", "memory.stat", "inactive_file 99999999999999999999\n");
	assert_int_equal(tick(f, now + SEC), 0);
	set_file(f, "/a", "memory.max", "max\n");
	assert_int_equal(tick(f, now + 2 * SEC), 0);
	set_group(f, "/a", 90, 0);
	assert_int_equal(tick(f, now + 3 * SEC), 1);
}

/* --- the eventfds of v1 ---------------------------------------------------------- */

enum {
	LOW,
	MEDIUM,
	CRITICAL,
	OOM,
	N_SIGNALS
};

struct v1 {
	int control; /* event_control is a pipe here: what is written there stays apart */
	int fds[N_SIGNALS];
};

static void make_v1_group(const struct fixture *f, const char *group, struct v1 *v1)
{
	char name[128];
	char path[PATH_MAX];

	set_group(f, group, 50, 0);
	set_file(f, group, "memory.pressure_level", "");
	set_file(f, group, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
	set_file(f, group, "memory.failcnt", "100\n");
	snprintf(name, sizeof(name), "/cg%s/cgroup.event_control", group);
	tree_path(&f->tree, name, path);
	assert_int_equal(mkfifo(path, 0600), 0);
	v1->control = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(v1->control >= 0);
}

static void end_v1(const struct v1 *v1)
{
	close(v1->control);
}
#define V1 MP_CLEANUP(end_v1) struct v1

/* Four registrations, of which the last has no argument. */
static void read_registrations(struct v1 *v1)
{
	static const char *const args[] = {"low,local", "medium,local", "critical,local", ""};
	char text[256] = "";
	const char *at = text;

	assert_true(read(v1->control, text, sizeof(text) - 1) > 0);
	for (size_t i = 0; i < N_SIGNALS; i++) {
		char arg[32] = "";
		int file;
		int len = 0;

		assert_true(sscanf(at, "%d %d %n%31[a-z,]%n", &v1->fds[i], &file, &len, arg,
				   &len) >= 2);
		assert_string_equal(arg, args[i]);
		at += len;
	}
	assert_int_equal(*at, '\0');
}

static void raise_v1(const struct v1 *v1, int signal)
{
	assert_int_equal(eventfd_write(v1->fds[signal], 3), 0);
}

static void once(struct fixture *f)
{
	assert_int_equal(mp_loop_once(f->loop, LONG_MS), 0);
}

static void check_v1(const struct fixture *f, size_t n, const char *level, uint64_t max,
		     uint64_t oom_kill)
{
	assert_int_equal(f->n, n);
	assert_int_equal(last(f)->source, MP_PRESSURE_MEMCG_V1);
	assert_string_equal(f->told[n - 1].v1_level, level);
	assert_int_equal(last(f)->max, max);
	assert_int_equal(last(f)->oom_kill, oom_kill);
	assert_int_equal(last(f)->high, MP_UNKNOWN);
	assert_true(last(f)->usage_pct == 50);
}

static void test_v1_levels(void **state)
{
	struct fixture *f = *state;
	V1 v1;

	make_v1_group(f, "/a", &v1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	read_registrations(&v1);
	raise_v1(&v1, LOW);
	set_file(f, "/a", "memory.failcnt", "107\n");
	once(f);
	check_v1(f, 1, "low", 7, 0);
	assert_string_equal(f->told[0].cgroup, "/a");
	/* The same again has to wait; more than that does not, and takes it along. */
	raise_v1(&v1, LOW);
	assert_int_equal(mp_loop_once(f->loop, 0), 0);
	assert_int_equal(f->n, 1);
	raise_v1(&v1, MEDIUM);
	raise_v1(&v1, CRITICAL);
	once(f);
	check_v1(f, 2, "critical", 0, 0);
	raise_v1(&v1, OOM);
	once(f);
	check_v1(f, 3, "oom", 0, 0);
}

/* What comes while a source is left alone is told when that is over; so is a kill, which is
 * counted after its OOM was told. */
static void test_v1_quiet_ends(void **state)
{
	struct fixture *f = *state;
	V1 v1;

	make_v1_group(f, "/a", &v1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	read_registrations(&v1);
	raise_v1(&v1, OOM);
	once(f);
	check_v1(f, 1, "oom", 0, 0);
	set_file(f, "/a", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	once(f); /* the timer */
	check_v1(f, 2, "oom", 0, 2);
	raise_v1(&v1, LOW);
	once(f);
	check_v1(f, 3, "low", 0, 0);
	/* Nothing came: every signal is heard again. */
	once(f);
	assert_int_equal(f->n, 3);
	raise_v1(&v1, LOW);
	assert_int_equal(mp_loop_once(f->loop, 0), 0);
	check_v1(f, 4, "low", 0, 0);
}

/* Nor does a source that cannot be read keep the monitor busy, or get lost. */
static void test_v1_unreadable(void **state)
{
	struct fixture *f = *state;
	V1 v1;

	make_v1_group(f, "/a", &v1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	read_registrations(&v1);
	set_file(f, "/a", "memory.failcnt", "many\n");
	raise_v1(&v1, LOW);
	once(f);
	raise_v1(&v1, CRITICAL);
	assert_int_equal(mp_loop_once(f->loop, 0), 0);
	assert_int_equal(f->n, 0);
	set_file(f, "/a", "memory.failcnt", "101\n");
	once(f);
	check_v1(f, 1, "critical", 1, 0);
}

static void test_v1_group_goes_away(void **state)
{
	struct fixture *f = *state;
	V1 v1;

	make_v1_group(f, "/a", &v1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	read_registrations(&v1);
	remove_group(f, "/cg/a");
	/* As the kernel does for those that wait. */
	for (int i = LOW; i <= OOM; i++)
		raise_v1(&v1, i);
	once(f);
	assert_int_equal(f->n, 0);
	assert_int_equal(eventfd_write(v1.fds[LOW], 1), -1); /* closed */
	assert_int_equal(tick(f, mp_clock_now_ns()), 0);
}

/* The root of the tree tells of the host; a container's own group does not. */
static void test_v1_host(void **state)
{
	struct fixture *f = *state;
	V1 v1;

	make_v1_group(f, "", &v1);
	strcpy(f->cg.memory_root, "/docker/a");
	assert_int_equal(mp_pressure_add(f->pressure, NULL), 0);
	assert_int_equal(read(v1.control, &(char){0}, 1), -1);
	mp_pressure_free(f->pressure);
	strcpy(f->cg.memory_root, "/");
	f->pressure = mp_pressure_new(f->loop, &f->cg, &f->policy, remember, f);
	assert_int_equal(mp_pressure_add(f->pressure, NULL), 0);
	read_registrations(&v1);
	raise_v1(&v1, MEDIUM);
	once(f);
	assert_int_equal(f->n, 1);
	assert_string_equal(f->told[0].cgroup, "host");
	assert_string_equal(f->told[0].v1_level, "medium");
	assert_true(last(f)->usage_pct == 10);
}

/* Above the threshold, a signal makes the clock follow the domain. */
static void test_v1_signal_wakes_attention(void **state)
{
	struct fixture *f = *state;
	uint64_t now = mp_clock_now_ns();
	V1 v1;

	make_v1_group(f, "/a", &v1);
	assert_int_equal(mp_pressure_add(f->pressure, "/a"), 0);
	read_registrations(&v1);
	raise_v1(&v1, LOW);
	once(f);
	assert_int_equal(tick(f, now + SEC), 0);
	set_group(f, "/a", 90, 0);
	raise_v1(&v1, CRITICAL);
	once(f);
	set_group(f, "/a", 10, 0);
	assert_int_equal(tick(f, now + SEC), 1);
	assert_int_equal(last(f)->source, MP_PRESSURE_USAGE);
}

/* --- what is there --------------------------------------------------------------- */

static void test_support_v1(void **state)
{
	struct fixture *f = *state;
	struct mp_pressure_support s = {.psi_cgroup = true};
	struct mp_pressure_row rows[MP_PRESSURE_ROWS];

	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_true(s.usage);
	assert_false(s.psi || s.psi_trigger || s.psi_cgroup || s.memory_events ||
		     s.memcg_v1_events);
	assert_int_equal(s.psi_window_ns, 0);
	set_file(f, "", "cgroup.event_control", "");
	set_file(f, "", "memory.pressure_level", "");
	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_false(s.memcg_v1_events);
	set_file(f, "", "memory.oom_control", "");
	set_psi(f, "/proc/pressure/memory", 0, 0);
	set_psi(f, "/cg/a/memory.pressure", 0, 0);
	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_true(s.memcg_v1_events && s.psi && s.psi_trigger);
	assert_false(s.memory_events || s.psi_cgroup);
	assert_int_equal(s.psi_window_ns, 2 * SEC);
	assert_int_equal(mp_pressure_rows(&s, rows), MP_PRESSURE_ROWS);
	for (size_t i = 0; i < MP_PRESSURE_ROWS; i++)
		assert_true(*rows[i].name && *rows[i].meaning && *rows[i].without);
}

static void test_support_v2(void **state)
{
	struct fixture *f = *state;
	struct mp_pressure_support s;

	set_group(f, "/a", 10, 0);
	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_true(s.memory_events);
	assert_false(s.psi_cgroup || s.memcg_v1_events);
	set_psi(f, "/cg/a/memory.pressure", 0, 0);
	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_true(s.psi_cgroup);
	f->cg.mode = MP_CGROUP_NONE;
	unlink(strcat(strcpy((char[PATH_MAX]){0}, f->tree.root), "/proc/meminfo"));
	mp_pressure_support_detect(&f->cg, &f->policy, &s);
	assert_false(s.usage || s.memory_events || s.psi_cgroup);
}

#define V1_TEST(name) cmocka_unit_test_setup_teardown(name, begin_v1, end)
#define HYBRID_TEST(name) cmocka_unit_test_setup_teardown(name, begin_hybrid, end)
#define V2_TEST(name) cmocka_unit_test_setup_teardown(name, begin_v2, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		V1_TEST(test_calm),
		V2_TEST(test_calm),
		V1_TEST(test_usage),
		V2_TEST(test_usage),
		V2_TEST(test_page_cache_is_calm),
		V2_TEST(test_fall),
		V2_TEST(test_fall_is_told_as_long_as_the_policy_holds),
		V2_TEST(test_stall),
		HYBRID_TEST(test_stall_of_a_group_is_known_on_v2_alone),
		V2_TEST(test_stall_of_a_group_is_known_on_v2_alone),
		V2_TEST(test_look),
		V2_TEST(test_group_goes_away),
		V2_TEST(test_group_goes_away_while_told),
		V2_TEST(test_malformed),
		HYBRID_TEST(test_v1_levels),
		V1_TEST(test_v1_quiet_ends),
		V1_TEST(test_v1_unreadable),
		V1_TEST(test_v1_group_goes_away),
		V1_TEST(test_v1_host),
		V1_TEST(test_v1_signal_wakes_attention),
		V1_TEST(test_support_v1),
		V2_TEST(test_support_v2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
